"""
The default transports, over httpx.

Rule: the only module that imports httpx; none of its types or exceptions gets out. Its transports are used directly:
`httpx.Client` would add cookies, redirects and decoding, none of which is wanted, and half the cost of a small call.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import math
import os
import re
import ssl
import threading
import time
import urllib.request
import warnings
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache, partial
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeAlias, TypeVar, cast, final
from urllib.parse import urlsplit

import attrs
import httpx

from cabinet_sdk import __version__
from cabinet_sdk._core.arguments import checking
from cabinet_sdk._core.network import (
    AsyncioNetwork,
    Lifetime,
    OneAsyncConnection,
    OneConnection,
    TimedNetwork,
    must_end_at,
    sent,
)
from cabinet_sdk._core.redaction import shown_text
from cabinet_sdk._core.tls import Proxy, Tls, is_proxy
from cabinet_sdk._core.transport import CLOSED
from cabinet_sdk._core.wire import Body, Headers, Request, Response, Timeout
from cabinet_sdk.errors import ConnectionFailed, ConnectionLost, NetworkError, TimedOut, UnreadableAnswer, UsageError

__all__ = ["AsyncHttpxTransport", "HttpxTransport"]

ConnectionT = TypeVar("ConnectionT", httpx.HTTPTransport, httpx.AsyncHTTPTransport)
EndT = TypeVar("EndT", None, Awaitable[None])
SlotsT = TypeVar("SlotsT", "_Slots", asyncio.Semaphore)

logger = logging.getLogger("cabinet_sdk")

_USER_AGENT = f"cabinet-sdk/{__version__}"
# httpx sends large bodies in quadratic time unless they come in slices.
_SLICE = 256 * 1024
_PIECE = 64 * 1024
_NO_BODY = httpx.ByteStream(b"")
_STREAM_CLOSED = "the stream is closed"
# Whoever sends bytes one at a time must not have the event loop for himself: reading what is there waits for nothing.
_CHUNKS_AT_ONCE = 256
# As long as httpx itself keeps a connection that nobody uses.
_KEPT = 5.0

# What there is to say besides, by the scheme of the base URL and by what the libraries below say. A service that speaks
# TLS looks so to those who expect HTTP: it says nothing, breaks the connection, or sends an alert, of which h11 says
# that no line of HTTP begins so. The last hint is for a client that shows no certificate.
_HINTS = [
    (scheme, re.compile(said), hint)
    for scheme, said, hint in (
        ("http", "^ProxyError: 407", "Proxy(url=…, username=…, password=…) tells the proxy who asks."),
        (
            "http",
            "Too many open files",
            "Each client that was used holds a connection until it is closed: close it, or share one transport.",
        ),
        (
            "http:",
            "^ReadError|without sending a response|illegal request line",
            "A service that speaks TLS may do this to http://: its base URL has https://.",
        ),
        (
            "https:",
            "WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|PACKET_LENGTH_TOO_LONG",
            "What answers there speaks no TLS, perhaps plain HTTP: check scheme and port of the base URL.",
        ),
        (
            "https:",
            "unable to get (?:local )?issuer certificate|self.signed certificate",
            "Tls(ca_file=…) names an authority to trust that is none of the usual ones.",
        ),
        (
            "https:",
            "CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|without sending a response|reset by peer|forcibly closed",
            "A service that asks for a certificate of the client may do this: Tls(certificate=…) shows one.",
        ),
    )
]


# How TLS over memory asks for more bytes; it stands behind whatever goes wrong while they are waited for.
_NO_REASON = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


def _reason(error: BaseException) -> str:
    reason, cause = str(error), error.__cause__
    while cause is not None:
        # The network below says more than "all connection attempts failed".
        if isinstance(cause, OSError) and cause.errno is not None and not isinstance(cause, _NO_REASON):
            reason = str(cause)
        cause = cause.__cause__ or cause.__context__
    return reason.rstrip(".") or type(error).__name__


def _advice(tls: Tls, url: str, error: Exception) -> str:
    """Return what else there is to say where the two sides expect another thing of each other."""
    said = f"{type(error).__name__}: {error}"
    hints = _HINTS if tls.certificate is None else _HINTS[:-1]
    return next((f" {hint}" for scheme, what, hint in hints if url.startswith(scheme) and what.search(said)), "")


def _place(url: str) -> str:
    """Return host and port of an address, and nothing else of it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@lru_cache(maxsize=64)
