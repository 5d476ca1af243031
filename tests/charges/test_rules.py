"""The rules of charges that need no client: requisites, the single tax payment, the ledger."""

from __future__ import annotations

import datetime as dt
import logging
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cabinet_sdk.charges import (
    BankTransferStatus,
    Charge,
    ChargeEventKind,
    ChargeId,
    ChargeKind,
    ChargeStatus,
    ItemToPay,
    NothingDue,
    Payment,
    PaymentInvalid,
    PaymentMethod,
    PaymentStatus,
    Refund,
    RefundMethod,
    RefundStatus,
)
from cabinet_sdk.errors import CabinetError
from cabinet_sdk.types import Kbk, Money, Period, Uin
from reference_server import ManualClock, Outcome, Profile, World
from reference_server.charges.rules import SINGLE_TAX_KBK, SINGLE_TAX_KINDS
from reference_server.charges.rules_shares import distribute
from reference_server.testing import connect
from reference_server.world import DEFAULT_START

MONEY = st.integers(1, 10_000_00).map(Money.from_kopecks)


@pytest.mark.feature("CH-01")
@pytest.mark.parametrize("kind", ChargeKind.members())
def test_requisites_are_complete_enough_for_a_bank(world: World, person: Profile, kind: ChargeKind) -> None:
    """Taxes go to the single tax account without УИН; the rest carry a right УИН that is not their КБК."""
    charge = world.charges.add(person, Money("10.00"), kind=kind)

    requisites = charge.requisites
    requisites.correspondent_account.check(requisites.bik)
    requisites.account.check(requisites.bik)
    assert type(requisites.payee_inn)(str(requisites.payee_inn))
    assert requisites.purpose
    assert requisites.payer_status != "0"
    if kind in SINGLE_TAX_KINDS:
        assert (requisites.kbk, requisites.oktmo, requisites.uin) == (SINGLE_TAX_KBK, "0", None)
    else:
        assert requisites.uin is not None
        assert Uin(requisites.uin) == charge.uin
        assert str(requisites.uin) != str(requisites.kbk)


@pytest.mark.feature("CH-01")
def test_a_charge_that_breaks_the_rules_of_its_kind_is_refused(world: World, person: Profile) -> None:
    """A tax with a УИН, a fine with the КБК of the single tax payment, a term before the accrual: all are refused."""
    tax = world.charges.add(person, Money("10.00"), kind=ChargeKind.TAX)
    fine = world.charges.add(person, Money("10.00"))
    uin = Uin.with_check_digits("1881017717000000009")

    with pytest.raises(ValueError, match="single tax payment"):
        world.charges.add(person, Money("10.00"), kind=ChargeKind.TAX, uin=uin)
    with pytest.raises(ValueError, match="КБК"):
        world.charges.add(
            person,
            Money("10.00"),
            uin=uin,
            requisites=attrs.evolve(fine.requisites, kbk=Kbk(str(SINGLE_TAX_KBK)), uin=uin),
        )
    with pytest.raises(ValueError, match="before the accrual"):
        world.charges.add(person, Money("10.00"), accrued_on=dt.date(2020, 1, 2), due_on=dt.date(2020, 1, 1))
    with pytest.raises(ValueError, match="above zero"):
        world.charges.add(person, Money("0.00"))

    assert tax.uin is None


@pytest.mark.feature("CH-05")
def test_a_single_tax_payment_is_shared_in_the_order_of_the_law(world: World, person: Profile) -> None:
    """Debts come before what is not due yet, earlier terms first, penalties last; equal places share in proportion."""

    def tax(amount: str, due_on: dt.date, kind: ChargeKind = ChargeKind.TAX) -> Charge:
        return world.charges.add(person, Money(amount), kind=kind, accrued_on=dt.date(2026, 1, 1), due_on=due_on)

    penalty = tax("50.00", dt.date(2026, 2, 1), ChargeKind.PENALTY)
    current = tax("70.00", dt.date(2026, 12, 28))
    first = tax("30.00", dt.date(2026, 3, 28))
    second = tax("10.00", dt.date(2026, 3, 28), ChargeKind.CONTRIBUTION)
    fine = world.charges.add(person, Money("99.00"), accrued_on=dt.date(2025, 1, 1), due_on=dt.date(2025, 2, 1))

    transfer = world.charges.receive_transfer(
        person.inn,
        Money("20.00"),
        purpose="Единый налоговый платёж",
        kbk=SINGLE_TAX_KBK,
    )
    assert {(item.charge_id, item.amount) for item in transfer.items} == {
        (first.id, Money("15.00")),
        (second.id, Money("5.00")),
    }

    rest = world.charges.receive_transfer(person.inn, Money("200.00"), purpose="ЕНП", kbk=SINGLE_TAX_KBK)
    assert [(item.charge_id, item.amount) for item in rest.items][-2:] == [
        (current.id, Money("70.00")),
        (penalty.id, Money("50.00")),
    ]
    assert rest.unmatched == Money("60.00")
    with connect(world, person) as cabinet:
        assert cabinet.charges.get(fine.id).paid == Money.ZERO
    world.charges.check_books()


