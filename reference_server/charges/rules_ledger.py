"""
How money moves.

Rule: whatever moves money goes through this module, which changes the charge, the ledger and the history together. No
other module enters anything in the ledger or changes what is paid.
"""

from __future__ import annotations

from cabinet_sdk.charges.models import Charge, ChargeEventKind, PaymentItem, Refund
from cabinet_sdk.types import Money
from reference_server.charges import store, store_ledger, store_refunds
from reference_server.session import Work

__all__ = ["apply_advance", "credit", "keep_advance", "keep_unmatched", "offset", "pay_back"]


def credit(
    work: Work,
    source: str,
    charge_id: str,
    amount: Money,
    *,
    pending: Money,
    kind: ChargeEventKind,
    comment: str,
    payment_id: str | None,
    order_number: str,
) -> None:
    """
    Credit a charge with what a bank brought.

    Args:
        work: The unit of work.
        source: The payment or the bank transfer that it came by.
        charge_id: What it pays.
        amount: How much.
        pending: How much of that a payment had announced.
        kind: What the history calls it.
        comment: What the history says of it.
        payment_id: The payment that had announced it, if any.
        order_number: Of the payment order.
    """
    store.update_charge(work, charge_id, paid=amount.kopecks, pending=-pending.kopecks)
    store_ledger.post(work, source, _account(charge_id), amount)
    store.add_event(
        work,
        charge_id,
        kind,
        amount,
        comment,
        payment_id=payment_id,
        payment_order_number=order_number,
    )


def keep_unmatched(work: Work, transfer_id: str, amount: Money) -> None:
    """Keep what of a bank transfer found no charge."""
    store_ledger.post(work, transfer_id, store_ledger.UNMATCHED, amount)


def pay_back(work: Work, refund: Refund, comment: str) -> None:
    """Let the bank take what a refund holds: the money leaves its charge for good."""
    _take(work, refund, refund.amount, store_ledger.BANK, kind=ChargeEventKind.REFUND_COMPLETED, comment=comment)


def offset(work: Work, refund: Refund, item: PaymentItem, comment: str) -> None:
    """Pay another charge with a part of what a refund holds."""
    to = _account(item.charge_id)
    _take(work, refund, item.amount, to, kind=ChargeEventKind.OVERPAYMENT_OFFSET, comment=comment)
    _bring(work, refund, item.charge_id, item.amount)


def keep_advance(work: Work, refund: Refund, rest: Money, comment: str) -> None:
    """Keep the rest of what a refund holds for charges to come."""
    _take(work, refund, rest, _advance(refund), kind=ChargeEventKind.ADVANCE_KEPT, comment=comment)
    store_refunds.add_advance(work, refund.id, rest)


def apply_advance(work: Work, refund: Refund, charge: Charge, share: Money) -> None:
    """Pay a new charge with a share of what was kept for it."""
    store_refunds.add_advance(work, refund.id, -share)
    store_ledger.post(work, refund.id, _account(charge.id), share, against=_advance(refund))
    comment = f"Аванс по заявлению № {refund.number} зачтён: {charge.purpose}"
    store_refunds.add_refund_event(work, refund, ChargeEventKind.ADVANCE_APPLIED, share, comment)
    _bring(work, refund, charge.id, share)


def _take(work: Work, refund: Refund, amount: Money, to: str, *, kind: ChargeEventKind, comment: str) -> None:
    """Move what a refund holds from its charge to another account of the ledger."""
    store.update_charge(work, refund.charge_id, paid=-amount.kopecks, refunding=-amount.kopecks)
    store_ledger.post(work, refund.id, to, amount, against=_account(refund.charge_id))
    store_refunds.add_refund_event(work, refund, kind, amount, comment)


def _bring(work: Work, refund: Refund, charge_id: str, amount: Money) -> None:
    """Credit an offset to the charge that it pays; whoever took the money has entered it in the ledger."""
    store.update_charge(work, charge_id, paid=amount.kopecks)
    store_refunds.add_refund_item(work, refund.id, charge_id, amount)
    comment = f"Зачтена переплата по заявлению № {refund.number}"
    store.add_event(work, charge_id, ChargeEventKind.OFFSET_CREDITED, amount, comment, refund_id=refund.id)


def _account(charge_id: str) -> str:
    return f"charge:{charge_id}"


def _advance(refund: Refund) -> str:
    return f"advance:{refund.id}"
