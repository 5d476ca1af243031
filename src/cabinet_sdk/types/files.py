"""Files on their way to the service, and names that are safe to give to one."""

from __future__ import annotations

import hashlib
import io
import mimetypes
import os
import re
import unicodedata
from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any, BinaryIO, Self, TypeAlias, cast, final

import attrs

from cabinet_sdk.errors import InvalidValue, UsageError
from cabinet_sdk.types.kinds import check_kind

__all__ = ["CHUNK", "Content", "File", "Progress", "safe_name"]

CHUNK = 256 * 1024
"""Bytes that are read at once."""

Progress: TypeAlias = Callable[[int, int | None], None]
"""Told how many bytes are done, and of how many (None where nobody knows); it may be called in another thread."""

Content: TypeAlias = bytes | Path | BinaryIO | Iterable[bytes]

_BINARY = "application/octet-stream"
_MEDIA_TYPE = re.compile(r"[!#$&^_.+0-9A-Za-z-]{1,127}/[!#$&^_.+0-9A-Za-z-]{1,127}(?:; ?[\x20-\x7e]{1,127})?", re.ASCII)

_FORBIDDEN = re.compile(r'[<>:"|?*%]')
# Windows gives these to devices, whatever blanks and suffix follow.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³]) *(?:\.|$)", re.IGNORECASE)
# File systems take 255 bytes; something is left for those who add to the name.
_LONGEST_NAME = 200
_LONGEST_SUFFIX = 20


def safe_name(name: str, default: str = "file") -> str:
    """
    Return a name that means one file in one folder on any system, as near to the given one as that allows.

    Folders are cut off; control and direction characters are dropped; what a file system or a header could take for
    something else becomes ``_``; a device's name gets a ``_`` before it; 200 bytes are kept, the suffix among them.
    """
    check_kind(name, str, "the name of a file is text")
    name = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    name = "".join(each for each in name if not unicodedata.category(each).startswith("C"))
    name = _FORBIDDEN.sub("_", " ".join(name.split())).rstrip(". ")
    if not name.strip(". _"):
        return default
    if name.startswith("."):
        name = f"_{name.lstrip('.')}"
    suffix = PurePath(name).suffix
    if len(suffix.encode()) > _LONGEST_SUFFIX:
        suffix = ""
    stem = (name.removesuffix(suffix) if suffix else name).rstrip(". ")
    if _DEVICE.match(stem + suffix):
        stem = f"_{stem}"
    kept = stem.encode()[: _LONGEST_NAME - len(suffix.encode())].decode(errors="ignore")
    return kept.rstrip(". ") + suffix


@final
class _Source:
    """Where the bytes come from, and whether they can be had again."""

    def __init__(self, content: Content, length: int | None) -> None:
        self._content = content
        self._start = 0
        self._once = False
        self._started = False
        self.sha256: bytes | None = None
        match content:
            case bytes():
                self.length: int | None = len(content)
            case Path():
                self.length = content.stat().st_size
            case _ if _seekable(content):
                file = cast("BinaryIO", content)
                self._start = file.tell()
                self.length = file.seek(0, os.SEEK_END) - self._start
                file.seek(self._start)
            case _:
                self.length = length
                self._once = True

    @property
    def repeatable(self) -> bool:
        return not self._once

    @property
    def spent(self) -> bool:
        return self._once and self._started

    def check(self) -> None:
        if self.spent:
            msg = (
                "the content came from a stream that cannot be rewound, and it has been read already: make a new File, "
                "of a path or of bytes if it may have to be sent twice"
            )
            raise UsageError(msg)

    def chunks(self) -> Iterator[bytes]:
        self.check()
        self._started = True
        content = self._content
        match content:
            case bytes():
                for start in range(0, len(content), CHUNK):
                    yield content[start : start + CHUNK]
            case Path():
                with content.open("rb") as opened:
                    yield from _read(opened)
            case _ if hasattr(content, "read"):
                file = cast("BinaryIO", content)
                if not self._once:
                    file.seek(self._start)
                yield from _read(file)
            case _:
                yield from content


def _seekable(content: object) -> bool:
    seekable = getattr(content, "seekable", None)
    return bool(seekable and seekable())


