"""Overpayments and their refunds, through both clients, in memory and over HTTP."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest

from cabinet_sdk import AsyncCabinet
from cabinet_sdk.charges import (
    AmountExceedsOverpayment,
    Charge,
    ChargeEventKind,
    ChargeId,
    ChargeNotFound,
    ChargeStatus,
    MethodNotLinked,
    NothingOverpaid,
    RefundId,
    RefundInvalid,
    RefundMethod,
    RefundNotFound,
    RefundStatus,
)
from cabinet_sdk.charges.operations import GET_REFUND
from cabinet_sdk.errors import DeadlineExceeded, PermissionMissing
from cabinet_sdk.types import Money, Period, moscow_date
from reference_server import ManualClock, Outcome, Profile, World
from reference_server.testing import connect as connect_to
from reference_server.working_days import is_working_day
from tests.conftest import Connect
from tests.server.raw import Raw, document

TUESDAY = dt.datetime(2026, 11, 17, 6, 0, tzinfo=dt.UTC)
"""When authorities open on the day after a world's first one, at nine in Moscow."""
DAY = dt.timedelta(days=1)


def overpaid(world: World, profile: Profile, by: str = "30.00") -> Charge:
    """Charge a profile with a fine of 100 roubles and credit more than that."""
    charge = world.charges.add(profile, Money("100.00"))
    world.charges.credit(profile, charge, charge.amount + Money(by), payment_order_number="41")
    return charge


@pytest.fixture
def charge(world: World, person: Profile) -> Charge:
    """A fine of 100 roubles to which 130 are credited."""
    return overpaid(world, person)


@pytest.mark.feature("CH-03", "CH-10")
async def test_a_request_in_one_call_brings_money_back(client: AsyncCabinet, world: World, charge: Charge) -> None:
    """Asked for on Monday, granted on Tuesday with an order to the Treasury, paid on Wednesday; each state at once."""
    refund = await client.charges.request_refund(charge.id, method=RefundMethod.COMPENSATION)

    assert (refund.status, refund.amount, refund.charge_id) == (RefundStatus.REQUESTED, Money("30.00"), charge.id)
    assert refund.confirmation is None
    held = await client.charges.get(charge.id)
    assert (held.paid, held.overpaid, held.refunding) == (Money("130.00"), Money("30.00"), Money("30.00"))

    world.clock.sleep((TUESDAY - world.clock.now()).total_seconds() - 1)
    assert (await client.charges.refund(refund.id)).status == RefundStatus.REQUESTED
    world.clock.sleep(1)
    granted = await client.charges.refund(refund.id)
    assert granted.status == RefundStatus.IN_PROGRESS
    assert granted.payment_order_number is not None
    assert granted.settled_at is None

    done = await client.charges.wait_for_refund(refund.id)
    assert done.status == RefundStatus.COMPLETED
    assert done.payment_order_number == granted.payment_order_number
    assert done.settled_at == TUESDAY + DAY
    after = await client.charges.get(charge.id)
    assert (after.status, after.paid, after.overpaid, after.refunding) == (
        ChargeStatus.PAID,
        Money("100.00"),
        Money.ZERO,
        Money.ZERO,
    )
    world.charges.check_books()


@pytest.mark.feature("CH-03")
async def test_overpayments_tell_sum_day_method_and_state(client: AsyncCabinet, world: World, charge: Charge) -> None:
    """One call lists what is overpaid, by how much, since when, and how and where its refund stands."""
    before = [each async for each in client.charges.overpayments()]
    assert [(each.charge_id, each.amount, each.refundable, each.refund) for each in before] == [
        (charge.id, Money("30.00"), Money("30.00"), None)
    ]
    assert (before[0].kind, before[0].purpose, before[0].payee) == (
        charge.kind,
        charge.purpose,
        charge.requisites.payee,
    )
    assert before[0].credited_on == moscow_date(world.clock.now())

    refund = await client.charges.request_refund(charge.id, method=RefundMethod.FUTURE_PAYMENTS, amount=Money("10.00"))
    (asked,) = [each async for each in client.charges.overpayments()]
    assert (asked.amount, asked.refundable, asked.refund) == (Money("30.00"), Money("20.00"), refund)
    assert refund.method.label == "В счёт будущих платежей"
    assert refund.status.label == "Заявление подано"

    await client.charges.wait_for_refund(refund.id)
    (left,) = [each async for each in client.charges.overpayments()]
    assert (left.amount, left.refundable) == (Money("20.00"), Money("20.00"))
    assert left.refund is not None
    assert left.refund.status == RefundStatus.COMPLETED

    rest = await client.charges.request_refund(charge.id, method=RefundMethod.COMPENSATION)
    await client.charges.wait_for_refund(rest.id)
    assert [each async for each in client.charges.overpayments()] == []


