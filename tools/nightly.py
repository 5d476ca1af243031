"""
Run what is too slow for every change: the tests marked `nightly`, then the whole suite again and again.

Each run of the suite has another order; a failure is repeated with the number that its head names::

    .venv/bin/python tools/nightly.py [RUNS]
"""

from __future__ import annotations

import secrets
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUNS = 20


def pytest(*arguments: str) -> bool:
    """Run tests in a process of their own; say whether all passed."""
    command = [sys.executable, "-m", "pytest", "-q", *arguments]
    print("$", *command[1:], flush=True)
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0  # noqa: S603  # our own tests


def main(runs: int = RUNS) -> int:
    """Run all of it; return how many runs failed."""
    failed = [] if pytest("-m", "nightly", "-n", "0", "-s") else ["nightly"]
    for _ in range(runs):
        number = str(secrets.randbelow(2**32))
        if not pytest("-n", "2", "-p", "randomly", f"--randomly-seed={number}"):
            failed.append(f"--randomly-seed={number}")
    print(f"{runs} runs of the suite; failed: {', '.join(failed) or 'none'}")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