def _read(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk


def _guess_type(file: File) -> str:
    return mimetypes.guess_type(file.name)[0] or _BINARY


def _check_type(_: File, __: object, value: str) -> None:
    check_kind(value, str, "the media type of a file is text")
    if not _MEDIA_TYPE.fullmatch(value):
        raise InvalidValue("File", "media_type", "a media type such as application/pdf", value)


def _check_content(_: File, __: object, value: Any) -> None:  # Any: programs without a type checker give text
    if isinstance(value, str):
        msg = "a file is made of bytes; for a path there is File.from_path"
        raise UsageError(msg)
    given = type(cast("object", value))
    # What is made of numbers or of text would be found out half-way through an upload.
    readable = isinstance(value, bytes | Path | Iterable) or hasattr(value, "read")
    if not readable or isinstance(value, bytearray | memoryview | dict | array | io.TextIOBase):
        kinds = "bytes, a path, a file opened in binary mode ('rb') or an iterable of bytes"
        raise UsageError(f"a file is made of {kinds}, not of {given.__name__}")


def _check_length(_: File, __: object, value: int | None) -> None:
    if value is not None:
        check_kind(value, int, "the length of a file is an int")
        if value < 0:
            raise InvalidValue("File", "length", "0 bytes or more", str(value), personal=False)


@final
@attrs.frozen(eq=False, repr=False)
class File:
    """
    A file to upload, or one that was uploaded: where its bytes are, its name and its type.

    Bytes, a path and a file object that can be rewound are read once for each attempt and are never in memory whole.
    Anything else (a generator, a pipe) is read once: if its upload breaks, it is not repeated and the error is raised.

    Args:
        content: Bytes, a path, a binary file object (read from where it stands) or an iterable of bytes.
        name: What the receiver calls it; made safe by `safe_name`.
        media_type: Guessed from the name where it is left out.
        length: In bytes, of a content that does not tell it; without it the upload is sent in chunks.
        progress: Told with each part that is sent; it begins anew with each attempt.

    Raises:
        InvalidValue: The media type is none.
        OSError: There is nothing at the path.
        TypeError: The name or the media type is no text, or the length no whole number.
        UsageError: The content is text, or something else that gives no bytes.
    """

    content: Content = attrs.field(validator=_check_content)
    name: str = attrs.field(kw_only=True, converter=safe_name)
    media_type: str = attrs.field(
        default=attrs.Factory(_guess_type, takes_self=True), kw_only=True, validator=_check_type
    )
    _length: int | None = attrs.field(default=None, kw_only=True, alias="length", validator=_check_length)
    progress: Progress | None = attrs.field(default=None, kw_only=True)
    _source: _Source = attrs.field(
        init=False,
        default=attrs.Factory(lambda file: _Source(file.content, file._length), takes_self=True),  # noqa: SLF001  # its own
    )

    @classmethod
    def from_path(
        cls,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        media_type: str | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Return the file at a path; it is opened when it is sent."""
        path = Path(path)
        name = safe_name(path.name if name is None else name)
        if media_type is None:
            return cls(path, name=name, progress=progress)
        return cls(path, name=name, media_type=media_type, progress=progress)

    @property
    def length(self) -> int | None:
        """In bytes; None where nobody knows before the end."""
        return self._source.length

    @property
    def repeatable(self) -> bool:
        """Whether the content can be had more than once."""
        return self._source.repeatable

    @property
    def spent(self) -> bool:
        """Whether the content has been read and cannot be had again."""
        return self._source.spent

    def __iter__(self) -> Iterator[bytes]:
        """
        Read the content from its beginning.

        Raises:
            UsageError: It was read before and cannot be rewound.
        """
        self._source.check()
        return self._source.chunks()

    def read(self) -> bytes:
        """Return the content whole."""
        return b"".join(self)

    def sha256(self) -> bytes:
        """Return the digest of the content, read once for it; what cannot be rewound is spent by that."""
        if self._source.sha256 is None:
            digest = hashlib.sha256()
            for chunk in self:
                digest.update(chunk)
            self._source.sha256 = digest.digest()
        return self._source.sha256

    def __repr__(self) -> str:
        # Not the name: people put themselves into it.
        length = "of unknown length" if self.length is None else f"of {self.length} bytes"
        return f"<File {self.media_type} {length}>"
