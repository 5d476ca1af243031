"""What can go wrong with charges and payments."""

from __future__ import annotations

from typing import final

from cabinet_sdk.charges.models import ChargeId
from cabinet_sdk.errors import InvalidRequest, Member, NotFound, StateError
from cabinet_sdk.types import Money

__all__ = [
    "AmountExceedsDue",
    "AmountExceedsOverpayment",
    "ChargeNotFound",
    "ExportTooLarge",
    "MethodNotLinked",
    "NothingDue",
    "NothingOverpaid",
    "PaymentInvalid",
    "PaymentNotFound",
    "PaymentNotSucceeded",
    "RefundInvalid",
    "RefundNotFound",
]


@final
class ChargeNotFound(NotFound):
    """The profile has no such charge."""

    code = "charges.charge_not_found"
    title = "The profile has no such charge."


@final
class PaymentNotFound(NotFound):
    """The profile has no such payment."""

    code = "charges.payment_not_found"
    title = "The profile has no such payment."


@final
class RefundNotFound(NotFound):
    """The profile has no such refund."""

    code = "charges.refund_not_found"
    title = "The profile has no such refund."


@final
class PaymentInvalid(InvalidRequest):
    """No payment can be of this: an amount that is not above zero, a charge named twice, a sum that no amount holds."""

    # A code of its own: `request.invalid` comes before the key is looked up, and so settles no earlier attempt.
    code = "charges.payment_invalid"
    title = "No payment can be of this."


@final
class RefundInvalid(InvalidRequest):
    """No refund can be of this: an amount that is not above zero."""

    code = "charges.refund_invalid"
    title = "No refund can be of this."


@final
class NothingDue(StateError):
    """
    Nothing of the charge is left to pay: it is paid, or payments under way cover it.

    Attributes:
        charge_id: Which charge.
    """

    code = "charges.nothing_due"
    title = "Nothing of the charge is left to pay."
    remedy = "Read the charge again: what is pending is being paid, and its history names the payments."

    charge_id: Member[ChargeId] = Member(ChargeId)


@final
class AmountExceedsDue(StateError):
    """
    The payment is larger than what is due.

    Attributes:
        charge_id: On which charge.
        due: What is due on it.
    """

    code = "charges.amount_exceeds_due"
    title = "The payment is larger than what is due."
    remedy = "Pay at most what is due, or leave the amount out to pay all of it."

    charge_id: Member[ChargeId] = Member(ChargeId)
    due: Member[Money] = Member(Money)


@final
class MethodNotLinked(StateError):
    """
    The profile has no linked card or account of the kind that the method needs.

    Attributes:
        method: The code of the method.
    """

    code = "charges.method_not_linked"
    title = "The profile has no linked card or account of the kind that the method needs."
    remedy = "Link one first, or choose another method."

    method: Member[str] = Member(str)


@final
class NothingOverpaid(StateError):
    """
    Nothing of the charge can be refunded: it is not overpaid, or refunds under way hold all of it.

    Attributes:
        charge_id: Which charge.
    """

    code = "charges.nothing_overpaid"
    title = "Nothing of the charge can be refunded."
    remedy = "Read the charge's overpayment and its refunds; only what is overpaid and not under way comes back."

    charge_id: Member[ChargeId] = Member(ChargeId)


@final
class AmountExceedsOverpayment(StateError):
    """
    The refund is larger than what can be refunded.

    Attributes:
        charge_id: Of which charge.
        refundable: What can be refunded of it.
    """

    code = "charges.amount_exceeds_overpayment"
    title = "The refund is larger than what can be refunded."
    remedy = "Request at most what is refundable, or leave the amount out to request all of it."

    charge_id: Member[ChargeId] = Member(ChargeId)
    refundable: Member[Money] = Member(Money)


@final
class PaymentNotSucceeded(StateError):
    """The payment is not credited, and there is no receipt of what was not paid."""

    code = "charges.payment_not_succeeded"
    title = "The payment is not credited, so there is no receipt of it."
    remedy = "Wait for the payment first; its payment document is there at any time."


@final
class ExportTooLarge(StateError):
    """The filters leave more than the 100 000 rows that an export may have."""

    code = "charges.export_too_large"
    title = "The export would have more than 100 000 rows."
    remedy = "Narrow the filters, such as the period, and export in several files."
