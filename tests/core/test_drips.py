"""Servers that drip: a deadline holds over real sockets, however often a byte comes."""

from __future__ import annotations

import asyncio
import gc
import select
import socket
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from types import SimpleNamespace

import httpcore
import pytest

from cabinet_sdk import AsyncCabinet, RetryPolicy
from cabinet_sdk._core.network import Lifetime, TimedNetwork, must_end_at
from cabinet_sdk.errors import CabinetError, ConnectionFailed, DeadlineExceeded, OutcomeUnknown, TimedOut
from cabinet_sdk.transports import AsyncHttpxTransport, Timeout
from tests.core.conftest import TOKEN, Dial
from tests.core.raw_server import Connection, RawServer, http, json_answer, out_of_time
from tests.core.scripted import CHANGE, READ

pytestmark = pytest.mark.feature("EX-01")

HEAD = http("200 OK", b"", "Content-Type: application/json", "Content-Length: 100")
PLACES = {
    "body": HEAD,
    "chunk": http("200 OK", b"1000\r\n", "Content-Type: application/json", "Transfer-Encoding: chunked"),
    "header": b"HTTP/1.1 200 OK\r\nX-Slow: ",
    "status line": b"HTTP/1.1 200 ",
    "interim": b"HTTP/1.1 103 Early Hints\r\nX-Slow: ",
}


@contextmanager
def dripping(start: bytes) -> Generator[RawServer]:
    """Serve a start at once and then a byte every 50 ms, for far longer than any deadline here."""

    def serve(connection: Connection) -> None:
        connection.read()
        connection.write(start)
        connection.drip([b"x"] * 1200, 0.05)

    with RawServer(serve) as server:
        yield server


@pytest.mark.parametrize("start", PLACES.values(), ids=PLACES.keys())
async def test_a_drip_does_not_outlive_the_deadline(dial: Dial, start: bytes) -> None:
    """Experiment 21: a byte every 50 ms, in the head or in the body, ends with the deadline."""
    with dripping(start) as server:
        client = dial(server.url, attempts=3)
        error, deadline = await out_of_time(
            lambda seconds: client.with_options(deadline=seconds).answer(READ), DeadlineExceeded, server
        )

    # The bytes would come for much longer, and the answer is cut after that.
    assert deadline < 30
    assert error.request_id is not None
    assert isinstance(error.__cause__, TimedOut)


@pytest.mark.parametrize("start", [b"", HEAD], ids=["head", "body"])
async def test_the_connection_of_a_call_that_ended_is_closed(dial: Dial, start: bytes) -> None:
    """Experiment 21: once the deadline ended a call the service sees the connection go, though the client lives on."""
    gone = threading.Event()

    def serve(connection: Connection) -> None:
        connection.read()
        connection.write(start)
        connection.socket.settimeout(60)
        with suppress(ConnectionError):
            assert connection.socket.recv(1) == b""
        gone.set()

    with RawServer(serve) as server:
        client = dial(server.url)
        await out_of_time(lambda seconds: client.with_options(deadline=seconds).answer(READ), DeadlineExceeded, server)

        assert await asyncio.to_thread(gone.wait, 60)


async def test_a_change_that_drips_is_unknown(dial: Dial) -> None:
    """A change whose answer does not come whole in time may have happened."""
    with dripping(HEAD) as server:
        client = dial(server.url)
        error, _ = await out_of_time(
            lambda seconds: client.with_options(deadline=seconds).answer(CHANGE), OutcomeUnknown, server
        )

    assert error.request_id is not None


async def test_silence_is_bounded_by_the_idle_limit(dial: Dial) -> None:
    """Without a deadline an attempt ends when the service says nothing for as long as the idle limit."""

    def serve(connection: Connection) -> None:
        connection.read()
        connection.write(HEAD)
        # Whoever waits longer gets another error: the connection ends then.
        connection.await_end(60)

    with RawServer(serve) as server:
        client = dial(server.url, deadline=None).with_options(timeout=Timeout(idle=0.1))
        with pytest.raises(TimedOut):
            await client.answer(READ)


async def test_a_slow_answer_within_the_deadline_is_whole(dial: Dial) -> None:
    """A drip that ends in time is an answer like any other, and its connection is used again."""

    def serve(connection: Connection) -> None:
        while connection.read():
            connection.drip([bytes([byte]) for byte in json_answer()], 0.001)

    with RawServer(serve) as server:
        client = dial(server.url, deadline=60.0)
        for _ in range(2):
            assert (await client.answer(READ)).value.name == "a thing"

    assert len(server.connections) == 1


