"""The hooks of a client: around each attempt, and on drift."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, suppress

import pytest

from cabinet_sdk import Attempt, ClientCredentials
from cabinet_sdk.errors import ConnectionLost, ServiceError, TimedOut, UnreadableAnswer
from tests.core.conftest import Play
from tests.core.scripted import CHANGE, READ, After, Script, html, ok, problem, thing, token

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
    """A hook whose context suppresses exceptions changes nothing."""

    def around(_: Attempt) -> AbstractContextManager[object]:
        return suppress(BaseException)

    for step, kind in (
        (UnreadableAnswer("coded", status=200), UnreadableAnswer),
        (TimedOut("silence"), TimedOut),
        (html(502), ServiceError),
    ):
        with pytest.raises(kind):
            await play(Script(step), around_attempt=around).answer(READ)


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


async def test_drift_is_not_looked_for_without_the_hook(play: Play) -> None:
    """Unknown fields cost nothing and say nothing unless somebody wants to know."""
    assert (await play(Script(ok({"name": "a", "new": 1}))).answer(READ)).value.name == "a"
