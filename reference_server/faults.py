"""Faults on request: deterministic, counted or for a time, and only for operations that exist."""

from __future__ import annotations

import datetime as dt
import enum
import math
import uuid
import weakref
from collections.abc import Callable, Iterable
from typing import Final, final

import attrs

from cabinet_sdk._core.arguments import checking
from cabinet_sdk.contract import Contract
from cabinet_sdk.errors import ConnectionLost, Problem, RateLimited, ServiceUnavailable
from reference_server import signin

__all__ = ["EVERYTHING", "CrashAskedFor", "Fault", "FaultKind", "Faults", "lost"]

EVERYTHING = "*"
"""Names every operation in a fault, and fetching a token."""

# A century: what is longer is a mistake in the unit.
_LONGEST = 100 * 365.25 * 24 * 3600


@final
@enum.unique
class FaultKind(enum.Enum):
    """What goes wrong, and when."""

    REFUSE = "refuse"
    """The operation is refused before anything is done."""
    LOSE_REQUEST = "lose request"
    """The connection breaks before anything is done."""
    CRASH = "crash"
    """The handler fails after its work, before the commit."""
    LOSE_ANSWER = "lose answer"
    """The connection breaks after the commit."""
    GARBLE_ANSWER = "garble answer"
    """After the commit something between answers with a page of HTML and 502."""


@final
@attrs.define(kw_only=True)
class Fault:
    """
    One fault that was asked for.

    Attributes:
        operation: The row's id, ``sign_in.token``, or ``*`` for everything.
        kind: What goes wrong.
        times: How often it still will; None where it lasts for a time.
        until: When it ends, by the world's clock; None where it is counted.
        hits: How often it has.
        problem: What a refusal answers.
        id: Tells it from others like it; a checkpoint's copy has the same.
    """

    operation: str
    kind: FaultKind
    times: int | None
    until: dt.datetime | None = None
    hits: int = 0
    problem: Problem | None = None
    id: uuid.UUID = attrs.field(factory=uuid.uuid4, eq=False, repr=False)

    def holds(self, now: dt.datetime) -> bool:
        """Say whether it still strikes."""
        return now < self.until if self.until is not None else bool(self.times)


