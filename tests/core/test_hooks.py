"""The hooks of a client: around each call, around each attempt, and on drift."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import pytest

from cabinet_sdk import Attempt, CallScope, ClientCredentials, Drift
from cabinet_sdk.errors import ConnectionLost, Problem, ServiceError, TimedOut, UnreadableAnswer, UsageError
from cabinet_sdk.transports import Request, Response
from tests.core.conftest import Play
from tests.core.scripted import CHANGE, READ, After, Script, answer, html, ok, problem, thing, token

pytestmark = pytest.mark.feature("EX-01", "EX-07")


class Watch:
    """A hook that notes what it sees when it is entered and left."""

    def __init__(self) -> None:
        self.entered: list[tuple[str, int, object]] = []
        self.left: list[Attempt] = []

    @contextmanager
    def around(self, attempt: Attempt) -> Generator[None]:
        """Note both ends."""
        self.entered.append((attempt.operation, attempt.number, (attempt.status, attempt.error, attempt.seconds)))
        try:
            yield
        finally:
            self.left.append(attempt)


async def test_each_attempt_is_entered_and_left_once(play: Play) -> None:
    """Status, error and seconds are filled in when the hook is left, whatever came of the attempt."""
    watch = Watch()
    cut = ConnectionLost("cut")
    script = Script(After(1.0, problem(503)), After(2.0, cut), After(0.5, thing()))

    await play(script, around_attempt=watch.around).answer(READ)

    assert watch.entered == [("things.read", number, (None, None, None)) for number in (1, 2, 3)]
    assert [(a.status, a.error, a.seconds) for a in watch.left] == [
        (503, None, 1.0),
        (None, cut, 2.0),
        (200, None, 0.5),
    ]
    assert {(a.method, a.url, a.request_id) for a in watch.left} == {
        ("GET", "https://cabinet.example/v1/things", script.requests[0].headers["x-request-id"])
    }


async def test_each_attempt_is_a_line_of_the_log(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG the log tells of each attempt which it was, what came of it and how long it took, without any hook."""
    script = Script(After(1.0, problem(503)), After(2.0, ConnectionLost("cut")), After(0.5, thing()))
    with caplog.at_level(logging.DEBUG, "cabinet_sdk"):
        await play(script).answer(READ)

    request_id = script.requests[0].headers["x-request-id"]
    assert [each.getMessage() for each in caplog.records if each.name == "cabinet_sdk"] == [
        f"things.read attempt {number}: GET https://cabinet.example/v1/things -> {ended}, request id {request_id}"
        for number, ended in enumerate(("503 in 1.000 s", "ConnectionLost in 2.000 s", "200 in 0.500 s"), 1)
    ]


async def test_attempts_for_the_token_are_seen(play: Play) -> None:
    """Signing in is an operation of its own to the hook, under the same request id."""
    watch = Watch()
    script = Script(thing(), tokens=[problem(503), token()])

    await play(script, ClientCredentials("client", "secret"), around_attempt=watch.around).answer(READ)

    assert [(a.operation, a.number, a.status) for a in watch.left] == [
        ("sign_in.token", 1, 503),
        ("sign_in.token", 2, 200),
        ("things.read", 1, 200),
    ]
    assert len({a.request_id for a in watch.left}) == 1


async def test_an_answer_that_breaks_http_is_seen(play: Play) -> None:
    """What a transport cannot read is the attempt's error, with its status."""
    watch = Watch()
    script = Script(UnreadableAnswer("coded", status=200))

    with pytest.raises(UnreadableAnswer) as caught:
        await play(script, around_attempt=watch.around).answer(READ)

    [attempt] = watch.left
    assert (attempt.status, attempt.error) == (200, caught.value)
    assert caught.value.request_id == attempt.request_id


async def test_a_hook_cannot_swallow_an_error(play: Play) -> None:
    """A hook whose context suppresses exceptions changes nothing, not even the end of a task."""

    def around(_: Attempt | CallScope) -> AbstractContextManager[object]:
        return suppress(BaseException)

    def cancel(_: Request) -> Response:
        raise asyncio.CancelledError

    for step, kind in (
        (cancel, asyncio.CancelledError),
        (UnreadableAnswer("coded", status=200), UnreadableAnswer),
        (TimedOut("silence"), TimedOut),
        (html(502), ServiceError),
    ):
        with pytest.raises(kind):
            await play(Script(step), around_call=around, around_attempt=around).answer(READ)


