"""What the distributions hold, and what tools of the package index say of them."""

from __future__ import annotations

import ast
import re
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from cabinet_sdk import __version__
from tests.package.building import ROOT, build, pip, run, sdist_in, unpack, wheel_in

pytestmark = pytest.mark.slow

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
INFO = f"cabinet_sdk-{__version__}.dist-info"
HOMES = {"cabinet_sdk": "src/cabinet_sdk", "reference_server": "reference_server"}
"""Where the files of each package stand in the sdist."""


def files_of(wheel: Path) -> set[str]:
    """Return the paths of the files in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def files_of_sdist(sdist: Path) -> set[str]:
    """Return the paths of the files in an sdist, below its only folder."""
    with tarfile.open(sdist) as archive:
        return {each.name.partition("/")[2] for each in archive.getmembers() if each.isfile()}


def metadata_of(contents: Path) -> Message:
    """Return what the wheel says about itself."""
    return Parser().parsestr((contents / INFO / "METADATA").read_text(encoding="utf-8"))


def test_the_index_would_take_them(distributions: Path) -> None:
    """Twine finds nothing in the metadata or in the README that an index would refuse or show badly."""
    done = run(
        *(sys.executable, "-m", "twine", "check", "--strict", sdist_in(distributions), wheel_in(distributions)),
        cwd=distributions,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_wheel_holds_what_a_wheel_should(distributions: Path) -> None:
    """check-wheel-contents finds no stray, missing or doubled file."""
    command = (sys.executable, "-m", "check_wheel_contents", "--config", ROOT / "pyproject.toml")
    done = run(*command, wheel_in(distributions), cwd=ROOT)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_wheel_holds_both_packages_and_nothing_else(distributions: Path) -> None:
    """Each file of both packages, the stubs of the clients and the metadata: no test, example, page or tool."""
    source = files_of_sdist(sdist_in(distributions))
    packages = {
        path.replace(home, package, 1)
        for package, home in HOMES.items()
        for path in source
        if path.startswith(f"{home}/")
    }
    stubs = {f"{path}i" for path in packages if re.fullmatch(r"cabinet_sdk/\w+/client\.py", path)}
    metadata = {f"{INFO}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")}

    assert stubs
    assert {"cabinet_sdk/py.typed", "reference_server/py.typed"} <= packages
    assert any(path.startswith("reference_server/") and path.endswith(".html") for path in packages)
    assert files_of(wheel_in(distributions)) == packages | stubs | metadata


def test_no_stub_stands_in_the_sources(distributions: Path) -> None:
    """The stubs are made while the wheel is built: neither the repository nor the sdist holds one."""
    assert not [path for path in files_of_sdist(sdist_in(distributions)) if path.endswith(".pyi")]
    assert not [*(ROOT / "src").rglob("*.pyi")]


def test_an_editable_install_has_no_stubs(distributions: Path, tmp_path: Path) -> None:
    """Who works on the sources sees the sources: stubs of yesterday's methods would hide today's."""
    source = unpack(sdist_in(distributions), tmp_path / "source")
    program = "import sys; from hatchling.build import build_editable; build_editable(sys.argv[1])"
    done = run(sys.executable, "-c", program, tmp_path, cwd=source)

    assert done.returncode == 0, done.stderr
    assert {Path(name).suffix for name in files_of(wheel_in(tmp_path)) if not name.startswith(INFO)} == {".pth"}
    assert not [*source.rglob("*.pyi")]


def test_the_sdist_holds_what_building_and_testing_need(distributions: Path) -> None:
    """The build script, its program, the tests with what they read, and the words for those who unpack it."""
    source = files_of_sdist(sdist_in(distributions))

    assert {"hatch_build.py", "tools/stubs.py", "tests/conftest.py", "constraints.txt", "LICENSE"} <= source
    assert {"README.md", "CHANGELOG.md", "docs/versioning.md", "Makefile", "pyproject.toml", "PKG-INFO"} <= source
    assert not [path for path in source if "__pycache__" in path or path.startswith((".venv", ".git/", "dist/"))]


def test_the_metadata_are_those_of_the_project(contents: Path) -> None:
    """Name, version, Pythons, extras and requirements are those that pyproject.toml declares."""
    metadata = metadata_of(contents)
    extras = PROJECT["optional-dependencies"]
    declared = [Requirement(each) for each in PROJECT["dependencies"]]
    required = [Requirement(each) for each in metadata.get_all("Requires-Dist", [])]

    assert (metadata["Name"], metadata["Version"]) == ("cabinet-sdk", __version__)
    assert metadata["Requires-Python"] == PROJECT["requires-python"]
    assert metadata["License-Expression"] == "Apache-2.0 AND OFL-1.1"
    assert metadata.get_all("Provides-Extra") == [*extras]
    assert {str(each) for each in required if "extra" not in str(each.marker)} == {str(each) for each in declared}
    assert len(required) == len(declared) + sum(map(len, extras.values()))


def test_the_version_stands_in_two_places_and_is_one(contents: Path) -> None:
    """The package says the version of its distribution."""
    tree = ast.parse((contents / "cabinet_sdk" / "__init__.py").read_text(encoding="utf-8"))
    said = [
        each.value for each in tree.body if isinstance(each, ast.Assign) and "__version__" in ast.dump(each.targets[0])
    ]

    assert [ast.literal_eval(each) for each in said] == [metadata_of(contents)["Version"]] == [PROJECT["version"]]


def test_the_wheel_brings_the_program(contents: Path) -> None:
    """The one script is the reference server's; no pytest plugin is loaded behind anybody's back."""
    text = (contents / INFO / "entry_points.txt").read_text(encoding="utf-8")

    assert text.split() == ["[console_scripts]", "cabinet-reference-server", "=", "reference_server.__main__:main"]


def test_building_again_gives_the_same_bytes(distributions: Path, tmp_path: Path) -> None:
    """From the unpacked sdist, at another place and another time, both distributions come out the same to the byte."""
    build(unpack(sdist_in(distributions), tmp_path / "source"), tmp_path / "dist")

    assert wheel_in(tmp_path / "dist").read_bytes() == wheel_in(distributions).read_bytes()
    assert sdist_in(tmp_path / "dist").read_bytes() == sdist_in(distributions).read_bytes()


def test_pip_builds_the_same_wheel_on_its_own(distributions: Path, tmp_path: Path) -> None:
    """In isolation, with nothing but what the build asks for, the sdist becomes the same wheel."""
    pip(tmp_path, "wheel", "--no-deps", "--wheel-dir", tmp_path, sdist_in(distributions))

    assert files_of(wheel_in(tmp_path)) == files_of(wheel_in(distributions))
    with zipfile.ZipFile(wheel_in(tmp_path)) as own, zipfile.ZipFile(wheel_in(distributions)) as ours:
        assert own.read("cabinet_sdk/charges/client.pyi") == ours.read("cabinet_sdk/charges/client.pyi")
