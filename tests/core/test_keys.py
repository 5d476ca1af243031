"""Idempotency keys, and what the views of a client share."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cabinet_sdk import Cabinet, ClientCredentials, RetryPolicy
from cabinet_sdk.errors import InvalidValue, ServiceError, UsageError
from tests.core.conftest import Play
from tests.core.scripted import BASE_URL, CHANGE, CHANGE_ONCE, READ, Script, Scripted, problem, thing, token

pytestmark = pytest.mark.feature("EX-01")


async def test_every_attempt_has_the_same_quoted_key(play: Play) -> None:
    """The key is a structured field string, made once a call; so are the request id and the body."""
    script = Script(problem(503), problem(502), problem(503), thing())

    answer = await play(script).answer(CHANGE, payee_inn="7707083893")

    assert len(script.requests) == 4
    assert re.fullmatch(r'"[0-9a-f-]{36}"', script.keys[0] or "")
    assert (
        len({(key, request.headers["x-request-id"]) for key, request in zip(script.keys, script.requests, strict=True)})
        == 1
    )
    assert f'"{answer.operation_id}"' == script.keys[0]


@pytest.mark.parametrize("named", [True, False], ids=["named by the service", "not named"])
async def test_an_answer_comes_with_all_that_it_was(play: Play, named: bool) -> None:
    """What a result came with can be kept as evidence; the request id is the service's, or what was sent."""
    script = Script(problem(503), thing("it", ("X-Mine", "1"), *([("x-request-id", "theirs")] if named else [])))

    answer = await play(script).answer(READ)

    sent = script.requests[0].headers["x-request-id"]
    assert (answer.status, answer.content, answer.attempts) == (200, b'{"name": "it"}', 2)
    assert (answer.headers["x-mine"], answer.operation_id) == ("1", None)
    assert answer.request_id == ("theirs" if named else sent)


async def test_every_call_has_its_own_key(play: Play) -> None:
    """Two calls never share a key or a request id; a read has no key."""
    script = Script(thing())
    client = play(script)

    for row in (CHANGE, CHANGE, READ, CHANGE_ONCE):
        await client.answer(row)

    assert script.keys[0] != script.keys[1]
    assert script.keys[2:] == [None, None]
    assert len({request.headers["x-request-id"] for request in script.requests}) == 4


async def test_a_given_key_serves_one_keyed_call(play: Play) -> None:
    """A caller's key is not used up by reads, serves one change with all its attempts, and then raises."""
    script = Script(thing(), problem(503), thing())
    view = play(script).with_options(idempotency_key="order-1")

    await view.answer(READ)
    await view.answer(CHANGE)
    with pytest.raises(UsageError) as caught:
        await view.with_options(deadline=5).answer(CHANGE)

    said = "the given idempotency key has served its call; make a view with a new one for another call"
    assert str(caught.value) == said

    assert script.keys == [None, '"order-1"', '"order-1"']


async def test_a_change_without_a_key_takes_none(play: Play) -> None:
    """Where no key is sent, a given one would promise that the change happens once; it is left for another call."""
    script = Script(thing())
    view = play(script).with_options(idempotency_key="order-1")

    with pytest.raises(UsageError) as caught:
        await view.answer(CHANGE_ONCE)
    await view.answer(CHANGE)

    assert str(caught.value) == "things.once takes no idempotency key: it would happen as often as it is sent"
    assert script.keys == ['"order-1"']