@given(amount=MONEY, wanted=st.lists(MONEY, min_size=1, max_size=6), days=st.lists(st.integers(0, 3), min_size=6))
def test_sharing_never_loses_a_kopeck(amount: Money, wanted: list[Money], days: list[int]) -> None:
    """What is shared is all of it, or all that is owed; nobody gets more than is open."""
    world = World()
    person = world.profiles.add("А")
    start = dt.date(2026, 11, 1)
    charges = [
        world.charges.add(
            person,
            each,
            kind=ChargeKind.TAX,
            accrued_on=start,
            due_on=start + dt.timedelta(days=10 * day),
        )
        for each, day in zip(wanted, days, strict=False)
    ]

    items = distribute(amount, charges, dt.date(2026, 11, 16))

    owed = sum((charge.amount for charge in charges), Money.ZERO)
    assert sum((item.amount for item in items), Money.ZERO) == min(amount, owed)
    by_id = {charge.id: charge.amount for charge in charges}
    assert all(item.amount <= by_id[item.charge_id] for item in items)
    world.close()


class Books(RuleBasedStateMachine):
    """Random charges, payments, transfers, refunds, decisions and moments: the books balance after each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.person = self.world.profiles.add("Иванова", linked=frozenset({RefundMethod.LINKED_CARD}))
        self.cabinet = connect(self.world, self.person)
        self.charges: list[Charge] = []
        self.payments: list[Payment] = []
        self.refunds: list[Refund] = []
        self.brought = Money.ZERO

    @initialize(amounts=st.lists(MONEY, min_size=1, max_size=4))
    def begin(self, amounts: list[Money]) -> None:
        kinds = ChargeKind.members()
        for number, amount in enumerate(amounts):
            self.charges.append(self.world.charges.add(self.person, amount, kind=kinds[number % len(kinds)]))

    @rule(data=st.data(), amount=st.none() | MONEY, method=st.sampled_from(PaymentMethod.members()))
    def pay(self, data: st.DataObject, amount: Money | None, method: PaymentMethod) -> None:
        charge = data.draw(st.sampled_from(self.charges))
        try:
            self.payments.append(self.cabinet.charges.pay(charge.id, method=method, amount=amount))
        except CabinetError as error:
            assert error.request_id is not None  # noqa: PT017  # whichever refusal it is, it can be quoted

    @rule(method=st.sampled_from(PaymentMethod.members()))
    def pay_all(self, method: PaymentMethod) -> None:
        items = tuple(ItemToPay(charge.id) for charge in self.charges)
        try:
            self.payments.append(self.cabinet.charges.pay_several(items, method=method))
        except CabinetError as error:
            assert error.request_id is not None  # noqa: PT017

    @rule(outcome=st.sampled_from(Outcome.members()))
    def script(self, outcome: Outcome) -> None:
        self.world.charges.script(outcome)
        self.world.charges.script_refunds(outcome)

    @rule(data=st.data(), amount=MONEY)
    def transfer(self, data: st.DataObject, amount: Money) -> None:
        numbers = [payment.number for payment in self.payments] or ["нет"]
        uins = [str(charge.uin) for charge in self.charges]
        purpose = data.draw(st.sampled_from([*numbers, *uins, "без назначения"]))
        kbk = data.draw(st.sampled_from([None, SINGLE_TAX_KBK]))
        self.world.charges.receive_transfer(self.person.inn, amount, purpose=purpose, kbk=kbk)
        self.brought += amount

    @rule(data=st.data(), amount=MONEY)
    def overpay(self, data: st.DataObject, amount: Money) -> None:
        charge = self.cabinet.charges.get(data.draw(st.sampled_from(self.charges)).id)
        whole = charge.amount + amount
        self.world.charges.credit(self.person, charge, whole)
        self.brought += whole

    @rule(amount=MONEY, kind=st.sampled_from(ChargeKind.members()))
    def accrue(self, amount: Money, kind: ChargeKind) -> None:
        self.charges.append(self.world.charges.add(self.person, amount, kind=kind))

    @rule(data=st.data(), amount=st.none() | MONEY, method=st.sampled_from(RefundMethod.members()))
    def refund(self, data: st.DataObject, amount: Money | None, method: RefundMethod) -> None:
        charge = data.draw(st.sampled_from(self.charges))
        try:
            self.refunds.append(self.cabinet.charges.request_refund(charge.id, method=method, amount=amount))
        except CabinetError as error:
            assert error.request_id is not None  # noqa: PT017

    @precondition(lambda self: self.refunds)
    @rule(data=st.data(), decision=st.sampled_from(["choose_card", "order_refund", "complete_refund", "refuse_refund"]))
    def decide(self, data: st.DataObject, decision: str) -> None:
        refund = data.draw(st.sampled_from(self.refunds))
        # What has been decided, or needs no such decision, is refused and must leave no trace.
        with suppress(ValueError):
            getattr(self.world.charges, decision)(refund.id)

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0, 900.0, 6 * 86400.0]))
    def wait(self, seconds: float) -> None:
        self.world.clock.sleep(seconds)

    @rule(operation=st.sampled_from(["charges.pay", "charges.request_refund"]))
    def lose_an_answer(self, operation: str) -> None:
        self.world.faults.lose_answer(operation)

    @rule(operation=st.sampled_from(["charges.pay", "charges.request_refund"]))
    def crash(self, operation: str) -> None:
        self.world.faults.crash(operation)

    @invariant()
    def books_balance(self) -> None:
        self.world.charges.check_books()
        for charge in self.charges:
            now = self.cabinet.charges.get(charge.id)
            expected = (
                ChargeStatus.NOT_PAID
                if not now.paid
                else (ChargeStatus.PARTLY_PAID if now.paid < now.amount else ChargeStatus.PAID)
            )
            assert now.status == expected
            assert now.due == max(Money.ZERO, now.amount - now.paid - now.pending)
            assert now.overpaid == max(Money.ZERO, now.paid - now.amount)
            listed = [each.id for each in self.cabinet.charges.list(status=now.status)]
            assert charge.id in listed
            assert now.refunding <= now.overpaid

    @invariant()
    def every_rouble_is_somewhere(self) -> None:
        charges, refunds = list(self.cabinet.charges.list()), list(self.cabinet.charges.refunds())
        unmatched = [transfer.unmatched for transfer in self.cabinet.charges.bank_transfers()]
        returned = [
            refund.amount
            for refund in refunds
            if refund.status == RefundStatus.COMPLETED and refund.method != RefundMethod.FUTURE_PAYMENTS
        ]
        kept = [*(charge.paid for charge in charges), *(refund.advance for refund in refunds), *unmatched, *returned]
        by_card = [
            payment.amount
            for payment in self.cabinet.charges.payments(status=PaymentStatus.SUCCEEDED)
            if payment.method != PaymentMethod.BANK_TRANSFER
        ]
        assert sum(kept, Money.ZERO) == sum(by_card, self.brought)

    @invariant()
    def overpayments_are_the_overpaid_charges(self) -> None:
        overpaid = {
            charge.id: (charge.overpaid, charge.overpaid - charge.refunding)
            for charge in self.cabinet.charges.list(overpaid=True)
        }
        listed = {each.charge_id: (each.amount, each.refundable) for each in self.cabinet.charges.overpayments()}
        assert listed == overpaid
        assert all(amount for amount, _ in listed.values())
        assert {charge.id for charge in self.cabinet.charges.list(overpaid=False)}.isdisjoint(overpaid)

    def teardown(self) -> None:
        self.world.close()


TestBooks = Books.TestCase


@pytest.mark.feature("CH-10")
def test_nothing_is_due_while_a_payment_is_under_way(world: World, person: Profile) -> None:
    """What a pending payment holds cannot be paid a second time."""
    charge = world.charges.add(person, Money("10.00"))
    with connect(world, person) as cabinet:
        cabinet.charges.pay(charge.id, method=PaymentMethod.SBP, amount=Money("4.00"))
        second = cabinet.charges.pay(charge.id, method=PaymentMethod.SBP)
        with pytest.raises(NothingDue):
            cabinet.charges.pay(charge.id, method=PaymentMethod.SBP)

    assert second.amount == Money("6.00")


@pytest.mark.feature("CH-03")
@pytest.mark.parametrize(
    "damage, found",
    [
        ("UPDATE ledger SET amount = amount + 1 WHERE entry = 1", "does not sum to zero"),
        ("UPDATE charges SET pending = 1", "the payments under way"),
        ("UPDATE charges SET refunding = refunding - 1 WHERE refunding > 0", "the refunds under way"),
        (
            "UPDATE refunds SET amount = amount + 1 WHERE status = 'completed' AND advance = 0",
            "the ledger says they moved",
        ),
        ("UPDATE refunds SET advance = advance - 1 WHERE advance > 0", "advances disagree with the ledger"),
        ("DELETE FROM refund_items", "offsets disagree"),
    ],
)
def test_books_that_are_wrong_are_found(world: World, person: Profile, damage: str, found: str) -> None:
    """A kopeck that goes astray anywhere is found by comparing all that is kept with the ledger."""
    for method in (RefundMethod.COMPENSATION, RefundMethod.FUTURE_PAYMENTS, RefundMethod.BANK_CARD):
        charge = world.charges.add(person, Money("10.00"), kind=ChargeKind.DUTY)
        world.charges.credit(person, charge, Money("30.00"))
        refund = world.charges.request_refund(person, charge, method)
        if method != RefundMethod.BANK_CARD:
            world.charges.complete_refund(refund.id)
    world.charges.check_books()

    world.database.execute(damage)

    with pytest.raises(AssertionError, match=found):
        world.charges.check_books()


@pytest.mark.feature("CH-03")
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE charges SET refunding = 1",
        "UPDATE charges SET overpaid_on = '2026-11-16'",
        "UPDATE charges SET paid = -1",
    ],
)
def test_the_tables_refuse_what_cannot_be(world: World, person: Profile, damage: str) -> None:
    """Holding more than is overpaid, a day without an overpayment and less than nothing paid cannot be kept."""
    world.charges.add(person, Money("10.00"))

    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        world.database.execute(damage)


def test_a_slip_in_a_test_is_told(world: World, person: Profile) -> None:
    """A number that another charge has, and somebody of another world, are refused by name; nothing is charged."""
    other = World(seed=2)
    stranger = other.profiles.add("Чужой Пётр Иванович")
    charge = world.charges.add(person, Money("10.00"))

    with pytest.raises(ValueError, match="a charge with the УИН"):
        world.charges.add(person, Money("20.00"), uin=charge.uin)
    with pytest.raises(ValueError, match=f"no profile {stranger.id}"):
        world.charges.add(stranger, Money("20.00"))

    assert list(connect(world, person).charges.list()) == [charge]


MOST = Money.from_kopecks(2**63 - 1)


@pytest.mark.parametrize("amount", [Money.ZERO, Money("-1.00")])
def test_no_bank_brings_nothing(world: World, person: Profile, amount: Money) -> None:
    """What arrives is above zero, whatever the transfer says, and a charge that is paid stays as it is."""
    charge = world.charges.add(person, Money("10.00"))
    world.charges.credit(person, charge, Money("5.00"))

    with pytest.raises(ValueError, match="above zero, not"):
        world.charges.credit(person, charge, amount)
    with pytest.raises(ValueError, match="above zero, not"):
        world.charges.receive_transfer(person.inn, amount, purpose="x", uin=charge.uin)

    assert connect(world, person).charges.get(charge.id).paid == Money("5.00")


def test_what_a_charge_cannot_hold_is_unmatched(world: World, person: Profile) -> None:
    """What would not fit 64 bits of kopecks finds no charge, like other money without one, and all can be read."""
    charge = world.charges.add(person, Money("10.00"))
    world.charges.credit(person, charge, MOST - Money("1.00"))

    more = world.charges.credit(person, charge, Money("3.00"))
    none = world.charges.receive_transfer(person.inn, Money("0.01"), purpose="x", uin=charge.uin)

    assert ([item.amount for item in more.items], more.unmatched) == ([Money("1.00")], Money("2.00"))
    assert (none.items, none.unmatched, none.status) == ((), Money("0.01"), BankTransferStatus.UNMATCHED)
    client = connect(world, person)
    assert client.charges.get(charge.id).paid == MOST
    assert len(list(client.charges.bank_transfers(status=BankTransferStatus.UNMATCHED))) == 2
    world.charges.check_books()


@pytest.mark.parametrize("method", [PaymentMethod.SBP, PaymentMethod.BANK_TRANSFER])
def test_what_a_payment_has_announced_keeps_its_place(world: World, person: Profile, method: PaymentMethod) -> None:
    """A payment that was taken can be credited, whatever else a bank brings for its charge meanwhile."""
    client, charge = connect(world, person), world.charges.add(person, MOST)
    payment = client.charges.pay(charge.id, method=method, amount=MOST - Money("1.00"))

    brought = world.charges.credit(person, charge, MOST)
    if method == PaymentMethod.BANK_TRANSFER:
        world.charges.receive_transfer(person.inn, payment.amount, purpose=f"Платёж № {payment.number}")

    assert ([item.amount for item in brought.items], brought.unmatched) == ([Money("1.00")], MOST - Money("1.00"))
    assert client.charges.wait_for_payment(payment.id).status == PaymentStatus.SUCCEEDED
    assert client.charges.get(charge.id).paid == MOST
    world.charges.check_books()


def stuck(world: World, person: Profile) -> Payment:
    """Return a payment that cannot be credited: its charge was filled by a server that kept no place for it."""
    charge = world.charges.add(person, MOST)
    payment = connect(world, person).charges.pay(charge.id, method=PaymentMethod.SBP)
    world.database.execute("UPDATE charges SET paid = ? WHERE id = ?", (MOST.kopecks, charge.id))
    return payment


@pytest.mark.parametrize("where", ["memory", "file"])
def test_a_step_that_cannot_be_taken_holds_up_nobody(
    tmp_path: Path, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is set aside whole, told once in log and journal; everybody else goes on, and the clock does not come back."""
    clock = ManualClock(DEFAULT_START)
    world = World(file=tmp_path / "world.db" if where == "file" else None, clock=clock)
    person, other = world.profiles.add("Иванова"), world.profiles.add("Петров")
    payment = stuck(world, person)
    theirs = connect(world, other)
    paid = theirs.charges.pay(world.charges.add(other, Money("5.00")).id, method=PaymentMethod.SBP)
    clock.sleep(10)

    assert theirs.charges.payment(paid.id).status == PaymentStatus.SUCCEEDED
    world.charges.add(other, Money("1.00"))
    clock.sleep(3600)
    mine = connect(world, person).charges.payment(payment.id)

    assert mine.status == PaymentStatus.AWAITING_CONFIRMATION
    said = f"the clock cannot move the payment {payment.id}, which is set aside"
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [said]
    steps = [entry for entry in world.audit.entries() if entry.subject == f"/payments/{payment.id}"]
    assert [(entry.action, entry.outcome) for entry in steps] == [
        ("charges.pay", "done"),
        ("clock.payment", "done"),
        ("clock.payment", "set_aside"),
    ]
    assert world.charges.decline(payment.id).status == PaymentStatus.DECLINED
    assert world.audit.check() is None
    world.close()


