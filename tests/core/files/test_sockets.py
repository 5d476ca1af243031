"""Downloads from a bare socket: what breaks and stalls there is resumed or cleaned up, through both clients."""

from __future__ import annotations

import asyncio
import base64
import errno
import gc
import hashlib
import io
import threading
import traceback
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx

from cabinet_sdk import AsyncCabinet, BearerToken, Cabinet
from cabinet_sdk._core.flow import perform_async, run
from cabinet_sdk.errors import (
    CallerError,
    ConnectionLost,
    FileChanged,
    TimedOut,
    UnreadableAnswer,
    UsageError,
)
from cabinet_sdk.transports import AsyncHttpxTransport, HttpxTransport, Timeout
from cabinet_sdk.types import File
from tests.core.conftest import Dial
from tests.core.raw_server import Connection, RawServer, http
from tests.core.sample_area import SampleId, samples_of
from tests.core.scripted import BASE_URL
from tests.core.wires import contents_of, noise
from tests.faces import with_async_face

CONTENT = noise(3, 200_000)
DIGEST = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
FIELDS = ('ETag: "one"', f"Repr-Digest: sha-256=:{DIGEST}:", "Content-Disposition: attachment; filename=it.bin")
WHOLE = f"Content-Length: {len(CONTENT)}"


class Unreadable(io.BytesIO):
    """A file on a disk that breaks once it was read to its end so many times."""

    def __init__(self, times: int) -> None:
        super().__init__(CONTENT)
        self.left = times

    def read(self, size: int | None = -1, /) -> bytes:
        """Read on, while the disk works."""
        if not self.left:
            raise OSError(errno.EIO, "Input/output error", "/home/canary/passport.pdf")
        content = super().read(size)
        self.left -= not content
        return content


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> str:
    """Which client."""
    value: str = request.param
    return value


def part(start: int, end: int) -> bytes:
    """Return the answer with a part of the file."""
    fields = (f"Content-Length: {end - start}", f"Content-Range: bytes {start}-{end - 1}/{len(CONTENT)}")
    return http("206 Partial Content", CONTENT[start:end], *fields, *FIELDS)


async def test_a_connection_that_ends_too_early(dial: Dial, tmp_path: Path) -> None:
    """A service that closes in the middle of the body is asked for the rest, as often as it gets on."""
    first = http("200 OK", CONTENT[:70_000], WHOLE, *FIELDS)
    second = part(70_000, 200_000)[:-50_000]
    with RawServer.answering(first, second, part(150_000, 200_000)) as server:
        async with await samples_of(dial(server.url, attempts=2)).download(SampleId("x")) as file:
            saved = await file.save(tmp_path)

    assert saved == tmp_path / "it.bin"
    assert contents_of(tmp_path) == {"it.bin": len(CONTENT)}
    ranges = [
        b"range: bytes=70000-" in server.requests[1].lower(),
        b"range: bytes=150000-" in server.requests[2].lower(),
    ]
    assert ranges == [True, True]


def unmeasured(end: int) -> bytes:
    """Return an answer that does not tell its length and is cut there."""
    return http("200 OK", b"%x\r\n" % end + CONTENT[:end] + b"\r\n", "Transfer-Encoding: chunked", *FIELDS)


def short(start: int, end: int, length: str) -> bytes:
    """Return a part that is shorter than what was asked for."""
    fields = (f"Content-Length: {end - start}", f"Content-Range: bytes {start}-{end - 1}/{length}")
    return http("206 Partial Content", CONTENT[start:end], *fields, FIELDS[0])


def nothing_after(length: int) -> bytes:
    """Return the answer that says how long the file is, since it has nothing where more was asked for."""
    body = b'{"code":"request.range_not_satisfiable","status":416,"content_range":"bytes */%d"}' % length
    fields = (f"Content-Range: bytes */{length}", "Content-Type: application/problem+json")
    return http("416 Range Not Satisfiable", body, *fields, f"Content-Length: {len(body)}")


@pytest.mark.parametrize("length", [str(len(CONTENT)), "*"])
async def test_a_part_may_be_shorter_than_asked_for(dial: Dial, tmp_path: Path, length: str) -> None:
    """Without a length in the first answer that of the parts counts; a service that never tells is asked to the end."""
    answers = [unmeasured(500), short(500, 600, length), short(600, len(CONTENT), length), nothing_after(len(CONTENT))]
    with RawServer.answering(*answers) as server:
        async with await samples_of(dial(server.url, attempts=2)).download(SampleId("x")) as file:
            assert file.length is None
            saved = await file.save(tmp_path)

    assert saved.read_bytes() == CONTENT
    assert file.length == (len(CONTENT) if length != "*" else None)
    assert len(server.requests) == (3 if length != "*" else 4)
    assert all(b"range: bytes=%d-" % start in server.requests[n].lower() for n, start in ((1, 500), (2, 600)))


