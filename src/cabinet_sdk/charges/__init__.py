"""Charges: what a profile owes the budget, and paying it."""

from __future__ import annotations

from cabinet_sdk.charges.client import AsyncCharges, Charges
from cabinet_sdk.charges.errors import AmountExceedsDue, ChargeNotFound, MethodNotLinked, NothingDue, PaymentNotFound
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
    Payment,
    PaymentId,
    PaymentItem,
    PaymentMethod,
    PaymentStatus,
    Requisites,
)
from cabinet_sdk.charges.operations import ItemToPay

__all__ = [
    "AmountExceedsDue",
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
    "ItemToPay",
    "MethodNotLinked",
    "NothingDue",
    "Payment",
    "PaymentId",
    "PaymentItem",
    "PaymentMethod",
    "PaymentNotFound",
    "PaymentStatus",
    "Requisites",
]
