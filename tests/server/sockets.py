"""Requests and answers byte by byte, for tests of what happens on a connection."""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from urllib.parse import urlsplit

__all__ = ["answer_of", "connection_to", "head", "rest_of"]


@contextmanager
def connection_to(url: str, *, window: int | None = None) -> Generator[socket.socket]:
    """Connect; with a window, take no more than that before reading."""
    parts = urlsplit(url)
    with closing(socket.socket()) as connection:
        if window is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        connection.settimeout(60)
        connection.connect((parts.hostname, parts.port))
        yield connection


def rest_of(connection: socket.socket) -> bytes:
    """Return what comes until the other side ends it; it may end it hard."""
    received = bytearray()
    with suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            received += piece
    return bytes(received)


def answer_of(connection: socket.socket) -> bytes:
    """Return one answer, whole; its head and its body may come apart."""
    received = bytearray()
    while b"\r\n\r\n" not in received and (piece := connection.recv(65536)):
        received += piece
    start, _, body = bytes(received).partition(b"\r\n\r\n")
    for field in start.lower().split(b"\r\n"):
        if field.startswith(b"content-length:"):
            while len(body) < int(field.partition(b":")[2]) and (piece := connection.recv(65536)):
                body += piece
    return start + b"\r\n\r\n" + body


def head(method: str, path: str, token: str, *fields: str) -> bytes:
    """Return the head of a request."""
    lines = [f"{method} /v1{path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