def test_what_is_set_aside_is_undone_whole(world: World, person: Profile) -> None:
    """Of a payment of two charges whose second cannot be credited the first is not credited either."""
    client = connect(world, person)
    small, large = world.charges.add(person, Money("7.00")), world.charges.add(person, MOST - Money("8.00"))
    payment = client.charges.pay_several((ItemToPay(small.id), ItemToPay(large.id)), method=PaymentMethod.SBP)
    world.database.execute(
        "UPDATE charges SET paid = ?, overpaid_on = '2026-11-16' WHERE id = ?", (MOST.kopecks, large.id)
    )
    world.clock.sleep(10)

    assert client.charges.payment(payment.id).status == PaymentStatus.AWAITING_CONFIRMATION
    assert (client.charges.get(small.id).paid, client.charges.get(small.id).pending) == (Money.ZERO, Money("7.00"))


def test_a_refund_that_cannot_move_is_set_aside(world: World, person: Profile) -> None:
    """A refund too: the journal tells it, and somebody else may still move it."""
    charge = world.charges.add(person, Money("10.00"))
    world.charges.credit(person, charge, Money("30.00"))
    refund = world.charges.request_refund(person, charge, RefundMethod.COMPENSATION)
    world.database.execute(
        "CREATE TEMP TRIGGER no BEFORE UPDATE OF status ON refunds BEGIN SELECT RAISE(ABORT, 'x'); END"
    )
    world.clock.sleep(dt.timedelta(days=30).total_seconds())

    assert connect(world, person).charges.refund(refund.id).status == RefundStatus.REQUESTED
    world.database.execute("DROP TRIGGER no")
    assert [entry.outcome for entry in world.audit.entries() if entry.action == "clock.refund"] == ["set_aside"]
    assert world.charges.complete_refund(refund.id).status == RefundStatus.COMPLETED


