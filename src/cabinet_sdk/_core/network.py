"""The network below the default transports: how httpcore connects, reads and writes."""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Iterable
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from ipaddress import ip_address
from typing import Any, TypeAlias, TypeVar, cast, final

import httpcore

from cabinet_sdk._core.per_process import PerProcess

__all__ = ["AsyncioNetwork", "Lifetime", "OneAsyncConnection", "OneConnection", "TimedNetwork", "must_end_at", "sent"]

_PIECE = 64 * 1024
# With more than that at hand the event loop reads no further; a read of its own brings up to four times as much.
_READ_AHEAD = 64 * 1024
# As long as RFC 8305 has one wait before the next address of a host is tried beside the first.
_NEXT_ADDRESS = 0.25
# How long at least the blocking network waits for each address, where there is as much left.
_LEAST_PATIENCE = 2.0
_TOO_LATE = "closed while it was made"

ResultT = TypeVar("ResultT")


@final
class Lifetime:
    """
    The time for which a transport may be used.

    Attributes:
        over: It was closed. What is on its way comes to its end; what was not sent by then is not sent.
    """

    def __init__(self) -> None:
        self.over = False


@final
class OneConnection:
    """
    A single connection, in the place of a pool of httpcore's.

    A pool looks at its connections several times a request, and waits for ever for one whose tunnel was not finished.
    """

    def __init__(self, pool: httpcore.ConnectionPool) -> None:
        self._pool = pool
        self._connection: httpcore.ConnectionInterface | None = None

    def handle_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request on the connection, or on a new one where it is not fit for another."""
        connection = self._connection
        if connection is None or not connection.is_available() or connection.has_expired():
            self.close()
            self._connection = connection = self._pool.create_connection(request.url.origin)
        try:
            return connection.handle_request(request)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


@final
class OneAsyncConnection:
    """The same of an async pool."""

    def __init__(self, pool: httpcore.AsyncConnectionPool) -> None:
        self._pool = pool
        self._connection: httpcore.AsyncConnectionInterface | None = None

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request on the connection, or on a new one where it is not fit for another."""
        connection = self._connection
        if connection is None or not connection.is_available() or connection.has_expired():
            await self.aclose()
            self._connection = connection = self._pool.create_connection(request.url.origin)
        try:
            return await connection.handle_async_request(request)
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.aclose()


must_end_at: ContextVar[float | None] = ContextVar("must_end_at", default=None)
"""When the exchange of this thread has to be over, by the monotonic clock."""


sent: ContextVar[bool | None] = ContextVar("sent", default=None)
"""
Whether the exchange of this thread or task has given the system anything of its request to send.

False while a connection is made for it; None before, and where a mock stands in the place of this network.
"""


def _about_to_send(buffer: bytes, lifetime: Lifetime) -> None:
    """Note that something of the request goes out, and let nothing be the first where the transport was closed."""
    if buffer and not sent.get():
        if lifetime.over:
            raise httpcore.ConnectError(_TOO_LATE)
        # What opens a tunnel is for the proxy.
        sent.set(not buffer.startswith(b"CONNECT "))


def _what_remains(timeout: float | None, error: type[httpcore.TimeoutException]) -> float | None:
    end = must_end_at.get()
    if end is None:
        return timeout
    remaining = end - time.monotonic()
    if remaining <= 0:
        raise error
    return remaining if timeout is None else min(timeout, remaining)


@contextmanager
def _nowhere(host: str, port: int) -> Generator[None]:
    """Translate what Python says of a name or a port that cannot be anybody's."""
    try:
        yield
    except (ValueError, OverflowError) as error:
        message = f"{host}:{port} is no address: {error}"
        raise httpcore.UnsupportedProtocol(message) from error


@final
class TimedNetwork(httpcore.NetworkBackend):
    """
    The network of a blocking connection, on which all steps of an exchange together keep its total timeout.

    httpx starts its timeouts anew with each read and write, so that a server which drips bytes is never too slow.
    """

    def __init__(self, inner: httpcore.NetworkBackend, lifetime: Lifetime) -> None:
        self._inner = inner
        self._lifetime = lifetime

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """
        Connect to the first address of the host that answers.

        Looking up its name, for which the system has no timeout, and all its addresses together keep the limits.
        """
        sent.set(False)
        limit = _what_remains(timeout, httpcore.ConnectTimeout)
        ends_at = None if limit is None else time.monotonic() + limit
        error: Exception = httpcore.ConnectTimeout()
        with _nowhere(host, port):
            addresses = _addresses(host, port, limit)
            for number, address in enumerate(addresses):
                # One that does not answer leaves as much to each of the others.
                share = None
                if ends_at is not None:
                    left = ends_at - time.monotonic()
                    if left <= 0:
                        break
                    # However many there are, a service may be slow.
                    share = max(left / (len(addresses) - number), min(left, _LEAST_PATIENCE))
                try:
                    stream = self._inner.connect_tcp(address, port, share, local_address, socket_options)
                    return _TimedStream(stream, self._lifetime)
                except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                    error = failed
        raise error


