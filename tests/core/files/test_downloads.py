"""Downloads through both clients, in memory and over HTTP: read in parts, whole, and saved."""

from __future__ import annotations

import errno
import hashlib
import inspect
import os
import stat
import tempfile
import tracemalloc
from pathlib import Path
from typing import assert_type

import pytest

from cabinet_sdk import AsyncCabinet
from cabinet_sdk._core.downloads import AsyncFileStream, FileStream
from cabinet_sdk.charges import ChargeNotFound
from cabinet_sdk.errors import UnreadableAnswer, UsageError
from tests.core.conftest import Play
from tests.core.sample_area import GET_CONTENT, AsyncSamples, SampleId, Samples, add_file
from tests.core.scripted import Script, answer
from tests.core.wires import contents_of, digest_of, noise, write_blocks

CONTENT = noise(1, 300_000)


async def test_a_file_comes_with_its_name_type_and_length(samples: AsyncSamples) -> None:
    """What was stored comes whole, with its Cyrillic name."""
    sample_id = add_file(CONTENT, "Справка о доходах.pdf", "application/pdf")

    async with await samples.download(sample_id) as file:
        assert (file.name, file.media_type, file.length) == ("Справка о доходах.pdf", "application/pdf", len(CONTENT))
        parts = [part async for part in file]

    assert b"".join(parts) == CONTENT
    assert len(parts) > 1


async def test_the_raw_answer_of_a_download_is_its_bytes(client: AsyncCabinet) -> None:
    """`answer` of a download's row has the whole file as its value."""
    got = await client.answer(GET_CONTENT, sample_id=add_file(CONTENT))

    assert got.value == CONTENT
    assert got.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("status", [202, 204, 206])
async def test_another_good_answer_is_no_file(play: Play, status: int) -> None:
    """What is accepted, empty or a part that nobody asked for is not given out as the whole."""
    with pytest.raises(UnreadableAnswer) as caught:
        await play(Script(answer(status, b"later", "text/plain"))).answer(GET_CONTENT, sample_id=SampleId("s"))

    assert caught.value.status == status


async def test_a_refusal_is_the_rows_error(samples: AsyncSamples) -> None:
    """The problem document of a refused download is read, although its answer would have been a stream."""
    with pytest.raises(ChargeNotFound) as caught:
        await samples.download(SampleId("none"))

    assert caught.value.request_id


