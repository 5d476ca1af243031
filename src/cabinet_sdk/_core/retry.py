"""
When to send again, and how long to wait before it: one table, one budget, no I/O.

=====================================  ===========  ================  =====================================
What came of the attempt               ``SAFE``     ``KEYED``         ``NEVER``
=====================================  ===========  ================  =====================================
`ConnectionFailed`, nothing was sent   again        again             again
`ConnectionLost`, `TimedOut`           again        again             `OutcomeUnknown`
408, 425, 429, 503                     again        again             the error: the service did nothing
503 without a problem document         again        again             `OutcomeUnknown`
500, 502, 504, 509, from 512 on        again        again             `OutcomeUnknown`
409 ``idempotency.still_running``      the error    again             `OutcomeUnknown`
a redirect, any other page             the error    `OutcomeUnknown`  `OutcomeUnknown`
any other status                       the error    the error         the error
=====================================  ===========  ================  =====================================

A page is an answer without a problem document: something between answers in the service's place. With 503, 409, 460,
499 or a redirect it may do so after the service had the request. 400, 401, 403, 404, 405, 407, 411, 413, 414, 415, 417,
421, 426, 431, 501, 505 and 511 it says before it hands the request on; with these a page is as any other status.

"Again" holds while attempts, budget and deadline last. A `KEYED` call that ends after an attempt whose outcome nobody
can know, and whose last answer does not settle it, raises `OutcomeUnknown`.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import threading
from email.utils import parsedate_to_datetime
from typing import final

import attrs

from cabinet_sdk._core.arguments import check_fields
from cabinet_sdk._core.operation import Repeat
from cabinet_sdk._core.per_process import PerProcess
from cabinet_sdk._core.wire import Headers
from cabinet_sdk.errors import ConnectionFailed, NetworkError, StillRunning, UsageError

__all__ = [
    "LONGEST_WAIT",
    "NOTHING_DONE",
    "RetryBudget",
    "RetryPolicy",
    "limits_of",
    "may_repeat",
    "nobody_knows",
    "retry_after",
]

NOTHING_DONE = frozenset({408, 425, 429, 503})
# Nobody has registered 509 and what is from 512 on: to a client that is a 500 (RFC 9110 15). Gateways use them.
_FAULTS = frozenset({500, 502, 504, 509})
_UNREGISTERED_FROM = 512
# What HTTP servers, gateways and portals say of a request that they do not hand on.
_NOT_HANDED_ON = frozenset({400, 401, 403, 404, 405, 407, 411, 413, 414, 415, 417, 421, 426, 431, 501, 505, 511})

# Nobody waits longer than that, whatever the service asks for and even without a deadline: the call fails instead.
LONGEST_WAIT = 86400.0

# A number of any length is right; from here on the clocks of some machines would overflow.
_FOREVER = 1e9
_DELAY_SECONDS = re.compile(r"[0-9]+", re.ASCII)
# Structured fields (RFC 9651). What these have read they give back nothing of: of blanks, which fit in two places, they
# would try every division.
_TEXT = r'"(?:[ !#-\[\]-~]|\\["\\])*+"'
_PARAMETER = re.compile(rf'\s*;\s*([a-z*][a-z0-9_.*-]*+)(?:=({_TEXT}|[^\s,;"]++))?+', re.ASCII)
_LIMIT = re.compile(rf"\s*(?P<name>{_TEXT})(?P<told>(?:{_PARAMETER.pattern})*+)\s*(?P<more>,|\Z)", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,15}", re.ASCII)
_MOST_LIMITS = 16


@final
@attrs.frozen(kw_only=True)
class RetryPolicy:
    """
    How stubborn a client is.

    Attributes:
        attempts: At most so many in all; 1 is no repeating.
        first_delay: The longest pause before the second attempt, in seconds; it doubles with each further one.
        longest_delay: The longest of those pauses. The actual pause is random between 0 and that (full jitter).
            What the service asks for with `Retry-After` is waited besides, as far as the deadline allows; a call that
            would have to wait longer, or longer than a day, fails at once.
        budget: Repeats that may be outstanding against good answers, over all calls of the client: a repeat takes one,
            a call gives back a tenth, a repeat that succeeded gives back the whole. With none left, calls fail at
            once instead of multiplying an outage.

    Raises:
        UsageError: One of them is of another kind or too small.
    """

    attempts: int = 4
    first_delay: float = 0.5
    longest_delay: float = 8.0
    budget: float = 50.0

    def __attrs_post_init__(self) -> None:
        check_fields("RetryPolicy()", self)
        for name, least in (("attempts", 1), ("first_delay", 0), ("longest_delay", 0), ("budget", 0)):
            given = getattr(self, name)
            if not given >= least:
                raise UsageError(f"RetryPolicy(): {name}: expected {least} or more, got {given}")

    def jittered_delay(self, attempt: int, random: float, most: float = math.inf) -> float:
        """Return the pause after the attempt of that number, from 1; `random` is from 0 to 1."""
        return random * min(most, self.longest_delay, self.first_delay * 2.0 ** min(attempt - 1, 60))


@final
class RetryBudget:
    """What is left of a client's repeats; shared by its views, threads and tasks."""

    def __init__(self, size: float) -> None:
        # In tenths of a repeat: ten times 0.1 is less than 1.
        self._size = size * 10
        self._left = self._size
        # The handler of a signal may come back here.
        self._lock = PerProcess(threading.RLock)

    def take(self) -> bool:
        """Pay for a repeat; False when there is nothing left."""
        with self._lock.get():
            if self._left < 10:
                return False
            self._left -= 10
            return True

    def give(self, repeats: int) -> None:
        """Give back for a call that succeeded after that many repeats."""
        # Without the lock where it is full anyway: the common case costs nothing.
        if self._left < self._size:
            with self._lock.get():
                self._left = min(self._size, self._left + (10 if repeats else 1))


