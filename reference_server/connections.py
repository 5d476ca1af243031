"""
Connections that get on: whoever sends or takes bytes too slowly loses the connection, and holds up nobody else.

uvicorn limits only the pause between two requests. Without more, a client that never ends its head, drips its body or
does not read its answer would keep a socket for ever, and a few thousand of those all sockets that there are. Nor does
it limit a head: one of many short fields takes twenty times its length in memory, and needs no token for that.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast, final
from urllib.parse import urlsplit

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from cabinet_sdk._core.answer_codec import encode_answer
from cabinet_sdk._core.problems import MEDIA_TYPE, to_document
from cabinet_sdk.errors import ConnectionLost, MalformedRequest, Problem, RequestTooLarge
from reference_server.asgi import BREAK, SLOW, App
from reference_server.respond import EVERY_ANSWER
from reference_server.session import Reply

__all__ = ["BYTES_PER_SECOND", "MAX_HEAD", "PATIENCE_SECONDS", "Connection"]

PATIENCE_SECONDS = 15.0
"""How long a head may take to come whole, how long a body may lag behind, how long an answer may lie untaken."""

BYTES_PER_SECOND = 500
"""How fast a body must come, and an answer be taken, on the average."""

MAX_HEAD = 64 * 1024
"""How many bytes a head may have, and the fields after a body."""

# In digits: 64 bits.
_LONGEST_LENGTH = 20

_NOT_HTTP = MalformedRequest("What came is no HTTP/1.1, or its method is none that exists.")
_HEAD_TOO_LARGE = RequestTooLarge(f"A head has at most {MAX_HEAD} bytes, and so has what follows a body.", status=431)


@final
class Connection(HttpToolsProtocol):
    """A connection with one clock: for the request while it comes, for the answer while it lies in our buffer."""

    _due: float | None = None
    """Until when the request must be whole; None while none is on its way."""
    _request_clock: asyncio.TimerHandle | None = None
    _answer_clock: asyncio.TimerHandle | None = None
    _first = False
    """Whether the next request is the first of what has just come."""
    _answered = False
    """Whether the request on its way was answered before its body was there: refused."""
    _fields = 0
    """Bytes that came since the request began or the last of its body did."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._due = self.loop.time() + PATIENCE_SECONDS
        self._watch_request()

    def data_received(self, data: bytes) -> None:
        """Take what came; a body gains time with each byte, unless nobody waits for it any more."""
        if self._due is not None and not self._answered:
            # Not in advance: whoever sent much at once could be silent for long.
            self._due = min(self._due + len(data) / BYTES_PER_SECOND, self.loop.time() + PATIENCE_SECONDS)
        self._fields += len(data)
        self._first = True
        super().data_received(data)
        if self._fields > MAX_HEAD and not self.transport.is_closing():
            self._refuse(_HEAD_TOO_LARGE)
        self._watch_request()

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._due = self.loop.time() + PATIENCE_SECONDS
        self._answered = False
        self._fields = 0
        super().on_message_begin()
        scope: Any = self.scope  # Any: with a name of our own
        # What a client does not take must not hold it up.
        scope[BREAK] = self.transport.abort

    def on_headers_complete(self) -> None:
        """
        Have the head: the body has a time of its own.

        Raises:
            ValueError: It does not name its host once (RFC 9112 3.2), declares a length of more digits than any has,
                asks for another protocol before its body is through, which the parser would take for the next request,
                or codes its body otherwise than in chunks, which the parser undoes alone (RFC 9112 6.1). Each is
                answered with 400.
        """
        parser = self.parser
        if parser is None or self.transport.is_closing():
            # Whoever sent it gets no answer any more.
            return
        names = [name for name, _ in self.headers]
        hosts = names.count(b"host")
        if hosts != 1 and (hosts or parser.get_http_version() != "1.0"):
            msg = f"a head names its host once, not {hosts} times"
            raise ValueError(msg)
        if b"content-length" in names and any(
            name == b"content-length" and len(value) > _LONGEST_LENGTH for name, value in self.headers
        ):
            # Zeros, which the parser takes in any number and Python does not.
            msg = f"a length has {_LONGEST_LENGTH} digits at most"
            raise ValueError(msg)
        if not self.url.startswith(b"/"):
            # The target of a request names the host before its head does (RFC 9112 3.2.2).
            authority = urlsplit(self.url).netloc
            if authority:
                self.headers[:] = [field for field in self.headers if field[0] != b"host"]
                self.headers.append((b"host", authority))
        bodiless = b"content-length" not in names and b"transfer-encoding" not in names
        if not bodiless and parser.should_upgrade():
            msg = "a request with a body cannot change the protocol"
            raise ValueError(msg)
        if b"transfer-encoding" in names:
            codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
            if codings != [b"chunked"] or parser.get_http_version() == "1.0":
                msg = "a body comes as it is, or in chunks by HTTP/1.1"
                raise ValueError(msg)
        self._fields = 0
        # The parser names what follows a body like the fields of the head, whose list the application has from here on.
        self.headers = []
        if bodiless and self._answer_at_once(parser):
            return
        self._due = self.loop.time() + PATIENCE_SECONDS
        # An answer that was given at once to the request before, in the same packet, has set it.
        self._unset_keepalive_if_required()
        super().on_headers_complete()

    def _answer_at_once(self, parser: httptools.HttpRequestParser) -> bool:
        """
        Answer here and now a request without a body, where nothing is waited for; say whether it was.

        Of requests that come together only the first: however many there are, others have their turn between them.
        """
        first, self._first = self._first, False
        app = cast("object", self.app)  # pyright: ignore[reportUnknownMemberType]  # uvicorn serves every kind
        if (
            not first
            or not isinstance(app, App)
            or self._is_answering()
            or self.flow.write_paused
            or parser.get_http_version() != "1.1"
            or parser.should_upgrade()
            or not parser.should_keep_alive()
        ):
            return False
        url = httptools.parse_url(self.url)
        scope: Any = self.scope  # Any: what uvicorn has of it so far
        scope["method"] = parser.get_method().decode()
        scope["raw_path"] = url.path or b""
        scope["query_string"] = url.query or b""
        try:
            reply = app.at_once(scope)
        except Exception as error:
            # Raised on, it would be taken for a fault of the request.
            if not isinstance(error, ConnectionLost):
                self.logger.exception("An answer failed.")
            self.transport.close()
            return True
        if reply is None:
            return False
        self.transport.write(self._head(reply) + reply.content)
        # Nothing of the request is still to come.
        self._due = None
        self.on_response_complete()
        return True

    def _head(self, reply: Reply) -> bytes:
        fields = "".join([f"{name}: {value}\r\n" for name, value in reply.headers])
        default = b"".join([b"%b: %b\r\n" % field for field in self.server_state.default_headers])
        return b"%b%b%b\r\n" % (STATUS_LINE[reply.status], default, fields.encode("latin-1"))

    def on_body(self, body: bytes) -> None:
        """Have a part of a body."""
        self._fields = 0
        if self._is_answering():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Have the whole request."""
        self._due = None
        self._fields = 0
        if self._is_answering():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Have answered; the answer may not be taken yet, nor the request be whole."""
        if self._due is not None and self.cycle.response_complete:
            self._answered = True
            self._due = min(self._due, self.loop.time() + PATIENCE_SECONDS)
            # The clock was set for later.
            self._forget_request()
            self._watch_request()
        super().on_response_complete()
        self._watch_answer()

    def pause_writing(self) -> None:
        """Have more of an answer than is being taken."""
        super().pause_writing()
        self._watch_answer()

    def resume_writing(self) -> None:
        """Have room again: the answer is being taken."""
        super().resume_writing()
        self._forget_answer()

    def eof_received(self) -> bool | None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # uvicorn's own always closes
        """Have all that comes: a whole request is answered, though its client has closed its side of the connection."""
        whole = self._is_answering() and self._due is None
        # A client that is gone says no more than that: nothing that takes long goes on for it.
        if not whole or self.cycle.response_started or self.scope.get(SLOW) or self.scheme != "http":
            return None
        self.cycle.keep_alive = False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._due = None
        self._forget_request()
        self._forget_answer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # what the parser says is the same for all
        """Refuse what is no HTTP."""
        self._refuse(_NOT_HTTP)

    def _refuse(self, problem: Problem) -> None:
        """
        End a connection on which nothing can be read any more; say so, where that is the only answer to its request.

        While another answer is on its way the refusal would stand in its place, or within it.
        """
        if self._is_answering():
            cycle = self.cycle
            if self.pipeline or cycle.response_started or not cycle.more_body:
                self.transport.abort()
                return
            # Its answer has not begun, and is not wanted any more.
            cycle.disconnected = True
            cycle.message_event.set()
        content = encode_answer(to_document(problem))
        headers = [("content-type", MEDIA_TYPE), *EVERY_ANSWER, ("content-length", str(len(content)))]
        self.transport.write(self._head(Reply(problem.status, [*headers, ("connection", "close")])) + content)
        self.transport.close()

    def _watch_request(self) -> None:
        if self._due is None:
            self._forget_request()
            if self._is_idle():
                # The rest of a body whose request was refused has come: uvicorn has stopped its clock for it.
                self.timeout_keep_alive_task = self.loop.call_later(
                    self.timeout_keep_alive, self.timeout_keep_alive_handler
                )
        elif self._request_clock is None:
            self._request_clock = self.loop.call_at(self._due, self._end_slow_request)

    def _is_idle(self) -> bool:
        unwatched = self.timeout_keep_alive_task is None and not self.transport.is_closing()
        return unwatched and not self._is_answering()

    def _is_answering(self) -> bool:
        # Before the first task there is none, which its type does not say.
        return not getattr(self.cycle, "response_complete", True)

    def _forget_request(self) -> None:
        if self._request_clock is not None:
            self._request_clock.cancel()
            self._request_clock = None

    def _end_slow_request(self) -> None:
        self._request_clock = None
        now = self.loop.time()
        if self.flow.read_paused:
            # It is us who are slow: what came is not read yet.
            self._due = now + PATIENCE_SECONDS
        if self._due is not None and self._due <= now:
            self.transport.abort()
        else:
            self._watch_request()

    def _watch_answer(self) -> None:
        left = self.transport.get_write_buffer_size()
        if left and self._answer_clock is None:
            self._answer_clock = self.loop.call_later(PATIENCE_SECONDS, self._end_slow_answer, left)

    def _forget_answer(self) -> None:
        if self._answer_clock is not None:
            self._answer_clock.cancel()
            self._answer_clock = None

    def _end_slow_answer(self, left: int) -> None:
        self._answer_clock = None
        still = self.transport.get_write_buffer_size()
        if still > left - PATIENCE_SECONDS * BYTES_PER_SECOND and still:
            self.transport.abort()
        else:
            self._watch_answer()
