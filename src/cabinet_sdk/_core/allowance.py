"""What the service still allows: its `RateLimit` headers, obeyed before it refuses."""

from __future__ import annotations

import threading
from typing import final

import attrs

from cabinet_sdk._core.per_process import PerProcess
from cabinet_sdk._core.retry import LONGEST_WAIT, limits_of, retry_after
from cabinet_sdk._core.wire import Response

__all__ = ["Allowance"]

# Two answers that name the end of their window to the second are of the same window if they differ by no more.
_ROUNDING = 1.0
# A clock may have moved by a fraction less than it was asked to.
_SOON = 1e-3


@final
@attrs.define
class _Window:
    """
    The window of one limit.

    Attributes:
        left: How many requests fit in.
        ends_at: When it ends.
        quota: How many will fit into the next one, as far as the policy tells.
        seconds: How long that one will be.
    """

    left: int
    ends_at: float
    quota: int = 0
    seconds: int = 0


@final
class Allowance:
    """What a service allows a client, limit by limit; shared by its views, threads and tasks."""

    def __init__(self) -> None:
        self._windows: dict[str, _Window] = {}
        # The handler of a signal may come back here.
        self._lock = PerProcess(threading.RLock)

    @property
    def limited(self) -> bool:
        """Whether the service has told of a limit: one that does not costs nothing."""
        return bool(self._windows)

    def take(self, now: float) -> float:
        """Take one request and return 0, or take none and return the seconds until there may be one."""
        with self._lock.get():
            for name, window in list(self._windows.items()):
                if now < window.ends_at - _SOON:
                    continue
                if window.quota and 0 < window.seconds <= LONGEST_WAIT:
                    window.left, window.ends_at = window.quota, now + window.seconds
                else:
                    # Nobody knows what the next window allows before the next answer.
                    self._windows.pop(name, None)
            windows = list(self._windows.values())
            wait = max((window.ends_at - now for window in windows if window.left <= 0), default=0.0)
            if wait <= 0:
                for window in windows:
                    window.left -= 1
            return wait

    def learn(self, response: Response, now: float) -> None:
        """Read what an answer tells; a refusal's `Retry-After` counts more, as the draft wants."""
        headers = response.headers
        limits, policies = limits_of(headers.get("ratelimit") or ""), limits_of(headers.get("ratelimit-policy") or "")
        # A good answer says by it when to look again, which is no word on the window.
        asked = retry_after(headers) if response.status >= 400 else None
        with self._lock.get():
            known, self._windows = self._windows, {}
            for name, limit in limits.items():
                left, seconds = limit.get("r"), limit.get("t")
                if left is None or seconds is None:
                    continue
                # Nobody is kept waiting longer than that by a header.
                ends_at = now + min(seconds if left or asked is None else asked, LONGEST_WAIT)
                policy = policies.get(name, {})
                told = _Window(left, ends_at, policy.get("q", 0), policy.get("w", 0))
                self._windows[name] = _joined(known.get(name), told, now)


def _joined(known: _Window | None, told: _Window, now: float) -> _Window:
    """Return what is known after an answer. Answers overtake each other, and other requests are on their way."""
    if known is None or now >= known.ends_at or told.ends_at > known.ends_at + _ROUNDING:
        return told
    if told.left and told.ends_at < known.ends_at - _ROUNDING:
        # It is of a window that has ended meanwhile.
        return known
    told.left = min(told.left, known.left)
    return told
