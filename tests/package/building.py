"""Distributions built from this tree, and environments into which they are installed."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

__all__ = ["ROOT", "build", "environment", "once", "pip", "run", "sdist_in", "unpack", "wheel_in"]

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, with other environment variables; an empty one is removed."""
    # What the tests run with must not reach what is tested.
    surroundings = {**os.environ, "PYTHONPATH": "", "MYPYPATH": "", **variables}
    used = {name: value for name, value in surroundings.items() if value}
    command = tuple(str(each) for each in command)
    return subprocess.run(command, capture_output=True, check=False, cwd=cwd, encoding="utf-8", env=used)


def once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Make a folder by the first worker of pytest-xdist that asks for it; the others wait and use the same."""
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            try:
                make(folder)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
    return folder


def build(source: Path, folder: Path) -> None:
    """Build with what is installed: an sdist, and the wheel from it."""
    done = run(
        *(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, source),
        cwd=source,
        SOURCE_DATE_EPOCH="1767225600",
    )
    assert done.returncode == 0, done.stdout + done.stderr


def sdist_in(folder: Path) -> Path:
    """Return the only sdist in a folder."""
    (path,) = folder.glob("*.tar.gz")
    return path


def wheel_in(folder: Path) -> Path:
    """Return the only wheel in a folder."""
    (path,) = folder.glob("*.whl")
    return path


def unpack(distribution: Path, folder: Path) -> Path:
    """Unpack a wheel into a folder, or an sdist into a folder of its own there; return where the files lie."""
    if distribution.suffix == ".whl":
        with zipfile.ZipFile(distribution) as wheel:
            wheel.extractall(folder)  # noqa: S202  # our own
        return folder
    with tarfile.open(distribution) as sdist:
        # The argument `filter` came with 3.11.4; earlier patches do not read this attribute.
        sdist.extraction_filter = lambda member, _folder: member
        sdist.extractall(folder)  # noqa: S202  # our own
    return folder / distribution.name.removesuffix(".tar.gz")


def environment(folder: Path, *requirements: str) -> Path:
    """Make a virtual environment that holds the requirements and what they need; return its Python."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    pip(folder.parent, "--python", python, "install", *requirements)
    return python


def pip(cwd: Path, *arguments: str | Path) -> str:
    """Run pip with the versions that developers use; skip where it has no package index to ask."""
    command = (sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments)
    constraint = ROOT / "constraints.txt"
    done = run(*command, cwd=cwd, PIP_CONSTRAINT=str(constraint))
    if done.returncode != 0:
        # Whether the index is to blame shows a package that every index has.
        probe = (sys.executable, "-m", "pip", "download", "--no-deps", "--dest", cwd / "probe", "attrs")
        if run(*probe, cwd=cwd).returncode != 0:
            pytest.skip("pip reaches no package index")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