def test_a_payment_beyond_an_amount_is_refused(world: World, person: Profile) -> None:
    """Charges whose sum does not fit 64 bits of kopecks are refused at once, and paid one by one."""
    client = connect(world, person)
    items = tuple(ItemToPay(world.charges.add(person, MOST).id) for _ in range(2))

    with pytest.raises(PaymentInvalid) as caught:
        client.charges.pay_several(items, method=PaymentMethod.SBP)

    assert [(error.field, error.code) for error in caught.value.errors] == [("items", "range")]
    assert [client.charges.pay(item.charge_id, method=PaymentMethod.SBP).amount for item in items] == [MOST, MOST]


@pytest.mark.feature("CH-05", "CH-07")
def test_what_a_transfer_has_paid_does_not_expire(world: World, person: Profile) -> None:
    """Of a payment that expires half paid, the history of the charge that was paid says nothing of that."""
    client = connect(world, person)
    paid, open_one = (world.charges.add(person, Money(f"{amount}.00")) for amount in (10, 20))
    items = (ItemToPay(paid.id), ItemToPay(open_one.id))
    payment = client.charges.pay_several(items, method=PaymentMethod.BANK_TRANSFER)
    world.charges.receive_transfer(person.inn, Money("10.00"), purpose=f"Платёж № {payment.number}")
    world.clock.sleep(dt.timedelta(days=5).total_seconds())

    assert client.charges.payment(payment.id).status == PaymentStatus.EXPIRED
    assert [entry.kind for entry in client.charges.history(paid.id)][-1] == ChargeEventKind.TRANSFER_CREDITED
    assert [entry.amount for entry in client.charges.history(open_one.id)][-1] == Money("20.00")
    world.charges.check_books()