def _ssl_context(tls: Tls, *, environment: bool) -> ssl.SSLContext:
    """Return the context of a `Tls` value; equal values share one, since reading the bundle costs 50 ms."""
    bundle = os.environ.get("SSL_CERT_FILE") if environment else None
    ca, ca_file = ("SSL_CERT_FILE", bundle) if tls.ca_file is None else ("Tls.ca_file", tls.ca_file)
    # `ssl` does not say which file it is that is missing.
    for name, file in ((ca, ca_file), ("Tls.certificate", tls.certificate), ("Tls.key", tls.key)):
        with _usable(name):
            if file:
                Path(file).open("rb").close()
    with _usable(ca):
        if tls.ca_file is None:
            context = httpx.create_ssl_context(trust_env=environment)
        else:
            context = ssl.create_default_context(cafile=str(tls.ca_file))
    context.minimum_version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[tls.minimum_version]
    if ssl.HAS_NEVER_CHECK_COMMON_NAME:
        # Only `subjectAltName` says whose a certificate is (RFC 9525 6.3), and an authority may limit only that.
        context.hostname_checks_common_name = False
    if tls.certificate is not None:
        with _usable("Tls.certificate with its key"):
            context.load_cert_chain(tls.certificate, tls.key, tls.key_password)
    return context


@contextmanager
def _usable(name: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"{name} cannot be used: {error}") from error


_Way: TypeAlias = tuple[str, str, str | None]
"""A scheme, host and port, and the proxy in between."""


@final
class _Held(Generic[ConnectionT, SlotsT]):
    """
    What one process holds of a transport's connections.

    Attributes:
        slots: How many exchanges there may still be at once.
        idle: The connections that nobody uses and since when, the latest last, by where they lead. No lock is held
            around it, since each step is whole by itself: the handler of a signal may come back here.
    """

    def __init__(self, slots: SlotsT) -> None:
        self.slots: SlotsT = slots
        self.idle: dict[_Way, deque[tuple[float, ConnectionT]]] = {}


@final
class _Slots:
    """
    How many exchanges there may be at once, in threads.

    Where a semaphore would wait for the thread itself, since the handler of a signal came back here, a queue does not.
    """

    def __init__(self, number: int) -> None:
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(number):
            self._free.put(None)

    def acquire(self, timeout: float | None) -> bool:
        """Take one within so many seconds, and say whether it is taken."""
        try:
            self._free.get(timeout=timeout)
        except Empty:
            return False
        return True

    def release(self) -> None:
        """Give one back."""
        self._free.put(None)


@final
class _Lease(Generic[ConnectionT]):
    """A connection that is one exchange's, until it is given back."""

    _idle: deque[tuple[float, ConnectionT]] | None = None

    def __init__(
        self,
        connection: ConnectionT,
        idle: deque[tuple[float, ConnectionT]],
        slots: _Slots | asyncio.Semaphore,
    ) -> None:
        self.connection: ConnectionT = connection
        self._slots = slots
        self._idle = idle

    def give_back(self) -> None:
        """Let others have it; once more does nothing."""
        idle, self._idle = self._idle, None
        if idle is not None:
            idle.append((time.monotonic(), self.connection))
            self._slots.release()

    def give_up(self) -> bool:
        """Let nobody have it, and say whether it is to be closed here."""
        idle, self._idle = self._idle, None
        if idle is not None:
            self._slots.release()
        return idle is not None

    def __del__(self) -> None:
        # Nobody has what it is for any more: of a file that was dropped, or of a call after an interrupt.
        self.give_back()


def _is_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


