"""
A plugin of the whole suite: no test may make any logger say a secret or whose data it is, at any level.

The canaries are those of the worlds that a test makes: every token and client secret passes `digest` on its way into a
database, and every profile passes `add_profile`. Each record is looked at when it is logged; nothing is kept of it.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Generator
from typing import final

import pytest

from reference_server import profiles, signin
from reference_server.database import Database
from reference_server.profiles import Profile

__all__ = ["Canaries", "canaries"]


@final
class Canaries(logging.Handler):
    """Hears what all loggers say, and notes which canary was in it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.known: set[str] = set()
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Look at a record."""
        said = record.getMessage()
        if record.exc_info is not None:
            said += "".join(traceback.format_exception(*record.exc_info))
        self.heard += [f"{record.name} says {canary!r}: {said}" for canary in self.known if canary in said]

    def watch(self, *values: object) -> None:
        """Add canaries; short ones would be found by chance."""
        self.known.update(text for text in map(str, values) if len(text) >= 8)

    def digest(self, digest: Callable[[str], str]) -> Callable[[str], str]:
        """Watch secrets that are turned into digests."""

        def watched(secret: str) -> str:
            self.watch(secret)
            return digest(secret)

        return watched

    def add_profile(self, add: Callable[[Database, Profile, str], None]) -> Callable[[Database, Profile, str], None]:
        """Watch people that are added."""

        def watched(database: Database, profile: Profile, client_secret: str) -> None:
            self.watch(profile.name, profile.inn, profile.registration or "")
            add(database, profile, client_secret)

        return watched


@pytest.fixture(scope="session")
def _listening() -> Generator[Canaries]:
    listener = Canaries()
    root = logging.getLogger()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signin, "digest", listener.digest(profiles.digest))
        patch.setattr(profiles, "add_profile", listener.add_profile(profiles.add_profile))
        patch.setattr(profiles, "digest", listener.digest(profiles.digest))
        root.addHandler(listener)
        yield listener
        root.removeHandler(listener)


@pytest.fixture(autouse=True)
def canaries(_listening: Canaries) -> Generator[Canaries]:
    """The canaries of this test; it fails when a logger says one."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    _listening.known.clear()
    _listening.heard.clear()
    yield _listening
    root.setLevel(level)
    assert _listening.heard == []
