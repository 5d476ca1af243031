"""
A network that breaks, between a client of either mode and any service; what breaks follows from a seed.

What it does to a request is a flow like the library's own, so that one body serves both modes. An area needs nothing
of its own: hand `Network.sync` or `Network.asynchronous` a transport, and call operations.
"""

from __future__ import annotations

import contextlib
import enum
import random
from collections.abc import AsyncIterator, Iterator
from typing import cast, final

import attrs

from cabinet_sdk._core.flow import Flow, close, exchange, pause, perform, perform_async
from cabinet_sdk.errors import ConnectionFailed, ConnectionLost, NetworkError, TimedOut
from cabinet_sdk.transports import AsyncByteStream, AsyncTransport, ByteStream, Headers, Request, Response, Transport

__all__ = ["Cut", "Mishap", "Network"]


@final
@enum.unique
class Mishap(enum.Enum):
    """What may happen to a request on its way."""

    REFUSED = "no connection, nothing is sent"
    REQUEST_LOST = "the connection breaks, the service sees nothing"
    ANSWER_LOST = "the connection breaks, the service has done it"
    BODY_CUT = "the answer ends before its end, and nobody says so"
    REQUEST_LATE = "the request takes long to arrive, or never does"
    ANSWER_LATE = "the answer takes long to arrive, or longer than anybody waits"
    DRIPS = "the answer comes byte by byte"
    TWICE = "the request arrives twice"
    AGAIN_LATER = "the request arrives a second time, much later"
    NO_SERVICE = "something between answers 503 in HTML, the service sees nothing"
    BAD_GATEWAY = "something between answers 502 in HTML, the service sees nothing"
    LOST_GATEWAY = "something between answers 502 in HTML, the service has done it"
    TOO_MANY = "something between answers 429, the service sees nothing"
    PORTAL = "something between answers 200 with a page of its own, the service sees nothing"


_UNSEEN = frozenset(
    {
        Mishap.REFUSED,
        Mishap.REQUEST_LOST,
        Mishap.NO_SERVICE,
        Mishap.BAD_GATEWAY,
        Mishap.TOO_MANY,
        Mishap.PORTAL,
    }
)


