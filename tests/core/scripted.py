"""Transports that play a script on a clock of their own, and rows to call through them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from typing import TypeAlias, final

import attrs

from cabinet_sdk._core.operation import Call, Operation, Permission, Repeat
from cabinet_sdk.charges import ChargeNotFound, NothingDue
from cabinet_sdk.errors import TimedOut
from cabinet_sdk.transports import Headers, Request, Response

__all__ = [
    "BASE_URL",
    "CHANGE",
    "CHANGE_ONCE",
    "READ",
    "ROWS",
    "After",
    "Ask",
    "AsyncScripted",
    "Script",
    "Scripted",
    "Step",
    "Thing",
    "html",
    "ok",
    "problem",
    "thing",
    "token",
]

BASE_URL = "https://cabinet.example/v1"


@final
@attrs.frozen(kw_only=True)
class Ask:
    """Ask for a thing."""

    payee_inn: str | None = None


@final
@attrs.frozen(kw_only=True)
class Thing:
    """A thing with a name."""

    name: str
    colour: str | None = None


_PERMISSION = Permission("things", "Вещи")

READ = Call("things.read", "GET", "/things", Ask, Thing, permission=_PERMISSION)
CHANGE = Call(
    "things.change", "POST", "/things", Ask, Thing, permission=_PERMISSION, errors=(NothingDue, ChargeNotFound)
)
CHANGE_ONCE = Call("things.once", "POST", "/things/once", Ask, Thing, permission=_PERMISSION, repeat=Repeat.NEVER)

ROWS: dict[Repeat, Operation[..., Ask, Thing]] = {
    Repeat.SAFE: READ,
    Repeat.KEYED: CHANGE,
    Repeat.NEVER: CHANGE_ONCE,
}


def answer(status: int, content: bytes, media_type: str | None, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """Return an answer with a content type."""
    pairs = [*headers, *([("content-type", media_type)] if media_type else [])]
    return Response(status=status, headers=Headers(pairs), content=content)


def ok(value: object, *headers: tuple[str, str]) -> Response:
    """Return a good answer in JSON."""
    return answer(200, json.dumps(value).encode(), "application/json", headers)


def thing(name: str = "a thing", *headers: tuple[str, str]) -> Response:
    """Return the answer that the rows of this module expect."""
    return ok({"name": name}, *headers)


def problem(status: int, code: str | None = "test.refused", *headers: tuple[str, str], **members: object) -> Response:
    """Return a problem document."""
    document = {"type": "about:blank", "status": status, **({} if code is None else {"code": code}), **members}
    return answer(status, json.dumps(document).encode(), "application/problem+json", headers)


def html(status: int) -> Response:
    """Return what a proxy says that does not know this contract."""
    return answer(status, b"<html><h1>nginx</h1></html>", "text/html; charset=utf-8")


def token(value: str = "token", lifetime: object = 3600) -> Response:
    """Return what a token endpoint answers."""
    return ok({"access_token": value, "token_type": "Bearer", "expires_in": lifetime})


@final
@attrs.frozen
class After:
    """A step that takes that many seconds, or as long as the attempt may take in total."""

    seconds: float
    step: Response | Exception


Step: TypeAlias = Response | Exception | After | Callable[[Request], Response]
"""What comes of one attempt."""


@final
class Script:
    """
    What comes of each attempt, in order, and what was seen of them.

    Args:
        steps: For the requests to operations; the last one holds for ever.
        tokens: For the requests to the token endpoint; the last one holds for ever.
    """

    def __init__(self, *steps: Step, tokens: Iterable[Step] = ()) -> None:
        self._steps = list(steps)
        self._tokens = list(tokens)
        self.requests: list[Request] = []
        self.token_requests: list[Request] = []
        self.pauses: list[float] = []
        self.clock = 1000.0
        self.closed = False
        self._lock = threading.Lock()

    @property
    def keys(self) -> list[str | None]:
        """The idempotency keys as they were sent."""
        return [request.headers.get("idempotency-key") for request in self.requests]

    def play(self, request: Request) -> Response:
        """Do the next step."""
        with self._lock:
            signing_in = request.url.endswith("/oauth/token")
            (self.token_requests if signing_in else self.requests).append(request)
            steps = self._tokens if signing_in else self._steps
            step = steps.pop(0) if len(steps) > 1 else steps[0]
        if isinstance(step, After):
            total = request.timeout.total
            self.clock += step.seconds if total is None else min(step.seconds, total)
            if total is not None and total <= step.seconds:
                raise TimedOut("The script took too long.")
            step = step.step
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, Response) else step(request)

    def sleep(self, seconds: float) -> None:
        """Note a pause and move the clock."""
        self.pauses.append(seconds)
        self.clock += seconds


@final
class Scripted:
    """A script as the transport of `Cabinet`."""

    def __init__(self, script: Script) -> None:
        self._script = script

    def send(self, request: Request) -> Response:
        """Do the next step."""
        return self._script.play(request)

    def sleep(self, seconds: float) -> None:
        """Move the script's clock."""
        self._script.sleep(seconds)

    def now(self) -> float:
        """Return the script's clock."""
        return self._script.clock

    def close(self) -> None:
        """Note it."""
        self._script.closed = True


@final
class AsyncScripted:
    """A script as the transport of `AsyncCabinet`."""

    def __init__(self, script: Script) -> None:
        self._script = script

    async def send(self, request: Request) -> Response:
        """Do the next step."""
        return self._script.play(request)

    async def sleep(self, seconds: float) -> None:
        """Move the script's clock."""
        self._script.sleep(seconds)

    def now(self) -> float:
        """Return the script's clock."""
        return self._script.clock

    async def aclose(self) -> None:
        """Note it."""
        self._script.closed = True
