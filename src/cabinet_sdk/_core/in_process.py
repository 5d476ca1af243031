"""Straight into a server's function in the same process: no sockets, no event loop, the same bytes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import cast, final

import attrs

from cabinet_sdk._core.transport import CLOSED
from cabinet_sdk._core.wire import ByteStream, Request, Response
from cabinet_sdk.errors import UsageError

__all__ = ["AsyncInProcessTransport", "InProcessTransport"]

_CHUNK = 64 * 1024


@final
class _Stream:
    """A body in memory, or one that the server streams, as a stream of either mode."""

    def __init__(self, response: Response) -> None:
        self._content = response.content
        self._stream = cast("ByteStream | None", response.stream)

    def __iter__(self) -> Iterator[bytes]:
        if self._stream is not None:
            yield from self._stream
        for start in range(0, len(self._content), _CHUNK):
            yield self._content[start : start + _CHUNK]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk

    def close(self) -> None:
        """Give back what the server's stream holds."""
        if self._stream is not None:
            self._stream.close()

    async def aclose(self) -> None:
        """Give back what the server's stream holds."""
        self.close()


def _streamed(request: Request, response: Response) -> Response:
    if request.stream and response.status < 300:
        return attrs.evolve(response, content=b"", stream=_Stream(response))
    if response.stream is None:
        return response
    stream = _Stream(response)
    try:
        return attrs.evolve(response, content=b"".join(stream), stream=None)
    finally:
        stream.close()


@final
class InProcessTransport:
    """
    Calls `respond` where another transport would use a socket.

    Args:
        respond: Answers a request; it may raise `NetworkError` to play a broken network.
        sleep: What a pause does; a fake moves its clock here.
        now: Seconds that only grow.
    """

    def __init__(
        self,
        respond: Callable[[Request], Response],
        *,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._respond = respond
        self._sleep = sleep
        self._now = now
        self._closed = False

    def send(self, request: Request) -> Response:
        """Answer the request."""
        if self._closed:
            raise UsageError(CLOSED)
        return _streamed(request, self._respond(request))

    def sleep(self, seconds: float) -> None:
        """Wait, the way that was given."""
        self._sleep(seconds)

    def now(self) -> float:
        """Return seconds that only grow."""
        return self._now()

    def close(self) -> None:
        """Nothing is held; nothing is sent any more."""
        self._closed = True


@final
class AsyncInProcessTransport:
    """
    The same for `AsyncCabinet`: `respond` runs in the event loop's thread.

    Args:
        respond: Answers a request; it may raise `NetworkError` to play a broken network.
        sleep: What a pause does; it must not wait.
        now: Seconds that only grow.
    """

    def __init__(
        self,
        respond: Callable[[Request], Response],
        *,
        sleep: Callable[[float], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._respond = respond
        self._sleep = sleep
        self._now = now
        self._closed = False

    async def send(self, request: Request) -> Response:
        """Answer the request."""
        if self._closed:
            raise UsageError(CLOSED)
        return _streamed(request, self._respond(request))

    async def sleep(self, seconds: float) -> None:
        """Wait, the way that was given."""
        self._sleep(seconds)

    def now(self) -> float:
        """Return seconds that only grow."""
        return self._now()

    async def aclose(self) -> None:
        """Nothing is held; nothing is sent any more."""
        self._closed = True
