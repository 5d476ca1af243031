"""How charges are paid: what a payment may be of, and how it ends."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from cabinet_sdk.charges.errors import AmountExceedsDue, ChargeNotFound, MethodNotLinked, NothingDue, PaymentInvalid
from cabinet_sdk.charges.models import ChargeEventKind, Payment, PaymentId, PaymentItem, PaymentMethod, PaymentStatus
from cabinet_sdk.charges.operations import ItemToPay
from cabinet_sdk.errors import FieldError, InvalidValue
from cabinet_sdk.types import Money
from reference_server.charges import rules, rules_ledger, store, store_payments, store_steps
from reference_server.profiles import Profile
from reference_server.session import Work

__all__ = ["LINKED", "decline", "expire", "pay", "succeed"]

LINKED: frozenset[str] = frozenset({PaymentMethod.LINKED_CARD, PaymentMethod.LINKED_ACCOUNT})
"""What a profile must have linked before it pays with it."""

# How long a payment waits for what it needs: a transfer takes banking days, a page is open for a quarter of an hour.
_TERM = dt.timedelta(minutes=15)
_TRANSFER_TERM = dt.timedelta(days=5)
# How long a bank takes to open its page, by the world's clock.
_TO_CONFIRMATION = dt.timedelta(seconds=1)

_PAYMENT_NUMBER_LENGTH = 12


def pay(
    work: Work,
    profile: Profile,
    items: Sequence[ItemToPay],
    method: PaymentMethod,
    fields: Sequence[str],
) -> Payment:
    """
    Make a payment of the profile's charges: of all of them or of none.

    Args:
        work: The unit of work.
        profile: Who pays.
        items: What to pay.
        method: How.
        fields: Path of each item in the request, for errors.
    """
    if method in LINKED and method not in profile.linked:
        raise MethodNotLinked(members={"method": method})
    seen: set[str] = set()
    for item, field in zip(items, fields, strict=True):
        if item.charge_id in seen:
            error = FieldError(f"{field}charge_id", "repeated", "expected each charge once, got it again")
            raise PaymentInvalid(errors=(error,))
        seen.add(item.charge_id)
    parts = tuple(_part(work, profile, item, field) for item, field in zip(items, fields, strict=True))
    try:
        amount = sum((part.amount for part in parts), Money.ZERO)
    except InvalidValue as error:
        raise PaymentInvalid(errors=(FieldError("items", error.rule, error.message),)) from error
    by_transfer = method == PaymentMethod.BANK_TRANSFER
    expires_at = work.now + (_TRANSFER_TERM if by_transfer else _TERM)
    payment = Payment(
        id=PaymentId(work.ids.new("pay")),
        status=PaymentStatus.AWAITING_CONFIRMATION if by_transfer else PaymentStatus.CREATED,
        method=method,
        amount=amount,
        items=parts,
        number=work.ids.digits(
            _PAYMENT_NUMBER_LENGTH, taken=lambda number: store_payments.payment_by_number(work, number)
        ),
        created_at=work.now,
        expires_at=expires_at,
    )
    # The authorities that the server plays follow the clock unless a test has scripted what they do next.
    outcome = store_steps.take_scripted_outcome(work, "payment") or rules.Outcome.SUCCEED
    next_at = expires_at if by_transfer else work.now + _TO_CONFIRMATION
    store_payments.insert_payment(work, profile.id, payment, outcome, next_at)
    for part in parts:
        store.update_charge(work, part.charge_id, pending=part.amount.kopecks)
        comment = f"Платёж № {payment.number}: {method.label.lower() if method != PaymentMethod.SBP else method.label}"
        store.add_event(
            work, part.charge_id, ChargeEventKind.PAYMENT_CREATED, part.amount, comment, payment_id=payment.id
        )
    return payment


def _part(work: Work, profile: Profile, item: ItemToPay, field: str) -> PaymentItem:
    charge = store.charge_by_id(work, profile.id, item.charge_id)
    if charge is None:
        raise ChargeNotFound
    amount = charge.due if item.amount is None else item.amount
    if item.amount is not None and item.amount.kopecks <= 0:
        error = FieldError(f"{field}amount", "positive", "expected an amount above zero")
        raise PaymentInvalid(errors=(error,))
    if not charge.due:
        raise NothingDue(members={"charge_id": charge.id})
    if amount > charge.due:
        raise AmountExceedsDue(members={"charge_id": charge.id, "due": charge.due})
    return PaymentItem(charge_id=charge.id, amount=amount)


def succeed(work: Work, payment: Payment) -> None:
    """Credit a pending payment."""
    order_number = work.ids.digits(6)
    store_payments.settle_payment(work, payment, PaymentStatus.SUCCEEDED, order_number=order_number)
    for position, item in enumerate(payment.items):
        open_amount = store_payments.open_amount(work, payment, position)
        if open_amount:
            rules_ledger.credit(
                work,
                payment.id,
                item.charge_id,
                open_amount,
                pending=open_amount,
                kind=ChargeEventKind.PAYMENT_SUCCEEDED,
                comment=f"Платёж № {payment.number} зачислен",
                payment_id=payment.id,
                order_number=order_number,
            )


def decline(work: Work, payment: Payment, reason: str) -> None:
    """Give up a pending payment: its bank said no."""
    store_payments.settle_payment(work, payment, PaymentStatus.DECLINED, reason=reason)
    _release(work, payment, ChargeEventKind.PAYMENT_DECLINED, reason)


def expire(work: Work, payment: Payment) -> None:
    """Give up a pending payment: nobody confirmed it in time."""
    store_payments.settle_payment(work, payment, PaymentStatus.EXPIRED)
    _release(work, payment, ChargeEventKind.PAYMENT_EXPIRED, "Срок подтверждения истёк")


def _release(work: Work, payment: Payment, kind: ChargeEventKind, comment: str) -> None:
    for position, item in enumerate(payment.items):
        open_amount = store_payments.open_amount(work, payment, position)
        # What a transfer has paid in full is not given up.
        if open_amount:
            store.update_charge(work, item.charge_id, pending=-open_amount.kopecks)
            store.add_event(work, item.charge_id, kind, open_amount, comment, payment_id=payment.id)
