"""
What a client needs of the outside: four methods, in two modes.

A transport sends one request and returns its answer, whatever the status. It neither retries, nor follows redirects,
nor raises for a status: all of that is above it, the same for every transport. What it may raise is a `NetworkError`
(`ConnectionFailed` only where nothing was sent, `ConnectionLost` also for an answer that breaks HTTP),
`UnreadableAnswer` for an answer that would be the same once more, or `UsageError` for a request that it cannot send at
all. Whatever else it raises leaves a change unknown.
"""

from __future__ import annotations

import inspect
from typing import Protocol

from cabinet_sdk._core.wire import Request, Response
from cabinet_sdk.errors import UsageError

__all__ = ["CLOSED", "AsyncTransport", "Transport", "check_transport"]


CLOSED = "the client is closed; make a new one"


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
        """Give back what is held; nothing is sent after it, and what is on its way comes to its end."""
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
        """Return seconds that only grow, from any start, in any thread; deadlines are counted in them."""
        ...

    async def aclose(self) -> None:
        """Give back what is held; nothing is sent after it, and what is on its way comes to its end."""
        ...


_METHODS = {
    False: ("send", "sleep", "now", "close"),
    True: ("send", "sleep", "now", "aclose"),
}


def check_transport(transport: object, *, asynchronous: bool) -> None:
    """
    Look whether an object has the methods of a transport of the mode.

    Raises:
        UsageError: One is missing, or it is one of the other mode.
    """
    if isinstance(transport, type):
        raise UsageError(f"a client takes a transport, not its class: write {transport.__name__}(…)")
    methods, others = _METHODS[asynchronous], _METHODS[not asynchronous]
    missing = [name for name in methods if not callable(getattr(transport, name, None))]
    # An `async def` never does the work of a blocking method, while a plain one may well return an awaitable.
    awaited = not asynchronous and any(inspect.iscoroutinefunction(getattr(transport, name, None)) for name in methods)
    if not missing and not awaited:
        return
    kind, client, other = type(transport).__name__, "AsyncCabinet", "Cabinet"
    if not asynchronous:
        client, other = other, client
    told = f"{', '.join(methods)}, all but now as async def" if asynchronous else ", ".join(methods)
    if awaited or all(callable(getattr(transport, name, None)) for name in others):
        raise UsageError(f"{kind} is a transport for {other}, not for {client}, whose transports have {told}")
    raise UsageError(f"{kind} is no transport for {client}: it lacks {', '.join(missing)}; the methods are {told}")
