"""What the clock makes happen: the authorities that the server plays do what is theirs to do."""

from __future__ import annotations

import datetime as dt

import attrs

from cabinet_sdk.charges.models import Payment, PaymentMethod, PaymentStatus, Refund, RefundMethod, RefundStatus
from reference_server.charges import (
    rules,
    rules_payments,
    rules_refunds,
    store,
    store_payments,
    store_refunds,
    store_steps,
)
from reference_server.session import Work

__all__ = ["step"]

# How long a bank takes to say how a payment ends, by the world's clock.
_TO_OUTCOME = dt.timedelta(seconds=2)


def step(work: Work) -> None:
    """
    Let happen what the clock has made due, each at its own moment.

    Payers confirm and choose cards, banks credit, payees decide, the Treasury carries out, terms run out.
    """
    store.mark_late(work)
    while (due := store_steps.next_step(work)) is not None:
        then = attrs.evolve(work, now=due.at)
        if isinstance(due.subject, Payment):
            _step_payment(then, due.subject, due.outcome)
            what = "payment"
        else:
            _step_refund(then, due.subject, due.outcome)
            what = "refund"
        work.journal.record(work, f"clock.{what}", profile_id=due.profile_id, subject=f"/{what}s/{due.subject.id}")


def _step_payment(work: Work, payment: Payment, outcome: str) -> None:
    waits = outcome == rules.Outcome.HOLD or payment.method == PaymentMethod.BANK_TRANSFER
    if payment.status == PaymentStatus.CREATED:
        next_at = payment.expires_at if waits else work.now + _TO_OUTCOME
        store_payments.move_payment(work, payment, PaymentStatus.AWAITING_CONFIRMATION, next_at=next_at)
    elif waits:
        rules_payments.expire(work, payment)
    elif outcome == rules.Outcome.DECLINE:
        rules_payments.decline(work, payment, "Банк отклонил операцию")
    else:
        rules_payments.succeed(work, payment)


def _step_refund(work: Work, refund: Refund, outcome: str) -> None:
    if outcome == rules.Outcome.HOLD:
        store_refunds.update_refund(work, refund, refund.status)
    elif refund.confirmation is not None:
        rules_refunds.choose_card(work, refund)
    elif outcome == rules.Outcome.DECLINE:
        rules_refunds.refuse_refund(work, refund, "Переплата не подтверждена администратором доходов")
    elif refund.method != RefundMethod.FUTURE_PAYMENTS and refund.status == RefundStatus.REQUESTED:
        rules_refunds.order_refund(work, refund)
    else:
        rules_refunds.complete_refund(work, refund)
