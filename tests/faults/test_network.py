"""Each mishap alone, at both clients, in memory and over HTTP: what is told is what was done."""

from __future__ import annotations

from pathlib import Path

import pytest

from cabinet_sdk import RetryPolicy
from cabinet_sdk.charges import Payment, PaymentMethod
from cabinet_sdk.errors import CabinetError
from cabinet_sdk.types import Money
from reference_server import Profile, World
from reference_server.testing import connect as connect_directly
from tests.conftest import Connect
from tests.core.sample_area import add_file, sample_world, samples_of
from tests.core.wires import noise
from tests.faults.books import Pay
from tests.faults.history import settled
from tests.faults.network import Mishap, Network


@pytest.mark.feature("EX-01", "SE-06")
@pytest.mark.parametrize("mishap", Mishap, ids=lambda mishap: mishap.name)
async def test_what_is_told_is_what_was_done(connect: Connect, world: World, person: Profile, mishap: Mishap) -> None:
    """Where the call brings a payment there is that one; where it says that nothing was done there is none."""
    network = Network(7, rate=0.8, mishaps=(mishap,))
    client = connect(person, wrap=network.sync, wrap_async=network.asynchronous)

    told: list[str] = []
    for _ in range(5):
        charge = world.charges.add(person, Money("10.00"))
        outcome = await settled(Pay(person.id, charge.id, PaymentMethod.SBP, None), client)
        if isinstance(outcome.value, Payment):
            told.append(outcome.value.id)

    with connect_directly(world, person) as cabinet:
        assert sorted(payment.id for payment in cabinet.charges.payments()) == sorted(told)
    assert {each for _, each in network.happened} == {mishap}
    world.charges.check_books()


@pytest.mark.feature("EX-01")
async def test_a_file_comes_whole(connect: Connect, world: World, tmp_path: Path) -> None:
    """A download over a network that breaks is the file, or an error and no file."""
    content = noise(1, 300_000)
    person = sample_world(world)
    network = Network(3, rate=0.5)
    client = samples_of(
        connect(person, retry=RetryPolicy(attempts=8), wrap=network.sync, wrap_async=network.asynchronous)
    )

    came = 0
    for number in range(10):
        path = tmp_path / f"{number}.bin"
        try:
            await (await client.download(add_file(content))).save(path)
        except CabinetError:
            assert not path.exists()
        else:
            assert path.read_bytes() == content
            came += 1
    assert came > 0
    assert len(network.happened) > 5
