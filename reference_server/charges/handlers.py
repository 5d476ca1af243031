"""The rows about charges, answered."""

from __future__ import annotations

import sqlite3
from typing import TypeAlias

from cabinet_sdk.charges.errors import ChargeNotFound, PaymentNotFound
from cabinet_sdk.charges.models import BankTransfer, Charge, ChargeEvent, ChargeOrder, Payment
from cabinet_sdk.charges.operations import (
    GET_CHARGE,
    GET_PAYMENT,
    LIST_BANK_TRANSFERS,
    LIST_CHARGE_EVENTS,
    LIST_CHARGES,
    PAY_CHARGE,
    PAY_CHARGES,
    GetCharge,
    GetPayment,
    ItemToPay,
    ListBankTransfers,
    ListChargeEvents,
    ListCharges,
    PayCharge,
    PayCharges,
)
from reference_server.charges import rules, store
from reference_server.database import Value
from reference_server.paging import Selection
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


@handles(LIST_CHARGES)
def list_charges(session: Session, request: ListCharges) -> Selection[Charge]:
    today = session.work.today
    conditions: list[Condition] = [("profile_id = ?", (session.profile.id,))]
    if request.period is not None:
        days = request.period.first.isoformat(), request.period.last.isoformat()
        conditions.append(("accrued_on BETWEEN ? AND ?", days))
    equal = {
        "kind": request.kind,
        "status": request.status,
        "payee_inn": request.payee_inn,
        "uin": request.uin,
        "order_number": request.order_number,
    }
    conditions += [(f"{column} = ?", (str(value),)) for column, value in equal.items() if value is not None]
    if request.overdue is True:
        conditions += [("paid < amount", ()), ("due_on < ?", (today.isoformat(),))]
    elif request.overdue is False:
        conditions.append(("(paid >= amount OR due_on >= ?)", (today.isoformat(),)))
    keys, descending = _ORDERS[request.order or ChargeOrder.NEWEST]

    def read(rows: list[sqlite3.Row]) -> list[Charge]:
        return [store.charge_from(row, today) for row in rows]

    return Selection(
        columns=store.CHARGE_COLUMNS,
        source="charges",
        conditions=conditions,
        keys=keys,
        descending=descending,
        read=read,
    )


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
    return rules.pay(session.work, session.profile, items, request.method, fields=[""])


@handles(PAY_CHARGES)
def pay_charges(session: Session, request: PayCharges) -> Payment:
    fields = [f"items[{index}]." for index in range(len(request.items))]
    return rules.pay(session.work, session.profile, request.items, request.method, fields)


@handles(GET_PAYMENT)
def get_payment(session: Session, request: GetPayment) -> Payment:
    payment = store.payment_by_id(
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


@handles(LIST_BANK_TRANSFERS)
def list_bank_transfers(session: Session, request: ListBankTransfers) -> Selection[BankTransfer]:
    conditions: list[Condition] = [("profile_id = ?", (session.profile.id,))]
    if request.status is not None:
        conditions.append(("status = ?", (str(request.status),)))

    def read(rows: list[sqlite3.Row]) -> list[BankTransfer]:
        return store.transfers_from(session.work.database, rows)

    return Selection(
        columns="*",
        source="bank_transfers",
        conditions=conditions,
        keys=("received_at", "id"),
        descending=True,
        read=read,
    )
