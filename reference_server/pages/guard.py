"""
Who may look at the console, send its forms and use what it shows.

The console gives credentials away and moves money that does not exist, so it is for this machine alone, and so is the
world behind it. Two ways lead a web page from elsewhere here nonetheless, through the browser of whoever develops on
this machine: a name that the attacker lets resolve to 127.0.0.1 (DNS rebinding), which `App` refuses at every path, and
a form or a script that posts across sites. Both are refused.
"""

from __future__ import annotations

from typing import final

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from reference_server.pages.rendering import SAFE

__all__ = ["Guard", "is_own_form"]

_READING = frozenset({"GET", "HEAD", "OPTIONS"})


@final
class Guard:
    """
    Lets forms pass from the console itself only.

    Args:
        app: What it guards.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or let pass."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            if scope["method"] not in _READING and not is_own_form(headers):
                text = "This form came from another site; nothing was done."
                await PlainTextResponse(text, status_code=403, headers=SAFE)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def is_own_form(headers: Headers) -> bool:
    """Say whether a form came from a page of ours, or from a program, which sends neither header."""
    if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return False
    origin, host = headers.get("origin"), headers.get("host")
    return origin is None or (host is not None and origin in {f"http://{host}", f"https://{host}"})
