"""What several rows measure with: a page of charges, and transports that answer from memory."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import cycle, product
from typing import Any, cast, final

import httpx

from cabinet_sdk import BearerToken, Cabinet
from cabinet_sdk.charges.operations import GET_CHARGE, LIST_CHARGES
from cabinet_sdk.transports import HttpxTransport
from reference_server import Profile, World
from reference_server.testing import connect

__all__ = ["URL", "Canned", "canned_client", "charges_one_by_one", "full_world", "pages_of_charges"]

URL = "http://cabinet.example/v1"


def full_world(people: int = 1) -> tuple[World, list[Profile]]:
    """Return a world where everybody has more than a page of charges of every kind and state."""
    from random import Random  # noqa: PLC0415  # for this alone

    from reference_server.charges import seed  # noqa: PLC0415  # as above

    world = World()
    chance = Random(1)  # noqa: S311  # made-up data, the same each time
    profiles = [world.profiles.add("Иванова Мария Петровна") for _ in range(people)]
    for person, days in product(profiles, range(3)):
        seed(world.charges, person, chance, world.clock.now() - dt.timedelta(days=30 * days))
    return world, profiles


def pages_of_charges() -> list[bytes]:
    """
    Return pages of 100 charges as they travel.

    Several, each of somebody else: reading the same one again and again would flatter whoever keeps what it has read.
    """
    world, profiles = full_world(20)
    answers = [connect(world, person).answer(LIST_CHARGES) for person in profiles]
    assert all(len(answer.value) == 100 for answer in answers)
    return [answer.content for answer in answers]


def charges_one_by_one() -> list[bytes]:
    """Return charges as they travel one at a time."""
    world, profiles = full_world(5)
    clients = [connect(world, person) for person in profiles]
    return [client.answer(GET_CHARGE, charge.id).content for client in clients for charge in client.charges.list()]


@final
class Canned(httpx.BaseTransport):
    """
    A transport of httpx that has its answers in its hand.

    Args:
        contents: Of the answers, JSON; after the last one it begins anew.
    """

    def __init__(self, *contents: bytes) -> None:
        self._answers = cycle((_head(content), content) for content in contents)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, whatever was asked."""
        for _ in cast("Iterator[bytes]", request.stream):
            pass
        headers, content = next(self._answers)
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(content))


def _head(content: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        (b"x-request-id", b"canned"),
    ]


def canned_client(*contents: bytes) -> Cabinet:
    """Return a client with all that a default one has, whose httpx transport is a `Canned` one."""
    transport = HttpxTransport()
    # Any, and private: nobody but a benchmark wants other connections there.
    connections: Any = vars(transport)["_connections"]
    canned = Canned(*contents)

    def make(_scheme: str, _proxy: str | None) -> Canned:
        return canned

    connections._make = make
    return Cabinet(URL, BearerToken("token"), transport=transport)
