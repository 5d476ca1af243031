"""Pauses are random, and repeats are paid for."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabinet_sdk import RetryPolicy
from cabinet_sdk.errors import ConnectionFailed, ServiceError
from tests.core.conftest import Play
from tests.core.scripted import READ, Script, problem, thing

pytestmark = pytest.mark.feature("EX-01")


@given(st.integers(1, 2000), st.floats(0, 1, exclude_max=True))
def test_a_pause_is_within_its_bounds(attempt: int, random: float) -> None:
    """Full jitter: from nothing to a bound that doubles from half a second up to eight."""
    policy = RetryPolicy()

    pause = policy.jittered_delay(attempt, random)

    assert 0.0 <= pause <= min(8.0, 0.5 * 2.0 ** min(attempt - 1, 20))


def test_pauses_use_all_of_their_bounds() -> None:
    """The smallest random number is no pause, the largest nearly the bound."""
    policy = RetryPolicy()

    assert [policy.jittered_delay(attempt, 0.0) for attempt in (1, 2, 9)] == [0.0, 0.0, 0.0]
    assert [policy.jittered_delay(attempt, 1.0) for attempt in range(1, 7)] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]


async def test_first_repeats_are_not_bunched(play: Play) -> None:
    """200 clients that fail at one instant come back spread: no tenth of the time gets three times its share."""
    pauses: list[float] = []
    for _ in range(200):
        script = Script(ConnectionFailed("refused"), thing())
        await play(script).answer(READ)
        pauses += script.pauses

    bins = Counter(int(pause / 0.05) for pause in pauses)
    assert len(pauses) == 200
    assert max(bins.values()) <= 3 * 200 / 10
    assert len(bins) == 10


async def test_an_outage_drains_the_budget_and_calls_fail_at_once(play: Play) -> None:
    """With the budget spent, a call of an outage is one attempt without a pause."""
    script = Script(problem(503, "service.unavailable"))
    client = play(script, retry=RetryPolicy(budget=5))

    for _ in range(10):
        with pytest.raises(ServiceError):
            await client.answer(READ)

    assert len(script.requests) == 10 + 5
    assert len(script.pauses) == 5


async def test_good_answers_fill_the_budget_again(play: Play) -> None:
    """Ten good answers pay for one repeat; a repeat that succeeds costs nothing; the budget never exceeds its size."""
    down = problem(503)
    script = Script(*[down] * 3, *[thing()] * 40, down, thing(), down, thing(), *[down] * 4)
    client = play(script, retry=RetryPolicy(budget=2))

    with pytest.raises(ServiceError):
        await client.answer(READ)
    assert len(script.requests) == 3
    for _ in range(40):
        await client.answer(READ)
    for _ in range(2):
        assert (await client.answer(READ)).attempts == 2
    with pytest.raises(ServiceError):
        await client.answer(READ)

    assert len(script.requests) == 3 + 40 + 4 + 3


async def test_a_call_gives_back_one_repeat_at_most(play: Play) -> None:
    """After two repeats that cost two, success gives back one; nine good answers make no second one of that."""
    down = problem(503)
    script = Script(down, down, *[thing()] * 10, down)
    client = play(script, retry=RetryPolicy(budget=2))
    for _ in range(10):
        await client.answer(READ)
    before = len(script.requests)

    with pytest.raises(ServiceError):
        await client.answer(READ)

    assert before == 12
    assert len(script.requests) == before + 2


async def test_a_tenth_is_not_enough(play: Play) -> None:
    """Nine good answers after the budget is spent pay for no repeat, the tenth does."""
    script = Script(problem(503), problem(503), *[thing()] * 9, problem(503), thing(), problem(503), thing())
    client = play(script, retry=RetryPolicy(budget=1))
    with pytest.raises(ServiceError):
        await client.answer(READ)
    for _ in range(9):
        await client.answer(READ)

    with pytest.raises(ServiceError):
        await client.answer(READ)

    for _ in range(2):
        await client.answer(READ)
