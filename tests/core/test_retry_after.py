"""How long the service asks to wait, and how long is waited."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabinet_sdk import RetryPolicy
from cabinet_sdk._core.retry import retry_after
from cabinet_sdk.errors import RateLimited, ServiceError
from cabinet_sdk.transports import Headers
from tests.core.conftest import Play
from tests.core.scripted import READ, Script, problem, thing

# No random part.
EXACT = RetryPolicy(first_delay=0)
DATE = ("Date", "Sun, 22 Nov 2026 12:00:00 GMT")
Fields = tuple[tuple[str, str], ...]

HONOURED: dict[str, tuple[Fields, float]] = {
    "zero": ((("Retry-After", "0"),), 0.0),
    "whole seconds": ((("Retry-After", "5"),), 5.0),
    "leading zeros": ((("Retry-After", "007"),), 7.0),
    "date": ((DATE, ("Retry-After", "Sun, 22 Nov 2026 12:00:07 GMT")), 7.0),
    "past date": ((DATE, ("Retry-After", "Sun, 22 Nov 2026 11:59:00 GMT")), 0.0),
    "date as of RFC 850": ((DATE, ("Retry-After", "Sunday, 22-Nov-26 12:00:07 GMT")), 7.0),
    "date as of asctime": ((DATE, ("Retry-After", "Sun Nov 22 12:00:07 2026")), 7.0),
    "both as of asctime": (
        (("Date", "Sun Nov  1 12:00:00 2026"), ("Retry-After", "Sun Nov  1 12:00:07 2026")),
        7.0,
    ),
    "date without a zone": ((DATE, ("Retry-After", "Sun, 22 Nov 2026 12:00:07")), 7.0),
    "rate limit with parameters of others": (
        (("RateLimit", '"a";*x;b="1,2;r=5";r=0;t=9;pk=:YQ==:;c=?1;d=tok/en'),),
        9.0,
    ),
    "rate limit with a comma in its name": ((("RateLimit", '"a,b";r=0;t=4, "c\\"d";r=0;t=9'),), 9.0),
    "the last of two parameters": ((("RateLimit", '"a";r=5;r=0;t=9'),), 9.0),
    "before the rate limit": ((("Retry-After", "3"), ("RateLimit", '"default";r=0;t=9')), 3.0),
    "rate limit alone": ((("RateLimit", '"default";r=0;t=9'),), 9.0),
}
IGNORED: dict[str, Fields] = {
    "none": (),
    "fraction": (("Retry-After", "1.5"),),
    "negative": (("Retry-After", "-1"),),
    "exponent": (("Retry-After", "1e12"),),
    "other digits": (("Retry-After", "٣"),),
    "garbage": (("Retry-After", "soon"),),
    "empty": (("Retry-After", ""),),
    "twice": (("Retry-After", "5"), ("Retry-After", "7")),
    "date without the service's own": (("Retry-After", "Sun, 22 Nov 2026 12:00:07 GMT"),),
    "impossible date": (DATE, ("Retry-After", "Sun, 99 Nov 2026 12:00:07 GMT")),
    "quota left": (("RateLimit", '"default";r=1;t=9'),),
    "broken rate limit": (("RateLimit", "r=0;t=9"),),
    "open quotes": (("RateLimit", '"a;r=0;t=9'),),
    "numbers in a text": (("RateLimit", '"a";b=";r=0;t=9"'),),
    "no number at last": (("RateLimit", '"a";r=0;t=9;t=soon'),),
}


@pytest.mark.parametrize("headers, seconds", HONOURED.values(), ids=HONOURED.keys())
async def test_what_is_right_is_honoured(play: Play, headers: Fields, seconds: float) -> None:
    """Experiment 16: the client waits as long as it was asked to, and besides the random part of its policy alone."""
    script, spread = (Script(problem(503, None, *headers), thing()) for _ in range(2))

    await play(script, retry=EXACT).answer(READ)
    await play(spread).answer(READ)

    assert script.pauses == ([seconds] if seconds else [])
    assert seconds < sum(spread.pauses) <= seconds + 0.5


@pytest.mark.parametrize("header", [("Retry-After", "1"), ("RateLimit", '"default";r=0;t=1')], ids=lambda pair: pair[0])
async def test_who_was_refused_together_comes_back_spread(play: Play, header: tuple[str, str]) -> None:
    """Experiment 17: of 200 clients no 100 ms of their first repeats get three times their share."""
    pauses: list[float] = []
    for _ in range(200):
        script = Script(problem(503, None, header), thing())
        await play(script).answer(READ)
        pauses += script.pauses

    bins = Counter(int((pause - 1) / 0.1) for pause in pauses)
    assert len(pauses) == 200
    assert len(bins) == 5
    assert max(bins.values()) <= 3 * 200 / 5


async def test_the_random_part_leaves_time_for_the_attempt(play: Play) -> None:
    """Where what is asked for ends just before the deadline, at most half of what is left is waited besides."""
    script = Script(problem(503, None, ("Retry-After", "9")), thing())

    await play(script, deadline=10.0, retry=RetryPolicy(first_delay=100, longest_delay=100)).answer(READ)

    assert 9.0 < script.pauses[0] <= 9.5


@pytest.mark.parametrize("headers", IGNORED.values(), ids=IGNORED.keys())
async def test_what_breaks_the_rules_is_ignored(play: Play, headers: Fields) -> None:
    """Experiment 16: a value that RFC 9110 does not know leaves the client its own pause, at most half a second."""
    script = Script(problem(503, None, *headers), thing())

    await play(script).answer(READ)

    assert all(0 < pause <= 0.5 for pause in script.pauses)
    assert len(script.requests) == 2


@pytest.mark.parametrize("asked", ["60", "61", "86400", "1000000000000", "9" * 5000])
async def test_nobody_sleeps_past_the_deadline(play: Play, asked: str) -> None:
    """Experiment 16: asked to wait as long as the deadline or longer, the call fails at once with that error."""
    script = Script(problem(429, "service.rate_limited", ("Retry-After", asked)), thing())

    with pytest.raises(RateLimited) as caught:
        await play(script, deadline=60.0).answer(READ)

    assert script.pauses == []
    assert len(script.requests) == 1
    assert caught.value.retry_after == min(float(asked), 1e9)


async def test_nobody_sleeps_for_days_without_a_deadline(play: Play) -> None:
    """Without a deadline a client waits up to a day and not longer."""
    day = Script(problem(503, None, ("Retry-After", "86400")), thing())
    more = Script(problem(503, None, ("Retry-After", "86401")), thing())

    await play(day, deadline=None).answer(READ)
    with pytest.raises(ServiceError):
        await play(more, deadline=None).answer(READ)

    assert day.pauses == [86400.0]
    assert more.pauses == []


async def test_pauses_that_were_asked_for_add_up_to_the_deadline(play: Play) -> None:
    """Each pause is granted while it ends before the deadline; the last error is the service's."""
    script = Script(problem(503, None, ("Retry-After", "4")))

    with pytest.raises(ServiceError):
        await play(script, deadline=10.0, retry=RetryPolicy(attempts=9, first_delay=0)).answer(READ)

    assert script.pauses == [4.0, 4.0]


@given(
    st.text(max_size=60)
    | st.from_regex(r"[A-Z][a-z]{2}, \d{1,20} [A-Z][a-z]{2} \d{1,20} \d\d:\d\d:\d\d [+-]?\d{1,20}"),
    st.none() | st.just(DATE[1]) | st.text(max_size=40),
    st.none() | st.text(max_size=40) | st.from_regex(r'"[a-z]*";r=0;t=\d{1,12}'),
)
def test_no_header_breaks_the_client(value: str, date: str | None, limit: str | None) -> None:
    """Whatever the headers hold, there is a pause to make or none, and no exception."""
    fields = [("retry-after", value), ("date", date), ("ratelimit", limit)]
    wait = retry_after(Headers((name, text) for name, text in fields if text is not None))

    assert wait is None or 0.0 <= wait <= 1e12
