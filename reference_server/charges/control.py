"""What a test may do to charges and payments, in the authorities' place."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import final

import attrs

from cabinet_sdk._core.arguments import checked
from cabinet_sdk.charges.models import (
    BankTransfer,
    Calculation,
    Charge,
    ChargeDocument,
    ChargeId,
    ChargeKind,
    ChargeStatus,
    Payment,
    PaymentId,
    Refund,
    RefundId,
    RefundMethod,
    RefundStatus,
    Requisites,
)
from cabinet_sdk.types import (
    AccountNumber,
    Bik,
    Inn,
    Kbk,
    Kpp,
    Money,
    Oktmo,
    OrganisationInn,
    Period,
    TreasuryAccount,
    Uin,
)
from reference_server.audit import SANDBOX
from reference_server.charges import (
    rules,
    rules_payments,
    rules_refunds,
    rules_transfers,
    store,
    store_payments,
    store_refunds,
    store_steps,
)
from reference_server.profiles import Profile, profile_by_id, profile_by_inn
from reference_server.session import Work

__all__ = ["ChargesControl"]

_NOTHING = Money.from_kopecks(0)
_TERM = dt.timedelta(days=60)

# What `check_books` looks for: each query finds the ids of what is wrong.
_BREACHES = {
    "charges disagree with the ledger": (
        "SELECT id FROM charges WHERE paid != (SELECT coalesce(sum(amount), 0) FROM ledger"
        " WHERE account = 'charge:' || charges.id)"
    ),
    "charges disagree with the payments under way": (
        "SELECT id FROM charges WHERE pending != (SELECT coalesce(sum(i.amount - i.credited), 0)"
        " FROM payment_items i JOIN payments p ON p.id = i.payment_id WHERE i.charge_id = charges.id"
        " AND p.status IN ('created', 'awaiting_confirmation'))"
    ),
    "charges disagree with the refunds under way": (
        "SELECT id FROM charges WHERE refunding != (SELECT coalesce(sum(amount), 0) FROM refunds"
        " WHERE charge_id = charges.id AND status IN ('requested', 'in_progress'))"
    ),
    "charges paid back more than they had got": (
        "SELECT id FROM charges WHERE (SELECT sum(amount) FROM ledger WHERE account = 'charge:' || charges.id) < 0"
    ),
    "refunds disagree with what the ledger says they moved": (
        "SELECT id FROM refunds WHERE CASE status WHEN 'completed' THEN amount ELSE 0 END"
        " != (SELECT coalesce(-sum(amount), 0) FROM ledger"
        " WHERE source = refunds.id AND account = 'charge:' || refunds.charge_id)"
    ),
    "advances disagree with the ledger": (
        "SELECT id FROM refunds WHERE advance != (SELECT coalesce(sum(amount), 0) FROM ledger"
        " WHERE account = 'advance:' || refunds.id)"
    ),
    "offsets disagree with what they paid": (
        "SELECT id FROM refunds WHERE method = 'future_payments' AND status = 'completed' AND amount - advance"
        " != (SELECT coalesce(sum(amount), 0) FROM refund_items WHERE refund_id = refunds.id)"
    ),
}


@final
@checked("world.charges")
class ChargesControl:
    """
    A world's charges and payments: `world.charges`.

    Args:
        work: Opens a unit of work in the world.
    """

    def __init__(self, work: Callable[[], AbstractContextManager[Work]]) -> None:
        self._work = work

    def add(
        self,
        profile: Profile,
        amount: Money,
        *,
        kind: ChargeKind = ChargeKind.FINE,
        accrued_on: dt.date | None = None,
        due_on: dt.date | None = None,
        purpose: str | None = None,
        uin: Uin | None = None,
        order_number: str | None = None,
        tax_period: Period | None = None,
        requisites: Requisites | None = None,
        calculation: Calculation | None = None,
        documents: tuple[ChargeDocument, ...] = (),
    ) -> Charge:
        """
        Charge a profile with something.

        Args:
            profile: Who owes it.
            amount: How much, above zero.
            kind: What for; a tax, a contribution or a penalty is paid as the single tax payment.
            accrued_on: Today in Moscow where it is left out, or the last day to pay where that is earlier.
            due_on: Sixty days later where it is left out.
            purpose: The kind's label where it is left out.
            uin: Made up where it is left out and the kind needs one.
            order_number: Of the order that it rests on.
            tax_period: What a tax is for.
            requisites: The usual ones of the kind where they are left out.
            calculation: How the amount came about.
            documents: What it rests on.

        Raises:
            ValueError: The charge breaks a rule of its kind, another one has its УИН, the profile is of another world,
                or `due_on` is left out and sixty days later there is no day.
        """
        with self._work() as work:
            _expect_here(work, profile)
            accrued_on = accrued_on or min(work.today, due_on or work.today)
            due_on = due_on or _due(accrued_on)
            purpose = purpose or kind.label
            if uin is None and requisites is not None:
                uin = requisites.uin
            if uin is None and kind not in rules.SINGLE_TAX_KINDS:
                uin = _uin(work.ids.digits(14, taken=lambda each: store.charge_by_uin(work, _uin(each))))
            elif uin is not None and store.charge_by_uin(work, uin) is not None:
                msg = f"the world has a charge with the УИН {uin!r} already"
                raise ValueError(msg)
            if requisites is None:
                requisites = _requisites(kind, purpose, uin)
            charge = Charge(
                id=ChargeId(work.ids.new("chg")),
                kind=kind,
                status=ChargeStatus.NOT_PAID,
                amount=amount,
                paid=_NOTHING,
                pending=_NOTHING,
                due=amount,
                overpaid=_NOTHING,
                accrued_on=accrued_on,
                due_on=due_on,
                overdue=False,
                purpose=purpose,
                uin=uin,
                order_number=order_number,
                tax_period=tax_period,
                requisites=requisites,
                calculation=calculation,
                documents=documents,
            )
            if amount.kopecks <= 0:
                msg = f"a charge is above zero, not {amount}"
                raise ValueError(msg)
            charge = rules.accrue(work, profile, charge)
            _done(work, "add", f"/charges/{charge.id}", profile.id)
            return attrs.evolve(charge, overdue=charge.due_on < work.today and charge.paid < charge.amount)

    def script(self, *outcomes: rules.Outcome) -> None:
        """
        Have the payments to come end like this, in their order; without a script they succeed by the clock.

        Raises:
            ValueError: There is no such outcome.
        """
        self._script("script", "payment", outcomes)

    def script_refunds(self, *outcomes: rules.Outcome) -> None:
        """
        Have the refunds to come end like this, in their order; without a script they are carried out by the clock.

        What is held stays as it is until `complete_refund` or `refuse_refund`.

        Raises:
            ValueError: There is no such outcome.
        """
        self._script("script_refunds", "refund", outcomes)

    def _script(self, control: str, subject: str, outcomes: Sequence[rules.Outcome]) -> None:
        with self._work() as work:
            for outcome in outcomes:
                store_steps.script_outcome(work, subject, rules.Outcome.parse(outcome))
            _done(work, control)

    def confirm(self, payment_id: PaymentId) -> Payment:
        """Confirm a pending payment now, in the payer's place."""
        return self._decide("confirm", payment_id, rules_payments.succeed)

    def decline(self, payment_id: PaymentId, reason: str = "Отклонено плательщиком") -> Payment:
        """Decline a pending payment now."""
        return self._decide("decline", payment_id, lambda work, payment: rules_payments.decline(work, payment, reason))

    def _decide(self, control: str, payment_id: PaymentId, decide: Callable[[Work, Payment], None]) -> Payment:
        with self._work() as work:
            payment = store_payments.payment_by_id(work, payment_id)
            if payment is None or payment.status.final:
                msg = f"no pending payment {payment_id}"
                raise ValueError(msg)
            decide(work, payment)
            _done(work, control, f"/payments/{payment_id}", store_payments.payer_of(work, payment_id))
            decided = store_payments.payment_by_id(work, payment_id)
            return payment if decided is None else decided

    def request_refund(
        self, profile: Profile, charge: Charge, method: RefundMethod, amount: Money | None = None
    ) -> Refund:
        """
        Request the refund of an overpayment, in the profile's place.

        Raises:
            Problem: As the service would answer.
        """
        with self._work() as work:
            refund = rules_refunds.request_refund(work, profile, charge.id, method, amount)
            _done(work, "request_refund", f"/refunds/{refund.id}", profile.id)
            return self._seen(work, refund)

    def choose_card(self, refund_id: RefundId) -> Refund:
        """Choose the bank card of a refund that awaits it, in its holder's place."""

        def choose(work: Work, refund: Refund) -> None:
            if refund.confirmation is None:
                msg = f"the refund {refund_id} awaits no card"
                raise ValueError(msg)
            rules_refunds.choose_card(work, refund)

        return self._decide_refund("choose_card", refund_id, choose)

    def order_refund(self, refund_id: RefundId) -> Refund:
        """Grant a requested refund now, in the payee's place; the Treasury carries it out the next working day."""

        def order(work: Work, refund: Refund) -> None:
            if refund.status != RefundStatus.REQUESTED or refund.method == RefundMethod.FUTURE_PAYMENTS:
                msg = f"the refund {refund_id} needs no order to the Treasury"
                raise ValueError(msg)
            rules_refunds.order_refund(work, refund)

        return self._decide_refund("order_refund", refund_id, order)

    def complete_refund(self, refund_id: RefundId) -> Refund:
        """Carry out a pending refund now."""
        return self._decide_refund("complete_refund", refund_id, rules_refunds.complete_refund)

    def refuse_refund(self, refund_id: RefundId, reason: str = "Заявление подано не тем, кто платил") -> Refund:
        """Refuse a pending refund now, in the payee's place."""
        return self._decide_refund(
            "refuse_refund", refund_id, lambda work, refund: rules_refunds.refuse_refund(work, refund, reason)
        )

    def _decide_refund(self, control: str, refund_id: RefundId, decide: Callable[[Work, Refund], None]) -> Refund:
        with self._work() as work:
            refund = store_refunds.refund_by_id(work, refund_id)
            if refund is None or refund.status.final:
                msg = f"no pending refund {refund_id}"
                raise ValueError(msg)
            decide(work, refund)
            _done(work, control, f"/refunds/{refund_id}", store_refunds.payee_of(work, refund_id))
            return self._seen(work, refund)

    @staticmethod
    def _seen(work: Work, refund: Refund) -> Refund:
        seen = store_refunds.refund_by_id(work, refund.id)
        return refund if seen is None else seen

    def receive_transfer(
        self,
        payer_inn: Inn,
        amount: Money,
        *,
        purpose: str,
        payment_order_number: str = "1",
        uin: Uin | None = None,
        kbk: Kbk | None = None,
    ) -> BankTransfer:
        """
        Let a bank transfer arrive at the treasury.

        It is matched by the payment's number in its purpose, by a УИН (field 22 or in its purpose), or, with the КБК of
        the single tax payment, shared by the Tax Code's order; otherwise it stays unmatched.
        """
        _check_transfer(amount)
        with self._work() as work:
            payer = profile_by_inn(work.database, payer_inn)
            payer_id = None if payer is None else payer.id
            transfer = rules_transfers.receive(
                work,
                profile_id=payer_id,
                payer_inn=payer_inn,
                amount=amount,
                purpose=purpose,
                payment_order_number=payment_order_number,
                uin=uin,
                kbk=kbk,
            )
            _done(work, "receive_transfer", f"/bank-transfers/{transfer.id}", payer_id)
            return transfer

    def credit(
        self, profile: Profile, charge: Charge, amount: Money, *, payment_order_number: str = "1"
    ) -> BankTransfer:
        """
        Credit a charge with money from a bank, whatever its requisites; more than is due overpays it.

        Raises:
            ValueError: The amount is not above zero, or the profile or the charge is of another world.
        """
        _check_transfer(amount)
        with self._work() as work:
            _expect_here(work, profile)
            if store.profile_of_charge(work, charge.id) is None:
                msg = f"the world has no charge {charge.id}"
                raise ValueError(msg)
            transfer = rules_transfers.receive_for(work, profile, charge, amount, payment_order_number)
            _done(work, "credit", f"/charges/{charge.id}", profile.id)
            return transfer

    def check_books(self) -> None:
        """
        Compare what charges, payments and refunds say with the ledger.

        Raises:
            AssertionError: The ledger does not sum to zero, or something disagrees with it.
        """
        with self._work() as work:
            total = work.database.one("SELECT coalesce(sum(amount), 0) AS total FROM ledger")
            if total is None or total["total"] != 0:
                msg = "the ledger does not sum to zero"
                raise AssertionError(msg)
            for what, query in _BREACHES.items():
                wrong = work.database.all(query)
                if wrong:
                    msg = f"{what}: {[row['id'] for row in wrong]}"
                    raise AssertionError(msg)


