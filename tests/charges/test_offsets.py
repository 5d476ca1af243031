"""Overpayments to future payments: other charges are paid with them, through both clients, in memory and over HTTP."""

from __future__ import annotations

import datetime as dt

import pytest

from cabinet_sdk import AsyncCabinet
from cabinet_sdk.charges import (
    Charge,
    ChargeEventKind,
    ChargeKind,
    ChargeStatus,
    PaymentMethod,
    Refund,
    RefundMethod,
    RefundStatus,
)
from cabinet_sdk.types import Money
from reference_server import Outcome, Profile, World

NOVEMBER = dt.date(2026, 11, 1)


def charge_of(world: World, profile: Profile, amount: str, day: int, kind: ChargeKind = ChargeKind.FINE) -> Charge:
    """Charge a profile with something due on a day of next December."""
    return world.charges.add(
        profile,
        Money(amount),
        kind=kind,
        accrued_on=NOVEMBER,
        due_on=dt.date(2026, 12, day),
        purpose=f"{kind.label} {day}",
    )


def overpaid(world: World, profile: Profile, by: str, kind: ChargeKind = ChargeKind.FINE) -> Charge:
    """Charge a profile with 100 roubles and credit more than that."""
    charge = charge_of(world, profile, "100.00", 31, kind)
    world.charges.credit(profile, charge, Money("100.00") + Money(by))
    return charge


async def offset(client: AsyncCabinet, charge: Charge) -> Refund:
    """Have an overpayment go to future payments, and wait until it does."""
    refund = await client.charges.request_refund(charge.id, method=RefundMethod.FUTURE_PAYMENTS)
    return await client.charges.wait_for_refund(refund.id)


@pytest.mark.feature("CH-03", "CH-10")
async def test_open_charges_are_paid_in_the_order_of_their_terms(
    client: AsyncCabinet, world: World, person: Profile
) -> None:
    """The earliest term is paid first; it is decided the next working day, with no order to the Treasury."""
    source = overpaid(world, person, "70.00")
    late, early = charge_of(world, person, "50.00", 20), charge_of(world, person, "40.00", 10)

    done = await offset(client, source)

    assert (done.status, done.payment_order_number, done.advance) == (RefundStatus.COMPLETED, None, Money.ZERO)
    assert done.settled_at == dt.datetime(2026, 11, 17, 6, tzinfo=dt.UTC)
    assert [(item.charge_id, item.amount) for item in done.items] == [
        (early.id, Money("40.00")),
        (late.id, Money("30.00")),
    ]
    states = [await client.charges.get(each.id) for each in (source, early, late)]
    assert [(each.paid, each.overpaid, each.status) for each in states] == [
        (Money("100.00"), Money.ZERO, ChargeStatus.PAID),
        (Money("40.00"), Money.ZERO, ChargeStatus.PAID),
        (Money("30.00"), Money.ZERO, ChargeStatus.PARTLY_PAID),
    ]
    world.charges.check_books()


@pytest.mark.feature("CH-03", "CH-07")
async def test_an_offset_stands_in_the_history_of_both_charges(
    client: AsyncCabinet, world: World, person: Profile
) -> None:
    """Where each rouble went is told on the charge that it left, and where it came from on the one that it paid."""
    source = overpaid(world, person, "70.00")
    paid = charge_of(world, person, "40.00", 10)

    refund = await offset(client, source)

    left = [event async for event in client.charges.history(source.id)]
    came = [event async for event in client.charges.history(paid.id)]
    assert [(event.kind, event.amount, event.comment) for event in left[-3:]] == [
        (
            ChargeEventKind.REFUND_REQUESTED,
            Money("70.00"),
            f"Заявление № {refund.number}: в счёт будущих платежей",
        ),
        (ChargeEventKind.OVERPAYMENT_OFFSET, Money("40.00"), f"Зачтено по заявлению № {refund.number}: Штраф 10"),
        (
            ChargeEventKind.ADVANCE_KEPT,
            Money("30.00"),
            f"Остаток по заявлению № {refund.number} зачтётся при новых начислениях",
        ),
    ]
    assert [(event.kind, event.amount, event.comment) for event in came[-1:]] == [
        (ChargeEventKind.OFFSET_CREDITED, Money("40.00"), f"Зачтена переплата по заявлению № {refund.number}")
    ]
    assert {event.refund_id for event in [*left[-3:], *came[-1:]]} == {refund.id}


