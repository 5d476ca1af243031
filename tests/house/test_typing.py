"""What type checkers say: right uses have the right types, and mistakes are refused, by mypy and pyright alike."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests" / "typing").glob("*.py"))

pytestmark = pytest.mark.slow


def mypy(folder: Path) -> list[str]:
    """Return what mypy finds in a folder, by the rules of the repository."""
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
    # A cache of its own: the one of the repository belongs to whoever checks it by hand.
    options = ["--no-pretty", "--no-error-summary", "--cache-dir", str(folder / "cache")]
    modules = [str(path) for path in sorted(folder.glob("*.py"))]
    done = subprocess.run([*command, *options, *modules], capture_output=True, check=False, cwd=ROOT, text=True)
    assert done.returncode in {0, 1}, done.stderr
    return [line for line in done.stdout.splitlines() if ": error: " in line]


def pyright(folder: Path) -> list[str]:
    """Return what pyright finds in a folder, by the rules of the repository."""
    project = folder / "pyrightconfig.json"
    rules = {"extends": str(ROOT / "pyproject.toml"), "include": ["."], "extraPaths": [str(ROOT), str(ROOT / "src")]}
    project.write_text(json.dumps(rules), encoding="utf-8")
    command = [sys.executable, "-m", "pyright", "--project", str(project), "--pythonpath", sys.executable]
    done = subprocess.run([*command, "--outputjson"], capture_output=True, check=False, text=True)
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == len(list(folder.glob("*.py"))), done.stdout
    return [f"{each.get('rule')}: {each['message']}" for each in report["generalDiagnostics"]]


Checker: TypeAlias = Callable[[Path], list[str]]
"""Returns what it finds in a folder."""

each_checker = pytest.mark.parametrize("checker", [mypy, pyright])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the typing tests."""
    for path in FILES:
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def change(path: Path, old: str, new: str) -> None:
    """Replace a text that stands in a file once."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old} stands in {path.name} {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")


@each_checker
def test_types_are_exact_and_mistakes_are_refused(checker: Checker, folder: Path) -> None:
    """Every asserted type is the inferred one, and every line of mistakes.py is refused for the reason it names."""
    assert checker(folder) == []


@each_checker
def test_a_wrong_type_is_found(checker: Checker, folder: Path) -> None:
    """An asserted type that is not the inferred one, in either mode, is an error."""
    change(
        folder / "charges.py",
        "    assert_type(charges.pay(charge_id, method=PaymentMethod.SBP), Payment)",
        "    assert_type(charges.pay(charge_id, method=PaymentMethod.SBP), Charge)",
    )
    change(
        folder / "charges.py",
        "    assert_type(charges.bank_transfers(), AsyncPages[BankTransfer])",
        "    assert_type(charges.bank_transfers(), AsyncPages[Any])",
    )

    found = [each for each in checker(folder) if "assert" in each.lower()]

    assert len(found) == 2


@each_checker
def test_every_line_of_mistakes_is_one(checker: Checker, folder: Path) -> None:
    """Without what the lines say about themselves, the checker refuses each of them."""
    path = folder / "mistakes.py"
    text = path.read_text(encoding="utf-8")
    mistakes = sum("# type: ignore[" in line and "# pyright: ignore[" in line for line in text.splitlines())
    path.write_text(re.sub(r"  # (type|pyright): ignore\[[^]]*\]", "", text), encoding="utf-8")

    assert mistakes > 70
    assert len(checker(folder)) >= mistakes


@each_checker
def test_a_line_that_is_no_mistake_is_found(checker: Checker, folder: Path) -> None:
    """A line of mistakes.py that the checker takes is an error: its ignore is not needed."""
    change(folder / "mistakes.py", 'cabinet.charges.list(cursor="token")', 'cabinet.charges.list(order_number="token")')

    found = checker(folder)

    assert len(found) == 1
    assert "unused" in found[0].lower() or "unnecessary" in found[0].lower()
