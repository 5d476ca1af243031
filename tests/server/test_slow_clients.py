"""Clients that are slow, vanish or send too much lose their connection and change nothing (experiments 81, 82, 86)."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import final

import pytest

from cabinet_sdk import Cabinet
from cabinet_sdk.charges import Charge, ExportFormat, PaymentMethod
from cabinet_sdk.types import Money
from reference_server import Profile, World
from reference_server.charges import handlers
from reference_server.connections import MAX_HEAD
from reference_server.files import StoredFile
from reference_server.signin import TOKEN_LIFETIME
from reference_server.testing import connect, credentials, serve
from reference_server.turns import LONGEST_LINE
from tests.core.sample_area import MAX_BYTES, UPLOADED, add_file, sample_world
from tests.server.raw import token_for
from tests.server.sockets import answer_of, connection_to, head, rest_of
from tests.server.stopwatch import Stopwatch

pytestmark = pytest.mark.usefixtures("stopwatch")


PAYMENT = ("Content-Type: application/json", "Idempotency-Key: k", "Content-Length: 100")


@pytest.mark.parametrize(
    "sent", [b"GET", b"GET /v1/charges HTTP/1.1\r\nHost: localhost\r\nX-A: ", b"GET / HTTP/1.1\r\nHost: localhost\r\n"]
)
def test_81_a_head_that_never_ends(url: str, stopwatch: Stopwatch, sent: bytes) -> None:
    """A connection that sends a head without an end is ended without an answer, 15 s after it began."""
    with connection_to(url) as connection:
        connection.sendall(sent)
        stopwatch.wait_until_received(len(sent))
        stopwatch.sleep(14.9)
        assert stopwatch.ended == 0
        stopwatch.sleep(0.2)

        assert rest_of(connection) == b""


def test_81_a_connection_that_says_nothing(url: str, stopwatch: Stopwatch) -> None:
    """Who connects and sends nothing loses the connection too."""
    with connection_to(url) as connection:
        stopwatch.sleep_until_ended()

        assert rest_of(connection) == b""


def test_81_a_head_that_drips(url: str, stopwatch: Stopwatch) -> None:
    """Each further line of a head buys no more time than it took to send."""
    start, line = b"GET /v1/charges HTTP/1.1\r\nHost: localhost\r\n", b"X-A: b\r\n"
    with connection_to(url) as connection:
        connection.sendall(start)
        stopwatch.wait_until_received(len(start))
        for number in range(4):
            stopwatch.sleep(3.7)
            connection.sendall(line)
            stopwatch.wait_until_received(len(start) + len(line) * (number + 1))
        assert stopwatch.ended == 0
        stopwatch.sleep(0.5)

        assert rest_of(connection) == b""


def test_81_a_body_that_nobody_waits_for(url: str, stopwatch: Stopwatch) -> None:
    """Who was refused by the head has 15 s to send the rest of a body, however much of it has come."""
    request = head("POST", "/payments", "nonsense", "Content-Type: application/json", "Content-Length: 1000000")
    with connection_to(url) as connection:
        connection.sendall(request + b"x" * 900_000)
        assert answer_of(connection).startswith(b"HTTP/1.1 401 ")
        stopwatch.wait_until_received(len(request) + 900_000)
        stopwatch.sleep(14.9)
        assert stopwatch.ended == 0
        connection.sendall(b"x" * 50_000)
        stopwatch.wait_until_received(len(request) + 950_000)
        stopwatch.sleep(0.2)

        assert rest_of(connection) == b""


def test_81_a_refused_body_that_comes_in_time(url: str, stopwatch: Stopwatch, world: World, person: Profile) -> None:
    """Whoever sends the rest in time keeps the connection, and its next request has all its time."""
    request = head("POST", "/payments", "nonsense", "Content-Type: application/json", "Content-Length: 1000")
    after = head("GET", "/charges", token_for(world, person))
    with connection_to(url) as connection:
        connection.sendall(request)
        assert answer_of(connection).startswith(b"HTTP/1.1 401 ")
        connection.sendall(b"x" * 1000 + after[:20])
        stopwatch.wait_until_received(len(request) + 1020)
        stopwatch.sleep(14.9)
        connection.sendall(after[20:])

        assert answer_of(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("request_line", ["GET /v1/charges", "POST /v1/payments", "GET /v1/nothing", "GET /"])
def test_a_length_that_nobody_has(url: str, request_line: str) -> None:
    """A declared length of thousands of digits is 400, whatever is asked for."""
    with connection_to(url) as connection:
        connection.sendall(f"{request_line} HTTP/1.1\r\nHost: x\r\nContent-Length: {'0' * 4400}\r\n\r\n".encode())

        assert rest_of(connection).startswith(b"HTTP/1.1 400 ")


def test_81_a_body_that_drips(stopwatch: Stopwatch, world: World, person: Profile, charge: Charge) -> None:
    """A body that lags is cut off and nothing comes of it; a request beside it is answered."""
    request = head("POST", f"/charges/{charge.id}/payments", token_for(world, person), *PAYMENT) + b'{"method": '
    with serve(world) as url, connection_to(url) as connection:
        connection.sendall(request)
        stopwatch.wait_until_received(len(request))
        with Cabinet(url, credentials(world, person)) as cabinet:
            assert cabinet.charges.get(charge.id).pending == Money.ZERO
        stopwatch.sleep(14.9)
        assert stopwatch.ended == 1
        stopwatch.sleep(0.2)
        assert rest_of(connection) == b""

    # Once the server has stopped, all that it had begun is over.
    assert [each.status for each in world.requests if each.operation == "charges.pay"] == [None]


def test_81_a_body_that_stops(url: str, stopwatch: Stopwatch, world: World, person: Profile) -> None:
    """What came at once buys no silence: 15 s after its last byte a body that is not whole is cut off."""
    fields = (*PAYMENT[:2], "Content-Length: 1000000")
    request = head("POST", "/payments", token_for(world, person), *fields) + b" " * 900_000
    with connection_to(url) as connection:
        connection.sendall(request)
        stopwatch.wait_until_received(len(request))
        stopwatch.sleep(14.9)
        assert stopwatch.ended == 0
        connection.sendall(b" " * 1000)
        stopwatch.wait_until_received(len(request) + 1000)
        stopwatch.sleep(1.9)
        assert stopwatch.ended == 0
        stopwatch.sleep(0.3)

        assert rest_of(connection) == b""


@pytest.mark.parametrize("framing", ["Content-Length: {:d}", "Transfer-Encoding: chunked"])
def test_82_a_form_for_a_token_is_short(url: str, world: World, person: Profile, framing: str) -> None:
    """A stranger may send 16 KB for a token, which is far more than it needs."""
    form = f"grant_type=client_credentials&client_id={person.id}&client_secret={world.client_secret(person.id)}&scope="
    statuses: list[bytes] = []
    for form_of in (form.ljust(16 * 1024, "+"), form.ljust(16 * 1024 + 1, "+")):
        start = (
            "POST /v1/oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        )
        body = form_of if "Length" in framing else f"{len(form_of):x}\r\n{form_of}\r\n0\r\n\r\n"
        with connection_to(url) as connection:
            connection.sendall(f"{start}{framing.format(len(form_of))}\r\n\r\n{body}".encode())
            statuses.append(answer_of(connection)[9:12])

    assert statuses == [b"200", b"413"]


def test_81_an_answer_that_nobody_takes(stopwatch: Stopwatch, world: World, tmp_path: Path) -> None:
    """Who asks for a large file and does not read it loses the connection; the file is let go of."""
    person = sample_world(world)
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(8 * 1024 * 1024))
    sample_id = add_file(large)
    with serve(world) as url, connection_to(url, window=4096) as connection:
        connection.sendall(head("GET", f"/samples/{sample_id}/content", token_for(world, person)))
        connection.recv(1)
        stopwatch.sleep_until_ended()
        received = rest_of(connection)

    assert len(received) < 8 * 1024 * 1024


@pytest.mark.parametrize(
    "method, path", [("GET", "/charges"), ("GET", "/exports/charges?format=csv"), ("POST", "/payments")]
)
def test_52_a_token_that_ends_while_the_body_comes(
    url: str, world: World, person: Profile, method: str, path: str
) -> None:
    """Rights count when the request is whole, whether it is to have a body or not."""
    framing = ("Transfer-Encoding: chunked", "Content-Type: application/json", "Idempotency-Key: k")
    with connection_to(url) as connection:
        request = head(method, path, token_for(world, person), *framing, "Expect: 100-continue", "Connection: close")
        connection.sendall(request)
        # The head has been judged as soon as the body is asked for.
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        world.clock.sleep(TOKEN_LIFETIME.total_seconds())
        connection.sendall(b"0\r\n\r\n")

        assert rest_of(connection).startswith(b"HTTP/1.1 401 ")


def test_a_client_that_is_fast_enough_keeps_its_connection(
    url: str, stopwatch: Stopwatch, world: World, person: Profile
) -> None:
    """Many requests on one connection, each within its time, are answered however long they take together."""
    request = head("GET", "/charges", token_for(world, person))
    with connection_to(url) as connection:
        for number in range(10):
            connection.sendall(request[:20])
            stopwatch.wait_until_received(len(request) * number + 20)
            stopwatch.sleep(14.5)
            connection.sendall(request[20:])
            assert answer_of(connection).startswith(b"HTTP/1.1 200")


def test_86_a_client_that_vanishes_with_its_body(url: str, world: World, person: Profile, charge: Charge) -> None:
    """Whose connection ends before the body is whole has paid nothing, and the key is free for the next attempt."""
    path = f"/charges/{charge.id}/payments"
    with connection_to(url) as connection:
        connection.sendall(head("POST", path, token_for(world, person), *PAYMENT) + b'{"method": "sbp"}')
    with Cabinet(url, credentials(world, person)) as cabinet:
        payment = cabinet.with_options(idempotency_key="k").charges.pay(charge.id, method=PaymentMethod.SBP)

        assert payment.amount == Money("1.00")
        assert len(list(cabinet.charges.payments())) == 1


@pytest.mark.parametrize("path", ["/charges?limit=1000", "/exports/charges?format=csv", "/exports/charges?format=pdf"])
def test_86_a_client_that_vanishes_in_the_middle_of_an_answer(
    url: str, world: World, person: Profile, path: str
) -> None:
    """Eight connections that are reset while the answer comes hold neither a worker nor the world."""
    for _ in range(500):
        world.charges.add(person, Money("1.00"))
    token = token_for(world, person)
    with ExitStack() as stack:
        connections = [stack.enter_context(connection_to(url, window=1024)) for _ in range(LONGEST_LINE)]
        for connection in connections:
            connection.sendall(head("GET", path, token))
        for connection in connections:
            assert connection.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 200"
            # Closed with a reset, as a process that dies does.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
    with Cabinet(url, credentials(world, person), deadline=60) as cabinet:
        assert len(list(cabinet.with_options(page_size=1000).charges.list())) == 500
        assert len(cabinet.charges.export(ExportFormat.CSV).read()) > 50_000


def test_86_a_client_that_vanishes_before_the_answer(url: str, world: World, person: Profile, charge: Charge) -> None:
    """A payment whose payer is gone when it is answered happened once, and its key tells so."""
    body = b'{"method": "sbp"}'
    fields = ("Content-Type: application/json", "Idempotency-Key: k", f"Content-Length: {len(body)}")
    request = head("POST", f"/charges/{charge.id}/payments", token_for(world, person), *fields) + body
    for _ in range(10):
        with connection_to(url) as connection:
            connection.sendall(request)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with Cabinet(url, credentials(world, person)) as cabinet:
        payment = cabinet.with_options(idempotency_key="k").charges.pay(charge.id, method=PaymentMethod.SBP)

        assert [each.id for each in cabinet.charges.payments()] == [payment.id]
    world.charges.check_books()


@pytest.mark.parametrize(
    "fields,expected",
    [
        (["Content-Length: 1000000000"], "401 sign_in.required"),
        (["Authorization: Bearer nonsense", "Transfer-Encoding: chunked"], "401 sign_in.token_invalid"),
        (["Authorization: Bearer {narrow}", "Content-Length: 1000000000"], "403 permission.missing"),
        (["Authorization: Bearer {token}", "Content-Length: 1000000000"], "415 request.unsupported_media_type"),
        (
            ["Authorization: Bearer {token}", "Content-Type: application/json", "Content-Length: 1000000000"],
            "413 request.too_large",
        ),
    ],
)
def test_82_the_head_alone_is_judged_first(
    url: str, world: World, person: Profile, fields: list[str], expected: str
) -> None:
    """What the head already forbids is refused before a byte of the body is asked for, and the connection ends."""
    tokens = {"token": token_for(world, person), "narrow": token_for(world, person, "charges.read")}
    lines = ["POST /v1/payments HTTP/1.1", "Host: localhost", "Expect: 100-continue", *fields]
    with connection_to(url) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").format(**tokens).encode())
        answer = answer_of(connection)

    status, code = expected.encode().split()
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert code in answer
    assert b"connection: close" in answer


def test_82_a_good_head_is_asked_for_its_body(url: str, world: World, person: Profile, charge: Charge) -> None:
    """Who asks first is told to go on, and then answered."""
    body = b'{"method": "sbp"}'
    fields = ("Content-Type: application/json", "Idempotency-Key: k", f"Content-Length: {len(body)}")
    with connection_to(url) as connection:
        request = head(
            "POST", f"/charges/{charge.id}/payments", token_for(world, person), "Expect: 100-continue", *fields
        )
        connection.sendall(request)
        assert answer_of(connection) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert answer_of(connection).startswith(b"HTTP/1.1 201")


def test_a_refused_request_with_a_small_body_keeps_its_connection(url: str) -> None:
    """A refusal is no reason to connect anew: what is left of a small body is passed over."""
    with connection_to(url) as connection:
        for _ in range(3):
            connection.sendall(b"POST /v1/payments HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n")
            assert answer_of(connection).startswith(b"HTTP/1.1 401")
            connection.sendall(b"0123456789")


def test_82_an_upload_that_lies_about_its_length(world: World, tmp_path: Path) -> None:
    """A chunked upload is refused once it is longer than the operation takes, long before its end."""
    person = sample_world(world)
    before = len(UPLOADED)
    with serve(world) as url, connection_to(url) as connection:
        fields = ("Content-Type: multipart/form-data; boundary=b", "Transfer-Encoding: chunked", "Idempotency-Key: k")
        connection.sendall(head("POST", "/samples", token_for(world, person), *fields))
        block = b"100000\r\n" + bytes(0x100000) + b"\r\n"
        with suppress(OSError):
            for _ in range(MAX_BYTES // 0x100000 + 20):
                connection.sendall(block)
        answer = answer_of(connection)

    assert answer.startswith(b"HTTP/1.1 413")
    assert len(UPLOADED) == before
    assert list(tmp_path.iterdir()) == []


def test_the_token_goes_while_the_body_comes(url: str, world: World, person: Profile, charge: Charge) -> None:
    """Who loses the token between head and body is refused after all."""
    path = f"/charges/{charge.id}/payments"
    body = b'{"method": "sbp"}'
    fields = ("Content-Type: application/json", "Idempotency-Key: k", f"Content-Length: {len(body)}")
    with connection_to(url) as connection:
        connection.sendall(head("POST", path, token_for(world, person), "Expect: 100-continue", *fields))
        assert b"100 Continue" in answer_of(connection)
        world.clock.sleep(3601)
        connection.sendall(body)
        assert answer_of(connection).startswith(b"HTTP/1.1 401")


def test_81_the_journal_and_the_lock_are_free_of_the_slow(
    url: str, stopwatch: Stopwatch, world: World, person: Profile
) -> None:
    """A hundred connections that never end their heads hold up nobody."""
    start = b"GET /v1/charges HTTP/1.1\r\nX-A: "
    with Cabinet(url, credentials(world, person)) as cabinet, ExitStack() as stack:
        slow = [stack.enter_context(connection_to(url)) for _ in range(100)]
        for connection in slow:
            connection.sendall(start)
        stopwatch.wait_until_received(len(start) * 100)
        assert list(cabinet.charges.list()) == []
        stopwatch.sleep(15.1)
        for connection in slow:
            assert rest_of(connection) == b""


@pytest.mark.parametrize(
    "piece",
    [b"X-A: b\r\n" * 1000, b"b" * 8000],
    ids=["fields", "one field"],
)
def test_81_a_head_may_not_grow_for_ever(url: str, world: World, piece: bytes) -> None:
    """Long before a head takes much memory its connection is ended with 431, with no token asked for."""
    with connection_to(url) as connection:
        connection.sendall(b"GET /v1/charges HTTP/1.1\r\nHost: localhost\r\nX-A: ")
        sent = 0
        with suppress(OSError):
            while sent < 1000 * MAX_HEAD:
                connection.sendall(piece)
                sent += len(piece)
        received = rest_of(connection)

    assert sent < 1000 * MAX_HEAD
    assert received.startswith(b"HTTP/1.1 431 ") or not received
    assert not world.requests


def test_81_what_follows_a_body_may_not_grow_for_ever(url: str, world: World, person: Profile, charge: Charge) -> None:
    """The fields after a chunked body are limited like those before it, and the request is not carried out."""
    framing = ("Content-Type: application/json", "Idempotency-Key: k", "Transfer-Encoding: chunked")
    with connection_to(url) as connection:
        connection.sendall(head("POST", f"/charges/{charge.id}/payments", token_for(world, person), *framing))
        connection.sendall(b'10\r\n{"method":"sbp"}\r\n0\r\n')
        sent = 0
        with suppress(OSError):
            while sent < 1000 * MAX_HEAD:
                connection.sendall(b"X-A: b\r\n" * 1000)
                sent += 8000
        rest_of(connection)

    assert sent < 1000 * MAX_HEAD
    assert not world.database.all("SELECT id FROM payments")


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("missing, status", [("Authorization", 401), ("Idempotency-Key", 400)])
def test_what_follows_a_body_is_no_head(
    url: str, stopwatch: Stopwatch, world: World, person: Profile, *, missing: str, status: int, apart: bool
) -> None:
    """Fields after a chunked body neither sign in nor carry a key (RFC 9110 6.5.1), in one packet with it or in two."""
    fields = {"Authorization": f"Bearer {token_for(world, person)}", "Idempotency-Key": "k"}
    after = f"{missing}: {fields.pop(missing)}\r\n"
    charge = world.charges.add(person, Money("1.00"))
    start = f"POST /v1/charges/{charge.id}/payments HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
    start += "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    parts = [f"{start}Content-Type: application/json\r\n\r\n", f'10\r\n{{"method":"sbp"}}\r\n0\r\n{after}\r\n']
    with connection_to(url) as connection:
        for part in parts if apart else ["".join(parts)]:
            connection.sendall(part.encode())
            stopwatch.wait_until_received(len(part))
        answer = answer_of(connection)

    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert not world.database.all("SELECT id FROM payments")


def test_a_large_body_in_small_pieces_is_no_head(url: str, world: World, person: Profile) -> None:
    """A chunked body far longer than a head may be, in chunks of one byte, is read as any other."""
    framing = ("Content-Type: application/json", "Idempotency-Key: k", "Transfer-Encoding: chunked")
    with connection_to(url) as connection:
        connection.sendall(head("POST", "/payments", token_for(world, person), *framing, "Connection: close"))
        connection.sendall(b"1\r\n \r\n" * MAX_HEAD + b"2\r\n{}\r\n0\r\n\r\n")
        received = rest_of(connection)

    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"the field is required" in received


@pytest.mark.parametrize(
    "hosts, status",
    [
        ((), 400),
        (("Host: localhost", "Host: localhost"), 400),
        (("Host: localhost", "Host: cabinet.example"), 400),
        (("Host: localhost",), 401),
        (("Host: [::1]:80",), 401),
        (("Host: [::::]",), 421),
        (("Host: [1.2]",), 421),
    ],
)
def test_a_request_names_its_host_once(url: str, hosts: tuple[str, ...], status: int) -> None:
    """Without `Host`, or with two of them, a request is 400; one that is no address is no fault of the server."""
    with connection_to(url) as connection:
        lines = ["GET /v1/charges HTTP/1.1", *hosts, "Connection: close", "", ""]
        connection.sendall("\r\n".join(lines).encode())

        assert rest_of(connection).startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize(
    "version, fields",
    [
        ("1.1", ("Transfer-Encoding: gzip, chunked",)),
        ("1.1", ("Transfer-Encoding: gzip", "Transfer-Encoding: chunked")),
        ("1.1", ("Transfer-Encoding: chunked", "Transfer-Encoding: gzip")),
        ("1.1", ("Transfer-Encoding: identity",)),
        ("1.1", ("Transfer-Encoding: chunked", "Content-Length: 20")),
        ("1.0", ("Transfer-Encoding: chunked",)),
    ],
)
def test_a_body_that_is_coded_is_refused(
    url: str, world: World, person: Profile, version: str, fields: tuple[str, ...]
) -> None:
    """A coding other than chunks is not undone, so it is refused (RFC 9112 6.1) and nothing read on as if it were."""
    form = f"grant_type=client_credentials&client_id={person.id}&client_secret={world.client_secret(person.id)}"
    lines = [
        f"POST /v1/oauth/token HTTP/{version}",
        *("Host: localhost", "Connection: close", "Content-Type: application/x-www-form-urlencoded"),
        *fields,
    ]
    with connection_to(url) as connection:
        connection.sendall("\r\n".join([*lines, "", f"{len(form):x}", form, "0", "", ""]).encode())

        assert rest_of(connection).startswith(b"HTTP/1.1 400 ")
    assert not world.requests


@pytest.mark.parametrize("framing", ["Content-Length: {}", "Transfer-Encoding: chunked"])
def test_a_body_is_never_the_next_request(
    url: str, stopwatch: Stopwatch, world: World, person: Profile, framing: str
) -> None:
    """A request that asks for another protocol and brings a body is refused, and the body is not carried out."""
    inner = head("GET", "/payments", token_for(world, person))
    fields = ("Connection: Upgrade", "Upgrade: h2c", "Content-Type: application/json", framing.format(len(inner)))
    with connection_to(url) as connection:
        request = head("POST", "/payments", token_for(world, person), *fields)
        connection.sendall(request)
        stopwatch.wait_until_received(len(request))
        with suppress(OSError):
            connection.sendall(inner)
        received = rest_of(connection)

    assert received.startswith(b"HTTP/1.1 400 ")
    assert "charges.payments" not in [each.operation for each in world.requests]


def test_no_refusal_stands_in_the_place_of_an_answer(url: str, world: World, person: Profile, charge: Charge) -> None:
    """What is no HTTP behind a payment ends the connection: a 400 would be taken for the payment's answer."""
    body = b'{"method": "sbp"}'
    fields = (*PAYMENT[:2], f"Content-Length: {len(body)}")
    with connection_to(url) as connection:
        connection.sendall(
            head("POST", f"/charges/{charge.id}/payments", token_for(world, person), *fields)
            + body
            + b"GARBAGE\r\n\r\n"
        )
        received = b""
        with suppress(ConnectionError):
            received = rest_of(connection)

    assert b" 400 " not in received