@pytest.mark.feature("CH-03", "CH-10")
async def test_the_rest_pays_new_charges_as_they_are_accrued(
    client: AsyncCabinet, world: World, person: Profile
) -> None:
    """What no open charge needs is kept as an advance and applied by itself, older advances first."""
    sources = [overpaid(world, person, "30.00") for _ in range(2)]
    first, second = [await offset(client, source) for source in sources]
    assert (first.items, first.advance, second.advance) == ((), Money("30.00"), Money("30.00"))

    partly = charge_of(world, person, "20.00", 10)
    charge = charge_of(world, person, "100.00", 11)

    assert (partly.status, partly.paid) == (ChargeStatus.PAID, Money("20.00"))
    assert (charge.status, charge.paid, charge.due) == (ChargeStatus.PARTLY_PAID, Money("40.00"), Money("60.00"))
    assert await client.charges.get(charge.id) == charge
    after = [await client.charges.refund(refund.id) for refund in (first, second)]
    assert [(refund.advance, [item.amount for item in refund.items]) for refund in after] == [
        (Money.ZERO, [Money("20.00"), Money("10.00")]),
        (Money.ZERO, [Money("30.00")]),
    ]
    history = [event.kind async for event in client.charges.history(first.charge_id)]
    assert history[-2:] == [ChargeEventKind.ADVANCE_APPLIED] * 2
    world.charges.check_books()


@pytest.mark.feature("CH-03")
async def test_what_a_payment_under_way_will_pay_is_left_to_it(
    client: AsyncCabinet, world: World, person: Profile
) -> None:
    """An offset pays beside a pending payment, so that the two together do not overpay."""
    source = overpaid(world, person, "70.00")
    charge = charge_of(world, person, "40.00", 10)
    world.charges.script(Outcome.HOLD)
    await client.charges.pay(charge.id, method=PaymentMethod.BANK_TRANSFER, amount=Money("25.00"))

    done = await offset(client, source)

    assert [(item.charge_id, item.amount) for item in done.items] == [(charge.id, Money("15.00"))]
    state = await client.charges.get(charge.id)
    assert (state.paid, state.pending, state.due) == (Money("15.00"), Money("25.00"), Money.ZERO)
    world.charges.check_books()


@pytest.mark.feature("CH-03")
async def test_money_stays_with_its_payee(client: AsyncCabinet, world: World, person: Profile) -> None:
    """A fine's overpayment pays no tax, and neither does its advance; another profile's charges are out of reach."""
    source = overpaid(world, person, "70.00")
    tax = charge_of(world, person, "40.00", 10, ChargeKind.TAX)
    duty = charge_of(world, person, "40.00", 10, ChargeKind.DUTY)
    foreign = charge_of(world, world.profiles.add("Петров Иван Ильич"), "40.00", 10)

    done = await offset(client, source)
    later = charge_of(world, person, "40.00", 11, ChargeKind.TAX)

    assert (done.items, done.advance) == ((), Money("70.00"))
    assert {(await client.charges.get(each.id)).paid for each in (tax, duty, later)} == {Money.ZERO}
    assert foreign.paid == Money.ZERO
    world.charges.check_books()


@pytest.mark.feature("CH-03")
async def test_taxes_are_one_account(client: AsyncCabinet, world: World, person: Profile) -> None:
    """An overpaid tax pays taxes and contributions by their terms and penalties last, as the Tax Code orders."""
    source = overpaid(world, person, "70.00", ChargeKind.TAX)
    duty = charge_of(world, person, "10.00", 1, ChargeKind.DUTY)
    penalty = charge_of(world, person, "10.00", 1, ChargeKind.PENALTY)
    tax = charge_of(world, person, "20.00", 28, ChargeKind.TAX)
    contribution = charge_of(world, person, "30.00", 15, ChargeKind.CONTRIBUTION)

    done = await offset(client, source)

    assert [item.charge_id for item in done.items] == [contribution.id, tax.id, penalty.id]
    assert done.advance == Money("10.00")
    assert (await client.charges.get(duty.id)).paid == Money.ZERO
    world.charges.check_books()


@pytest.mark.feature("CH-03")
async def test_the_clock_decides_what_comes_first(client: AsyncCabinet, world: World, person: Profile) -> None:
    """Payments and refunds happen in the order of their moments, however far the clock jumps."""
    source = overpaid(world, person, "70.00")
    charge = charge_of(world, person, "40.00", 10)
    refund = await client.charges.request_refund(source.id, method=RefundMethod.FUTURE_PAYMENTS)
    payment = await client.charges.pay(charge.id, method=PaymentMethod.BANK_TRANSFER)

    world.clock.sleep(30 * 86400)

    # The transfer never came, but was still awaited when the offset was decided.
    assert (await client.charges.payment(payment.id)).status == "expired"
    assert (await client.charges.refund(refund.id)).advance == Money("70.00")
    world.charges.check_books()
