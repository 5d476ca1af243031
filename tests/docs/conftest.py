"""What the tests of documentation and examples share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reference_server import World
from reference_server.testing import serve
from tests.docs.clocks import LeapingClock


@pytest.fixture
def seeded_world() -> Iterator[World]:
    """Return a world of made-up people whose clock leaps."""
    world = World.seeded(clock=LeapingClock())
    yield world
    world.close()


@pytest.fixture
def served_url(seeded_world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the address of that world on a socket, without the base path."""
    # A proxy of the environment could not reach this machine.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve(seeded_world) as url:
        yield url.removesuffix("/v1")