def _addresses(host: str, port: int, limit: float | None) -> list[str]:
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        found = look_up() if limit is None or _is_number(host) else _looked_up((host, port), look_up, limit)
    except TimeoutError as error:
        raise httpcore.ConnectTimeout from error
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
    # By their names in digits, which alone tell the interface of an address that holds on one link only.
    return [socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0] for *_, address in found]


def _is_number(host: str) -> bool:
    with suppress(ValueError):
        return bool(ip_address(host))
    return False


_Found: TypeAlias = list[tuple[Any, ...]]  # Any: what the socket module finds
_looking_up: PerProcess[dict[tuple[str, int], Future[_Found]]] = PerProcess(dict)
"""What is being looked up: of a resolver that is silent each name has one thread, however often it is asked for."""


def _looked_up(place: tuple[str, int], look_up: Callable[[], _Found], limit: float) -> _Found:
    """Return what a look-up finds, which nothing can break off: one that takes too long is left to a thread."""
    under_way, new = _looking_up.get(), Future[_Found]()
    outcome = under_way.setdefault(place, new)
    if outcome is new:

        def work() -> None:
            try:
                new.set_result(look_up())
            except BaseException as error:  # noqa: BLE001  # it is raised where it is waited for
                new.set_exception(error)
            finally:
                del under_way[place]

        try:
            threading.Thread(target=work, name="cabinet_sdk: look up a name", daemon=True).start()
        except RuntimeError:
            # The system has no more threads, or Python is about to end.
            work()
    return outcome.result(limit)


@final
class _TimedStream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, lifetime: Lifetime) -> None:
        self._inner = inner
        self._lifetime = lifetime

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _what_remains(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        _about_to_send(buffer, self._lifetime)
        for start in range(0, len(buffer), _PIECE):
            self._inner.write(buffer[start : start + _PIECE], _what_remains(timeout, httpcore.WriteTimeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        timeout = _what_remains(timeout, httpcore.ConnectTimeout)
        if isinstance(self.get_extra_info("socket"), ssl.SSLSocket):
            return _TimedStream(_InnerTls(self, ssl_context, server_hostname, timeout), self._lifetime)
        return _TimedStream(self._inner.start_tls(ssl_context, server_hostname, timeout), self._lifetime)

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:  # Any: of whatever kind the name stands for
        return self._inner.get_extra_info(info)


@final
class _InnerTls(httpcore.NetworkStream):
    """
    TLS through a proxy that is itself spoken to over TLS.

    That of httpcore starts its timeout anew with each record, and does not see what came and was not read yet.
    """

    def __init__(
        self, outer: _TimedStream, context: ssl.SSLContext, server_hostname: str | None, timeout: float | None
    ) -> None:
        self._outer = outer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)
        try:
            self._done(self._tls.do_handshake, timeout)
        except BaseException as error:
            self.close()
            if isinstance(error, httpcore.TimeoutException):
                raise httpcore.ConnectTimeout from error
            if isinstance(error, (httpcore.NetworkError, OSError)):
                raise httpcore.ConnectError(str(error)) from error
            raise
        finally:
            # Nothing of the request yet.
            sent.set(False)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return self._done(partial(self._tls.read, max_bytes), timeout)
        except ssl.SSLError as error:
            raise httpcore.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            for start in range(0, len(buffer), _PIECE):
                self._done(partial(self._tls.write, buffer[start : start + _PIECE]), timeout)
        except ssl.SSLError as error:
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        self._outer.close()

    def get_extra_info(self, info: str) -> Any:  # Any: of whatever kind the name stands for
        if info == "ssl_object":
            return self._tls
        if info == "is_readable" and (self._incoming.pending or self._tls.pending()):
            return True
        return self._outer.get_extra_info(info)

    def _done(self, step: Callable[[], ResultT], timeout: float | None) -> ResultT:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._outer.write(self._outgoing.read(), timeout)
                if received := self._outer.read(_PIECE, timeout):
                    self._incoming.write(received)
                else:
                    self._incoming.write_eof()
            else:
                self._outer.write(self._outgoing.read(), timeout)
                return result


@final
class AsyncioNetwork(httpcore.AsyncNetworkBackend):
    """The network of an async connection: asyncio's own, which costs a small call a fifth less than anyio's."""

    def __init__(self, lifetime: Lifetime) -> None:
        self._lifetime = lifetime

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the interface is httpcore's
        local_address: str | None = None,  # noqa: ARG002  # as above; nobody sets it
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002  # as above
    ) -> httpcore.AsyncNetworkStream:
        """Connect."""
        sent.set(False)
        loop = asyncio.get_running_loop()
        # Other loops know no such delay, and before Python 3.12.8 and 3.13.1 it fails where tasks are made otherwise.
        usual = isinstance(loop, asyncio.BaseEventLoop) and loop.get_task_factory() is None
        stream = partial(_AsyncioStream, self._lifetime)

        async def connect(**delay: Any) -> _AsyncioStream:  # Any: a keyword
            async with asyncio.timeout(timeout):
                return (await loop.create_connection(stream, host, port, **delay))[1]

        with _nowhere(host, port):
            try:
                if usual and not _is_number(host):
                    return await _made(connect(happy_eyeballs_delay=_NEXT_ADDRESS))
                return await connect()
            except TimeoutError as error:
                raise httpcore.ConnectTimeout from error
            except (OSError, RuntimeError) as error:
                # asyncio looks up names in a thread, which it may be unable to start.
                raise httpcore.ConnectError(str(error)) from error


async def _made(connecting: Coroutine[Any, Any, _AsyncioStream]) -> _AsyncioStream:  # Any: of no use here
    """Wait for a connection; with a delay between addresses, asyncio loses the socket of one that is cancelled."""
    task = asyncio.ensure_future(connecting)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_let_go)
        raise


