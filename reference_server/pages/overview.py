"""The first page: what this is, what there is, what to try; and adding a profile."""

from __future__ import annotations

from typing import final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cabinet_sdk.charges.operations import ListCharges
from cabinet_sdk.contract import CONTRACT
from cabinet_sdk.errors import InvalidValue
from cabinet_sdk.types import Inn, Kpp, Ogrn, Ogrnip
from reference_server import charges
from reference_server.pages.forms import Form, submitted
from reference_server.pages.reading import Reader, part_of
from reference_server.pages.rendering import Renderer, see_other
from reference_server.profiles import ProfileKind
from reference_server.world import World

__all__ = ["Overview"]


@final
class Overview:
    """
    The page at ``/``.

    Args:
        world: Which world.
        renderer: Makes the page.
    """

    def __init__(self, world: World, renderer: Renderer) -> None:
        self._world = world
        self._renderer = renderer
        self._reader = Reader(world)

    def routes(self) -> list[Route]:
        """Return where it answers."""
        found = [Route("/", self.show)]
        if self._renderer.sandbox:
            found.append(Route("/profiles", submitted(self.add), methods=["POST"]))
        return found

    def show(self, request: Request) -> Response:
        """Show the page."""
        return self._show(request, Form({"linked": "yes"}))

    def add(self, request: Request, form: Form) -> Response:
        """Add a profile."""
        name = form.text("name", longest=200)
        kind = form.choice("kind", ProfileKind.members())
        if name is None or kind is None:
            return self._show(request, form, status=422)
        try:
            inn = Inn(form.raw("inn")) if form.raw("inn") else None
        except InvalidValue as error:
            form.refuse("inn", f"Expected {error.expected}.")
            return self._show(request, form, status=422)
        try:
            profile = self._world.profiles.add(
                name,
                inn,
                kind=kind,
                kpp=Kpp("770301001") if kind == ProfileKind.ORGANISATION else None,
                registration=_registration(kind),
                linked=charges.LINKED if form.raw("linked") else frozenset(),
            )
        except ValueError as error:
            form.refuse("inn", f"{error}.")
            return self._show(request, form, status=422)
        return see_other(f"/profiles/{profile.id}", "profile")

    def _show(self, request: Request, form: Form, status: int = 200) -> Response:
        world, sandbox = self._world, self._renderer.sandbox
        everybody = world.profiles.all() if sandbox else []
        shown, page, more = part_of(everybody, request.query_params)
        people = [
            (
                profile,
                world.client_secret(profile.id),
                self._reader.count(profile, ListCharges()),
                self._reader.count(profile, ListCharges(overdue=True)),
            )
            for profile in shown
        ]
        requests, now = world.requests, world.clock.now()
        return self._renderer.page(
            request,
            "index.html",
            here="/",
            status=status,
            people=people,
            profiles=len(everybody),
            page=page,
            more=more,
            base_url=str(request.base_url).rstrip("/"),
            rows=list(CONTRACT),
            now=now,
            requests=len(requests),
            refused=sum(1 for each in requests if each.problem is not None),
            faults=sum(1 for fault in world.faults.all() if fault.holds(now)),
            kinds=ProfileKind.members(),
            form=form,
        )


def _registration(kind: ProfileKind) -> Ogrn | Ogrnip | None:
    if kind == ProfileKind.ORGANISATION:
        return Ogrn.with_check_digits("124770000000")
    if kind == ProfileKind.ENTREPRENEUR:
        return Ogrnip.with_check_digits("32477000000000")
    return None
