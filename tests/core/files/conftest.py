"""Both clients, in memory and over HTTP, of a world that has the sample area."""

from __future__ import annotations

import pytest

from cabinet_sdk import AsyncCabinet
from reference_server import Profile, World
from tests.core.sample_area import AsyncSamples, sample_world, samples_of


@pytest.fixture(params=["sync", "async", "sync-http", "async-http"])
def mode(request: pytest.FixtureRequest) -> str:
    """Which client, and whether over HTTP."""
    value: str = request.param
    return value


@pytest.fixture
def person(world: World) -> Profile:
    """Somebody who may use the sample area."""
    return sample_world(world)


@pytest.fixture
def samples(client: AsyncCabinet) -> AsyncSamples:
    """The sample area of the test's client."""
    return samples_of(client)
