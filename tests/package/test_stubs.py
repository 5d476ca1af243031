"""How stubs are written."""

from __future__ import annotations

import ast
import types
from typing import Any

import pytest

from cabinet_sdk._core.area import Area, Sync
from tests.package import strange_area
from tools.stubs import Unwritable, stub

STUB = '''"""An area with what is hard to write down."""

from builtins import list as _list
from collections.abc import Callable
from datetime import date as _date
from pathlib import Path
from typing import Literal, final

from cabinet_sdk._core.area import Area, Async, Sync
from cabinet_sdk._core.downloads import AsyncFileStream, FileStream
from cabinet_sdk._core.paging import AsyncPages, Pages
from cabinet_sdk.charges.models import ChargeOrder
from cabinet_sdk.types.money import Money
from tests.package.strange_area import Colour, ThingId

__all__ = ["AsyncStrange", "Strange"]

@final
class Strange(Area[Sync]):
    """Strange things."""

    def list(
        self,
        ids: tuple[ThingId, ...] = (),
        order: ChargeOrder = ChargeOrder.NEWEST,
        *,
        colour: Colour | None = Colour.RED,
        least: Money = Money.ZERO,
        names: _list[str] = ...,
    ) -> Pages[ThingId]:
        """Iterate over things; ``\\\\d`` and \\"\\"\\"these\\"\\"\\" are kept."""

    def date(self, thing_id: ThingId, form: Literal["iso", "long"] = "iso") -> _date:
        """Read a date."""

    def fetch(self, thing_id: ThingId) -> FileStream:
        """
        Fetch a thing.

        Args:
            thing_id: Which.
        """

    def save(
        self,
        folder: Path,
        *,
        dates: _list[_date] | None = None,
        on_progress: Callable[[int, int | None], None] | None = None,
        timeout: float = ...,
    ) -> None:
        """
        Save all.

        Args:
            folder: Where.
            dates: Of these.
            on_progress: Told how far it is.
            timeout: How long.
        """

@final
class AsyncStrange(Area[Async]):
    """Strange things, async."""
'''


def test_a_stub_says_all_that_the_methods_say() -> None:
    """Names that methods hide get another one, constants keep their names, and what is made anew has none."""
    written = stub(strange_area)

    assert written.startswith(STUB)
    ast.parse(written)


def test_both_modes_differ_in_nothing_but_the_mode() -> None:
    """The async class has the same methods; those that wait are ``async def``, and streams and pages are async ones."""
    sync, _, asynchronous = stub(strange_area)[STUB.index("    def list(") :].partition(
        '@final\nclass AsyncStrange(Area[Async]):\n    """Strange things, async."""\n\n'
    )
    for name in ("date", "fetch", "save"):
        sync = sync.replace(f"    def {name}(", f"    async def {name}(")

    assert (
        asynchronous.strip() == sync.replace("FileStream", "AsyncFileStream").replace("Pages[", "AsyncPages[").strip()
    )


def module_with(name: str, value: object) -> types.ModuleType:
    """Return a module that makes one thing public."""
    module = types.ModuleType("made_up", "Made up.")
    module.__dict__.update({name: value, "__all__": [name]})
    return module


class _Helpful(Area[Sync]):
    def helper(self) -> Any:
        """Do what no row says."""


@pytest.mark.parametrize(
    "value, message",
    [
        (int, "made_up.Thing is public and no area"),
        (3, "made_up.Thing is public and no area"),
        (_Helpful, "_Helpful.helper is public and no Endpoint"),
    ],
)
def test_what_no_stub_can_say_stops_the_build(value: object, message: str) -> None:
    """A client that is more than rows and flows is refused, since its stub would hide the rest."""
    with pytest.raises(Unwritable, match=message):
        stub(module_with("Thing", value))
