"""`RateLimit` is obeyed before the service refuses."""

from __future__ import annotations

import asyncio
import heapq
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabinet_sdk import AsyncCabinet, Cabinet, ClientCredentials, RetryPolicy
from cabinet_sdk._core.allowance import Allowance
from cabinet_sdk.charges import PaymentMethod
from cabinet_sdk.errors import OutcomeUnknown, RateLimited
from cabinet_sdk.transports import AsyncInProcessTransport, Headers, InProcessTransport, Request, Response
from cabinet_sdk.types import Money
from reference_server import Outcome, World
from reference_server.limits import RateLimit
from reference_server.testing import BASE_URL, credentials
from tests.core.conftest import Play
from tests.core.scripted import CHANGE, READ, Script, problem, thing, token

pytestmark = pytest.mark.feature("EX-01")

POLICY = ("RateLimit-Policy", '"default";q=3;w=10')


def left(requests: int, seconds: int, *more: tuple[str, str]) -> Response:
    """Return a good answer after which so much is left."""
    return thing("a thing", ("RateLimit", f'"default";r={requests};t={seconds}'), *more)


async def test_a_used_up_window_is_waited_for(play: Play) -> None:
    """With nothing left, the next call is sent when the window ends, and is not refused before."""
    script = Script(left(1, 7), left(0, 7), left(2, 10))
    client = play(script)

    for _ in range(3):
        await client.answer(READ)

    assert script.pauses == [7.0]
    assert script.clock == 1007.0


async def test_less_than_a_second_is_waited_for_too(play: Play) -> None:
    """What is left of a window counts exactly, whenever the next call is made."""
    script = Script(left(0, 1))
    client = play(script)
    await client.answer(READ)
    script.clock += 0.75

    await client.answer(READ)

    assert script.pauses == [0.25]


async def test_no_more_are_sent_than_are_left(play: Play) -> None:
    """Requests are counted as they are sent; the policy tells how many the next window takes."""
    script = Script(left(2, 10, POLICY))
    client = play(script)
    for _ in range(10):
        await client.answer(READ)

    # One and the two that were left, then three a window: the service that always says two is believed no more.
    assert script.pauses == [10.0, 10.0, 10.0]


async def test_a_window_that_ends_after_the_deadline_is_not_waited_for(play: Play) -> None:
    """The call fails at once with `RateLimited`, tells when to come back, and was not sent; later it is."""
    script = Script(left(0, 60), left(5, 60))
    client = play(script)
    await client.answer(READ)

    with pytest.raises(RateLimited) as caught:
        await client.answer(CHANGE)
    await client.with_options(deadline=60.1).answer(READ)

    assert caught.value.retry_after == 60.0
    assert caught.value.operation == "things.change"
    assert caught.value.request_id is not None
    assert "not sent" in str(caught.value)
    assert [request.method for request in script.requests] == ["GET", "GET"]
    assert script.pauses == [60.0]


async def test_what_was_sent_is_not_forgotten_for_want_of_allowance(play: Play) -> None:
    """A change that was sent and may not be repeated within the deadline is unknown, not refused."""
    gone = problem(500, None, ("RateLimit", '"default";r=0;t=90'), ("Retry-After", "1"))
    script = Script(gone, left(0, 90))
    client = play(script)
    with pytest.raises(OutcomeUnknown):
        await client.with_options(deadline=0.5).answer(CHANGE)

    assert len(script.requests) == 1


async def test_retry_after_counts_more(play: Play) -> None:
    """Where a refusal has both headers, `Retry-After` alone is waited for."""
    script = Script(
        problem(429, "service.rate_limited", ("Retry-After", "3"), ("RateLimit", '"default";r=0;t=9')), left(1, 9)
    )

    await play(script, retry=RetryPolicy(first_delay=0)).answer(READ)

    assert script.pauses == [3.0]


async def test_a_hint_when_to_look_again_ends_no_window(play: Play) -> None:
    """`Retry-After` of a good answer says when it is worth asking again; the used up window ends when it ends."""
    script = Script(left(0, 9, ("Retry-After", "1")), left(1, 9))
    client = play(script)

    await client.answer(READ)
    await client.answer(READ)

    assert script.pauses == [9.0]


