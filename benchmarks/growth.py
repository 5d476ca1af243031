"""What stays the same when a profile has a thousand charges, a hundred thousand, a million."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from benchmarks.harness import Figure, compare, row, settings
from cabinet_sdk import Cabinet
from cabinet_sdk.charges import Charge, ChargeKind, ChargeStatus, ExportFormat, PaymentMethod
from cabinet_sdk.types import Money
from reference_server import Profile, World
from reference_server.testing import connect

__all__: list[str] = []

_FEW = 1_000
_MORE = (100_000, 1_000_000)

# Ids come in no order, as real ones; a third is paid in part, and a third in full.
_COPIES = """
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
INSERT INTO charges (id, profile_id, kind, amount, paid, accrued_on, due_on, order_number, payee_inn, details, late)
SELECT printf('chg_%024d', n * 7919 % 10000019), profile_id, kind, 5000, n % 3 * 2500,
    date(accrued_on, '-' || (n % 1000) || ' days'), date(due_on, '-' || (n % 1000) || ' days'), n, payee_inn, details,
    date(due_on, '-' || (n % 1000) || ' days') < accrued_on
FROM numbers, charges WHERE uin IS NOT NULL
"""


def _grown(count: int) -> tuple[World, Profile]:
    """Return a world where somebody has so many charges: copies of one by SQL, since a million by calls takes hours."""
    world = World()
    person = world.profiles.add("Иванова Мария Петровна")
    world.charges.add(person, Money(5000))
    with world.database.transaction():
        world.database.execute(_COPIES, (count,))
    return world, person


def _compared(prepare: Callable[[World, Profile, Cabinet], Callable[[], object]]) -> Figure:
    def task(count: int) -> Callable[[], object]:
        world, person = _grown(count)
        return prepare(world, person, connect(world, person))

    few = task(_FEW)
    sizes = _MORE[:1] if settings.quick else _MORE
    found = [(count, *compare(task(count), few)) for count in sizes]
    _, ratio, cost = found[-1]
    others = "".join(f"{spread} at {count:,} rows. ".replace(",", " ") for count, spread, _ in found[:-1])
    return Figure(ratio, f"{others}{cost:.0f} µs a call at {sizes[-1]:,}.".replace(",", " "))


@row("growth-status", "A page of 100 by status at 1 000 000 charges, over the same at 1 000", goal=1.3)
def by_status() -> Figure:
    """List what is not paid."""

    def prepare(_world: World, _person: Profile, cabinet: Cabinet) -> Callable[[], object]:
        return lambda: next(iter(cabinet.charges.list(status=ChargeStatus.NOT_PAID).by_page()))

    return _compared(prepare)


@row("growth-overdue", "A page of 100 overdue charges at 1 000 000 charges, over the same at 1 000", goal=1.3)
def overdue() -> Figure:
    """List the debts, the newest first, which is not the order in which they fall due."""

    def prepare(_world: World, _person: Profile, cabinet: Cabinet) -> Callable[[], object]:
        return lambda: next(iter(cabinet.charges.list(overdue=True).by_page()))

    return _compared(prepare)


@row("growth-list", "A page of 100 at 1 000 000 charges, over the same at 1 000", goal=1.3)
def plain() -> Figure:
    """List everything."""

    def prepare(_world: World, _person: Profile, cabinet: Cabinet) -> Callable[[], object]:
        return lambda: next(iter(cabinet.charges.list().by_page()))

    return _compared(prepare)


@row("growth-search", "Finding a charge by its order's number at 1 000 000 charges, over the same at 1 000", goal=1.3)
def search() -> Figure:
    """Look one up."""

    def prepare(_world: World, _person: Profile, cabinet: Cabinet) -> Callable[[], object]:
        assert len(list(cabinet.charges.list(order_number="77"))) == 1
        return lambda: list(cabinet.charges.list(order_number="77"))

    return _compared(prepare)


@row("growth-payment", "Paying a charge and crediting it at 1 000 000 charges, over the same at 1 000", goal=1.3)
def payment() -> Figure:
    """Pay kopeck by kopeck, so that the same charge can be paid again and again."""

    def prepare(world: World, person: Profile, cabinet: Cabinet) -> Callable[[], object]:
        charge: Charge = world.charges.add(person, Money(10**12), kind=ChargeKind.FINE)

        def pay() -> None:
            payment = cabinet.charges.pay(charge.id, method=PaymentMethod.SBP, amount=Money("0.01"))
            world.charges.confirm(payment.id)

        return pay

    figure = _compared(prepare)
    reason = (
        " In memory and below a gigabyte, SQLite 3.40 looks at every page that it has whenever a transaction ends that"
        " split one."
    )
    return attrs.evolve(figure, detail=figure.detail + reason)


@row(
    "growth-export",
    "Exporting the same 1 000 charges as CSV from 1 000 000 others, over the same from 1 000 others",
    goal=1.3,
)
def export() -> Figure:
    """Export all of one kind, as many whatever else there is: by itself an export takes as long as it has rows."""

    def prepare(world: World, person: Profile, cabinet: Cabinet) -> Callable[[], object]:
        for _ in range(_FEW):
            world.charges.add(person, Money(5000), kind=ChargeKind.TAX)

        def save() -> None:
            with cabinet.charges.export(ExportFormat.CSV, kind=ChargeKind.TAX) as file:
                assert file.read().count(b"\n") == _FEW + 1

        return save

    return _compared(prepare)
