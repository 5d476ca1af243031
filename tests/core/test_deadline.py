"""The deadline of a call, which bounds its attempts and its pauses."""

from __future__ import annotations

import pytest

from cabinet_sdk import ClientCredentials, RetryPolicy
from cabinet_sdk.errors import ConnectionFailed, ConnectionLost, DeadlineExceeded, ServiceError, TimedOut
from cabinet_sdk.transports import Timeout
from tests.core.conftest import Play
from tests.core.scripted import CHANGE, READ, After, Script, problem, thing, token

pytestmark = pytest.mark.feature("EX-01")

# No random part in its pauses.
EXACT = RetryPolicy(first_delay=0)


async def test_each_attempt_gets_what_remains(play: Play) -> None:
    """The total timeout of an attempt is the deadline without what attempts and pauses took before."""
    asked = problem(503, None, ("Retry-After", "3"))
    script = Script(After(2.0, asked), After(1.0, asked), thing())

    await play(script, deadline=10.0, retry=EXACT).answer(READ)

    assert [request.timeout.total for request in script.requests] == [10.0, 5.0, 1.0]
    assert script.clock == 1009.0


async def test_a_slow_attempt_ends_at_the_deadline(play: Play) -> None:
    """A service that takes longer than the deadline is not waited for, and its last words are told."""
    script = Script(problem(503, None, ("Retry-After", "4")), After(60.0, thing()))

    with pytest.raises(DeadlineExceeded) as caught:
        await play(script, deadline=10.0).answer(READ)

    said = "The call took longer than its deadline of 10.0 s. The last attempt: The script took too long."
    assert str(caught.value).startswith(said)
    assert script.clock == 1010.0
    assert caught.value.operation == "things.read"
    assert caught.value.request_id == script.requests[0].headers["x-request-id"]
    assert isinstance(caught.value.__cause__, TimedOut)


async def test_without_a_deadline_only_the_attempts_are_bounded(play: Play) -> None:
    """With None an attempt has no total timeout and pauses are as long as asked."""
    script = Script(After(1e6, problem(503, None, ("Retry-After", "1000"))), thing())

    await play(script, deadline=None, retry=EXACT).answer(READ)

    assert [request.timeout.total for request in script.requests] == [None, None]
    assert script.pauses == [1000.0]


async def test_a_deadline_shorter_than_what_is_asked_fails_at_once(play: Play) -> None:
    """A pause that would end after the deadline is not begun: the service's error is the better news."""
    script = Script(problem(503, "service.unavailable", ("Retry-After", "10")))

    with pytest.raises(ServiceError) as caught:
        await play(script, deadline=10.0).answer(READ)

    assert caught.value.retry_after == 10.0
    assert script.clock == 1000.0


@pytest.mark.parametrize("error", [ConnectionFailed("refused"), ConnectionLost("cut"), TimedOut("silence")])
async def test_a_broken_network_at_the_deadline(play: Play, error: Exception) -> None:
    """When the deadline leaves no time for another attempt, that is the error, with the network's as its reason."""
    script = Script(After(9.0, error))

    with pytest.raises(DeadlineExceeded) as caught:
        await play(script, deadline=10.0, retry=RetryPolicy(first_delay=1e6, longest_delay=1e6)).answer(READ)

    assert caught.value.__cause__ is error
    assert len(script.requests) == 1


async def test_a_deadline_that_is_over_sends_nothing(play: Play) -> None:
    """A call without any time fails before it is sent, a change too."""
    script = Script(thing())
    view = play(script).with_options(deadline=0)

    for row in (READ, CHANGE):
        with pytest.raises(DeadlineExceeded) as caught:
            await view.answer(row)
        assert caught.value.message == "The call took longer than its deadline of 0 s."

    assert script.requests == []


async def test_fetching_the_token_counts(play: Play) -> None:
    """The token's request shares the deadline of the call that needs it, its repeats included."""
    script = Script(thing(), tokens=[After(4.0, problem(503, None, ("Retry-After", "2"))), After(1.0, token())])

    await play(script, ClientCredentials("client", "secret"), deadline=10.0, retry=EXACT).answer(READ)

    assert [request.timeout.total for request in script.token_requests] == [10.0, 4.0]
    assert script.requests[0].timeout.total == 3.0


async def test_a_change_whose_token_is_late_was_not_sent(play: Play) -> None:
    """A deadline that ends while the token is fetched is no unknown outcome: the change was not sent."""
    script = Script(thing(), tokens=[After(60.0, token())])

    with pytest.raises(DeadlineExceeded):
        await play(script, ClientCredentials("client", "secret"), deadline=10.0).answer(CHANGE)

    assert script.requests == []


async def test_a_view_changes_the_deadline_and_the_limits_of_an_attempt(play: Play) -> None:
    """`deadline` and `timeout` of a view hold for its calls, those of the client for the client's."""
    script = Script(thing())
    client = play(script, deadline=10.0)

    await client.with_options(deadline=3.0, timeout=Timeout(connect=1.0, idle=2.0)).answer(READ)
    await client.with_options(deadline=None).answer(READ)
    await client.answer(READ)

    assert [request.timeout for request in script.requests] == [
        Timeout(connect=1.0, idle=2.0, total=3.0),
        Timeout(),
        Timeout(total=10.0),
    ]


async def test_a_total_of_ones_own_ends_an_attempt(play: Play) -> None:
    """`Timeout.total` bounds each attempt where the deadline leaves more; such an attempt timed out and is repeated."""
    script = Script(After(60.0, thing()), After(1.0, thing()), After(60.0, thing()))
    client = play(script, deadline=10.0, retry=RetryPolicy(attempts=3, first_delay=0))
    view = client.with_options(timeout=Timeout(total=4.0))

    answer = await view.answer(READ)
    with pytest.raises(DeadlineExceeded):
        await view.answer(READ)

    assert answer.attempts == 2
    assert [request.timeout.total for request in script.requests] == [4.0, 4.0, 4.0, 4.0, 2.0]
    assert script.clock == 1015.0


async def test_a_total_holds_without_a_deadline_and_for_a_token(play: Play) -> None:
    """It is a limit of attempts alone, those for a token among them."""
    script = Script(After(60.0, thing()), tokens=[After(60.0, token()), token()])
    client = play(script, ClientCredentials("client", "secret"), deadline=None, retry=RetryPolicy(first_delay=0))

    with pytest.raises(TimedOut):
        await client.with_options(timeout=Timeout(total=2.0)).answer(READ)

    assert script.clock == 1010.0
