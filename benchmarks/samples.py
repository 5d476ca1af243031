"""What several rows measure with: a page of charges, and transports that answer from memory."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any, cast, final

import httpx

from cabinet_sdk import BearerToken, Cabinet
from cabinet_sdk.charges.operations import LIST_CHARGES
from cabinet_sdk.transports import HttpxTransport
from reference_server import Profile, World
from reference_server.testing import connect

__all__ = ["URL", "Canned", "canned_client", "full_world", "one_charge", "page_of_charges"]

URL = "http://cabinet.example/v1"


def full_world() -> tuple[World, Profile]:
    """Return a world where somebody has more than a page of charges of every kind and state."""
    from random import Random  # noqa: PLC0415  # for this alone

    from reference_server.charges import seed  # noqa: PLC0415  # as above

    world = World()
    person = world.profiles.add("Иванова Мария Петровна")
    chance = Random(1)  # noqa: S311  # made-up data, the same each time
    for days in range(3):
        seed(world.charges, person, chance, world.clock.now() - dt.timedelta(days=30 * days))
    return world, person


def page_of_charges() -> bytes:
    """Return a page of 100 charges as it travels."""
    world, person = full_world()
    answer = connect(world, person).answer(LIST_CHARGES)
    assert len(answer.value) == 100
    return answer.content


def one_charge() -> bytes:
    """Return one charge as it travels."""
    world, person = full_world()
    cabinet = connect(world, person)
    charge = next(iter(cabinet.charges.list()))
    from cabinet_sdk.charges.operations import GET_CHARGE  # noqa: PLC0415  # for this alone

    return cabinet.answer(GET_CHARGE, charge.id).content


@final
class Canned(httpx.BaseTransport):
    """
    A transport of httpx that has the answer in its hand.

    Args:
        content: Of every answer, JSON.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode()),
            (b"x-request-id", b"canned"),
        ]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, whatever was asked."""
        for _ in cast("Iterator[bytes]", request.stream):
            pass
        return httpx.Response(200, headers=self._headers, stream=httpx.ByteStream(self._content))


def canned_client(content: bytes) -> Cabinet:
    """Return a client with all that a default one has, whose httpx transport is a `Canned` one."""
    transport = HttpxTransport()
    # Any, and private: nobody but a benchmark wants another pool there.
    pools: Any = vars(transport)["_pools"]
    pools._pools[("http", None)] = Canned(content)  # noqa: SLF001
    return Cabinet(URL, BearerToken("token"), transport=transport)
