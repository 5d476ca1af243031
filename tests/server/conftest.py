"""What the tests of the server share."""

from __future__ import annotations

import pytest

from reference_server import Profile, World
from tests.server.raw import Raw


@pytest.fixture
def raw(world: World, person: Profile) -> Raw:
    """Sends requests as they travel, signed in as the person."""
    return Raw(world, person)
