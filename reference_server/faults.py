"""Faults on request: deterministic, counted, and only for operations that exist."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import final

import attrs

from cabinet_sdk.contract import Contract
from cabinet_sdk.errors import ConnectionLost, Problem, RateLimited, ServiceUnavailable

__all__ = ["Fault", "FaultKind", "Faults", "lost"]


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
        operation: The row's id.
        kind: What goes wrong.
        times: How often it still will.
        hits: How often it has.
        problem: What a refusal answers.
    """

    operation: str
    kind: FaultKind
    times: int
    hits: int = 0
    problem: Problem | None = None


@final
class Faults:
    """
    A world's faults: `world.faults`. Each holds for the next `times` requests of its operation.

    Args:
        contract: The operations that there are.
    """

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._faults: list[Fault] = []

    def refuse(self, operation: str, *, status: int = 503, retry_after: float | None = None, times: int = 1) -> Fault:
        """Refuse the operation with 503 or 429 before anything is done."""
        if status not in {429, 503}:
            msg = f"a refusal has status 429 or 503, not {status}"
            raise ValueError(msg)
        problem = (RateLimited if status == 429 else ServiceUnavailable)(retry_after=retry_after)
        return self._add(Fault(operation=operation, kind=FaultKind.REFUSE, times=times, problem=problem))

    def lose_request(self, operation: str, *, times: int = 1) -> Fault:
        """Break the connection before anything is done."""
        return self._add(Fault(operation=operation, kind=FaultKind.LOSE_REQUEST, times=times))

    def crash(self, operation: str, *, times: int = 1) -> Fault:
        """Fail after the handler's work, before its commit: all of it is undone and the answer is 500."""
        return self._add(Fault(operation=operation, kind=FaultKind.CRASH, times=times))

    def lose_answer(self, operation: str, *, times: int = 1) -> Fault:
        """Break the connection after the commit: the work is done and the caller cannot know."""
        return self._add(Fault(operation=operation, kind=FaultKind.LOSE_ANSWER, times=times))

    def garble_answer(self, operation: str, *, times: int = 1) -> Fault:
        """Answer with HTML and 502 after the commit, as a proxy does that lost its upstream."""
        return self._add(Fault(operation=operation, kind=FaultKind.GARBLE_ANSWER, times=times))

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
        """Forget every fault but these, which are copied, as they are now."""
        self._faults = [attrs.evolve(fault) for fault in faults]

    def _add(self, fault: Fault) -> Fault:
        if fault.operation not in self._contract:
            known = ", ".join(row.id for row in self._contract)
            msg = f"there is no operation {fault.operation!r}; there are {known}"
            raise ValueError(msg)
        if type(fault.times) is not int or fault.times < 1:
            msg = f"a fault strikes once or more often, not {fault.times!r} times"
            raise ValueError(msg)
        self._faults.append(fault)
        return fault

    def strike(self, operation: str, kinds: Iterable[FaultKind]) -> Fault | None:
        """Return the first fault of these kinds that is set for the operation, and count it."""
        for fault in self._faults:
            if fault.operation == operation and fault.kind in kinds and fault.times > 0:
                fault.times -= 1
                fault.hits += 1
                return fault
        return None


def lost() -> ConnectionLost:
    """Return the error by which `respond` says that the connection is to be broken."""
    return ConnectionLost("The connection broke, as a fault asked for.")