@pytest.mark.feature("CH-03")
async def test_a_new_overpayment_begins_without_a_refund(client: AsyncCabinet, world: World, person: Profile) -> None:
    """What is overpaid again after a refund has its own day, and nothing requested."""
    charge = overpaid(world, person)
    refund = world.charges.request_refund(person, charge, RefundMethod.COMPENSATION)
    world.charges.complete_refund(refund.id)
    world.clock.sleep(3 * 86400)

    world.charges.credit(person, charge, Money("5.00"))

    (again,) = [each async for each in client.charges.overpayments()]
    assert (again.amount, again.refund) == (Money("5.00"), None)
    assert again.credited_on == dt.date(2026, 11, 19)


@pytest.mark.feature("CH-03", "CH-01")
async def test_overpaid_charges_are_found_and_sorted(client: AsyncCabinet, world: World, person: Profile) -> None:
    """The list of charges takes overpaid ones only or none of them; overpayments come the latest first, in pages."""
    plain = world.charges.add(person, Money("100.00"))
    made: list[ChargeId] = []
    for _ in range(5):
        made.append(overpaid(world, person).id)
        world.clock.sleep(86400)

    assert {each.id async for each in client.charges.list(overpaid=True)} == set(made)
    assert {each.id async for each in client.charges.list(overpaid=True, kind=plain.kind)} == set(made)
    assert [each.id async for each in client.charges.list(overpaid=True, status=ChargeStatus.NOT_PAID)] == []
    assert [each.id async for each in client.charges.list(overpaid=False)] == [plain.id]
    small = client.with_options(page_size=2)
    assert [each.charge_id async for each in small.charges.overpayments()] == made[::-1]
    assert [each.charge_id async for each in small.charges.overpayments(kind=plain.kind)] == made[::-1]


@pytest.mark.feature("CH-03")
async def test_a_bank_card_is_chosen_on_a_page(client: AsyncCabinet, world: World, charge: Charge) -> None:
    """A refund to a card needs no number: a page is open until its holder has chosen, then the payee decides."""
    refund = await client.charges.request_refund(charge.id, method=RefundMethod.BANK_CARD)

    assert refund.confirmation is not None
    assert refund.confirmation.url.endswith(f"/refunds/{refund.id}")
    world.clock.sleep(2)
    chosen = await client.charges.refund(refund.id)
    assert (chosen.status, chosen.confirmation) == (RefundStatus.REQUESTED, None)
    assert (await client.charges.wait_for_refund(refund.id)).status == RefundStatus.COMPLETED
    world.charges.check_books()


@pytest.mark.feature("CH-03")
async def test_a_card_chosen_by_a_test(client: AsyncCabinet, world: World, charge: Charge) -> None:
    """A test may choose the card in the holder's place, and what is held stays held then."""
    world.charges.script_refunds(Outcome.HOLD)
    refund = await client.charges.request_refund(charge.id, method=RefundMethod.BANK_CARD)
    world.clock.sleep(3600)
    assert (await client.charges.refund(refund.id)).confirmation is not None

    assert world.charges.choose_card(refund.id).confirmation is None

    world.clock.sleep(10 * 86400)
    assert (await client.charges.refund(refund.id)).status == RefundStatus.REQUESTED
    with pytest.raises(ValueError, match="awaits no card"):
        world.charges.choose_card(refund.id)
    assert world.charges.complete_refund(refund.id).payment_order_number is not None
    world.charges.check_books()


@pytest.mark.feature("CH-03")
async def test_a_linked_card_gets_a_refund(connect: Connect, world: World, charge: Charge) -> None:
    """Who has linked a card gets money back to it without any page; who has not is told so."""
    owner = world.profiles.add("Орлова Вера", linked=frozenset({RefundMethod.LINKED_CARD}))
    own = overpaid(world, owner)
    refund = await connect(owner).charges.request_refund(own.id, method=RefundMethod.LINKED_CARD)

    assert refund.confirmation is None
    stranger = connect(world.profiles.all()[0])
    with pytest.raises(MethodNotLinked):
        await stranger.charges.request_refund(charge.id, method=RefundMethod.LINKED_CARD)


