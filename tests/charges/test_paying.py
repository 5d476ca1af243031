"""Paying charges, through both clients, in memory and over HTTP."""

from __future__ import annotations

import datetime as dt
import math
from collections import deque

import pytest

from cabinet_sdk import AsyncCabinet
from cabinet_sdk.charges import (
    AmountExceedsDue,
    BankTransferStatus,
    ChargeEventKind,
    ChargeId,
    ChargeKind,
    ChargeNotFound,
    ChargeStatus,
    ItemToPay,
    MethodNotLinked,
    NothingDue,
    PaymentId,
    PaymentInvalid,
    PaymentMethod,
    PaymentNotFound,
    PaymentStatus,
)
from cabinet_sdk.errors import CabinetError, DeadlineExceeded, InvalidRequest, UsageError
from cabinet_sdk.types import Money, Period
from reference_server import Outcome, Profile, World
from tests.conftest import Connect

_ENTERED_BY_THE_PAYER = [
    method
    for method in PaymentMethod.members()
    if method not in {PaymentMethod.BANK_TRANSFER, PaymentMethod.LINKED_CARD, PaymentMethod.LINKED_ACCOUNT}
]


@pytest.mark.feature("CH-05", "CH-10")
@pytest.mark.parametrize("method", _ENTERED_BY_THE_PAYER)
async def test_a_payment_goes_from_created_to_succeeded(
    client: AsyncCabinet,
    world: World,
    person: Profile,
    method: PaymentMethod,
) -> None:
    """Each method is created, awaits its payer with a page, and is credited; the charge shows each state at once."""
    charge = world.charges.add(person, Money("700.00"))

    payment = await client.charges.pay(charge.id, method=method)

    assert payment.status == PaymentStatus.CREATED
    assert payment.amount == Money("700.00")
    pending = await client.charges.get(charge.id)
    assert (pending.status, pending.pending, pending.due) == (ChargeStatus.NOT_PAID, Money("700.00"), Money.ZERO)

    awaiting = await client.charges.wait_for_confirmation(payment.id)
    assert awaiting.status == PaymentStatus.AWAITING_CONFIRMATION
    assert awaiting.confirmation is not None
    assert awaiting.confirmation.url.endswith(f"/pay/{payment.id}")

    done = await client.charges.wait_for_payment(payment.id)
    assert done.status == PaymentStatus.SUCCEEDED
    assert done.confirmation is None
    assert done.payment_order_number is not None
    paid = await client.charges.get(charge.id)
    assert (paid.status, paid.paid, paid.pending, paid.due) == (
        ChargeStatus.PAID,
        Money("700.00"),
        Money.ZERO,
        Money.ZERO,
    )
    world.charges.check_books()


@pytest.mark.feature("CH-05")
async def test_sbp_shows_a_code_to_scan(client: AsyncCabinet, world: World, person: Profile) -> None:
    """СБП and the cash register give a text for a QR code, a card does not."""
    charge = world.charges.add(person, Money("700.00"))
    by_code = await client.charges.pay(charge.id, method=PaymentMethod.SBP, amount=Money("1.00"))
    by_card = await client.charges.pay(charge.id, method=PaymentMethod.BANK_CARD, amount=Money("1.00"))

    with_code = (await client.charges.wait_for_confirmation(by_code.id)).confirmation
    without = (await client.charges.wait_for_confirmation(by_card.id)).confirmation

    assert with_code is not None
    assert with_code.qr is not None
    assert without is not None
    assert without.qr is None


@pytest.mark.feature("CH-05", "CH-07")
async def test_part_payment_leaves_the_rest_due(client: AsyncCabinet, world: World, person: Profile) -> None:
    """Part of a charge is paid, the rest stays due, and the history tells every step with its payment order."""
    charge = world.charges.add(person, Money("100.00"))

    payment = await client.charges.pay(charge.id, method=PaymentMethod.BANK_CARD, amount=Money("30.01"))
    payment = await client.charges.wait_for_payment(payment.id)

    partly = await client.charges.get(charge.id)
    assert (partly.status, partly.paid, partly.due) == (ChargeStatus.PARTLY_PAID, Money("30.01"), Money("69.99"))
    history = [event async for event in client.charges.history(charge.id)]
    assert [event.kind for event in history] == [
        ChargeEventKind.ACCRUED,
        ChargeEventKind.PAYMENT_CREATED,
        ChargeEventKind.PAYMENT_SUCCEEDED,
    ]
    assert history[-1].payment_order_number == payment.payment_order_number
    assert history[-1].payee == charge.requisites.payee
    assert history[-1].payment_id == payment.id


