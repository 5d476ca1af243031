"""The reference server as a fake inside the process: a call, a world, a copy of one."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import httpx

from benchmarks.harness import Figure, Spread, Task, compare, measure, row
from benchmarks.peers import module
from benchmarks.samples import URL, full_world
from cabinet_sdk.charges.operations import GET_CHARGE
from reference_server import World
from reference_server.testing import connect

__all__: list[str] = []


@row("fake", "Reading one charge from the fake in memory, over bare httpx on a mock", goal=1.2)
def fake() -> Figure:
    """Read one charge, rights, rules, SQL and all."""
    world, (person,) = full_world()
    cabinet = connect(world, person)
    charges = cabinet.charges
    charge = next(iter(charges.list()))
    content = cabinet.answer(GET_CHARGE, charge.id).content
    base = _mocked(content)
    assert charges.get(charge.id) == charge
    ratio, cost = compare(lambda: charges.get(charge.id), base)
    found: dict[str, Spread | str] = {"Starlette's TestClient": compare(_test_client(content), base)[0]}
    with contextlib.ExitStack() as stack:
        try:
            found["moto, an object of S3"] = compare(_moto(stack, content), base)[0]
        except ModuleNotFoundError:
            found["moto"] = "not installed"
    return Figure(ratio, f"{cost:.0f} µs a call.", found)


def _mocked(content: bytes) -> Task:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "application/json"}, content=content)

    client = httpx.Client(transport=httpx.MockTransport(answer))
    return lambda: client.get(f"{URL}/charges/chg_1").json()


def _test_client(content: bytes) -> Task:
    from starlette.applications import Starlette  # noqa: PLC0415  # for this row alone
    from starlette.requests import Request  # noqa: PLC0415  # as above
    from starlette.responses import JSONResponse  # noqa: PLC0415  # as above
    from starlette.routing import Route  # noqa: PLC0415  # as above

    document = json.loads(content)

    async def charge(_: Request) -> JSONResponse:
        return JSONResponse(document)

    # Any: it deprecates httpx with a warning of its own, and checkers see another class below it for each version.
    client: Any = module("starlette.testclient").TestClient(Starlette(routes=[Route("/v1/charges/{id}", charge)]))
    return lambda: client.get("/v1/charges/chg_1").json()


def _moto(stack: contextlib.ExitStack, content: bytes) -> Task:
    stack.enter_context(module("moto").mock_aws())
    client = module("boto3").client(
        "s3",
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",  # noqa: S106  # none of anybody's
    )
    client.create_bucket(Bucket="charges")
    client.put_object(Bucket="charges", Key="chg_1", Body=content)
    return lambda: json.loads(client.get_object(Bucket="charges", Key="chg_1")["Body"].read())


@row("world", "A fresh world of made-up people and charges, with a client", goal=0.5, unit="ms")
def world() -> Figure:
    """Make a world and connect to it."""

    def fresh() -> None:
        made = World.seeded()
        connect(made, made.profiles.all()[0])
        made.close()

    def empty() -> None:
        made = World()
        connect(made, made.profiles.add("Иванова Мария Петровна"))
        made.close()

    took, took_empty = measure(fresh), measure(empty)
    found: dict[str, Spread | str] = {}
    try:
        mock = module("moto").mock_aws
    except ModuleNotFoundError:
        found["moto's mock"] = "not installed"
    else:

        def mocked() -> None:
            with mock():
                pass

        found["moto's mock"] = measure(mocked)
    return Figure(took, f"An empty one with one person takes {took_empty} ms.", found)


@row("checkpoint", "Checkpoint and restore of a world of a megabyte, both", goal=2, unit="ms")
def checkpoint() -> Figure:
    """Go back to where it was."""
    made = World.seeded()
    before = made.checkpoint()
    both, restored = measure(lambda: made.restore(made.checkpoint())), measure(lambda: made.restore(before))
    return Figure(both, f"{len(before.image) / 1e6:.1f} MB; restoring alone takes {restored} ms.")
