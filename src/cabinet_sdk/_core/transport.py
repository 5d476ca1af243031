"""
What a client needs of the outside: three functions, in two modes.

A transport sends one request and returns its answer, whatever the status. It neither retries, nor follows redirects,
nor raises for a status: all of that is above it, the same for every transport. What it may raise is a `NetworkError`
(`ConnectionFailed` only where nothing was sent) or `UnreadableAnswer` for an answer that breaks HTTP.
"""

from __future__ import annotations

from typing import Protocol

from cabinet_sdk._core.wire import Request, Response

__all__ = ["AsyncTransport", "Transport"]


class Transport(Protocol):
    """Carries requests for `Cabinet`; several threads may use it at once."""

    def send(self, request: Request) -> Response:
        """Send one request; return the answer within `request.timeout` or raise `NetworkError`."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait. A fake moves its clock instead."""
        ...

    def now(self) -> float:
        """Return seconds that only grow, from any start; deadlines are counted in them."""
        ...

    def close(self) -> None:
        """Give back what is held; nothing is sent after it."""
        ...


class AsyncTransport(Protocol):
    """Carries requests for `AsyncCabinet`; many tasks of one event loop may use it at once."""

    async def send(self, request: Request) -> Response:
        """Send one request; return the answer within `request.timeout` or raise `NetworkError`."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait. A fake moves its clock instead."""
        ...

    def now(self) -> float:
        """Return seconds that only grow, from any start; deadlines are counted in them."""
        ...

    async def aclose(self) -> None:
        """Give back what is held; nothing is sent after it."""
        ...