@pytest.mark.parametrize("fields", [(), ("Transfer-Encoding: chunked",)], ids=["until the end", "chunked"])
async def test_a_second_answer_that_ends_before_the_first_one(
    dial: Dial, tmp_path: Path, fields: tuple[str, ...]
) -> None:
    """Of the same file there was more before: what ends sooner is cut, also where nothing tells how long it is."""
    body = b"12c\r\n" + CONTENT[:300] + b"\r\n0\r\n\r\n" if fields else CONTENT[:300]
    with RawServer.answering(unmeasured(1000), http("200 OK", body, *fields, FIELDS[0])) as server:
        async with await samples_of(dial(server.url, attempts=2)).download(SampleId("x")) as file:
            with pytest.raises(ConnectionLost):
                await file.save(tmp_path)

    assert contents_of(tmp_path) == {}


async def test_a_part_that_is_longer_than_it_says(dial: Dial, tmp_path: Path) -> None:
    """What comes behind the announced end of a part is nothing to build on."""
    part = short(500, 1000, "*").replace(b"500-999", b"500-599")
    with RawServer.answering(unmeasured(500), part, nothing_after(1000)) as server:
        async with await samples_of(dial(server.url, attempts=2)).download(SampleId("x")) as file:
            with pytest.raises(UnreadableAnswer, match="longer than the 600 bytes announced"):
                await file.save(tmp_path)

    assert contents_of(tmp_path) == {}


async def test_a_416_of_a_gateway_is_the_end_too(dial: Dial, tmp_path: Path) -> None:
    """Whoever says in the header that the file ends where it is: RFC 9110 15.5.17 has it stand there."""
    page = http("416 Range Not Satisfiable", b"<html>", "Content-Range: bytes */500", "Content-Length: 6")
    with RawServer.answering(unmeasured(500).replace(FIELDS[1].encode() + b"\r\n", b""), page) as server:
        async with await samples_of(dial(server.url, attempts=2)).download(SampleId("x")) as file:
            saved = await file.save(tmp_path)

    assert saved.read_bytes() == CONTENT[:500]


UNTOLD = http("200 OK", b"1f4\r\n" + CONTENT[:500] + b"\r\n", "Transfer-Encoding: chunked", 'ETag: "one"')
REFUSALS = {
    "shorter": (UNTOLD, nothing_after(300)),
    "longer": (UNTOLD, nothing_after(501)),
    "a page": (UNTOLD, http("416 Range Not Satisfiable", b"<html>", "Content-Type: text/html", "Content-Length: 6")),
    "cut to what is there": (http("200 OK", CONTENT[:500], WHOLE, 'ETag: "one"'), nothing_after(500)),
}


@pytest.mark.parametrize("first, refusal", REFUSALS.values(), ids=REFUSALS.keys())
async def test_not_every_416_is_the_end(dial: Dial, tmp_path: Path, first: bytes, refusal: bytes) -> None:
    """Only a refusal that names the very length there is says that all is there; after another, all is asked for."""
    whole = http("200 OK", CONTENT, WHOLE, *FIELDS)
    with RawServer.answering(first, refusal, whole) as server:
        async with await samples_of(dial(server.url, attempts=2)).download(SampleId("x")) as file:
            saved = await file.save(tmp_path / "it")
        assert saved.read_bytes() == CONTENT
        assert [b"range:" in request.lower() for request in server.requests] == [False, True, False]
    with RawServer.answering(first, refusal, whole) as server:
        async with await samples_of(dial(server.url, attempts=2)).download(SampleId("x")) as file:
            assert await file.read() == CONTENT


async def test_a_416_after_parts_were_handed_out(dial: Dial) -> None:
    """What was handed out cannot be taken back, so that the file is to be downloaded again."""
    with RawServer.answering(UNTOLD, nothing_after(300)) as server:
        async with await samples_of(dial(server.url, attempts=2)).download(SampleId("x")) as file:
            with pytest.raises(FileChanged) as caught:
                _ = [chunk async for chunk in file]

    assert isinstance(caught.value.__cause__, CallerError)
    assert caught.value.__cause__.status == 416