@pytest.mark.feature("CH-03")
async def test_authorities_do_not_work_at_weekends(client: AsyncCabinet, world: World, person: Profile) -> None:
    """What is asked for on a Friday evening is granted on Monday and paid on Tuesday."""
    world.clock.sleep(4 * 86400)
    charge = overpaid(world, person)

    refund = await client.charges.request_refund(charge.id, method=RefundMethod.COMPENSATION)
    done = await client.charges.wait_for_refund(refund.id)

    assert refund.created_at.isoweekday() == 5
    assert done.settled_at == TUESDAY + 7 * DAY
    history = [(event.kind, event.at) async for event in client.charges.history(charge.id)]
    assert history[-2:] == [
        (ChargeEventKind.REFUND_ORDERED, TUESDAY + 6 * DAY),
        (ChargeEventKind.REFUND_COMPLETED, TUESDAY + 7 * DAY),
    ]


@pytest.mark.feature("CH-03")
@pytest.mark.parametrize(
    "asked, granted, paid",
    [
        # 31 December 2026 is off by decree, 1 to 8 January by law, the 9th and 10th are a weekend.
        ("2026-12-30", "2027-01-11", "2027-01-12"),
        # 23 February is a Tuesday.
        ("2027-02-22", "2027-02-24", "2027-02-25"),
        # 1 and 9 May are a Saturday and a Sunday, for which the Mondays after them are off.
        ("2027-04-30", "2027-05-04", "2027-05-05"),
        ("2027-05-06", "2027-05-07", "2027-05-11"),
    ],
)
def test_authorities_do_not_work_on_holidays(asked: str, granted: str, paid: str) -> None:
    """What would be done on a holiday, or on a day off in its place, is done on the next working day, at nine."""
    # An hour before midnight in Moscow.
    world = World(clock=ManualClock(dt.datetime.fromisoformat(f"{asked}T20:00:00Z")))
    person = world.profiles.add("Иванова Мария Петровна")
    charge = overpaid(world, person)
    with connect_to(world, person) as client:
        client.charges.request_refund(charge.id, method=RefundMethod.COMPENSATION)
        world.clock.sleep(30 * DAY.total_seconds())
        history = [(event.kind, event.at.isoformat()) for event in client.charges.history(charge.id)]
    world.close()

    assert history[-2:] == [
        (ChargeEventKind.REFUND_ORDERED, f"{granted}T06:00:00+00:00"),
        (ChargeEventKind.REFUND_COMPLETED, f"{paid}T06:00:00+00:00"),
    ]


@pytest.mark.parametrize(
    "first, last",
    [
        ("2026-01-01", "2026-01-11"),
        ("2026-02-21", "2026-02-23"),
        ("2026-03-07", "2026-03-09"),
        ("2026-05-01", "2026-05-03"),
        ("2026-05-09", "2026-05-11"),
        ("2026-06-12", "2026-06-14"),
        ("2026-11-04", "2026-11-04"),
        ("2026-12-31", "2027-01-10"),
    ],
)
def test_the_days_off_of_2026(first: str, last: str) -> None:
    """Each holiday of the year is as long as the official calendar says, with a working day before and after."""
    day, end = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    days = [day + number * DAY for number in range((end - day).days + 1)]

    assert not any(is_working_day(each) for each in days)
    # Of 2025 the decree is not known.
    assert is_working_day(day - DAY) or (day - DAY).year == 2025
    assert is_working_day(end + DAY)


@pytest.mark.feature("CH-03", "CH-07")
async def test_the_history_tells_every_step_of_a_refund(client: AsyncCabinet, charge: Charge) -> None:
    """Each step stands in the charge's history with its amount, its refund, the payment order and a comment."""
    refund = await client.charges.request_refund(charge.id, method=RefundMethod.BANK_CARD)
    done = await client.charges.wait_for_refund(refund.id)

    history = [event async for event in client.charges.history(charge.id)]

    assert [event.kind for event in history] == [
        ChargeEventKind.ACCRUED,
        ChargeEventKind.TRANSFER_CREDITED,
        ChargeEventKind.REFUND_REQUESTED,
        ChargeEventKind.REFUND_ORDERED,
        ChargeEventKind.REFUND_COMPLETED,
    ]
    assert {event.refund_id for event in history[2:]} == {refund.id}
    assert {event.amount for event in history[2:]} == {Money("30.00")}
    assert history[1].refund_id is None
    assert history[-1].payment_order_number == history[-2].payment_order_number == done.payment_order_number
    assert history[-1].comment == f"Возвращено по заявлению № {refund.number}: на банковскую карту"


