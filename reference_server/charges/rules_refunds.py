"""How what is overpaid comes back: to a card, from the payee itself, or by paying other charges."""

from __future__ import annotations

import datetime as dt

import attrs

from cabinet_sdk.charges.errors import (
    AmountExceedsOverpayment,
    ChargeNotFound,
    MethodNotLinked,
    NothingOverpaid,
    RefundInvalid,
)
from cabinet_sdk.charges.models import ChargeEventKind, ChargeId, Refund, RefundId, RefundMethod, RefundStatus
from cabinet_sdk.errors import FieldError
from cabinet_sdk.types import MOSCOW, Money, moscow_date
from reference_server.charges import rules, rules_ledger, rules_shares, store, store_refunds, store_steps
from reference_server.profiles import Profile
from reference_server.session import Work
from reference_server.working_days import is_working_day

__all__ = ["choose_card", "complete_refund", "order_refund", "refuse_refund", "request_refund"]

# How long a holder takes to choose the card, by the world's clock.
_TO_CARD = dt.timedelta(seconds=2)
# When authorities begin to work, in Moscow.
_OPENING = dt.time(9)

_REFUND_NUMBER_LENGTH = 10


def request_refund(
    work: Work,
    profile: Profile,
    charge_id: ChargeId,
    method: RefundMethod,
    amount: Money | None,
) -> Refund:
    """Request the refund of what a charge of the profile is overpaid by, and hold its amount."""
    charge = store.charge_by_id(work, profile.id, charge_id)
    if charge is None:
        raise ChargeNotFound
    if amount is not None and amount.kopecks <= 0:
        error = FieldError("amount", "positive", "expected an amount above zero")
        raise RefundInvalid(errors=(error,))
    if method == RefundMethod.LINKED_CARD and method not in profile.linked:
        raise MethodNotLinked(members={"method": method})
    refundable = charge.overpaid - charge.refunding
    if not refundable:
        raise NothingOverpaid(members={"charge_id": charge.id})
    if amount is not None and amount > refundable:
        raise AmountExceedsOverpayment(members={"charge_id": charge.id, "refundable": refundable})
    refund = Refund(
        id=RefundId(work.ids.new("ref")),
        charge_id=charge.id,
        status=RefundStatus.REQUESTED,
        method=method,
        amount=refundable if amount is None else amount,
        number=work.ids.digits(
            _REFUND_NUMBER_LENGTH, taken=lambda number: store_refunds.is_refund_number(work, number)
        ),
        created_at=work.now,
    )
    outcome = store_steps.take_scripted_outcome(work, "refund") or rules.Outcome.SUCCEED
    if outcome == rules.Outcome.HOLD:
        next_at = None
    elif method == RefundMethod.BANK_CARD:
        next_at = work.now + _TO_CARD
    else:
        next_at = _next_working_day(work.now)
    store_refunds.insert_refund(work, profile.id, refund, outcome, next_at)
    store.update_charge(work, charge.id, refunding=refund.amount.kopecks)
    comment = f"Заявление № {refund.number}: {_how(method)}"
    store_refunds.add_refund_event(work, refund, ChargeEventKind.REFUND_REQUESTED, refund.amount, comment)
    return refund


def _how(method: RefundMethod) -> str:
    return method.label[0].lower() + method.label[1:]


def _next_working_day(now: dt.datetime) -> dt.datetime:
    """
    Return when the payee or the Treasury does what it has to do by the next day (Tax Code, art. 78 and 79).

    Days are working days (art. 6.1 p. 6).
    """
    day = moscow_date(now) + dt.timedelta(days=1)
    while not is_working_day(day):
        day += dt.timedelta(days=1)
    return dt.datetime.combine(day, _OPENING, MOSCOW).astimezone(dt.UTC)


def choose_card(work: Work, refund: Refund) -> None:
    """Let the holder of a refund that awaits it choose the bank card."""
    store_refunds.update_refund(work, refund, refund.status, next_at=_next_working_day(work.now))


def order_refund(work: Work, refund: Refund) -> None:
    """Grant a refund: the order goes to the Treasury, which carries it out the next working day."""
    order_number = work.ids.digits(6)
    next_at = _next_working_day(work.now)
    store_refunds.update_refund(work, refund, RefundStatus.IN_PROGRESS, next_at=next_at, order_number=order_number)
    ordered = attrs.evolve(refund, payment_order_number=order_number)
    comment = f"Заявление № {refund.number} удовлетворено, поручение № {order_number}"
    store_refunds.add_refund_event(work, ordered, ChargeEventKind.REFUND_ORDERED, refund.amount, comment)


def refuse_refund(work: Work, refund: Refund, reason: str) -> None:
    """Refuse a pending refund and free what it held."""
    store_refunds.update_refund(work, refund, RefundStatus.REFUSED, reason=reason)
    store.update_charge(work, refund.charge_id, refunding=-refund.amount.kopecks)
    store_refunds.add_refund_event(work, refund, ChargeEventKind.REFUND_REFUSED, refund.amount, reason)


def complete_refund(work: Work, refund: Refund) -> None:
    """Carry out a pending refund: the money leaves the charge for good."""
    if refund.method == RefundMethod.FUTURE_PAYMENTS:
        store_refunds.update_refund(work, refund, RefundStatus.COMPLETED)
        _offset(work, refund)
        return
    if refund.payment_order_number is None:
        refund = attrs.evolve(refund, payment_order_number=work.ids.digits(6))
    store_refunds.update_refund(work, refund, RefundStatus.COMPLETED, order_number=refund.payment_order_number)
    comment = f"Возвращено по заявлению № {refund.number}: {_how(refund.method)}"
    rules_ledger.pay_back(work, refund, comment)


def _offset(work: Work, refund: Refund) -> None:
    """
    Pay other charges of the same account with an overpayment; the rest stays for those to come.

    Money of one payee cannot pay another's charge. Taxes, contributions and penalties are one account (ЕНС) and are
    paid in the order of the Tax Code; charges of any other payee by their terms, the earliest first. What payments
    under way will pay is left to them.
    """
    profile_id = store.profile_of_charge(work, refund.charge_id)
    charge = None if profile_id is None else store.charge_by_id(work, profile_id, refund.charge_id)
    if profile_id is None or charge is None:
        msg = f"the refund {refund.id} has lost its charge"
        raise RuntimeError(msg)
    others = store.offset_charges(work, profile_id, charge)
    purposes = {other.id: other.purpose for other in others}
    rest = refund.amount
    for item in rules_shares.distribute(refund.amount, others, work.today, besides_pending=True):
        comment = f"Зачтено по заявлению № {refund.number}: {purposes[item.charge_id]}"
        rules_ledger.offset(work, refund, item, comment)
        rest -= item.amount
    if rest:
        comment = f"Остаток по заявлению № {refund.number} зачтётся при новых начислениях"
        rules_ledger.keep_advance(work, refund, rest, comment)
