"""Both clients over scripts and over sockets, behind one test body."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Protocol

import pytest

from cabinet_sdk import AsyncCabinet, BearerToken, Cabinet, Credentials, Journal, RetryPolicy
from cabinet_sdk._core.context import AroundAttempt, AroundCall, OnDrift
from cabinet_sdk.transports import AsyncHttpxTransport, HttpxTransport, Proxy, Tls
from tests.core.scripted import BASE_URL, AsyncScripted, Script, Scripted
from tests.faces import with_async_face

TOKEN = BearerToken("token-of-tests")


class Play(Protocol):
    """Makes a client of the test's mode whose requests go to a script."""

    def __call__(
        self,
        script: Script,
        credentials: Credentials | None = TOKEN,
        *,
        deadline: float | None = 60.0,
        retry: RetryPolicy | None = None,
        journal: Journal | None = None,
        around_call: AroundCall | None = None,
        around_attempt: AroundAttempt | None = None,
        on_drift: OnDrift | None = None,
    ) -> AsyncCabinet: ...


class Dial(Protocol):
    """Makes a client of the test's mode whose requests go over httpx."""

    def __call__(
        self,
        url: str,
        credentials: Credentials = TOKEN,
        *,
        deadline: float | None = 10.0,
        attempts: int = 1,
        tls: Tls | None = None,
        proxy: Proxy | None = None,
        environment: bool = False,
    ) -> AsyncCabinet: ...


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> str:
    """Which client."""
    value: str = request.param
    return value


@pytest.fixture
def play(mode: str) -> Play:
    """Make clients whose requests go to a script."""

    def make(
        script: Script,
        credentials: Credentials | None = TOKEN,
        *,
        deadline: float | None = 60.0,
        retry: RetryPolicy | None = None,
        journal: Journal | None = None,
        around_call: AroundCall | None = None,
        around_attempt: AroundAttempt | None = None,
        on_drift: OnDrift | None = None,
    ) -> AsyncCabinet:
        if mode == "async":
            return AsyncCabinet(
                BASE_URL,
                credentials,
                transport=AsyncScripted(script),
                deadline=deadline,
                retry=retry,
                journal=journal,
                around_call=around_call,
                around_attempt=around_attempt,
                on_drift=on_drift,
            )
        return with_async_face(
            Cabinet(
                BASE_URL,
                credentials,
                transport=Scripted(script),
                deadline=deadline,
                retry=retry,
                journal=journal,
                around_call=around_call,
                around_attempt=around_attempt,
                on_drift=on_drift,
            )
        )

    return make


@pytest.fixture
async def dial(mode: str) -> AsyncIterator[Dial]:
    """Make clients whose requests go over httpx, closed at the end."""
    async with AsyncExitStack() as stack:

        def make(
            url: str,
            credentials: Credentials = TOKEN,
            *,
            deadline: float | None = 10.0,
            attempts: int = 1,
            tls: Tls | None = None,
            proxy: Proxy | None = None,
            environment: bool = False,
        ) -> AsyncCabinet:
            retry = RetryPolicy(attempts=attempts, first_delay=0)
            if mode == "async":
                cabinet = AsyncCabinet(
                    url,
                    credentials,
                    transport=AsyncHttpxTransport(tls=tls, proxy=proxy, environment=environment),
                    deadline=deadline,
                    retry=retry,
                )
                stack.push_async_callback(cabinet.close)
                return cabinet
            blocking = Cabinet(
                url,
                credentials,
                transport=HttpxTransport(tls=tls, proxy=proxy, environment=environment),
                deadline=deadline,
                retry=retry,
            )
            stack.callback(blocking.close)
            return with_async_face(blocking)

        yield make
