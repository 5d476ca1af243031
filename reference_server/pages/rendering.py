"""How a page is made of a template: escaped, under a policy that lets no script run, and how values read."""

from __future__ import annotations

import datetime as dt
from functools import cache
from typing import Any, final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from cabinet_sdk.types import MOSCOW
from reference_server.papers import shown_day

__all__ = ["SAFE", "Renderer", "see_other", "style"]

SAFE = {
    "content-security-policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # Not no-referrer: with it a browser hides the origin of our own forms too, by which foreign ones are told apart.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}
"""Headers of every page."""

_DONE = {
    "advanced": "The clock has moved on.",
    "charged": "The charge is added.",
    "cleared": "All faults are forgotten.",
    "credited": "The money has arrived and is credited.",
    "decided": "Done.",
    "faulty": "The fault is set.",
    "profile": "The profile is added.",
    "refund": "The refund is requested.",
    "scripted": "The outcome is noted; outcomes are used up in their order.",
    "too-late": "Nothing was done: what it was about is finished, or not there.",
    "transferred": "The transfer has arrived and is matched.",
    "unmatched": "The transfer has arrived, and found no charge for all of its money.",
}
"""What a page says after a form; the address names one of these, so that no address can put words into a page."""


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("reference_server"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"day": shown_day, "moment": _moment, "span": _span}
    return environment


def _moment(moment: dt.datetime) -> str:
    local = moment.astimezone(MOSCOW)
    return f"{shown_day(local)} {local:%H:%M:%S}"


def _span(name: str) -> str:
    return name.replace("_", " ")


@cache
def _style() -> str:
    source, _, _ = PackageLoader("reference_server").get_source(_environment(), "style.css")
    return source


def style(_: Request) -> Response:
    """Answer with the one style sheet."""
    return Response(_style(), media_type="text/css", headers=SAFE | {"cache-control": "no-store"})


@final
class Renderer:
    """
    Makes the pages of one server.

    Args:
        sandbox: Whether visitors may see and move everything.
    """

    def __init__(self, *, sandbox: bool) -> None:
        self.sandbox = sandbox

    def page(
        self,
        request: Request,
        template: str,
        *,
        here: str = "",
        status: int = 200,
        **values: Any,  # Any: whatever the template shows
    ) -> Response:
        """Return a page; `here` is the address of its entry in the menu."""
        text = (
            _environment()
            .get_template(template)
            .render(
                sandbox=self.sandbox,
                here=here,
                done=_DONE.get(request.query_params.get("done", ""), ""),
                **values,
            )
        )
        return HTMLResponse(text, status_code=status, headers=SAFE)


def see_other(address: str, done: str) -> Response:
    """Return the redirection after a form, so that reloading does not send it again."""
    path, mark, fragment = address.partition("#")
    return RedirectResponse(f"{path}?done={done}{mark}{fragment}", status_code=303, headers=SAFE)
