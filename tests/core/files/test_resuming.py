"""Downloads that break off, through both clients: resumed, begun anew, or refused; never joined of two files."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import attrs
import pytest

from cabinet_sdk.errors import ConnectionLost, FileChanged, UnreadableAnswer, UsageError
from cabinet_sdk.transports import AsyncTransport, Headers, Request, Response, Transport
from reference_server import Profile
from reference_server.files import StoredFile
from tests.conftest import Connect
from tests.core.sample_area import FILES, add_file, samples_of
from tests.core.wires import AsyncRangeless, Rangeless, Wire, contents_of, noise, through

CONTENT = noise(1, 300_000)


async def test_a_cut_download_is_resumed(connect: Connect, person: Profile) -> None:
    """Cut at a hundred random places, it is whole; each part is asked for with the ETag and one request id."""
    wire = Wire(*(1 + number % 20_000 for number in struct.unpack("100I", noise(100, 400))))
    content = noise(2, 3_000_000)

    async with await through(connect, person, wire).download(add_file(content)) as file:
        got = b"".join([part async for part in file])

    assert got == content
    assert not wire.cuts
    assert len({request.headers["x-request-id"] for request in wire.requests}) == 1
    later = wire.requests[1:]
    assert len(later) == 100
    assert all(re.fullmatch(r"bytes=\d+-", request.headers["range"]) for request in later)
    assert all(request.headers["if-range"].startswith('"') for request in later)


async def test_a_download_that_never_gets_on_ends(connect: Connect, person: Profile, tmp_path: Path) -> None:
    """Attempts without a byte are counted, and when they are used up nothing is left on the disk."""
    wire = Wire(1000, 0, 0, 0, 0)

    with pytest.raises(ConnectionLost) as caught:
        async with await through(connect, person, wire).download(add_file(CONTENT)) as file:
            await file.save(tmp_path)

    assert caught.value.operation == "samples.download"
    assert len(wire.requests) == 4
    assert contents_of(tmp_path) == {}


@pytest.mark.parametrize("told", ["no etag", "another etag each time"])
@pytest.mark.parametrize("cuts,requests", [((1000,) * 20, 4), ((1000, 900, 800, 1100, 1000, 900, 800), 7)])
async def test_what_came_before_is_not_getting_on(
    connect: Connect, person: Profile, tmp_path: Path, *, told: str, cuts: tuple[int, ...], requests: int
) -> None:
    """Beginning anew uses up the attempts as well, until the file gets further than it had ever been."""

    def change(_: Request, response: Response) -> Response:
        kept = [pair for pair in response.headers.pairs() if pair[0] != "etag"]
        etag = [] if told == "no etag" else [("etag", f'"{len(wire.requests)}"')]
        return attrs.evolve(response, headers=Headers([*kept, *etag]))

    wire = Wire(*cuts, change=change)

    with pytest.raises(ConnectionLost):
        async with await through(connect, person, wire).download(add_file(CONTENT)) as file:
            await file.save(tmp_path)
    assert len(wire.requests) == requests
    assert contents_of(tmp_path) == {}

    wire.cuts, wire.requests = list(cuts), []
    async with await through(connect, person, wire).download(add_file(CONTENT)) as file:
        with pytest.raises(ConnectionLost):
            await file.read()
    assert len(wire.requests) == requests


async def test_a_file_that_changed_is_not_joined(connect: Connect, person: Profile, tmp_path: Path) -> None:
    """After a cut, parts handed out are not followed by another file's; a file that is saved is begun anew."""
    sample_id = add_file(CONTENT, "file.bin")
    other = b"another one" * 1000
    samples = through(connect, person, Wire(100_000, len(other) + 1, 5000))

    async with await samples.download(sample_id) as file:
        parts = aiter(file)
        await anext(parts)
        FILES[sample_id] = StoredFile(content=other, name="file.bin")
        with pytest.raises(FileChanged):
            _ = [part async for part in parts]
        with pytest.raises(UsageError, match="closed"):
            await file.read()

    def replace(done: int, _: int | None) -> None:
        if done == 5000:
            FILES[sample_id] = StoredFile(content=CONTENT, name="file.bin")

    async with await samples.download(sample_id) as file:
        saved = await file.save(tmp_path, progress=replace)
    assert saved.read_bytes() == CONTENT


