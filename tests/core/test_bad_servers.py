"""Experiment 87: the httpx transports against servers that break HTTP, over real sockets."""

from __future__ import annotations

import gzip
import time
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
import respx

from cabinet_sdk import ClientCredentials
from cabinet_sdk._core.operation import Operation
from cabinet_sdk.charges import NothingDue
from cabinet_sdk.errors import (
    CabinetError,
    CallerError,
    ConnectionLost,
    DeadlineExceeded,
    OutcomeUnknown,
    Problem,
    RightsError,
    ServiceError,
    TokenInvalid,
    UnreadableAnswer,
)
from tests.core.conftest import Dial
from tests.core.raw_server import Connection, RawServer, http, json_answer
from tests.core.sample_area import SampleId, samples_of
from tests.core.scripted import BASE_URL, CHANGE, CHANGE_ONCE, READ

pytestmark = pytest.mark.feature("EX-01", "SE-06")

JSON = "Content-Type: application/json"
BOMB = gzip.compress(bytes(10_000_000))

Broken = tuple[bytes, type[CabinetError], int | None]
BROKEN: dict[str, Broken] = {
    "nothing": (b"", ConnectionLost, None),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", ConnectionLost, None),
    "no version": (b"HTP/1.1 200 OK\r\n\r\n", ConnectionLost, None),
    "no status": (b"HTTP/1.1 abc OK\r\n\r\n", ConnectionLost, None),
    "half a head": (b"HTTP/1.1 200 OK\r\nContent-Type: appl", ConnectionLost, None),
    "bad header": (http("200 OK", b"{}", "no colon at all"), ConnectionLost, None),
    "NUL in a header": (http("200 OK", b"{}", "X-A: a\0b"), ConnectionLost, None),
    "1 MB header": (http("200 OK", b"{}", "X-A: " + "a" * 1_000_000), ConnectionLost, None),
    "no length, cut": (http("200 OK", b'{"name":"a th', JSON), UnreadableAnswer, 200),
    "length too long": (http("200 OK", b'{"name":"a"}', JSON, "Content-Length: 13"), ConnectionLost, None),
    "length too short": (http("200 OK", b'{"name":"a"}', JSON, "Content-Length: 11"), UnreadableAnswer, 200),
    "two lengths": (http("200 OK", b"{}", JSON, "Content-Length: 1", "Content-Length: 2"), ConnectionLost, None),
    "negative length": (http("200 OK", b"{}", JSON, "Content-Length: -1"), ConnectionLost, None),
    "length with a sign": (http("200 OK", b"{}", JSON, "Content-Length: +2"), ConnectionLost, None),
    "chunk garbage": (http("200 OK", b"xyz\r\n{}", JSON, "Transfer-Encoding: chunked"), ConnectionLost, None),
    "chunks cut": (http("200 OK", b'5\r\n{"nam', JSON, "Transfer-Encoding: chunked"), ConnectionLost, None),
    "huge chunk": (http("200 OK", b"f" * 16 + b"\r\n{}", JSON, "Transfer-Encoding: chunked"), ConnectionLost, None),
    "gzip": (
        http("200 OK", gzip.compress(b'{"name":"a"}'), JSON, "Content-Encoding: gzip"),
        UnreadableAnswer,
        200,
    ),
    "gzip bomb": (
        http("200 OK", BOMB, JSON, "Content-Encoding: gzip", f"Content-Length: {len(BOMB)}"),
        UnreadableAnswer,
        200,
    ),
    "HTML 502": (http("502 Bad Gateway", b"<html>", "Content-Type: text/html"), ServiceError, 502),
    "HTML 200": (http("200 OK", b"<html>", "Content-Type: text/html"), UnreadableAnswer, 200),
    "empty body": (http("200 OK", b"", JSON, "Content-Length: 0"), UnreadableAnswer, 200),
    "empty answer": (http("200 OK"), UnreadableAnswer, 200),
    "wrong UTF-8": (json_answer(b'{"name":"\xff\xfe"}'), UnreadableAnswer, 200),
    "UTF-16": (json_answer('{"name":"a"}'.encode("utf-16")), UnreadableAnswer, 200),
    "two documents": (json_answer(b'{"name":"a"}{"name":"b"}'), UnreadableAnswer, 200),
    "deep nesting": (json_answer(b"[" * 100_000), UnreadableAnswer, 200),
    "204": (http("204 No Content"), UnreadableAnswer, 204),
    "204 with a body": (http("204 No Content", b'{"name":"a"}', JSON, "Content-Length: 12"), UnreadableAnswer, 204),
    "304": (http("304 Not Modified"), UnreadableAnswer, 304),
    "101": (http("101 Switching Protocols", b"", "Upgrade: x", "Connection: upgrade"), ConnectionLost, None),
    "error without a body": (http("404 Not Found", b"", "Content-Length: 0"), CallerError, 404),
    "error of wrong UTF-8": (
        http("409 Conflict", b'{"code":"\xff"}', "Content-Type: application/problem+json"),
        Problem,
        409,
    ),
    "error cut": (http("409 Conflict", b"{", JSON, "Content-Length: 9"), ConnectionLost, None),
}


