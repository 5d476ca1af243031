"""Transports of one's own: what cannot carry requests is found when the client is made."""

from __future__ import annotations

from typing import Any

import pytest

from cabinet_sdk import AsyncCabinet, Cabinet
from cabinet_sdk.errors import UsageError
from cabinet_sdk.transports import AsyncHttpxTransport, HttpxTransport
from tests.core.conftest import Play
from tests.core.scripted import BASE_URL, READ, AsyncScripted, Script, Scripted, thing

CLIENTS: dict[str, Any] = {"sync": Cabinet, "async": AsyncCabinet}  # Any: wrong transports are given on purpose
KINDS = {"sync": Scripted, "async": AsyncScripted}
METHODS = [
    *(("sync", each) for each in ("send", "sleep", "now", "close")),
    *(("async", each) for each in ("send", "sleep", "now", "aclose")),
]


@pytest.mark.parametrize("mode, method", METHODS)
@pytest.mark.parametrize("value", [None, "text"])
def test_a_missing_method_is_named(mode: str, method: str, value: str | None) -> None:
    """Each method of the protocol is asked for, by its name, before anything else happens."""
    broken = type("Broken", (KINDS[mode],), {method: value})

    with pytest.raises(UsageError, match=rf"^Broken is no transport for \w+: it lacks {method}; the methods are send"):
        CLIENTS[mode](BASE_URL, transport=broken(Script(thing())))


@pytest.mark.parametrize(
    "mode, transport",
    [
        ("sync", AsyncScripted(Script(thing()))),
        ("sync", AsyncHttpxTransport()),
        ("async", Scripted(Script(thing()))),
        ("async", HttpxTransport()),
    ],
    ids=["own async to sync", "async httpx to sync", "own sync to async", "httpx to async"],
)
def test_a_transport_of_the_other_mode_is_named_as_such(mode: str, transport: object) -> None:
    """The error says for which client it is and what this one needs."""
    mine, others = ("Cabinet", "AsyncCabinet") if mode == "sync" else ("AsyncCabinet", "Cabinet")

    with pytest.raises(UsageError, match=rf"is a transport for {others}, not for {mine}, whose transports have send,"):
        CLIENTS[mode](BASE_URL, transport=transport)


def test_a_coroutine_never_blocks() -> None:
    """A transport with every name, whose `send` is `async def`, is refused by the sync client."""
    both = type("Both", (AsyncScripted,), {"close": Scripted.close})

    with pytest.raises(UsageError, match=r"^Both is a transport for AsyncCabinet"):
        CLIENTS["sync"](BASE_URL, transport=both(Script(thing())))
    CLIENTS["async"](BASE_URL, transport=both(Script(thing())))


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_class_is_no_transport(mode: str) -> None:
    """Forgotten parentheses are found."""
    with pytest.raises(UsageError, match=r"not its class: write \w*Scripted\(…\)$"):
        CLIENTS[mode](BASE_URL, transport=KINDS[mode])


async def test_an_answer_is_a_response(play: Play) -> None:
    """A transport that gives back something else, such as nothing, is a mistake of the program."""
    nothing: Any = None

    with pytest.raises(UsageError, match=r"^send\(\) of a transport returns a Response, not NoneType$"):
        await play(Script(lambda _: nothing)).answer(READ)


async def test_an_async_client_awaits_its_transport() -> None:
    """A blocking `send` under the right names is found at the first call."""
    blocking = type("Blocking", (Scripted,), {"aclose": AsyncScripted.aclose})
    cabinet: AsyncCabinet = CLIENTS["async"](BASE_URL, transport=blocking(Script(thing())))

    with pytest.raises(UsageError, match=r"^send\(\) of an AsyncCabinet's transport is an async def$"):
        await cabinet.answer(READ)