async def test_a_deadline_of_one_call_does_not_bind_the_next(dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kept connection forgets the deadline of the call that opened it: a day later the next call has its own."""

    def serve(connection: Connection) -> None:
        while connection.read():
            served.append(connection.number)
            connection.write(json_answer())

    served: list[int] = []
    with RawServer(serve) as server:
        client = dial(server.url, deadline=None)
        await client.with_options(deadline=60).answer(READ)
        a_day_later = SimpleNamespace(monotonic=lambda: time.monotonic() + 86400)
        monkeypatch.setattr("cabinet_sdk._core.httpx_transport.time", a_day_later)
        await client.answer(READ)

    assert served == [0, 0]


@contextmanager
def deaf() -> Generator[str]:
    """Give the address of a service that lets nobody connect: its queue is full and it accepts none."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        waiting: list[socket.socket] = []
        try:
            for _ in range(4):
                one = socket.socket()
                one.setblocking(False)  # noqa: FBT003
                one.connect_ex(("127.0.0.1", port))
                waiting.append(one)
            # The first one is in: the queue is full.
            select.select([], waiting[:1], [], 60)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            for one in waiting:
                one.close()


@pytest.mark.parametrize("deadline", [0.2, 60.0])
async def test_a_connection_that_does_not_come_about_sent_nothing(dial: Dial, deadline: float) -> None:
    """A change to a service that does not take the connection was not sent, whichever limit ends the waiting."""
    with deaf() as url:
        client = dial(url, deadline=deadline).with_options(timeout=Timeout(connect=0.3))
        with pytest.raises((DeadlineExceeded, ConnectionFailed)) as caught:
            await client.answer(CHANGE)

    assert isinstance(caught.value, DeadlineExceeded if deadline < 0.3 else ConnectionFailed)


class Deaf(httpcore.NetworkBackend):
    """A network none of whose addresses answers, but the one that does; its clock moves by each waiting."""

    def __init__(self, answers: str = "") -> None:
        self.answers = answers
        self.clock = 0.0
        self.asked: list[tuple[str, float | None]] = []

    def monotonic(self) -> float:
        return self.clock

    def connect_tcp(
        self,
        host: str,
        port: int,  # noqa: ARG002  # the interface is httpcore's
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002  # as above
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002  # as above
    ) -> httpcore.NetworkStream:
        self.asked.append((host, timeout))
        if host == self.answers:
            return httpcore.NetworkStream()
        self.clock += timeout or 0.0
        raise httpcore.ConnectTimeout


def named(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let every name stand for these addresses."""

    def look_up(_: object, port: int, *__: object, **___: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr("socket.getaddrinfo", look_up)


@pytest.mark.parametrize("connect, deadline", [(6.0, None), (None, 6.0), (6.0, 60.0), (60.0, 6.0)])
def test_all_addresses_of_a_name_share_the_limits(
    connect: float | None, deadline: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service with three addresses none of which answers is waited for no longer than one with a single one."""
    network = Deaf()
    monkeypatch.setattr("cabinet_sdk._core.network.time", network)
    named(monkeypatch, "192.0.2.1", "192.0.2.2", "192.0.2.3")
    token = must_end_at.set(deadline)
    try:
        with pytest.raises(httpcore.ConnectTimeout):
            TimedNetwork(network, Lifetime()).connect_tcp("many.example", 443, connect)
    finally:
        must_end_at.reset(token)

    assert network.asked == [("192.0.2.1", 2.0), ("192.0.2.2", 2.0), ("192.0.2.3", 2.0)]
    assert network.clock == 6.0


def test_what_one_address_does_not_need_is_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that does not answer leaves the next one its share, and without limits each has all its time."""
    network = Deaf("192.0.2.2")
    monkeypatch.setattr("cabinet_sdk._core.network.time", network)
    named(monkeypatch, "192.0.2.1", "192.0.2.2")
    for limit in (6.0, None):
        TimedNetwork(network, Lifetime()).connect_tcp("many.example", 443, limit)

    assert network.asked == [("192.0.2.1", 3.0), ("192.0.2.2", 3.0), ("192.0.2.1", None), ("192.0.2.2", None)]


def test_however_many_addresses_a_slow_service_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal shares of many addresses would be too short for any: each is given two seconds as long as there are."""
    network = Deaf()
    monkeypatch.setattr("cabinet_sdk._core.network.time", network)
    named(monkeypatch, *(f"192.0.2.{number}" for number in range(40)))
    with pytest.raises(httpcore.ConnectTimeout):
        TimedNetwork(network, Lifetime()).connect_tcp("many.example", 443, 5.0)

    assert [limit for _, limit in network.asked] == [2.0, 2.0, 1.0]


def test_a_name_whose_lookup_took_all_the_time_is_not_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking up a name cannot be broken off; it counts, and no address is tried when the limit is over."""
    network = Deaf()

    def slow(*_: object, **__: object) -> list[object]:
        network.clock += 7.0
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 443))]

    monkeypatch.setattr("cabinet_sdk._core.network.time", network)
    monkeypatch.setattr("socket.getaddrinfo", slow)
    with pytest.raises(httpcore.ConnectTimeout):
        TimedNetwork(network, Lifetime()).connect_tcp("slow.example", 443, 6.0)

    assert network.asked == []


async def test_a_name_that_nobody_looks_up_ends_with_the_deadline(dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that is silent for longer than the deadline: the call ends with it, and nothing was sent."""
    asked, go = threading.Event(), threading.Event()

    def silent(*_: object, **__: object) -> list[object]:
        asked.set()
        go.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr("socket.getaddrinfo", silent)
    try:
        for _ in range(3):
            with pytest.raises((ConnectionFailed, DeadlineExceeded)):
                await dial("http://silent.example/v1", deadline=0.2).answer(CHANGE)
        assert asked.is_set()
        # Of the event loop each look-up takes a thread; those of the loop are not ours.
        assert sum(thread.name == "cabinet_sdk: look up a name" for thread in threading.enumerate()) <= 1
    finally:
        go.set()


@pytest.mark.parametrize("threads", [True, False])
async def test_a_name_that_is_none_is_told(dial: Dial, monkeypatch: pytest.MonkeyPatch, threads: bool) -> None:
    """What the resolver says is told; where no thread can be started, as at the end of a program, nothing is sent."""

    def none(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def refused(_: object) -> None:
        message = "can't create new thread at interpreter shutdown"
        raise RuntimeError(message)

    monkeypatch.setattr("socket.getaddrinfo", none)
    client = dial("http://missing.example/v1")
    with monkeypatch.context() as patches:
        if not threads:
            patches.setattr("threading.Thread.start", refused)
        with pytest.raises(ConnectionFailed, match=r"missing\.example:80: .*(not known|new thread)"):
            await client.answer(CHANGE)


@pytest.mark.skipif(not socket.has_ipv6, reason="the system has no IPv6")
def test_an_address_of_one_link_keeps_its_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it nobody could say which link is meant."""
    network = Deaf()
    number, name = socket.if_nameindex()[0]
    found = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 443, 0, number))]

    def look_up(*_: object, **__: object) -> object:
        return found

    monkeypatch.setattr("cabinet_sdk._core.network.time", network)
    monkeypatch.setattr("socket.getaddrinfo", look_up)
    with pytest.raises(httpcore.ConnectTimeout):
        TimedNetwork(network, Lifetime()).connect_tcp("link.example", 443, 6.0)

    assert network.asked == [(f"fe80::1%{name}", 6.0)]


async def test_the_next_address_of_a_name_is_tried(dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the first address refuses, the second one serves."""
    with RawServer.answering(json_answer()) as server:
        named(monkeypatch, "127.0.0.2", "127.0.0.1")

        assert (await dial(f"http://many.example:{server.port}/v1").answer(CHANGE)).value.name == "a thing"


@pytest.mark.parametrize(
    "at, error", [("connect", ConnectionFailed), ("https", ConnectionFailed), ("http", OutcomeUnknown)]
)
async def test_an_event_loop_that_was_held_up_knows_what_was_sent(
    at: str, error: type[CabinetError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all limits are over by the time that a loop looks at them, it is told exactly whether anything was sent."""
    loop = asyncio.get_running_loop()
    clock, passed = loop.time, [0.0]
    monkeypatch.setattr(loop, "time", lambda: clock() + sum(passed))

    def serve(connection: Connection) -> None:
        connection.socket.recv(65536)  # the request, or what TLS begins with
        loop.call_soon_threadsafe(passed.append, 3600.0)
        connection.await_end(60)

    with deaf() as nowhere, RawServer(serve) as server:
        url = nowhere if at == "connect" else f"{at}://127.0.0.1:{server.port}"
        transport = AsyncHttpxTransport(environment=False)
        async with AsyncCabinet(url, TOKEN, transport=transport, retry=RetryPolicy(attempts=1)) as client:
            if at == "connect":
                loop.call_soon(passed.append, 3600.0)
            with pytest.raises(error):
                await client.answer(CHANGE)


async def test_a_cancelled_call_leaves_nothing_behind() -> None:
    """A task cancelled in the middle of an answer frees its connection; the next call works at once."""
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def serve(connection: Connection) -> None:
        while connection.read():
            if connection.number:
                connection.write(json_answer())
            else:
                connection.write(HEAD + b"{")
                loop.call_soon_threadsafe(begun.set)
                connection.read()

    with RawServer(serve) as server:
        # One connection at most: a leaked one would let the next call wait for ever.
        transport = AsyncHttpxTransport(environment=False, connections=1)
        async with AsyncCabinet(server.url, transport=transport, deadline=60.0) as client:
            task = asyncio.create_task(client.answer(READ))
            await begun.wait()
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

            assert (await client.answer(READ)).value.name == "a thing"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_call_that_is_cancelled_while_it_connects_leaves_no_socket(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far the event loop has got with the connection, which is closed, as a `ResourceWarning` would tell."""
    lost: list[object] = []
    others = asyncio.all_tasks()
    monkeypatch.setattr("sys.unraisablehook", lost.append)
    with RawServer.answering(json_answer()) as server:
        for rounds in range(20):
            async with AsyncCabinet(f"http://{host}:{server.port}/v1", TOKEN, deadline=60.0) as client:
                task = asyncio.create_task(client.answer(READ))
                for _ in range(rounds):
                    await asyncio.sleep(0)
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        # What still connects is not waited for by anybody.
        if rest := asyncio.all_tasks() - others:
            await asyncio.wait(rest)
        await asyncio.sleep(0)
        gc.collect()

    assert lost == []