@pytest.mark.feature("CH-05")
@pytest.mark.parametrize("outcome,status", [(Outcome.DECLINE, "declined"), (Outcome.HOLD, "expired")])
async def test_a_failed_payment_frees_what_it_held(
    client: AsyncCabinet,
    world: World,
    person: Profile,
    outcome: Outcome,
    status: str,
) -> None:
    """A declined or expired payment credits nothing, says why, and the charge can be paid again."""
    charge = world.charges.add(person, Money("100.00"))
    world.charges.script(outcome)

    payment = await client.charges.pay(charge.id, method=PaymentMethod.BANK_CARD)
    payment = await client.charges.wait_for_payment(payment.id, timeout=3600)

    assert payment.status == status
    assert (payment.decline_reason is not None) == (status == "declined")
    free = await client.charges.get(charge.id)
    assert (free.paid, free.pending, free.due) == (Money.ZERO, Money.ZERO, Money("100.00"))
    again = await client.charges.pay(charge.id, method=PaymentMethod.BANK_CARD)
    assert (await client.charges.wait_for_payment(again.id)).status == PaymentStatus.SUCCEEDED
    world.charges.check_books()


@pytest.mark.feature("CH-05")
async def test_waiting_has_its_own_timeout(client: AsyncCabinet, world: World, person: Profile) -> None:
    """Waiting ends with an error after the caller's timeout; the payment goes on."""
    charge = world.charges.add(person, Money("100.00"))
    world.charges.script(Outcome.HOLD)
    payment = await client.charges.pay(charge.id, method=PaymentMethod.BANK_CARD)

    with pytest.raises(DeadlineExceeded):
        await client.charges.wait_for_payment(payment.id, timeout=5)

    world.charges.confirm(payment.id)
    assert (await client.charges.wait_for_payment(payment.id)).status == PaymentStatus.SUCCEEDED


@pytest.mark.feature("CH-05")
@pytest.mark.parametrize("fault", ["refuse", "lose_request", "garble_answer", "crash"])
async def test_waiting_outlives_an_outage(client: AsyncCabinet, world: World, person: Profile, fault: str) -> None:
    """What would end a call is no end of a wait: it goes on once the service is back."""
    charge = world.charges.add(person, Money("100.00"))
    payment = await client.charges.pay(charge.id, method=PaymentMethod.BANK_CARD)
    outage = getattr(world.faults, fault)("charges.payment", seconds=30)

    payment = await client.charges.wait_for_payment(payment.id)

    assert payment.status == PaymentStatus.SUCCEEDED
    assert outage.hits > 4


@pytest.mark.feature("CH-05")
async def test_waiting_ends_in_time_whatever_the_service_does(
    client: AsyncCabinet, world: World, person: Profile
) -> None:
    """An outage that lasts longer than the wait ends it, a second late at most, and says what it was."""
    charge = world.charges.add(person, Money("100.00"))
    payment = await client.charges.pay(charge.id, method=PaymentMethod.BANK_CARD)
    world.faults.refuse("charges.payment", seconds=3600)
    began = world.clock.monotonic()

    with pytest.raises(DeadlineExceeded, match=r"Not there yet after 5 s.*The last reading: ") as caught:
        await client.charges.wait_for_payment(payment.id, timeout=5)

    assert isinstance(caught.value.__cause__, CabinetError)
    assert world.clock.monotonic() - began <= 6
    with pytest.raises(UsageError, match="timeout: expected seconds"):
        await client.charges.wait_for_payment(payment.id, timeout=math.nan)


@pytest.mark.feature("CH-05")
async def test_waiting_ends_with_what_will_not_pass(client: AsyncCabinet, world: World, person: Profile) -> None:
    """A payment that is not there will not come, and nobody waits for it."""
    world.charges.add(person, Money("100.00"))
    began = world.clock.now()

    with pytest.raises(PaymentNotFound):
        await client.charges.wait_for_payment(PaymentId("pay_none"))

    assert world.clock.now() == began


@pytest.mark.feature("CH-05")
async def test_several_charges_in_one_payment(client: AsyncCabinet, world: World, person: Profile) -> None:
    """One payment pays several charges, each with its own amount."""
    whole = world.charges.add(person, Money("100.00"))
    part = world.charges.add(person, Money("50.00"), kind=ChargeKind.TAX)

    # Any sequence serves.
    items = deque([ItemToPay(whole.id), ItemToPay(part.id, Money("20.00"))])
    payment = await client.charges.pay_several(items, method=PaymentMethod.ONLINE_BANKING)
    payment = await client.charges.wait_for_payment(payment.id)

    assert payment.amount == Money("120.00")
    assert [(item.charge_id, item.amount) for item in payment.items] == [
        (whole.id, Money("100.00")),
        (part.id, Money("20.00")),
    ]
    assert (await client.charges.get(whole.id)).status == ChargeStatus.PAID
    assert (await client.charges.get(part.id)).status == ChargeStatus.PARTLY_PAID
    world.charges.check_books()


