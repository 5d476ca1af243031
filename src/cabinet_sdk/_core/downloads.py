"""A download as the caller has it, in both modes: read in parts, whole, or saved to a disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, final

from cabinet_sdk._core.context import Context
from cabinet_sdk._core.flow import Flow, run
from cabinet_sdk._core.operation import Download
from cabinet_sdk._core.transfer import Transfer
from cabinet_sdk.errors import UnreadableAnswer, UsageError
from cabinet_sdk.types.files import Progress

__all__ = ["AsyncFileStream", "FileStream", "open_file", "open_file_async"]

_LIMIT = 64 * 1024 * 1024


class _Described:
    """What both kinds of stream say of their file."""

    def __init__(self, context: Context, transfer: Transfer) -> None:
        self._context = context
        self._transfer = transfer

    @property
    def name(self) -> str:
        """The file's name, safe to use in a folder of one's own: no path, no device, no control characters."""
        return self._transfer.name

    @property
    def media_type(self) -> str:
        """What the service says that the file is."""
        return self._transfer.media_type

    @property
    def length(self) -> int | None:
        """In bytes; None where the service does not say."""
        return self._transfer.length

    @property
    def request_id(self) -> str:
        """Under which the service knows the download."""
        return self._transfer.request_id

    def __repr__(self) -> str:
        # Not the name: people put themselves into it.
        return f"<{type(self).__name__} {self.media_type}, {self._transfer.position} of {self.length} bytes read>"


@final
class FileStream(_Described):
    """
    A file on its way; ``with`` closes it. Never in memory whole unless it is asked to be.

    Iterating gives its bytes in parts, once. A connection that breaks is resumed where it broke; at the end the length
    and the SHA-256 have turned out to be those that the service announced.

    Iterating, `read` and `save` raise `NetworkError` where attempts are used up or the service cannot resume,
    `FileChanged` where the file became another one meanwhile and part of it was handed out already, and
    `UnreadableAnswer` where it is damaged.
    """

    def __iter__(self) -> Iterator[bytes]:
        while (chunk := self._context.perform(self._transfer.next_chunk())) is not None:
            yield chunk

    def read(self, limit: int = _LIMIT) -> bytes:
        """
        Return the rest of the file whole.

        Raises:
            UnreadableAnswer: It is longer than the limit in bytes; what was read is given up.
        """
        content: bytes = self._context.perform(_read(self._transfer, limit))
        return content

    def save(self, target: str | os.PathLike[str], progress: Progress | None = None) -> Path:
        """
        Save the file and return where it is; only its owner may read it.

        The file appears whole, checked and on the disk, or not at all. A folder that cannot be synced may forget it
        when the power fails; where there are no hard links, of two saved at once under one name one may be lost.

        Args:
            target: A folder, in which it gets its own `name` and replaces nothing, or a path, which it replaces.
            progress: Told with each part that was written.

        Raises:
            FileExistsError: The folder has a file of that name already.
            OSError: It cannot be written there.
            UsageError: Part of it was read already.
        """
        path: Path = self._context.perform(_save(self._transfer, Path(target), progress))
        return path

    def close(self) -> None:
        """Give back the connection; nothing more can be read."""
        self._context.perform(self._transfer.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


@final
class AsyncFileStream(_Described):
    """
    A file on its way; ``async with`` closes it. Never in memory whole unless it is asked to be.

    Iterating gives its bytes in parts, once. A connection that breaks is resumed where it broke; at the end the length
    and the SHA-256 have turned out to be those that the service announced.

    Iterating, `read` and `save` raise `NetworkError` where attempts are used up or the service cannot resume,
    `FileChanged` where the file became another one meanwhile and part of it was handed out already, and
    `UnreadableAnswer` where it is damaged.
    """

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self._context.perform(self._transfer.next_chunk())) is not None:
            yield chunk

    async def read(self, limit: int = _LIMIT) -> bytes:
        """
        Return the rest of the file whole.

        Raises:
            UnreadableAnswer: It is longer than the limit in bytes; what was read is given up.
        """
        content: bytes = await self._context.perform(_read(self._transfer, limit))
        return content

    async def save(self, target: str | os.PathLike[str], progress: Progress | None = None) -> Path:
        """
        Save the file and return where it is; only its owner may read it.

        The file appears whole, checked and on the disk, or not at all. A folder that cannot be synced may forget it
        when the power fails; where there are no hard links, of two saved at once under one name one may be lost.
        Writing does not hold up the event loop.

        Args:
            target: A folder, in which it gets its own `name` and replaces nothing, or a path, which it replaces.
            progress: Told with each part that was written.

        Raises:
            FileExistsError: The folder has a file of that name already.
            OSError: It cannot be written there.
            UsageError: Part of it was read already.
        """
        path: Path = await self._context.perform(_save(self._transfer, Path(target), progress))
        return path

    async def close(self) -> None:
        """Give back the connection; nothing more can be read."""
        await self._context.perform(self._transfer.close())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


def open_file(context: Context, row: Download[..., Any], value: object) -> FileStream:  # Any: any request class
    """Ask for a file and return it with its content to come."""
    transfer = Transfer(context, row, value, asynchronous=False)
    context.perform(transfer.open())
    return FileStream(context, transfer)


async def open_file_async(context: Context, row: Download[..., Any], value: object) -> AsyncFileStream:  # Any: as above
    """Ask for a file and return it with its content to come."""
    transfer = Transfer(context, row, value, asynchronous=True)
    await context.perform(transfer.open())
    return AsyncFileStream(context, transfer)


def _read(transfer: Transfer, limit: int) -> Flow[bytes]:
    # What the caller has of an earlier part cannot be taken back.
    transfer.restartable = transfer.position == 0
    content = bytearray()
    seen = transfer.restarts
    try:
        while True:
            chunk = yield from transfer.next_chunk()
            if transfer.restarts != seen:
                seen = transfer.restarts
                content.clear()
            if chunk is None:
                return bytes(content)
            content += chunk
            if len(content) > limit:
                message = f"The file is longer than {limit} bytes; save it, iterate over it, or raise the limit."
                raise UnreadableAnswer(message, status=200, request_id=transfer.request_id)
    except UnreadableAnswer:
        yield from transfer.close()
        raise


def _save(transfer: Transfer, target: Path, progress: Progress | None) -> Flow[Path]:
    if transfer.position:
        msg = "part of the file was read already; save it first, or write the parts yourself"
        raise UsageError(msg)
    transfer.restartable = True
    saved = _Part(target, transfer.name)
    seen = transfer.restarts
    # Made to its end, also when the task is cancelled: nobody else would take it away.
    try:
        yield from run(saved.open, whole=True)
        while True:
            chunk = yield from transfer.next_chunk()
            if transfer.restarts != seen:
                seen = transfer.restarts
                yield from run(saved.empty)
            if chunk is None:
                break
            yield from run(partial(saved.write, chunk))
            if progress is not None:
                progress(transfer.position, transfer.length)
        return (yield from run(saved.finish, whole=True))
    finally:
        saved.discard()


@final
class _Part:
    """A file beside its place, from `open` until it is whole."""

    _file: BinaryIO
    _beside: Path | None = None

    def __init__(self, target: Path, name: str) -> None:
        self._target = target
        self._name = name

    def open(self) -> None:
        """
        Make it.

        Raises:
            FileExistsError: Its place is taken.
        """
        target = self._target
        self._may_replace = not target.is_dir()
        self._path = target if self._may_replace else target / self._name
        self._refuse_to_replace()
        # Readable by its owner alone, as `tempfile` makes it: what is downloaded here is somebody's own affair.
        handle, beside = tempfile.mkstemp(prefix=".", suffix=".part", dir=self._path.parent)
        self._beside = Path(beside)
        self._file = os.fdopen(handle, "wb")

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)

    def empty(self) -> None:
        self._file.seek(0)
        self._file.truncate()

    def finish(self) -> Path:
        """Put it in its place, on the disk for good."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if self._beside is not None:
            self._place(self._beside)
            self._beside = None
        if hasattr(os, "O_DIRECTORY"):
            # The name is on the disk only when its folder is. It has taken effect already, though: an error would deny
            # that, where the folder may not be read or its file system does not sync folders.
            with suppress(OSError):
                folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)
        return self._path

    def discard(self) -> None:
        """Leave nothing behind of what was not finished."""
        if self._beside is not None:
            # What a full disk has no room for is written once more, and would hide the error that ended the download.
            with suppress(OSError):
                self._file.close()
            with suppress(OSError):
                self._beside.unlink(missing_ok=True)

    def _place(self, beside: Path) -> None:
        if not self._may_replace:
            try:
                # In one step: what came between a look and `replace` would be lost.
                self._path.hardlink_to(beside)
            except FileExistsError:
                raise self._taken() from None
            except (OSError, NotImplementedError):
                # A file system without links says so by many numbers. There a look has to do; what else is wrong,
                # `replace` tells.
                self._refuse_to_replace()
            else:
                # The file is there: an error now would deny that.
                with suppress(OSError):
                    beside.unlink()
                return
        beside.replace(self._path)

    def _refuse_to_replace(self) -> None:
        if not self._may_replace and os.path.lexists(self._path):
            raise self._taken()

    def _taken(self) -> FileExistsError:
        return FileExistsError(f"{self._path.parent} has a file of that name already")
