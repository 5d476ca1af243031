"""What is answered without a task keeps all that a connection promises: order, framing, clocks, breaks, its end."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import groupby
from typing import final

import pytest

from cabinet_sdk.charges import Charge
from cabinet_sdk.types import Money
from reference_server import Profile, World
from reference_server.testing import serve
from reference_server.world import DEFAULT_START
from tests.core.sample_area import add_file, sample_world
from tests.server.raw import token_for
from tests.server.sockets import answer_of, connection_to, head, rest_of
from tests.server.stopwatch import Stopwatch

pytestmark = pytest.mark.usefixtures("stopwatch")


@pytest.fixture
def token(world: World, person: Profile) -> str:
    """A token of the person."""
    return token_for(world, person)


def request_ids(received: bytes) -> list[str]:
    """Return the request ids of answers in their order."""
    lines = received.split(b"\r\n")
    return [line.partition(b": ")[2].decode() for line in lines if line.lower().startswith(b"x-request-id: ")]


def test_requests_that_come_together_are_answered_in_their_order(url: str, charge: Charge, token: str) -> None:
    """With and without a body, refused or not, each answer stands where its request did."""
    read = f"/charges/{charge.id}"
    body = b'{"method": "sbp"}'
    pay = ("Content-Type: application/json", "Idempotency-Key: k", f"Content-Length: {len(body)}")
    sent = (
        head("GET", read, token, "X-Request-Id: 1")
        + head("GET", read, token, "X-Request-Id: 2")
        + head("POST", f"{read}/payments", token, *pay, "X-Request-Id: 3")
        + body
        + head("GET", "/nothing", token, "X-Request-Id: 4")
        + head("HEAD", read, token, "X-Request-Id: 5")
        + head("GET", read, token, "X-Request-Id: 6", "Connection: close")
    )
    with connection_to(url) as connection:
        connection.sendall(sent)
        received = rest_of(connection)

    assert request_ids(received) == ["1", "2", "3", "4", "5", "6"]
    assert received.count(b"HTTP/1.1 200 ") == 4


def test_nobody_overtakes_a_file(stopwatch: Stopwatch, world: World) -> None:
    """A request that comes while the connection's last one is still answered waits for it."""
    going_on, asked = threading.Event(), threading.Event()

    def make() -> bytes:
        going_on.set()
        assert asked.wait(60)
        return b"made"

    token = token_for(world, sample_world(world))
    first = head("GET", f"/samples/{add_file(make)}/content", token, "X-Request-Id: 1")
    second = head("GET", "/nothing", token, "X-Request-Id: 2")
    with serve(world) as url, connection_to(url) as connection:
        connection.sendall(first)
        assert going_on.wait(60)
        connection.sendall(second)
        stopwatch.wait_until_received(len(first) + len(second))
        connection.sendall(head("GET", "/nothing", token, "X-Request-Id: 3", "Connection: close"))
        asked.set()
        received = rest_of(connection)

    assert request_ids(received) == ["1", "2", "3"]
    assert received.startswith(b"HTTP/1.1 200 ")


def test_the_answer_does_not_tell_how_it_came_about(url: str, charge: Charge, token: str) -> None:
    """A request whose head announces an empty body goes the long way, and its answer has the same bytes."""
    answers: list[bytes] = []
    with connection_to(url) as connection:
        for fields in ((), ("Content-Length: 0",)):
            connection.sendall(head("GET", f"/charges/{charge.id}", token, "X-Request-Id: 1", *fields))
            answer = answer_of(connection)
            assert b"\r\ndate: " in answer
            answers.append(b"\r\n".join(line for line in answer.split(b"\r\n") if not line.startswith(b"date: ")))

    assert answers[0] == answers[1]
    assert answers[0].startswith(b"HTTP/1.1 200 OK\r\n")


def test_head_keeps_the_connection(url: str, charge: Charge, token: str) -> None:
    """An answer to HEAD tells a length and has no body; the next answer follows at once."""
    with connection_to(url) as connection:
        connection.sendall(head("HEAD", f"/charges/{charge.id}", token) + head("GET", "/nothing", token))
        connection.shutdown(socket.SHUT_WR)
        received = rest_of(connection)

    first, second, _ = received.split(b"\r\n\r\n")
    assert b"\r\ncontent-length: " in first
    assert second.startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    "version, field", [("1.0", "X-A: b"), ("1.0", "Connection: keep-alive"), ("1.1", "Connection: close")]
)
def test_who_wants_one_answer_gets_one(url: str, charge: Charge, token: str, version: str, field: str) -> None:
    """HTTP/1.0 and `Connection: close`: the answer says that the connection ends, and it does."""
    request = head("GET", f"/charges/{charge.id}", token, field).replace(b"HTTP/1.1", f"HTTP/{version}".encode())
    with connection_to(url) as connection:
        connection.sendall(request)
        received = rest_of(connection)

    assert received.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nconnection: close\r\n" in received


