"""A world on a socket: ASGI around `World.respond`."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, TypeAlias, cast, final

from cabinet_sdk._core.answer_codec import encode_answer
from cabinet_sdk._core.operation import Upload
from cabinet_sdk._core.problems import MEDIA_TYPE, to_document
from cabinet_sdk._core.wire import ByteStream, Headers, Request, Response
from cabinet_sdk.errors import ConnectionLost, Problem, RequestTooLarge
from cabinet_sdk.types import File
from reference_server.limits import MAX_BODY
from reference_server.pages import pages
from reference_server.respond import BASE_PATH, REQUEST_ID
from reference_server.world import World

__all__ = ["App", "Receive", "Scope", "Send"]

# How long and how much a client may send after its request has been refused.
_LINGER_SECONDS = 5
_LINGER_BYTES = 64 * 1024 * 1024

# Any: ASGI's own types are open mappings.
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?", re.ASCII)


@final
class App:
    """
    The ASGI application of one world.

    Args:
        world: What it serves.
        sandbox: Whether the pages show credentials and let a visitor decide in the authorities' place.
    """

    def __init__(self, world: World, *, sandbox: bool = True) -> None:
        self._world = world
        self._pages = pages(world, sandbox=sandbox)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer below the base path by the contract, elsewhere with pages for people."""
        if scope["type"] == "http" and scope["path"].startswith(f"{BASE_PATH}/"):
            await self._serve(scope, receive, send)
        else:
            await self._pages(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        origin = _origin(scope, headers)
        query = scope["query_string"].decode("latin-1")
        path = scope["raw_path"].decode("latin-1")
        limit = self._limit(scope["method"], path)
        with SpooledTemporaryFile(max_size=MAX_BODY) as spool:
            content = await _body(headers, receive, limit, cast("BinaryIO", spool))
            if content is None:
                await _send(send, _too_large(headers, origin, limit), before_end=partial(_linger, receive))
                return
            request = Request(
                method=scope["method"],
                url=f"{origin}{path}" + (f"?{query}" if query else ""),
                headers=headers,
                content=content,
            )
            await self._answer(request, send)

    def _limit(self, method: str, path: str) -> int:
        """Return how long the body may be; a form may have as much text around its file as any other body."""
        try:
            row = self._world.router.match(method, path[len(BASE_PATH) :]).row
        except Problem:
            return MAX_BODY
        return row.max_bytes + MAX_BODY if isinstance(row, Upload) else MAX_BODY

    async def _answer(self, request: Request, send: Send) -> None:
        try:
            # A world in a file waits for the disk at each commit, a large body too, which must not hold up the others.
            if self._world.in_memory and isinstance(request.content, bytes):
                response = self._world.respond(request)
            else:
                response = await asyncio.to_thread(self._world.respond, request)
        except ConnectionLost:
            # ASGI has no word for breaking a connection: an answer that ends before its body makes the server do it.
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
            return
        await _send(send, response)


def _origin(scope: Scope, headers: Headers) -> str:
    host = headers.get("host") or ""
    if not _HOST.fullmatch(host):
        server = scope.get("server") or ("localhost", 80)
        host = f"{server[0]}:{server[1]}"
    return f"{scope['scheme']}://{host}"


async def _body(headers: Headers, receive: Receive, limit: int, spool: BinaryIO) -> bytes | File | None:
    """Read the body, a large one into the spool; None as soon as it is known to be longer than the limit."""
    # What is no number here, the HTTP parser has refused already.
    if int(headers.get("content-length") or 0) > limit:
        return None
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            # The client is gone before its request was whole: nothing may come of it.
            raise asyncio.CancelledError
        piece = message.get("body", b"")
        length += len(piece)
        if length > limit:
            return None
        if length > MAX_BODY:
            await asyncio.to_thread(spool.write, piece)
        else:
            spool.write(piece)
        if not message.get("more_body", False):
            spool.seek(0)
            return File(spool, name="body") if length > MAX_BODY else spool.read()


def _too_large(headers: Headers, origin: str, limit: int) -> Response:
    given = headers.get("x-request-id") or ""
    request_id = given if REQUEST_ID.fullmatch(given) else "unread"
    error = RequestTooLarge(f"The body is longer than {limit} bytes.", request_id=request_id)
    return Response(
        status=error.status,
        headers=Headers((("content-type", MEDIA_TYPE), ("x-request-id", request_id), ("connection", "close"))),
        content=encode_answer(to_document(error, f"{origin}/problems")),
    )


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


async def _send(send: Send, response: Response, before_end: Callable[[], Awaitable[None]] | None = None) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.pairs()]
    if response.status != 304 and "content-length" not in response.headers:
        headers.append((b"content-length", str(len(response.content)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if response.stream is not None:
        # What `respond` streams is a file: reading it may wait for a disk.
        pieces = iter(cast("ByteStream", response.stream))
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    if before_end is None:
        await send({"type": "http.response.body", "body": response.content})
        return
    await send({"type": "http.response.body", "body": response.content, "more_body": True})
    await before_end()
    await send({"type": "http.response.body", "body": b""})