@pytest.mark.parametrize("body", [b"-5\r\nhello\r\n", b"f" * 17 + b"\r\n", b"2\r\n{}}"])
def test_84_a_body_that_breaks_off_is_refused(
    url: str, stopwatch: Stopwatch, world: World, person: Profile, body: bytes
) -> None:
    """A chunk that is none, behind a head that is good, is 400 as it is in the same packet: no answer was begun."""
    request = head("POST", "/payments", token_for(world, person), *PAYMENT[:2], "Transfer-Encoding: chunked")
    with connection_to(url) as connection:
        connection.sendall(request)
        stopwatch.wait_until_received(len(request))
        connection.sendall(body)
        received = rest_of(connection)

    assert received.startswith(b"HTTP/1.1 400 ")
    assert b'"code":"request.malformed"' in received
    assert received.count(b"HTTP/1.1 4") == 1


def test_84_a_refused_body_that_breaks_off_gets_one_answer(url: str) -> None:
    """Who was refused by the head is not refused once more for the body that follows."""
    with connection_to(url) as connection:
        connection.sendall(
            head("POST", "/payments", "nonsense", "Content-Type: text/plain", "Transfer-Encoding: chunked")
        )
        received = answer_of(connection)
        connection.sendall(b"-5\r\n")
        received += rest_of(connection)

    assert received.startswith(b"HTTP/1.1 401 ")
    assert received.count(b"HTTP/1.1 4") == 1


