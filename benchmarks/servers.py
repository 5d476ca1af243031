"""
The other end of a measurement, in a process of its own: says its port on standard output, and serves until it is ended.

    python -m benchmarks.servers {world,starlette,canned,files}
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import cast, final

import attrs
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.samples import charges_one_by_one, full_world
from reference_server.serve import WorldServer, listen
from reference_server.testing import connect, credentials

__all__ = ["Served", "served"]

GIGABYTE = 1024**3


@final
@attrs.frozen
class Served:
    """
    A server that runs beside.

    Attributes:
        port: Of this machine.
        told: What it said besides.
        process: The process.
    """

    port: int
    told: dict[str, str]
    process: subprocess.Popen[str]

    def cpu(self) -> float:
        """Return the CPU seconds that it has taken so far."""
        # Linux: the number of a process' CPU clock follows from its id, as clock_getcpuclockid(3) computes it.
        return time.clock_gettime((~self.process.pid << 3) | 2)


@contextmanager
def served(kind: str) -> Generator[Served]:
    """
    Run a server of a kind, on the processor of who asks it.

    A request costs twice as much where each side wakes another processor, and the system would have one server beside
    its client and another one elsewhere.
    """
    command = [sys.executable, "-m", "benchmarks.servers", kind]
    with _one_processor(), subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            told = json.loads(process.stdout.readline() if process.stdout is not None else "")
            yield Served(int(told["port"]), told, process)
        finally:
            process.terminate()


@contextmanager
def _one_processor() -> Generator[None]:
    if not sys.platform.startswith("linux"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _say(port: int, **others: str) -> None:
    print(json.dumps({"port": port, **others}), flush=True)


def _world() -> None:
    world, (person,) = full_world()
    listener = listen("127.0.0.1", 0)
    charge = next(iter(connect(world, person).charges.list()))
    secret = credentials(world, person).client_secret
    port = listener.getsockname()[1]
    server = WorldServer(world, listener, ready=lambda _: _say(port, charge=charge.id, client=person.id, secret=secret))
    server.serve_forever()


def _starlette() -> None:
    document = json.loads(charges_one_by_one()[0])

    async def charge(_: Request) -> JSONResponse:
        return JSONResponse(document)

    app = Starlette(routes=[Route("/v1/charges/{charge_id}", charge)])
    listener = listen("127.0.0.1", 0)
    _say(listener.getsockname()[1])
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


@final
class _Canned(asyncio.Protocol):
    """Answers every request with the same bytes, and costs next to nothing itself; requests have no body."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            self._buffer = self._buffer[end + 4 :]
            self._transport.write(self._answer)


async def _canned() -> None:
    content = charges_one_by_one()[0]
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Canned(head.encode() + content), "127.0.0.1", 0, backlog=1024)
    _say(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def _pieces(length: int) -> AsyncIterator[bytes]:
    piece = bytes(256 * 1024)
    for _ in range(length // len(piece)):
        yield piece


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send as much as the address says; take whatever comes, of which only the length counts."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ")
        fields = dict(line.lower().split(": ", 1) for line in lines if line)
        if method == "GET":
            length = int(path.split("/")[-2])
            start = f"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: {length}\r\n"
            writer.write(f"{start}\r\n".encode())
            async for piece in _pieces(length):
                writer.write(piece)
                await writer.drain()
            continue
        left = int(fields["content-length"])
        while left:
            left -= len(await reader.read(min(left, 1024 * 1024)))
        answer = json.dumps(_SAMPLE).encode()
        start = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(answer)}\r\n\r\n"
        writer.write(start.encode() + answer)
        await writer.drain()


_SAMPLE: dict[str, object] = {
    "id": "smp_1",
    "name": "file.bin",
    "media_type": "application/octet-stream",
    "length": 0,
    "sha256": "",
    "note": None,
    "total": None,
    "pages": None,
    "tags": [],
    "period": None,
}


async def _quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await _exchange(reader, writer)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _files() -> None:
    server = await asyncio.start_server(_quietly, "127.0.0.1", 0, limit=1024 * 1024)
    _say(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def main() -> None:
    """Serve what the command line names."""
    kind = sys.argv[1]
    try:
        if kind == "world":
            _world()
        elif kind == "starlette":
            _starlette()
        else:
            import uvloop  # noqa: PLC0415  # it does not exist for Windows

            uvloop.run({"canned": _canned, "files": _files}[kind]())
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
