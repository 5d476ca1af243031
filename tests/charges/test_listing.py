"""Listing and searching charges, through both clients, in memory and over HTTP."""

from __future__ import annotations

import datetime as dt

import pytest

from cabinet_sdk import AsyncCabinet
from cabinet_sdk.charges import ChargeKind, ChargeNotFound, ChargeOrder, ChargeStatus
from cabinet_sdk.errors import UsageError
from cabinet_sdk.types import Money, Period
from reference_server import Profile, World


@pytest.mark.feature("CH-01")
async def test_an_empty_list_is_empty(client: AsyncCabinet) -> None:
    """A profile without charges gets an empty list, no error."""
    assert [charge async for charge in client.charges.list()] == []


@pytest.mark.feature("CH-01", "CH-07")
async def test_a_charge_shows_all_that_is_known(client: AsyncCabinet, world: World, person: Profile) -> None:
    """The list and the card show the same charge, with requisites, term and amounts."""
    added = world.charges.add(person, Money("1500.00"), order_number="18810077")

    listed = [charge async for charge in client.charges.list()]

    assert listed == [added]
    assert await client.charges.get(added.id) == added
    assert added.status.label == "Не оплачен"
    assert added.requisites.uin == added.uin
    assert added.due == added.amount == Money("1500.00")


@pytest.mark.feature("CH-01", "CH-04")
async def test_filters_narrow_the_list(client: AsyncCabinet, world: World, person: Profile) -> None:
    """Kind, status, period, УИН, order number, payee and overdue each leave what they name."""
    fine = world.charges.add(
        person, Money("500.00"), accrued_on=dt.date(2026, 1, 31), due_on=dt.date(2026, 4, 1), order_number="77"
    )
    tax = world.charges.add(person, Money("900.00"), kind=ChargeKind.TAX, accrued_on=dt.date(2026, 2, 1))
    world.charges.credit(person, tax, Money("1.00"))

    async def ids(**filters: object) -> list[str]:
        return [charge.id async for charge in client.charges.list(**filters)]  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    assert await ids(kind=ChargeKind.FINE) == [fine.id]
    assert await ids(status=ChargeStatus.PARTLY_PAID) == [tax.id]
    assert await ids(status=ChargeStatus.PAID) == []
    assert await ids(period=Period.month(2026, 1)) == [fine.id]
    assert await ids(period=Period.quarter(2026, 1)) == [tax.id, fine.id]
    assert await ids(uin=fine.uin) == [fine.id]
    assert await ids(order_number="77") == [fine.id]
    assert await ids(payee_inn=tax.requisites.payee_inn) == [tax.id]
    assert await ids(overdue=True, kind=ChargeKind.FINE) == [fine.id]
    assert await ids(order_number="no such") == []


@pytest.mark.feature("CH-01")
async def test_sorting(client: AsyncCabinet, world: World, person: Profile) -> None:
    """Each order sorts by its key, the newest first by default."""
    charges = {
        name: world.charges.add(
            person,
            Money(f"{amount}.00"),
            accrued_on=dt.date(2026, 3, day),
            due_on=dt.date(2026, 5, 30 - day),
        ).id
        for name, amount, day in (("a", 3, 1), ("b", 1, 2), ("c", 2, 3))
    }
    names = {charge_id: name for name, charge_id in charges.items()}

    async def listed(order: ChargeOrder | None) -> str:
        return "".join([names[charge.id] async for charge in client.charges.list(order=order)])

    assert await listed(None) == "cba"
    assert await listed(ChargeOrder.NEWEST) == "cba"
    assert await listed(ChargeOrder.OLDEST) == "abc"
    assert await listed(ChargeOrder.DUE_FIRST) == "cba"
    assert await listed(ChargeOrder.DUE_LAST) == "abc"
    assert await listed(ChargeOrder.LARGEST) == "acb"
    assert await listed(ChargeOrder.SMALLEST) == "bca"


@pytest.mark.feature("CH-02")
async def test_debts_begin_the_day_after_the_term_in_moscow(
    client: AsyncCabinet, world: World, person: Profile
) -> None:
    """On its last day a charge is no debt; at midnight in Moscow it becomes one."""
    due_on = dt.date(2026, 11, 16)
    charge = world.charges.add(person, Money("10.00"), accrued_on=due_on, due_on=due_on)
    assert [c.id async for c in client.charges.list(overdue=True)] == []

    world.clock.sleep((dt.datetime(2026, 11, 16, 20, 59, 59, tzinfo=dt.UTC) - world.clock.now()).total_seconds())
    assert [c.id async for c in client.charges.list(overdue=True)] == []
    world.clock.sleep(1)

    debts = [c async for c in client.charges.list(overdue=True)]
    assert [c.id for c in debts] == [charge.id]
    assert debts[0].overdue
    assert [c.id async for c in client.charges.list(overdue=False)] == []


@pytest.mark.feature("CH-01")
async def test_what_is_anothers_does_not_exist(client: AsyncCabinet, world: World) -> None:
    """A foreign charge and one that never was give the same answer."""
    other = world.profiles.add("Петров Иван Ильич")
    foreign = world.charges.add(other, Money("10.00"))

    answers: list[str] = []
    for charge_id in (foreign.id, type(foreign.id)("chg_none")):
        with pytest.raises(ChargeNotFound) as caught:
            await client.charges.get(charge_id)
        answers.append(caught.value.message)

    assert answers[0] == answers[1]
    assert [c async for c in client.charges.list()] == []


@pytest.mark.feature("CH-01")
async def test_pages_are_fetched_as_one_goes_and_resumed(client: AsyncCabinet, world: World, person: Profile) -> None:
    """Nothing is skipped or shown twice over pages, and a walk resumes from a token."""
    added = {world.charges.add(person, Money("10.00")).id for _ in range(7)}
    small = client.with_options(page_size=3)

    assert {charge.id async for charge in small.charges.list()} == added

    pages = small.charges.list()
    first = None
    async for page in pages.by_page():
        first = page
        break
    assert first is not None
    rest = [item.id async for page in small.charges.list().by_page(first.token) for item in page.items]
    assert len(first.items) == 3
    assert {item.id for item in first.items} | set(rest) == added
    assert len(rest) == 4


@pytest.mark.feature("CH-01")
@pytest.mark.parametrize("size", [0, -1, 10**9])
async def test_a_wrong_page_size_is_refused(client: AsyncCabinet, size: int) -> None:
    """A page has 1 to 1000 items; anything else is refused before it is asked for."""
    with pytest.raises(UsageError, match="page_size: expected 1 to 1000"):
        _ = [charge async for charge in client.with_options(page_size=size).charges.list()]