@pytest.mark.parametrize("said, kind, status", BROKEN.values(), ids=BROKEN.keys())
async def test_a_broken_answer_is_an_error_of_ours(
    dial: Dial, said: bytes, kind: type[CabinetError], status: int | None
) -> None:
    """A read gets a typed error with its request id, and the status where there is one; memory stays bounded."""
    with RawServer.answering(said) as server:
        client = dial(server.url)
        tracemalloc.start()
        try:
            with pytest.raises(CabinetError) as caught:
                await client.answer(READ)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    error = caught.value
    assert isinstance(error, kind), repr(error)
    assert not isinstance(error, OutcomeUnknown)
    assert error.request_id is not None
    assert error.request_id.encode() in server.requests[0]
    assert error.operation == "things.read"
    assert getattr(error, "status", None) == status
    assert peak < 8_000_000


@pytest.mark.parametrize("name", [name for name, (_, _, status) in BROKEN.items() if (status or 200) < 300])
async def test_a_broken_answer_to_a_change_is_unknown(dial: Dial, name: str) -> None:
    """Whatever cannot be read of a change's answer, the change may have happened."""
    with RawServer.answering(BROKEN[name][0]) as server, pytest.raises(OutcomeUnknown) as caught:
        await dial(server.url).answer(CHANGE_ONCE)

    assert caught.value.request_id is not None
    assert len(server.requests) == 1


# What follows half a head belongs to it.
FOLLOWED = {name: said for name, (said, _, _) in BROKEN.items() if name not in {"nothing", "half a head"}}


@pytest.mark.parametrize("said", FOLLOWED.values(), ids=FOLLOWED.keys())
async def test_the_next_call_is_not_spoilt(dial: Dial, said: bytes) -> None:
    """What a broken answer left on its connection is never taken for the answer to the next call."""
    poison = json_answer(b'{"name":"poison"}')

    def serve(connection: Connection) -> None:
        while connection.read():
            connection.write(json_answer(b'{"name":"right"}') if connection.number else said + poison)

    with RawServer(serve) as server:
        client = dial(server.url, deadline=0.3)
        with pytest.raises(CabinetError):
            await client.answer(READ)

        assert (await client.with_options(deadline=60).answer(READ)).value.name == "right"
        assert len(server.connections) == 2