async def test_a_large_file_takes_little_memory(samples: AsyncSamples, tmp_path: Path) -> None:
    """20 MB from a disk to a disk need less than 4 MB in client and server, and progress tells of each part."""
    source = tmp_path / "source"
    digest = hashlib.sha256()
    write_blocks(source, digest.update)
    told: list[tuple[int, int | None]] = []
    sample_id = add_file(source, "large.bin")
    tracemalloc.start()
    try:
        async with await samples.download(sample_id) as file:
            saved = await file.save(tmp_path, progress=lambda done, total: told.append((done, total)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert digest_of(saved) == digest.digest()
    assert saved == tmp_path / "large.bin"
    assert saved.stat().st_mode & 0o077 == 0
    assert peak < 4_000_000
    assert told == sorted(told)
    assert told[-1] == (80 * 256 * 1024, 80 * 256 * 1024)


async def test_a_folder_keeps_its_files(samples: AsyncSamples, tmp_path: Path) -> None:
    """The service's name replaces nothing in a folder; a path of the caller's own is replaced."""
    sample_id = add_file(b"newer", "file.txt")
    (tmp_path / "file.txt").write_bytes(b"old")

    async with await samples.download(sample_id) as file:
        with pytest.raises(FileExistsError):
            await file.save(tmp_path)
    assert (tmp_path / "file.txt").read_bytes() == b"old"

    async with await samples.download(sample_id) as file:
        await file.save(tmp_path / "file.txt")
    assert contents_of(tmp_path) == {"file.txt": 5}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
async def test_a_full_disk_is_left_as_it_was(
    samples: AsyncSamples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be written is taken away, also where closing it fails too, and the old file is still there."""

    def full(*, prefix: str, suffix: str, dir: Path) -> tuple[int, str]:  # noqa: A002  # as it is there
        beside = dir / f"{prefix}x{suffix}"
        beside.touch()
        return os.open("/dev/full", os.O_WRONLY), str(beside)

    monkeypatch.setattr(tempfile, "mkstemp", full)
    (tmp_path / "file").write_bytes(b"old")

    async with await samples.download(add_file(b"newer")) as file:
        with pytest.raises(OSError) as caught:  # noqa: PT011  # its number is what tells, below
            await file.save(tmp_path / "file")

    assert caught.value.errno == errno.ENOSPC
    assert (tmp_path / "file").read_bytes() == b"old"
    assert contents_of(tmp_path) == {"file": 3}


@pytest.mark.skipif(not hasattr(os, "O_DIRECTORY"), reason="the system opens no folders")
@pytest.mark.parametrize("refused", ["open", "fsync"])
async def test_a_folder_that_cannot_be_synced(
    samples: AsyncSamples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    """A folder that may be written and not read, or knows no syncing, gets its file without an error after that."""
    opened, synced = os.open, os.fsync

    def open_files(path: str, flags: int, mode: int = 0o777) -> int:
        if refused == "open" and flags & os.O_DIRECTORY:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return opened(path, flags, mode)

    def sync_files(handle: int) -> None:
        if refused == "fsync" and stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        synced(handle)

    monkeypatch.setattr(os, "open", open_files)
    monkeypatch.setattr(os, "fsync", sync_files)

    async with await samples.download(add_file(b"newer", "file.txt")) as file:
        assert await file.save(tmp_path) == tmp_path / "file.txt"

    assert contents_of(tmp_path) == {"file.txt": 5}


async def test_two_that_save_at_once(samples: AsyncSamples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that comes into the folder after this one has looked for it is not replaced either."""

    def nothing_yet(_: object) -> bool:
        return False

    monkeypatch.setattr(os.path, "lexists", nothing_yet)
    (tmp_path / "file.txt").write_bytes(b"old")

    async with await samples.download(add_file(b"newer", "file.txt")) as file:
        with pytest.raises(FileExistsError, match="has a file of that name already"):
            await file.save(tmp_path)

    assert (tmp_path / "file.txt").read_bytes() == b"old"
    assert contents_of(tmp_path) == {"file.txt": 3}


@pytest.mark.parametrize("error", [OSError(errno.EPERM, "Operation not permitted"), NotImplementedError()])
async def test_a_file_system_without_links(
    samples: AsyncSamples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """There a look into the folder has to do."""

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    sample_id = add_file(b"newer", "file.txt")

    async with await samples.download(sample_id) as file:
        saved = await file.save(tmp_path)
    assert saved.read_bytes() == b"newer"
    saved.unlink()

    def other(_: int, __: int | None) -> None:
        saved.write_bytes(b"old")

    async with await samples.download(sample_id) as file:
        with pytest.raises(FileExistsError):
            await file.save(tmp_path, progress=other)
    assert contents_of(tmp_path) == {"file.txt": 3}


async def test_a_second_name_that_stays(samples: AsyncSamples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the file is in its place saving has taken effect, whatever else is left to be done."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    with monkeypatch.context() as patches:
        patches.setattr(Path, "unlink", refuse)
        async with await samples.download(add_file(b"newer", "file.txt")) as file:
            saved = await file.save(tmp_path)

    assert saved.read_bytes() == b"newer"


async def test_reading_has_a_limit(samples: AsyncSamples) -> None:
    """A file longer than the limit is given up instead of filling the memory."""
    async with await samples.download(add_file(CONTENT)) as file:
        with pytest.raises(UnreadableAnswer, match="longer than 1000"):
            await file.read(limit=1000)


async def test_what_was_read_cannot_be_saved(samples: AsyncSamples, tmp_path: Path) -> None:
    """Saving begins at the beginning or not at all."""
    async with await samples.download(add_file(CONTENT)) as file:
        async for _ in file:
            break
        with pytest.raises(UsageError):
            await file.save(tmp_path)


def test_types() -> None:
    """Both type checkers see a stream in one mode and an awaitable of one in the other."""

    def sync(samples: Samples) -> None:
        assert_type(samples.download(SampleId("x")), FileStream)

    async def asynchronous(samples: AsyncSamples) -> None:
        assert_type(await samples.download(SampleId("x")), AsyncFileStream)

    assert callable(sync)
    assert callable(asynchronous)


def test_signatures() -> None:
    """At run time too a method says what it returns."""
    assert inspect.signature(Samples.download).return_annotation is FileStream
    assert inspect.signature(AsyncSamples.download).return_annotation is AsyncFileStream
    assert inspect.iscoroutinefunction(AsyncSamples.download)
