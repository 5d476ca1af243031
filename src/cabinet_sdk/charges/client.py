"""The charges of a profile, as methods."""

from __future__ import annotations

from typing import TypeVar, final

from cabinet_sdk._core.area import Area, Async, Endpoint, Sync
from cabinet_sdk.charges import flows
from cabinet_sdk.charges.operations import (
    EXPORT_CHARGES,
    GET_CHARGE,
    GET_PAYMENT,
    GET_PAYMENT_DOCUMENT,
    GET_RECEIPT,
    GET_REFUND,
    LIST_BANK_TRANSFERS,
    LIST_CHARGE_EVENTS,
    LIST_CHARGES,
    LIST_OVERPAYMENTS,
    LIST_PAYMENTS,
    LIST_REFUNDS,
    PAY_CHARGE,
    PAY_CHARGES,
    REQUEST_REFUND,
)

__all__ = ["AsyncCharges", "Charges"]

ModeT = TypeVar("ModeT", Sync, Async)


class _Charges(Area[ModeT]):
    list = Endpoint(LIST_CHARGES)
    """Iterate over charges; the filters narrow each other."""

    export = Endpoint(EXPORT_CHARGES)
    """Export charges to a file; the filters narrow each other."""

    get = Endpoint(GET_CHARGE)
    """Read one charge."""

    history = Endpoint(LIST_CHARGE_EVENTS)
    """Iterate over the history of a charge, the oldest entry first."""

    pay = Endpoint(PAY_CHARGE)
    """Pay a charge, in full or in part."""

    pay_several = Endpoint(PAY_CHARGES)
    """Pay several charges with one payment: all of them or none."""

    payment = Endpoint(GET_PAYMENT)
    """Read one payment."""

    payments = Endpoint(LIST_PAYMENTS)
    """Iterate over the payments of the profile, the newest first; the filters narrow each other."""

    payment_document = Endpoint(GET_PAYMENT_DOCUMENT)
    """Fetch the document of a payment as PDF: a payment order for a bank transfer, a bill (квитанция) for the rest."""

    receipt = Endpoint(GET_RECEIPT)
    """Fetch the receipt (чек) of a payment that is credited, as PDF; it stays the same for ever."""

    wait_for_payment = Endpoint(flows.wait_for_payment)
    """Wait until a payment is credited or has failed, and return it: `Payment.status` says which."""

    wait_for_confirmation = Endpoint(flows.wait_for_confirmation)
    """Wait until the payer can confirm a payment, and return it: `Payment.confirmation` says where."""

    bank_transfers = Endpoint(LIST_BANK_TRANSFERS)
    """Iterate over the bank transfers that name this profile as the payer, the newest first."""

    overpayments = Endpoint(LIST_OVERPAYMENTS)
    """Iterate over what is overpaid, with the state of its refund; the latest overpayment first."""

    request_refund = Endpoint(REQUEST_REFUND)
    """Request the refund of what a charge is overpaid by, in full or in part."""

    refund = Endpoint(GET_REFUND)
    """Read one refund."""

    refunds = Endpoint(LIST_REFUNDS)
    """Iterate over the refunds of the profile, the newest first; the filters narrow each other."""

    wait_for_refund = Endpoint(flows.wait_for_refund)
    """Wait until a refund is carried out or refused, and return it: `Refund.status` says which."""


@final
class Charges(_Charges[Sync]):
    """The charges of a profile and their payments."""


@final
class AsyncCharges(_Charges[Async]):
    """The charges of a profile and their payments, async."""
