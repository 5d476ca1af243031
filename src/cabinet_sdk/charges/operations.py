"""What one can ask about charges: the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import attrs

from cabinet_sdk._core.operation import Call, Download, Job, Listing, Permission, several
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
    BankTransferStatus,
    Charge,
    ChargeEvent,
    ChargeId,
    ChargeKind,
    ChargeOrder,
    ChargeStatus,
    ExportFormat,
    Overpayment,
    Payment,
    PaymentId,
    PaymentMethod,
    PaymentStatus,
    Refund,
    RefundId,
    RefundMethod,
    RefundStatus,
)
from cabinet_sdk.types import Inn, Money, Period, Uin

__all__ = [
    "EXPORT_CHARGES",
    "GET_CHARGE",
    "GET_PAYMENT",
    "GET_PAYMENT_DOCUMENT",
    "GET_RECEIPT",
    "GET_REFUND",
    "LIST_BANK_TRANSFERS",
    "LIST_CHARGES",
    "LIST_CHARGE_EVENTS",
    "LIST_OVERPAYMENTS",
    "LIST_PAYMENTS",
    "LIST_REFUNDS",
    "OPERATIONS",
    "PAY",
    "PAY_CHARGE",
    "PAY_CHARGES",
    "READ_CHARGES",
    "REFUND",
    "REQUEST_REFUND",
    "ExportCharges",
    "GetCharge",
    "GetPayment",
    "GetPaymentDocument",
    "GetReceipt",
    "GetRefund",
    "ItemToPay",
    "ListBankTransfers",
    "ListChargeEvents",
    "ListCharges",
    "ListOverpayments",
    "ListPayments",
    "ListRefunds",
    "PayCharge",
    "PayCharges",
    "RequestRefund",
]

READ_CHARGES = Permission("charges.read", "Просмотр начислений и платежей")
PAY = Permission("charges.pay", "Оплата начислений")
REFUND = Permission("charges.refund", "Возврат переплат")


@attrs.frozen(kw_only=True)
class ListCharges:
    """
    Iterate over charges; the filters narrow each other.

    Args:
        period: Accrued in these days.
        kind: For this.
        status: Paid so far as this says.
        overdue: True for debts: due before today in Moscow and not paid. False for the others.
        overpaid: True for charges to which more is credited than their amount. False for the others.
        payee_inn: Owed to this payee.
        uin: With this unique accrual id.
        order_number: Resting on the order of this number.
        order: In this order; the newest first where it is left out.
    """

    period: Period | None = None
    kind: ChargeKind | None = None
    status: ChargeStatus | None = None
    overdue: bool | None = None
    overpaid: bool | None = None
    payee_inn: Inn | None = None
    uin: Uin | None = None
    order_number: str | None = None
    order: ChargeOrder | None = None


LIST_CHARGES = Listing("charges.list", "GET", "/charges", ListCharges, list[Charge], permission=READ_CHARGES)


@final
@attrs.frozen
class ExportCharges(ListCharges):
    """
    Export charges to a file; the filters narrow each other.

    It has the charges that ``list`` would have with these filters at this moment, 100 000 at most. The more there are,
    the longer the first byte takes: a timeout of one attempt may have to be longer than the usual one.

    Args:
        format: Kind of the file.
    """

    format: ExportFormat


EXPORT_CHARGES = Download(
    "charges.export",
    "GET",
    "/exports/charges",
    ExportCharges,
    permission=READ_CHARGES,
    errors=(ExportTooLarge,),
    media_types=("text/csv", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "application/pdf"),
)


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
class GetPaymentDocument:
    """
    Fetch the document of a payment as PDF: a payment order for a bank transfer, a bill (квитанция) for the rest.

    While a bank transfer is awaited, it has a QR code for each charge that bank apps read; its purpose begins with the
    payment's number, by which the transfer is matched. The document of a payment that is final stays the same for ever.

    Args:
        payment_id: Of which payment.
    """

    payment_id: PaymentId


GET_PAYMENT_DOCUMENT = Download(
    "charges.payment_document",
    "GET",
    "/payments/{payment_id}/document",
    GetPaymentDocument,
    permission=READ_CHARGES,
    errors=(PaymentNotFound,),
    media_types=("application/pdf",),
)


@final
@attrs.frozen
class GetReceipt:
    """
    Fetch the receipt (чек) of a payment that is credited, as PDF; it stays the same for ever.

    Args:
        payment_id: Of which payment.
    """

    payment_id: PaymentId


GET_RECEIPT = Download(
    "charges.receipt",
    "GET",
    "/payments/{payment_id}/receipt",
    GetReceipt,
    permission=READ_CHARGES,
    errors=(PaymentNotFound, PaymentNotSucceeded),
    media_types=("application/pdf",),
)


@final
@attrs.frozen(kw_only=True)
class ListPayments:
    """
    Iterate over the payments of the profile, the newest first; the filters narrow each other.

    Args:
        status: Standing as this says.
        method: Made this way.
        period: Made in these days, in Moscow.
    """

    status: PaymentStatus | None = None
    method: PaymentMethod | None = None
    period: Period | None = None


LIST_PAYMENTS = Listing("charges.payments", "GET", "/payments", ListPayments, list[Payment], permission=READ_CHARGES)


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
    errors=(ChargeNotFound, PaymentInvalid, NothingDue, AmountExceedsDue, MethodNotLinked),
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


def _items(items: Sequence[ItemToPay]) -> tuple[ItemToPay, ...]:
    return several(items)


@final
@attrs.frozen
class PayCharges:
    """
    Pay several charges with one payment: all of them or none.

    Args:
        items: The charges, each once, 1 to 100.
        method: How the money comes.
    """

    items: tuple[ItemToPay, ...] = attrs.field(converter=_items)
    method: PaymentMethod = attrs.field(kw_only=True)


PAY_CHARGES = Job(
    "charges.pay_several",
    "POST",
    "/payments",
    PayCharges,
    Payment,
    permission=PAY,
    errors=(ChargeNotFound, PaymentInvalid, NothingDue, AmountExceedsDue, MethodNotLinked),
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


@final
@attrs.frozen(kw_only=True)
class ListOverpayments:
    """
    Iterate over what is overpaid, with the state of its refund; the latest overpayment first.

    An overpayment that was refunded in full is none any more: its refund is among the ``refunds``.

    Args:
        period: Credited in these days, in Moscow.
        kind: Of charges for this.
    """

    period: Period | None = None
    kind: ChargeKind | None = None


LIST_OVERPAYMENTS = Listing(
    "charges.overpayments",
    "GET",
    "/overpayments",
    ListOverpayments,
    list[Overpayment],
    permission=READ_CHARGES,
)


@final
@attrs.frozen
class GetRefund:
    """
    Read one refund.

    Args:
        refund_id: Which.
    """

    refund_id: RefundId


GET_REFUND = Call(
    "charges.refund",
    "GET",
    "/refunds/{refund_id}",
    GetRefund,
    Refund,
    permission=READ_CHARGES,
    errors=(RefundNotFound,),
)


@final
@attrs.frozen(kw_only=True)
class ListRefunds:
    """
    Iterate over the refunds of the profile, the newest first; the filters narrow each other.

    Args:
        charge_id: Of this charge.
        status: Standing as this says.
        method: Requested this way.
        period: Requested in these days, in Moscow.
    """

    charge_id: ChargeId | None = None
    status: RefundStatus | None = None
    method: RefundMethod | None = None
    period: Period | None = None


LIST_REFUNDS = Listing("charges.refunds", "GET", "/refunds", ListRefunds, list[Refund], permission=READ_CHARGES)


@final
@attrs.frozen
class RequestRefund:
    """
    Request the refund of what a charge is overpaid by, in full or in part.

    Its amount is held until it is carried out or refused: follow it with ``wait_for_refund``.

    Args:
        charge_id: Which charge is overpaid.
        method: How the overpayment comes back.
        amount: How much; all that is overpaid and not under way where it is left out.
    """

    charge_id: ChargeId
    method: RefundMethod = attrs.field(kw_only=True)
    amount: Money | None = attrs.field(default=None, kw_only=True)


REQUEST_REFUND = Job(
    "charges.request_refund",
    "POST",
    "/charges/{charge_id}/refunds",
    RequestRefund,
    Refund,
    permission=REFUND,
    errors=(ChargeNotFound, RefundInvalid, NothingOverpaid, AmountExceedsOverpayment, MethodNotLinked),
    created=GET_REFUND,
)

OPERATIONS = (
    LIST_CHARGES,
    GET_CHARGE,
    LIST_CHARGE_EVENTS,
    PAY_CHARGE,
    PAY_CHARGES,
    GET_PAYMENT,
    LIST_PAYMENTS,
    LIST_BANK_TRANSFERS,
    LIST_OVERPAYMENTS,
    REQUEST_REFUND,
    GET_REFUND,
    LIST_REFUNDS,
    EXPORT_CHARGES,
    GET_PAYMENT_DOCUMENT,
    GET_RECEIPT,
)
