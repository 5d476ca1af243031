"""What is built and installed once for all tests of the package."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.package.building import ROOT, build, environment, once, pip, unpack, wheel_in


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all workers of pytest-xdist share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "package"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def distributions(shared: Path) -> Path:
    """Return the folder of the sdist and of the wheel that is built from it."""
    return once(shared / "dist", lambda folder: build(ROOT, folder))


@pytest.fixture(scope="session")
def contents(shared: Path, distributions: Path) -> Path:
    """Return the folder into which the wheel is unpacked."""
    return once(shared / "contents", lambda folder: void(unpack(wheel_in(distributions), folder)))


@pytest.fixture(scope="session")
def installed(shared: Path, distributions: Path) -> Path:
    """Return the Python of an environment in which the wheel is installed, without extras."""
    requirement = str(wheel_in(distributions))
    return once(shared / "plain", lambda folder: void(environment(folder, requirement))) / "bin" / "python"


@pytest.fixture(scope="session")
def installed_with_server(shared: Path, distributions: Path) -> Path:
    """Return the Python of an environment in which the wheel is installed with all extras."""
    requirement = f"{wheel_in(distributions)}[encryption,otel,server]"
    return once(shared / "serving", lambda folder: void(environment(folder, requirement))) / "bin" / "python"


@pytest.fixture(scope="session")
def folder_of_pytest(shared: Path) -> Path:
    """Return a folder that holds pytest, for an environment that does not."""
    return once(shared / "pytest", lambda folder: void(pip(shared, "install", "--target", folder, "pytest")))


def void(_result: object) -> None:
    """Take a result that nobody needs."""
