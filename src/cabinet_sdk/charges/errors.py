"""What can go wrong with charges and payments."""

from __future__ import annotations

from typing import final

from cabinet_sdk.errors import NotFound, StateError

__all__ = ["AmountExceedsDue", "ChargeNotFound", "MethodNotLinked", "NothingDue", "PaymentNotFound"]


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
class NothingDue(StateError):
    """Nothing of the charge is left to pay: it is paid, or payments under way cover it."""

    code = "charges.nothing_due"
    title = "Nothing of the charge is left to pay."
    remedy = "Read the charge again; its pending payments tell what is under way."


@final
class AmountExceedsDue(StateError):
    """The payment is larger than what is due; the member ``due`` says how much that is."""

    code = "charges.amount_exceeds_due"
    title = "The payment is larger than what is due."
    remedy = "Pay at most what is due, or leave the amount out to pay all of it."


@final
class MethodNotLinked(StateError):
    """The profile has no linked card or account to pay from."""

    code = "charges.method_not_linked"
    title = "The profile has no linked card or account to pay from."
    remedy = "Link one first, or pay another way."
