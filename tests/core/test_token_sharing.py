"""One token for all threads and tasks of a client."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import pytest

from cabinet_sdk import AsyncCabinet, Cabinet, ClientCredentials
from cabinet_sdk._core import flow
from cabinet_sdk.transports import InProcessTransport, Request, Response
from tests.core.scripted import (
    BASE_URL,
    READ,
    Script,
    Scripted,
    problem,
    thing,
    token,
)

pytestmark = pytest.mark.feature("EX-01")

CREDENTIALS = ClientCredentials("client", "secret")
REJECTED = problem(401, "sign_in.token_invalid")


def test_one_fetch_for_many_threads() -> None:
    """50 threads that need a token at once cause one request for it, and so does its rejection."""
    together = threading.Barrier(50)
    valid = {"Bearer t-1"}

    def respond(request: Request) -> Response:
        return thing() if request.headers["authorization"] in valid else REJECTED

    script = Script(respond, tokens=[token("t-1"), token("t-2"), token("t-3")])
    cabinet = Cabinet(BASE_URL, CREDENTIALS, transport=Scripted(script))

    def ask() -> str:
        together.wait(60)
        return cabinet.answer(READ).value.name

    with ThreadPoolExecutor(50) as pool:
        first = [future.result() for future in [pool.submit(ask) for _ in range(50)]]
        valid = {"Bearer t-2"}
        second = [future.result() for future in [pool.submit(ask) for _ in range(50)]]

    assert first == second == ["a thing"] * 50
    assert len(script.token_requests) == 2


class Yielding:
    """A script's async transport that lets every other task run before it answers."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.now = lambda: script.clock

    async def send(self, request: Request) -> Response:
        """Answer after all that are ready had their turn."""
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return self._script.play(request)

    async def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self._script.sleep(seconds)

    async def aclose(self) -> None:
        """Nothing is held."""


async def test_one_fetch_for_many_tasks() -> None:
    """100 tasks that need a token at once cause one request for it, and so does its rejection."""
    valid = {"Bearer t-1"}

    def respond(request: Request) -> Response:
        return thing() if request.headers["authorization"] in valid else REJECTED

    script = Script(respond, tokens=[token("t-1"), token("t-2"), token("t-3")])
    cabinet = AsyncCabinet(BASE_URL, CREDENTIALS, transport=Yielding(script))

    for current in ("Bearer t-1", "Bearer t-2"):
        valid = {current}
        calls: list[Awaitable[object]] = [cabinet.answer(READ) for _ in range(100)]
        await asyncio.gather(*calls)

    assert len(script.token_requests) == 2


@pytest.mark.parametrize("where", ["acquire", "_do"])
def test_an_interrupted_fetch_leaves_no_lock(where: str) -> None:
    """Ctrl+C when the right to fetch the token is got and nobody could note it yet lets other threads go on."""
    script = Script(thing(), tokens=[token()])
    cabinet = Cabinet(BASE_URL, CREDENTIALS, transport=Scripted(script), deadline=5.0)
    before = sys.gettrace()

    def trace(frame: FrameType, event: str, value: object) -> Any:
        if frame.f_code.co_filename != flow.__file__ or frame.f_code.co_name != where:
            return None
        if event == "return" and value is True:
            sys.settrace(before)
            raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        with pytest.raises(KeyboardInterrupt):
            cabinet.answer(READ)
    finally:
        sys.settrace(before)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(cabinet.answer, READ).result(60).value.name == "a thing"


def test_a_signal_that_comes_back_fetches_a_token_of_its_own() -> None:
    """The handler of a signal that calls the client while its thread fetches the token waits for nobody."""
    told: list[str] = []

    def respond(request: Request) -> Response:
        if not request.url.endswith("/oauth/token"):
            return thing()
        if not told:
            told.append("begun")
            told.append(cabinet.answer(READ).value.name)
        return token()

    cabinet = Cabinet(BASE_URL, CREDENTIALS, transport=InProcessTransport(respond), deadline=0.1)

    assert cabinet.answer(READ).value.name == "a thing"
    assert told == ["begun", "a thing"]


async def test_a_cancelled_fetch_leaves_no_lock() -> None:
    """A task that is cancelled while it fetches the token, or waits for it, lets the others go on."""
    hold = asyncio.Event()
    script = Script(thing(), tokens=[token()])

    class Slow(Yielding):
        async def send(self, request: Request) -> Response:
            await hold.wait()
            return await super().send(request)

    cabinet = AsyncCabinet(BASE_URL, CREDENTIALS, transport=Slow(script))
    tasks = [asyncio.create_task(cabinet.answer(READ)) for _ in range(3)]
    for _ in range(5):
        await asyncio.sleep(0)
    for task in tasks[:2]:  # the one that fetches, and the first that waits for it
        task.cancel()
    hold.set()

    assert [type(one) for one in await asyncio.gather(*tasks[:2], return_exceptions=True)] == [
        asyncio.CancelledError
    ] * 2
    assert (await tasks[2]).value.name == "a thing"
    assert len(script.token_requests) == 1
