"""What all areas of one client share: where to, with what, and how."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeAlias, final

import attrs

from cabinet_sdk._core.allowance import Allowance
from cabinet_sdk._core.flow import Flow
from cabinet_sdk._core.journal import Journal
from cabinet_sdk._core.retry import RetryBudget, RetryPolicy
from cabinet_sdk._core.signin import SignIn
from cabinet_sdk._core.transport import AsyncTransport, Transport
from cabinet_sdk._core.wire import Timeout
from cabinet_sdk.errors import UsageError, mask

__all__ = [
    "AroundAttempt",
    "AroundCall",
    "Attempt",
    "CallScope",
    "Context",
    "Drift",
    "OnDrift",
    "OneKey",
    "Options",
    "checked_headers",
    "checked_key",
    "checked_seconds",
]

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}", re.ASCII)
_KEY = re.compile(r"[A-Za-z0-9-]{1,255}", re.ASCII)

_TRACE_HEADERS = ("traceparent", "tracestate", "baggage")
"""What a hook may add to an attempt: W3C Trace Context and Baggage; it changes no meaning of a request."""


_OWN_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-digest",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "if-range",
        "range",
        "transfer-encoding",
        "x-request-id",
    }
)
"""What the client and its transport write: with a second key a change would not be found under the first."""

_INSTEAD = {
    "authorization": ": make a client with other credentials",
    "idempotency-key": ": give it as idempotency_key",
    "x-request-id": ": give the client a new_id",
}


def checked_headers(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the headers of a caller, each fit to be sent, the names in lower case: in any other they are the same."""
    # For callers without a type checker.
    if not isinstance(headers, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(f"headers are a mapping of names to values, not a {type(headers).__name__}")
    for name, value in headers.items():
        named = type(name) is str and _HEADER_NAME.fullmatch(name) is not None
        if (
            not named
            or type(value) is not str
            or not (value.isascii() and value.isprintable() and value == value.strip())
        ):
            # What is no name may hold a value.
            shown = name if named else mask(str(name))
            rule = "is no header name (RFC 9110 5.6.2), or its value is not printable ASCII without outer blanks"
            raise UsageError(f"{shown!r} {rule}")
        if name.lower() in _OWN_HEADERS:
            raise UsageError(f"the client writes the header {name!r} itself{_INSTEAD.get(name.lower(), '')}")
        yield name.lower(), value


@final
@attrs.define(kw_only=True)
class CallScope:
    """
    One call with all its attempts, as a hook sees it; it holds nothing that must not be logged.

    Attributes:
        operation: The row's id, such as ``charges.pay``.
        base_url: The client's.
        request_id: What is sent as `X-Request-Id` with each attempt.
        error: What the call raises, once that is known.
    """

    operation: str
    base_url: str
    request_id: str
    error: BaseException | None = None


AroundCall: TypeAlias = Callable[[CallScope], AbstractContextManager[object]]
"""
A hook around each call: its context is entered before the first attempt and left once the outcome is known.

Attempts for a token that the call needs lie inside. Each page of a listing is a call, and so is each request for a
file, which ends with the head of the answer. The context is left without an exception, whatever comes of the call:
`CallScope.error` says it. It runs in both modes and must not wait.
"""


@final
@attrs.define(kw_only=True)
class Attempt:
    """
    One attempt of a call, as a hook sees it; it holds nothing that must not be logged.

    Attributes:
        operation: The row's id, such as ``charges.pay``.
        method: The HTTP method.
        url: Without the parameters that are not on the allow-list.
        number: From 1; a token that had to be renewed does not begin anew.
        request_id: What was sent as `X-Request-Id`; the same for all attempts of a call.
        status: Of the answer, once there is one.
        error: What broke the attempt, once it is broken.
        seconds: How long it took, once it is over.
        added_headers: What `add_header` was given.
    """

    operation: str
    method: str
    url: str
    number: int
    request_id: str
    status: int | None = None
    error: BaseException | None = None
    seconds: float | None = None
    added_headers: tuple[tuple[str, str], ...] = attrs.field(default=(), init=False, repr=False)

    def add_header(self, name: str, value: str) -> None:
        """
        Send a header with this attempt, in place of one of that name; for a hook that is being entered.

        Raises:
            UsageError: It is not one of ``traceparent``, ``tracestate`` and ``baggage``, or its value cannot be sent.
        """
        if name not in _TRACE_HEADERS:
            raise UsageError(f"a hook may add {', '.join(_TRACE_HEADERS)} to an attempt, not {name!r}")
        self.added_headers = (*self.added_headers, *checked_headers({name: value}))


AroundAttempt: TypeAlias = Callable[[Attempt], AbstractContextManager[object]]
"""
A hook around each attempt: its context is entered before the request is sent and left once the outcome is known.

`Attempt.status`, `.error` and `.seconds` are filled in by then; the context is left without an exception, whatever
comes of the attempt. It runs in both modes and must not wait.
"""


@final
@attrs.frozen(kw_only=True)
class Drift:
    """
    What an answer held that this version of the SDK does not know.

    Attributes:
        operation: The row's id.
        request_id: Of the call.
        paths: JSON paths of unknown fields and codes, such as ``$[].colour``; no values, and of a field that is not
            named as fields are, ``$.hidden``. ``$`` alone where one of them is no JSON that can be read.
    """

    operation: str
    request_id: str | None
    paths: tuple[str, ...]


OnDrift: TypeAlias = Callable[[Drift], None]
"""A hook that is told of drift; without one nothing is looked for, and calls cost less."""


def checked_key(value: str) -> str:
    """Return an idempotency key that the service takes and that cannot end its header."""
    # For callers without a type checker: a number is none.
    if type(value) is not str or not _KEY.fullmatch(value):
        msg = "an idempotency key is 1 to 255 Latin letters, digits and hyphens"
        raise UsageError(msg)
    return value


def checked_seconds(name: str, value: float | None) -> None:
    """Look whether something can wait so long: no clock and no lock takes more, and `nan` would never be over."""
    if value is not None and not 0 <= value <= threading.TIMEOUT_MAX:
        # Python writes no whole numbers of thousands of digits.
        given = "a larger number" if isinstance(value, int) and value.bit_length() > 1000 else value
        raise UsageError(
            f"{name}: expected seconds from 0 to {threading.TIMEOUT_MAX:.0f}, or None for no limit, got {given}"
        )


@final
class OneKey:
    """An idempotency key given by the caller: it serves one keyed call."""

    def __init__(self, value: str) -> None:
        self._left = [checked_key(value)]

    def take(self) -> str:
        """Return the key, once."""
        try:
            # One step, which two threads cannot both take: no lock that a fork could leave taken.
            return self._left.pop()
        except IndexError:
            msg = "the given idempotency key has served its call; make a view with a new one for another call"
            raise UsageError(msg) from None


@final
@attrs.frozen(kw_only=True)
class Options:
    """
    What a view of a client may change.

    Attributes:
        deadline: Seconds for a call with all its attempts and pauses; None is without limit.
        timeout: Limits of one attempt.
        headers: Sent with every request besides the SDK's own; hidden in every repr.
        key: The caller's idempotency key for one keyed call.
        page_size: Items a page of a listing, None for the service's own choice.
    """

    deadline: float | None = 60.0
    timeout: Timeout = Timeout()
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    key: OneKey | None = None
    page_size: int | None = None


@final
@attrs.frozen(kw_only=True)
class Context:
    """
    One client's shared things; a view is a copy with other `options`.

    Attributes:
        base_url: Without a slash at the end.
        transport: Of the client's mode.
        perform: Holds a flow the way the client waits; in async mode the result is awaitable.
        sign_in: The token.
        retry: How stubborn.
        budget: What is left of the repeats.
        allowance: What the service still allows.
        journal: Where durable operations are kept, if anywhere.
        around_call: The hook, if any.
        around_attempt: The hook, if any.
        on_drift: The hook, if any.
        new_id: Makes request ids and idempotency keys.
        random: From 0 to 1, for the jitter.
        options: What views change.
    """

    base_url: str
    transport: Transport | AsyncTransport
    perform: Callable[[Flow[Any]], Any]  # Any: the flow's result, or an awaitable of it
    sign_in: SignIn
    retry: RetryPolicy
    budget: RetryBudget
    allowance: Allowance
    journal: Journal | None
    around_call: AroundCall | None
    around_attempt: AroundAttempt | None
    on_drift: OnDrift | None
    new_id: Callable[[], str]
    random: Callable[[], float]
    options: Options

    def with_key(self, key: str) -> Context:
        """Return the same with an idempotency key for one call."""
        return attrs.evolve(self, options=attrs.evolve(self.options, key=OneKey(key)))
