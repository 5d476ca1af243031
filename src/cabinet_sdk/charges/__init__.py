"""Charges: what a profile owes the budget, and paying it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cabinet_sdk.charges.errors import (
    AmountExceedsDue,
    AmountExceedsOverpayment,
    ChargeNotFound,
    ExportTooLarge,
    MethodNotLinked,
    NothingDue,
    NothingOverpaid,
    PaymentInvalid,
    PaymentNotFound,
    PaymentNotSucceeded,
    RefundInvalid,
    RefundNotFound,
)
from cabinet_sdk.charges.models import (
    BankTransfer,
    BankTransferId,
    BankTransferStatus,
    Calculation,
    Charge,
    ChargeDocument,
    ChargeEvent,
    ChargeEventId,
    ChargeEventKind,
    ChargeId,
    ChargeKind,
    ChargeOrder,
    ChargeStatus,
    Confirmation,
    ExportFormat,
    Overpayment,
    Payment,
    PaymentId,
    PaymentItem,
    PaymentMethod,
    PaymentStatus,
    Refund,
    RefundId,
    RefundMethod,
    RefundStatus,
    Requisites,
)
from cabinet_sdk.charges.operations import ItemToPay

if TYPE_CHECKING:
    from cabinet_sdk.charges.client import AsyncCharges, Charges

__all__ = [
    "AmountExceedsDue",
    "AmountExceedsOverpayment",
    "AsyncCharges",
    "BankTransfer",
    "BankTransferId",
    "BankTransferStatus",
    "Calculation",
    "Charge",
    "ChargeDocument",
    "ChargeEvent",
    "ChargeEventId",
    "ChargeEventKind",
    "ChargeId",
    "ChargeKind",
    "ChargeNotFound",
    "ChargeOrder",
    "ChargeStatus",
    "Charges",
    "Confirmation",
    "ExportFormat",
    "ExportTooLarge",
    "ItemToPay",
    "MethodNotLinked",
    "NothingDue",
    "NothingOverpaid",
    "Overpayment",
    "Payment",
    "PaymentId",
    "PaymentInvalid",
    "PaymentItem",
    "PaymentMethod",
    "PaymentNotFound",
    "PaymentNotSucceeded",
    "PaymentStatus",
    "Refund",
    "RefundId",
    "RefundInvalid",
    "RefundMethod",
    "RefundNotFound",
    "RefundStatus",
    "Requisites",
]


if not TYPE_CHECKING:  # A type checker would take any name for an attribute that this function has.

    def __getattr__(name: str) -> object:
        # The server reads this area too, and must not load the client's machinery with it.
        if name in {"AsyncCharges", "Charges"}:
            from cabinet_sdk.charges import client  # noqa: PLC0415

            return getattr(client, name)
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)


def __dir__() -> list[str]:
    return __all__
