"""The pages about a world's machinery: its clock, its faults and the log of requests with near misses."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import TypeAlias, final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cabinet_sdk.contract import CONTRACT
from reference_server.audit import SANDBOX
from reference_server.clock import ManualClock
from reference_server.faults import Fault, FaultKind
from reference_server.pages.forms import Form, submitted
from reference_server.pages.near_misses import NearMiss, addresses, nearest, suggestion
from reference_server.pages.reading import part_of
from reference_server.pages.rendering import Renderer, see_other
from reference_server.respond import BASE_PATH, LoggedRequest
from reference_server.world import World

__all__ = ["ADDRESSES", "MachineryPages"]

ADDRESSES = addresses(CONTRACT, BASE_PATH)
"""Where every operation answers."""

_UNITS = {"minutes": dt.timedelta(minutes=1), "hours": dt.timedelta(hours=1), "days": dt.timedelta(days=1)}
_FARTHEST = dt.timedelta(days=3660)
_PRESETS = (
    ("2 minutes", "2", "minutes"),
    ("15 minutes", "15", "minutes"),
    ("1 hour", "1", "hours"),
    ("1 day", "1", "days"),
    ("30 days", "30", "days"),
)
_REFUSALS = {"503": "503 unavailable", "429": "429 too many requests"}
_MISSED = frozenset({"request.unknown_operation", "request.method_not_allowed"})

_Entry: TypeAlias = tuple[LoggedRequest, str, NearMiss | None, list[tuple[str, str, str | None]]]
"""A request, its address without the host, what it nearly was, and its wrong fields with what they nearly were."""


@final
class MachineryPages:
    """
    The pages at ``/clock``, ``/faults`` and ``/requests``.

    Args:
        world: Which world.
        renderer: Makes the pages.
    """

    def __init__(self, world: World, renderer: Renderer) -> None:
        self._world = world
        self._renderer = renderer

    def routes(self) -> list[Route]:
        """Return where they answer."""
        return [
            Route("/clock", self.clock),
            Route("/clock", submitted(self.advance), methods=["POST"]),
            Route("/faults", self.faults),
            Route("/faults", submitted(self.add_fault), methods=["POST"]),
            Route("/faults/clear", submitted(self.clear_faults), methods=["POST"]),
            Route("/requests", self.requests),
        ]

    def clock(self, request: Request) -> Response:
        """Show the clock."""
        return self._show_clock(request, Form({"number": "1", "unit": "hours"}))

    def advance(self, request: Request, form: Form) -> Response:
        """Move the clock on."""
        clock = self._world.clock
        if not isinstance(clock, ManualClock):
            form.refuse("", "This world's time is the system's: nobody can move it.")
            return self._show_clock(request, form, status=409)
        number = form.number("number", least=1, most=1_000_000)
        unit = _UNITS.get(form.raw("unit"))
        if unit is None:
            form.refuse("unit", "Choose one of the list.")
        elif number is not None and number * unit > _FARTHEST:
            form.refuse("number", f"At most {_FARTHEST.days} days at once.")
        if form.errors or number is None or unit is None:
            return self._show_clock(request, form, status=422)
        try:
            with self._taken_down("clock.advance"):
                clock.advance(number * unit)
        except OverflowError as error:
            form.refuse("number", f"{error}.")
            return self._show_clock(request, form, status=422)
        return see_other("/clock", "advanced")

    @contextmanager
    def _taken_down(self, control: str) -> Generator[None]:
        """Keep an entry of what is done inside to the world's memory: it is not done where the entry cannot be kept."""
        with self._world.work() as work:
            work.journal.record(work, f"{SANDBOX}.{control}")
            yield

    def _show_clock(self, request: Request, form: Form, status: int = 200) -> Response:
        clock = self._world.clock
        return self._renderer.page(
            request,
            "clock.html",
            here="/clock",
            status=status,
            now=clock.now(),
            manual=isinstance(clock, ManualClock),
            presets=_PRESETS,
            units=[(unit, unit) for unit in _UNITS],
            form=form,
        )

    def faults(self, request: Request) -> Response:
        """Show the faults."""
        return self._show_faults(request, Form({"times": "1"}))

    def add_fault(self, request: Request, form: Form) -> Response:
        """Set a fault."""
        operation = form.raw("operation")
        if operation not in self._world.faults.operations:
            form.refuse("operation", "Choose one of the list.")
        kind = next((each for each in FaultKind if each.value == form.raw("kind")), None)
        if kind is None:
            form.refuse("kind", "Choose one of the list.")
        times = form.number("times", least=1, most=1000)
        status, retry_after = 503, None
        if kind is FaultKind.REFUSE:
            retry_after = form.number("retry_after", least=0, most=86_400, required=False)
            if form.raw("status") in _REFUSALS:
                status = int(form.raw("status"))
            else:
                form.refuse("status", "Choose one of the list.")
        if form.errors or kind is None or times is None:
            return self._show_faults(request, form, status=422)
        faults = self._world.faults
        acts: dict[FaultKind, Callable[..., Fault]] = {
            FaultKind.REFUSE: partial(faults.refuse, status=status, retry_after=retry_after),
            FaultKind.LOSE_REQUEST: faults.lose_request,
            FaultKind.CRASH: faults.crash,
            FaultKind.LOSE_ANSWER: faults.lose_answer,
            FaultKind.GARBLE_ANSWER: faults.garble_answer,
        }
        with self._taken_down(f"faults.{kind.name.lower()}"):
            acts[kind](operation, times=times)
        return see_other("/faults", "faulty")

    def clear_faults(self, _: Request, __: Form) -> Response:
        """Forget every fault."""
        with self._taken_down("faults.clear"):
            self._world.faults.clear()
        return see_other("/faults", "cleared")

    def _show_faults(self, request: Request, form: Form, status: int = 200) -> Response:
        return self._renderer.page(
            request,
            "faults.html",
            here="/faults",
            status=status,
            faults=self._world.faults.all(),
            now=self._world.clock.now(),
            operations=self._world.faults.operations,
            kinds=list(FaultKind),
            refusals=_REFUSALS.items(),
            form=form,
        )

    def requests(self, request: Request) -> Response:
        """Show the log, the latest first."""
        asked = request.query_params
        refused = asked.get("only") == "refused"
        found = [each for each in reversed(self._world.requests) if not refused or each.problem is not None]
        shown, page, more = part_of(found, asked)
        return self._renderer.page(
            request,
            "requests.html",
            here="/requests",
            entries=[_entry(each) for each in shown],
            count=len(found),
            refused=refused,
            live=asked.get("live") == "yes",
            page=page,
            more=more,
        )


def _entry(request: LoggedRequest) -> _Entry:
    parts = urlsplit(request.url)
    near = nearest(ADDRESSES, request.method, parts.path) if request.problem in _MISSED else None
    row = next((row for row in CONTRACT if row.id == request.operation), None)
    wrong = [(error.field, error.message, None if row is None else suggestion(row, error)) for error in request.errors]
    return request, parts.path + (f"?{parts.query}" if parts.query else ""), near, wrong
