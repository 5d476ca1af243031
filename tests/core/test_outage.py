"""Experiments 17 and 18 in virtual time: what many clients do to a service that is down, and how they come back."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections import Counter
from typing import final

import pytest

from cabinet_sdk import AsyncCabinet, RetryPolicy
from cabinet_sdk.errors import ConnectionLost, ServiceError
from cabinet_sdk.transports import Request, Response
from tests.core.scripted import BASE_URL, READ, problem, thing

pytestmark = pytest.mark.feature("EX-01")


@final
class _Leaping(selectors.DefaultSelector):
    """Does not wait: as long as it was asked to, it lets the time of its loop leap on."""

    leapt = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is not None:
            self.leapt += timeout
        return ready


@final
class LeapingLoop(asyncio.SelectorEventLoop):
    """An event loop in which nobody waits: when all tasks sleep, the time leaps to the first that wakes."""

    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.leapt


@final
class Service:
    """A service that takes a moment for each request and is down for a while; as the transport of its clients."""

    def __init__(self, down_from: float, down_until: float, *, cut: bool = False) -> None:
        self._down = down_from, down_until
        self._cut = cut
        self.asked: list[float] = []

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def send(self, request: Request) -> Response:
        await asyncio.sleep(0.02)
        now = self.now()
        self.asked.append(now)
        if self._down[0] <= now < self._down[1]:
            if self._cut:
                raise ConnectionLost("cut")
            return problem(503, "service.unavailable")
        assert request.method == "GET"
        return thing()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def aclose(self) -> None:
        pass


@pytest.mark.slow
def test_an_outage_is_not_multiplied() -> None:
    """
    Experiment 18: 100 clients in loops, the service down for 30 s.

    Once the budgets are drained, what is sent beyond one request a call is at most a fifth; after the outage every
    client is served again within 10 s.
    """
    service = Service(10.0, 40.0)
    calls: list[float] = []
    served: dict[int, float] = {}

    async def client(number: int, pace: random.Random) -> None:
        async with AsyncCabinet(BASE_URL, transport=service, retry=RetryPolicy(budget=10)) as cabinet:
            while service.now() < 60.0:
                calls.append(service.now())
                try:
                    await cabinet.answer(READ)
                except ServiceError:
                    pass
                else:
                    if service.now() >= 40.0:
                        served.setdefault(number, service.now())
                await service.sleep(pace.uniform(0.1, 0.3))

    async def all_clients() -> None:
        await asyncio.gather(*(client(number, random.Random(number)) for number in range(100)))  # noqa: S311  # a pace is no secret

    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        runner.run(all_clients())

    # Ten repeats of each client are gone within some seconds; what is asked after that is counted.
    drained = [moment for moment in calls if 20.0 <= moment < 39.0]
    asked = [moment for moment in service.asked if 20.0 <= moment < 39.0]
    assert len(drained) > 5000
    assert len(asked) <= 1.2 * len(drained)
    assert len(served) == 100
    assert max(served.values()) <= 50.0
    assert service.asked[-1] > 59.0


@pytest.mark.parametrize("cut", [False, True], ids=["503", "cut"])
def test_clients_that_fail_together_come_back_apart(cut: bool) -> None:
    """Experiment 17: 200 clients fail at one instant; no 100 ms have more than three times their share of repeats."""

    async def clients() -> list[float]:
        service = Service(0.0, 0.03, cut=cut)

        async def one() -> None:
            async with AsyncCabinet(BASE_URL, transport=service) as cabinet:
                await cabinet.answer(READ)

        await asyncio.gather(*(one() for _ in range(200)))
        return service.asked

    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        asked = runner.run(clients())

    first, again = asked[:200], asked[200:]
    assert max(first) - min(first) < 1e-9
    bins = Counter(int((moment - first[0]) / 0.1) for moment in again)
    assert len(again) >= 200
    spread = max(again) - min(again)
    assert spread > 0.4
    assert max(bins.values()) <= 3 * len(again) / (spread / 0.1)
