"""Experiment 87: exchanges that are cut, refused early or grow too large, over real sockets."""

from __future__ import annotations

import threading
import tracemalloc

import attrs
import pytest

from cabinet_sdk.charges import ChargeId, PaymentMethod
from cabinet_sdk.errors import (
    ConnectionFailed,
    ConnectionLost,
    OutcomeUnknown,
    TimedOut,
    UnreadableAnswer,
)
from cabinet_sdk.transports import AsyncHttpxTransport, Headers, HttpxTransport, Request, Response, Timeout
from tests.core.conftest import Dial
from tests.core.raw_server import Connection, RawServer, http, json_answer, out_of_time
from tests.core.scripted import CHANGE, CHANGE_ONCE, READ

pytestmark = pytest.mark.feature("EX-01", "SE-06")

JSON = "Content-Type: application/json"

REFUSAL = http(
    "413 Content Too Large",
    b'{"code":"request.too_large"}',
    "Content-Type: application/problem+json",
    "Content-Length: 28",
    "Connection: close",
)


@pytest.mark.parametrize("after", [0, 100_000])
@pytest.mark.parametrize("lingers", [True, False], ids=["lingers", "closes at once"])
async def test_an_early_refusal_is_heard_while_sending(dial: Dial, after: int, lingers: bool, mode: str) -> None:
    """
    A service that answers 413 while megabytes are being sent is heard.

    Where it closes without reading on, as RFC 9112 9.6 warns, the answer may be lost with the connection: that is what
    asyncio makes of it, and the error says so.
    """

    def serve(connection: Connection) -> None:
        read = len(connection.read_head())
        while read < after:
            read += len(connection.socket.recv(65536))
        connection.write(REFUSAL)
        while lingers and connection.socket.recv(65536):
            pass

    request = Request(method="POST", url="", content=b"x" * 4_000_000, timeout=Timeout(total=60.0))
    with RawServer(serve) as server:
        try:
            response = await sent(dial, server, request)
        except ConnectionLost:
            # Which of the two came first is the network's affair.
            assert mode == "async"
            assert not lingers
            return

    assert response.status == 413
    assert response.content == b'{"code":"request.too_large"}'


async def test_a_service_that_stops_reading_is_not_waited_for(dial: Dial) -> None:
    """While a request is being sent the total timeout counts too."""

    def serve(connection: Connection) -> None:
        connection.read_head()
        # Whoever waits longer gets another error: the connection ends then.
        stopped.wait(60)

    stopped = threading.Event()
    request = Request(method="POST", url="", content=b"x" * 8_000_000)
    with RawServer(serve) as server:
        await out_of_time(
            lambda seconds: sent(dial, server, attrs.evolve(request, timeout=Timeout(total=seconds))), TimedOut, server
        )
        stopped.set()


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200", http("200 OK", b'{"na', JSON, "Content-Length: 99")])
async def test_a_reset_is_a_lost_connection(dial: Dial, said: bytes) -> None:
    """Experiment 87: a RST before, in and after the head is a lost connection, and a change is unknown."""

    def serve(connection: Connection) -> None:
        connection.read()
        connection.write(said)
        connection.reset()

    with RawServer(serve) as server:
        client = dial(server.url)
        with pytest.raises(ConnectionLost):
            await client.answer(READ)
        with pytest.raises(OutcomeUnknown):
            await client.answer(CHANGE)


async def sent(dial: Dial, server: RawServer, request: Request) -> Response:
    """Send a bare request through the transport of the test's mode."""
    client = dial(server.url)
    transport: HttpxTransport | AsyncHttpxTransport = client._context.transport  # type: ignore[assignment]  # pyright: ignore[reportPrivateUsage, reportAssignmentType]
    url = f"{server.url}/things"
    complete = Request(
        method=request.method,
        url=url,
        headers=Headers([("accept", "application/json")]),
        content=request.content,
        timeout=request.timeout,
        answer_limit=request.answer_limit,
    )
    if isinstance(transport, HttpxTransport):
        return transport.send(complete)
    return await transport.send(complete)


@pytest.mark.parametrize("framing", ["length", "chunks", "none"])
async def test_a_larger_answer_than_allowed_is_not_kept(dial: Dial, framing: str) -> None:
    """An answer beyond the limit is refused by its length, or as soon as it gets too large; the limit is fine."""
    fields = {"length": ["Content-Length: 100000000"], "chunks": ["Transfer-Encoding: chunked"], "none": []}[framing]
    piece = b"x" * 65536
    chunk = b"10000\r\n" + piece + b"\r\n" if framing == "chunks" else piece

    def serve(connection: Connection) -> None:
        connection.read()
        connection.write(http("200 OK", b"", JSON, "X-Request-Id: srv-1", *fields))
        for _ in range(1500):
            connection.write(chunk)

    request = Request(method="GET", url="", answer_limit=1_000_000, timeout=Timeout(total=60.0))
    with RawServer(serve) as server:
        tracemalloc.start()
        try:
            with pytest.raises(UnreadableAnswer, match="larger than 1000000 bytes") as caught:
                await sent(dial, server, request)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert (caught.value.status, caught.value.request_id) == (200, "srv-1")
    assert peak < 8_000_000
    body = b"x" * 1000
    with RawServer.answering(http("200 OK", body, "Content-Length: 1000")) as server:
        whole = await sent(dial, server, Request(method="GET", url="", answer_limit=1000, timeout=Timeout(total=60.0)))
    assert whole.content == body


async def test_nothing_listens(dial: Dial) -> None:
    """A refused connection is known to have sent nothing, for a change too."""
    with RawServer.answering(b"") as server:
        url = server.url
    client = dial(url, attempts=2)

    for row in (READ, CHANGE, CHANGE_ONCE):
        with pytest.raises(ConnectionFailed):
            await client.answer(row)


async def test_no_coding_is_asked_for(dial: Dial) -> None:
    """The request says that no content coding is wanted, and carries no cookie and no foreign header."""
    with RawServer.answering(json_answer(b'{"name":"a"}', "Set-Cookie: a=b"), close=False) as server:
        client = dial(server.url)
        for _ in range(2):
            await client.answer(CHANGE, payee_inn="7707083893")

    lines = server.requests[1].partition(b"\r\n\r\n")[0].decode().split("\r\n")
    names = {line.partition(":")[0].lower() for line in lines[1:]}
    assert lines[0] == "POST /v1/things HTTP/1.1"
    assert "accept-encoding: identity" in [line.lower() for line in lines]
    assert names == {
        *("host", "accept", "accept-encoding", "authorization", "content-length", "content-type"),
        *("idempotency-key", "user-agent", "x-request-id"),
    }


async def test_a_payment_over_a_broken_wire(dial: Dial) -> None:
    """The typed methods have the same errors as a row that is called by hand."""
    with RawServer.answering(http("200 OK", b"<html>", "Content-Type: text/html")) as server:
        client = dial(server.url)
        with pytest.raises(UnreadableAnswer):
            await client.charges.get(ChargeId("chg_1"))
        with pytest.raises(OutcomeUnknown):
            await client.charges.pay(ChargeId("chg_1"), method=PaymentMethod.SBP)
