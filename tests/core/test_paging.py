"""Lists that come in pages, as the client walks them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cabinet_sdk import AsyncCabinet, AsyncPages, Page
from cabinet_sdk.charges import BankTransfer
from cabinet_sdk.charges.operations import LIST_BANK_TRANSFERS
from cabinet_sdk.errors import ConnectionLost, InvalidRequest, ServiceError, UnreadableAnswer, UsageError
from cabinet_sdk.transports import Request, Response
from tests.core.conftest import Play
from tests.core.scripted import Script, ok, problem

pytestmark = pytest.mark.feature("EX-01")


def cursor_of(request: Request) -> str | None:
    """Return the cursor that was asked for."""
    return parse_qs(urlsplit(request.url).query).get("cursor", [None])[0]


def page(number: int, cursor: str | None) -> Response:
    """Return a page of one transfer, with a link to the next where there is a cursor."""
    transfer = {
        "id": f"trf_{number}",
        "status": "matched",
        "amount": "10.00",
        "unmatched": "0.00",
        "received_at": "2026-11-22T12:00:00Z",
        "payment_order_number": "17",
        "payer_inn": "7707083893",
        "purpose": "Налог",
    }
    return ok([transfer], *([] if cursor is None else [("Link", f'<?cursor={cursor}&limit=1>; rel="next"')]))


async def walk(pages: AsyncPages[BankTransfer], seen: list[str]) -> None:
    """Note what is seen before an error ends the walk."""
    async for transfer in pages:
        seen.append(transfer.id)  # noqa: PERF401  # a comprehension would lose them


async def test_pages_follow_their_cursors(play: Play) -> None:
    """Each page is asked by the cursor of the one before; cursors travel as they are."""
    script = Script(page(1, "a%2Bb%26c"), page(2, "d"), page(3, None))

    ids = [transfer.id async for transfer in play(script).charges.bank_transfers()]

    assert ids == ["trf_1", "trf_2", "trf_3"]
    assert [cursor_of(request) for request in script.requests] == [None, "a+b&c", "d"]


@pytest.mark.parametrize("cycle", [["a", "a"], ["a", "b", "c", "a"], ["a", "b", "c", "b"]])
async def test_a_loop_of_pages_is_detected(play: Play, cycle: list[str]) -> None:
    """Experiment 91: a list that leads back to a page, at once or after several, is an error and no endless walk."""
    script = Script(*(page(number, cursor) for number, cursor in enumerate(cycle)), page(99, "endless"))
    seen: list[str] = []

    with pytest.raises(UnreadableAnswer, match="leads back") as caught:
        await walk(play(script).charges.bank_transfers(), seen)

    assert len(script.requests) == len(cycle)
    assert seen == [f"trf_{number}" for number in range(len(cycle) - 1)]
    assert caught.value.operation == "charges.bank_transfers"


async def test_a_resumed_walk_detects_the_loop_to_its_start(play: Play) -> None:
    """A walk from a token does not come back to that token."""
    script = Script(page(1, "b"), page(2, "a"))

    with pytest.raises(UnreadableAnswer, match="leads back"):
        _ = [one async for one in play(script).charges.bank_transfers().by_page("a")]


@pytest.mark.parametrize("target", ["?limit=1", "?cursor=", "/v1/bank-transfers", "#cursor=2", ""])
async def test_a_next_page_without_a_cursor_is_an_error(play: Play, target: str) -> None:
    """Experiment 91: a link to a next page that names no cursor is an error; nothing is skipped silently."""
    script = Script(ok([], ("Link", f'<{target}>; rel="next"'), ("X-Request-Id", "srv-1")))

    with pytest.raises(UnreadableAnswer, match="no cursor") as caught:
        _ = [transfer async for transfer in play(script).charges.bank_transfers()]

    assert caught.value.request_id == "srv-1"


async def test_other_links_end_the_list(play: Play) -> None:
    """Links of other relations lead nowhere."""
    script = Script(ok([], ("Link", '<?cursor=1>; rel="prev"'), ("Link", '<?cursor=0>; rel="first"')))

    assert [transfer async for transfer in play(script).charges.bank_transfers()] == []
    assert len(script.requests) == 1


async def test_links_in_several_headers_count(play: Play) -> None:
    """A next page named by the second of two headers is found."""
    script = Script(
        ok([], ("Link", '<?cursor=1>; rel="prev"'), ("Link", '<?cursor=2>; rel="next"')),
        page(1, None),
    )

    assert [transfer.id async for transfer in play(script).charges.bank_transfers()] == ["trf_1"]


async def test_an_error_on_the_way_leaves_where_to_resume(play: Play) -> None:
    """After an error the token names the page that was not seen, and the walk goes on from it."""
    script = Script(page(1, "b"), *[problem(500)] * 4, page(2, None))
    pages = play(script).charges.bank_transfers()
    seen: list[str] = []

    with pytest.raises(ServiceError):
        await walk(pages, seen)
    token = pages.token
    async for one in pages.by_page(token):
        seen.extend(item.id for item in one.items)

    assert token == "b"
    assert seen == ["trf_1", "trf_2"]
    assert cursor_of(script.requests[-1]) == "b"


async def test_a_page_is_asked_again_with_its_cursor(play: Play) -> None:
    """A page that was lost on the way is repeated, and nothing is shown twice."""
    script = Script(page(1, "b"), ConnectionLost("cut"), page(2, None))

    assert [t.id async for t in play(script).charges.bank_transfers()] == ["trf_1", "trf_2"]
    assert [cursor_of(request) for request in script.requests] == [None, "b", "b"]


async def test_a_token_that_is_none_is_called_so(client: AsyncCabinet) -> None:
    """What the service refuses as a cursor is what the caller gave as a token."""
    with pytest.raises(InvalidRequest) as caught:
        await anext(client.charges.list().by_page("abc"))

    [error] = caught.value.errors
    assert error.field == "token"
    assert "token: expected the cursor of a page of this very list, got another text" in str(caught.value)


async def test_a_page_size_that_is_too_much_for_the_service_is_called_so(play: Play) -> None:
    """Another version of the service may take smaller pages only."""
    wrong = {"field": "limit", "code": "range", "message": "expected 1 to 500"}

    with pytest.raises(InvalidRequest, match="page_size: expected 1 to 500"):
        await anext(play(Script(problem(400, "request.invalid", errors=[wrong]))).charges.bank_transfers().by_page())


async def test_each_iteration_begins_anew(play: Play) -> None:
    """Iterating twice asks twice, from the beginning; making the list asks nothing."""
    script = Script(page(1, None))
    pages = play(script).with_options(page_size=7).charges.bank_transfers()
    assert script.requests == []

    for _ in range(2):
        assert [transfer.id async for transfer in pages] == ["trf_1"]

    assert [parse_qs(urlsplit(request.url).query) for request in script.requests] == [{"limit": ["7"]}] * 2


@pytest.mark.parametrize("wrong", [Page((), "b"), ["b"], 7], ids=["a page", "a list", "a number"])
async def test_what_is_no_token_is_refused(play: Play, wrong: Any) -> None:
    """A page in place of its token does not get into an address: the mistake is told before anything is sent."""
    script = Script(page(1, None))

    with pytest.raises(UsageError, match=rf"Pages\.by_page\(\): token: expected str, got {type(wrong).__name__}$"):
        await anext(play(script).charges.bank_transfers().by_page(wrong))

    assert script.requests == []


async def test_one_page_has_its_size_too(play: Play) -> None:
    """A listing that is called as a row, for one page, asks for as many items as the view wants."""
    script = Script(page(1, None))

    await play(script).with_options(page_size=5).answer(LIST_BANK_TRANSFERS)

    assert parse_qs(urlsplit(script.requests[0].url).query) == {"limit": ["5"]}
