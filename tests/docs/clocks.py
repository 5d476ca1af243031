"""Time for programs that wait on the system's clock."""

from __future__ import annotations

import datetime as dt
from typing import final

from reference_server import ManualClock
from reference_server.world import DEFAULT_START

__all__ = ["LeapingClock"]


@final
class LeapingClock:
    """Leaps on with each look at it, so that whatever takes time has happened by the next request: nobody waits."""

    def __init__(self) -> None:
        self._clock = ManualClock(DEFAULT_START)

    def now(self) -> dt.datetime:
        """Return the moment, five seconds after the one before."""
        self._clock.sleep(5)
        return self._clock.now()

    def monotonic(self) -> float:
        """Return the seconds since the start."""
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        """Move on, at once."""
        self._clock.sleep(seconds)