@final
class Faults:
    """
    A world's faults: `world.faults`.

    Each holds for the next `times` requests of its operation, or for so many `seconds` of the world's clock.

    Args:
        contract: The operations that there are.
        now: Tells the world's time.
    """

    def __init__(self, contract: Contract, now: Callable[[], dt.datetime]) -> None:
        self.operations: Final = (EVERYTHING, signin.TOKEN, *(row.id for row in contract))
        """What a fault may name."""
        self._now = now
        self._faults: list[Fault] = []
        # A test asks a fault how often it struck: that very one goes on when a checkpoint is restored.
        self._known = weakref.WeakValueDictionary[uuid.UUID, Fault]()

    @checking("world.faults.refuse()", bound=True)
    def refuse(
        self,
        operation: str,
        *,
        status: int = 503,
        retry_after: float | None = None,
        problem: Problem | None = None,
        times: int | None = None,
        seconds: float | None = None,
    ) -> Fault:
        """
        Refuse the operation with 503 or 429, or with any other problem, before anything is done.

        Args:
            operation: The row's id, ``sign_in.token``, or ``*`` for everything.
            status: 503 or 429.
            retry_after: The seconds to wait that this asks for.
            problem: What to answer instead, such as ``NothingDue()``.
            times: How often; once where neither this nor `seconds` is given.
            seconds: For how long, by the world's clock.
        """
        if status not in {429, 503}:
            msg = f"a refusal has status 429 or 503, not {status}; name any other problem: problem=…"
            raise ValueError(msg)
        if retry_after is not None and not 0 <= retry_after < math.inf:
            msg = f"retry_after is in seconds from 0 on, not {retry_after}"
            raise ValueError(msg)
        if problem is None:
            problem = (RateLimited if status == 429 else ServiceUnavailable)(retry_after=retry_after)
        return self._add(operation, FaultKind.REFUSE, times, seconds, problem)

    @checking("world.faults.lose_request()", bound=True)
    def lose_request(self, operation: str, *, times: int | None = None, seconds: float | None = None) -> Fault:
        """Break the connection before anything is done."""
        return self._add(operation, FaultKind.LOSE_REQUEST, times, seconds)

    @checking("world.faults.crash()", bound=True)
    def crash(self, operation: str, *, times: int | None = None, seconds: float | None = None) -> Fault:
        """Fail after the handler's work, before its commit: all of it is undone and the answer is 500."""
        return self._add(operation, FaultKind.CRASH, times, seconds)

    @checking("world.faults.lose_answer()", bound=True)
    def lose_answer(self, operation: str, *, times: int | None = None, seconds: float | None = None) -> Fault:
        """Break the connection after the commit: the work is done and the caller cannot know."""
        return self._add(operation, FaultKind.LOSE_ANSWER, times, seconds)

    @checking("world.faults.garble_answer()", bound=True)
    def garble_answer(self, operation: str, *, times: int | None = None, seconds: float | None = None) -> Fault:
        """Answer with HTML and 502 after the commit, as a proxy does that lost its upstream."""
        return self._add(operation, FaultKind.GARBLE_ANSWER, times, seconds)

    @property
    def set(self) -> bool:
        """Whether any was asked for."""
        return bool(self._faults)

    def all(self) -> tuple[Fault, ...]:
        """Return every fault that was asked for, spent ones too, in the order in which they were added."""
        return tuple(self._faults)

    def clear(self) -> None:
        """Forget every fault."""
        self._faults.clear()

    def restore(self, faults: Iterable[Fault]) -> None:
        """Forget every fault but these, as they are now: those that were asked for here go on, others are copied."""
        restored: list[Fault] = []
        for each in faults:
            fault = self._known.setdefault(each.id, attrs.evolve(each))
            fault.times, fault.hits = each.times, each.hits
            restored.append(fault)
        self._faults = restored

    def _add(
        self,
        operation: str,
        kind: FaultKind,
        times: int | None,
        seconds: float | None,
        problem: Problem | None = None,
    ) -> Fault:
        if operation not in self.operations:
            msg = f"there is no operation {operation!r}; there are {', '.join(self.operations)}"
            raise ValueError(msg)
        if times is not None and seconds is not None:
            msg = "a fault strikes a number of times or lasts for some seconds, not both"
            raise ValueError(msg)
        if times is not None and times < 1:
            msg = f"a fault strikes once or more often, not {times!r} times"
            raise ValueError(msg)
        if seconds is not None and not 0 < seconds <= _LONGEST:
            msg = f"a fault lasts for more than 0 and at most {_LONGEST:.0f} seconds, not {seconds}"
            raise ValueError(msg)
        until = None if seconds is None else self._now() + dt.timedelta(seconds=seconds)
        count = (times or 1) if until is None else None
        fault = Fault(operation=operation, kind=kind, times=count, until=until, problem=problem)
        self._known[fault.id] = fault
        self._faults.append(fault)
        return fault

    def strike(self, operation: str, kinds: Iterable[FaultKind]) -> Fault | None:
        """Return the first fault of these kinds that is set for the operation, and count it."""
        now = self._now()
        for fault in self._faults:
            if fault.operation in {operation, EVERYTHING} and fault.kind in kinds and fault.holds(now):
                if fault.times is not None:
                    fault.times -= 1
                fault.hits += 1
                return fault
        return None


@final
class CrashAskedFor(Exception):
    """The handler fails, as a fault asks."""


def lost() -> ConnectionLost:
    """Return the error by which `respond` says that the connection is to be broken."""
    return ConnectionLost("The connection broke, as a fault asked for.")
