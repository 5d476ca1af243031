"""
What happened, and whether a model can explain it.

Several clients act at once; a history is what each of them was told, in its own order. It is explained when the model
can do the same acts one after another, in some order that keeps each client's own, and tells everybody the same.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Protocol, TypeVar, final

import attrs

from cabinet_sdk import AsyncCabinet
from cabinet_sdk.errors import (
    CabinetError,
    CallerError,
    DeadlineExceeded,
    NetworkError,
    OutcomeUnknown,
    Problem,
    RightsError,
    ServiceError,
    StateError,
)
from tests.faces import settle

__all__ = ["Act", "Performed", "Told", "explained", "settled"]

ModelT = TypeVar("ModelT")
ModelT_contra = TypeVar("ModelT_contra", contravariant=True)

_PATIENCE = 200


@final
@attrs.frozen
class Told:
    """
    What a client was told of its act.

    Attributes:
        value: The result.
        refusal: The error that settled it, if it was refused.
        nothing: The error that says that nothing was done, if nothing was.
    """

    value: object = None
    refusal: Problem | None = None
    nothing: CabinetError | None = None


class Performed(Protocol):
    """One operation with its arguments."""

    async def perform(self, client: AsyncCabinet) -> object:
        """Call the operation."""
        ...


class Act(Performed, Protocol[ModelT_contra]):
    """One operation with its arguments, for both sides of the comparison."""

    def follow(self, model: ModelT_contra, told: Told, /) -> bool:
        """Do the same to the model, and say whether the model would have told that."""
        ...


async def settled(act: Performed, client: AsyncCabinet) -> Told:
    """Let a client act, and reconcile until the outcome is known."""
    try:
        return Told(value=await act.perform(client))
    except OutcomeUnknown as error:
        unknown = error
    except CabinetError as error:
        return _refused(error)
    for _ in range(_PATIENCE):
        try:
            return Told(value=await settle(unknown.reconcile()))
        except OutcomeUnknown as error:
            again = error
        except CabinetError as error:
            told = _refused(error)
            if told.nothing is not None:
                msg = "reconciling says that nothing was done, which nobody knows"
                raise AssertionError(msg) from error
            return told
        # It never forgets which operation it is about.
        assert again.operation_id == unknown.operation_id
    msg = f"still unknown after {_PATIENCE} times: {unknown!r}"
    raise AssertionError(msg)


def _refused(error: CabinetError) -> Told:
    if isinstance(error, StateError | CallerError):
        return Told(refusal=error)
    # The last is a 401 whose document was cut on its way, so that nobody could see that a new token would have helped.
    assert isinstance(error, NetworkError | ServiceError | DeadlineExceeded | RightsError), repr(error)
    return Told(nothing=error)


def explained(model: ModelT, histories: Sequence[Sequence[tuple[Act[ModelT], Told]]]) -> ModelT | None:
    """Return the model after these acts in an order that explains what was told, None where there is no such order."""
    if not any(histories):
        return model
    for number, history in enumerate(histories):
        if not history:
            continue
        (act, told), *rest = history
        then = copy.deepcopy(model)
        if told.nothing is not None or act.follow(then, told):
            found = explained(then, [*histories[:number], rest, *histories[number + 1 :]])
            if found is not None:
                return found
    return None
