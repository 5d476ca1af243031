"""
Change the code that money and doing things once rest on, piece by piece, and count the changes that tests notice.

What is changed, and which tests are asked, stands in pyproject.toml. Arguments are patterns of mutants to try again,
such as ``cabinet_sdk.types.money.*``; without any, all are tried. ``mutmut show MUTANT`` shows a change.
"""

from __future__ import annotations

import gc
import shutil
import sys
from collections import Counter

from mutmut.__main__ import cli
from mutmut.mutation.data import SourceFileMutationData
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files

NOTICED = ("killed", "timeout")


def main() -> None:
    """Try mutants, and print what survived and how many of each file did not."""
    # What mutmut puts around functions breaks in finalizers that run at any moment.
    gc.disable()
    patterns = sys.argv[1:]
    if not patterns:
        # It would take results for good although tests have changed.
        shutil.rmtree("mutants", ignore_errors=True)
    cli(["run", "--max-children", "2", *patterns], standalone_mode=False)
    cli(["results"], standalone_mode=False)
    total: Counter[bool] = Counter()
    for path in sorted(walk_mutatable_files()):
        data = SourceFileMutationData(path=path)
        data.load()
        noticed = Counter(status_by_exit_code[code] in NOTICED for code in data.exit_code_by_key.values())
        total += noticed
        print(_line(str(path), noticed))
    print(_line("all", total))


def _line(name: str, noticed: Counter[bool]) -> str:
    return f"{noticed[True]:5} of {noticed.total():5}  {noticed[True] / (noticed.total() or 1):4.0%}  {name}"


if __name__ == "__main__":
    main()
