"""Uploads through both clients, in memory and over HTTP: from whatever has bytes, repeated, and refused."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import assert_type

import attrs
import pytest

from cabinet_sdk import RetryPolicy
from cabinet_sdk.errors import InvalidValue, KeyReused, OutcomeUnknown, RequestTooLarge, TokenInvalid, UsageError
from cabinet_sdk.transports import Headers, Request, Response
from cabinet_sdk.types import File, Money, Period
from reference_server import Profile, World
from tests.conftest import Connect
from tests.core.sample_area import MAX_BYTES, UPLOADED, AsyncSamples, Origin, Sample, Samples, samples_of
from tests.core.wires import Wire, noise, through, write_blocks
from tests.faces import settle

CONTENT = noise(7, 700_000)

Make = Callable[[Path], File]

# What the sources of a test have open until its end.
_OPENED = contextlib.ExitStack()


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    """Close it."""
    with _OPENED:
        yield


def _from_path(folder: Path) -> File:
    path = folder / "Скан паспорта.pdf"
    path.write_bytes(CONTENT)
    return File.from_path(path)


def _from_bytes(_: Path) -> File:
    return File(CONTENT, name="Скан паспорта.pdf")


def _from_file(_: Path) -> File:
    file = io.BytesIO(b"read before" + CONTENT)
    file.seek(len(b"read before"))
    return File(file, name="Скан паспорта.pdf")


def _from_generator(_: Path) -> File:
    return File((CONTENT[start : start + 1000] for start in range(0, len(CONTENT), 1000)), name="Скан паспорта.pdf")


def _from_pipe(_: Path) -> File:
    reading, writing = os.pipe()

    def write() -> None:
        with contextlib.suppress(OSError), open(writing, "wb") as end:  # noqa: PTH123  # a descriptor, no path
            end.write(CONTENT)

    threading.Thread(target=write, daemon=True).start()
    file = _OPENED.enter_context(open(reading, "rb"))  # noqa: PTH123, SIM115  # as above
    return File(file, name="Скан паспорта.pdf", length=len(CONTENT))


def _from_socket(_: Path) -> File:
    sending, receiving = socket.socketpair()
    threading.Thread(target=_send_all, args=(sending,), daemon=True).start()
    with receiving:
        # The file keeps it open, and closes it with itself.
        file = _OPENED.enter_context(receiving.makefile("rb"))
    return File(file, name="Скан паспорта.pdf", length=len(CONTENT))


def _send_all(sending: socket.socket) -> None:
    # Who does not read on has closed the other end.
    with sending, contextlib.suppress(OSError):
        sending.sendall(CONTENT)


REWINDABLE = (_from_path, _from_bytes, _from_file)
SENT_ONCE = (_from_generator, _from_pipe, _from_socket)


@pytest.mark.parametrize("make", [*REWINDABLE, *SENT_ONCE])
async def test_a_file_arrives_with_its_name(samples: AsyncSamples, tmp_path: Path, make: Make) -> None:
    """From a path, bytes, a file object or a generator the same file arrives, with its Cyrillic name and its type."""
    got = await samples.upload(make(tmp_path))

    assert (got.name, got.media_type, got.length) == ("Скан паспорта.pdf", "application/pdf", len(CONTENT))
    assert got.sha256 == hashlib.sha256(CONTENT).hexdigest()


async def test_other_fields_go_along(samples: AsyncSamples) -> None:
    """Text of any alphabet and lines, numbers, money, periods, lists and nested values are what they were."""
    fields = {
        "note": 'Первая строка\r\nвторая; "кавычки" --boundary',
        "total": Money("12.50"),
        "pages": 3,
        "final": False,
        "tags": ("а", "b"),
        "period": Period.month(2026, 3),
        "origin": Origin("Тверь", 1999),
    }

    await samples.upload(File(b"", name="empty.txt"), **fields)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    got = attrs.asdict(UPLOADED[-1], recurse=False)
    assert {name: got[name] for name in fields} == fields


@pytest.mark.parametrize("make", REWINDABLE)
async def test_a_lost_upload_is_sent_again(samples: AsyncSamples, world: World, tmp_path: Path, make: Make) -> None:
    """What can be rewound is: each attempt has the same bytes, and it happens once."""
    world.faults.lose_request("samples.upload")
    world.faults.lose_answer("samples.upload")
    before = len(UPLOADED)

    got = await samples.upload(make(tmp_path))

    assert got.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert len(UPLOADED) == before + 1
    seen = [request for request in world.requests if request.operation == "samples.upload"]
    assert [request.replayed for request in seen] == [False, False, True]
    assert len({request.idempotency_key for request in seen if request.idempotency_key}) == 1


@pytest.mark.parametrize("make", SENT_ONCE)
async def test_what_cannot_be_rewound_is_sent_once(
    samples: AsyncSamples, world: World, tmp_path: Path, make: Make
) -> None:
    """The error of the one attempt is raised; never is an empty body sent, not by `reconcile` either."""
    world.faults.lose_answer("samples.upload")
    with pytest.raises(OutcomeUnknown) as caught:
        await samples.upload(make(tmp_path))
    with pytest.raises(UsageError, match="cannot be rewound"):
        await settle(caught.value.reconcile())

    file = make(tmp_path)
    await samples.upload(file)
    with pytest.raises(UsageError, match="cannot be rewound"):
        await samples.upload(file)

    assert len([request for request in world.requests if request.operation == "samples.upload"]) == 2


async def test_an_unknown_upload_is_reconciled(connect: Connect, world: World, person: Profile) -> None:
    """With its key the same file gets the answer of the first time, and another file is refused."""
    client = connect(person, retry=RetryPolicy(attempts=1))
    world.faults.lose_answer("samples.upload")
    with pytest.raises(OutcomeUnknown) as caught:
        await samples_of(client).upload(File(CONTENT, name="a.pdf"), note="x")

    first = await settle(caught.value.reconcile())

    again = client.with_options(idempotency_key=caught.value.operation_id)
    assert await samples_of(again).upload(File(CONTENT, name="a.pdf"), note="x") == first
    for file, note in ((File(CONTENT[:-1], name="a.pdf"), "x"), (File(CONTENT, name="a.pdf"), "y")):
        other = client.with_options(idempotency_key=caught.value.operation_id)
        with pytest.raises(KeyReused):
            await samples_of(other).upload(file, note=note)


async def test_a_token_that_expired_costs_no_content(connect: Connect, world: World, person: Profile) -> None:
    """The service refuses the token, a new one is fetched, and the file is sent again from its beginning."""
    client = connect(person)
    await samples_of(client).upload(File(b"x", name="x"))
    with world.work() as work:
        work.database.execute("DELETE FROM tokens")

    got = await samples_of(client).upload(File(io.BytesIO(CONTENT), name="x"))

    assert got.length == len(CONTENT)


@pytest.mark.parametrize("make", SENT_ONCE)
@pytest.mark.parametrize("mode", ["sync-http", "async-http"], indirect=True)
async def test_a_token_that_expired_may_cost_the_only_attempt(
    connect: Connect, world: World, person: Profile, tmp_path: Path, make: Make
) -> None:
    """Over a socket the content is gone when the token is refused: what cannot be rewound is not sent again."""
    client = connect(person)
    await samples_of(client).upload(File(b"x", name="x"))
    with world.work() as work:
        work.database.execute("DELETE FROM tokens")

    with pytest.raises(TokenInvalid):
        await samples_of(client).upload(make(tmp_path))


async def test_a_large_file_takes_little_memory(samples: AsyncSamples, tmp_path: Path) -> None:
    """20 MB need less than 6 MB in client and server, and progress tells of each part."""
    path = tmp_path / "large"
    digest = hashlib.sha256()
    write_blocks(path, digest.update)
    told: list[tuple[int, int | None]] = []

    def progress(done: int, total: int | None) -> None:
        told.append((done, total))

    tracemalloc.start()
    try:
        got = await samples.upload_large(File.from_path(path, progress=progress))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert got.sha256 == digest.hexdigest()
    assert peak < 6_000_000
    assert told == sorted(told)
    assert told[-1] == (80 * 256 * 1024, 80 * 256 * 1024)


@pytest.mark.parametrize("size", [MAX_BYTES + 1, MAX_BYTES * 2 + 1, MAX_BYTES * 20])
async def test_a_file_above_the_limit_is_refused(samples: AsyncSamples, world: World, size: int) -> None:
    """The row says how large a file may be; one byte more is refused before it is sent, or while it is."""
    with pytest.raises(RequestTooLarge):
        await samples.upload(File(bytes(size), name="large.bin"))
    assert [request for request in world.requests if request.operation == "samples.upload"] == []

    with pytest.raises(RequestTooLarge) as caught:
        await samples.upload(File((bytes(MAX_BYTES // 8) for _ in range(size // MAX_BYTES * 8 + 1)), name="large.bin"))

    assert caught.value.request_id is not None
    assert (await samples.upload(File(bytes(MAX_BYTES), name="just.bin"))).length == MAX_BYTES


async def test_the_digest_of_the_body_travels(connect: Connect, person: Profile) -> None:
    """Where the body can be read twice, its SHA-256 and its length are announced, each time the same."""
    wire = Wire(change=_unavailable_once())

    await through(connect, person, wire).upload(File(CONTENT, name="x"))

    sent = [(request.headers["content-digest"], request.headers["content-type"]) for request in wire.requests]
    assert len(sent) == 2
    assert len(set(sent)) == 1
    body = wire.requests[0].content
    assert not isinstance(body, bytes)
    assert body.length == len(b"".join(body))


def _unavailable_once() -> Callable[[Request, Response], Response]:
    left = iter((503,))

    def change(_: Request, response: Response) -> Response:
        status = next(left, None)
        return response if status is None else Response(status=status, headers=Headers((("retry-after", "0"),)))

    return change


async def test_a_file_that_changed_while_it_was_sent(samples: AsyncSamples, tmp_path: Path) -> None:
    """A file that is shorter or longer than it was is not sent as if it were whole."""
    for size in (10, 1_000_000):
        path = tmp_path / f"{size}"
        path.write_bytes(CONTENT)
        file = File.from_path(path)
        path.write_bytes(bytes(size))
        with pytest.raises(UsageError, match="changed while it was sent"):
            await samples.upload(file)


def test_what_a_file_is_made_of() -> None:
    """Text is refused, the name is made safe, the type is guessed, and nothing of it is shown."""
    with pytest.raises(UsageError, match="from_path"):
        File("path.txt", name="x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidValue):
        File(b"", name="x", media_type="text/plain\r\nX: y")

    file = File(b"abc", name='C:\\Users\\me\\"x".docx')

    assert file.name == "_x_.docx"
    assert file.media_type.startswith("application/vnd.openxmlformats")
    assert File(b"", name="unknown").media_type == "application/octet-stream"
    assert "x" not in repr(file).replace("openxml", "").replace("office", "")
    assert file.read() == file.read() == b"abc"


def test_types() -> None:
    """An upload's method gives the row's response in both modes."""

    def sync(samples: Samples) -> None:
        assert_type(samples.upload(File(b"", name="x"), note="y"), Sample)

    async def asynchronous(samples: AsyncSamples) -> None:
        assert_type(await samples.upload(File(b"", name="x"), note="y"), Sample)

    assert callable(sync)
    assert callable(asynchronous)