async def test_each_limit_is_obeyed(play: Play) -> None:
    """Of several limits the one that ends last is waited for."""
    script = Script(thing("a", ("RateLimit", '"burst";r=0;t=2, "day";r=0;t=30;pk=:YQ==:, "hour";r=9;t=50')), thing())
    client = play(script)

    await client.answer(READ)
    await client.answer(READ)

    assert script.pauses == [30.0]


@pytest.mark.parametrize(
    "value",
    [
        "default;r=0;t=9",
        '"default";r=0',
        '"default";t=9',
        '"default";r=-1;t=9',
        '"default";r=0;t=soon',
        '"default" r=0;t=9',
        '"a";r=0;t=9,,',
        '"a";r=0;t=9;',
        # Blanks fit before a separator and into a value: trying every division would outlast any deadline.
        f'"a"{";b=c      " * 99};!',
        ",".join(f'"{number}";r=0;t=9' for number in range(17)),
        "",
        "garbage",
    ],
)
async def test_what_breaks_the_rules_is_ignored(play: Play, value: str) -> None:
    """A header that the draft does not know tells nothing."""
    script = Script(thing("a", ("RateLimit", value)))
    client = play(script)

    await client.answer(READ)
    await client.answer(READ)

    assert script.pauses == []


async def test_nobody_waits_for_days(play: Play) -> None:
    """A window of years is a mistake of somebody: a day is the most that is waited for, without a deadline too."""
    script = Script(left(0, 10**12), thing())
    client = play(script, deadline=None)

    await client.answer(READ)
    await client.answer(READ)

    assert script.pauses == [86400.0]


async def test_views_share_the_allowance_and_tokens_do_not_count(play: Play) -> None:
    """What one view uses up another waits for; a token is fetched whatever is left."""
    script = Script(left(0, 5), left(3, 5), tokens=[token("t-1", 1), token("t-2", 100)])
    client = play(script, ClientCredentials("client", "secret"))

    await client.with_options(page_size=3).answer(READ)
    script.clock += 2
    await client.with_options(deadline=20).answer(READ)

    assert script.pauses == [3.0]
    assert len(script.token_requests) == 2


async def test_a_clock_that_stands_still_does_not_hang(play: Play) -> None:
    """A fake whose pauses move no clock is sent to all the same."""
    script = Script(left(0, 5))
    vars(script)["sleep"] = script.pauses.append
    client = play(script)

    await client.answer(READ)
    await client.answer(READ)

    assert script.pauses == [5.0]


@given(st.text(max_size=80) | st.from_regex(r'"[a-z]*";r=\d{1,20};t=\d{1,20}'), st.text(max_size=80))
def test_no_header_breaks_the_client(value: str, policy: str) -> None:
    """Whatever the headers hold, there is a wait of at most a day, and no exception."""
    allowance = Allowance()
    allowance.learn(Response(status=200, headers=Headers([("ratelimit", value), ("ratelimit-policy", policy)])), 100.0)

    assert 0.0 <= allowance.take(100.0) <= 86400.0


QUOTA, WINDOW = 20, 10


@pytest.fixture
def limited() -> World:
    """A world that allows few requests."""
    return World(rate_limit=RateLimit(quota=QUOTA, window=WINDOW))


def refusals(world: World) -> int:
    """Return how many requests the world refused."""
    return sum(request.status == 429 for request in world.requests)


