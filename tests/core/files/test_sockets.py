"""Downloads from a bare socket: what breaks and stalls there is resumed or cleaned up, through both clients."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cabinet_sdk import AsyncCabinet, BearerToken
from cabinet_sdk.errors import TimedOut
from cabinet_sdk.transports import Timeout
from tests.core.conftest import Dial
from tests.core.raw_server import Connection, RawServer, http
from tests.core.sample_area import SampleId, samples_of
from tests.core.wires import contents_of, noise

CONTENT = noise(3, 200_000)
DIGEST = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
FIELDS = ('ETag: "one"', f"Repr-Digest: sha-256=:{DIGEST}:", "Content-Disposition: attachment; filename=it.bin")
WHOLE = f"Content-Length: {len(CONTENT)}"


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
