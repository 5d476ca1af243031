"""A page of charges costs what is on it: with whatever filters, in whatever order, however many charges there are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

import pytest

from cabinet_sdk import Cabinet
from cabinet_sdk.charges import Charge, ChargeKind, ChargeOrder, ChargeStatus
from cabinet_sdk.types import Inn, Money, Period
from reference_server import Profile, World
from reference_server.testing import connect

KEYS = {
    ChargeOrder.NEWEST: "accrued_on",
    ChargeOrder.OLDEST: "accrued_on",
    ChargeOrder.DUE_FIRST: "due_on",
    ChargeOrder.DUE_LAST: "due_on",
    ChargeOrder.LARGEST: "amount",
    ChargeOrder.SMALLEST: "amount",
}
DESCENDING = {ChargeOrder.NEWEST, ChargeOrder.DUE_LAST, ChargeOrder.LARGEST}
PERIOD = Period(dt.date(2026, 10, 1), dt.date(2026, 10, 31))

MANY = """
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
INSERT INTO charges (id, profile_id, kind, amount, paid, accrued_on, due_on, payee_inn, details)
SELECT printf('chg_%d', n * 7919 % 1000003), profile_id, kind, 5000 + n % 7, 5000 + n % 7,
    date(accrued_on, '-' || (n % 1000) || ' days'), date(due_on, '-' || (n % 1000) || ' days'), payee_inn, details
