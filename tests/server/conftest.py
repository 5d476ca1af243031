"""What the tests of the server share."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from reference_server import Profile, World
from reference_server.testing import serve
from tests.server.raw import Raw


@pytest.fixture
def raw(world: World, person: Profile) -> Raw:
    """Sends requests as they travel, signed in as the person."""
    return Raw(world, person)


@pytest.fixture
def console(world: World) -> Iterator[httpx.Client]:
    """A program that looks at the console of the world."""
    with serve(world) as url, httpx.Client(base_url=url.removesuffix("/v1"), trust_env=False, timeout=60) as client:
        yield client