def _let_go(task: asyncio.Task[_AsyncioStream]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().abort()


@final
class _AsyncioStream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """One connection: told by the event loop what comes, asked by httpcore for it."""

    def __init__(self, lifetime: Lifetime) -> None:
        self._lifetime = lifetime
        self._received = bytearray()
        self._writable = True
        self._ended = False
        self._error: Exception | None = None
        self._news = asyncio.Event()

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > _READ_AHEAD:
            self._transport.pause_reading()
        self._news.set()

    def eof_received(self) -> None:
        self._ended = True
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = self._writable = True
        self._error = exc or self._error
        self._news.set()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._news.set()

    # What httpcore asks for.

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109  # see above
        while not self._received and not self._ended:
            await self._something_new(timeout, httpcore.ReadTimeout)
        if not self._received and self._error is not None:
            raise httpcore.ReadError(str(self._error)) from self._error
        content = bytes(self._received[:max_bytes])
        del self._received[:max_bytes]
        if len(self._received) <= _READ_AHEAD:
            self._transport.resume_reading()
        return content

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109  # see above
        if not self._transport.is_closing():
            _about_to_send(buffer, self._lifetime)
            self._transport.write(buffer)
            while not self._writable:
                await self._something_new(timeout, httpcore.WriteTimeout)
        if self._ended and self._transport.is_closing():
            raise httpcore.WriteError(str(self._error or "the service closed the connection")) from self._error

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # see above
    ) -> httpcore.AsyncNetworkStream:
        # Another stream, so that nothing that came in the clear is taken for something that came by TLS. Something may
        # come before the stream is told of its own transport.
        secure = _AsyncioStream(self._lifetime)
        secure.connection_made(self._transport)
        if self.get_extra_info("ssl_object") is not None:
            secure._break_with(self._transport)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                try:
                    transport = await loop.start_tls(
                        self._transport, secure, ssl_context, server_hostname=server_hostname
                    )
                except BaseException:
                    # By itself asyncio would wait for what is left of the handshake.
                    self._transport.abort()
                    raise
        except TimeoutError as error:
            raise httpcore.ConnectTimeout from error
        except Exception as error:
            # Whatever it is that an event loop says here, nothing was sent.
            raise httpcore.ConnectError(str(error)) from error
        if transport is None:
            # So asyncio says that the connection was closed on this side meanwhile.
            raise httpcore.ConnectError(_TOO_LATE)
        secure.connection_made(transport)
        return secure

    def _break_with(self, outer: asyncio.Transport) -> None:
        """
        Let TLS within TLS break as anything else does.

        Python 3.11 and 3.12 call a function of their own wrongly then: a `TypeError` takes the place of the error.
        """
        theirs = cast("Any", outer)  # Any: other event loops have no such function, nor room for one

        def break_off(error: Exception | None) -> None:
            self._error = error or self._error
            # From Python 3.13 on, `abort` comes by here.
            with suppress(AttributeError):
                del theirs._force_close  # noqa: SLF001  # what they call wrongly
            outer.abort()

        with suppress(AttributeError):
            theirs._force_close = break_off  # noqa: SLF001  # what they call wrongly

    def abort(self) -> None:
        """Close at once, and without a farewell by TLS, for whose answer asyncio would wait."""
        self._transport.abort()

    async def aclose(self) -> None:
        # Who still reads is not to take it for the end of what he reads.
        self._error = ConnectionAbortedError("closed on this side")
        self.abort()
        # The loop closes the socket in its next round.
        await asyncio.sleep(0)

    def get_extra_info(self, info: str) -> Any:  # Any: of whatever kind the name stands for
        if info != "is_readable":
            return self._transport.get_extra_info(info)
        if self._received or self._ended or self._transport.is_closing():
            return True
        return _readable(self._transport.get_extra_info("socket"))

    async def _something_new(
        self,
        timeout: float | None,  # noqa: ASYNC109  # see above
        error: type[httpcore.TimeoutException],
    ) -> None:
        self._news.clear()
        try:
            async with asyncio.timeout(timeout):
                await self._news.wait()
        except TimeoutError as late:
            raise error from late


def _readable(sock: socket.socket | None) -> bool:
    """Say whether something came, or the end, that the event loop has not told yet."""
    # TLS of asyncio lets go of its socket one round of the loop before it tells so.
    if sock is None or sock.fileno() < 0:
        return True
    if sys.platform == "win32":
        return bool(select.select([sock], [], [], 0)[0])
    # Unlike select, it takes a process with more than 1024 files.
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
