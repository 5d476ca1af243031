"""The rows about charges, answered."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Mapping
from itertools import product
from math import ceil
from typing import TypeAlias

from cabinet_sdk.charges.errors import (
    ChargeNotFound,
    ExportTooLarge,
    PaymentNotFound,
    PaymentNotSucceeded,
    RefundNotFound,
)
from cabinet_sdk.charges.models import (
    BankTransfer,
    Charge,
    ChargeEvent,
    ChargeOrder,
    ExportFormat,
    Overpayment,
    Payment,
    PaymentStatus,
    Refund,
)
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
    ExportCharges,
    GetCharge,
    GetPayment,
    GetPaymentDocument,
    GetReceipt,
    GetRefund,
    ItemToPay,
    ListBankTransfers,
    ListChargeEvents,
    ListCharges,
    ListOverpayments,
    ListPayments,
    ListRefunds,
    PayCharge,
    PayCharges,
    RequestRefund,
)
from cabinet_sdk.types import MOSCOW, Period
from reference_server.charges import (
    papers,
    rules_payments,
    rules_refunds,
    store,
    store_payments,
    store_refunds,
    store_transfers,
)
from reference_server.clock import to_micros
from reference_server.database import Value
from reference_server.files import StoredFile
from reference_server.paging import Selection, Snapshot, count
from reference_server.papers import as_csv, as_pdf, as_xlsx, print_document
from reference_server.routing import handles
from reference_server.session import Session

Condition: TypeAlias = tuple[str, tuple[Value, ...]]

_ORDERS = {
    ChargeOrder.NEWEST: (("accrued_on", "id"), True),
    ChargeOrder.OLDEST: (("accrued_on", "id"), False),
    ChargeOrder.DUE_FIRST: (("due_on", "id"), False),
    ChargeOrder.DUE_LAST: (("due_on", "id"), True),
    ChargeOrder.LARGEST: (("amount", "id"), True),
    ChargeOrder.SMALLEST: (("amount", "id"), False),
}

_INDEXES = {"accrued_on": "accrual", "due_on": "term", "amount": "amount"}

# In rows. A file is made before its first byte is sent, which as XLSX takes longest: a quarter of a minute.
_LONGEST_EXPORT = 100_000
_EXPORTS = {ExportFormat.CSV: as_csv, ExportFormat.XLSX: as_xlsx, ExportFormat.PDF: as_pdf}

# The longest pause between two looks at a refund, which takes working days.
_LOOK_AGAIN = 3600


def _equal(columns: Mapping[str, str | None]) -> list[Condition]:
    return [(f"{column} = ?", (str(value),)) for column, value in columns.items() if value is not None]


def _created_in(period: Period | None) -> list[Condition]:
    """Return the condition that something was created in these days, in Moscow."""
    if period is None:
        return []
    first = dt.datetime.combine(period.first, dt.time.min, MOSCOW)
    # To the last microsecond of the day, since the last day that there is has no next one.
    last = dt.datetime.combine(period.last, dt.time.max, MOSCOW)
    return [("created_at BETWEEN ? AND ?", (to_micros(first), to_micros(last)))]


@handles(LIST_CHARGES)
def list_charges(session: Session, request: ListCharges) -> Selection[Charge]:
    profile_id = session.profile.id
    conditions: list[Condition] = [("profile_id = ?", (profile_id,))]
    if request.period is not None:
        days = request.period.first.isoformat(), request.period.last.isoformat()
        conditions.append(("accrued_on BETWEEN ? AND ?", days))
    conditions += _equal({"payee_inn": request.payee_inn, "uin": request.uin, "order_number": request.order_number})
    standings = [
        standing
        for standing, (status, overdue, overpaid) in store.STANDINGS.items()
        if request.status in {None, status}
        and request.overdue in {None, overdue}
        and request.overpaid in {None, overpaid}
    ]
    keys, descending = _ORDERS[request.order or ChargeOrder.NEWEST]
    # Of a period that is asked for in another order there is no index: what it has is sorted.
    by = _INDEXES["accrued_on" if request.period is not None else keys[0]]
    if request.uin is not None:
        source = "charges"
    elif request.order_number is not None:
        # Of one order there are few: they are looked up and sorted.
        source = "charges INDEXED BY charges_by_order_number"
    elif request.payee_inn is not None:
        source = f"charges INDEXED BY charges_by_payee_and_{by}"
    elif request.kind is not None or len(standings) < len(store.STANDINGS):
        source = f"charges INDEXED BY charges_by_kind_and_{by}"
    else:
        source = f"charges INDEXED BY charges_by_{by}"
    if "_and_" in source:
        kinds = store.kinds_of(session.work.database, profile_id) if request.kind is None else [str(request.kind)]
        sides: list[Condition] = [("kind = ? AND standing = ?", each) for each in product(kinds, standings)]
    else:
        conditions += _equal({"kind": request.kind})
        sides = [(f"standing IN ({', '.join('?' * len(standings))})", tuple(standings))] if standings else []

    def read(rows: list[sqlite3.Row]) -> list[Charge]:
        return [store.charge_from(row) for row in rows]

    return Selection(
        columns=store.CHARGE_COLUMNS,
        source=source,
        conditions=conditions,
        sides=sides,
        keys=keys,
        descending=descending,
        read=read,
    )


@handles(EXPORT_CHARGES)
def export_charges(session: Session, request: ExportCharges) -> StoredFile:
    database = session.work.database
    charges = list_charges(session, request)
    if count(database, charges, _LONGEST_EXPORT + 1) > _LONGEST_EXPORT:
        raise ExportTooLarge
    sheet = papers.charge_sheet(session.profile, request, session.work.today)
    return _EXPORTS[request.format](sheet, Snapshot(database, charges))


@handles(GET_CHARGE)
def get_charge(session: Session, request: GetCharge) -> Charge:
    charge = store.charge_by_id(session.work, session.profile.id, request.charge_id)
    if charge is None:
        raise ChargeNotFound
    return charge


@handles(LIST_CHARGE_EVENTS)
def list_charge_events(session: Session, request: ListChargeEvents) -> Selection[ChargeEvent]:
    payee = get_charge(session, GetCharge(request.charge_id)).requisites.payee

    def read(rows: list[sqlite3.Row]) -> list[ChargeEvent]:
        return [store.event_from(row, payee) for row in rows]

    return Selection(
        columns="*",
        source="charge_events",
        conditions=[("charge_id = ?", (request.charge_id,))],
        keys=("number",),
        descending=False,
        read=read,
    )


@handles(PAY_CHARGE)
def pay_charge(session: Session, request: PayCharge) -> Payment:
    items = [ItemToPay(request.charge_id, request.amount)]
    return rules_payments.pay(session.work, session.profile, items, request.method, fields=[""])


@handles(PAY_CHARGES)
def pay_charges(session: Session, request: PayCharges) -> Payment:
    fields = [f"items[{index}]." for index in range(len(request.items))]
    return rules_payments.pay(session.work, session.profile, request.items, request.method, fields)


@handles(GET_PAYMENT)
def get_payment(session: Session, request: GetPayment) -> Payment:
    payment = store_payments.payment_by_id(
        session.work,
        request.payment_id,
        profile_id=session.profile.id,
        origin=session.origin,
    )
    if payment is None:
        raise PaymentNotFound
    if not payment.status.final:
        session.come_back_in = 1
    return payment


@handles(GET_PAYMENT_DOCUMENT)
def get_payment_document(session: Session, request: GetPaymentDocument) -> StoredFile:
    payment = get_payment(session, GetPayment(request.payment_id))
    return print_document(papers.payment_document(session.work, session.profile, payment))


@handles(GET_RECEIPT)
def get_receipt(session: Session, request: GetReceipt) -> StoredFile:
    payment = get_payment(session, GetPayment(request.payment_id))
    if payment.status != PaymentStatus.SUCCEEDED:
        raise PaymentNotSucceeded
    return print_document(papers.receipt(session.work, session.profile, payment))


@handles(LIST_PAYMENTS)
def list_payments(session: Session, request: ListPayments) -> Selection[Payment]:
    conditions: list[Condition] = [("profile_id = ?", (session.profile.id,))]
    conditions += _equal({"status": request.status, "method": request.method})
    conditions += _created_in(request.period)

    def read(rows: list[sqlite3.Row]) -> list[Payment]:
        return store_payments.payments_from(session.work.database, rows, session.origin)

    return Selection(
        columns="*",
        source="payments",
        conditions=conditions,
        keys=("created_at", "id"),
        descending=True,
        read=read,
    )


@handles(LIST_BANK_TRANSFERS)
def list_bank_transfers(session: Session, request: ListBankTransfers) -> Selection[BankTransfer]:
    conditions: list[Condition] = [("profile_id = ?", (session.profile.id,))]
    if request.status is not None:
        conditions.append(("status = ?", (str(request.status),)))

    def read(rows: list[sqlite3.Row]) -> list[BankTransfer]:
        return store_transfers.transfers_from(session.work.database, rows, session.profile.id)

    return Selection(
        columns="*",
        source="bank_transfers",
        conditions=conditions,
        keys=("received_at", "id"),
        descending=True,
        read=read,
    )


@handles(LIST_OVERPAYMENTS)
def list_overpayments(session: Session, request: ListOverpayments) -> Selection[Overpayment]:
    conditions: list[Condition] = [("profile_id = ?", (session.profile.id,)), ("paid > amount", ())]
    conditions += _equal({"kind": request.kind})
    if request.period is not None:
        days = request.period.first.isoformat(), request.period.last.isoformat()
        conditions.append(("overpaid_on BETWEEN ? AND ?", days))

    def read(rows: list[sqlite3.Row]) -> list[Overpayment]:
        return store_refunds.overpayments_from(session.work.database, rows, session.origin)

    return Selection(
        columns=store_refunds.OVERPAYMENT_COLUMNS,
        source="charges",
        conditions=conditions,
        # The day stands as long as the overpayment does.
        keys=("overpaid_on", "id"),
        descending=True,
        read=read,
    )


@handles(REQUEST_REFUND)
def request_refund(session: Session, request: RequestRefund) -> Refund:
    refund = rules_refunds.request_refund(
        session.work, session.profile, request.charge_id, request.method, request.amount
    )
    return get_refund(session, GetRefund(refund.id))


@handles(GET_REFUND)
def get_refund(session: Session, request: GetRefund) -> Refund:
    work = session.work
    refund = store_refunds.refund_by_id(work, request.refund_id, profile_id=session.profile.id, origin=session.origin)
    if refund is None:
        raise RefundNotFound
    if not refund.status.final:
        next_at = store_refunds.next_step_of_refund(work, refund.id)
        seconds = _LOOK_AGAIN if next_at is None else ceil((next_at - work.now).total_seconds())
        session.come_back_in = min(max(seconds, 1), _LOOK_AGAIN)
    return refund


@handles(LIST_REFUNDS)
def list_refunds(session: Session, request: ListRefunds) -> Selection[Refund]:
    conditions: list[Condition] = [("profile_id = ?", (session.profile.id,))]
    conditions += _equal({"charge_id": request.charge_id, "status": request.status, "method": request.method})
    conditions += _created_in(request.period)

    def read(rows: list[sqlite3.Row]) -> list[Refund]:
        return store_refunds.refunds_from(session.work.database, rows, session.origin)

    return Selection(
        columns="*",
        source="refunds",
        conditions=conditions,
        keys=("created_at", "id"),
        descending=True,
        read=read,
    )
