"""What a crash left open, brought to its outcome: one entry of the journal after the other."""

from __future__ import annotations

import datetime as dt
import logging
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, final

import attrs

from cabinet_sdk._core.calls import resend
from cabinet_sdk._core.context import Context
from cabinet_sdk._core.flow import Flow
from cabinet_sdk._core.journal import Journal, JournalEntry, claimed, drop, open_entries, release, settle
from cabinet_sdk._core.operation import Operation
from cabinet_sdk.errors import CabinetError, OutcomeUnknown

__all__ = ["Resumed", "Resuming"]

logger = logging.getLogger("cabinet_sdk")


@final
@attrs.frozen(kw_only=True, repr=False)
class Resumed:
    """
    What became of an operation that an earlier call had left open.

    Attributes:
        operation_id: The idempotency key of that call.
        operation: Which operation, such as ``charges.pay``.
        created_at: When that call began.
        value: The result, as the call would have returned it; None where there is an error.
        error: Why there is none: a refusal, or `OutcomeUnknown` while still nobody knows.
    """

    operation_id: str
    operation: str
    created_at: dt.datetime
    value: Any = None  # Any: the result of whichever operation it was
    error: CabinetError | None = None

    @property
    def settled(self) -> bool:
        """Whether the outcome is known; the others stay in the journal, to be resumed again."""
        return not isinstance(self.error, OutcomeUnknown)

    def __repr__(self) -> str:
        # Of the value its kind alone: what it holds may be personal.
        outcome = type(self.value).__name__ if self.error is None else repr(self.error)
        known = "settled" if self.settled else "open"
        return f"<Resumed {self.operation} {self.operation_id}: {known}, {outcome}>"


@final
class Resuming:
    """
    A walk through a client's open entries; knows no mode.

    An entry whose outcome has been told is forgotten only when the next one is asked for: should the program end while
    it deals with the outcome, it is told again.
    """

    def __init__(
        self,
        context: Context,
        journal: Journal,
        row_of: Callable[[str], Operation[..., Any, Any] | None],
    ) -> None:
        self._context = context
        self._journal = journal
        self._row_of = row_of
        self._entries: Iterator[JournalEntry] | None = None
        self._told: JournalEntry | None = None
        self._begun = False

    def __del__(self) -> None:
        if not self._begun:
            # As Python says of a coroutine that is not awaited: on the same line, the bare statement.
            warnings.warn("resume() does nothing until it is iterated over", RuntimeWarning, stacklevel=2)

    def next(self) -> Flow[Resumed | None]:
        """Bring the next entry to its outcome; None when there is none left."""
        self._begun = True
        told, self._told = self._told, None
        if told is not None:
            yield from settle(self._journal, told)
        if self._entries is None:
            every = yield from open_entries(self._journal)
            own = [entry for entry in every if entry.client_id == self._context.sign_in.client_id]
            self._entries = iter([entry for entry in own if entry.base_url == self._context.base_url])
            self._tell_of_others(own)
        for entry in self._entries:
            row = self._row_of(entry.operation)
            if row is None or not row.durable:
                return self._resumed(entry, error=self._not_known(entry))
            if (yield from claimed(self._journal, entry)):
                return (yield from self._brought_to_its_outcome(entry, row))
        return None

    def end(self) -> Flow[None]:
        """Leave the entry that was told last to be told again."""
        told, self._told = self._told, None
        if told is not None:
            yield from release(self._journal, told)

    def _brought_to_its_outcome(self, entry: JournalEntry, row: Operation[..., Any, Any]) -> Flow[Resumed]:
        try:
            value = (yield from resend(self._context, row, entry)).value
        except GeneratorExit:
            drop(self._journal, entry)
            raise
        except OutcomeUnknown as error:
            yield from release(self._journal, entry)
            return self._resumed(entry, error=error)
        except CabinetError as error:
            self._told = entry
            return self._resumed(entry, error=error)
        except BaseException:
            yield from release(self._journal, entry)
            raise
        self._told = entry
        return self._resumed(entry, value=value)

    def _tell_of_others(self, own: Sequence[JournalEntry]) -> None:
        """Warn of what a service that has moved leaves open at its old address."""
        here = self._context.base_url
        for address, count in Counter(entry.base_url for entry in own if entry.base_url != here).items():
            message = "the journal has %d open operation(s) of this client at %s, which a client for %s does not resume"
            logger.warning(message, count, address, here)

    def _resumed(self, entry: JournalEntry, *, value: object = None, error: CabinetError | None = None) -> Resumed:
        return Resumed(
            operation_id=entry.operation_id,
            operation=entry.operation,
            created_at=entry.created_at,
            value=value,
            error=error,
        )

    def _not_known(self, entry: JournalEntry) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"This version of the SDK has no operation {entry.operation}; the version that began it can resume it.",
            operation_id=entry.operation_id,
            operation=entry.operation,
        )
