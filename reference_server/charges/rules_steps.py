"""What the clock makes happen: the authorities that the server plays do what is theirs to do."""

from __future__ import annotations

import datetime as dt
import logging
import sqlite3

import attrs

from cabinet_sdk.charges.models import Payment, PaymentMethod, PaymentStatus, Refund, RefundMethod, RefundStatus
from reference_server.audit import DONE, SET_ASIDE
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

logger = logging.getLogger("reference_server")

# How long a bank takes to say how a payment ends, by the world's clock.
_TO_OUTCOME = dt.timedelta(seconds=2)


def step(work: Work) -> None:
    """
    Let happen what the clock has made due, each at its own moment.

    Payers confirm and choose cards, banks credit, payees decide, the Treasury carries out, terms run out. A step that
    cannot be taken is set aside, told once in log and journal, and holds up no other.
    """
    store.mark_late(work)
    while (due := store_steps.next_step(work)) is not None:
        what = "payment" if isinstance(due.subject, Payment) else "refund"
        outcome = DONE
        try:
            with work.database.part():
                _take(attrs.evolve(work, now=due.at), due)
        except Exception as error:
            if _is_of_the_disk(error):
                raise
            logger.exception("the clock cannot move the %s %s, which is set aside", what, due.subject.id)
            store_steps.set_aside(work, due.subject)
            outcome = SET_ASIDE
        work.journal.record(
            work, f"clock.{what}", outcome=outcome, profile_id=due.profile_id, subject=f"/{what}s/{due.subject.id}"
        )


def _take(work: Work, due: store_steps.Step) -> None:
    if isinstance(due.subject, Payment):
        _step_payment(work, due.subject, due.outcome)
    else:
        _step_refund(work, due.subject, due.outcome)


def _is_of_the_disk(error: Exception) -> bool:
    """Say whether nothing can be written now, rather than this: the step waits for a better moment."""
    broken = isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.IntegrityError)
    return broken or isinstance(error, OSError | MemoryError)


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