def may_repeat(repeat: Repeat, outcome: NetworkError | int, code: str | None) -> bool:
    """Say whether a row may be sent again after an error of the network, or a status with its problem code."""
    if isinstance(outcome, ConnectionFailed):
        return True
    if repeat is Repeat.NEVER:
        return False
    if isinstance(outcome, NetworkError):
        return True
    if _still_runs(outcome, code):
        return repeat is Repeat.KEYED
    return outcome in NOTHING_DONE or _is_fault(outcome)


def nobody_knows(status: int, code: str | None) -> bool:
    """Say whether an answer, with its problem code if it has one, leaves open what became of a change."""
    page = code is None and status not in _NOT_HANDED_ON and (status == 503 or status not in NOTHING_DONE)
    # Whoever has the key, such as a copy of this request that a gateway made, may carry it out yet.
    return page or status < 400 or _is_fault(status) or _still_runs(status, code)


def _still_runs(status: int, code: str | None) -> bool:
    return status == StillRunning.status and code == StillRunning.code


def _is_fault(status: int) -> bool:
    return status in _FAULTS or status >= _UNREGISTERED_FROM


def retry_after(headers: Headers) -> float | None:
    """
    Return how many seconds the service asks to wait, None where it does not say or breaks RFC 9110 10.2.3.

    A date counts from the answer's own `Date`: the caller's clock may be wrong. Without `Retry-After`, an exhausted
    `RateLimit` says it.
    """
    value = headers.get("retry-after")
    if value is None:
        limits = limits_of(headers.get("ratelimit") or "")
        return max(
            (float(limit["t"]) for limit in limits.values() if limit.get("r") == 0 and "t" in limit), default=None
        )
    if _DELAY_SECONDS.fullmatch(value.strip()):
        return min(float(value), _FOREVER)
    try:
        wait = _moment(value) - _moment(headers.get("date") or "")
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, wait.total_seconds())


def _moment(value: str) -> dt.datetime:
    """Read a date of HTTP in any of its three forms; one without a zone, such as that of asctime, is UTC."""
    moment = parsedate_to_datetime(value)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)


def limits_of(value: str) -> dict[str, dict[str, int]]:
    """
    Return what a `RateLimit` or `RateLimit-Policy` tells: the whole numbers of each limit, by its name.

    As in the draft of the IETF: ``"default";r=50;t=30``. Names are in their quotes. A list that breaks its grammar
    tells nothing.
    """
    found: dict[str, dict[str, int]] = {}
    start, goes_on = 0, True
    while goes_on:
        match = _LIMIT.match(value, start)
        if match is None or len(found) == _MOST_LIMITS:
            return {}
        told = dict(_PARAMETER.findall(match["told"]))
        found[match["name"]] = {name: int(number) for name, number in told.items() if _NUMBER.fullmatch(number)}
        start, goes_on = match.end(), match["more"] == ","
    return found
