"""
The same rooms in every area, so that whoever has worked in one can work in all.

A room that outgrows one file is continued in modules named `<room>_<noun>.py`, such as `rules_refunds`; any area may
have its own.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["CONTINUATION", "PACKAGES", "SDK_ROOMS", "SERVER_ROOMS", "missing_rooms", "sdk_areas", "server_areas"]

PACKAGES = ("src/cabinet_sdk", "reference_server")
"""The folders of the two packages."""

SDK_ROOMS = frozenset({"__init__", "models", "operations", "flows", "errors", "client"})
SERVER_ROOMS = frozenset({"__init__", "handlers", "rules", "store", "seed", "control", "papers"})

CONTINUATION = "_[a-z]+"
"""What the name of a module adds to that of the room that it continues: a regular expression."""

_NO_AREAS = frozenset({"_core", "types"})
_NO_SERVER_AREAS = frozenset({"pages"})


def sdk_areas(root: Path) -> set[str]:
    """Return the names of the SDK's areas."""
    return _packages(root / "src" / "cabinet_sdk") - _NO_AREAS


def server_areas(root: Path) -> set[str]:
    """Return the names of the server's areas."""
    return _packages(root / "reference_server") - _NO_SERVER_AREAS


def missing_rooms(root: Path) -> list[str]:
    """Return each room that an area lacks or has to itself, and each area that has no other half or no tests."""
    sdk, server = sdk_areas(root), server_areas(root)
    breaches = [f"the server has no area {area}" for area in sorted(sdk - server)]
    breaches += [f"the SDK has no area {area}" for area in sorted(server - sdk)]
    for area in sorted(sdk):
        breaches += _differences(root, root / "src" / "cabinet_sdk" / area, SDK_ROOMS)
        if not list((root / "tests" / area).glob("test_*.py")):
            breaches.append(f"tests/{area} holds no tests")
        for half in (root / "tests" / "typing" / f"{area}.py", root / "tests" / "wire" / area):
            if not half.exists():
                breaches.append(f"{half.relative_to(root)} is missing")
    for area in sorted(server):
        breaches += _differences(root, root / "reference_server" / area, SERVER_ROOMS)
    return breaches


def _packages(folder: Path) -> set[str]:
    return {path.parent.name for path in folder.glob("*/__init__.py")}


def _differences(root: Path, folder: Path, rooms: frozenset[str]) -> list[str]:
    here = {path.name.removesuffix(".py") for path in folder.iterdir() if path.name != "__pycache__"}
    more = re.compile(f"(?:{'|'.join(sorted(rooms - {'__init__'}))}){CONTINUATION}")
    here = {name for name in here if not (more.fullmatch(name) and (folder / f"{name}.py").is_file())}
    where = folder.relative_to(root)
    return [f"{where} lacks the room {room}" for room in sorted(rooms - here)] + [
        f"{where} has the room {room}, which no other area has" for room in sorted(here - rooms)
    ]