@pytest.mark.parametrize("etag", ['"1"', "", '"\xe9"'], ids=["etag", "no etag", "an etag that is not ASCII"])
async def test_a_service_without_ranges(connect: Connect, person: Profile, *, etag: str) -> None:
    """Where ranges are ignored, the same file is read again up to the cut, and one that cannot be told is refused."""

    def without_ranges(_: Request, response: Response) -> Response:
        kept = [pair for pair in response.headers.pairs() if pair[0] != "etag"]
        return attrs.evolve(response, headers=Headers([*kept, *([("etag", etag)] if etag else [])]))

    wire = Wire(100_000, change=without_ranges)

    def sync(inner: Transport) -> Transport:
        return wire.sync(Rangeless(inner))

    def asynchronous(inner: AsyncTransport) -> AsyncTransport:
        return wire.asynchronous(AsyncRangeless(inner))

    client = connect(person, wrap=sync, wrap_async=asynchronous)
    sample_id = add_file(CONTENT)

    async with await samples_of(client).download(sample_id) as file:
        if etag == '"1"':
            assert b"".join([part async for part in file]) == CONTENT
        else:
            with pytest.raises(ConnectionLost):
                _ = [part async for part in file]
    async with await samples_of(client).download(sample_id) as file:
        wire.cuts = [100_000]
        assert await file.read() == CONTENT


async def test_nothing_after_the_end_is_the_end(connect: Connect, person: Profile) -> None:
    """Where the length is not known and the cut came after the last byte, 416 says that all is there."""

    def without_length(_: Request, response: Response) -> Response:
        kept = Headers(pair for pair in response.headers.pairs() if pair[0] != "content-length")
        return attrs.evolve(response, headers=kept)

    wire = Wire(len(CONTENT), change=without_length)

    async with await through(connect, person, wire).download(add_file(CONTENT)) as file:
        assert file.length is None
        assert await file.read() == CONTENT
    assert [request.headers.get("range") for request in wire.requests] == [None, f"bytes={len(CONTENT)}-"]


@pytest.mark.parametrize("wrong", ["repr-digest", "content-length"])
async def test_a_damaged_file_is_refused(connect: Connect, person: Profile, tmp_path: Path, wrong: str) -> None:
    """With another digest or length than announced it does not appear, and nothing is left of it."""
    lies = {"repr-digest": f"sha-256=:{'A' * 43}=:", "content-length": "1000"}

    def lie(_: Request, response: Response) -> Response:
        pairs = [(name, lies[name] if name == wrong else value) for name, value in response.headers.pairs()]
        return attrs.evolve(response, headers=Headers(pairs))

    samples = through(connect, person, Wire(change=lie))
    sample_id = add_file(CONTENT)

    with pytest.raises(UnreadableAnswer, match="damaged"):
        async with await samples.download(sample_id) as file:
            await file.save(tmp_path / "it")
    async with await samples.download(sample_id) as file:
        with pytest.raises(UnreadableAnswer, match="damaged"):
            await file.read()
    assert contents_of(tmp_path) == {}


@pytest.mark.parametrize("cuts", [(), (100_000,)], ids=["at once", "in the midst"])
async def test_a_page_is_no_file(connect: Connect, person: Profile, tmp_path: Path, cuts: tuple[int, ...]) -> None:
    """A page that something between answers with 200 is not taken for the file, nor for the rest of it."""

    def change(request: Request, response: Response) -> Response:
        if cuts and "range" not in request.headers:
            return response
        return attrs.evolve(response, headers=Headers((("content-type", "text/html; charset=utf-8"),)))

    samples = through(connect, person, Wire(*cuts, change=change))

    with pytest.raises(UnreadableAnswer, match="a page came in its place") as caught:
        async with await samples.download(add_file(CONTENT)) as file:
            await file.save(tmp_path)

    assert caught.value.request_id
    assert contents_of(tmp_path) == {}


async def test_a_page_may_be_the_file(connect: Connect, person: Profile) -> None:
    """A file of HTML that says that it is one is downloaded like any other."""
    sample_id = add_file(b"<html></html>", "page.html", "text/html")

    async with await through(connect, person, Wire()).download(sample_id) as file:
        assert await file.read() == b"<html></html>"