@pytest.mark.feature("CH-03", "CH-06")
@pytest.mark.parametrize(
    "name, filters",
    [
        ("overpayments", {}),
        ("overpayments", {"kind": ChargeKind.FINE}),
        ("overpayments", {"period": Period.year(2026)}),
        ("payments", {}),
        ("payments", {"status": PaymentStatus.SUCCEEDED, "period": Period.year(2026)}),
        ("payments", {"method": PaymentMethod.SBP}),
        ("refunds", {}),
        ("refunds", {"status": RefundStatus.REFUSED}),
        ("refunds", {"charge_id": ChargeId("chg_none")}),
    ],
)
def test_lists_are_looked_up_in_an_index(
    world: World, person: Profile, name: str, filters: Mapping[str, object]
) -> None:
    """No list of overpayments, payments or refunds reads a whole table, or charges that are not overpaid."""
    statements: list[str] = []
    world.database._connection.set_trace_callback(statements.append)  # pyright: ignore[reportPrivateUsage]
    with connect(world, person) as cabinet:
        list(getattr(cabinet.charges, name)(**filters))
    world.database._connection.set_trace_callback(None)  # pyright: ignore[reportPrivateUsage]

    selected = [each for each in statements if "key_0" in each]
    plan = [row["detail"] for row in world.database.all(f"EXPLAIN QUERY PLAN {selected[0]}")]

    assert len(selected) == 1
    assert plan[0].startswith("SEARCH")
    assert "FROM charges" not in selected[0] or "charges_overpaid" in plan[0]