class Threads:
    """Time for many threads: it moves once all of them wait, as far as the first of them asks."""

    def __init__(self, world: World, threads: int) -> None:
        self._world, self._awake = world, threads
        self._changed = threading.Condition()
        self._waiting: list[float] = []

    def now(self) -> float:
        """Return the world's time."""
        return self._world.clock.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait until that moment of the world has come."""
        with self._changed:
            until = self.now() + seconds
            heapq.heappush(self._waiting, until)
            self._awake -= 1
            self._move()
            self._changed.wait_for(lambda: self.now() >= until)

    def leave(self) -> None:
        """Say that a thread has ended."""
        with self._changed:
            self._awake -= 1
            self._move()

    def _move(self) -> None:
        if self._awake == 0 and self._waiting:
            until = self._waiting[0]
            self._world.clock.sleep(max(0.0, until - self.now()))
            while self._waiting and self._waiting[0] <= self.now():
                heapq.heappop(self._waiting)
                self._awake += 1
            self._changed.notify_all()


def test_the_service_asks_nobody_back_before_the_window_ends(limited: World) -> None:
    """The hint when to look again is a second, but with nothing left it is the end of the window."""
    person = limited.profiles.add("Иванова Мария Петровна")
    charge = limited.charges.add(person, Money("10.00"))
    limited.charges.script(Outcome.HOLD)
    answers: list[Response] = []

    def respond(request: Request) -> Response:
        answers.append(limited.respond(request))
        return answers[-1]

    transport = InProcessTransport(respond, sleep=limited.clock.sleep, now=limited.clock.monotonic)
    cabinet = Cabinet(BASE_URL, credentials(limited, person), transport=transport)
    payment = cabinet.charges.pay(charge.id, method=PaymentMethod.SBP)
    for _ in range(QUOTA - 1):
        cabinet.charges.payment(payment.id)

    hints = [answer.headers.get("retry-after") for answer in answers[1:]]
    assert hints[-2:] == ["1", str(WINDOW)]
    assert set(hints[1:-1]) == {"1"}


def test_many_threads_of_a_client_are_never_refused(limited: World) -> None:
    """Experiment 92: 50 threads with five times the allowance are all served and never refused; a stranger is free."""
    person, stranger = limited.profiles.add("Иванова Мария Петровна"), limited.profiles.add("Петров Пётр Петрович")
    charge = limited.charges.add(person, Money("10.00"))
    time = Threads(limited, 50)
    transport = InProcessTransport(limited.respond, sleep=time.sleep, now=time.now)
    cabinet = Cabinet(BASE_URL, credentials(limited, person), transport=transport, deadline=None)
    # The first answer tells of the limit: what goes out before nobody can know of.
    cabinet.charges.get(charge.id)

    def ask() -> None:
        try:
            for _ in range(2):
                cabinet.charges.get(charge.id)
        finally:
            time.leave()

    with ThreadPoolExecutor(50) as pool:
        for done in [pool.submit(ask) for _ in range(50)]:
            done.result(60)

    assert refusals(limited) == 0
    assert sum(request.operation == "charges.get" for request in limited.requests) == 101
    assert limited.clock.monotonic() == 5 * WINDOW
    other = InProcessTransport(limited.respond, sleep=limited.clock.sleep, now=limited.clock.monotonic)
    for _ in range(QUOTA):
        list(Cabinet(BASE_URL, credentials(limited, stranger), transport=other).charges.list())
    assert refusals(limited) == 0
    assert limited.clock.monotonic() == 5 * WINDOW


async def test_many_tasks_of_a_client_are_never_refused(limited: World) -> None:
    """The same for tasks."""
    person = limited.profiles.add("Иванова Мария Петровна")
    charge = limited.charges.add(person, Money("10.00"))
    sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
    clock, numbers = limited.clock, count()

    class Tasks:
        def __init__(self, respond: Callable[[Request], Response]) -> None:
            self.send = AsyncInProcessTransport(respond, sleep=clock.sleep, now=clock.monotonic).send
            self.now = clock.monotonic

        async def sleep(self, seconds: float) -> None:
            future = asyncio.get_running_loop().create_future()
            heapq.heappush(sleepers, (clock.monotonic() + seconds, next(numbers), future))
            await future

        async def aclose(self) -> None:
            pass

    async with AsyncCabinet(
        BASE_URL, credentials(limited, person), transport=Tasks(limited.respond), deadline=None
    ) as client:
        await client.charges.get(charge.id)
        tasks = [asyncio.create_task(client.charges.get(charge.id)) for _ in range(100)]
        while not all(task.done() for task in tasks):
            # Everybody who can goes on before the time does.
            for _ in range(5):
                await asyncio.sleep(0)
            if sleepers:
                until, _, future = heapq.heappop(sleepers)
                clock.sleep(max(0.0, until - clock.monotonic()))
                future.set_result(None)
        await asyncio.gather(*tasks)

    assert refusals(limited) == 0
    assert clock.monotonic() == 5 * WINDOW