def test_an_idle_connection_is_closed(url: str, stopwatch: Stopwatch, charge: Charge, token: str) -> None:
    """Five seconds after its last answer a connection is closed."""
    with connection_to(url) as connection:
        for _ in range(2):
            connection.sendall(head("GET", f"/charges/{charge.id}", token))
            answer_of(connection)
            stopwatch.sleep(4.9)
            assert stopwatch.ended == 0
        stopwatch.sleep(0.2)

        assert rest_of(connection) == b""


def test_a_server_that_stops_closes_idle_connections(world: World, charge: Charge, token: str) -> None:
    """Nobody who was answered, and asks for nothing more, keeps a server from ending."""
    with ExitStack() as stack:
        with serve(world) as url:
            connection = stack.enter_context(connection_to(url))
            connection.sendall(head("GET", f"/charges/{charge.id}", token))
            answer_of(connection)

        assert rest_of(connection) == b""


def test_a_connection_that_breaks_answers_nothing_more(url: str, world: World, charge: Charge, token: str) -> None:
    """A lost answer ends the connection without a byte; what came with its request is not begun."""
    world.faults.lose_answer("charges.get")
    with connection_to(url) as connection:
        connection.sendall(head("GET", f"/charges/{charge.id}", token) * 2)

        assert rest_of(connection) == b""
    assert [(each.operation, each.status) for each in world.requests][1:] == [("charges.get", None)]


def test_81_who_does_not_read_is_not_answered_on(
    stopwatch: Stopwatch, world: World, person: Profile, token: str
) -> None:
    """While answers lie untaken, no others are made; then the connection ends."""
    for _ in range(1000):
        world.charges.add(person, Money("1.00"))
    request = head("GET", "/charges?limit=1000", token)

    def made() -> int:
        return [each.operation for each in world.requests].count("charges.list")

    with serve(world) as url, connection_to(url, window=4096) as connection:
        sent = 0
        # The system takes a few of them into its own buffers.
        while made() == sent:
            assert sent < 100
            connection.sendall(request)
            sent += 1
            stopwatch.wait_until_received(len(request) * sent)
        connection.sendall(request)
        stopwatch.sleep_until_ended()

    assert made() <= sent


def test_who_waits_for_the_world_waits_alone(world: World, charge: Charge, token: str) -> None:
    """While another thread has the world, the server goes on, and answers afterwards."""
    with serve(world) as url, connection_to(url) as connection, connection_to(url) as other:
        with world.lock:
            connection.sendall(head("GET", f"/charges/{charge.id}", token))
            other.sendall(b"GET /style.css HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert answer_of(other).startswith(b"HTTP/1.1 200 ")
        assert answer_of(connection).startswith(b"HTTP/1.1 200 ")


def test_worlds_side_by_side_in_one_process() -> None:
    """Each of two servers answers for its own world, whatever the other does meanwhile."""

    def read(world: World) -> list[bytes]:
        person = world.profiles.add("Иванова")
        charge = world.charges.add(person, Money("1.00"))
        request = head("GET", f"/charges/{charge.id}", token_for(world, person))
        with serve(world) as url, connection_to(url) as connection:
            found: list[bytes] = []
            for _ in range(50):
                connection.sendall(request)
                found.append(answer_of(connection)[:13])
            return found

    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(read, (World(seed=1), World(seed=2))))

    assert found == [[b"HTTP/1.1 200 "] * 50] * 2


@final
class _Clock:
    """A clock that may break, and says when it was looked at and when the server had time for others."""

    broken = False

    def __init__(self) -> None:
        self.said: list[str] = []

    def now(self) -> dt.datetime:
        if self.broken:
            msg = "the clock is broken"
            raise RuntimeError(msg)
        self.said.append("looked")
        with suppress(RuntimeError):
            # The test's own thread has no loop.
            asyncio.get_running_loop().call_soon(self.said.append, "others")
        return DEFAULT_START

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0


def test_others_have_their_turn_between_requests_that_come_together() -> None:
    """However many requests one connection sends at once, the server does not answer them in one go."""
    clock = _Clock()
    world = World(clock=clock)
    request = head("GET", "/charges", token_for(world, world.profiles.add("Иванова")))
    with serve(world) as url, connection_to(url) as connection:
        connection.sendall(request * 50 + request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        received = rest_of(connection)
    world.close()

    assert received.count(b"HTTP/1.1 200 ") == 51
    turns = [list(each) for said, each in groupby(clock.said) if said == "looked"]
    assert len(turns) > 25


def test_a_fault_of_ours_is_not_called_the_clients(caplog: pytest.LogCaptureFixture) -> None:
    """Where not even an error can be answered, the connection ends and the log says why; it is no 400."""
    clock = _Clock()
    world = World(clock=clock)
    token = token_for(world, world.profiles.add("Иванова"))
    clock.broken = True
    with caplog.at_level(logging.ERROR), serve(world) as url, connection_to(url) as connection:
        connection.sendall(head("GET", "/charges", token))

        assert rest_of(connection) == b""
    assert "the clock is broken" in caplog.text
    clock.broken = False
    world.close()
