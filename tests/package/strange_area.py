"""An area with what is hard to write down."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NewType, TypeVar, final

import attrs

from cabinet_sdk._core.area import Area, Async, Endpoint, Sync
from cabinet_sdk._core.context import Context
from cabinet_sdk._core.flow import Flow
from cabinet_sdk._core.operation import Call, Download, Listing, Permission
from cabinet_sdk.charges import ChargeOrder
from cabinet_sdk.types import Money

__all__ = ["AsyncStrange", "Strange"]

ThingId = NewType("ThingId", str)
ModeT = TypeVar("ModeT", Sync, Async)


@final
class Colour(enum.Enum):
    """Closed."""

    RED = "red"


@final
@attrs.frozen
class ListThings:
    r'''Iterate over things; ``\d`` and """these""" are kept.'''

    ids: tuple[ThingId, ...] = ()
    order: ChargeOrder = ChargeOrder.NEWEST
    colour: Colour | None = attrs.field(default=Colour.RED, kw_only=True)
    least: Money = attrs.field(default=Money.ZERO, kw_only=True)
    names: list[str] = attrs.field(factory=list[str], kw_only=True)


@final
@attrs.frozen
class GetDate:
    """Read a date."""

    thing_id: ThingId
    form: Literal["iso", "long"] = "iso"


@final
@attrs.frozen
class Fetch:
    """
    Fetch a thing.

    Args:
        thing_id: Which.
    """

    thing_id: ThingId


LOOK = Permission("things.look", "Просмотр")


def save(
    context: Context,
    folder: Path,
    *,
    dates: list[dt.date] | None = None,
    on_progress: Callable[[int, int | None], None] | None = None,
    timeout: float = float("inf"),
) -> Flow[None]:
    """
    Save all.

    Args:
        context: The client's.
        folder: Where.
        dates: Of these.
        on_progress: Told how far it is.
        timeout: How long.
    """
    raise NotImplementedError


class _Strange(Area[ModeT]):
    list = Endpoint(Listing("strange.list", "GET", "/things", ListThings, list[ThingId], permission=LOOK))
    date = Endpoint(Call("strange.date", "GET", "/things/{thing_id}/date", GetDate, dt.date, permission=LOOK))
    fetch = Endpoint(Download("strange.fetch", "GET", "/things/{thing_id}", Fetch, permission=LOOK))
    save = Endpoint(save)


@final
class Strange(_Strange[Sync]):
    """Strange things."""


@final
class AsyncStrange(_Strange[Async]):
    """Strange things, async."""
