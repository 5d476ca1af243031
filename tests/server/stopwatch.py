"""The clock by which a served world's connections judge who is slow: it stands still until a test moves it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, final

import pytest

from reference_server.connections import Connection

__all__ = ["Stopwatch"]

# Only what hangs takes that long.
_PATIENCE = 60


@final
class _Timer:
    """What is to be done at a moment, unless it is cancelled before."""

    def __init__(self, when: float, loop: asyncio.AbstractEventLoop, act: Callable[[], object]) -> None:
        self.when = when
        self.loop = loop
        self._act = act
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def run(self) -> None:
        if not self._cancelled:
            self._act()


@final
class _Loop:
    """An event loop, whose time is that of a stopwatch."""

    def __init__(self, inner: asyncio.AbstractEventLoop, stopwatch: Stopwatch) -> None:
        self._inner = inner
        self._stopwatch = stopwatch

    def __getattr__(self, name: str) -> Any:  # Any: whatever the loop has
        return getattr(self._inner, name)

    def time(self) -> float:
        return self._stopwatch.now

    def call_at(self, when: float, act: Callable[..., object], *arguments: object) -> _Timer:
        timer = _Timer(when, self._inner, lambda: act(*arguments))
        self._stopwatch.timers.append(timer)
        return timer

    def call_later(self, delay: float, act: Callable[..., object], *arguments: object) -> _Timer:
        return self.call_at(self.time() + delay, act, *arguments)


@final
class Stopwatch:
    """
    Is the time of every connection that is made to a server in this process.

    Attributes:
        now: Seconds since it was made.
        received: How many bytes the server has taken.
        ended: How many connections are over.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.received = 0
        self.ended = 0
        self.timers: list[_Timer] = []
        self._changed = threading.Condition()
        made, taken, lost = Connection.connection_made, Connection.data_received, Connection.connection_lost

        def connection_made(connection: Connection, transport: asyncio.Transport) -> None:
            connection.loop = _Loop(connection.loop, self)  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]  # it has all that is asked of it
            made(connection, transport)

        def data_received(connection: Connection, data: bytes) -> None:
            taken(connection, data)
            with self._changed:
                self.received += len(data)
                self._changed.notify_all()

        def connection_lost(connection: Connection, exc: Exception | None) -> None:
            lost(connection, exc)
            with self._changed:
                self.ended += 1
                self._changed.notify_all()

        monkeypatch.setattr(Connection, "connection_made", connection_made)
        monkeypatch.setattr(Connection, "data_received", data_received)
        monkeypatch.setattr(Connection, "connection_lost", connection_lost)

    def wait_until_received(self, length: int) -> None:
        """Wait until the server has taken that many bytes in all."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.received >= length, _PATIENCE)

    def sleep(self, seconds: float) -> None:
        """Move on, and wait until all that became due is done."""
        self.now += seconds
        due = [timer for timer in self.timers if timer.when <= self.now]
        for timer in due:
            self.timers.remove(timer)
            timer.loop.call_soon_threadsafe(timer.run)
        # An abort is followed by the end of the connection in the next round of the loop.
        for _ in range(2):
            for loop in {timer.loop for timer in due}:
                done = threading.Event()
                loop.call_soon_threadsafe(done.set)
                assert done.wait(_PATIENCE)

    def sleep_until_ended(self) -> None:
        """Move on in steps of 15 s until a connection is over, as one must whose answer lies untaken."""
        with self._changed:
            before = self.ended
        for _ in range(_PATIENCE * 20):
            self.sleep(15)
            with self._changed:
                # What the system still takes into its buffers begins the time anew.
                if self._changed.wait_for(lambda: self.ended > before, 0.05):
                    return
        raise AssertionError("no connection ended")
