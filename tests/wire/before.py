"""The moment before a call: a story is told up to it, and the request that would be sent is handed over instead."""

from __future__ import annotations

import contextlib
from typing import final

from cabinet_sdk import Cabinet
from cabinet_sdk.contract import CONTRACT, Row
from cabinet_sdk.transports import InProcessTransport, Request, Response
from reference_server import World
from reference_server.routing import Router
from reference_server.testing import BASE_URL, credentials
from tests.wire.record import story_of

__all__ = ["WRITES", "before"]

WRITES = tuple(row for row in CONTRACT if row.method != "GET")


class _ReachedError(BaseException):
    """No error of a transport, of which the client would make one of its own."""


@final
class _Until:
    """A transport up to the first request of a row, which it keeps."""

    def __init__(self, inner: InProcessTransport, row: Row) -> None:
        self._inner, self._row, self._router = inner, row, Router(CONTRACT)
        self.sleep, self.now, self.close = inner.sleep, inner.now, inner.close
        self.request: Request | None = None

    def send(self, request: Request) -> Response:
        path = request.url.removeprefix(BASE_URL).partition("?")[0]
        if path != "/oauth/token" and self._router.match(request.method, path)[0].row.id == self._row.id:
            self.request = request
            raise _ReachedError
        return self._inner.send(request)


def before(world: World, row: Row) -> Request:
    """Tell the row's story in a world with one person, up to its first call; return the request, which was not sent."""
    transport = _Until(InProcessTransport(world.respond, sleep=world.clock.sleep, now=world.clock.monotonic), row)
    with (
        Cabinet(BASE_URL, credentials(world, world.profiles.all()[0]), transport=transport) as cabinet,
        contextlib.suppress(_ReachedError),
    ):
        list(story_of(row.area)(world, cabinet))
    if transport.request is None:
        msg = f"the story of {row.area} does not call {row.id}"
        raise AssertionError(msg)
    return transport.request
