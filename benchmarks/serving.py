"""Over a socket of this machine: what a request costs the server, and many calls at once the client."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from benchmarks.harness import Figure, Spread, compare_costs, row, settings
from benchmarks.servers import Served, served
from cabinet_sdk import AsyncCabinet, BearerToken
from cabinet_sdk.charges import ChargeId

__all__: list[str] = []


def _token(beside: Served) -> str:
    answer = httpx.post(
        f"http://127.0.0.1:{beside.port}/v1/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=(beside.told["client"], beside.told["secret"]),
    )
    token: str = answer.json()["access_token"]
    return token


def _requests(beside: Served, path: str, token: str) -> Callable[[int], float]:
    """Return what sends so many requests, one after another on one connection, and says what one cost the server."""
    request = (
        f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{beside.port}\r\naccept: application/json\r\n"
        f"authorization: Bearer {token}\r\nx-request-id: 0f8fad5b-d9cb-469f-a165-70867728950e\r\n\r\n"
    ).encode()
    connection = socket.create_connection(("127.0.0.1", beside.port))

    def receive() -> bytes:
        answer = connection.recv(65536)
        head, _, body = answer.partition(b"\r\n\r\n")
        length = next(int(line[16:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length: "))
        missing = length - len(body)
        while missing > 0:
            missing -= len(connection.recv(65536))
        return answer

    def cost(count: int) -> float:
        started = beside.cpu()
        for _ in range(count):
            connection.sendall(request)
            receive()
        return (beside.cpu() - started) / count

    connection.sendall(request)
    assert receive().startswith(b"HTTP/1.1 200"), "the server refused"
    return cost


@row(
    "served",
    "CPU a request served, reading one charge, over a bare Starlette app on the same uvicorn",
    goal=1.3,
    why=(
        "The bare app finds its route and encodes a dictionary, which takes about as long as uvicorn itself. Ours is"
        " answered where uvicorn's parser has read its head, without a task. What of a charge can never change is kept"
        " as it was decoded, so that reading one again takes a look-up in the database and what the amounts need."
    ),
)
def requests_served() -> Figure:
    """Let both servers answer the same request."""
    with served("world") as world, served("starlette") as bare:
        ours = _requests(world, f"/v1/charges/{world.told['charge']}", _token(world))
        base = _requests(bare, "/v1/charges/chg_1", "token")
        count = 100 if settings.quick else 400
        ours(count), base(count)  # pyright: ignore[reportUnusedExpression]  # warm
        ratio, cost = compare_costs(lambda: ours(count), lambda: base(count))
    return Figure(ratio, f"{cost:.0f} µs a request.")


async def _at_once(count: int, calls: int, call: Callable[[], Awaitable[Any]]) -> float:  # Any: whatever a call gives
    """Return the CPU seconds of a call, of calls that start together, so many at a time."""
    started = time.process_time()
    for _ in range(calls // count):
        await asyncio.gather(*(call() for _ in range(count)))
    return (time.process_time() - started) / (calls // count * count)


@row("concurrent-50", "CPU a call at 50 calls at once, over the same at 1", goal=1.1)
def fifty() -> Figure:
    """Call from 50 tasks."""
    return asyncio.run(_concurrent(50))


@row(
    "concurrent-200",
    "CPU a call at 200 calls at once, over the same at 1",
    goal=1.1,
    why=(
        "A call under way holds some 33 KB: a hundred of them do not fit into the cache of a processor, where a single"
        " one stays. How much that costs depends on what else runs on the machine."
    ),
)
def two_hundred() -> Figure:
    """Call from 200 tasks."""
    return asyncio.run(_concurrent(200))


@row(
    "concurrent-bare",
    "CPU a call at 50 calls at once, over bare httpx at 50",
    goal=0.25,
    why=(
        "What is left is httpx, httpcore and h11 on a single connection, which take as long when there is one call at"
        " a time. Another HTTP library below would be needed; a transport of one's own can bring it."
    ),
)
def beside_bare() -> Figure:
    """Call from 50 tasks, by both."""
    return asyncio.run(_concurrent(50, beside_bare_httpx=True))


async def _concurrent(count: int, *, beside_bare_httpx: bool = False) -> Figure:
    with served("canned") as canned:
        url = f"http://127.0.0.1:{canned.port}/v1"
        async with AsyncCabinet(url, BearerToken("token")) as cabinet, httpx.AsyncClient() as bare:

            async def ours() -> None:
                await cabinet.charges.get(ChargeId("chg_1"))

            async def theirs() -> None:
                (await bare.get(f"{url}/charges/chg_1")).json()

            calls = 400 if settings.quick else 1200
            ratios: list[float] = []
            costs: list[float] = []
            at_one: list[float] = []
            base, base_count = (theirs, count) if beside_bare_httpx else (ours, 1)
            for _ in range(settings.rounds):
                cost = await _at_once(count, calls, ours)
                beside = await _at_once(base_count, calls, base)
                ratios.append(cost / beside)
                costs.append(cost * 1e6)
                at_one.append(beside * 1e6)
            detail = (
                f"{Spread.of(costs).median:.0f} µs a call, and {Spread.of(at_one).median:.0f} µs of what it is over."
            )
            return Figure(Spread.of(ratios), detail)
