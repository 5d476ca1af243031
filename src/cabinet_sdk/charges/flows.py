"""Conversations about charges that take several calls."""

from __future__ import annotations

from cabinet_sdk._core.context import Context
from cabinet_sdk._core.flow import Flow
from cabinet_sdk._core.waiting import wait
from cabinet_sdk.charges.models import Payment, PaymentId, Refund, RefundId
from cabinet_sdk.charges.operations import GET_PAYMENT, GET_REFUND, GetPayment, GetRefund

__all__ = ["wait_for_confirmation", "wait_for_payment", "wait_for_refund"]


def wait_for_payment(context: Context, payment_id: PaymentId, *, timeout: float | None = 900.0) -> Flow[Payment]:
    """
    Wait until a payment is credited or has failed, and return it: `Payment.status` says which.

    A status that this version does not know ends the wait where the service no longer says when to ask again.

    Args:
        context: The client's.
        payment_id: Which.
        timeout: Seconds to wait at the longest; None is without limit. Waiting again later is always possible.

    Raises:
        PaymentNotFound: The profile has no such payment.
        DeadlineExceeded: It is still pending after the timeout.
    """
    return (
        yield from wait(context, GET_PAYMENT, GetPayment(payment_id), lambda payment: payment.status.final, timeout)
    )


def wait_for_confirmation(context: Context, payment_id: PaymentId, *, timeout: float | None = 60.0) -> Flow[Payment]:
    """
    Wait until the payer can confirm a payment, and return it: `Payment.confirmation` says where.

    Without a confirmation it is one that is final, or whose status only a newer version knows.

    Args:
        context: The client's.
        payment_id: Which.
        timeout: Seconds to wait at the longest; None is without limit.

    Raises:
        PaymentNotFound: The profile has no such payment.
        DeadlineExceeded: There is nothing to confirm after the timeout.
    """

    def ready(payment: Payment) -> bool:
        return payment.confirmation is not None or payment.status.final

    return (yield from wait(context, GET_PAYMENT, GetPayment(payment_id), ready, timeout))


def wait_for_refund(context: Context, refund_id: RefundId, *, timeout: float | None = 604_800.0) -> Flow[Refund]:
    """
    Wait until a refund is carried out or refused, and return it: `Refund.status` says which.

    That takes working days. A program that does not live so long reads `refund()` when it runs again.

    A status that this version does not know ends the wait where the service no longer says when to ask again.

    Args:
        context: The client's.
        refund_id: Which.
        timeout: Seconds to wait at the longest, a week unless told otherwise; None is without limit.

    Raises:
        RefundNotFound: The profile has no such refund.
        DeadlineExceeded: It is still pending after the timeout.
    """
    return (yield from wait(context, GET_REFUND, GetRefund(refund_id), lambda refund: refund.status.final, timeout))