@pytest.mark.feature("CH-03")
async def test_a_refusal_has_its_reason_and_frees_the_overpayment(
    client: AsyncCabinet, world: World, charge: Charge
) -> None:
    """A refused refund moves no money, says why, and the overpayment can be asked for again."""
    world.charges.script_refunds(Outcome.DECLINE)
    refund = await client.charges.request_refund(charge.id, method=RefundMethod.COMPENSATION)

    refused = await client.charges.wait_for_refund(refund.id)

    assert refused.status == RefundStatus.REFUSED
    assert refused.refusal_reason
    assert refused.settled_at == TUESDAY
    free = await client.charges.get(charge.id)
    assert (free.overpaid, free.refunding) == (Money("30.00"), Money.ZERO)
    again = await client.charges.request_refund(charge.id, method=RefundMethod.COMPENSATION)
    assert (await client.charges.wait_for_refund(again.id)).status == RefundStatus.COMPLETED
    world.charges.check_books()


@pytest.mark.feature("CH-03")
async def test_waiting_for_a_refund_has_its_own_timeout(client: AsyncCabinet, world: World, charge: Charge) -> None:
    """A held refund outlasts the wait and goes on; a test may decide it in the payee's place."""
    world.charges.script_refunds(Outcome.HOLD)
    refund = await client.charges.request_refund(charge.id, method=RefundMethod.COMPENSATION)

    with pytest.raises(DeadlineExceeded):
        await client.charges.wait_for_refund(refund.id, timeout=5 * 86400)

    refused = world.charges.refuse_refund(refund.id, "Нет подписи")
    assert await client.charges.refund(refund.id) == refused
    assert refused.refusal_reason == "Нет подписи"
    with pytest.raises(ValueError, match="no pending refund"):
        world.charges.complete_refund(refund.id)


@pytest.mark.feature("CH-03")
async def test_a_pending_refund_says_when_to_look_again(client: AsyncCabinet, charge: Charge) -> None:
    """A client that waits looks once an hour at the most, and soon where something happens soon."""
    by_card = await client.charges.request_refund(charge.id, method=RefundMethod.BANK_CARD, amount=Money("1.00"))
    by_payee = await client.charges.request_refund(charge.id, method=RefundMethod.COMPENSATION)

    answers = [await client.answer(GET_REFUND, refund.id) for refund in (by_card, by_payee)]

    assert [answer.headers.get("retry-after") for answer in answers] == ["2", "3600"]


@pytest.mark.feature("CH-03")
async def test_what_cannot_be_refunded_is_refused(client: AsyncCabinet, world: World, person: Profile) -> None:
    """Too much, nothing overpaid, all of it under way, zero, nobody's charge, no such refund: each has its reason."""
    charge = overpaid(world, person)
    plain = world.charges.add(person, Money("100.00"))
    foreign = overpaid(world, world.profiles.add("Петров Иван Ильич"))
    method = RefundMethod.COMPENSATION

    with pytest.raises(AmountExceedsOverpayment) as too_much:
        await client.charges.request_refund(charge.id, method=method, amount=Money("30.01"))
    with pytest.raises(RefundInvalid) as zero:
        await client.charges.request_refund(charge.id, method=method, amount=Money("0.00"))
    with pytest.raises(NothingOverpaid):
        await client.charges.request_refund(plain.id, method=method)
    for nobodys in (foreign.id, ChargeId("chg_none")):
        with pytest.raises(ChargeNotFound):
            await client.charges.request_refund(nobodys, method=method)
    with pytest.raises(RefundNotFound):
        await client.charges.refund(RefundId("ref_none"))
    await client.charges.request_refund(charge.id, method=method, amount=Money("29.99"))
    with pytest.raises(AmountExceedsOverpayment) as under_way:
        await client.charges.request_refund(charge.id, method=method, amount=Money("0.02"))
    await client.charges.request_refund(charge.id, method=method)
    with pytest.raises(NothingOverpaid):
        await client.charges.request_refund(charge.id, method=method)

    assert too_much.value.refundable == Money("30.00")
    assert under_way.value.refundable == Money("0.01")
    assert [error.field for error in zero.value.errors] == ["amount"]
    world.charges.check_books()


