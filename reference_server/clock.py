"""Time in a world: the system's, or one that a test moves."""

from __future__ import annotations

import datetime as dt
import threading
import time
from typing import Protocol, final, runtime_checkable

from cabinet_sdk._core.arguments import checking

__all__ = ["Clock", "ManualClock", "SystemClock", "from_micros", "to_micros"]

# Whatever is counted from now, back or on, is less than a century: it shall be a day that there is.
_EARLIEST = dt.datetime(101, 1, 1, tzinfo=dt.UTC)
_LATEST = dt.datetime(9899, 1, 1, tzinfo=dt.UTC)
_LONGEST = (_LATEST - _EARLIEST).total_seconds() + 1
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


@runtime_checkable
class Clock(Protocol):
    """What a world needs of time."""

    def now(self) -> dt.datetime:
        """Return the moment, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that only grow."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        ...


@final
class SystemClock:
    """The system's time."""

    def now(self) -> dt.datetime:
        """Return the moment, in UTC."""
        return dt.datetime.now(dt.UTC)

    def monotonic(self) -> float:
        """Return seconds that only grow."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait in this thread."""
        time.sleep(seconds)


@final
class ManualClock:
    """
    Time that stands still until somebody moves it; pauses of a client in process move it, so that nothing really waits.

    It goes from the year 101 to the beginning of 9899, a century within the years that there are.

    Args:
        start: With its time zone.

    Raises:
        ValueError: The start has no time zone, or is not within these years.
    """

    @checking("ManualClock()", bound=True)
    def __init__(self, start: dt.datetime) -> None:
        if start.tzinfo is None:
            msg = "the start of a clock needs its time zone"
            raise ValueError(msg)
        if not _EARLIEST <= start <= _LATEST:
            msg = f"a clock starts from {_EARLIEST} to {_LATEST}, not at {start}"
            raise ValueError(msg)
        self._start = self._now = start.astimezone(dt.UTC)
        self._lock = threading.Lock()

    def now(self) -> dt.datetime:
        """Return the moment, in UTC."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds since the start."""
        return (self._now - self._start).total_seconds()

    @checking("world.clock.sleep()", bound=True)
    def sleep(self, seconds: float) -> None:
        """
        Move on by that many seconds, at once.

        Raises:
            OverflowError: It would be later than the clock goes.
            ValueError: It would be back, or is no number.
        """
        if not seconds >= 0:
            msg = f"seconds: a clock moves forward only, not by {seconds}"
            raise ValueError(msg)
        # More than all that a clock has is refused there, also where Python knows no such time.
        self.advance(dt.timedelta(seconds=min(seconds, _LONGEST)))

    @checking("world.clock.advance()", bound=True)
    def advance(self, by: dt.timedelta) -> None:
        """
        Move on; never back, since what happened has happened.

        Raises:
            OverflowError: It would be later than the clock goes.
            ValueError: It would be back.
        """
        if by < dt.timedelta(0):
            msg = f"a clock moves forward only, not by {by}"
            raise ValueError(msg)
        with self._lock:
            if by > _LATEST - self._now:
                msg = f"a clock goes to {_LATEST} and no further"
                raise OverflowError(msg)
            self._now += by

    def restore(self, moment: dt.datetime) -> None:
        """Go to the moment of a world's checkpoint, with which all that has happened since is undone."""
        with self._lock:
            self._now = moment


def to_micros(moment: dt.datetime) -> int:
    """Return the moment as the database keeps it: microseconds since 1970 in UTC."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> dt.datetime:
    """Return the moment that `to_micros` kept."""
    return _EPOCH + dt.timedelta(microseconds=micros)
