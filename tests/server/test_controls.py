"""The controls of a world say what they take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cabinet_sdk.charges import ChargeKind, PaymentMethod, RefundMethod
from cabinet_sdk.errors import UsageError
from cabinet_sdk.types import Money
from reference_server import Outcome, Profile, ProfileKind, World
from reference_server.testing import connect, connect_async, credentials

# Any: the arguments are wrong, and type checkers say so of each.
MISTAKES: list[tuple[Callable[[Any, Profile], object], str]] = [
    (
        lambda world, person: world.charges.add(person, 500),
        "world.charges.add(): amount: expected Money, got int: Money('500.00') makes one",
    ),
    (
        lambda world, person: world.charges.add(person.id, Money(500)),
        "world.charges.add(): profile: expected Profile, got str 'pr…",
    ),
    (
        lambda world, person: world.charges.add(person, Money(500), kind="fine"),
        "world.charges.add(): kind: expected ChargeKind, got str 'f…e': write ChargeKind.FINE",
    ),
    (
        lambda world, _: world.charges.script(Outcome.SUCCEED, "decline"),
        "world.charges.script(): outcomes[1]: expected Outcome, got str 'd…e': write Outcome.DECLINE",
    ),
    (
        lambda world, _: world.charges.confirm(None),
        "world.charges.confirm(): payment_id: expected PaymentId (str), got None",
    ),
    (
        lambda world, person: world.charges.receive_transfer(person, Money(1), purpose="Штраф"),
        "world.charges.receive_transfer(): payer_inn: expected Inn, got Profile: Inn(text) makes one",
    ),
    (
        lambda world, _: world.profiles.add("Орлова Вера", "500100732259"),
        "world.profiles.add(): inn: expected Inn, got str '50…59': Inn(text) makes one",
    ),
    (
        lambda world, _: world.profiles.add("Орлова Вера", registration="1"),
        "world.profiles.add(): registration: expected Ogrn or Ogrnip, got str '…'",
    ),
    (
        lambda world, _: world.profiles.add("Орлова Вера", permissions=["charges.read"]),
        "world.profiles.add(): permissions: expected frozenset of str, got list",
    ),
]


@pytest.mark.parametrize("call, message", MISTAKES)
def test_a_wrong_kind_is_refused(
    world: World, person: Profile, call: Callable[[Any, Profile], object], message: str
) -> None:
    """What was expected and what came is told, and nothing happens."""
    with pytest.raises(UsageError) as caught:
        call(world, person)

    assert str(caught.value).startswith(message)
    assert world.profiles.all() == [person]


def test_a_wrong_name_is_refused(world: World, person: Profile) -> None:
    """A slip in a name is named with what was meant."""
    add: Any = world.charges.add

    with pytest.raises(TypeError, match=r"^world\.charges\.add\(\) got an .* 'due_to'; did you mean 'due_on'\?$"):
        add(person, Money(500), due_to=None)


def test_a_number_is_nobodys_twice(world: World, person: Profile) -> None:
    """Two profiles of one ИНН are refused in words, masked."""
    with pytest.raises(ValueError, match=r"somebody with the ИНН Inn\('77…\d\d'\) already"):
        world.profiles.add("Орлова Вера", person.inn)


def test_thousands_of_organisations_have_each_a_number(world: World) -> None:
    """However many profiles there are, one more gets an ИНН that nobody has."""
    for _ in range(7000):
        world.profiles.add("ООО «Ромашка»", kind=ProfileKind.ORGANISATION)

    assert len({profile.inn for profile in world.profiles.all()}) == 7000


def test_numbers_that_run_short_come_once_each(world: World, person: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as there is a number that no payment or refund has, the next one gets it."""
    monkeypatch.setattr("reference_server.charges.rules_payments._PAYMENT_NUMBER_LENGTH", 1)
    monkeypatch.setattr("reference_server.charges.rules_refunds._REFUND_NUMBER_LENGTH", 1)
    client = connect(world, person)
    for _ in range(9):
        client.charges.pay(world.charges.add(person, Money("1.00")).id, method=PaymentMethod.SBP)
        overpaid = world.charges.add(person, Money("1.00"))
        world.charges.credit(person, overpaid, Money("2.00"))
        client.charges.request_refund(overpaid.id, method=RefundMethod.COMPENSATION)

    assert {payment.number for payment in client.charges.payments()} == set("123456789")
    assert {refund.number for refund in client.charges.refunds()} == set("123456789")


@pytest.mark.parametrize("times", [0, -1, True, "1"])
def test_a_fault_strikes_at_least_once(world: World, times: Any) -> None:
    """A fault that never strikes would let a test pass that tests nothing."""
    with pytest.raises(ValueError, match="strikes once or more often"):
        world.faults.lose_answer("charges.pay", times=times)


@pytest.mark.parametrize("function", [connect, connect_async, credentials])
def test_clients_for_a_world_say_what_they_take(world: World, person: Profile, function: Any) -> None:
    """World and profile in the wrong order, or an id for a profile, are named."""
    name = function.__name__
    with pytest.raises(UsageError, match=rf"^{name}\(\): world: expected World, got Profile$"):
        function(person, world)
    with pytest.raises(UsageError, match=rf"^{name}\(\): profile: expected Profile, got str 'pr"):
        function(world, person.id)


def test_a_profile_is_found_by_its_id(world: World, person: Profile) -> None:
    """What is right goes through: `world.profiles.get()` gives who `add()` gave."""
    charge = world.charges.add(person, Money(500), kind=ChargeKind.DUTY)

    assert world.profiles.get(person.id) == person
    assert world.profiles.get("prf_nobody") is None
    assert charge.amount == Money("500.00")
