"""What one can ask about charges: the rows."""

from __future__ import annotations

from typing import final

import attrs

from cabinet_sdk._core.operation import Call, Job, Listing, Permission
from cabinet_sdk.charges.errors import AmountExceedsDue, ChargeNotFound, MethodNotLinked, NothingDue, PaymentNotFound
from cabinet_sdk.charges.models import (
    BankTransfer,
    BankTransferStatus,
    Charge,
    ChargeEvent,
    ChargeId,
    ChargeKind,
    ChargeOrder,
    ChargeStatus,
    Payment,
    PaymentId,
    PaymentMethod,
)
from cabinet_sdk.types import Inn, Money, Period, Uin

__all__ = [
    "GET_CHARGE",
    "GET_PAYMENT",
    "LIST_BANK_TRANSFERS",
    "LIST_CHARGES",
    "LIST_CHARGE_EVENTS",
    "OPERATIONS",
    "PAY",
    "PAY_CHARGE",
    "PAY_CHARGES",
    "READ_CHARGES",
    "GetCharge",
    "GetPayment",
    "ItemToPay",
    "ListBankTransfers",
    "ListChargeEvents",
    "ListCharges",
    "PayCharge",
    "PayCharges",
]

READ_CHARGES = Permission("charges.read", "Просмотр начислений и платежей")
PAY = Permission("charges.pay", "Оплата начислений")


@final
@attrs.frozen(kw_only=True)
class ListCharges:
    """
    Iterate over charges; the filters narrow each other.

    Args:
        period: Accrued in these days.
        kind: For this.
        status: Paid so far as this says.
        overdue: True for debts: due before today in Moscow and not paid. False for the others.
        payee_inn: Owed to this payee.
        uin: With this unique accrual id.
        order_number: Resting on the order of this number.
        order: In this order; the newest first where it is left out.
    """

    period: Period | None = None
    kind: ChargeKind | None = None
    status: ChargeStatus | None = None
    overdue: bool | None = None
    payee_inn: Inn | None = None
    uin: Uin | None = None
    order_number: str | None = None
    order: ChargeOrder | None = None


LIST_CHARGES = Listing("charges.list", "GET", "/charges", ListCharges, list[Charge], permission=READ_CHARGES)


@final
@attrs.frozen
class GetCharge:
    """
    Read one charge.

    Args:
        charge_id: Which.
    """

    charge_id: ChargeId


GET_CHARGE = Call(
    "charges.get",
    "GET",
    "/charges/{charge_id}",
    GetCharge,
    Charge,
    permission=READ_CHARGES,
    errors=(ChargeNotFound,),
)


@final
@attrs.frozen
class ListChargeEvents:
    """
    Iterate over the history of a charge, the oldest entry first.

    Args:
        charge_id: Which.
    """

    charge_id: ChargeId


LIST_CHARGE_EVENTS = Listing(
    "charges.history",
    "GET",
    "/charges/{charge_id}/history",
    ListChargeEvents,
    list[ChargeEvent],
    permission=READ_CHARGES,
    errors=(ChargeNotFound,),
)


@final
@attrs.frozen
class GetPayment:
    """
    Read one payment.

    Args:
        payment_id: Which.
    """

    payment_id: PaymentId


GET_PAYMENT = Call(
    "charges.payment",
    "GET",
    "/payments/{payment_id}",
    GetPayment,
    Payment,
    permission=READ_CHARGES,
    errors=(PaymentNotFound,),
)


@final
@attrs.frozen
class PayCharge:
    """
    Pay a charge, in full or in part.

    The payment is pending until it is credited or fails: follow it with ``wait_for_payment``.

    Args:
        charge_id: Which.
        method: How the money comes.
        amount: How much; all that is due where it is left out.
    """

    charge_id: ChargeId
    method: PaymentMethod = attrs.field(kw_only=True)
    amount: Money | None = attrs.field(default=None, kw_only=True)


PAY_CHARGE = Job(
    "charges.pay",
    "POST",
    "/charges/{charge_id}/payments",
    PayCharge,
    Payment,
    permission=PAY,
    errors=(ChargeNotFound, NothingDue, AmountExceedsDue, MethodNotLinked),
    created=GET_PAYMENT,
)


@final
@attrs.frozen
class ItemToPay:
    """
    One of several charges to pay at once.

    Attributes:
        charge_id: Which.
        amount: How much; all that is due where it is left out.
    """

    charge_id: ChargeId
    amount: Money | None = None


@final
@attrs.frozen
class PayCharges:
    """
    Pay several charges with one payment: all of them or none.

    Args:
        items: The charges, each once, 1 to 100.
        method: How the money comes.
    """

    items: tuple[ItemToPay, ...]
    method: PaymentMethod = attrs.field(kw_only=True)


PAY_CHARGES = Job(
    "charges.pay_several",
    "POST",
    "/payments",
    PayCharges,
    Payment,
    permission=PAY,
    errors=(ChargeNotFound, NothingDue, AmountExceedsDue, MethodNotLinked),
    created=GET_PAYMENT,
)


@final
@attrs.frozen(kw_only=True)
class ListBankTransfers:
    """
    Iterate over the bank transfers that name this profile as the payer, the newest first.

    Args:
        status: Matched to a charge, or not.
    """

    status: BankTransferStatus | None = None


LIST_BANK_TRANSFERS = Listing(
    "charges.bank_transfers",
    "GET",
    "/bank-transfers",
    ListBankTransfers,
    list[BankTransfer],
    permission=READ_CHARGES,
)

OPERATIONS = (
    LIST_CHARGES,
    GET_CHARGE,
    LIST_CHARGE_EVENTS,
    PAY_CHARGE,
    PAY_CHARGES,
    GET_PAYMENT,
    LIST_BANK_TRANSFERS,
)