def _expect_here(work: Work, profile: Profile) -> None:
    if profile_by_id(work.database, profile.id) is None:
        msg = f"the world has no profile {profile.id}"
        raise ValueError(msg)


def _due(accrued_on: dt.date) -> dt.date:
    try:
        return accrued_on + _TERM
    except OverflowError:
        msg = f"{_TERM.days} days after {accrued_on} there is no day: name the last day to pay, due_on=…"
        raise ValueError(msg) from None


def _check_transfer(amount: Money) -> None:
    if amount.kopecks <= 0:
        msg = f"a transfer is above zero, not {amount}"
        raise ValueError(msg)


def _done(work: Work, control: str, subject: str | None = None, profile_id: str | None = None) -> None:
    work.journal.record(work, f"{SANDBOX}.charges.{control}", profile_id=profile_id, subject=subject)


def _uin(digits: str) -> Uin:
    return Uin.with_check_digits(f"18810{digits}")


def _requisites(kind: ChargeKind, purpose: str, uin: Uin | None) -> Requisites:
    if kind in rules.SINGLE_TAX_KINDS:
        return rules.single_tax_requisites(purpose)
    duty = kind == ChargeKind.DUTY
    return Requisites(
        payee="УФК по г. Москве (МИ ФНС России по управлению долгом)"
        if duty
        else "УФК по г. Москве (УГИБДД ГУ МВД России по г. Москве)",
        payee_inn=OrganisationInn.with_check_digits("772740602" if duty else "770708910"),
        payee_kpp=Kpp("770801001" if duty else "770731005"),
        account=TreasuryAccount("03100643000000018500" if duty else "03100643000000017300"),
        bank="ГУ Банка России по ЦФО//УФК по г. Москве, г. Москва",
        bik=Bik("004525988"),
        correspondent_account=AccountNumber.with_key("40102810545370000003", Bik("004525988")),
        kbk=Kbk("18210803010011050110" if duty else "18811601123010001140"),
        oktmo=Oktmo("45382000"),
        uin=uin,
        payer_status="24",
        purpose=purpose,
    )
