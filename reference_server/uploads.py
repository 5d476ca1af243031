"""
Forms with a file (RFC 7578), read as strictly as JSON is and without ever being in memory whole.

Only this module needs `python-multipart`, and only when a form arrives.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO, cast, final

from cabinet_sdk._core.digests import digest_in
from cabinet_sdk._core.disposition import parameters_of
from cabinet_sdk._core.operation import Upload
from cabinet_sdk._core.wire import Body, Headers
from cabinet_sdk.errors import FieldError, InvalidRequest, InvalidValue, MalformedRequest, RequestTooLarge
from cabinet_sdk.types import File
from reference_server.limits import MAX_BODY

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartParser

__all__ = ["MAX_PARTS", "read_form"]

MAX_PARTS = 200
"""Of a form; more is refused."""

# Files up to this size stay in memory, larger ones wait on the disk.
_IN_MEMORY = 1024 * 1024

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]", re.ASCII)
# What browsers make of the characters that would end a quoted name.
_ESCAPED = {"%22": '"', "%0D": "\r", "%0A": "\n"}
_AS_IT_IS = frozenset({"7bit", "8bit", "binary"})


@contextmanager
def read_form(
    row: Upload[Any, Any, Any], headers: Headers, content: bytes | Body
) -> Generator[list[tuple[str, str | File]]]:  # Any: any row
    """
    Read a form; its files are there as long as the context is open.

    Raises:
        RequestTooLarge: The file is larger than the row allows, or the rest than `MAX_BODY`.
        MalformedRequest: It is no form, or has more than `MAX_PARTS` parts.
        InvalidRequest: A part is no UTF-8, or the body is not what its `Content-Digest` says.
    """
    boundary = parameters_of(headers.get("content-type") or "").get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise MalformedRequest("The Content-Type names no boundary that can stand between parts.")
    pieces: Iterable[bytes] = (content,) if isinstance(content, bytes) else content
    form = _Form(row.max_bytes)
    try:
        form.read(boundary, pieces, digest_in(headers.get("content-digest")))
        yield form.parts
    finally:
        form.close()


@final
class _Form:
    """What is known of a form while it comes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._file_bytes = 0
        self._text_bytes = 0
        self._count = 0
        self._ended = False
        self._spools: list[BinaryIO] = []
        self._refused: list[FieldError] = []
        self._begin()
        self.parts: list[tuple[str, str | File]] = []

    def read(self, boundary: str, pieces: Iterable[bytes], announced: bytes | None) -> None:
        parser, broken = self._parser(boundary)
        digest = hashlib.sha256()
        try:
            for piece in pieces:
                digest.update(piece)
                parser.write(piece)
        except broken as error:
            raise MalformedRequest("The form cannot be read.") from error
        if not self._ended:
            raise MalformedRequest("The form ends before its last boundary.")
        if announced is not None and announced != digest.digest():
            message = "expected the SHA-256 of the body, got another one"
            self._refused.append(FieldError("Content-Digest", "digest", message))
        if self._refused:
            raise InvalidRequest(errors=tuple(self._refused))

    def close(self) -> None:
        for spool in self._spools:
            spool.close()

    def _parser(self, boundary: str) -> tuple[MultipartParser, type[Exception]]:
        try:
            from python_multipart.exceptions import MultipartParseError  # noqa: PLC0415  # see the module's docstring
            from python_multipart.multipart import MultipartParser  # noqa: PLC0415  # the same
        except ImportError as error:
            msg = "a world needs python-multipart to take files; install it with: pip install 'cabinet-sdk[server]'"
            raise RuntimeError(msg) from error
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._data,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )
        return parser, MultipartParseError

    def _begin(self) -> None:
        self._field = b""
        self._value = b""
        self._headers: dict[str, str] = {}
        self._name = ""
        self._filename: str | None = None
        self._text = bytearray()
        self._spool: BinaryIO | None = None

    def _begin_part(self) -> None:
        self._begin()
        self._count += 1
        if self._count > MAX_PARTS:
            raise MalformedRequest(f"The form has more than {MAX_PARTS} parts.")

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        name = self._field.decode("ascii", "replace").lower()
        self._headers[name] = self._value.decode("utf-8", "replace")
        self._field = self._value = b""

    def _end_headers(self) -> None:
        disposition = self._headers.get("content-disposition", "")
        parameters = parameters_of(disposition)
        if disposition.partition(";")[0].strip().lower() != "form-data" or not parameters.get("name"):
            raise MalformedRequest("A part of the form has no name.")
        if self._headers.get("content-transfer-encoding", "binary").lower() not in _AS_IT_IS:
            raise MalformedRequest("A part of the form is coded; send it as it is.")
        self._name = _unescaped(parameters["name"])
        filename = parameters.get("filename")
        if filename is not None:
            self._filename = _unescaped(filename)
            self._spool = cast("BinaryIO", SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115  # closed by close()
            self._spools.append(self._spool)

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._spool is None:
            self._text_bytes += end - start
            if self._text_bytes > MAX_BODY:
                raise RequestTooLarge(f"The fields of the form are longer than {MAX_BODY} bytes.")
            self._text += data[start:end]
            return
        self._file_bytes += end - start
        if self._file_bytes > self._max_bytes:
            raise RequestTooLarge(f"The file is longer than {self._max_bytes} bytes.")
        self._spool.write(data[start:end])

    def _end_part(self) -> None:
        try:
            if self._spool is None:
                self.parts.append((self._name, self._text.decode()))
                return
            self._spool.seek(0)
            media_type = self._headers.get("content-type", "application/octet-stream")
            file = File(self._spool, name=self._filename or "", media_type=media_type)
            self.parts.append((self._name, file))
        except UnicodeDecodeError:
            self._refused.append(FieldError(self._name, "encoding", "expected UTF-8"))
        except InvalidValue as error:
            self._refused.append(FieldError(self._name, error.rule, error.message))

    def _end(self) -> None:
        self._ended = True


def _unescaped(text: str) -> str:
    return re.sub("%22|%0[DA]", lambda found: _ESCAPED[found.group()], text)