FROM numbers, charges WHERE id = ?
"""


@pytest.fixture
def cabinet(world: World, person: Profile) -> Iterator[Cabinet]:
    """A client of that person."""
    with connect(world, person) as cabinet:
        yield cabinet


def some_of_each(world: World, person: Profile, cabinet: Cabinet) -> list[Charge]:
    """Make charges of several kinds, payees and amounts, each on time and late, paid in each way; return them all."""
    kinds = (ChargeKind.FINE, ChargeKind.DUTY, ChargeKind.OTHER)
    for number, (kind, late, paid) in enumerate(product(kinds, (False, True), (0, 5, 10, 12))):
        charge = world.charges.add(
            person,
            Money(10),
            kind=kind,
            accrued_on=dt.date(2026, 10, 1) + dt.timedelta(days=number * 7 % 40),
            due_on=dt.date(2026, 11, 13 if late else 17) + dt.timedelta(days=number % 3),
        )
        if paid:
            world.charges.receive_transfer(person.inn, Money(paid), purpose="Оплата", uin=charge.uin)
        world.charges.add(person, Money(1 + number % 5), kind=kind)
    return list(cabinet.charges.list())


def cases(payee_inn: Inn) -> Iterator[dict[str, Any]]:
    """Every combination of filters and orders, as keywords."""
    values: dict[str, tuple[object, ...]] = {
        "period": (None, PERIOD),
        "kind": (None, ChargeKind.FINE),
        "status": (None, *ChargeStatus.members()),
        "overdue": (None, True, False),
        "overpaid": (None, True, False),
        "payee_inn": (None, payee_inn),
        "order": (None, *ChargeOrder.members()),
    }
    for chosen in product(*values.values()):
        yield {name: value for name, value in zip(values, chosen, strict=True) if value is not None}


def expected(charges: list[Charge], filters: dict[str, Any]) -> list[str]:
    """Say which charges the filters leave, in which order, from what the charges themselves say."""

    def fits(charge: Charge) -> bool:
        found = {
            "kind": charge.kind,
            "status": charge.status,
            "overdue": charge.overdue,
            "overpaid": charge.overpaid > Money.ZERO,
            "payee_inn": charge.requisites.payee_inn,
        }
        period = filters.get("period")
        return all(filters.get(name) in {None, value} for name, value in found.items()) and (
            period is None or charge.accrued_on in period
        )

    order = filters.get("order", ChargeOrder.NEWEST)
    kept = [charge for charge in charges if fits(charge)]
    kept.sort(key=lambda charge: (getattr(charge, KEYS[order]), charge.id), reverse=order in DESCENDING)
    return [charge.id for charge in kept]


@contextmanager
def statements(world: World) -> Generator[list[str]]:
    """Gather the statements that select pages."""
    found: list[str] = []
    connection = world.database._connection  # pyright: ignore[reportPrivateUsage]  # what it is asked is nowhere else
    connection.set_trace_callback(found.append)
    try:
        yield found
    finally:
        connection.set_trace_callback(None)
        found[:] = [each for each in found if "key_0" in each]


@contextmanager
def counting(world: World) -> Generator[list[int]]:
    """Count the instructions that SQLite carries out."""
    count = [0]

    def step() -> int:
        count[0] += 1
        return 0

    connection = world.database._connection  # pyright: ignore[reportPrivateUsage]  # as above
    connection.set_progress_handler(step, 1)
    try:
        yield count
    finally:
        connection.set_progress_handler(None, 0)


@pytest.mark.slow
@pytest.mark.feature("CH-01")
def test_every_filter_in_every_order_shows_what_the_charges_say(
    world: World, person: Profile, cabinet: Cabinet
) -> None:
    """Whatever filters are put together, the pages hold those charges that fit by their own fields, in that order."""
    charges = some_of_each(world, person, cabinet)
    small = cabinet.with_options(page_size=7)
    shown = set[int]()
    for filters in cases(charges[0].requisites.payee_inn):
        found = [charge.id for charge in small.charges.list(**filters)]
        assert found == expected(charges, filters), filters
        shown.add(len(found))
    assert len(shown) > 10

    world.clock.sleep(3 * 86400)
    later = list(cabinet.charges.list())
    assert sum(charge.overdue for charge in later) > sum(charge.overdue for charge in charges)
    for overdue in (True, False):
        debts = small.charges.list(overdue=overdue)
        assert [charge.id for charge in debts] == expected(later, {"overdue": overdue})


@pytest.mark.slow
@pytest.mark.feature("CH-01")
def test_no_page_scans_or_sorts(world: World, person: Profile, cabinet: Cabinet) -> None:
    """Each combination of filters reads an index in the order asked for; only a period in another order is sorted."""
    charges = some_of_each(world, person, cabinet)
    for filters in cases(charges[0].requisites.payee_inn):
        with statements(world) as selected:
            next(iter(cabinet.charges.list(**filters).by_page()))
        in_order = "period" not in filters or KEYS[filters.get("order", ChargeOrder.NEWEST)] == "accrued_on"
        for statement in selected:
            plan = [row["detail"] for row in world.database.all(f"EXPLAIN QUERY PLAN {statement}")]
            assert plan[0].startswith("SEARCH charges USING INDEX"), (filters, plan)
            assert not in_order or len(plan) == 1, (filters, plan)


@pytest.mark.slow
@pytest.mark.feature("CH-01")
@pytest.mark.parametrize(
    "filters",
    [
        {"overdue": True},
        {"overdue": True, "order": ChargeOrder.LARGEST},
        {"overdue": False, "kind": ChargeKind.DUTY, "order": ChargeOrder.DUE_FIRST},
        {"status": ChargeStatus.NOT_PAID},
        {"status": ChargeStatus.PARTLY_PAID, "order": ChargeOrder.SMALLEST},
        {"overpaid": True, "order": ChargeOrder.DUE_LAST},
        {"kind": ChargeKind.DUTY},
        {"kind": ChargeKind.DUTY, "overdue": True},
    ],
)
def test_a_page_costs_the_same_among_many_that_do_not_fit(
    world: World, person: Profile, cabinet: Cabinet, filters: dict[str, Any]
) -> None:
    """A handful among ten thousand that are paid takes SQLite as many steps as alone."""
    charges = some_of_each(world, person, cabinet)

    def steps() -> int:
        list(cabinet.charges.list(**filters))
        with counting(world) as count:
            assert list(cabinet.charges.list(**filters).by_page())
        return count[0]

    few = steps()
    with world.database.transaction():
        world.database.execute(MANY, (10_000, charges[0].id))

    assert steps() < 1.3 * few + 1300