async def test_a_call_that_cannot_be_written_uses_no_key(play: Play) -> None:
    """A request that cannot be encoded is not sent and leaves the caller's key for the next one."""
    script = Script(thing())
    view = play(script).with_options(idempotency_key="order-1")

    with pytest.raises((InvalidValue, TypeError, AttributeError)):
        await view.answer(CHANGE, colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await view.answer(CHANGE)

    assert script.keys == ['"order-1"']


@pytest.mark.parametrize("key", ["", "a b", 'a"b', "ключ", "a" * 256, "a\r\nb", "a\n", "a_b", 7])
async def test_a_key_that_the_service_would_refuse_is_refused(play: Play, key: Any) -> None:  # Any: a number is none
    """A key has 1 to 255 Latin letters, digits and hyphens."""
    with pytest.raises(UsageError) as caught:
        _ = play(Script(thing())).with_options(idempotency_key=key).charges

    assert str(caught.value) == "an idempotency key is 1 to 255 Latin letters, digits and hyphens"


@pytest.mark.parametrize("key", ["a", "-", "7" * 255, "Invoice-7"])
async def test_a_key_that_the_service_takes_is_sent(play: Play, key: str) -> None:
    """The shortest and the longest too."""
    script = Script(thing())

    await play(script).with_options(idempotency_key=key).answer(CHANGE)

    assert script.keys == [f'"{key}"']


@pytest.mark.parametrize("made", ["req_1", '1"\r\nx-a: b', "", "é"])
def test_a_key_that_a_program_makes_is_looked_at_too(made: str) -> None:
    """A `new_id` whose ids are no keys is found before anything is sent or kept."""
    script = Script(thing())

    with pytest.raises(UsageError, match=r"an idempotency key is 1 to 255|new_id\(\) returns text that a header can"):
        Cabinet(BASE_URL, transport=Scripted(script), new_id=lambda: made).answer(CHANGE)

    assert script.requests == []


async def test_views_share_token_and_budget(play: Play) -> None:
    """A token fetched by one view serves all; a repeat of one view is paid from the budget of all."""
    script = Script(thing(), problem(503), thing(), problem(503), thing(), tokens=[token()])
    client = play(script, ClientCredentials("client", "secret"), retry=RetryPolicy(budget=1, first_delay=0))
    one, other = client.with_options(deadline=5), client.with_options(deadline=7).with_options(page_size=3)

    await one.answer(READ)
    await other.answer(READ)  # takes a repeat, and succeeding gives it back
    await client.answer(READ)

    assert len(script.token_requests) == 1
    drained = Script(problem(503), tokens=[token()])
    client = play(drained, ClientCredentials("client", "secret"), retry=RetryPolicy(budget=1, first_delay=0))
    for view in (client.with_options(deadline=5), client.with_options(deadline=7), client):
        with pytest.raises(ServiceError):
            await view.answer(READ)
    assert len(drained.requests) == 4


async def test_a_header_is_sent_once(play: Play) -> None:
    """A view of a view puts its own in the place of one of that name, however it is written."""
    script = Script(thing())
    view = play(script).with_options(headers={"X-Mine": "1", "X-Other": "o"}).with_options(headers={"x-mine": "2"})

    await view.answer(READ)

    sent = script.requests[0].headers
    assert (sent["x-mine"], sent["x-other"]) == ("2", "o")


async def test_views_add_headers(play: Play) -> None:
    """Headers of views add up and are sent on every attempt; one that cannot be sent is refused with its name only."""
    script = Script(problem(503), thing())
    view = play(script).with_options(headers={"traceparent": "00-1-2-01"}).with_options(headers={"X-Mine": "1"})

    await view.answer(READ)

    assert [(r.headers["traceparent"], r.headers["x-mine"]) for r in script.requests] == [("00-1-2-01", "1")] * 2
    for value in ("a\r\nb", "значение", "canary ", " canary", "canary\t", "ca\x00nary", "canary\ud800"):
        with pytest.raises(UsageError, match="X-Bad") as caught:
            _ = view.with_options(headers={"X-Bad": value}).charges
        assert value not in str(caught.value)


@pytest.mark.parametrize(
    "name, instead",
    [
        ("Idempotency-Key", ": give it as idempotency_key"),
        ("AUTHORIZATION", ": make a client with other credentials"),
        ("X-Request-Id", ": give the client a new_id"),
        ("Accept-Encoding", ""),
        ("Host", ""),
    ],
)
async def test_views_do_not_add_headers_of_the_client(play: Play, name: str, instead: str) -> None:
    """With a second key a change would be done under one and resumed under the other; the rest is no better."""
    with pytest.raises(UsageError, match=rf"^the client writes the header '{name}' itself{instead}$"):
        _ = play(Script(thing())).with_options(headers={"X-Mine": "1", name: "secret"}).charges


@pytest.mark.parametrize(
    "headers, said",
    [
        ([("X-Mine", "1")], "headers are a mapping of names to values, not a list"),
        (
            {"X-Mine": 1},
            "'X-Mine' is no header name (RFC 9110 5.6.2), or its value is not printable ASCII without outer blanks",
        ),
        ({1: "1"}, "'…' is no header name (RFC 9110 5.6.2), or its value is not printable ASCII without outer blanks"),
        (
            {"X Mine": "1"},
            "'X…e' is no header name (RFC 9110 5.6.2), or its value is not printable ASCII without outer blanks",
        ),
    ],
)
async def test_what_are_no_headers_is_told(play: Play, headers: Any, said: str) -> None:  # Any: what the types forbid
    """Headers of another kind are refused, by what would be right."""
    with pytest.raises(UsageError) as caught:
        _ = play(Script(thing())).with_options(headers=headers).charges

    assert str(caught.value) == said
