"""How much a client may ask: requests in a window, bytes, depth."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any, NoReturn, final

import attrs

from cabinet_sdk._core.arguments import check_fields
from cabinet_sdk._core.wire import Body
from cabinet_sdk.errors import MalformedRequest, RateLimited, RequestTooLarge

__all__ = ["MAX_BODY", "MAX_DEPTH", "MAX_KEYS", "RateLimit", "RateLimiter", "read_json", "whole"]

MAX_BODY = 1024 * 1024
"""Bytes of a JSON body; more is 413."""

# How many clients are remembered before those are looked for whose window is over.
_MANY_WINDOWS = 1000

MAX_DEPTH = 32
MAX_KEYS = 10_000


@final
@attrs.frozen(kw_only=True)
class RateLimit:
    """
    A client's allowance.

    Attributes:
        quota: Requests in a window.
        window: Its length in seconds.

    Raises:
        UsageError: One is no whole number.
        ValueError: One is below 1.
    """

    quota: int
    window: int

    def __attrs_post_init__(self) -> None:
        check_fields("RateLimit()", self)
        if min(self.quota, self.window) < 1:
            msg = f"an allowance has a quota and a window from 1 on, not {self.quota} and {self.window}"
            raise ValueError(msg)


@final
class RateLimiter:
    """
    Counts each client's requests in windows that begin with its first one.

    Args:
        limit: The allowance; without one nothing is counted.
    """

    def __init__(self, limit: RateLimit | None) -> None:
        self._limit = limit
        self._windows: dict[str, tuple[dt.datetime, int]] = {}
        self._many = _MANY_WINDOWS

    def admit(self, client: str, now: dt.datetime) -> tuple[tuple[str, str], ...]:
        """
        Count a request; return the headers that tell what is left.

        Raises:
            RateLimited: The allowance is used up until the window ends.
        """
        if self._limit is None:
            return ()
        start, count, reset = self._window(client, now, self._limit.window)
        if count >= self._limit.quota:
            error = RateLimited(retry_after=reset)
            raise error
        self._windows[client] = start, count + 1
        if len(self._windows) > self._many:
            self._forget(now)
        return self._headers(self._limit.quota - count - 1, reset)

    def closed_for(self, client: str, now: dt.datetime) -> int:
        """Return the seconds until a client may ask again, 0 where it may at once."""
        if self._limit is None:
            return 0
        _, count, reset = self._window(client, now, self._limit.window)
        return reset if count >= self._limit.quota else 0

    def _window(self, client: str, now: dt.datetime, length: int) -> tuple[dt.datetime, int, int]:
        """Return when a client's window began, what was asked in it, and the seconds until it ends."""
        start, count = self._windows.get(client, (now, 0))
        elapsed = int((now - start).total_seconds())
        if not 0 <= elapsed < length:
            # Over, or begun in the future: the system's clock was set back.
            start, count, elapsed = now, 0, 0
        return start, count, length - elapsed

    def _forget(self, now: dt.datetime) -> None:
        """Forget the windows that are over; done as often as there are twice as many, so that it costs nothing."""
        length = dt.timedelta(seconds=0 if self._limit is None else self._limit.window)
        self._windows = {client: each for client, each in self._windows.items() if abs(now - each[0]) < length}
        self._many = max(_MANY_WINDOWS, 2 * len(self._windows))

    def windows(self) -> Mapping[str, tuple[dt.datetime, int]]:
        """Return what has been counted so far."""
        return dict(self._windows)

    def restore(self, windows: Mapping[str, tuple[dt.datetime, int]]) -> None:
        """Count on from what `windows` returned."""
        self._windows = dict(windows)

    def exhausted(self, retry_after: float) -> tuple[tuple[str, str], ...]:
        """Return the headers of a refusal."""
        return () if self._limit is None else self._headers(0, int(retry_after))

    def _headers(self, remaining: int, reset: int) -> tuple[tuple[str, str], ...]:
        if self._limit is None:
            return ()
        return (
            ("ratelimit-policy", f'"default";q={self._limit.quota};w={self._limit.window}'),
            ("ratelimit", f'"default";r={remaining};t={reset}'),
        )


def whole(content: bytes | Body) -> bytes:
    """
    Return a body that is to be in memory.

    Raises:
        RequestTooLarge: It is longer than `MAX_BODY`.
    """
    if isinstance(content, bytes):
        return content
    body = bytearray()
    for piece in content:
        body += piece
        if len(body) > MAX_BODY:
            raise RequestTooLarge(f"The body is longer than {MAX_BODY} bytes.")
    return bytes(body)


def read_json(content: bytes) -> object:
    """
    Read a JSON body as RFC 8259 and I-JSON (RFC 7493) want it.

    Raises:
        RequestTooLarge: It is longer than `MAX_BODY`.
        MalformedRequest: It is no JSON, no UTF-8, nests too deep, or has a key twice.
    """
    if len(content) > MAX_BODY:
        raise RequestTooLarge(f"The body is longer than {MAX_BODY} bytes.")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise MalformedRequest("The body is not UTF-8.") from error
    if _depth(text) > MAX_DEPTH:
        raise MalformedRequest(f"The body nests deeper than {MAX_DEPTH} levels.")
    try:
        value: object = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedRequest(f"The body is not JSON: {_reason(error)}.") from error
    return value


def _reason(error: BaseException) -> str:
    return f"{error.msg} at character {error.pos}" if isinstance(error, json.JSONDecodeError) else str(error)


def _depth(text: str) -> int:
    # Brackets inside strings count too: that refuses only what no request of the contract holds.
    depth = deepest = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
            if deepest > MAX_DEPTH:
                break
        elif character in "]}":
            depth = max(0, depth - 1)
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:  # Any: a JSON value
    if len(pairs) > MAX_KEYS:
        msg = f"an object with more than {MAX_KEYS} keys"
        raise ValueError(msg)
    members = dict(pairs)
    if len(members) != len(pairs):
        msg = "a key stands twice in one object"
        raise ValueError(msg)
    return members


def _constant(name: str) -> NoReturn:
    msg = f"{name} is no JSON number"
    raise ValueError(msg)
