"""
Pages for people: the console of a world, the help page of each problem, and the pages on which a payer confirms.

Rule: the console uses the world's typed controls and the contract's handlers, so that it can do and show nothing that a
test could not. Every page works without a script, and none is allowed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Match, Route

from cabinet_sdk._core.openapi import document
from cabinet_sdk.contract import CONTRACT
from reference_server.database import cannot_serve
from reference_server.pages.charge import ChargePages
from reference_server.pages.guard import Guard
from reference_server.pages.machinery import ADDRESSES, MachineryPages
from reference_server.pages.near_misses import nearest
from reference_server.pages.overview import Overview
from reference_server.pages.payer import PayerPages
from reference_server.pages.problems import ProblemPages
from reference_server.pages.profile import ProfilePages
from reference_server.pages.rendering import SAFE, Renderer, style
from reference_server.world import World

__all__ = ["pages"]

_PLAIN = frozenset({"Not Found", "Method Not Allowed"})
"""What Starlette says where nobody said more."""


def pages(world: World, *, sandbox: bool) -> Starlette:
    """Return the application of everything outside the contract; its controls are there in a sandbox only."""
    renderer = Renderer(sandbox=sandbox)

    def health(_: Request) -> Response:
        with world.lock:
            world.database.one("SELECT 1")
        return JSONResponse({"status": "ok"}, headers=SAFE)

    def openapi(_: Request) -> Response:
        return JSONResponse(document(CONTRACT), headers=SAFE)

    def not_allowed(request: Request, error: Exception) -> Response:
        path = request.url.path
        if request.method not in {"GET", "HEAD"}:
            response = missing(request, error)
            # Starlette names those of one route only.
            response.headers["allow"] = ", ".join(sorted(_methods(routes, path)))
            return response
        # The address of a form, such as one whose answer is loaded anew: its page is the next one above.
        while "GET" not in _methods(routes, path):
            path = path.rpartition("/")[0] or "/"
        return RedirectResponse(quote(path), status_code=303, headers=SAFE)

    def missing(request: Request, error: Exception) -> Response:
        refusal = error if isinstance(error, HTTPException) else HTTPException(404)
        response = renderer.page(
            request,
            "missing.html",
            status=refusal.status_code,
            # The page that GET would bring, also to HEAD.
            method="GET" if request.method == "HEAD" else request.method,
            path=request.url.path,
            detail=None if refusal.detail in _PLAIN else refusal.detail,
            near=nearest(ADDRESSES, request.method, request.url.path),
        )
        response.headers.update(refusal.headers or {})
        return response

    def unavailable(_: Request, error: Exception) -> Response:
        if not cannot_serve(error):
            raise error
        headers = {**SAFE, "retry-after": "1"}
        text = "The disk is full, the file locked by another program, or the system out of files; nothing was done."
        return PlainTextResponse(text, status_code=503, headers=headers)

    routes = [
        *Overview(world, renderer).routes(),
        Route("/style.css", style),
        Route("/healthz", health),
        Route("/openapi.json", openapi),
        *ProblemPages(renderer).routes(),
        *PayerPages(world, renderer).routes(),
    ]
    if sandbox:
        routes += [
            *ProfilePages(world, renderer).routes(),
            *ChargePages(world, renderer).routes(),
            *MachineryPages(world, renderer).routes(),
        ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard)] if sandbox else [],
        exception_handlers={
            404: missing,
            405: not_allowed,
            sqlite3.OperationalError: unavailable,
            OSError: unavailable,
        },
    )


def _methods(routes: Sequence[Route], path: str) -> set[str]:
    scope = {"type": "http", "method": "GET", "path": path}
    found = [route.methods or set() for route in routes if route.matches(scope)[0] is not Match.NONE]
    return set[str]().union(*found)
