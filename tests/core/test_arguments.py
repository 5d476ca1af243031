"""What callers give: wrong kinds and names are refused by the name of the method, and nothing is sent."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from inspect import isawaitable
from typing import Any

import pytest

from cabinet_sdk import AsyncCabinet
from cabinet_sdk.charges import ChargeId, ChargeStatus, ItemToPay, PaymentMethod, PaymentStatus
from cabinet_sdk.charges.operations import LIST_CHARGES, PAY_CHARGE
from cabinet_sdk.errors import UsageError
from cabinet_sdk.types import Inn, Money, OrganisationInn, Period, Uin
from reference_server import Profile, World
from tests.core.sample_area import sample_world, samples_of

# Any: the arguments are wrong, and type checkers say so of each.
Mistake = Callable[[Any], Any]

SBP = PaymentMethod.SBP
ID = ChargeId("chg_1")
STATUSES = "it is ChargeStatus.NOT_PAID or ChargeStatus.PARTLY_PAID or ChargeStatus.PAID"


async def outcome(call: Mistake, client: AsyncCabinet) -> Any:
    """Make the call, in either mode."""
    result = call(client)
    return await result if isawaitable(result) else result


KINDS: dict[str, tuple[Mistake, str]] = {
    "int for an id": (
        lambda cabinet: cabinet.charges.get(5),
        "charges.get(): charge_id: expected ChargeId (str), got int",
    ),
    "None for an id": (
        lambda cabinet: cabinet.charges.get(None),
        "charges.get(): charge_id: expected ChargeId (str), got None",
    ),
    "an item for its id": (
        lambda cabinet: cabinet.charges.get(ItemToPay(ID)),
        "charges.get(): charge_id: expected ChargeId (str), got ItemToPay: give its text",
    ),
    "an identifier for an id": (
        lambda cabinet: cabinet.charges.get(Uin.with_check_digits("1881018810188101881")),
        "charges.get(): charge_id: expected ChargeId (str), got Uin",
    ),
    "text for an identifier": (
        lambda cabinet: cabinet.charges.list(payee_inn="7707083893"),
        "charges.list(): payee_inn: expected Inn, got str '77…93': Inn(text) makes one",
    ),
    "another identifier": (
        lambda cabinet: cabinet.charges.list(uin=Inn("7707083893")),
        "charges.list(): uin: expected Uin, got Inn: Uin(text) makes one",
    ),
    "text of a known code": (
        lambda cabinet: cabinet.charges.list(status="paid"),
        "charges.list(): status: expected ChargeStatus, got str 'p…d': write ChargeStatus.PAID",
    ),
    "text of no code": (
        lambda cabinet: cabinet.charges.list(status="payed"),
        f"charges.list(): status: expected ChargeStatus, got str 'p…d': {STATUSES}",
    ),
    "a code of another set": (
        lambda cabinet: cabinet.charges.list(status=PaymentStatus.CREATED),
        f"charges.list(): status: expected ChargeStatus, got PaymentStatus: {STATUSES}",
    ),
    "a day for a period": (
        lambda cabinet: cabinet.charges.list(period=dt.date(2026, 1, 1)),
        "charges.list(): period: expected Period, got date: Period(first, last) or Period.month(year, month) makes one",
    ),
    "int for a truth": (
        lambda cabinet: cabinet.charges.list(overdue=1),
        "charges.list(): overdue: expected bool, got int",
    ),
    "int for text": (
        lambda cabinet: cabinet.charges.list(order_number=5),
        "charges.list(): order_number: expected str, got int",
    ),
    "int for money": (
        lambda cabinet: cabinet.charges.pay(ID, method=SBP, amount=500),
        "charges.pay(): amount: expected Money, got int: Money('500.00') makes one",
    ),
    "text for money inside": (
        lambda cabinet: cabinet.charges.pay_several((ItemToPay(ID), ItemToPay(ID, "5.00")), method=SBP),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        "charges.pay_several(): items[1].amount: expected Money, got str '5…0': Money('500.00') makes one",
    ),
    "ids for items": (
        lambda cabinet: cabinet.charges.pay_several((ID,), method=SBP),
        "charges.pay_several(): items[0]: expected ItemToPay, got str 'c…1'",
    ),
    "one for several": (
        lambda cabinet: cabinet.charges.pay_several(ItemToPay(ID), method=SBP),
        "charges.pay_several(): items: expected tuple of ItemToPay, got ItemToPay",
    ),
    "int for an id of a flow": (
        lambda cabinet: cabinet.charges.wait_for_payment(5),
        "charges.wait_for_payment(): payment_id: expected PaymentId (str), got int",
    ),
    "text for seconds": (
        lambda cabinet: cabinet.charges.wait_for_payment("pay_1", timeout="5"),
        "charges.wait_for_payment(): timeout: expected float, got str '…'",
    ),
    "an answer of what is no row": (
        lambda cabinet: cabinet.answer("charges.list"),
        "answer() takes a row of the contract, such as LIST_CHARGES, not str 'ch…st'",
    ),
    "a whole answer": (
        lambda cabinet: cabinet.answer(PAY_CHARGE, ID, method="sbp"),
        "charges.pay(): method: expected PaymentMethod, got str '…': write PaymentMethod.SBP",
    ),
}


@pytest.mark.parametrize("call, message", KINDS.values(), ids=KINDS.keys())
async def test_a_wrong_kind_is_refused_before_anything_is_sent(
    client: AsyncCabinet, world: World, call: Mistake, message: str
) -> None:
    """The error names method, argument and kinds, masks the value, and often says what to write."""
    with pytest.raises(UsageError) as caught:
        await outcome(call, client)

    assert str(caught.value) == message
    assert world.requests == ()


NAMES: dict[str, tuple[Mistake, str]] = {
    "a slip": (
        lambda cabinet: cabinet.charges.list(stauts=ChargeStatus.PAID),
        "charges.list() got an unexpected keyword argument 'stauts'; did you mean 'status'?",
    ),
    "unknown": (
        lambda cabinet: cabinet.charges.get(ID, colour="red"),
        "charges.get() got an unexpected keyword argument 'colour'; there are charge_id",
    ),
    "missing": (
        lambda cabinet: cabinet.charges.pay(),
        "charges.pay() missing required argument(s): 'charge_id', 'method'",
    ),
    "by place": (
        lambda cabinet: cabinet.charges.pay(ID, SBP),
        "charges.pay() takes 1 positional argument(s), got 2; by name go method=…, amount=…",
    ),
    "twice": (
        lambda cabinet: cabinet.charges.get(ID, charge_id=ID),
        "charges.get() got multiple values for argument 'charge_id'",
    ),
    "of a flow": (
        lambda cabinet: cabinet.charges.wait_for_payment("pay_1", timout=5),
        "charges.wait_for_payment() got an unexpected keyword argument 'timout'; did you mean 'timeout'?",
    ),
    "missing in a flow": (
        lambda cabinet: cabinet.charges.wait_for_payment(),
        "charges.wait_for_payment() missing required argument(s): 'payment_id'",
    ),
    "of a whole answer": (
        lambda cabinet: cabinet.answer(LIST_CHARGES, perid=Period.year(2026)),
        "charges.list() got an unexpected keyword argument 'perid'; did you mean 'period'?",
    ),
}


@pytest.mark.parametrize("call, message", NAMES.values(), ids=NAMES.keys())
async def test_a_wrong_name_is_refused_by_the_name_of_the_method(
    client: AsyncCabinet, world: World, call: Mistake, message: str
) -> None:
    """It is a `TypeError`, as of any function, and says what was meant where that is near."""
    with pytest.raises(TypeError) as caught:
        await outcome(call, client)

    assert str(caught.value) == message
    assert world.requests == ()


async def test_what_is_right_goes_through(client: AsyncCabinet, world: World, person: Profile) -> None:
    """Subclasses of the kind, codes that nobody knows yet, whole numbers as seconds and lists for tuples are right."""
    charge = world.charges.add(person, Money("10.00"))
    any_client: Any = client

    assert [item async for item in client.charges.list(payee_inn=OrganisationInn("7707083893"))] == []
    assert [item.id async for item in client.charges.list(overdue=False, period=None)] == [charge.id]
    payment = await any_client.charges.pay_several([ItemToPay(charge.id)], method=SBP)
    assert (await client.charges.wait_for_payment(payment.id, timeout=900)).status == PaymentStatus.SUCCEEDED


async def test_downloads_and_uploads_are_checked_too(client: AsyncCabinet, world: World) -> None:
    """Every kind of row refuses what does not belong."""
    sample_world(world)
    samples: Any = samples_of(client)

    with pytest.raises(UsageError, match=r"samples\.download\(\): sample_id: expected SampleId \(str\), got int"):
        await samples.download(5)
    with pytest.raises(UsageError, match=r"samples\.upload\(\): file: expected File, got bytes"):
        await samples.upload(b"content")
    assert world.requests == ()
