"""Opening and closing clients, and the mocks that users put under them."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
import pytest
import respx

from cabinet_sdk import AsyncCabinet, Cabinet, __version__
from cabinet_sdk._core.operation import Operation
from cabinet_sdk.charges import ChargeId, NothingDue, PaymentMethod
from cabinet_sdk.errors import ConnectionFailed, TimedOut, UsageError
from tests.core.conftest import Dial, Play
from tests.core.raw_server import Connection, RawServer, json_answer
from tests.core.scripted import BASE_URL, CHANGE, CHANGE_ONCE, READ, Ask, AsyncScripted, Script, Scripted, Thing, thing


async def test_a_closed_client_says_so(dial: Dial) -> None:
    """A call of a closed client, or of its view, is a mistake in the program; closing twice is none."""
    with RawServer.answering(json_answer()) as server:
        client = dial(server.url)
        view = client.with_options(deadline=1)
        await client.answer(READ)
        await client.close()
        await client.close()

        for closed in (client, view):
            with pytest.raises(UsageError, match="closed"):
                await closed.answer(CHANGE)

    assert len(server.requests) == 1


@pytest.mark.parametrize("row", [READ, CHANGE_ONCE], ids=["read", "change"])
async def test_a_call_under_way_comes_to_its_end(mode: str, dial: Dial, row: Operation[..., Ask, Thing]) -> None:
    """Closing a client breaks no call of another thread or task: its answer counts, and then its connection goes."""
    loop = asyncio.get_running_loop()
    gone = threading.Event()

    def serve(connection: Connection) -> None:
        connection.read()
        closing = client.close()
        if mode == "async":
            asyncio.run_coroutine_threadsafe(closing, loop).result(60)
        connection.write(json_answer())
        if not connection.read():
            gone.set()

    with RawServer(serve) as server:
        client = dial(server.url)
        assert (await client.answer(row)).value.name == "a thing"
        assert await asyncio.to_thread(gone.wait, 60)
        with pytest.raises(UsageError, match="closed"):
            await client.answer(READ)

    assert len(server.connections) == 1


async def test_a_closed_client_in_process_says_so_too(client: AsyncCabinet) -> None:
    """A test over the fake finds what would fail over HTTP."""
    await client.close()
    await client.close()

    with pytest.raises(UsageError, match=r"^the client is closed; make a new one$"):
        async for _ in client.charges.list():
            pass
    with pytest.raises(UsageError, match=r"^the client is closed; make a new one$"):
        await client.charges.pay(ChargeId("chg_1"), method=PaymentMethod.BANK_CARD)


async def test_leaving_the_block_closes_the_transport(play: Play) -> None:
    """``with`` closes the client, whatever is raised inside."""
    script = Script(thing())

    async def use() -> None:
        async with play(script) as client:
            await client.answer(READ)
            raise KeyError

    with pytest.raises(KeyError):
        await use()

    assert script.closed


async def test_both_blocks_are_what_they_seem() -> None:
    """Entering gives the client itself, in both modes."""
    blocking, asynchronous = Script(thing()), Script(thing())
    with Cabinet(BASE_URL, transport=Scripted(blocking)) as one:
        assert one.answer(READ).value.name == "a thing"
    async with AsyncCabinet(BASE_URL, transport=AsyncScripted(asynchronous)) as other:
        assert (await other.answer(READ)).value.name == "a thing"

    assert blocking.closed
    assert asynchronous.closed


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cabinet.example/v1",
        "ftp://cabinet.example",
        "https://",
        "https://u:p@cabinet.example",
        "https://:u:p@cabinet.example",
        "https://:secret@cabinet.example/v1",
        "https://u:secret/@cabinet.example",
        "https://cabinet.example:99999/v1",
        "https://cabinet .example/v1",
        "https://cabinet.example/v1\n",
        "https://[::1/v1",
        "https://h/v1?",
        "https://h/v1?a=b",
        "https://h/#a",
    ],
)
def test_an_address_that_cannot_work_is_refused(url: str) -> None:
    """A base URL has a scheme and a host, nothing that would travel with every request; the text shows no secret."""
    with pytest.raises(UsageError) as caught:
        Cabinet(url, transport=Scripted(Script(thing())))

    assert "u:p" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url, same",
    [
        ("HTTPS://Cabinet.Example:443/v1/", "https://cabinet.example/v1"),
        ("http://cabinet.example:80", "http://cabinet.example"),
        ("http://[::1]:8080/worlds/a/v1//", "http://[::1]:8080/worlds/a/v1"),
        ("http://cabinet.example:443/V1", "http://cabinet.example:443/V1"),
    ],
)
def test_an_address_has_one_spelling(url: str, same: str) -> None:
    """However a configuration spells it, a journal finds what was begun there."""
    script = Script(thing())
    cabinet = Cabinet(url, transport=Scripted(script))
    cabinet.answer(READ)

    assert repr(cabinet) == f"<Cabinet at {same}>"
    assert script.requests[0].url == f"{same}/things"


@pytest.mark.parametrize("host", ["xn--", "a" * 300])
async def test_a_name_that_cannot_be_looked_up_is_refused(dial: Dial, host: str) -> None:
    """No exception of the libraries below gets out, and nothing was sent."""
    with pytest.raises((UsageError, ConnectionFailed)):
        await dial(f"http://{host}/v1").answer(CHANGE)


@respx.mock(base_url=BASE_URL)
async def test_a_users_respx_mock_intercepts_both_transports(respx_mock: respx.MockRouter, dial: Dial) -> None:
    """`respx` stands in for the wire under either client: answers, errors and what was sent."""
    route = respx_mock.get("/things").mock(
        side_effect=[httpx.Response(503), httpx.Response(200, json={"name": "mocked"}, headers={"X-Request-Id": "r-1"})]
    )
    client = dial(BASE_URL, attempts=2)

    answer = await client.with_options(headers={"User-Agent": "mine/1"}).answer(READ, payee_inn="7707083893")

    assert (answer.value.name, answer.request_id, answer.attempts) == ("mocked", "r-1", 2)
    calls: Any = route.calls  # Any: respx leaves it untyped
    requests: list[httpx.Request] = [call.request for call in calls]
    assert [request.headers["authorization"] for request in requests] == ["Bearer token-of-tests"] * 2
    assert requests[0].url.params["payee_inn"] == "7707083893"
    assert requests[0].headers.get_list("user-agent") == ["mine/1"]


@respx.mock(base_url=BASE_URL)
async def test_a_respx_mock_refuses_and_breaks(respx_mock: respx.MockRouter, dial: Dial) -> None:
    """Mocked problem documents and network errors become the SDK's own."""
    client = dial(BASE_URL)
    respx_mock.post("/charges/chg_1/payments").respond(
        409, json={"code": "charges.nothing_due"}, content_type="application/problem+json"
    )
    with pytest.raises(NothingDue):
        await client.charges.pay(ChargeId("chg_1"), method=PaymentMethod.SBP)
    calls: Any = respx_mock.calls  # Any: respx leaves it untyped
    assert calls.last.request.headers["user-agent"] == f"cabinet-sdk/{__version__}"

    route = respx_mock.get("/things")
    for error, kind in ((httpx.ConnectError("no"), ConnectionFailed), (httpx.ReadTimeout("slow"), TimedOut)):
        route.mock(side_effect=error)
        with pytest.raises(kind):
            await client.answer(READ)
