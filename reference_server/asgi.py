"""
A world on a socket: ASGI around `World.respond`.

Most requests have no body and are answered from memory, so that nothing is waited for. A server that knows of
`App.at_once` needs no task for those; any other one calls the application for each.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, MutableMapping
from copy import copy
from functools import lru_cache, partial
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, TypeAlias, TypeVar, cast, final
from urllib.parse import urlsplit

from cabinet_sdk._core.wire import ByteStream, Headers
from cabinet_sdk.errors import ConnectionLost, RequestTooLarge, ServiceUnavailable
from cabinet_sdk.types import File
from reference_server.limits import MAX_BODY
from reference_server.pages import pages
from reference_server.respond import BASE_PATH, Exchange
from reference_server.session import Reply
from reference_server.turns import Turns, stopping
from reference_server.world import World

__all__ = ["BREAK", "SLOW", "App", "Receive", "Scope", "Send"]

BREAK = "reference_server.break"
"""What a server may have in a scope: to be called, it breaks the connection."""

SLOW = "reference_server.slow"
"""What `App` has in a scope: whether answering takes a while, so that nobody who is gone is answered."""

# How long and how much a client may send after its request has been refused.
_LINGER_SECONDS = 5
_LINGER_BYTES = 64 * 1024 * 1024

# Any: ASGI's own types are open mappings.
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

T = TypeVar("T")

# What no foreign name server decides about: RFC 6761 6.3 keeps `localhost`, and all below it, for this machine.
_OWN_HOST = re.compile(
    r"(?:(?:[a-z0-9-]{1,63}\.)*localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE
)
_BELOW = f"{BASE_PATH}/"
_BELOW_RAW = _BELOW.encode()
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?", re.ASCII)


@final
class App:
    """
    The ASGI application of one world.

    Args:
        world: What it serves.
        sandbox: Whether the pages show credentials and let a visitor decide in the authorities' place; then it answers
            to the names of this machine alone.
    """

    def __init__(self, world: World, *, sandbox: bool = True) -> None:
        self._world = world
        self._sandbox = sandbox
        self._pages = pages(world, sandbox=sandbox)
        # With the threads of all others, a few exports would hold up everybody.
        self._turns = Turns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer below the base path by the contract, elsewhere with pages for people."""
        try:
            if scope["type"] == "http":
                exchange = self._exchange_of(scope)
                if exchange.misdirected or scope["path"].startswith(_BELOW):
                    await self._serve(exchange, scope, receive, send)
                    return
            await self._pages(scope, *_ending(scope, receive, send))
        except asyncio.CancelledError:
            # The time to stop is over, and what became of the request nobody knows.
            if BREAK not in scope:
                raise
            await _break(scope, receive)

    def stop(self) -> None:
        """Refuse what waits for its turn or for the rest of its body: the server is to stop."""
        self._turns.stop()

    def at_once(self, scope: Scope) -> Reply | None:
        """
        Answer a request without a body where nothing is waited for; None where something may be.

        Raises:
            ConnectionLost: A fault asks that the connection be broken.
        """
        world = self._world
        if not world.in_memory or not scope["raw_path"].startswith(_BELOW_RAW):
            return None
        exchange = self._exchange_of(scope)
        if exchange.slow or not world.lock.acquire(blocking=False):
            return None
        try:
            return exchange.respond(b"")
        finally:
            world.lock.release()

    def _exchange_of(self, scope: Scope) -> Exchange:
        headers = Headers.received(scope["headers"])
        host, client = headers.get("host") or "", scope.get("client")
        # A name leads here that is not this machine's, though nobody else is served.
        misdirected = self._sandbox and not _is_own_host(host)
        return Exchange(
            self._world,
            method=scope["method"],
            origin=_origin(scope, "" if misdirected else host),
            path=scope["raw_path"].decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            sender=client[0] if client else None,
            misdirected=misdirected,
        )

    async def _serve(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._exchange(exchange, scope, receive, send)
        except ConnectionLost:
            # ASGI has no word for breaking a connection: an answer that ends before its body has the server do it.
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
            # Most call that an error in their log. One of ours can be told that it is meant.
            if BREAK in scope:
                await _break(scope, receive)

    async def _exchange(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        headers = exchange.headers
        scope[SLOW] = exchange.slow
        bodiless = _has_no_body(scope, headers)
        if bodiless and not exchange.slow:
            await _send(receive, send, await self._run(partial(exchange.respond, b"")))
            return
        begun = await self._run(exchange.admit)
        if isinstance(begun, Reply):
            await _send(receive, send, begun, unread=not bodiless and _has_large_body(headers))
            return
        if bodiless:
            await self._answer_slowly(exchange, b"", receive, send)
            return
        with SpooledTemporaryFile(max_size=MAX_BODY) as spool:
            try:
                async with self._turns.waiting():
                    content = await _body(headers, receive, begun.max_body, cast("BinaryIO", spool))
            except (RequestTooLarge, ServiceUnavailable, OSError) as error:
                response = await self._run(partial(exchange.refuse, error))
                # A server that is to stop waits for no more of it.
                await _send(receive, send, response, unread=not isinstance(error, ServiceUnavailable))
                return
            except BaseException:
                # A server that ends waits for no body, and a key must not stay claimed.
                exchange.abandon()
                raise
            if content is None:
                exchange.abandon()
                return
            if exchange.slow or not isinstance(content, bytes):
                await self._answer_slowly(exchange, content, receive, send)
            else:
                await _send(receive, send, await self._run(partial(exchange.answer, content)))

    async def _answer_slowly(self, exchange: Exchange, content: bytes | File, receive: Receive, send: Send) -> None:
        """Answer when it is the profile's turn, unless before that the client is gone or the server is to stop."""
        gone = asyncio.ensure_future(_disconnected(receive))
        step = partial(exchange.answer, content)
        try:
            reply = await self._turns.take(exchange.operation, exchange.profile_id, step, gone)
        except ServiceUnavailable as error:
            if gone.done():
                exchange.abandon()
                return
            reply = await self._run(partial(exchange.refuse, error))
        except asyncio.CancelledError:
            # The time to stop is over. A thread with an upload may change something yet: nobody can say what becomes
            # of that. One that makes a file changes nothing, and still has the exchange itself.
            if not exchange.slow:
                raise
            reply = copy(exchange).refuse(stopping())
        finally:
            gone.cancel()
        await _send(receive, send, reply)

    async def _run(self, step: Callable[[], T]) -> T:
        """
        Take a step where it holds up nobody: here, or in a thread where it may wait.

        It does for the disk, with a world in a file, and while another thread has the world.
        """
        lock = self._world.lock
        if not self._world.in_memory or not lock.acquire(blocking=False):
            return await asyncio.to_thread(step)
        try:
            return step()
        finally:
            lock.release()


def _has_no_body(scope: Scope, headers: Headers) -> bool:
    """Say whether there is no body to read, as of most requests (RFC 9112 6.3); later versions frame them otherwise."""
    unframed = headers.get("content-length") is None and headers.get("transfer-encoding") is None
    return unframed and scope["http_version"] in {"1.0", "1.1"}


def _origin(scope: Scope, host: str) -> str:
    if not _is_host(host):
        server = scope.get("server") or ("localhost", 80)
        host = f"{server[0]}:{server[1]}"
    return f"{scope['scheme']}://{host}"


@lru_cache(maxsize=64)
def _is_own_host(text: str) -> bool:
    return _OWN_HOST.fullmatch(text) is not None


@lru_cache(maxsize=64)
def _is_host(text: str) -> bool:
    if not _HOST.fullmatch(text):
        return False
    try:
        # What stands in brackets need not be an address, and could not be read later.
        urlsplit(f"//{text}")
    except ValueError:
        return False
    return True


async def _body(headers: Headers, receive: Receive, limit: int, spool: BinaryIO) -> bytes | File | None:
    """
    Read the body, a large one into the spool; None where the client is gone before it was whole.

    Raises:
        RequestTooLarge: It is longer than the limit, which is known as soon as it is declared or has come.
        OSError: The disk does not take it.
    """
    length, more = 0, True
    while more and max(length, _declared_length(headers)) <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        piece = message.get("body", b"")
        length += len(piece)
        more = message.get("more_body", False)
        if length > MAX_BODY:
            await asyncio.to_thread(spool.write, piece)
        else:
            spool.write(piece)
    if max(length, _declared_length(headers)) > limit:
        raise RequestTooLarge(f"The body is longer than {limit} bytes.")
    spool.seek(0)
    return File(spool, name="body") if length > MAX_BODY else spool.read()


def _declared_length(headers: Headers) -> int:
    # What is no number here, the HTTP parser has refused already.
    return int(headers.get("content-length") or 0)


def _has_large_body(headers: Headers) -> bool:
    """Say whether a body may follow that is too long to wait for its end once the request is refused."""
    return "transfer-encoding" in headers or _declared_length(headers) > MAX_BODY


async def _send(receive: Receive, send: Send, reply: Reply, *, unread: bool = False) -> None:
    """Send an answer; where a large body is unread, the connection ends with it."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    if unread:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if reply.stream is not None:
        await _stream(receive, send, reply.stream)
        return
    if unread:
        await send({"type": "http.response.body", "body": reply.content, "more_body": True})
        await _linger(receive)
        await send({"type": "http.response.body", "body": b""})
        return
    await send({"type": "http.response.body", "body": reply.content})


def _ending(scope: Scope, receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Have the connection end with an answer that comes before the end of a large body, like those of the contract."""
    unread = scope["type"] == "http" and _has_large_body(Headers.received(scope["headers"]))

    async def received() -> MutableMapping[str, Any]:  # Any: as above
        nonlocal unread
        message = await receive()
        unread = unread and message.get("more_body", False)
        return message

    async def sent(message: MutableMapping[str, Any]) -> None:  # Any: as above
        if unread and message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
        elif unread and not message.get("more_body", False):
            await send({**message, "more_body": True})
            await _linger(receive)
            message = {"type": "http.response.body", "body": b""}
        await send(message)

    return received, sent


async def _stream(receive: Receive, send: Send, stream: ByteStream) -> None:
    """Send a body piece by piece, as long as somebody is there to take it."""
    pieces = iter(stream)
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        # Reading it may wait for a disk.
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            if gone.done():
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()
        stream.close()


async def _break(scope: Scope, receive: Receive) -> None:
    scope[BREAK]()
    await _disconnected(receive)


async def _disconnected(receive: Receive) -> None:
    """Wait until the client is gone; before that comes the end of a request that nobody needed to read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _linger(receive: Receive) -> None:
    """
    Let a client send on for a while, unread.

    Were the connection closed at once, what is still on its way would be answered with a reset, and most clients would
    not see the refusal for it.
    """
    length = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while length < _LINGER_BYTES:
                message = await receive()
                length += len(message.get("body", b""))
                if not message.get("more_body", False):
                    break
