"""What a client signs in with is checked at once, and nobody waits for another's token beyond his own deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import pytest

from cabinet_sdk import AsyncCabinet, BearerToken, Cabinet, ClientCredentials
from cabinet_sdk.errors import DeadlineExceeded, InvalidValue, UsageError
from cabinet_sdk.transports import AsyncInProcessTransport, InProcessTransport, Proxy, Request, Response

WHO = ClientCredentials("id", "secret")


@pytest.mark.parametrize("value", ["токен", "a b", "a\r\nX-Injected: 1", ""])
def test_a_token_that_cannot_be_sent_is_refused_at_once(value: str) -> None:
    """A token is printable ASCII; anything else is refused when it is given, and not shown."""
    with pytest.raises(InvalidValue) as caught:
        BearerToken(value)

    assert value == "" or value not in str(caught.value)


def test_a_proxy_hides_its_password() -> None:
    """Credentials in a proxy's address would be shown; they have fields of their own, and the password's is hidden."""
    with pytest.raises(UsageError, match="password"):
        Proxy(url="http://user:secret@proxy.example:3128")

    assert "secret" not in repr(Proxy(url="http://proxy.example:3128", username="user", password="secret"))


def never(request: Request) -> Response:
    """Answer nothing: these calls do not get so far."""
    raise AssertionError(request)


# The lock that another call holds while it fetches a token.
sign_in_lock: Callable[[Cabinet | AsyncCabinet], Any] = attrgetter("_context.sign_in._lock")  # Any: of either mode


def test_waiting_for_anothers_token_ends_at_the_deadline() -> None:
    """While another thread fetches the token, a call waits no longer than its own deadline."""
    with Cabinet("http://a.example/v1", WHO, transport=InProcessTransport(never), deadline=0.05) as cabinet:
        lock = sign_in_lock(cabinet)
        lock.acquire()
        # Whoever waits longer gets the lock, and asks the service that answers nothing.
        late = threading.Timer(60, lock.release)
        late.start()
        with pytest.raises(DeadlineExceeded):
            list(cabinet.charges.list())
        late.cancel()


async def test_waiting_for_anothers_token_ends_at_the_deadline_async() -> None:
    """While another task fetches the token, a call waits no longer than its own deadline."""
    transport = AsyncInProcessTransport(never, sleep=lambda _: None)
    async with AsyncCabinet("http://a.example/v1", WHO, transport=transport, deadline=0.05) as cabinet:
        await sign_in_lock(cabinet).acquire()
        with pytest.raises(DeadlineExceeded):
            _ = [charge async for charge in cabinet.charges.list()]


def test_credentials_of_another_type_are_a_mistake_of_the_program() -> None:
    """A pair of texts is refused when the client is made, with what to give instead."""
    pair: Any = ("id", "secret")
    with pytest.raises(UsageError, match="ClientCredentials"):
        Cabinet("http://a.example/v1", pair, transport=InProcessTransport(never))
