"""Connections of the httpx transports: no more than were asked for, used again, and given back whatever happens."""

from __future__ import annotations

import asyncio
import threading
from typing import cast

import attrs
import pytest

from cabinet_sdk._core import httpx_transport
from cabinet_sdk.errors import ConnectionFailed
from cabinet_sdk.transports import AsyncByteStream, AsyncHttpxTransport, ByteStream, HttpxTransport, Request, Timeout
from tests.core.raw_server import Connection, RawServer, json_answer

pytestmark = pytest.mark.feature("EX-01")


def answering(numbers: list[int]) -> RawServer:
    """Return a server that answers every request, and notes on which connection each came."""

    def serve(connection: Connection) -> None:
        while connection.read():
            numbers.append(connection.number)
            connection.write(json_answer())

    return RawServer(serve)


def ask(server: RawServer, *, stream: bool = False, patience: float = 60.0) -> Request:
    """Return a request that waits so long for a connection."""
    return Request(method="GET", url=f"{server.url}/things/1", timeout=Timeout(connect=patience), stream=stream)


def test_a_stream_holds_its_connection_until_it_is_closed() -> None:
    """Another request does not get it meanwhile and says so; then it gets the same one. Closing twice does nothing."""
    numbers: list[int] = []
    transport = HttpxTransport(environment=False, connections=1)
    with answering(numbers) as server:
        stream = cast("ByteStream", transport.send(ask(server, stream=True)).stream)
        with pytest.raises(ConnectionFailed, match="as many as there may be are in use"):
            transport.send(ask(server, patience=0.05))
        list(stream)
        stream.close()
        stream.close()

        assert transport.send(ask(server)).status == 200
        assert numbers == [0, 0]
        transport.close()


async def test_many_requests_at_once_share_few_connections() -> None:
    """Forty at once over three connections are all answered, over three connections."""
    numbers: list[int] = []
    transport = AsyncHttpxTransport(environment=False, connections=3)
    with answering(numbers) as server:
        request = Request(method="GET", url=f"{server.url}/things/1")
        answers = await asyncio.gather(*(transport.send(request) for _ in range(40)))
        assert [answer.status for answer in answers] == [200] * 40
        assert set(numbers) == {0, 1, 2}
        await transport.aclose()


async def test_a_full_transport_says_so_async() -> None:
    """The same where nothing blocks."""
    transport = AsyncHttpxTransport(environment=False, connections=1)
    with answering([]) as server:
        stream = cast("AsyncByteStream", (await transport.send(ask(server, stream=True))).stream)
        with pytest.raises(ConnectionFailed, match="as many as there may be are in use"):
            await transport.send(ask(server, patience=0.05))
        await stream.aclose()

        assert (await transport.send(ask(server))).status == 200
        await transport.aclose()


def test_a_connection_that_was_refused_is_given_back() -> None:
    """As many failures as wanted leave the only connection free."""
    with answering([]) as server:
        url = server.url
    transport = HttpxTransport(environment=False, connections=1)
    for _ in range(3):
        with pytest.raises(ConnectionFailed, match=r"(?i)refused"):
            transport.send(Request(method="GET", url=url, timeout=Timeout(connect=60.0)))
    transport.close()


async def test_a_cancellation_loses_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is cancelled while old connections are being closed leaves the others to be closed by the next."""
    gone = threading.Semaphore(0)

    def serve(connection: Connection) -> None:
        while connection.read():
            connection.write(json_answer())
        gone.release()

    transport = AsyncHttpxTransport(environment=False)
    with RawServer(serve) as server:
        await asyncio.gather(*(transport.send(ask(server)) for _ in range(3)))
        monkeypatch.setattr(httpx_transport, "_KEPT", -1.0)
        task = asyncio.create_task(transport.send(ask(server)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await transport.aclose()

        assert [await asyncio.to_thread(gone.acquire, timeout=2) for _ in range(3)] == [True] * 3


async def test_a_connection_is_kept_for_each_service(mode: str) -> None:
    """Two services that share a transport are asked in turns over one connection each."""
    numbers: tuple[list[int], list[int]] = ([], [])
    with answering(numbers[0]) as one, answering(numbers[1]) as other:
        if mode == "sync":
            blocking = HttpxTransport(environment=False)
            statuses = [blocking.send(ask(server)).status for server in (one, other) * 3]
            blocking.close()
        else:
            transport = AsyncHttpxTransport(environment=False)
            statuses = [(await transport.send(ask(server))).status for server in (one, other) * 3]
            await transport.aclose()

    assert statuses == [200] * 6
    assert numbers == ([0, 0, 0], [0, 0, 0])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_cancelled_request_leaves_its_place_to_others(*, stream: bool) -> None:
    """Experiment 118: whichever step of a request is cancelled, the next one gets a connection that works."""
    transport = AsyncHttpxTransport(environment=False, connections=1)
    steps = 0

    async def whole(request: Request) -> None:
        response = await transport.send(request)
        if response.stream is not None:
            body = cast("AsyncByteStream", response.stream)
            try:
                _ = [chunk async for chunk in body]
            finally:
                await body.aclose()

    with answering([]) as server:
        ended = False
        while not ended:
            steps += 1
            task = asyncio.create_task(whole(ask(server, stream=stream)))
            for _ in range(steps):
                await asyncio.sleep(0)
            ended = task.done()
            task.cancel()
            await asyncio.wait([task])

            assert (await transport.send(attrs.evolve(ask(server), timeout=Timeout(connect=1.0)))).status == 200
        await transport.aclose()
    assert steps > 5