async def test_an_error_of_the_hook_is_not_hidden(play: Play) -> None:
    """A hook that fails before the request lets nothing be sent."""

    @contextmanager
    def around(_: Attempt) -> Generator[None]:
        msg = "broken hook"
        raise RuntimeError(msg)
        yield

    script = Script(thing())

    with pytest.raises(RuntimeError, match="broken hook"):
        await play(script, around_attempt=around).answer(CHANGE)

    assert script.requests == []


async def test_an_error_of_a_hook_hides_no_other(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    """A hook that fails when it is told of an error is logged, and the error of the call is told."""

    @contextmanager
    def around(_: CallScope) -> Generator[None]:
        yield
        raise ZeroDivisionError

    with pytest.raises(Problem):
        await play(Script(problem(404, "charges.charge_not_found")), around_call=around).answer(READ)

    [said] = [each for each in caplog.records if each.name == "cabinet_sdk" and each.levelname == "ERROR"]
    assert said.getMessage() == "a hook failed when it was told of an error"
    assert said.exc_info is not None
    assert said.exc_info[0] is ZeroDivisionError


@pytest.mark.parametrize("given", [None, ["a list"]])
@pytest.mark.parametrize("name", ["around_call", "around_attempt"])
async def test_a_hook_that_is_no_context_says_so(play: Play, name: str, given: object) -> None:
    """A plain function, or a generator that nobody decorated, is a mistake of the program, and nothing is sent."""
    script = Script(thing())

    def hook(_: object) -> object:
        return given

    nothing: Any = {name: hook}  # Any: it is none
    told = rf"^a hook returns a context manager \(@contextmanager makes one\), not {type(given).__name__}$"
    with pytest.raises(UsageError, match=told):
        await play(script, **nothing).answer(CHANGE)

    assert script.requests == []


async def test_a_call_is_entered_and_left_around_its_attempts(play: Play) -> None:
    """The scope of a call opens before its token is fetched, closes after the last attempt, and is told its error."""
    order: list[tuple[str, BaseException | None]] = []
    scopes: list[CallScope] = []

    @contextmanager
    def around_call(scope: CallScope) -> Generator[None]:
        scopes.append(scope)
        order.append(("call", scope.error))
        yield
        order.append(("called", scope.error))

    @contextmanager
    def around_attempt(attempt: Attempt) -> Generator[None]:
        order.append((attempt.operation, attempt.error))
        yield

    script = Script(thing(), problem(503), tokens=[token()])
    client = play(
        script, ClientCredentials("client", "secret"), around_call=around_call, around_attempt=around_attempt
    ).with_options(deadline=0.001)

    await client.answer(READ)
    with pytest.raises(ServiceError) as caught:
        await client.answer(READ)

    assert order == [
        ("call", None),
        ("sign_in.token", None),
        ("things.read", None),
        ("called", None),
        ("call", None),
        ("things.read", None),
        ("called", caught.value),
    ]
    assert [(scope.operation, scope.base_url, scope.request_id) for scope in scopes] == [
        ("things.read", "https://cabinet.example/v1", request.headers["x-request-id"]) for request in script.requests
    ]


async def test_an_answer_that_cannot_be_read_is_the_error_of_the_call(play: Play) -> None:
    """What goes wrong after the last attempt belongs to the call, and the attempt went well."""
    seen: list[Attempt | CallScope] = []

    @contextmanager
    def around(each: Attempt | CallScope) -> Generator[None]:
        yield
        seen.append(each)

    with pytest.raises(UnreadableAnswer) as caught:
        await play(Script(ok({"name": 1})), around_call=around, around_attempt=around).answer(READ)

    assert [each.error for each in seen] == [None, caught.value]
    assert caught.value.operation == "things.read"


async def test_a_hook_may_tell_the_service_of_the_trace(play: Play) -> None:
    """A header that a hook adds goes with that attempt alone, in the place of one of that name; the last one counts."""

    @contextmanager
    def around(attempt: Attempt) -> Generator[None]:
        attempt.add_header("traceparent", "00-0-0-00")
        attempt.add_header("traceparent", f"00-1-{attempt.number}-01")
        if attempt.number == 1:
            attempt.add_header("tracestate", "a=1")
            attempt.add_header("baggage", "b=2")
        assert "b=2" not in repr(attempt)
        yield

    script = Script(problem(503), thing())
    await play(script, around_attempt=around).with_options(headers={"traceparent": "00-2-2-01"}).answer(READ)

    names = {"traceparent", "tracestate", "baggage"}
    assert [[pair for pair in request.headers.pairs() if pair[0] in names] for request in script.requests] == [
        [("traceparent", "00-1-1-01"), ("tracestate", "a=1"), ("baggage", "b=2")],
        [("traceparent", "00-1-2-01")],
    ]


@pytest.mark.parametrize(
    "name, value",
    [
        ("authorization", "Bearer other"),
        ("idempotency-key", '"1"'),
        ("x-mine", "1"),
        ("traceparent", "1\r\nauthorization: Bearer other"),
        ("baggage", "имя=1"),
    ],
)
async def test_a_hook_may_add_nothing_else(play: Play, name: str, value: str) -> None:
    """A name that is not on the list and a value that is no header's are refused before anything is sent."""

    @contextmanager
    def around(attempt: Attempt) -> Generator[None]:
        attempt.add_header(name, value)
        yield

    script = Script(thing())
    with pytest.raises(UsageError) as caught:
        await play(script, around_attempt=around).answer(READ)

    said = str(caught.value)
    assert said.startswith(f"a hook may add traceparent, tracestate, baggage to an attempt, not '{name}'") or (
        name in ("traceparent", "baggage") and said.startswith(f"'{name}' is no header name (RFC 9110 5.6.2)")
    )
    assert value not in said
    assert script.requests == []


async def test_attempts_are_counted_on_over_a_new_token(play: Play) -> None:
    """A request that is sent again with a new token is a further attempt of its call."""
    watch = Watch()
    refused = problem(401, "sign_in.token_invalid")
    script = Script(thing(), problem(503), refused, thing(), tokens=[token()])
    client = play(script, ClientCredentials("client", "secret"), around_attempt=watch.around)

    answers = [await client.answer(READ) for _ in range(2)]

    assert [answer.attempts for answer in answers] == [1, 3]
    assert [(a.operation, a.number) for a in watch.left] == [
        ("sign_in.token", 1),
        ("things.read", 1),
        ("things.read", 1),
        ("things.read", 2),
        ("sign_in.token", 1),
        ("things.read", 3),
    ]


async def test_drift_holds_no_values(play: Play) -> None:
    """What a service puts in the place of a name is hidden where it is no name of the contract's kind."""
    seen: list[Drift] = []
    values = ["7707083893", "inn_7707083893", "Иванова", "maria@example.org", "a b", "", "Maria", "x" * 65, "line\n"]
    names = ["colour_of_line_2", "sha256"]
    body = {"name": "a", **dict.fromkeys(values, "secret"), **{each: {"7707083893": 1} for each in names}}

    script = Script(ok(body))
    await play(script, on_drift=seen.append).answer(READ)

    [drift] = seen
    assert (drift.operation, drift.request_id) == ("things.read", script.requests[0].headers["x-request-id"])
    assert drift.paths == ("$.hidden", "$.colour_of_line_2", "$.sha256")
    assert [value for value in (*values, "secret") if len(value) > 3 and value in repr(drift)] == []


@pytest.mark.parametrize(
    "extra", [b"1e999", b"9" * 5000, b'"\xff"'], ids=["beyond a float", "beyond a word", "no text"]
)
async def test_drift_that_cannot_be_read_is_drift(play: Play, extra: bytes) -> None:
    """What nobody knows may be anything: a change that was done brings its result, and the hook is told."""
    seen: list[Drift] = []
    script = Script(answer(200, b'{"name": "a", "extra": ' + extra + b"}", "application/json"))

    got = await play(script, on_drift=seen.append).answer(CHANGE)

    assert got.value.name == "a"
    assert [drift.paths for drift in seen] == [("$",)]


async def test_drift_is_not_looked_for_without_the_hook(play: Play) -> None:
    """Unknown fields cost nothing and say nothing unless somebody wants to know."""
    assert (await play(Script(ok({"name": "a", "new": 1}))).answer(READ)).value.name == "a"