@final
class _Connections(Generic[ConnectionT, SlotsT]):
    """
    The connections of one transport, each below an object of httpx's of its own.

    For each request a pool looks at all its connections, several times, so that one pool for many calls at once costs
    more than the calls. Here the connection used last is the next to be used, and no other is looked at.

    A process has connections of its own: after a fork both would write into the same ones.
    """

    def __init__(
        self,
        kind: type[ConnectionT],
        slots: Callable[[], SlotsT],
        tls: Tls,
        proxy: Proxy | None,
        *,
        environment: bool,
    ) -> None:
        self._kind: type[ConnectionT] = kind
        self._slots: Callable[[], SlotsT] = slots
        self.tls = tls
        self._proxy = proxy
        self._environment = environment
        self._held: dict[int, _Held[ConnectionT, SlotsT]] = {}
        self._proxies: dict[tuple[str, str], str | None] = {}
        self._in_clear: set[str] = set()
        self.lifetime = Lifetime()

    def held(self) -> _Held[ConnectionT, SlotsT]:
        """Return what this process holds."""
        process = os.getpid()
        held = self._held.get(process)
        # What a parent holds is not looked at: a thread that held its lock may not be here.
        return self._held.setdefault(process, _Held(self._slots())) if held is None else held

    def take(self, url: str, held: _Held[ConnectionT, SlotsT]) -> _Lease[ConnectionT]:
        """Return a connection for an exchange that has taken one of the slots."""
        if self.lifetime.over:
            raise UsageError(CLOSED)
        way = self._way(url)
        idle = held.idle.setdefault(way, deque())
        try:
            connection = idle.pop()[1]
        except IndexError:
            self._warn_of_clear_text(url)
            connection = self._make(way[0], way[2])
        return _Lease(connection, idle, held.slots)

    def _warn_of_clear_text(self, url: str) -> None:
        """Say once for each host beyond this machine that what goes there can be read on the way."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme == "http" and host not in self._in_clear and not _is_this_machine(host):
            self._in_clear.add(host)
            logger.warning("%s is addressed without TLS: secrets and data go there in clear; use https", host)

    def unused(self) -> Iterator[ConnectionT]:
        """
        Take out those that rested for long, to be closed, each when it is asked for: a cancellation loses none.

        Once the transport was closed, that is each that is not in use. Those in use are closed by whoever gives them
        back: below another thread, TLS would go on with the number of a file that is somebody else's by then.
        """
        held = self.held()
        longest_ago = math.inf if self.lifetime.over else time.monotonic() - _KEPT
        for idle in list(held.idle.values()):
            # Another thread may take any of them meanwhile.
            with suppress(IndexError):
                while idle[0][0] < longest_ago:
                    yield idle.popleft()[1]

    def handed_on(self, url: str) -> bool:
        """Return whether a proxy reads a request and may answer it itself, rather than only carry what is inside."""
        scheme, _, proxy_url = self._way(url)
        return scheme == "http" and proxy_url is not None

    def place(self, url: str) -> str:
        """Return where a request goes, for messages: neither user information nor path and query."""
        proxy_url = self._way(url)[2]
        return _place(url) + ("" if proxy_url is None else f" through the proxy {_place(proxy_url)}")

    def _way(self, url: str) -> _Way:
        parts = urlsplit(url)
        if self._proxy is not None:
            return parts.scheme, parts.netloc, self._proxy.url
        return parts.scheme, parts.netloc, self._proxy_of(parts.scheme, parts.hostname or "", parts.netloc)

    def _proxy_of(self, scheme: str, host: str, place: str) -> str | None:
        if not self._environment:
            return None
        if (scheme, place) not in self._proxies:
            proxies = urllib.request.getproxies()
            # NO_PROXY may name a host, or a host with its port.
            direct = urllib.request.proxy_bypass(host) or urllib.request.proxy_bypass(place)
            url = None if direct else proxies.get(scheme) or proxies.get("all")
            if url is not None:
                url = url if "://" in url else f"http://{url}"
                if not is_proxy(url):
                    raise UsageError(
                        "the proxy of the environment cannot be used: expected http://user:password@host:port, of a "
                        "proxy that speaks HTTP, percent-encoded what is neither letter nor digit in user and password"
                    )
            self._proxies[scheme, place] = url
        return self._proxies[scheme, place]

    def _make(self, scheme: str, proxy_url: str | None) -> ConnectionT:
        secret_proxy = proxy_url is not None and proxy_url.startswith("https")
        if scheme == "https" or secret_proxy:
            context = _ssl_context(self.tls, environment=self._environment)
        else:
            # It trusts nobody: were this connection ever used for TLS, it would refuse. Reading the bundle costs 50 ms.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        limits = httpx.Limits(max_connections=1, keepalive_expiry=_KEPT)
        own = self._proxy
        auth = (own.username, own.password or "") if own is not None and own.username is not None else None
        connection: ConnectionT | None = None
        context_there = context if secret_proxy else None
        # What httpx says may show a piece of a password, and is neither told nor kept in the chain.
        with suppress(ValueError, httpx.InvalidURL):
            proxy = None if proxy_url is None else httpx.Proxy(proxy_url, auth=auth, ssl_context=context_there)
            connection = self._kind(verify=context, proxy=proxy, limits=limits, trust_env=False)
        if connection is None:
            raise UsageError("the proxy cannot be used: its host is none")
        # httpx has no public way to set what is below it.
        private: Any = connection  # Any: as it says
        pool: Any = private._pool  # Any: whichever pool of httpcore's  # noqa: SLF001
        if isinstance(connection, httpx.HTTPTransport):
            pool._network_backend = TimedNetwork(pool._network_backend, self.lifetime)  # noqa: SLF001
            private._pool = OneConnection(pool)  # noqa: SLF001
        else:
            pool._network_backend = AsyncioNetwork(self.lifetime)  # noqa: SLF001
            private._pool = OneAsyncConnection(pool)  # noqa: SLF001
        return connection


_ours: ContextVar[bool] = ContextVar("ours", default=False)
"""Whether it is an exchange of this library that the connections work on."""


def _hushed(record: logging.LogRecord) -> bool:
    """
    Leave only the name of what happened in what httpcore logs of our exchanges.

    At DEBUG it writes down whole headers of answers, and a filter of a list stands in `Link`.
    """
    if _ours.get():
        record.msg, record.args = record.getMessage().partition(" ")[0], ()
    return True


# A filter of a logger is not asked about what its children log.
for _name in ("connection", "http11", "http2", "proxy"):
    logging.getLogger(f"httpcore.{_name}").addFilter(_hushed)


def _some(name: str, connections: int) -> None:
    if connections < 1:
        raise UsageError(f"{name}: connections: expected 1 or more, got {connections}")


def _slices(content: bytes) -> Iterator[bytes]:
    view = memoryview(content)
    for start in range(0, len(content), _SLICE):
        yield bytes(view[start : start + _SLICE])


async def _slices_async(content: bytes) -> AsyncIterator[bytes]:
    for piece in _slices(content):
        yield piece


async def _pieces_in_thread(body: Body) -> AsyncIterator[bytes]:
    # Reading may wait for a disk, which must not hold up the event loop.
    pieces = iter(body)
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece


# Taking an address apart is a fifth of a small call, and lists and whatever is waited for are asked at the same one.
_foreign_url = lru_cache(maxsize=256)(httpx.URL)


# What httpx raises where nothing of a request was sent, or a proxy passed nothing of it on.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


def _foreign(request: Request, *, asynchronous: bool) -> httpx.Request:
    content: bytes | Iterator[bytes] | AsyncIterator[bytes]
    url = _foreign_url(request.url)
    if url.port is not None and url.port > 65535:
        raise httpx.InvalidURL(f"Port out of range 0-65535: {url.port}")
    extensions = {"timeout": _foreign_timeout(request.timeout)}
    # Codings are not undone here, so none may be chosen.
    headers = [*request.headers.pairs(), ("accept-encoding", "identity")]
    if "user-agent" not in request.headers:
        headers.append(("user-agent", _USER_AGENT))
    if request.method == "GET" and not request.content and "host" not in request.headers:
        # The same as below in less time: without a stream given, httpx looks for whatever else a body could be made of.
        headers.append(("host", url.netloc.decode("ascii")))
        return httpx.Request("GET", url, headers=headers, stream=_NO_BODY, extensions=extensions)
    if not isinstance(request.content, bytes):
        content = _pieces_in_thread(request.content) if asynchronous else iter(request.content)
        if request.content.length is not None:
            headers.append(("content-length", str(request.content.length)))
    elif len(request.content) > _SLICE:
        content = _slices_async(request.content) if asynchronous else _slices(request.content)
        headers.append(("content-length", str(len(request.content))))
    else:
        content = request.content
    return httpx.Request(
        request.method,
        url,
        headers=headers,
        content=content,
        extensions=extensions,
    )


def _foreign_timeout(timeout: Timeout) -> dict[str, float | None]:
    # The total is kept around these. Only to wait for a connection of one's own ends by nothing else.
    limits = [limit for limit in (timeout.connect, timeout.total) if limit is not None]
    pool = min(limits, default=None)
    return {"connect": timeout.connect, "read": timeout.idle, "write": timeout.idle, "pool": pool}


def _head(response: httpx.Response) -> Response:
    """Return the answer without its body."""
    headers = Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw)
    return Response(status=response.status_code, headers=headers)


def _check(head: Response, request: Request, connections: _Connections[Any, Any]) -> None:  # Any: of whichever mode
    """Refuse an answer whose body cannot be read, and one of a proxy that passed nothing on."""
    if head.status == 407 and connections.handed_on(request.url):
        # As httpx says of a proxy that opens no tunnel. What came through one is the service's.
        raise httpx.ProxyError("407 Proxy Authentication Required")
    coding = (head.headers.get("content-encoding") or "identity").lower()
    if coding != "identity":
        raise _unreadable(head, f"The answer is coded as {shown_text(coding)}, which was not asked for.")
    length = head.headers.get("content-length") or ""
    if not request.stream and length.isdecimal() and int(length) > request.answer_limit:
        raise _too_large(head, request)


def _unreadable(head: Response, message: str) -> UnreadableAnswer:
    return UnreadableAnswer(message, status=head.status, request_id=head.request_id)


def _joined(content: bytes | bytearray, chunk: bytes) -> bytes | bytearray:
    """Return the content so far with a chunk more; one that comes whole, as most do, is never copied."""
    if not content:
        return chunk
    if isinstance(content, bytes):
        content = bytearray(content)
    content += chunk
    return content


def _too_large(head: Response, request: Request) -> UnreadableAnswer:
    return _unreadable(head, f"The answer is larger than {request.answer_limit} bytes.")


def _no_slot(place: str) -> ConnectionFailed:
    return ConnectionFailed(
        f"No connection to {place}: as many as there may be are in use, and none became free; a file has one until it "
        "is closed or read to its end."
    )


def _too_late(place: str) -> NetworkError:
    if sent.get():
        return TimedOut(f"The answer of {place} did not come whole in the time of the attempt.")
    return ConnectionFailed(f"No connection to {place} in the time of the attempt.")


@contextmanager
def _exchange(
    connections: _Connections[Any, Any],  # Any: of whichever mode
    url: str,
    ends_at: float | None = None,
    *,
    under_way: bool = False,
) -> Generator[None]:
    """Mark what happens inside as an exchange of ours, translate its errors, and let it end in time."""
    ours, token = _ours.set(True), must_end_at.set(ends_at)
    sent.set(under_way or None)
    try:
        yield
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeError, httpx.LocalProtocolError) as error:
        # What they say shows what they are of: a part of the address, or the value of a header.
        what = "a header of it is none of HTTP" if isinstance(error, httpx.LocalProtocolError) else "it has no address"
        raise UsageError(f"the request cannot be sent: {what}, or it is not ASCII") from None
    except (httpx.TransportError, OSError) as error:
        place, advice = connections.place(url), _advice(connections.tls, url, error)
        reason, cause = _reason(error), cast("Exception | None", error)
        if isinstance(error, httpx.RemoteProtocolError):
            # After a colon stands what came, a header perhaps, which neither a text nor a traceback may show.
            said, colon, _ = str(error).partition(": ")
            reason, cause = said.rstrip(".") or type(error).__name__, None if colon else error
        if sent.get() is False or isinstance(error, _NOT_SENT):
            if connections.lifetime.over:
                raise UsageError(CLOSED) from cause
            raise ConnectionFailed(f"No connection to {place}: {reason}.{advice}") from cause
        if isinstance(error, httpx.TimeoutException):
            raise TimedOut(f"The answer of {place} did not come within the timeout of one attempt.") from cause
        raise ConnectionLost(f"The connection to {place} broke: {reason}.{advice}") from cause
    finally:
        must_end_at.reset(token)
        _ours.reset(ours)


def _more_came(response: httpx.Response) -> bool:
    """
    Say whether the service sent more than the answer, or may have: with a wrong `Content-Length`, or two lengths.

    On a connection that is used again it would be taken for the next answer. httpx does not look, and shows it nowhere.
    Once the answer is closed, the connection may be another exchange's.
    """
    if response.is_closed:
        return False
    if "content-length" in response.headers and "transfer-encoding" in response.headers:
        # Two lengths: where the answer ends is not certain (RFC 9112 6.3), and the connection is to be closed.
        return "network_stream" in response.extensions
    inner: Any = response.stream  # Any: private all the way down; a respx mock has none of it
    for name in ("_httpcore_stream", "_connection", "_h11_state"):
        inner = getattr(inner, name, None)
    return inner is not None and bool(inner.trailing_data[0])


class _OpenStream(Generic[EndT]):
    """A body that is read from outside: what both kinds are made of."""

    def __init__(
        self,
        response: httpx.Response,
        finish: Callable[[], EndT],
        connections: _Connections[Any, Any],  # Any: of whichever mode
        url: str,
    ) -> None:
        self._response = response
        self._finish: Callable[[], EndT] = finish
        self._connections = connections
        self._url = url
        # Held by whoever reads, or finishes.
        self._busy = threading.Lock()
        self._closed = False

    @contextmanager
    def _step(self) -> Generator[None]:
        if not self._busy.acquire(blocking=False):
            raise UsageError("a stream is read by one at a time")
        try:
            if self._closed:
                raise UsageError(_STREAM_CLOSED)
            with _exchange(self._connections, self._url, under_way=True):
                yield
        finally:
            self._busy.release()

    def _end(self) -> EndT | None:
        """
        Finish, but not below another thread that reads, which does so when it has got its bytes.

        TLS would read on from the number of a file that is somebody else's by then.
        """
        self._closed = True
        if not self._busy.acquire(blocking=False):
            return None
        try:
            return self._finish()
        finally:
            self._busy.release()

    def __del__(self) -> None:
        if not self._closed:
            message = "a file was neither closed nor read to its end: use `with`"
            warnings.warn(message, ResourceWarning, stacklevel=2, source=self)


@final
class _Stream(_OpenStream[None]):
    def __iter__(self) -> Iterator[bytes]:
        chunks = iter(cast("Iterable[bytes]", self._response.stream))
        while True:
            # Not around the loop: what the caller does between two chunks is not ours.
            try:
                with self._step():
                    chunk = next(chunks, None)
            finally:
                if self._closed:
                    self.close()
            if self._closed:
                raise UsageError(_STREAM_CLOSED)
            if chunk is None:
                self.close()
                return
            yield chunk

    def close(self) -> None:
        self._end()


@final
class _AsyncStream(_OpenStream[Awaitable[None]]):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = aiter(cast("AsyncIterable[bytes]", self._response.stream))
        for number in count(1):
            try:
                with self._step():
                    chunk = await anext(chunks, None)
                    if not number % _CHUNKS_AT_ONCE:
                        await asyncio.sleep(0)
            finally:
                if self._closed:
                    await self.aclose()
            if self._closed:
                raise UsageError(_STREAM_CLOSED)
            if chunk is None:
                await self.aclose()
                return
            yield chunk

    async def aclose(self) -> None:
        end = self._end()
        if end is not None:
            await end


@final
class HttpxTransport:
    """
    HTTP for `Cabinet`, the default. Thread-safe; close it, or the client that owns it.

    Args:
        tls: Whom to trust, and the client's certificate.
        proxy: Go through this one, whatever the environment says.
        connections: At most so many at once.
        environment: Whether ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY`` and ``SSL_CERT_FILE`` count.
    """

    @checking("HttpxTransport()", bound=True)
    def __init__(
        self,
        *,
        tls: Tls | None = None,
        proxy: Proxy | None = None,
        connections: int = 100,
        environment: bool = True,
    ) -> None:
        _some("HttpxTransport()", connections)
        slots = partial(_Slots, connections)
        self._connections = _Connections(httpx.HTTPTransport, slots, tls or Tls(), proxy, environment=environment)

    def send(self, request: Request) -> Response:
        """Send one request; see `Transport.send`."""
        ends_at = None if request.timeout.total is None else time.monotonic() + request.timeout.total
        with _exchange(self._connections, request.url, ends_at):
            foreign = _foreign(request, asynchronous=False)
            lease = self._lease(request.url, foreign)
            try:
                self._close_unused()
                response = lease.connection.handle_request(foreign)
                head = _head(response)
                content: bytes | bytearray = b""
                try:
                    _check(head, request, self._connections)
                    if request.stream and head.status < 300:
                        finish = partial(self._finish, response, lease)
                        stream = _Stream(response, finish, self._connections, request.url)
                        return attrs.evolve(head, stream=stream)
                    for chunk in cast("Iterable[bytes]", response.stream):
                        content = _joined(content, chunk)
                        if len(content) > request.answer_limit:
                            raise _too_large(head, request)
                except (httpx.TransportError, UnreadableAnswer):
                    # The head of a 401 tells what to do: renew the token.
                    if head.status != 401:
                        raise
            except BaseException:
                self._drop(lease)
                raise
            self._finish(response, lease)
        return Response(status=head.status, headers=head.headers, content=bytes(content))

    def _lease(self, url: str, foreign: httpx.Request) -> _Lease[httpx.HTTPTransport]:
        held = self._connections.held()
        if not held.slots.acquire(foreign.extensions["timeout"]["pool"]):
            raise _no_slot(self._connections.place(url))
        try:
            return self._connections.take(url, held)
        except BaseException:
            held.slots.release()
            raise

    def _finish(self, response: httpx.Response, lease: _Lease[httpx.HTTPTransport]) -> None:
        try:
            if _more_came(response):
                response.extensions["network_stream"].close()
            response.close()
        except BaseException:
            self._drop(lease)
            raise
        lease.give_back()
        if self._connections.lifetime.over:
            self._close_unused()

    def _drop(self, lease: _Lease[httpx.HTTPTransport]) -> None:
        # Nobody knows what an interrupt has left half done in the libraries below.
        if lease.give_up():
            lease.connection.close()

    def _close_unused(self) -> None:
        for unused in self._connections.unused():
            unused.close()

    def sleep(self, seconds: float) -> None:
        """Wait in this thread."""
        time.sleep(seconds)

    def now(self) -> float:
        """Return the monotonic clock."""
        return time.monotonic()

    def close(self) -> None:
        """Send nothing more; what is on its way comes to its end, files that were opened among it."""
        self._connections.lifetime.over = True
        self._close_unused()


@final
class AsyncHttpxTransport:
    """
    HTTP for `AsyncCabinet`, the default, on asyncio. For one event loop; close it, or the client that owns it.

    Args:
        tls: Whom to trust, and the client's certificate.
        proxy: Go through this one, whatever the environment says.
        connections: At most so many at once.
        environment: Whether ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY`` and ``SSL_CERT_FILE`` count.
    """

    @checking("AsyncHttpxTransport()", bound=True)
    def __init__(
        self,
        *,
        tls: Tls | None = None,
        proxy: Proxy | None = None,
        connections: int = 100,
        environment: bool = True,
    ) -> None:
        _some("AsyncHttpxTransport()", connections)
        slots = partial(asyncio.Semaphore, connections)
        self._connections = _Connections(httpx.AsyncHTTPTransport, slots, tls or Tls(), proxy, environment=environment)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def send(self, request: Request) -> Response:
        """Send one request; see `AsyncTransport.send`."""
        self._stay_in_the_loop()
        try:
            async with asyncio.timeout(request.timeout.total):
                return await self._send(request)
        except TimeoutError as error:
            raise _too_late(self._connections.place(request.url)) from error

    def _stay_in_the_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            # Its connections belong to the loop that made them.
            advice = "make another one inside each asyncio.run(), and close it there"
            raise UsageError(f"an AsyncCabinet serves one event loop: {advice}")

    async def _send(self, request: Request) -> Response:
        with _exchange(self._connections, request.url):
            foreign = _foreign(request, asynchronous=True)
            lease = await self._lease(request.url, foreign)
            try:
                await self._close_unused()
                response = await lease.connection.handle_async_request(foreign)
                head = _head(response)
                content: bytes | bytearray = b""
                try:
                    _check(head, request, self._connections)
                    if request.stream and head.status < 300:
                        finish = partial(self._finish, response, lease)
                        stream = _AsyncStream(response, finish, self._connections, request.url)
                        return attrs.evolve(head, stream=stream)
                    chunks = 0
                    async for chunk in cast("AsyncIterable[bytes]", response.stream):
                        content = _joined(content, chunk)
                        if len(content) > request.answer_limit:
                            raise _too_large(head, request)
                        chunks += 1
                        if not chunks % _CHUNKS_AT_ONCE:
                            await asyncio.sleep(0)
                except (httpx.TransportError, UnreadableAnswer):
                    # The head of a 401 tells what to do: renew the token.
                    if head.status != 401:
                        raise
            except BaseException:
                await self._drop(lease)
                raise
            await self._finish(response, lease)
        return Response(status=head.status, headers=head.headers, content=bytes(content))

    async def _lease(self, url: str, foreign: httpx.Request) -> _Lease[httpx.AsyncHTTPTransport]:
        held = self._connections.held()
        try:
            async with asyncio.timeout(foreign.extensions["timeout"]["pool"] if held.slots.locked() else None):
                await held.slots.acquire()
        except TimeoutError:
            raise _no_slot(self._connections.place(url)) from None
        try:
            return self._connections.take(url, held)
        except BaseException:
            held.slots.release()
            raise

    async def _finish(self, response: httpx.Response, lease: _Lease[httpx.AsyncHTTPTransport]) -> None:
        try:
            if _more_came(response):
                await response.extensions["network_stream"].aclose()
            await response.aclose()
        except BaseException:
            await self._drop(lease)
            raise
        lease.give_back()
        if self._connections.lifetime.over:
            await self._close_unused()

    async def _drop(self, lease: _Lease[httpx.AsyncHTTPTransport]) -> None:
        # Nobody knows what an interrupt has left half done in the libraries below.
        if lease.give_up():
            await lease.connection.aclose()

    async def _close_unused(self) -> None:
        for unused in self._connections.unused():
            await unused.aclose()

    async def sleep(self, seconds: float) -> None:
        """Wait in this task."""
        await asyncio.sleep(seconds)

    def now(self) -> float:
        """Return the monotonic clock."""
        return time.monotonic()

    async def aclose(self) -> None:
        """Send nothing more; what is on its way comes to its end, files that were opened among it."""
        if not self._connections.lifetime.over:
            self._stay_in_the_loop()
        self._connections.lifetime.over = True
        await self._close_unused()
