"""
Fixtures for pytest, in one line of a ``conftest.py``: ``pytest_plugins = ["reference_server.pytest_fixtures"]``.

They cost nothing until a test asks for one: this module imports only pytest, and a world takes less than a millisecond.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cabinet_sdk import AsyncCabinet, Cabinet
    from reference_server import Profile, World

__all__ = ["async_cabinet", "cabinet", "cabinet_profile", "cabinet_url", "cabinet_world"]


@pytest.fixture
def cabinet_world() -> Iterator[World]:
    """Return an empty world in memory, of this test alone."""
    from reference_server import World  # noqa: PLC0415

    world = World()
    yield world
    world.close()


@pytest.fixture
def cabinet_profile(cabinet_world: World) -> Profile:
    """Return a person in the test's world, as whom the clients are signed in."""
    return cabinet_world.profiles.add("Иванова Мария Петровна")


@pytest.fixture
def cabinet(cabinet_world: World, cabinet_profile: Profile) -> Iterator[Cabinet]:
    """Return a client straight into the test's world."""
    from reference_server.testing import connect  # noqa: PLC0415

    with connect(cabinet_world, cabinet_profile) as client:
        yield client


@pytest.fixture
def async_cabinet(cabinet_world: World, cabinet_profile: Profile) -> AsyncCabinet:
    """Return an async client straight into the test's world; it holds nothing that has to be closed."""
    from reference_server.testing import connect_async  # noqa: PLC0415

    return connect_async(cabinet_world, cabinet_profile)


@pytest.fixture
def cabinet_url(cabinet_world: World) -> Iterator[str]:
    """Return the base URL under which the test's world is served over HTTP on this machine."""
    from reference_server.testing import serve  # noqa: PLC0415

    with serve(cabinet_world) as url:
        yield url
