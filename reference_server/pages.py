"""Pages for people: what this server is, the help page of each problem, and the page on which a payer confirms."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from cabinet_sdk._core.openapi import document
from cabinet_sdk.charges.models import PaymentId
from cabinet_sdk.contract import CONTRACT
from cabinet_sdk.errors import catalogue
from reference_server.charges import store
from reference_server.world import World

__all__ = ["pages"]

_SAFE = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("reference_server"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _page(template: str, status: int = 200, **values: Any) -> HTMLResponse:  # Any: whatever the template shows
    text = _environment().get_template(template).render(**values)
    return HTMLResponse(text, status_code=status, headers=_SAFE)


def pages(world: World, *, sandbox: bool) -> Starlette:  # noqa: C901  # one short function a page
    """Return the application of everything outside the contract."""

    def index(request: Request) -> Response:
        people = [(profile, world.client_secret(profile.id)) for profile in world.profiles.all()] if sandbox else []
        base_url = str(request.base_url).rstrip("/")
        return _page("index.html", people=people, base_url=base_url, rows=list(CONTRACT), now=world.clock.now())

    def health(_: Request) -> Response:
        with world.lock:
            world.database.one("SELECT 1")
        return JSONResponse({"status": "ok"}, headers={"cache-control": "no-store"})

    def openapi(_: Request) -> Response:
        return JSONResponse(document(CONTRACT))

    def problems(_: Request) -> Response:
        return _page("problems.html", problems=catalogue())

    def problem(request: Request) -> Response:
        known = {each.code: each for each in catalogue()}
        found = known.get(request.path_params["code"])
        if found is None:
            return _page("problems.html", status=404, problems=catalogue())
        return _page("problem.html", problem=found)

    def payment(request: Request) -> Response:
        with world.work() as work:
            found = store.payment_by_id(work, request.path_params["payment_id"])
        if found is None:
            return _page("payment.html", status=404, payment=None)
        return _page("payment.html", payment=found)

    def decide(request: Request) -> Response:
        payment_id = PaymentId(request.path_params["payment_id"])
        act = world.charges.confirm if request.path_params["decision"] == "confirm" else world.charges.decline
        try:
            act(payment_id)
        except ValueError:
            return _page("payment.html", status=409, payment=None)
        return RedirectResponse(f"/pay/{payment_id}", status_code=303, headers=_SAFE)

    routes = [
        Route("/", index),
        Route("/healthz", health),
        Route("/openapi.json", openapi),
        Route("/problems", problems),
        Route("/problems/{code}", problem),
    ]
    if sandbox:
        routes += [
            Route("/pay/{payment_id}", payment),
            Route("/pay/{payment_id}/{decision:str}", decide, methods=["POST"]),
        ]
    return Starlette(routes=routes)