async def test_beginning_anew_after_a_416_is_counted(dial: Dial, tmp_path: Path) -> None:
    """A service that refuses the rest each time is asked as often as there are attempts."""
    with RawServer.answering(*[UNTOLD, nothing_after(300)] * 5) as server:
        async with await samples_of(dial(server.url, attempts=3)).download(SampleId("x")) as file:
            with pytest.raises(ConnectionLost):
                await file.save(tmp_path)

    assert len(server.requests) == 5
    assert contents_of(tmp_path) == {}


@pytest.mark.parametrize("theirs", ["X: y", 'ETag: W/"one"', 'ETag: "two"'], ids=["none", "weak", "another"])
async def test_a_part_without_the_same_strong_etag(dial: Dial, tmp_path: Path, theirs: str) -> None:
    """It may be of another file, for RFC 9110 15.3.7 has the service send it: what is saved is begun anew."""
    first = http("200 OK", b"A" * 500, "Content-Length: 1000", 'ETag: "one"')
    part = http("206 Partial Content", b"B" * 500, "Content-Length: 500", "Content-Range: bytes 500-999/1000", theirs)
    with RawServer.answering(first, part, http("200 OK", b"B" * 700, "Content-Length: 700")) as server:
        async with await samples_of(dial(server.url, attempts=2)).download(SampleId("x")) as file:
            saved = await file.save(tmp_path / "it")
        assert saved.read_bytes() == b"B" * 700
        assert b"range:" not in server.requests[2].lower()
    with RawServer.answering(first, part) as server:
        async with await samples_of(dial(server.url, attempts=2)).download(SampleId("x")) as file:
            with pytest.raises(FileChanged):
                _ = [chunk async for chunk in file]


@pytest.mark.parametrize("field", ["X: y", 'ETag: W/"one"'], ids=["none", "weak"])
async def test_a_part_that_nobody_asked_for(dial: Dial, tmp_path: Path, field: str) -> None:
    """Without a strong ETag the whole file is asked for, and a part is no answer to that."""
    first = http("200 OK", b"A" * 500, "Content-Length: 1000", field)
    part = http("206 Partial Content", b"B" * 500, "Content-Length: 500", "Content-Range: bytes 500-999/1000", field)
    with RawServer.answering(first, part) as server:
        async with await samples_of(dial(server.url, attempts=2)).download(SampleId("x")) as file:
            with pytest.raises(UnreadableAnswer, match="nobody asked for") as caught:
                await file.save(tmp_path)

    assert caught.value.status == 206
    assert contents_of(tmp_path) == {}


@pytest.mark.parametrize(
    "status", ["201 Created", "202 Accepted", "203 Changed", "204 No Content", "205 Reset Content"]
)
@pytest.mark.parametrize("when", ["at once", "in the midst"])
async def test_only_200_and_206_bring_a_file(dial: Dial, tmp_path: Path, status: str, when: str) -> None:
    """Whatever else comes is not saved over a good file."""
    body = b"" if status[:3] in {"204", "205"} else b'{"status":"later"}'
    fields = [f"Content-Length: {len(body)}"] if body else []
    answers = [http(status, body, *fields)]
    if when == "in the midst":
        answers.insert(0, http("200 OK", b"A" * 500, "Content-Length: 1000"))
    (tmp_path / "paper").write_bytes(b"good")
    match = f"status {status[:3]}"
    with RawServer.answering(*answers) as server, pytest.raises(UnreadableAnswer, match=match) as caught:
        async with await samples_of(dial(server.url, attempts=2)).download(SampleId("x")) as file:
            await file.save(tmp_path / "paper")

    assert caught.value.status == int(status[:3])
    assert (tmp_path / "paper").read_bytes() == b"good"
    assert contents_of(tmp_path) == {"paper": 4}


async def test_a_service_that_falls_silent(dial: Dial, tmp_path: Path) -> None:
    """Between two parts the idle limit holds, whatever the deadline; what is never resumed leaves nothing behind."""

    def serve(connection: Connection) -> None:
        connection.read()
        connection.write(http("200 OK", CONTENT[:1000], WHOLE, *FIELDS))
        connection.read()

    with RawServer(serve) as server:
        client = dial(server.url).with_options(timeout=Timeout(idle=0.2))
        with pytest.raises(TimedOut) as caught:
            async with await samples_of(client).download(SampleId("x")) as file:
                await file.save(tmp_path)

    assert caught.value.operation == "samples.download"
    assert contents_of(tmp_path) == {}


