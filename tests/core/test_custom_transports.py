"""Transports of one's own: what cannot carry requests is found when the client is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cabinet_sdk import AsyncCabinet, BearerToken, Cabinet, ClientCredentials, SqliteJournal
from cabinet_sdk.errors import ConnectionFailed, ConnectionLost, OutcomeUnknown, UsageError
from cabinet_sdk.transports import AsyncHttpxTransport, Headers, HttpxTransport, Request, Response
from tests.core.conftest import Play
from tests.core.scripted import BASE_URL, CHANGE, READ, AsyncScripted, Script, Scripted, problem, thing, token
from tests.faces import settle

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

    with pytest.raises(TypeError, match=r"^send\(\) of a transport returns a Response, not NoneType$"):
        await play(Script(lambda _: nothing)).answer(READ)


async def test_an_async_client_awaits_its_transport() -> None:
    """A blocking `send` under the right names is found at the first call."""
    blocking = type("Blocking", (Scripted,), {"aclose": AsyncScripted.aclose})
    cabinet: AsyncCabinet = CLIENTS["async"](BASE_URL, transport=blocking(Script(thing())))

    with pytest.raises(TypeError, match=r"^send\(\) of an AsyncCabinet's transport is an async def$"):
        await cabinet.answer(READ)


def breaks_off(_: Request) -> Response:
    """Play a transport that lets an error of the system out, against its rules."""
    raise OSError("the socket of 7707083893 is gone")


def gives_nothing(_: Request) -> Any:
    """Play a transport that forgets to return the answer."""
    return None


@pytest.mark.feature("EX-01")
@pytest.mark.parametrize("rule_broken", [breaks_off, gives_nothing])
async def test_a_change_stays_unknown_where_the_transport_breaks_its_rules(
    play: Play, tmp_path: Path, rule_broken: Callable[[Request], Response]
) -> None:
    """Nobody knows what such a transport sent: the error says so, and the journal keeps the operation for `resume`."""
    script = Script(rule_broken, rule_broken, rule_broken, thing("the one"))
    with SqliteJournal(tmp_path / "journal") as journal:
        client = play(script, BearerToken("token", "client"), journal=journal)
        with pytest.raises(OutcomeUnknown) as caught:
            await client.answer(CHANGE)
        entries = journal.open_entries()
        with pytest.raises(OutcomeUnknown):
            await settle(caught.value.reconcile())
        with pytest.raises(OutcomeUnknown):
            await settle(caught.value.reconcile())

        assert (await settle(caught.value.reconcile())).name == "the one"
        assert journal.open_entries() == []

    assert [entry.operation_id for entry in entries] == [caught.value.operation_id]
    assert isinstance(caught.value.__cause__, OSError | TypeError)
    assert "7707083893" not in str(caught.value)
    assert len(script.requests) == 4


async def test_a_change_without_its_token_was_not_sent(play: Play, tmp_path: Path) -> None:
    """Where the transport breaks its rules before the change itself, nothing is unknown and nothing is kept."""
    script = Script(thing(), tokens=[breaks_off, token()])
    with SqliteJournal(tmp_path / "journal") as journal:
        client = play(script, ClientCredentials("client", "secret"), journal=journal)
        with pytest.raises(ConnectionFailed, match="raised OSError when it was to fetch a token") as caught:
            await client.answer(CHANGE)

        assert isinstance(caught.value.__cause__, OSError)
        assert "7707083893" not in str(caught.value)
        assert (script.requests, journal.open_entries()) == ([], [])
        assert (await client.answer(CHANGE)).value.name == "a thing"


async def test_a_change_that_lost_its_token_stays_unknown(play: Play) -> None:
    """What an attempt before may have done is not undone by a token that could not be fetched for the next."""
    script = Script(ConnectionLost("cut"), problem(401, "sign_in.token_invalid"), tokens=[token(), breaks_off])

    with pytest.raises(OutcomeUnknown):
        await play(script, ClientCredentials("client", "secret")).answer(CHANGE)


async def test_what_a_transport_refuses_to_send_was_not_sent(play: Play) -> None:
    """`UsageError` is a transport's word for a request that it cannot send at all: nothing is unknown then."""
    script = Script(UsageError("no such host"))

    with pytest.raises(UsageError, match="no such host"):
        await play(script).answer(CHANGE)


async def test_an_error_of_the_transport_in_a_read_is_its_own(play: Play) -> None:
    """A read changes nothing: what the transport raised comes out as it is."""
    with pytest.raises(OSError, match="is gone"):
        await play(Script(breaks_off)).answer(READ)


def test_headers_are_made_of_pairs_or_of_a_mapping() -> None:
    """An answer of one's own may write its headers as a dictionary; what other headers repeat stays together."""
    assert Headers({"X-A": "b", "C": "d"}).pairs() == (("x-a", "b"), ("c", "d"))
    assert Headers(Headers([("a", "1"), ("A", "2")]))["a"] == "1, 2"
