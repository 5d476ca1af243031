"""The body of an upload: ``multipart/form-data`` (RFC 7578), read from where the file is while it is sent."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from typing import final

from cabinet_sdk.errors import UsageError
from cabinet_sdk.types.files import File

__all__ = ["MultipartBody"]


@final
class MultipartBody:
    """
    The fields as text and the file as the last part; a `Body` of a transport.

    Its framing is the same in each attempt, and so is its digest.

    Raises:
        UsageError: The file's content has been read already and cannot be rewound.
    """

    def __init__(self, fields: Sequence[tuple[str, str]], name: str, file: File) -> None:
        if file.spent:
            iter(file)  # raises, with what to do about it
        self._file = file
        boundary = secrets.token_hex(16)
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(field)}"\r\n\r\n{text}\r\n'
            for field, text in fields
        ]
        # `filename*` is not for forms (RFC 7578 4.2): the name is UTF-8 as it is.
        parts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"; '
            f'filename="{_quoted(file.name)}"\r\nContent-Type: {file.media_type}\r\n\r\n'
        )
        self._head = "".join(parts).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self.content_type = f"multipart/form-data; boundary={boundary}"

    @property
    def length(self) -> int | None:
        """In bytes; None where the file does not tell its own."""
        return None if self._file.length is None else len(self._head) + self._file.length + len(self._tail)

    @property
    def spent(self) -> bool:
        """Whether the file has been read and cannot be rewound."""
        return self._file.spent

    @property
    def repeatable(self) -> bool:
        """Whether there can be a second attempt."""
        return self._file.repeatable

    def __iter__(self) -> Iterator[bytes]:
        """
        Read the body from its beginning.

        Raises:
            UsageError: The file cannot be read, has another length than it had, or cannot be rewound.
        """
        file, done = self._file, 0
        yield self._head
        for chunk in self._chunks():
            yield chunk
            done += len(chunk)
            if file.progress is not None:
                file.progress(done, file.length)
        yield self._tail

    def sha256(self) -> bytes:
        """Return the digest of the whole body, for which the file is read once."""
        digest = hashlib.sha256(self._head)
        for chunk in self._chunks():
            digest.update(chunk)
        digest.update(self._tail)
        return digest.digest()

    def _chunks(self) -> Iterator[bytes]:
        done, unread = 0, None
        try:
            for chunk in self._file:
                done += len(chunk)
                if self._file.length is not None and done > self._file.length:
                    break
                yield chunk
        except OSError as error:
            # Without the path, in which people have their names, and so without the error behind it.
            unread = error.strerror or type(error).__name__
        if unread is not None:
            msg = f"the file could not be read when it was to be sent, so that it was not sent whole: {unread}"
            raise UsageError(msg)
        if self._file.length not in {None, done}:
            msg = f"the file changed while it was sent: it was {self._file.length} bytes long and is not any more"
            raise UsageError(msg)


def _quoted(text: str) -> str:
    # As browsers do it: a backslash would be read as one of a path.
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
