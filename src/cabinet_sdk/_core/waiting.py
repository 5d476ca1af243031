"""Waiting for a resource to become what one waits for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import attrs

from cabinet_sdk._core.calls import answer
from cabinet_sdk._core.context import Context, checked_seconds
from cabinet_sdk._core.flow import Flow, pause
from cabinet_sdk._core.operation import Operation, Repeat
from cabinet_sdk._core.redaction import shown_text
from cabinet_sdk._core.retry import LONGEST_WAIT, may_repeat, retry_after
from cabinet_sdk.errors import CabinetError, DeadlineExceeded, NetworkError, Problem
from cabinet_sdk.types.codes import Code

__all__ = ["wait"]


class _Followed(Protocol):
    """What has a status that changes."""

    @property
    def status(self) -> Code: ...


T = TypeVar("T", bound=_Followed)

# Where the service does not say when to ask again: soon at first, since most things are quick.
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
# Seconds that a reading has at least.
_LAST_LOOK = 1.0


def wait(
    context: Context,
    row: Operation[..., Any, T],  # Any: whatever its request class
    request: object,
    done: Callable[[T], bool],
    timeout: float | None,
) -> Flow[T]:
    """
    Read a resource again and again, as often as the service asks, until it is `done`.

    An outage is waited out: what a single call would have repeated is no end of a wait. A status that this version does
    not know may be final: with it the wait ends once the service does not say when to ask again.
    """
    checked_seconds("timeout", timeout)
    now = context.transport.now
    ends_at = None if timeout is None else now() + timeout
    fallback, seen = _FIRST_PAUSE, ""
    while True:
        outage: CabinetError | None = None
        try:
            got = yield from answer(_hurried(context, ends_at), row, request)
        except CabinetError as error:
            if not _may_pass(error):
                raise
            outage = error
            asked, request_id = error.retry_after if isinstance(error, Problem) else None, error.request_id
        else:
            status = got.value.status
            if done(got.value) or not (status.known or "retry-after" in got.headers):
                return got.value
            seen = f" Its status is {shown_text(status)}."
            asked, request_id = retry_after(got.headers), got.request_id
        seconds = min(max(asked if asked is not None else fallback, 0.1), LONGEST_WAIT)
        fallback = min(fallback * 1.5, _LONGEST_PAUSE)
        if ends_at is not None:
            remaining = ends_at - now()
            if remaining <= 0:
                last = "" if outage is None else f" The last reading: {outage.message}"
                message = f"Not there yet after {timeout} s; wait again later.{seen}{last}"
                raise DeadlineExceeded(message, request_id=request_id, operation=row.id) from outage
            seconds = min(seconds, remaining)
        yield from pause(seconds)


def _hurried(context: Context, ends_at: float | None) -> Context:
    """Return the context for a reading that ends with the wait, or soon after: there is a last look at its end."""
    deadline = context.options.deadline
    left = None if ends_at is None else max(ends_at - context.transport.now(), _LAST_LOOK)
    if left is None or (deadline is not None and deadline <= left):
        return context
    return attrs.evolve(context, options=attrs.evolve(context.options, deadline=left))


def _may_pass(error: CabinetError) -> bool:
    """Say whether it is the network or the service that fails, and not the request."""
    if isinstance(error, Problem):
        return may_repeat(Repeat.SAFE, error.status, error.code)
    return isinstance(error, NetworkError | DeadlineExceeded)
