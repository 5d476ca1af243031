"""
Where charges and payments are kept.

Rule: a charge's status and what is overpaid follow from its amount and what is paid, in the table itself, so that a
filter by status is an index look-up and cannot disagree with the amounts. What is paid and pending changes only in
`rules`, together with the ledger.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from typing import final

import attrs

from cabinet_sdk._core.answer_codec import decode_value, encode_answer
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
    ChargeStatus,
    Confirmation,
    Payment,
    PaymentId,
    PaymentItem,
    PaymentMethod,
    PaymentStatus,
    Requisites,
)
from cabinet_sdk.types import Inn, Money, Period, Uin
from reference_server.clock import from_micros, to_micros
from reference_server.database import Database
from reference_server.session import Work

__all__ = [
    "BANK",
    "CHARGE_COLUMNS",
    "SCHEMA",
    "UNMATCHED",
    "Details",
    "add_event",
    "add_transfer",
    "charge_by_id",
    "charge_by_uin",
    "charge_from",
    "due_payments",
    "event_from",
    "has_due_payments",
    "insert_charge",
    "insert_payment",
    "payment_by_id",
    "payment_by_number",
    "post",
    "profile_of_charge",
    "script_outcome",
    "take_scripted_outcome",
    "tax_account_charges",
    "transfers_from",
    "update_charge",
]

SCHEMA = """
CREATE TABLE charges (
    id TEXT PRIMARY KEY,
    profile_id TEXT NOT NULL REFERENCES profiles (id),
    kind TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    paid INTEGER NOT NULL DEFAULT 0 CHECK (paid >= 0),
    pending INTEGER NOT NULL DEFAULT 0 CHECK (pending >= 0),
    status TEXT NOT NULL GENERATED ALWAYS AS (
        CASE WHEN paid = 0 THEN 'not_paid' WHEN paid < amount THEN 'partly_paid' ELSE 'paid' END
    ) VIRTUAL,
    accrued_on TEXT NOT NULL,
    due_on TEXT NOT NULL,
    uin TEXT UNIQUE,
    order_number TEXT,
    payee_inn TEXT NOT NULL,
    details BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX charges_by_accrual ON charges (profile_id, accrued_on, id);
CREATE INDEX charges_by_term ON charges (profile_id, due_on, id);
CREATE INDEX charges_by_amount ON charges (profile_id, amount, id);
CREATE INDEX charges_by_kind ON charges (profile_id, kind, accrued_on, id);
CREATE INDEX charges_by_status ON charges (profile_id, status, accrued_on, id);
CREATE INDEX charges_by_status_and_term ON charges (profile_id, status, due_on, id);
CREATE INDEX charges_by_order_number ON charges (profile_id, order_number) WHERE order_number IS NOT NULL;
CREATE INDEX charges_unpaid_by_term ON charges (profile_id, due_on, accrued_on, id) WHERE paid < amount;

CREATE TABLE charge_events (
    id TEXT NOT NULL UNIQUE,
    charge_id TEXT NOT NULL REFERENCES charges (id),
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    amount INTEGER NOT NULL,
    payment_id TEXT,
    payment_order_number TEXT,
    comment TEXT NOT NULL,
    PRIMARY KEY (charge_id, number)
) WITHOUT ROWID;

CREATE TABLE payments (
    id TEXT PRIMARY KEY,
    profile_id TEXT NOT NULL REFERENCES profiles (id),
    status TEXT NOT NULL,
    method TEXT NOT NULL,
    number TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    settled_at INTEGER,
    next_at INTEGER,
    outcome TEXT NOT NULL,
    payment_order_number TEXT,
    decline_reason TEXT
) WITHOUT ROWID;
CREATE INDEX payments_by_next ON payments (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE payment_items (
    payment_id TEXT NOT NULL REFERENCES payments (id),
    position INTEGER NOT NULL,
    charge_id TEXT NOT NULL REFERENCES charges (id),
    amount INTEGER NOT NULL CHECK (amount > 0),
    credited INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (payment_id, position)
) WITHOUT ROWID;

CREATE TABLE bank_transfers (
    id TEXT PRIMARY KEY,
    profile_id TEXT,
    amount INTEGER NOT NULL CHECK (amount > 0),
    unmatched INTEGER NOT NULL,
    status TEXT NOT NULL GENERATED ALWAYS AS (CASE WHEN unmatched = 0 THEN 'matched' ELSE 'unmatched' END) VIRTUAL,
    received_at INTEGER NOT NULL,
    payment_order_number TEXT NOT NULL,
    payer_inn TEXT NOT NULL,
    purpose TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX bank_transfers_by_time ON bank_transfers (profile_id, received_at, id);
CREATE INDEX bank_transfers_by_status ON bank_transfers (profile_id, status, received_at, id);

CREATE TABLE bank_transfer_items (
    transfer_id TEXT NOT NULL REFERENCES bank_transfers (id),
    position INTEGER NOT NULL,
    charge_id TEXT NOT NULL REFERENCES charges (id),
    amount INTEGER NOT NULL CHECK (amount > 0),
    PRIMARY KEY (transfer_id, position)
) WITHOUT ROWID;

CREATE TABLE scripted_outcomes (position INTEGER PRIMARY KEY, outcome TEXT NOT NULL);

CREATE TABLE ledger (
    entry INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    at INTEGER NOT NULL,
    account TEXT NOT NULL,
    amount INTEGER NOT NULL
);
CREATE INDEX ledger_by_account ON ledger (account);
"""

CHARGE_COLUMNS = "id, kind, amount, paid, pending, status, accrued_on, due_on, uin, order_number, details"

BANK = "bank"
"""The ledger's account for what banks brought; it is what the charges got, with the sign turned."""
UNMATCHED = "unmatched"
"""The ledger's account for what found no charge."""


@final
@attrs.frozen(kw_only=True)
class Details:
    """What of a charge is never searched."""

    purpose: str
    requisites: Requisites
    tax_period: Period | None = None
    calculation: Calculation | None = None
    documents: tuple[ChargeDocument, ...] = ()


def charge_from(row: sqlite3.Row, today: dt.date) -> Charge:
    """Return the charge of a row as it is on that day."""
    details = decode_value(row["details"], Details)
    amount, paid, pending = row["amount"], row["paid"], row["pending"]
    due_on = dt.date.fromisoformat(row["due_on"])
    return Charge(
        id=ChargeId(row["id"]),
        kind=ChargeKind.trusted(row["kind"]),
        status=ChargeStatus.trusted(row["status"]),
        amount=Money.from_kopecks(amount),
        paid=Money.from_kopecks(paid),
        pending=Money.from_kopecks(pending),
        due=Money.from_kopecks(max(0, amount - paid - pending)),
        overpaid=Money.from_kopecks(max(0, paid - amount)),
        accrued_on=dt.date.fromisoformat(row["accrued_on"]),
        due_on=due_on,
        overdue=due_on < today and paid < amount,
        purpose=details.purpose,
        uin=None if row["uin"] is None else Uin.trusted(row["uin"]),
        order_number=row["order_number"],
        tax_period=details.tax_period,
        requisites=details.requisites,
        calculation=details.calculation,
        documents=details.documents,
    )


def insert_charge(work: Work, profile_id: str, charge: Charge) -> None:
    """Keep a new charge, nothing of it paid."""
    details = Details(
        purpose=charge.purpose,
        requisites=charge.requisites,
        tax_period=charge.tax_period,
        calculation=charge.calculation,
        documents=charge.documents,
    )
    work.database.execute(
        "INSERT INTO charges (id, profile_id, kind, amount, accrued_on, due_on, uin, order_number, payee_inn, details)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            charge.id,
            profile_id,
            str(charge.kind),
            charge.amount.kopecks,
            charge.accrued_on.isoformat(),
            charge.due_on.isoformat(),
            None if charge.uin is None else str(charge.uin),
            charge.order_number,
            str(charge.requisites.payee_inn),
            encode_answer(details),
        ),
    )


def charge_by_id(work: Work, profile_id: str, charge_id: str) -> Charge | None:
    """Return a charge of the profile."""
    row = work.database.one(
        f"SELECT {CHARGE_COLUMNS} FROM charges WHERE id = ? AND profile_id = ?",
        (charge_id, profile_id),
    )
    return None if row is None else charge_from(row, work.today)


def charge_by_uin(work: Work, uin: str) -> Charge | None:
    """Return the charge with that УИН, whoever owes it."""
    row = work.database.one(f"SELECT {CHARGE_COLUMNS} FROM charges WHERE uin = ?", (uin,))
    return None if row is None else charge_from(row, work.today)


def profile_of_charge(work: Work, charge_id: str) -> str | None:
    """Return whose charge it is."""
    row = work.database.one("SELECT profile_id FROM charges WHERE id = ?", (charge_id,))
    return None if row is None else row["profile_id"]


def tax_account_charges(work: Work, profile_id: str) -> list[Charge]:
    """Return what of the profile's charges the single tax payment (ЕНП) covers and is not paid in full."""
    rows = work.database.all(
        f"SELECT {CHARGE_COLUMNS} FROM charges WHERE profile_id = ? AND paid < amount"
        " AND kind IN ('tax', 'contribution', 'penalty') ORDER BY due_on, accrued_on, id",
        (profile_id,),
    )
    return [charge_from(row, work.today) for row in rows]


def update_charge(work: Work, charge_id: str, *, paid: int = 0, pending: int = 0) -> None:
    """Add to what is paid and pending, in kopecks."""
    work.database.execute(
        "UPDATE charges SET paid = paid + ?, pending = pending + ? WHERE id = ?",
        (paid, pending, charge_id),
    )


def post(work: Work, source: str, account: str, amount: Money) -> None:
    """Enter money in the ledger twice: on the account, and with the sign turned on the bank's."""
    for name, kopecks in ((account, amount.kopecks), (BANK, -amount.kopecks)):
        work.database.execute(
            "INSERT INTO ledger (source, at, account, amount) VALUES (?, ?, ?, ?)",
            (source, to_micros(work.now), name, kopecks),
        )


def add_event(
    work: Work,
    charge_id: str,
    kind: ChargeEventKind,
    amount: Money,
    comment: str,
    *,
    payment_id: str | None = None,
    payment_order_number: str | None = None,
) -> None:
    """Enter something in a charge's history."""
    work.database.execute(
        "INSERT INTO charge_events SELECT ?, ?, coalesce(max(number), 0) + 1, ?, ?, ?, ?, ?, ?"
        " FROM charge_events WHERE charge_id = ?",
        (
            work.ids.new("evt"),
            charge_id,
            to_micros(work.now),
            str(kind),
            amount.kopecks,
            payment_id,
            payment_order_number,
            comment,
            charge_id,
        ),
    )


def event_from(row: sqlite3.Row, payee: str) -> ChargeEvent:
    """Return the entry of a row."""
    return ChargeEvent(
        id=ChargeEventId(row["id"]),
        at=from_micros(row["at"]),
        kind=ChargeEventKind.trusted(row["kind"]),
        amount=Money.from_kopecks(row["amount"]),
        payment_id=None if row["payment_id"] is None else PaymentId(row["payment_id"]),
        payment_order_number=row["payment_order_number"],
        payee=payee,
        comment=row["comment"],
    )


def insert_payment(work: Work, profile_id: str, payment: Payment, outcome: str, next_at: dt.datetime | None) -> None:
    """Keep a new payment with its items."""
    work.database.execute(
        "INSERT INTO payments (id, profile_id, status, method, number, created_at, expires_at, next_at, outcome)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            payment.id,
            profile_id,
            str(payment.status),
            str(payment.method),
            payment.number,
            to_micros(payment.created_at),
            to_micros(payment.expires_at),
            None if next_at is None else to_micros(next_at),
            outcome,
        ),
    )
    for position, item in enumerate(payment.items):
        work.database.execute(
            "INSERT INTO payment_items (payment_id, position, charge_id, amount) VALUES (?, ?, ?, ?)",
            (payment.id, position, item.charge_id, item.amount.kopecks),
        )


def payment_by_id(work: Work, payment_id: str, *, profile_id: str | None = None, origin: str = "") -> Payment | None:
    """Return a payment; of that profile only, where one is given."""
    row = work.database.one("SELECT * FROM payments WHERE id = ?", (payment_id,))
    if row is None or (profile_id is not None and row["profile_id"] != profile_id):
        return None
    return _payment(work.database, row, origin)


def payment_by_number(work: Work, number: str) -> Payment | None:
    """Return the payment with that unique number."""
    row = work.database.one("SELECT * FROM payments WHERE number = ?", (number,))
    return None if row is None else _payment(work.database, row, "")


def due_payments(work: Work) -> list[tuple[Payment, str, dt.datetime]]:
    """Return the payments whose next step is due, the earliest first, each with its outcome and the step's moment."""
    rows = work.database.all(
        "SELECT * FROM payments WHERE next_at <= ? ORDER BY next_at, id",
        (to_micros(work.now),),
    )
    return [(_payment(work.database, row, ""), row["outcome"], from_micros(row["next_at"])) for row in rows]


def has_due_payments(work: Work) -> bool:
    """Say whether a payment's next step is due."""
    return work.database.one("SELECT 1 FROM payments WHERE next_at <= ?", (to_micros(work.now),)) is not None


def script_outcome(work: Work, outcome: str) -> None:
    """Have a payment to come end like this; outcomes are used up in the order in which they were scripted."""
    work.database.execute("INSERT INTO scripted_outcomes (outcome) VALUES (?)", (outcome,))


def take_scripted_outcome(work: Work) -> str | None:
    """Return what was scripted for the next payment, and forget it."""
    row = work.database.one(
        "DELETE FROM scripted_outcomes"
        " WHERE position = (SELECT min(position) FROM scripted_outcomes) RETURNING outcome",
    )
    return None if row is None else row["outcome"]


def _payment(database: Database, row: sqlite3.Row, origin: str) -> Payment:
    items = database.all(
        "SELECT charge_id, amount FROM payment_items WHERE payment_id = ? ORDER BY position",
        (row["id"],),
    )
    status, method = PaymentStatus.trusted(row["status"]), PaymentMethod.trusted(row["method"])
    confirmation = None
    if status == PaymentStatus.AWAITING_CONFIRMATION and method != PaymentMethod.BANK_TRANSFER:
        url = f"{origin}/pay/{row['id']}"
        with_code = method in {PaymentMethod.SBP, PaymentMethod.ONLINE_CASH_REGISTER}
        confirmation = Confirmation(url=url, qr=url if with_code else None)
    return Payment(
        id=PaymentId(row["id"]),
        status=status,
        method=method,
        amount=Money.from_kopecks(sum(item["amount"] for item in items)),
        items=_items(items),
        number=row["number"],
        confirmation=confirmation,
        created_at=from_micros(row["created_at"]),
        expires_at=from_micros(row["expires_at"]),
        settled_at=None if row["settled_at"] is None else from_micros(row["settled_at"]),
        payment_order_number=row["payment_order_number"],
        decline_reason=row["decline_reason"],
    )


def _items(rows: Iterable[sqlite3.Row]) -> tuple[PaymentItem, ...]:
    return tuple(
        PaymentItem(charge_id=ChargeId(row["charge_id"]), amount=Money.from_kopecks(row["amount"])) for row in rows
    )


def add_transfer(work: Work, profile_id: str | None, transfer: BankTransfer) -> None:
    """Keep what a bank brought."""
    work.database.execute(
        "INSERT INTO bank_transfers"
        " (id, profile_id, amount, unmatched, received_at, payment_order_number, payer_inn, purpose)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            transfer.id,
            profile_id,
            transfer.amount.kopecks,
            transfer.unmatched.kopecks,
            to_micros(transfer.received_at),
            transfer.payment_order_number,
            str(transfer.payer_inn),
            transfer.purpose,
        ),
    )
    for position, item in enumerate(transfer.items):
        work.database.execute(
            "INSERT INTO bank_transfer_items VALUES (?, ?, ?, ?)",
            (transfer.id, position, item.charge_id, item.amount.kopecks),
        )


def transfers_from(database: Database, rows: list[sqlite3.Row]) -> list[BankTransfer]:
    """Return the transfers of rows, their items read at once."""
    items: defaultdict[str, list[sqlite3.Row]] = defaultdict(list)
    marks = ", ".join("?" * len(rows))
    for item in database.all(
        f"SELECT * FROM bank_transfer_items WHERE transfer_id IN ({marks}) ORDER BY transfer_id, position",
        [row["id"] for row in rows],
    ):
        items[item["transfer_id"]].append(item)
    return [
        BankTransfer(
            id=BankTransferId(row["id"]),
            status=BankTransferStatus.trusted(row["status"]),
            amount=Money.from_kopecks(row["amount"]),
            unmatched=Money.from_kopecks(row["unmatched"]),
            received_at=from_micros(row["received_at"]),
            payment_order_number=row["payment_order_number"],
            payer_inn=Inn.trusted(row["payer_inn"]),
            purpose=row["purpose"],
            items=_items(items[row["id"]]),
        )
        for row in rows
    ]
