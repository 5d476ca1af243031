"""
Operations kept before they are sent, so that no crash of the program loses one or does one twice.

Rule: an entry stands in the journal from before the first byte is sent until the outcome is known. It is settled by a
result or a refusal. Whatever leaves the outcome open leaves the entry open too: `OutcomeUnknown`, an interrupt, a
cancellation, the end of the process.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar, final, runtime_checkable

import attrs

from cabinet_sdk._core.flow import Flow, run
from cabinet_sdk.errors import CabinetError, JournalFailed, KeyReused, OutcomeUnknown, StillRunning, UsageError

__all__ = ["Journal", "JournalEntry", "claimed", "drop", "open_entries", "recorded", "release", "settle"]

T = TypeVar("T")

# Seconds that an interrupted call still takes to have its outcome told later.
_PATIENCE = 1.0

logger = logging.getLogger("cabinet_sdk")


@final
@attrs.frozen(kw_only=True)
class JournalEntry:
    """
    An operation that was begun and whose outcome is not known yet.

    Two entries are equal if they are the same request of the same client, whenever each was made.

    Attributes:
        base_url: Of the client whose operation it is.
        client_id: Of the same; empty for a client without credentials.
        operation_id: The idempotency key, one of its kind for a client.
        operation: The row's id, such as ``charges.pay``.
        path: Below the base URL, with its query. It may be personal, as the body is: neither is shown.
        body: As it is sent.
        created_at: When the call began, by the clock of the machine.
    """

    base_url: str
    client_id: str
    operation_id: str
    operation: str
    path: str = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    created_at: dt.datetime = attrs.field(eq=False)


@runtime_checkable
class Journal(Protocol):
    """
    Where operations are kept until their outcome is known; several clients, threads and processes may share one.

    The methods may wait for a disk or a network: `AsyncCabinet` calls them in threads. What they raise becomes
    `JournalFailed`. An entry has a *worker* while a call is at it, so that nobody resumes what is running, and nobody
    forgets what another may be sending; a worker whose process has ended is none. A call brings one and the same object
    from `begin` or `claim` to `settle` or `release`, and no other call does: that tells it from those of its process.
    """

    def begin(self, entry: JournalEntry, seconds: float | None = None) -> JournalEntry | None:
        """
        Keep an entry, with the caller as its worker; return once it would survive the end of the machine.

        Where the client has an entry of this operation id already, return that one and keep it as it is. The caller
        becomes its worker if it is equal. To wait for longer than the `seconds` that are left to the call is in vain.

        Raises:
            StillRunning: It is equal, and another call is at it.
        """
        ...

    def settle(self, entry: JournalEntry) -> None:
        """Forget an entry, since its outcome is known, if the caller is its worker still: another may be sending it."""
        ...

    def release(self, entry: JournalEntry) -> None:
        """Keep an entry without a worker, if the caller is it: anybody may resume it then."""
        ...

    def open_entries(self) -> Sequence[JournalEntry]:
        """Return all entries of all clients, the oldest first."""
        ...

    def claim(self, entry: JournalEntry) -> bool:
        """
        Become the worker of an entry that is still there and has none; of several callers one gets True.

        Not of an unequal one under the same operation id: the entry was refused since it was read, which frees the id.
        """
        ...


def recorded(
    journal: Journal,
    entry: JournalEntry,
    hold: Callable[[bool], Flow[T]],
    remaining: Callable[[], float | None],
    *,
    own_id: bool,
) -> Flow[T]:
    """
    Keep an entry, hold the conversation, and settle the entry by what comes of it.

    Args:
        journal: Where it is kept.
        entry: What is to be sent.
        hold: Told whether the operation may have been sent before, by a call that left its entry open.
        remaining: Says how many seconds are left to the call.
        own_id: Whether the operation id was made for this call, so that no earlier one can have used it.

    Raises:
        JournalFailed: The entry cannot be kept; nothing was sent.
        KeyReused: Under this operation id the journal has another request.
        StillRunning: Another call under this operation id is on its way; this one was not sent.
    """
    begun, earlier = False, None
    try:
        earlier = yield from _begin(journal, entry, remaining)
        if earlier is not None and earlier != entry:
            message = f"The journal has another request under the idempotency key {entry.operation_id}."
            raise KeyReused(message, operation=entry.operation)
        begun = True
        result = yield from hold(earlier is not None)
        yield from settle(journal, entry)
    except GeneratorExit:
        drop(journal, entry)
        raise
    except (CabinetError, UsageError) as error:
        if begun:
            # A mistake in the program, such as a closed client, says that nothing was sent, but only by this call.
            unknown = isinstance(error, OutcomeUnknown) or (isinstance(error, UsageError) and earlier is not None)
            yield from (release if unknown else settle)(journal, entry)
        elif isinstance(error, JournalFailed):
            # It may have kept the entry before it failed. What the caller believes not sent must not be sent later.
            yield from (settle if own_id else release)(journal, entry)
        raise
    except BaseException:
        yield from release(journal, entry)
        raise
    return result


def settle(journal: Journal, entry: JournalEntry) -> Flow[None]:
    """Forget an entry; where that fails it stays, and resuming it only asks for the outcome again."""
    try:
        yield from _kept(partial(journal.settle, entry))
    except JournalFailed as error:
        logger.warning("%s may stay in the journal although it is settled: %s", entry.operation_id, error)
        yield from release(journal, entry)
    except GeneratorExit:
        raise
    except BaseException:
        # The caller will not learn the outcome: `resume` shall tell it, if the journal takes the entry back.
        try:
            yield from _begin(journal, entry, lambda: _PATIENCE)
        except (JournalFailed, StillRunning) as error:
            logger.warning("%s is settled and may not be told again: %s", entry.operation_id, error)
        yield from release(journal, entry)
        raise


def release(journal: Journal, entry: JournalEntry) -> Flow[None]:
    """Let others resume an entry; where that fails, they can once this process has ended."""
    try:
        yield from _kept(partial(journal.release, entry))
    except JournalFailed as error:
        logger.warning("%s can be resumed only after the end of this process: %s", entry.operation_id, error)


def drop(journal: Journal, entry: JournalEntry) -> None:
    """Let others resume an entry whose flow is dropped: nobody is left who would do what a flow asks for."""
    try:
        journal.release(entry)
    except Exception as error:  # noqa: BLE001  # whatever it is, it must not come up where a flow is dropped
        logger.warning("%s can be resumed only after the end of this process: %s", entry.operation_id, error)


def claimed(journal: Journal, entry: JournalEntry) -> Flow[bool]:
    """Take an entry over; say whether that worked."""
    try:
        return (yield from _kept(partial(journal.claim, entry)))
    except CabinetError:
        raise
    except GeneratorExit:
        drop(journal, entry)
        raise
    except BaseException:
        # It may be ours by now, and we go.
        yield from release(journal, entry)
        raise


def open_entries(journal: Journal) -> Flow[Sequence[JournalEntry]]:
    """Read all entries."""
    return (yield from _kept(journal.open_entries))


def _begin(journal: Journal, entry: JournalEntry, remaining: Callable[[], float | None]) -> Flow[JournalEntry | None]:
    def begin() -> JournalEntry | None:
        # Asked when a thread is free for it: in async mode that may be late.
        left = remaining()
        return journal.begin(entry, None if left is None else max(0.0, left))

    return (yield from _kept(begin))


def _kept(function: Callable[[], T]) -> Flow[T]:
    try:
        # To its end, also when the task is cancelled: half-known journals are worse than a moment's delay.
        return (yield from run(function, whole=True, apart=True))
    except (JournalFailed, StillRunning):
        raise
    except Exception as error:
        raise JournalFailed(f"The journal failed: {error}.") from error