@pytest.mark.feature("CH-03")
async def test_refunds_are_a_right_of_their_own(connect: Connect, world: World) -> None:
    """Who may read and pay may not yet ask for money back; a refund of another profile does not exist."""
    payer = world.profiles.add("Плательщик", permissions=frozenset({"charges.read", "charges.pay"}))
    charge = overpaid(world, payer)
    refund = world.charges.request_refund(payer, charge, RefundMethod.COMPENSATION, Money("1.00"))
    stranger = world.profiles.add("Петров Иван Ильич")

    with pytest.raises(PermissionMissing) as caught:
        await connect(payer).charges.request_refund(charge.id, method=RefundMethod.COMPENSATION)

    assert caught.value.permission == "charges.refund"
    granted = world.charges.order_refund(refund.id)
    assert await connect(payer).charges.refund(refund.id) == granted
    with pytest.raises(RefundNotFound):
        await connect(stranger).charges.refund(refund.id)
    assert [each async for each in connect(stranger).charges.refunds()] == []


@pytest.mark.feature("CH-03")
async def test_refunds_are_listed_the_newest_first(client: AsyncCabinet, world: World, person: Profile) -> None:
    """Charge, status, method and period each leave what they name."""
    first, second = overpaid(world, person), overpaid(world, person)
    card = await client.charges.request_refund(first.id, method=RefundMethod.BANK_CARD, amount=Money("1.00"))
    world.clock.sleep(86400)
    rest = await client.charges.request_refund(first.id, method=RefundMethod.COMPENSATION)
    world.clock.sleep(86400)
    offset = await client.charges.request_refund(second.id, method=RefundMethod.FUTURE_PAYMENTS)

    async def ids(**filters: object) -> list[RefundId]:
        return [refund.id async for refund in client.charges.refunds(**filters)]  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    assert await ids() == [offset.id, rest.id, card.id]
    assert await ids(charge_id=first.id) == [rest.id, card.id]
    assert await ids(status=RefundStatus.COMPLETED) == [card.id]
    assert await ids(method=RefundMethod.COMPENSATION) == [rest.id]
    assert await ids(period=Period(dt.date(2026, 11, 17), dt.date(2026, 11, 17))) == [rest.id]
    assert [each.id async for each in client.with_options(page_size=1).charges.refunds()] == await ids()


@pytest.mark.feature("CH-03")
async def test_a_lost_answer_or_a_crash_refunds_once(client: AsyncCabinet, world: World, charge: Charge) -> None:
    """Whatever is lost on the way, one call is one refund, and what it holds is held once."""
    world.faults.crash("charges.request_refund")
    world.faults.lose_answer("charges.request_refund")
    world.faults.garble_answer("charges.request_refund")

    refund = await client.charges.request_refund(charge.id, method=RefundMethod.COMPENSATION, amount=Money("10.00"))

    assert [each.id async for each in client.charges.refunds()] == [refund.id]
    assert (await client.charges.get(charge.id)).refunding == Money("10.00")
    assert [request.status for request in world.requests if request.operation == "charges.request_refund"] == [
        500,
        None,
        502,
        201,
    ]
    world.charges.check_books()


@pytest.mark.feature("CH-03")
def test_of_fifty_requests_at_once_one_gets_the_money(world: World, person: Profile, charge: Charge) -> None:
    """Fifty threads ask for the whole overpayment, each with a key of its own: one is granted, the others refused."""
    raw = Raw(world, person)
    path = f"/charges/{charge.id}/refunds"
    with ThreadPoolExecutor(50) as threads:
        waiting = [
            threads.submit(raw.send, "POST", path, {"method": "compensation"}, key=f"key-{number}")
            for number in range(50)
        ]
        answers = [each.result() for each in waiting]

    assert [answer.status for answer in answers if answer.status == 201] == [201]
    assert {document(answer)["code"] for answer in answers if answer.status != 201} == {"charges.nothing_overpaid"}
    world.charges.check_books()


@pytest.mark.feature("CH-03")
def test_made_up_people_have_refunds_in_every_state() -> None:
    """A seeded world shows overpayments without a refund, and refunds of every status and several methods."""
    world = World.seeded()
    for profile in world.profiles.all():
        with connect_to(world, profile) as cabinet:
            refunds = list(cabinet.charges.refunds())
            assert {refund.status for refund in refunds} == set(RefundStatus.members())
            assert {refund.method for refund in refunds} > {RefundMethod.BANK_CARD, RefundMethod.FUTURE_PAYMENTS}
            assert [each for each in cabinet.charges.overpayments() if each.refund is None]
    world.charges.check_books()
    world.clock.sleep(14 * 86400)
    world.charges.check_books()
    world.close()