@pytest.mark.feature("CH-05")
async def test_several_charges_are_paid_all_or_none(client: AsyncCabinet, world: World, person: Profile) -> None:
    """When one of several charges cannot be paid, none is touched."""
    good = world.charges.add(person, Money("100.00"))

    with pytest.raises(ChargeNotFound):
        await client.charges.pay_several(
            (ItemToPay(good.id), ItemToPay(ChargeId("chg_none"))),
            method=PaymentMethod.SBP,
        )

    assert (await client.charges.get(good.id)).pending == Money.ZERO
    assert len([event async for event in client.charges.history(good.id)]) == 1


@pytest.mark.feature("CH-05")
async def test_what_cannot_be_paid_is_refused(client: AsyncCabinet, world: World, person: Profile) -> None:
    """Too much, nothing due, nothing linked, zero, and one charge twice: each is refused with its own reason."""
    charge = world.charges.add(person, Money("100.00"))
    card = PaymentMethod.BANK_CARD

    with pytest.raises(AmountExceedsDue) as too_much:
        await client.charges.pay(charge.id, method=card, amount=Money("100.01"))
    with pytest.raises(PaymentInvalid) as zero:
        await client.charges.pay(charge.id, method=card, amount=Money("0.00"))
    with pytest.raises(InvalidRequest) as twice:
        await client.charges.pay_several((ItemToPay(charge.id), ItemToPay(charge.id)), method=card)
    with pytest.raises(MethodNotLinked):
        await client.charges.pay(charge.id, method=PaymentMethod.LINKED_CARD)
    with pytest.raises(PaymentNotFound):
        await client.charges.payment(PaymentId("pay_none"))
    await client.charges.pay(charge.id, method=card)
    with pytest.raises(NothingDue):
        await client.charges.pay(charge.id, method=card)

    assert too_much.value.due == Money("100.00")
    assert [error.field for error in zero.value.errors] == ["amount"]
    assert [error.field for error in twice.value.errors] == ["items[1].charge_id"]
    assert isinstance(twice.value, PaymentInvalid)


@pytest.mark.feature("CH-05")
async def test_a_linked_card_pays(connect: Connect, world: World) -> None:
    """Who has linked a card pays with it."""
    payer = world.profiles.add("Орлова Вера", linked=frozenset({PaymentMethod.LINKED_CARD}))
    charge = world.charges.add(payer, Money("10.00"))
    client = connect(payer)

    payment = await client.charges.pay(charge.id, method=PaymentMethod.LINKED_CARD)

    assert (await client.charges.wait_for_payment(payment.id)).status == PaymentStatus.SUCCEEDED


@pytest.mark.feature("CH-05")
async def test_a_bank_transfer_is_matched_by_its_number(client: AsyncCabinet, world: World, person: Profile) -> None:
    """A transfer whose purpose carries the payment's unique number credits the payment's charge by itself."""
    charge = world.charges.add(person, Money("100.00"))
    payment = await client.charges.pay(charge.id, method=PaymentMethod.BANK_TRANSFER)
    assert payment.status == PaymentStatus.AWAITING_CONFIRMATION

    purpose = f"Оплата штрафа, платёж № {payment.number}. Без НДС"
    world.charges.receive_transfer(person.inn, Money("60.00"), purpose=purpose, payment_order_number="17")
    partly = await client.charges.get(charge.id)
    assert (partly.status, partly.paid, partly.pending) == (
        ChargeStatus.PARTLY_PAID,
        Money("60.00"),
        Money("40.00"),
    )
    world.charges.receive_transfer(person.inn, Money("41.00"), purpose=purpose, payment_order_number="18")

    done = await client.charges.payment(payment.id)
    paid = await client.charges.get(charge.id)
    assert (done.status, done.payment_order_number) == (PaymentStatus.SUCCEEDED, "18")
    assert (paid.status, paid.overpaid, paid.pending) == (ChargeStatus.PAID, Money("1.00"), Money.ZERO)
    matched = [transfer async for transfer in client.charges.bank_transfers(status=BankTransferStatus.MATCHED)]
    assert [transfer.amount for transfer in matched] == [Money("41.00"), Money("60.00")]
    world.charges.check_books()


@pytest.mark.feature("CH-05")
async def test_a_transfer_that_names_nothing_stays_visible(client: AsyncCabinet, world: World, person: Profile) -> None:
    """A transfer that matches nothing is listed as unmatched and credits nothing; one with a УИН finds its charge."""
    charge = world.charges.add(person, Money("100.00"))

    world.charges.receive_transfer(person.inn, Money("5.00"), purpose="За штраф")
    world.charges.receive_transfer(person.inn, Money("7.00"), purpose=f"Штраф, УИН {charge.uin}")

    unmatched = [transfer async for transfer in client.charges.bank_transfers(status=BankTransferStatus.UNMATCHED)]
    assert [(transfer.amount, transfer.items) for transfer in unmatched] == [(Money("5.00"), ())]
    assert unmatched[0].status.label == "Невыясненный платёж"
    assert (await client.charges.get(charge.id)).paid == Money("7.00")
    world.charges.check_books()