@pytest.mark.parametrize("by_length", [True, False], ids=["length", "until the end"])
async def test_a_client_that_is_closed_lets_a_file_come_that_is_read(
    mode: str, dial: Dial, tmp_path: Path, *, by_length: bool
) -> None:
    """Who reads in another thread or task gets the whole file, and never a part of it for the whole."""
    loop = asyncio.get_running_loop()
    fields = [WHOLE, *FIELDS] if by_length else ["Content-Disposition: attachment; filename=it.bin"]

    def serve(connection: Connection) -> None:
        connection.read()
        connection.write(http("200 OK", CONTENT[:1000], *fields))
        # By then the reader has the beginning, and waits for more.
        assert begun.wait(60)
        closing = client.close()
        if mode == "async":
            asyncio.run_coroutine_threadsafe(closing, loop).result(60)
        connection.write(CONTENT[1000:])

    begun = threading.Event()
    with RawServer(serve) as server:
        client = dial(server.url, attempts=1)
        async with await samples_of(client).download(SampleId("x")) as file:
            saved = await file.save(tmp_path, progress=lambda _, __: begun.set())

    assert saved.read_bytes() == CONTENT


async def test_a_file_that_was_opened_outlives_its_client(dial: Dial) -> None:
    """What was opened is read to its end after the client was closed, and its connection goes then."""
    gone = threading.Event()

    def serve(connection: Connection) -> None:
        connection.read()
        connection.write(http("200 OK", CONTENT, WHOLE, *FIELDS))
        if not connection.read():
            gone.set()

    with RawServer(serve) as server:
        client = dial(server.url, attempts=1)
        file = await samples_of(client).download(SampleId("x"))
        await client.close()
        assert await file.read() == CONTENT
        assert await asyncio.to_thread(gone.wait, 60)
        await file.close()


async def test_a_file_that_is_dropped_gives_its_connection_back(mode: str) -> None:
    """Without a word files that nobody closes would end a client after a hundred of them; a warning tells of each."""
    with RawServer.answering(http("200 OK", CONTENT, WHOLE, *FIELDS), close=False) as server:
        token = BearerToken("token-of-tests")
        if mode == "sync":
            one = HttpxTransport(environment=False, connections=1)
            client = with_async_face(Cabinet(server.url, token, transport=one))
        else:
            client = AsyncCabinet(server.url, token, transport=AsyncHttpxTransport(environment=False, connections=1))

        async def drop() -> None:
            await samples_of(client).download(SampleId("x"))
            gc.collect()

        for _ in range(3):
            with pytest.warns(ResourceWarning, match="neither closed nor read to its end"):
                await drop()
        await client.close()


async def test_a_file_that_is_closed_while_it_is_read_ends(mode: str, dial: Dial) -> None:
    """Who waits for more, in another thread or task, is told so; nothing is asked for anew."""
    loop = asyncio.get_running_loop()
    begun = threading.Event()

    def serve(connection: Connection) -> None:
        connection.read()
        server.requests.append(b"")
        connection.write(http("200 OK", CONTENT[:1000], WHOLE, *FIELDS))
        assert begun.wait(60)
        closing = file.close()
        if mode == "async":
            asyncio.run_coroutine_threadsafe(closing, loop).result(60)
        connection.write(CONTENT[1000:2000])

    with RawServer(serve) as server:
        client = dial(server.url, attempts=4)
        file = await samples_of(client).download(SampleId("x"))

        async def read() -> None:
            async for _ in file:
                begun.set()

        with pytest.raises(UsageError, match="closed"):
            await read()

    assert len(server.requests) == 1


@respx.mock(base_url=BASE_URL)
async def test_the_deadline_bounds_no_file_on_its_way(respx_mock: respx.MockRouter, dial: Dial) -> None:
    """Between two parts nothing but the idle limit holds, however short the deadline is."""
    respx_mock.route().respond(200, content=CONTENT)
    client = dial(BASE_URL).with_options(deadline=5, timeout=Timeout(idle=30))
    async with await samples_of(client).download(SampleId("x")) as file:
        assert await file.read() == CONTENT

    calls: Any = respx_mock.calls  # Any: respx leaves it untyped
    assert calls.last.request.extensions["timeout"]["read"] == 30