@final
class Network:
    """
    A way to a service on which some requests come to harm.

    Args:
        seed: The same seed and requests give the same mishaps.
        rate: How many requests of one come to harm.
        mishaps: What may happen.
    """

    def __init__(self, seed: int, *, rate: float = 0.3, mishaps: tuple[Mishap, ...] = tuple(Mishap)) -> None:
        self._random = random.Random(seed)  # noqa: S311  # to be the same in each run
        self._rate = rate
        self._mishaps = mishaps
        self._ghosts: list[Request] = []
        self.happened: list[tuple[str, Mishap]] = []

    def sync(self, inner: Transport) -> Transport:
        """Put the network before a transport; pauses are the inner one's."""
        return _Between(inner, self)

    def asynchronous(self, inner: AsyncTransport) -> AsyncTransport:
        """The same for `AsyncCabinet`."""
        return _AsyncBetween(inner, self)

    def carry(self, request: Request) -> Flow[Response]:
        """Bring a request to the service and its answer back, or not."""
        if self._ghosts and self._random.random() < self._rate:
            yield from _sent_in_vain(self._ghosts.pop(self._random.randrange(len(self._ghosts))))
        if self._random.random() >= self._rate:
            return (yield from exchange(request))
        mishap = self._random.choice(self._mishaps)
        self.happened.append((f"{request.method} {request.url}", mishap))
        return (yield from self._befall(request, mishap))

    def _befall(self, request: Request, mishap: Mishap) -> Flow[Response]:
        if mishap in _UNSEEN:
            return self._stop(request, mishap)
        if mishap is Mishap.REQUEST_LATE:
            yield from self._take_long(request)
        if mishap is Mishap.TWICE and isinstance(request.content, bytes):
            yield from _sent_in_vain(request)
        response = yield from exchange(request)
        if mishap in {Mishap.ANSWER_LOST, Mishap.LOST_GATEWAY}:
            if response.stream is not None:
                yield from close(response.stream)
            return self._stop(request, mishap)
        if mishap is Mishap.ANSWER_LATE:
            yield from self._take_long(request)
        if mishap is Mishap.DRIPS:
            yield from self._drip(request)
        if mishap is Mishap.AGAIN_LATER and isinstance(request.content, bytes) and response.status < 300:
            # Only of what was done: a copy of what was refused may be done when it comes, and nobody can tell.
            self._ghosts.append(attrs.evolve(request, stream=False))
        return self._cut(response) if mishap is Mishap.BODY_CUT else response

    def _stop(self, request: Request, mishap: Mishap) -> Response:
        """Answer in the service's place, or break the connection."""
        if mishap is Mishap.REFUSED:
            raise ConnectionFailed("Nobody listens.")
        if mishap in {Mishap.REQUEST_LOST, Mishap.ANSWER_LOST}:
            raise ConnectionLost("The connection broke.")
        page = Headers((("content-type", "text/html"),))
        if mishap is Mishap.PORTAL:
            content = b"<html><h1>Sign in to the network</h1></html>"
            if request.stream:
                return Response(status=200, headers=page, stream=_Held(content))
            return Response(status=200, headers=page, content=content)
        if mishap is Mishap.TOO_MANY:
            wait = self._random.choice(("0", "2", "3600", "soon"))
            return Response(status=429, headers=Headers((*page.pairs(), ("retry-after", wait))))
        status = 503 if mishap is Mishap.NO_SERVICE else 502
        return Response(status=status, headers=page, content=b"<html><h1>nginx</h1></html>")

    def _cut(self, response: Response) -> Response:
        if response.stream is not None:
            return attrs.evolve(response, stream=Cut(response.stream, self._random.randrange(100_000)))
        return attrs.evolve(response, content=response.content[: int(self._random.random() * len(response.content))])

    def _take_long(self, request: Request) -> Flow[None]:
        """Let time pass without a byte, at most as long as anybody waits for one."""
        limits = [limit for limit in (request.timeout.idle, request.timeout.total) if limit is not None]
        seconds = self._random.choice((0.01, 1.0, 10.0, 45.0))
        yield from pause(min([seconds, *limits]))
        if limits and seconds >= min(limits):
            raise TimedOut("The answer did not come within the timeout of one attempt.")

    def _drip(self, request: Request) -> Flow[None]:
        """Let time pass in which there is always something to read: only the deadline ends that."""
        left = float("inf") if request.timeout.total is None else request.timeout.total
        for _ in range(self._random.randrange(1, 5)):
            yield from pause(min(left, 20.0))
            left -= 20.0
            if left <= 0:
                raise TimedOut("The answer did not come whole before the deadline.")


def _sent_in_vain(request: Request) -> Flow[None]:
    """Send a request whose answer nobody gets."""
    with contextlib.suppress(NetworkError):
        yield from exchange(request)


@final
class _Between:
    def __init__(self, inner: Transport, network: Network) -> None:
        self._inner, self._network = inner, network
        self.sleep, self.now, self.close = inner.sleep, inner.now, inner.close

    def send(self, request: Request) -> Response:
        return perform(self._network.carry(request), self._inner)


@final
class _AsyncBetween:
    def __init__(self, inner: AsyncTransport, network: Network) -> None:
        self._inner, self._network = inner, network
        self.sleep, self.now, self.aclose = inner.sleep, inner.now, inner.aclose

    async def send(self, request: Request) -> Response:
        return await perform_async(self._network.carry(request), self._inner)


@final
class _Held:
    """A body in memory as a stream of either mode."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content

    def close(self) -> None:
        """Nothing is held open."""

    async def aclose(self) -> None:
        """Nothing is held open."""


@final
class Cut:
    """A body that breaks off after so many bytes."""

    def __init__(self, inner: ByteStream | AsyncByteStream, after: int) -> None:
        self._inner = inner
        self._left = after

    def _cut(self, chunk: bytes) -> bytes:
        kept = chunk[: self._left]
        self._left -= len(kept)
        return kept

    def __iter__(self) -> Iterator[bytes]:
        for chunk in cast("ByteStream", self._inner):
            yield self._cut(chunk)
            if self._left == 0:
                raise ConnectionLost("cut")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in cast("AsyncByteStream", self._inner):
            yield self._cut(chunk)
            if self._left == 0:
                raise ConnectionLost("cut")

    def close(self) -> None:
        """Give back what is held."""
        cast("ByteStream", self._inner).close()

    async def aclose(self) -> None:
        """Give back what is held."""
        await cast("AsyncByteStream", self._inner).aclose()
