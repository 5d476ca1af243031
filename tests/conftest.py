"""What all tests share: worlds, and both clients in memory and over HTTP behind one test body."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack

import pytest
from hypothesis import Phase, settings

from cabinet_sdk import AsyncCabinet, Cabinet, Journal
from cabinet_sdk._core.context import AroundAttempt, AroundCall, OnDrift
from cabinet_sdk._core.retry import RetryPolicy
from cabinet_sdk.transports import (
    AsyncHttpxTransport,
    AsyncTransport,
    HttpxTransport,
    Transport,
)
from reference_server import Profile, World
from reference_server.clock import Clock
from reference_server.testing import BASE_URL, credentials, in_process, in_process_async, serve
from tests.faces import with_async_face

pytest_plugins = ["reference_server.pytest_fixtures", "tests.leaks"]

# For `make mutate`: that a test fails is enough, so no simpler example is looked for.
settings.register_profile(
    "mutants", phases=(Phase.explicit, Phase.generate), derandomize=True, database=None, deadline=None
)

Connect = Callable[..., AsyncCabinet]
"""Makes a client of the test's mode: ``connect(profile, retry=…, around_attempt=…)``."""


@pytest.fixture
def world() -> Iterator[World]:
    """An empty world in memory, with a clock that only the test and the clients' pauses move."""
    world = World()
    yield world
    world.close()


@pytest.fixture
def person(world: World) -> Profile:
    """Somebody in that world."""
    return world.profiles.add("Иванова Мария Петровна")


@pytest.fixture(params=["sync", "async", "sync-http", "async-http"])
def mode(request: pytest.FixtureRequest) -> str:
    """Which client, and whether over HTTP; in memory where nothing else is said."""
    value: str = request.param
    return value


@pytest.fixture
async def connect(mode: str, world: World) -> AsyncIterator[Connect]:
    """
    Make clients of the test's mode for the test's world, closed at its end.

    Over HTTP the bytes go through a socket, but pauses still move the world's clock, so that no test waits.
    """
    async with AsyncExitStack() as stack:
        url = stack.enter_context(serve(world)) if mode.endswith("http") else BASE_URL

        def make(
            profile: Profile,
            *,
            retry: RetryPolicy | None = None,
            journal: Journal | None = None,
            around_call: AroundCall | None = None,
            around_attempt: AroundAttempt | None = None,
            on_drift: OnDrift | None = None,
            wrap: Callable[[Transport], Transport] = lambda inner: inner,
            wrap_async: Callable[[AsyncTransport], AsyncTransport] = lambda inner: inner,
        ) -> AsyncCabinet:
            who = credentials(world, profile)
            if mode.startswith("async"):
                asynchronous = AsyncCabinet(
                    url,
                    who,
                    transport=wrap_async(_async_transport(mode, world)),
                    retry=retry,
                    journal=journal,
                    around_call=around_call,
                    around_attempt=around_attempt,
                    on_drift=on_drift,
                )
                stack.push_async_callback(asynchronous.close)
                return asynchronous
            cabinet = Cabinet(
                url,
                who,
                transport=wrap(_transport(mode, world)),
                retry=retry,
                journal=journal,
                around_call=around_call,
                around_attempt=around_attempt,
                on_drift=on_drift,
            )
            stack.callback(cabinet.close)
            return with_async_face(cabinet)

        yield make


def _transport(mode: str, world: World) -> Transport:
    if mode == "sync":
        return in_process(world)
    return OnClock(HttpxTransport(), world.clock)


def _async_transport(mode: str, world: World) -> AsyncTransport:
    if mode == "async":
        return in_process_async(world)
    return AsyncOnClock(AsyncHttpxTransport(), world.clock)


class OnClock:
    """Only the wire is real: requests go where they did, time is that of a clock which somebody else moves."""

    def __init__(self, inner: Transport, clock: Clock) -> None:
        self.send = inner.send
        self.close = inner.close
        self.sleep = clock.sleep
        self.now = clock.monotonic


class AsyncOnClock:
    """The same for `AsyncCabinet`; a pause lets other tasks run."""

    def __init__(self, inner: AsyncTransport, clock: Clock) -> None:
        self.send = inner.send
        self.aclose = inner.aclose
        self.now = clock.monotonic
        self._clock = clock

    async def sleep(self, seconds: float) -> None:
        """Move the clock instead of waiting."""
        self._clock.sleep(seconds)
        await asyncio.sleep(0)


@pytest.fixture
def client(connect: Connect, person: Profile) -> AsyncCabinet:
    """A client signed in as the person."""
    return connect(person)