@pytest.mark.parametrize("streamed", [True, False])
@respx.mock(base_url=BASE_URL)
async def test_a_body_of_single_bytes_leaves_others_their_turn(respx_mock: respx.MockRouter, *, streamed: bool) -> None:
    """Where all of it is there already, reading waits for nothing: other tasks go on all the same."""
    at_once, most = 0, 0

    class Bytes(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            nonlocal at_once, most
            for byte in CONTENT[:5000]:
                at_once += 1
                most = max(most, at_once)
                yield bytes((byte,))

    async def others() -> None:
        nonlocal at_once
        while True:
            at_once = 0
            await asyncio.sleep(0)

    respx_mock.route().respond(200 if streamed else 404, stream=Bytes())
    task = asyncio.create_task(others())
    async with AsyncCabinet(BASE_URL, BearerToken("token-of-tests")) as client:
        try:
            async with await samples_of(client).download(SampleId("x")) as file:
                assert await file.read() == CONTENT[:5000]
        except CallerError:
            assert not streamed
    task.cancel()

    assert 1 < most < 1000


async def test_a_task_that_is_cancelled_lets_go(tmp_path: Path) -> None:
    """Cancelled in the middle, a download gives its connection back and removes what it wrote."""
    gone = threading.Event()

    def serve(connection: Connection) -> None:
        connection.read()
        connection.write(http("200 OK", CONTENT[:1000], WHOLE, *FIELDS))
        if not connection.read():
            gone.set()

    told = asyncio.Event()
    with RawServer(serve) as server:
        async with AsyncCabinet(server.url, BearerToken("token-of-tests")) as client:

            def progress(_: int, __: int | None) -> None:
                told.set()

            async def save() -> None:
                async with await samples_of(client).download(SampleId("x")) as file:
                    await file.save(tmp_path, progress=progress)

            task = asyncio.create_task(save())
            await told.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(gone.wait, 10)

    assert contents_of(tmp_path) == {}


async def test_a_save_that_is_cancelled_at_once_leaves_nothing(tmp_path: Path) -> None:
    """A task that is cancelled while the file is being made ends when it is there, and takes it away."""
    loop = asyncio.get_running_loop()
    made, go = asyncio.Event(), threading.Event()

    class Holding(ThreadPoolExecutor):
        """Keeps what made the file from telling so."""

        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # Any: as it is there
            def held() -> Any:
                result = fn(*args, **kwargs)
                if not made.is_set() and contents_of(tmp_path):
                    loop.call_soon_threadsafe(made.set)
                    assert go.wait(60)
                return result

            return super().submit(held)

    def serve(connection: Connection) -> None:
        connection.read()
        connection.write(http("200 OK", CONTENT, WHOLE, *FIELDS))

    loop.set_default_executor(Holding())
    with RawServer(serve) as server:
        async with AsyncCabinet(server.url, BearerToken("token-of-tests")) as client:

            async def save() -> None:
                async with await samples_of(client).download(SampleId("x")) as file:
                    await file.save(tmp_path)

            task = asyncio.create_task(save())
            await made.wait()
            task.cancel()
            await asyncio.wait([task], timeout=0)
            go.set()
            with pytest.raises(asyncio.CancelledError):
                await task

    assert contents_of(tmp_path) == {}


@pytest.mark.parametrize("times", [0, 1])
async def test_a_file_that_cannot_be_read_is_no_broken_network(dial: Dial, times: int) -> None:
    """Neither for the digest nor when it is sent: the call ends at once, and shows nothing of where the file is."""
    came = threading.Event()

    def serve(connection: Connection) -> None:
        came.set()
        connection.await_end(60)

    with RawServer(serve) as server:
        file = Unreadable(times)
        upload = samples_of(dial(server.url, attempts=3)).upload(File(file, name="x"))
        with pytest.raises(UsageError, match=r"could not be read .*: Input/output error") as caught:
            await upload
        # The server takes a connection in its own time.
        assert not times or await asyncio.to_thread(came.wait, 60)

    assert len(server.connections) == times
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert "canary" not in "".join(traceback.format_exception(caught.value))


async def test_a_save_that_is_cancelled_and_fails_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """What becomes of a step whose task was cancelled meanwhile is nobody's to hear of, nor the log's."""
    begun, go = threading.Event(), threading.Event()

    def step() -> None:
        begun.set()
        go.wait(60)
        raise FileExistsError

    transport = AsyncHttpxTransport()
    task = asyncio.create_task(perform_async(run(step, whole=True), transport))
    await asyncio.to_thread(begun.wait, 60)
    task.cancel()
    await asyncio.wait([task], timeout=0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await transport.aclose()
    del task
    gc.collect()
    # The handler of these tests keeps what it is told until their end.
    assert not [record for record in caplog.records if "never retrieved" in record.getMessage()]
