"""
Transports: what carries a client's requests.

`Transport` and `AsyncTransport` are the protocols to write one of your own: a queue, a gateway, a recorder. The clients
do retries, deadlines, sign-in and paging above it, so a transport is four short methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cabinet_sdk._core.in_process import AsyncInProcessTransport, InProcessTransport
from cabinet_sdk._core.tls import Proxy, Tls
from cabinet_sdk._core.transport import AsyncTransport, Transport
from cabinet_sdk._core.wire import AsyncByteStream, Body, ByteStream, Headers, Request, Response, Timeout

if TYPE_CHECKING:
    from cabinet_sdk._core.httpx_transport import AsyncHttpxTransport, HttpxTransport

__all__ = [
    "AsyncByteStream",
    "AsyncHttpxTransport",
    "AsyncInProcessTransport",
    "AsyncTransport",
    "Body",
    "ByteStream",
    "Headers",
    "HttpxTransport",
    "InProcessTransport",
    "Proxy",
    "Request",
    "Response",
    "Timeout",
    "Tls",
    "Transport",
]


if not TYPE_CHECKING:  # Type checkers would take any name for one that the module has.

    def __getattr__(name: str) -> object:
        # httpx costs more to import than all the rest; whoever brings another transport does not pay for it.
        if name in {"AsyncHttpxTransport", "HttpxTransport"}:
            from cabinet_sdk._core import httpx_transport  # noqa: PLC0415

            return getattr(httpx_transport, name)
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)


def __dir__() -> list[str]:
    return __all__
