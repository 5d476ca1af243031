"""What a client signs in with is checked at once, and nobody waits for another's token beyond his own deadline."""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cabinet_sdk import AsyncCabinet, BearerToken, Cabinet, ClientCredentials
from cabinet_sdk.errors import DeadlineExceeded, InvalidValue, UsageError
from cabinet_sdk.transports import InProcessTransport, Proxy, Request, Response
from tests.core.scripted import READ, thing, token

WHO = ClientCredentials("id", "secret")


@pytest.mark.parametrize("value", ["токен", "a b", "a\r\nX-Injected: 1", ""])
def test_a_token_that_cannot_be_sent_is_refused_at_once(value: str) -> None:
    """A token is printable ASCII; anything else is refused when it is given, and not shown."""
    with pytest.raises(InvalidValue) as caught:
        BearerToken(value)

    assert value == "" or value not in str(caught.value)


HALF = "canary Мария \ud800"


@pytest.mark.parametrize(
    "make",
    [
        lambda: ClientCredentials(HALF, "secret"),
        lambda: ClientCredentials("id", HALF),
        lambda: ClientCredentials("id", "secret", ("charges.read", HALF)),
        lambda: BearerToken("token", HALF),
        lambda: BearerToken(HALF),
        lambda: Proxy(url="http://proxy.example:3128", username=HALF),
        lambda: Proxy(url="http://proxy.example:3128", username="user", password=HALF),
    ],
)
def test_credentials_that_no_bytes_stand_for(make: Callable[[], object]) -> None:
    """Half of a surrogate pair cannot be sent: it is refused where it is given, and nothing of the value is shown."""
    with pytest.raises(InvalidValue) as caught:
        make()

    assert caught.value.rule == "characters"
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert [part for part in ("canary", "Мария", "\ud800") if part in shown] == []


def test_a_proxy_hides_its_password() -> None:
    """Credentials in a proxy's address would be shown; they have fields of their own, and the password's is hidden."""
    with pytest.raises(UsageError, match="password"):
        Proxy(url="http://user:secret@proxy.example:3128")

    assert "secret" not in repr(Proxy(url="http://proxy.example:3128", username="user", password="secret"))


def never(what: object) -> Response:
    """Do nothing: these calls do not get so far."""
    raise AssertionError(what)


class _Waiting:
    """A transport that has asked for a token and gets none until it is let go on."""

    now = staticmethod(time.monotonic)

    def __init__(self) -> None:
        self.asked, self.go = threading.Event(), threading.Event()

    def send(self, request: Request) -> Response:
        if request.url.endswith("/oauth/token"):
            self.asked.set()
            assert self.go.wait(60)
            return token()
        return thing()

    def sleep(self, seconds: float) -> None:
        never(seconds)

    def close(self) -> None:
        pass


class _AsyncWaiting:
    """The same for an event loop."""

    now = staticmethod(time.monotonic)

    def __init__(self) -> None:
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def send(self, request: Request) -> Response:
        if request.url.endswith("/oauth/token"):
            self.asked.set()
            await self.go.wait()
            return token()
        return thing()

    async def sleep(self, seconds: float) -> None:
        never(seconds)

    async def aclose(self) -> None:
        pass


def test_waiting_for_anothers_token_ends_at_the_deadline() -> None:
    """While another thread fetches the token, a call waits no longer than its own deadline; the other gets it."""
    transport = _Waiting()
    with Cabinet("http://a.example/v1", WHO, transport=transport, deadline=60) as cabinet:
        with ThreadPoolExecutor() as threads:
            other = threads.submit(cabinet.answer, READ)
            assert transport.asked.wait(60)
            with pytest.raises(DeadlineExceeded):
                cabinet.with_options(deadline=0.05).answer(READ)
            transport.go.set()
        assert other.result().status == 200


async def test_waiting_for_anothers_token_ends_at_the_deadline_async() -> None:
    """While another task fetches the token, a call waits no longer than its own deadline; the other gets it."""
    transport = _AsyncWaiting()
    async with AsyncCabinet("http://a.example/v1", WHO, transport=transport, deadline=60) as cabinet:
        other = asyncio.create_task(cabinet.answer(READ))
        await transport.asked.wait()
        with pytest.raises(DeadlineExceeded):
            await cabinet.with_options(deadline=0.05).answer(READ)
        transport.go.set()
        assert (await other).status == 200


def test_credentials_of_another_type_are_a_mistake_of_the_program() -> None:
    """A pair of texts is refused when the client is made, with what to give instead."""
    pair: Any = ("id", "secret")
    with pytest.raises(UsageError, match="ClientCredentials"):
        Cabinet("http://a.example/v1", pair, transport=InProcessTransport(never))
