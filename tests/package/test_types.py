"""What type checkers make of the installed wheel, stubs and all."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from tests.package.building import ROOT, run

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the typing tests, far from the sources."""
    return Path(shutil.copytree(ROOT / "tests" / "typing", tmp_path / "typing"))


def test_mypy_agrees_with_the_typing_tests(installed: Path, folder: Path) -> None:
    """Strict mypy infers every asserted type and refuses every mistake, as it does with the sources."""
    checked = sorted(folder.glob("*.py"))
    done = run(
        *(sys.executable, "-m", "mypy", "--config-file=", "--strict", "--enable-error-code", "ignore-without-code"),
        *("--python-executable", installed, "--cache-dir", folder / "cache"),
        *checked,
        cwd=folder,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"no issues found in {len(checked)} source files" in done.stdout


def test_pyright_agrees_with_the_typing_tests(installed: Path, folder: Path) -> None:
    """Strict pyright infers every asserted type and refuses every mistake, as it does with the sources."""
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pyright"]
    places: dict[str, object] = {
        "venvPath": str(installed.parents[2]),
        "venv": installed.parents[1].name,
        "exclude": [],
    }
    (folder / "pyrightconfig.json").write_text(json.dumps({**rules, **places}), encoding="utf-8")
    done = run(sys.executable, "-m", "pyright", "--outputjson", cwd=folder)

    report = json.loads(done.stdout)
    assert report["generalDiagnostics"] == []
    assert report["summary"]["filesAnalyzed"] == len(list(folder.glob("*.py")))


def test_every_public_type_is_known(installed: Path, tmp_path: Path) -> None:
    """Pyright finds all that the library exports annotated, with nothing left to infer."""
    done = run(
        *(sys.executable, "-m", "pyright", "--verifytypes", "cabinet_sdk", "--ignoreexternal", "--outputjson"),
        cwd=tmp_path,
        # Here pyright asks the first Python of the path for its packages, whatever its options say.
        PATH=os.pathsep.join([str(installed.parent), os.environ["PATH"]]),
        VIRTUAL_ENV=str(installed.parents[1]),
    )
    report = json.loads(done.stdout)["typeCompleteness"]
    unknown = [
        f"{symbol['name']}: {each['message']}"
        for symbol in report["symbols"]
        if not symbol["isTypeKnown"] or symbol["isTypeAmbiguous"]
        for each in symbol["diagnostics"]
    ]

    assert unknown == []
    assert report["completenessScore"] == 1
    assert report["exportedSymbolCounts"]["withKnownType"] > 500


def test_the_stubs_say_what_holds_while_the_program_runs(contents: Path, tmp_path: Path) -> None:
    """The stubtest of mypy imports each client and finds the methods, parameters and defaults of its stub."""
    modules = [".".join(path.relative_to(contents).with_suffix("").parts) for path in contents.rglob("*.pyi")]
    (tmp_path / "mypy.ini").write_text(f"[mypy]\nstrict = true\ncache_dir = {tmp_path}/cache\n", encoding="utf-8")
    done = run(
        *(sys.executable, "-m", "mypy.stubtest", "--mypy-config-file", "mypy.ini", *modules),
        cwd=tmp_path,
        PYTHONPATH=str(contents),
    )

    assert modules
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_stubs_look_as_if_written_by_hand(contents: Path) -> None:
    """The formatter of the project would change nothing in them: whoever goes to a definition lands there."""
    stubs = sorted(contents.rglob("*.pyi"))
    config = ROOT / "pyproject.toml"
    rules = ("check", "--select", "F,I,PYI", "--ignore", "PYI021", "--no-cache")  # PYI021: they are there to be shown.
    for command in (("format", "--diff", "--no-cache"), rules):
        done = run(sys.executable, "-m", "ruff", *command, "--config", config, *stubs, cwd=contents)
        assert done.returncode == 0, done.stdout + done.stderr