LONGER = {
    "the length too short": http("200 OK", b"12345", "Content-Length: 5"),
    "chunks": http("200 OK", b"5\r\n12345\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
    "none": http("204 No Content"),
}


@pytest.mark.parametrize("file", LONGER.values(), ids=LONGER.keys())
async def test_a_change_after_a_file_is_not_spoilt(dial: Dial, file: bytes) -> None:
    """What a file has beyond its end is never taken for the answer to a change, which the service refuses."""
    poison = json_answer(b'{"name":"poison"}')
    document = b'{"code":"charges.nothing_due"}'
    refused = http(
        "409 Conflict", document, "Content-Type: application/problem+json", f"Content-Length: {len(document)}"
    )

    def serve(connection: Connection) -> None:
        while connection.read():
            connection.write(refused if connection.number else file + poison)

    with RawServer(serve) as server:
        client = dial(server.url)
        with suppress(CabinetError):
            async with await samples_of(client).download(SampleId("x")) as stream:
                await stream.read()
        with pytest.raises(NothingDue):
            await client.answer(CHANGE)

    assert len(server.connections) == 2


CHALLENGE = 'WWW-Authenticate: Bearer error="invalid_token"'
REFUSED = {
    "length too long": http("401 Unauthorized", b'{"code":"sign_in', JSON, CHALLENGE, "Content-Length: 99"),
    "no length, cut": http("401 Unauthorized", b'{"code":"sign_in', JSON, CHALLENGE),
    "chunk garbage": http("401 Unauthorized", b"xyz\r\n{}", JSON, CHALLENGE, "Transfer-Encoding: chunked"),
    "gzip": http("401 Unauthorized", gzip.compress(b"{}"), JSON, CHALLENGE, "Content-Encoding: gzip"),
    "too large": http("401 Unauthorized", bytes(100_000_000), JSON, CHALLENGE, "Content-Length: 100000000"),
    "HTML": http("401 Unauthorized", b"<html>", "Content-Type: text/html", CHALLENGE),
}


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("row", [READ, CHANGE, CHANGE_ONCE], ids=lambda row: row.repeat.name)
async def test_a_refused_token_is_renewed_whatever_came_of_the_body(
    dial: Dial,
    refused: bytes,
    row: Operation[..., Any, Any],  # Any: whatever the rows of these tests take and answer
) -> None:
    """A 401 that says in its head that the token is refused is as good as a whole one: nothing was done."""

    def serve(connection: Connection) -> None:
        while request := connection.read():
            server.requests.append(request)
            if b"/oauth/token" in request:
                content = b'{"access_token":"t-%d","expires_in":3600}' % len(server.requests)
                connection.write(json_answer(content))
            elif b"Bearer t-1\r\n" in request and len(server.requests) > 2:
                connection.write(refused)
                return
            else:
                connection.write(json_answer())

    with RawServer(serve) as server:
        client = dial(server.url, ClientCredentials("client", "secret"))
        await client.answer(READ)
        await client.answer(row)

    assert [b"Bearer t-" in request for request in server.requests] == [False, True, True, False, True]


async def test_a_cut_401_without_a_challenge_is_about_rights(dial: Dial) -> None:
    """What a 401 is about that neither names a code nor challenges nobody knows: it is the error, with its status."""
    cut = http("401 Unauthorized", b"{", JSON, "Content-Length: 99")
    with RawServer.answering(cut) as server, pytest.raises(RightsError) as caught:
        await dial(server.url).answer(CHANGE)

    assert caught.value.status == 401
    assert not isinstance(caught.value, TokenInvalid)


async def test_a_good_connection_is_used_again(dial: Dial) -> None:
    """Answers and errors that are whole leave the connection to the next call."""
    whole = http("409 Conflict", b"{}", JSON, "Content-Length: 2")
    with RawServer.answering(json_answer(), whole, json_answer(), close=False) as server:
        client = dial(server.url)
        await client.answer(READ)
        with pytest.raises(Problem):
            await client.answer(READ)
        await client.answer(READ)

    assert len(server.connections) == 1


async def test_a_connection_whose_answer_had_two_lengths_is_not_used(dial: Dial) -> None:
    """With `Content-Length` beside `Transfer-Encoding` nobody knows for certain where the next answer begins."""
    body = b'12\r\n{"name":"a thing"}\r\n0\r\n\r\n'
    twice = http("200 OK", body, JSON, "Content-Length: 5", "Transfer-Encoding: chunked")
    with RawServer.answering(twice, json_answer(), close=False) as server:
        client = dial(server.url)
        for _ in range(2):
            assert (await client.answer(READ)).value.name == "a thing"

    assert len(server.connections) == 2


@respx.mock(base_url=BASE_URL)
async def test_a_mock_may_have_two_lengths(respx_mock: respx.MockRouter, dial: Dial) -> None:
    """An answer of respx has no connection that could be closed."""
    respx_mock.route().respond(200, json={"name": "a thing"}, headers={"Transfer-Encoding": "chunked"})

    assert (await dial(BASE_URL).answer(READ)).value.name == "a thing"


async def test_a_connection_that_the_service_closed_is_not_used(dial: Dial) -> None:
    """A kept connection that the service closed meanwhile is replaced before the request is sent."""
    with RawServer.answering(json_answer()) as server:
        client = dial(server.url)
        await client.answer(READ)
        # In async mode the loop must not see it before the next call does.
        server.await_ends()
        await client.answer(CHANGE_ONCE)

    assert len(server.connections) == 2


async def test_interim_answers_are_skipped_and_bounded(dial: Dial) -> None:
    """A few 1xx answers are passed over; an endless row of them ends at the deadline."""
    interim = http("103 Early Hints", b"", "Link: </a>; rel=preload")

    def serve(connection: Connection) -> None:
        connection.read()
        ends_at = time.monotonic() + 60
        while connection.number and time.monotonic() < ends_at:
            connection.write(interim * 100)
        connection.write(interim * 3 + json_answer(b'{"name":"a thing"}', "Connection: close"))

    with RawServer(serve) as server:
        client = dial(server.url)
        assert (await client.answer(READ)).value.name == "a thing"
        # Whoever waits until their end gets another error.
        with pytest.raises(DeadlineExceeded):
            await client.with_options(deadline=0.3).answer(READ)
