"""What the tests of the server share."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from cabinet_sdk.charges import Charge
from cabinet_sdk.types import Money
from reference_server import Profile, World
from reference_server.testing import serve
from tests.server.raw import Raw
from tests.server.stopwatch import Stopwatch


@pytest.fixture
def raw(world: World, person: Profile) -> Raw:
    """Sends requests as they travel, signed in as the person."""
    return Raw(world, person)


@pytest.fixture
def console(world: World) -> Iterator[httpx.Client]:
    """A program that looks at the console of the world."""
    with serve(world) as url, httpx.Client(base_url=url.removesuffix("/v1"), trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> Stopwatch:
    """The time by which the server judges who is slow."""
    return Stopwatch(monkeypatch)


@pytest.fixture
def charge(world: World, person: Profile) -> Charge:
    """Something that the person owes."""
    return world.charges.add(person, Money("1.00"))


@pytest.fixture
def url(world: World) -> Iterator[str]:
    """The base URL of the world on a socket."""
    with serve(world) as base:
        yield base