@pytest.mark.feature("CH-05")
async def test_whoever_pays_for_another_learns_nothing_of_the_other(connect: Connect, world: World) -> None:
    """A transfer that pays somebody else's charge is told with its amount, and not which charge it was."""
    payer, other = (world.profiles.add(name) for name in ("Иванов Иван", "Петров Пётр"))
    theirs, own = (world.charges.add(profile, Money("70.00"), kind=ChargeKind.FINE) for profile in (other, payer))
    for charge in (theirs, own):
        world.charges.receive_transfer(payer.inn, Money("70.00"), purpose="Штраф", uin=charge.uin)
    client = connect(payer)

    found = [transfer async for transfer in client.charges.bank_transfers()]

    assert [(each.amount, each.unmatched) for each in found] == [(Money("70.00"), Money.ZERO)] * 2
    assert [item.charge_id for each in found for item in each.items] == [own.id]
    assert (await connect(other).charges.get(theirs.id)).status == ChargeStatus.PAID


@pytest.mark.feature("CH-05")
async def test_an_unpaid_transfer_expires(client: AsyncCabinet, world: World, person: Profile) -> None:
    """A bank transfer that never comes expires after five days; what comes later is unmatched."""
    charge = world.charges.add(person, Money("100.00"))
    payment = await client.charges.pay(charge.id, method=PaymentMethod.BANK_TRANSFER)

    world.clock.sleep(5 * 24 * 3600)
    assert (await client.charges.payment(payment.id)).status == PaymentStatus.EXPIRED
    world.charges.receive_transfer(person.inn, Money("100.00"), purpose=payment.number)

    assert (await client.charges.get(charge.id)).paid == Money.ZERO
    assert len([transfer async for transfer in client.charges.bank_transfers()]) == 1
    world.charges.check_books()


@pytest.mark.feature("CH-06", "CH-10")
async def test_payments_are_listed_the_newest_first(client: AsyncCabinet, world: World, person: Profile) -> None:
    """Status, method and days in Moscow each leave what they name; a payment is there as soon as it is made."""
    charge = world.charges.add(person, Money("100.00"))
    made: list[PaymentId] = []
    for method in (PaymentMethod.SBP, PaymentMethod.BANK_TRANSFER, PaymentMethod.SBP):
        payment = await client.charges.pay(charge.id, method=method, amount=Money("10.00"))
        listed = [each async for each in client.charges.payments()]
        assert listed[0] == payment
        made.insert(0, payment.id)
        world.clock.sleep(12.5 * 3600)

    async def ids(**filters: object) -> list[PaymentId]:
        return [payment.id async for payment in client.charges.payments(**filters)]  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    assert await ids() == made
    assert await ids(status=PaymentStatus.SUCCEEDED) == [made[0], made[2]]
    assert await ids(method=PaymentMethod.BANK_TRANSFER) == [made[1]]
    assert await ids(method=PaymentMethod.SBP, status=PaymentStatus.DECLINED) == []
    # Made at noon, half past midnight and one in the afternoon in Moscow.
    assert await ids(period=Period(dt.date(2026, 11, 17), dt.date(2026, 11, 17))) == made[:2]
    assert await ids(period=Period(dt.date(2026, 11, 15), dt.date(2026, 11, 16))) == made[2:]
    assert [each.id async for each in client.with_options(page_size=2).charges.payments()] == made


@pytest.mark.feature("CH-06")
async def test_payments_show_what_went_where(
    client: AsyncCabinet, connect: Connect, world: World, person: Profile
) -> None:
    """The list and the card show the same payment, its items and the page included; nobody sees another's."""
    charges = [world.charges.add(person, Money("10.00")) for _ in range(3)]
    several = await client.charges.pay_several(
        tuple(ItemToPay(charge.id) for charge in charges[:2]), method=PaymentMethod.SBP
    )
    single = await client.charges.pay(charges[2].id, method=PaymentMethod.BANK_CARD)
    await client.charges.wait_for_confirmation(single.id)
    stranger = world.profiles.add("Петров Иван Ильич")
    assert [each async for each in connect(stranger).charges.payments()] == []

    listed = {payment.id: payment async for payment in client.charges.payments()}

    assert listed == {each: await client.charges.payment(each) for each in (several.id, single.id)}
    assert [item.charge_id for item in listed[several.id].items] == [charge.id for charge in charges[:2]]
    assert all(payment.confirmation is not None for payment in listed.values())
