"""
Files as answers: whole or in part, with what a client needs to resume and to check them (RFC 9110 13 and 14, RFC 9530).

One range is answered with its part. Of several, a few that do not overlap are left out of account, as RFC 9110 14.2
allows: the whole file comes. Many or overlapping ones are refused with 416, since only an attack asks for them.
"""

from __future__ import annotations

import hashlib
import os
import re
import weakref
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast, final

import attrs

from cabinet_sdk._core.digests import digest_header
from cabinet_sdk._core.disposition import attachment
from cabinet_sdk._core.wire import Headers
from cabinet_sdk.errors import FileChanged, RangeNotSatisfiable
from cabinet_sdk.types.files import CHUNK, safe_name
from reference_server.session import Reply

__all__ = ["Spool", "StoredFile", "answer_file"]

_RANGES = re.compile(r"bytes=([0-9,\s-]+)", re.ASCII | re.IGNORECASE)
_RANGE = re.compile(r"([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18})", re.ASCII)
_MANY = 8
# Files up to this size are made in memory, larger ones on the disk.
_IN_MEMORY = 1024 * 1024


@final
class Spool:
    """
    A file that is made for one answer, or on the way to it: it has no name and is gone with its last reader.

    Attributes:
        file: To write it; it is read only after that.
    """

    def __init__(self) -> None:
        # Closed by the finalizer: an answer that is never sent has nobody else who would.
        self.file = cast("BinaryIO", SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115
        weakref.finalize(self, self.file.close)

    @property
    def length(self) -> int:
        """In bytes."""
        return self.file.seek(0, os.SEEK_END)

    def sha256(self) -> bytes:
        """Return the digest of the content."""
        digest = hashlib.sha256()
        self.file.seek(0)
        while chunk := self.file.read(CHUNK):
            digest.update(chunk)
        return digest.digest()


@final
@attrs.frozen(kw_only=True)
class StoredFile:
    """
    What the handler of a `Download` returns.

    Attributes:
        content: The bytes, where they are, or what makes them. A path is read while it is sent, and must not change
            meanwhile. What takes a while to make is made by a function: it is called without the world's lock, so that
            it holds up nobody, and must not touch the world.
        name: For the caller; it is made safe.
        media_type: What it is.
    """

    content: bytes | Path | Callable[[], bytes | Spool]
    name: str = attrs.field(converter=safe_name)
    media_type: str = "application/octet-stream"


def _length_and_digest(content: bytes | Path | Spool) -> tuple[int, bytes]:
    if isinstance(content, bytes):
        return len(content), hashlib.sha256(content).digest()
    if isinstance(content, Spool):
        return content.length, content.sha256()
    status = content.stat()
    return status.st_size, _sha256(content, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _sha256(path: Path, _size: int, _changed: int) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


@final
class _Slice:
    """A part of a file, read while it is sent."""

    def __init__(self, content: Path | Spool, start: int, end: int) -> None:
        self._content = content
        self._start = start
        self._end = end

    def __iter__(self) -> Iterator[bytes]:
        if isinstance(self._content, Spool):
            yield from self._read(self._content.file)
            return
        # Opened here: an answer that is never sent holds nothing.
        with self._content.open("rb") as file:
            yield from self._read(file)

    def _read(self, file: BinaryIO) -> Iterator[bytes]:
        file.seek(self._start)
        left = self._end - self._start
        while left > 0 and (chunk := file.read(min(CHUNK, left))):
            left -= len(chunk)
            yield chunk

    def close(self) -> None:
        """Nothing is held between two parts."""


def answer_file(stored: StoredFile, method: str, asked: Headers) -> Reply:
    """
    Answer with a file, or with the part of it that is asked for.

    Raises:
        FileChanged: The request is for another file only, by its `If-Match`.
        RangeNotSatisfiable: It has no such part, or too many parts are asked for.
    """
    content = stored.content() if callable(stored.content) else stored.content
    length, digest = _length_and_digest(content)
    etag = f'"{digest.hex()[:32]}"'
    headers = [("etag", etag), ("accept-ranges", "bytes")]
    if not _meant(asked.get("if-match"), etag):
        raise FileChanged
    if _known(asked.get("if-none-match"), etag):
        return Reply(304, headers)
    start, end, status = 0, length, 200
    part = _part(asked, etag, length) if method == "GET" else None
    if part is not None:
        start, end, status = *part, 206
        headers.append(("content-range", f"bytes {start}-{end - 1}/{length}"))
    headers += [
        ("content-type", stored.media_type),
        ("content-disposition", attachment(stored.name)),
        ("repr-digest", digest_header(digest)),
    ]
    if method == "HEAD":
        return Reply(status, headers, length=end - start)
    if isinstance(content, bytes):
        return Reply(status, headers, content[start:end])
    return Reply(status, headers, stream=_Slice(content, start, end), length=end - start)


def _meant(header: str | None, etag: str) -> bool:
    """Compare strongly, as RFC 9110 13.1.1 wants it of this header."""
    return header is None or header.strip() == "*" or etag in {each.strip() for each in header.split(",")}


def _known(header: str | None, etag: str) -> bool:
    """Compare weakly, as RFC 9110 13.1.2 wants it of this header."""
    if header is None:
        return False
    return header.strip() == "*" or etag in {each.strip().removeprefix("W/") for each in header.split(",")}


def _part(headers: Headers, etag: str, length: int) -> tuple[int, int] | None:
    """Return the start and the end of the part to send, None for the whole."""
    found = _RANGES.fullmatch(headers.get("range") or "")
    if found is None or headers.get("if-range", etag) != etag:
        return None
    parts: list[tuple[int, int]] = []
    specifiers = [each.strip() for each in found.group(1).split(",")]
    for specifier in specifiers:
        asked = _RANGE.fullmatch(specifier)
        if asked is None or (asked.group(2) and int(asked.group(2)) < int(asked.group(1))):
            # One that is no range makes the whole header void.
            return None
        first, last, suffix = asked.groups()
        start = max(0, length - int(suffix)) if suffix else int(first)
        end = min(length, int(last) + 1) if last else length
        if start < end:
            parts.append((start, end))
    ordered = sorted(parts)
    overlap = any(one[1] > other[0] for one, other in pairwise(ordered))
    if not parts or overlap or len(specifiers) > _MANY:
        message = f"The file has {length} bytes."
        raise RangeNotSatisfiable(message, members={"content_range": f"bytes */{length}"})
    return parts[0] if len(specifiers) == 1 else None
