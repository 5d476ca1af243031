"""A server on a bare socket of this machine that says exactly the bytes it is told to, at the pace it is told to."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Self, final

import pytest

from cabinet_sdk.errors import CabinetError

__all__ = ["Connection", "RawServer", "http", "json_answer", "out_of_time"]


def http(status: str, body: bytes = b"", *fields: str) -> bytes:
    """Return an answer with these header fields and no others."""
    return "\r\n".join([f"HTTP/1.1 {status}", *fields, "", ""]).encode("latin-1") + body


def json_answer(body: bytes = b'{"name":"a thing"}', *fields: str) -> bytes:
    """Return a good answer."""
    return http("200 OK", body, "Content-Type: application/json", f"Content-Length: {len(body)}", *fields)


async def out_of_time(
    call: Callable[[float], Awaitable[object]], expected: type[CabinetError], server: RawServer
) -> tuple[CabinetError, float]:
    """
    Call with a limit of so many seconds that a server which got the request lets pass.

    A busy machine may have sent nothing by then: twice as long is tried then. Returned are the error and the limit.
    """
    limit = 0.2
    while True:
        with pytest.raises(CabinetError) as caught:
            await call(limit)
        if server.asked:
            assert isinstance(caught.value, expected), repr(caught.value)
            return caught.value, limit
        limit *= 2


@final
class Connection:
    """One connection that a client made."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.socket = sock
        self.number = number
        self.asked = False

    def read_head(self) -> bytes:
        """Read a request up to its empty line; nothing when the client is gone."""
        head = b""
        while b"\r\n\r\n" not in head:
            received = self.socket.recv(65536)
            if not received:
                return b""
            head += received
        self.asked = True
        return head

    def read(self) -> bytes:
        """Read a request with its body."""
        request = self.read_head()
        head, _, body = request.partition(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                missing = int(value) - len(body)
                while missing > 0 and (received := self.socket.recv(65536)):
                    request += received
                    missing -= len(received)
        return request

    def write(self, content: bytes) -> None:
        """Say these bytes."""
        self.socket.sendall(content)

    def drip(self, content: Iterable[bytes], pause: float) -> None:
        """Say these bytes one after another with pauses between."""
        for piece in content:
            self.socket.sendall(piece)
            time.sleep(pause)

    def await_end(self, seconds: float) -> None:
        """Wait for the client to go, at most so long; what it still sends is passed over."""
        self.socket.settimeout(seconds)
        with contextlib.suppress(OSError):
            while self.socket.recv(65536):
                pass

    def reset(self) -> None:
        """Break the connection so that the client gets a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


@final
class RawServer:
    """
    Serves each connection by a function in a thread, and notes what came.

    Args:
        serve: Gets each connection, which is closed when the function returns or the client is gone.
        tls: To speak TLS first.
    """

    def __init__(self, serve: Callable[[Connection], None], *, tls: ssl.SSLContext | None = None) -> None:
        self._serve = serve
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}/v1"
        self.connections: list[Connection] = []
        self.requests: list[bytes] = []
        self.failures: list[ssl.SSLError] = []
        self._closing = False
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @classmethod
    def answering(cls, *answers: bytes, close: bool = True) -> RawServer:
        """Return a server that gives these answers to the requests in their order, the last one for ever."""
        left = list(answers)

        def serve(connection: Connection) -> None:
            while request := connection.read():
                server.requests.append(request)
                connection.write(left.pop(0) if len(left) > 1 else left[0])
                if close:
                    return

        server = cls(serve)
        return server

    @property
    def asked(self) -> bool:
        """Whether a request has come."""
        return any(connection.asked for connection in self.connections)

    def await_ends(self) -> None:
        """Wait until every connection so far is closed on this side."""
        for thread in self._threads[1:]:
            thread.join(timeout=60)

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Waking the thread by a connection is the way that works on every system.
        self._closing = True
        with socket.create_connection(("127.0.0.1", self.port), timeout=60):
            self._threads[0].join(timeout=60)
        self._listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=60)
        for connection in self.connections:
            connection.socket.close()

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            if self._closing:
                sock.close()
                return
            thread = threading.Thread(target=self._hold, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _hold(self, sock: socket.socket) -> None:
        if self._tls is not None:
            try:
                sock = self._tls.wrap_socket(sock, server_side=True)
            except ssl.SSLError as error:
                self.failures.append(error)
                sock.close()
                return
            except OSError:
                sock.close()
                return
        connection = Connection(sock, len(self.connections))
        self.connections.append(connection)
        # The client may go at any moment.
        with contextlib.suppress(OSError):
            self._serve(connection)
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()
