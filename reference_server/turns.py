"""
Turns at what takes long, and an end to waiting when the server is to stop.

Each operation that takes long has a few threads of its own, and each profile one of them at a time: whoever asks for
many exports waits for them in a line that is its own, and no other profile waits behind it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TypeVar, final
from weakref import WeakValueDictionary

from cabinet_sdk.errors import ServiceUnavailable

__all__ = ["LONGEST_LINE", "Turns", "stopping"]

LONGEST_LINE = 8
"""How many requests of one profile for one operation wait or are answered at once; more are 503."""

_AT_ONCE = 2
# Seconds.
_COME_BACK_IN = 5

T = TypeVar("T")


@final
class _Line:
    """Those of one profile who wait for one operation, and the one whose turn it is."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.length = 0


@final
class _Operation:
    """The threads of one operation, and the lines before it."""

    def __init__(self) -> None:
        self.free = asyncio.Semaphore(_AT_ONCE)
        self.threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="slow")
        # Whoever stands in a line keeps it.
        self.lines = WeakValueDictionary[str | None, _Line]()


@final
class Turns:
    """The turns of one server."""

    def __init__(self) -> None:
        self._operations = defaultdict[str, _Operation](_Operation)
        self._waiting = set[asyncio.Timeout]()
        self._stopping = False

    def stop(self) -> None:
        """Wait for nothing more; what has begun goes on."""
        self._stopping = True
        for each in self._waiting:
            _expire(each)

    @asynccontextmanager
    async def waiting(self, gone: asyncio.Future[None] | None = None) -> AsyncGenerator[None]:
        """
        Wait within for others, as long as the server is not to stop, and a client not gone.

        Raises:
            ServiceUnavailable: It is.
        """
        patience = asyncio.timeout(0 if self._stopping else None)
        leave: Callable[[object], None] = partial(_expire, patience)
        try:
            async with patience:
                self._waiting.add(patience)
                if gone is not None:
                    gone.add_done_callback(leave)
                yield
        except TimeoutError:
            if not patience.expired():
                raise
            raise stopping() from None
        finally:
            self._waiting.discard(patience)
            if gone is not None:
                gone.remove_done_callback(leave)

    async def take(
        self, operation: str, profile_id: str | None, step: Callable[[], T], gone: asyncio.Future[None]
    ) -> T:
        """
        Take a step in a thread of the operation when it is the profile's turn.

        Raises:
            ServiceUnavailable: Before that, the server is to stop or the client gone; or the profile's line is long.
        """
        at = self._operations[operation]
        line = at.lines.setdefault(profile_id, _Line())
        if line.length >= LONGEST_LINE:
            msg = f"{LONGEST_LINE} of your requests for this are being answered or wait; nothing was done."
            raise ServiceUnavailable(msg, retry_after=_COME_BACK_IN)
        line.length += 1
        try:
            async with AsyncExitStack() as turn:
                async with self.waiting(gone):
                    await turn.enter_async_context(line.turn)
                    await turn.enter_async_context(at.free)
                return await asyncio.get_running_loop().run_in_executor(at.threads, step)
        finally:
            line.length -= 1


def stopping() -> ServiceUnavailable:
    """Return what a server says that is to stop."""
    return ServiceUnavailable("The server is being stopped; nothing was done.", retry_after=_COME_BACK_IN)


def _expire(patience: asyncio.Timeout, _: object = None) -> None:
    if patience.when() is None:
        patience.reschedule(0)
