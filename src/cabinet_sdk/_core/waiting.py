"""Waiting for a resource to become what one waits for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from cabinet_sdk._core.calls import answer
from cabinet_sdk._core.context import Context
from cabinet_sdk._core.flow import Flow, pause
from cabinet_sdk._core.operation import Operation
from cabinet_sdk._core.retry import retry_after
from cabinet_sdk.errors import DeadlineExceeded

__all__ = ["wait"]

T = TypeVar("T")

# Where the service does not say when to ask again: soon at first, since most things are quick.
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0


def wait(
    context: Context,
    row: Operation[..., Any, T],  # Any: whatever its request class
    request: object,
    done: Callable[[T], bool],
    timeout: float | None,
) -> Flow[T]:
    """Read a resource again and again, as often as the service asks, until it is `done`."""
    now = context.transport.now
    ends_at = None if timeout is None else now() + timeout
    fallback = _FIRST_PAUSE
    while True:
        got = yield from answer(context, row, request)
        if done(got.value):
            return got.value
        asked = retry_after(got.headers)
        seconds = max(asked if asked is not None else fallback, 0.1)
        fallback = min(fallback * 1.5, _LONGEST_PAUSE)
        if ends_at is not None:
            remaining = ends_at - now()
            if remaining <= 0:
                message = f"Not there yet after {timeout} s; wait again later."
                raise DeadlineExceeded(message, request_id=got.request_id, operation=row.id)
            seconds = min(seconds, remaining)
        yield from pause(seconds)