@pytest.mark.parametrize(
    "sent",
    [b"FOO / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"get / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b"GET / HTTP/9\r\n"],
)
def test_84_what_is_no_http_gets_a_problem(url: str, sent: bytes) -> None:
    """What cannot be parsed, a method that nobody knows too, is 400 with a problem document like any other refusal."""
    with connection_to(url) as connection:
        connection.sendall(sent)
        start, _, body = rest_of(connection).partition(b"\r\n\r\n")

    assert start.startswith(b"HTTP/1.1 400 ")
    fields = start.lower().split(b"\r\n")
    assert b"content-type: application/problem+json" in fields
    assert b"x-content-type-options: nosniff" in fields
    assert b"connection: close" in fields
    assert json.loads(body)["code"] == "request.malformed"


def test_86_a_client_that_has_said_all(url: str, world: World, person: Profile, charge: Charge) -> None:
    """Who closes its side of the connection behind a whole request is answered, and then the connection ends."""
    body = b'{"method": "sbp"}'
    request = head(
        "POST", f"/charges/{charge.id}/payments", token_for(world, person), *PAYMENT[:2], f"Content-Length: {len(body)}"
    )
    with connection_to(url) as connection, ExitStack() as held:
        held.enter_context(world.lock)
        connection.sendall(request + body)
        connection.shutdown(socket.SHUT_WR)
        with connection_to(url) as other:
            # What came before it has been seen then.
            other.sendall(b"GET /style.css HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert answer_of(other).startswith(b"HTTP/1.1 200 ")
        held.close()
        received = rest_of(connection)

    assert received.startswith(b"HTTP/1.1 201 ")
    assert b"\r\nconnection: close\r\n" in received


@pytest.mark.parametrize(
    "target, host, status",
    [
        ("http://evil.example/v1/charges", "localhost", 421),
        ("http://a@localhost/v1/charges", "localhost", 421),
        ("http://localhost/v1/charges", "evil.example", 401),
        ("http://localhost/v1/charges", "localhost", 401),
    ],
)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_target_names_its_host_itself(url: str, target: str, host: str, status: int, version: str) -> None:
    """A target that is a whole address is judged by that, and not by `Host` (RFC 9112 3.2.2)."""
    with connection_to(url) as connection:
        connection.sendall(f"GET {target} HTTP/{version}\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())

        assert rest_of(connection).startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize("framing", ["Content-Length: 1000000000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("request_line, status", [("POST /faults", 413), ("PUT /healthz", 405), ("GET /", 200)])
def test_82_a_page_takes_no_large_body(url: str, request_line: str, status: int, framing: str) -> None:
    """The connection ends with the answer of a page that did not read a body to its end."""
    lines = [f"{request_line} HTTP/1.1", "Host: localhost", framing, "Content-Type: application/x-www-form-urlencoded"]
    block = b"x" * 0x20000 if "Length" in framing else b"20000\r\n" + b"x" * 0x20000 + b"\r\n"
    with connection_to(url) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        connection.sendall(block)
        start = answer_of(connection)
        sent = 0
        with suppress(OSError):
            while sent < 1_000_000_000:
                connection.sendall(block)
                sent += len(block)

    assert start.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"\r\nconnection: close\r\n" in start
    assert sent < 100_000_000


def test_a_slow_request_behind_a_quick_one_keeps_its_connection(
    url: str, stopwatch: Stopwatch, world: World, person: Profile, charge: Charge
) -> None:
    """The rest between two requests begins with the last answer, not with one that had been given before."""
    token, body = token_for(world, person), b'{"method": "sbp"}'
    fields = (*PAYMENT[:2], f"Content-Length: {len(body)}")
    sent = head("GET", f"/charges/{charge.id}", token) + head("POST", f"/charges/{charge.id}/payments", token, *fields)
    with connection_to(url) as connection:
        connection.sendall(sent)
        assert answer_of(connection).startswith(b"HTTP/1.1 200")
        stopwatch.wait_until_received(len(sent))
        stopwatch.sleep(10)
        connection.sendall(body)

        assert answer_of(connection).startswith(b"HTTP/1.1 201")


@final
class Exports:
    """
    Exports that are begun, and not done before they may be.

    Attributes:
        begun: Released by each.
        done: Set when they may be.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.done = threading.Semaphore(0), threading.Event()
        monkeypatch.setattr(handlers, "_EXPORTS", {ExportFormat.CSV: self._made})

    def _made(self, *_: object) -> StoredFile:
        def content() -> bytes:
            self.begun.release()
            return b"" if self.done.wait(60) else b"late"

        return StoredFile(content=content, name="charges.csv")


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> Iterator[Exports]:
    """Exports that wait for the test."""
    made = Exports(monkeypatch)
    yield made
    made.done.set()


def export(token: str) -> bytes:
    """Return a request for one."""
    return head("GET", "/exports/charges?format=csv", token)


def test_82_exports_hold_up_nobody(tmp_path: Path, exports: Exports) -> None:
    """Whatever else is asked of a world in a file is answered, other papers too; who is gone has none made."""
    world = World(file=tmp_path / "world.db")
    person = world.profiles.add("Иванова Мария Петровна")
    token, charge = token_for(world, person), world.charges.add(person, Money("1.00"))
    payment = connect(world, person).charges.pay(charge.id, method=PaymentMethod.BANK_CARD)
    with closing(world), serve(world) as url, ExitStack() as stack:
        stack.callback(exports.done.set)
        connections = [stack.enter_context(connection_to(url)) for _ in range(8)]
        for connection in connections:
            connection.sendall(export(token))
            if connection is connections[0]:
                assert exports.begun.acquire(timeout=60)
        with connection_to(url) as other:
            for path in ("/charges", f"/payments/{payment.id}/document"):
                other.sendall(head("GET", path, token))
                assert answer_of(other).startswith(b"HTTP/1.1 200")
            for connection in connections[3:]:
                connection.close()
            while sum(each.status is None for each in world.requests) < 5:
                other.sendall(head("GET", "/charges", token))
                answer_of(other)
        exports.done.set()
        assert [answer_of(each)[:12] for each in connections[:3]] == [b"HTTP/1.1 200"] * 3
        assert exports.begun.acquire(timeout=60)
        assert exports.begun.acquire(timeout=60)
        assert not exports.begun.acquire(blocking=False)


def test_82_exports_of_one_hold_up_no_other(
    url: str, stopwatch: Stopwatch, world: World, person: Profile, exports: Exports
) -> None:
    """One export of a profile is made at a time, seven wait, more are 503; another profile's begins meanwhile."""
    sent, other = export(token_for(world, person)), export(token_for(world, world.profiles.add("Другая")))
    with ExitStack() as stack:
        connections = [stack.enter_context(connection_to(url)) for _ in range(10)]
        for number, connection in enumerate(connections[:8], 1):
            connection.sendall(sent)
            stopwatch.wait_until_received(number * len(sent))
        assert exports.begun.acquire(timeout=60)
        connections[8].sendall(sent)
        refused = answer_of(connections[8])
        assert not exports.begun.acquire(blocking=False)
        connections[9].sendall(other)
        assert exports.begun.acquire(timeout=60)
        exports.done.set()
        statuses = [answer_of(each)[9:12] for each in (*connections[:8], connections[9])]

    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 5\r\n" in refused
    assert b'"service.unavailable"' in refused
    assert statuses == [b"200"] * 9


def test_82_exports_that_wait_are_not_made_after_a_stop(
    stopwatch: Stopwatch, world: World, person: Profile, exports: Exports
) -> None:
    """A server that is to stop refuses what has not begun, a body that is not whole too, and finishes what has."""
    token = token_for(world, person)
    sent, half = export(token), head("POST", "/payments", token, *PAYMENT) + b"{"
    connections: list[socket.socket] = []

    def answers() -> list[bytes]:
        refused = [answer_of(each) for each in connections[1:]]
        exports.done.set()
        return [answer_of(connections[0]), *refused]

    with ExitStack() as stack, ThreadPoolExecutor(1) as threads:
        with serve(world) as url:
            connections += [stack.enter_context(connection_to(url)) for _ in range(8)]
            for connection in connections[:7]:
                connection.sendall(sent)
                if connection is connections[0]:
                    assert exports.begun.acquire(timeout=60)
            connections[7].sendall(half)
            stopwatch.wait_until_received(7 * len(sent) + len(half))
            received = threads.submit(answers)
        statuses = [each[9:12] for each in received.result()]

    assert statuses == [b"200", *[b"503"] * 7]


def test_71_a_stop_that_lasts_too_long_says_so(
    world: World,
    person: Profile,
    exports: Exports,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whose export is not done when the time to stop is over gets 503, and the log no traceback."""
    monkeypatch.setattr("reference_server.serve._GRACE_SECONDS", 0)
    with ExitStack() as stack:
        with serve(world) as url:
            connection = stack.enter_context(connection_to(url))
            connection.sendall(export(token_for(world, person)))
            assert exports.begun.acquire(timeout=60)
        answer = answer_of(connection)

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nconnection: close\r\n" in answer
    assert b"\r\nretry-after: 5\r\n" in answer
    assert b'"service.unavailable"' in answer
    assert "Traceback" not in capsys.readouterr().err


def test_an_offer_of_another_protocol_is_ignored(url: str, world: World, person: Profile) -> None:
    """Without a body such a request is answered as any other, and so is the next one."""
    offer = ("Connection: Upgrade", "Upgrade: h2c")
    with connection_to(url) as connection:
        for fields in (offer, ()):
            connection.sendall(head("GET", "/charges", token_for(world, person), *fields))
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("stalls", [False, True])
def test_81_a_form_that_never_ends(
    world: World, stopwatch: Stopwatch, capsys: pytest.CaptureFixture[str], *, stalls: bool
) -> None:
    """A form of the console whose client goes or stalls half-way does nothing, and is nobody's mistake."""
    sent = b"POST /clock HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nnumber=1&unit=days"
    before = world.clock.now()
    with serve(world) as url, connection_to(url) as connection:
        connection.sendall(sent)
        stopwatch.wait_until_received(len(sent))
        if stalls:
            stopwatch.sleep_until_ended()
            assert rest_of(connection) == b""

    assert world.clock.now() == before
    assert capsys.readouterr().err == ""
