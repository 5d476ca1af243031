"""
A file on its way here: read on, and resumed where the connection broke. Flows alone, without I/O of their own.

Parts are joined only if they are of one file: the same strong `ETag` (RFC 9110 13.1.5), and at the end the length and
the SHA-256 that the service announced.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, NoReturn, cast, final

from cabinet_sdk._core.calls import send
from cabinet_sdk._core.context import Context
from cabinet_sdk._core.digests import digest_in
from cabinet_sdk._core.disposition import name_of
from cabinet_sdk._core.flow import Flow, close, pause, read_chunk
from cabinet_sdk._core.operation import Download
from cabinet_sdk._core.wire import AsyncByteStream, ByteStream, Headers, Response
from cabinet_sdk.errors import (
    CallerError,
    ConnectionLost,
    FileChanged,
    NetworkError,
    UnreadableAnswer,
    UsageError,
)

__all__ = ["Transfer"]

_CLOSED = "the download is closed; ask for the file again"

# Of ASCII alone: what else RFC 9110 allows could not be sent back by every transport.
_STRONG = re.compile(r'"[\x21\x23-\x7e]*"')
_PART = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/(?:([0-9]{1,19})|\*)", re.ASCII | re.IGNORECASE)


def _is_page(headers: Headers) -> bool:
    """Say whether it is what something between answers: a file of that type says that it is one."""
    return "text/html" in (headers.get("content-type") or "").lower() and headers.get("content-disposition") is None


@final
class Transfer:
    """
    One download, with all its exchanges.

    Attributes:
        request_id: Of all of them.
        headers: Of the file, as the first answer to it had them.
        length: In bytes; None where the service does not say.
        position: How many bytes have been handed out.
        restarts: How often it began anew; what was handed out before that is void.
        restartable: Whether it may, because nothing of what was handed out has got further yet.
    """

    length: int | None
    _etag: str | None

    def __init__(self, context: Context, row: Download[..., Any], value: object, *, asynchronous: bool) -> None:
        self._context = context
        self._row = row
        self._value = value
        self._asynchronous = asynchronous
        self.request_id: str = context.new_id()
        self.restarts: int = 0
        self.restartable = False
        self._stream: ByteStream | AsyncByteStream | None = None
        self._chunks: Iterator[bytes] | AsyncIterator[bytes] | None = None
        self._failures = 0
        self._furthest = 0
        self._ended = False
        self._given_up = False
        self._describe(Headers())

    @property
    def name(self) -> str:
        """A safe name, from `Content-Disposition`."""
        return name_of(self.headers.get("content-disposition"))

    @property
    def media_type(self) -> str:
        """What the service says that it is."""
        return self.headers.get("content-type") or "application/octet-stream"

    def open(self) -> Flow[None]:
        """Ask for the file."""
        try:
            yield from self._begin(())
        except UnreadableAnswer:
            yield from self.close()
            raise

    def next_chunk(self) -> Flow[bytes | None]:
        """
        Read on, None at the end, where length and digest have turned out right.

        Raises:
            NetworkError: The connection broke, and attempts or budget are used up or the file cannot be resumed.
            FileChanged: It broke, and the service has another file now.
            UnreadableAnswer: The file is not as long as announced, or has another digest.
            UsageError: The download was closed before its end.
        """
        try:
            while not self._ended:
                chunk = yield from self._read()
                if chunk:
                    self._digest.update(chunk)
                    self.position += len(chunk)
                    self._get_on()
                    if self._until is not None and self.position > self._until:
                        self._damaged(f"it is longer than the {self._until} bytes announced")
                    return chunk
        except GeneratorExit:
            # Nobody is left who would do what is asked for here.
            raise
        except BaseException:
            yield from self.close()
            raise
        return None

    def close(self) -> Flow[None]:
        """Give back the connection; nothing more can be read, also by who waits for it now."""
        self._given_up = True
        yield from self._let_go()

    def _let_go(self) -> Flow[None]:
        stream, self._stream = self._stream, None
        self._chunks = None
        if stream is not None:
            yield from close(stream)

    def _read(self) -> Flow[bytes]:
        """Return what comes next, nothing where the connection had to be made anew or the end is reached."""
        if self._chunks is None:
            raise UsageError(_CLOSED)
        try:
            chunk = yield from read_chunk(self._chunks)
            if chunk is None and not self._whole:
                self._cut()
        except NetworkError as error:
            error.request_id, error.operation = self.request_id, self._row.id
            yield from self._resume(error)
            return b""
        if chunk is None:
            yield from self._end()
            return b""
        skipped = chunk[: self._to_skip]
        self._to_skip -= len(skipped)
        return chunk[len(skipped) :]

    def _get_on(self) -> None:
        """Forget the failures where the file is further than ever: what comes again after a restart does not count."""
        if self.position > self._furthest:
            self._furthest = self.position
            if self._failures:
                self._context.budget.give(1)
                self._failures = 0

    @property
    def _whole(self) -> bool:
        """Whether all is there where an answer ends here: a part may be shorter than what was asked for."""
        if self.length is None:
            return self._until is None and self._to_skip == 0
        return self.position == self.length

    def _cut(self) -> NoReturn:
        of_all = "" if self.length is None else f" of {self.length}"
        message = f"The answer ended after {self.position}{of_all} bytes."
        raise ConnectionLost(message)

    @property
    def _resumable(self) -> bool:
        """Whether the rest is asked for and not the file."""
        return self._etag is not None and self.position > 0

    def _resume(self, error: NetworkError) -> Flow[None]:
        context = self._context
        resumable = self._resumable
        self._failures += 1
        if self._given_up:
            raise UsageError(_CLOSED)
        lost = self.position > 0 and not resumable and not self.restartable
        if lost or self._failures >= context.retry.attempts or not context.budget.take():
            raise error
        yield from self._let_go()
        delay = context.retry.jittered_delay(self._failures, context.random())
        if delay > 0:
            yield from pause(delay)
        if not resumable:
            yield from self._begin(())
            return
        try:
            yield from self._ask_for_the_rest()
        except FileChanged:
            if not self.restartable:
                raise
            yield from self._let_go()
            self.restarts += 1
            self._describe(self.headers)
            yield from self._begin(())

    def _ask_for_the_rest(self) -> Flow[None]:
        try:
            yield from self._begin((("range", f"bytes={self.position}-"), ("if-range", self._etag or "")))
        except CallerError as refusal:
            if refusal.status != 416:
                raise
            ends_here = refusal.members.get("content_range") == f"bytes */{self.position}"
            if not ends_here or self.length not in {None, self.position}:
                raise self._changed() from refusal
            yield from self._end()

    def _begin(self, headers: tuple[tuple[str, str], ...]) -> Flow[None]:
        response = yield from send(self._context, self._row, self._value, headers, self.request_id)
        stream = response.stream
        if stream is None:
            msg = "the transport answered a streamed request without a stream"
            raise UsageError(msg)
        self._stream = stream
        if self._given_up:
            yield from self._let_go()
            raise UsageError(_CLOSED)
        if self._asynchronous:
            self._chunks = aiter(cast("AsyncByteStream", stream))
        else:
            self._chunks = iter(cast("ByteStream", stream))
        self._join(response)

    def _join(self, response: Response) -> None:
        """Find out how what comes goes with what there is."""
        if response.status not in {200, 206}:
            self._damaged(f"status {response.status} came in its place", status=response.status)
        if _is_page(response.headers):
            what = "a page came in its place; check the base URL and what stands between you and the service"
            self._damaged(what, status=response.status)
        same = self._etag is not None and response.headers.get("etag") == self._etag
        part = _PART.fullmatch(response.headers.get("content-range") or "")
        self._to_skip, self._until = 0, self.length
        if response.status == 206:
            if not self._resumable:
                self._damaged("a part of it came, which nobody asked for", status=response.status)
            if part is None or int(part.group(1)) != self.position or not same:
                raise self._changed()
            length = self.length if part.group(3) is None else int(part.group(3))
            if self.length not in {None, length}:
                raise self._changed()
            self.length, self._until = length, int(part.group(2)) + 1
            return
        if same:
            # A service without ranges sends all of it again.
            self._to_skip = self.position
        elif self.position == 0 or self.restartable:
            self.restarts += self.position > 0
            self._describe(response.headers)
        else:
            raise self._changed()

    def _describe(self, headers: Headers) -> None:
        self.headers = headers
        length = headers.get("content-length") or ""
        self.length = int(length) if length.isdecimal() else None
        # Where the answer at hand ends; None where only its end tells.
        self._until = self.length
        etag = headers.get("etag") or ""
        self._etag = etag if _STRONG.fullmatch(etag) else None
        self._announced = digest_in(headers.get("repr-digest"))
        self._digest = hashlib.sha256()
        self.position: int = 0
        self._to_skip = 0

    def _end(self) -> Flow[None]:
        if self._announced is not None and self._digest.digest() != self._announced:
            self._damaged("its digest is not the one announced")
        self._ended = True
        yield from self.close()

    def _changed(self) -> FileChanged:
        return FileChanged(request_id=self.request_id, operation=self._row.id)

    def _damaged(self, what: str, *, status: int = 200) -> NoReturn:
        message = f"The file is damaged: {what}."
        raise UnreadableAnswer(message, status=status, request_id=self.request_id, operation=self._row.id)
