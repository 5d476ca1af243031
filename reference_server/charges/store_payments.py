"""Where payments are kept, and how much of each of their items has come already."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Sequence

from cabinet_sdk.charges.models import Confirmation, Payment, PaymentId, PaymentItem, PaymentMethod, PaymentStatus
from cabinet_sdk.types import Money
from reference_server.charges import store
from reference_server.clock import from_micros, to_micros
from reference_server.database import Database
from reference_server.session import Work

__all__ = [
    "SCHEMA",
    "add_credited",
    "insert_payment",
    "move_payment",
    "open_amount",
    "payer_of",
    "payment_by_id",
    "payment_by_number",
    "payments_from",
    "settle_payment",
]

SCHEMA = """
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
CREATE INDEX payments_by_time ON payments (profile_id, created_at, id);
CREATE INDEX payments_by_status ON payments (profile_id, status, created_at, id);
CREATE INDEX payments_by_method ON payments (profile_id, method, created_at, id);

CREATE TABLE payment_items (
    payment_id TEXT NOT NULL REFERENCES payments (id),
    position INTEGER NOT NULL,
    charge_id TEXT NOT NULL REFERENCES charges (id),
    amount INTEGER NOT NULL CHECK (amount > 0),
    credited INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (payment_id, position)
) WITHOUT ROWID;
"""


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
    return payments_from(work.database, [row], origin)[0]


def payment_by_number(work: Work, number: str) -> Payment | None:
    """Return the payment with that unique number."""
    row = work.database.one("SELECT * FROM payments WHERE number = ?", (number,))
    return None if row is None else payments_from(work.database, [row], "")[0]


def payer_of(work: Work, payment_id: str) -> str | None:
    """Return the profile that pays."""
    row = work.database.one("SELECT profile_id FROM payments WHERE id = ?", (payment_id,))
    return None if row is None else str(row["profile_id"])


def payments_from(database: Database, rows: Sequence[sqlite3.Row], origin: str) -> list[Payment]:
    """Return the payments of rows, their items read at once."""
    items = store.items_of(database, "payment", rows)
    return [_payment(row, items[row["id"]], origin) for row in rows]


def _payment(row: sqlite3.Row, items: tuple[PaymentItem, ...], origin: str) -> Payment:
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
        amount=sum((item.amount for item in items), Money.ZERO),
        items=items,
        number=row["number"],
        confirmation=confirmation,
        created_at=from_micros(row["created_at"]),
        expires_at=from_micros(row["expires_at"]),
        settled_at=None if row["settled_at"] is None else from_micros(row["settled_at"]),
        payment_order_number=row["payment_order_number"],
        decline_reason=row["decline_reason"],
    )


def move_payment(work: Work, payment: Payment, status: PaymentStatus, *, next_at: dt.datetime) -> None:
    """Move a pending payment on."""
    work.database.execute(
        "UPDATE payments SET status = ?, next_at = ? WHERE id = ?",
        (str(status), to_micros(next_at), payment.id),
    )


def settle_payment(
    work: Work,
    payment: Payment,
    status: PaymentStatus,
    *,
    order_number: str | None = None,
    reason: str | None = None,
) -> None:
    """Bring a payment to its end; what it was to pay is not touched."""
    work.database.execute(
        "UPDATE payments SET status = ?, settled_at = ?, next_at = NULL, payment_order_number = ?, decline_reason = ?"
        " WHERE id = ?",
        (str(status), to_micros(work.now), order_number, reason, payment.id),
    )


def open_amount(work: Work, payment: Payment, position: int) -> Money:
    """Return how much of a payment's item has not come yet."""
    row = work.database.one(
        "SELECT amount - credited AS open FROM payment_items WHERE payment_id = ? AND position = ?",
        (payment.id, position),
    )
    return Money.from_kopecks(0 if row is None else row["open"])


def add_credited(work: Work, payment: Payment, position: int, amount: Money) -> None:
    """Add to what a bank transfer has brought of a payment's item."""
    work.database.execute(
        "UPDATE payment_items SET credited = credited + ? WHERE payment_id = ? AND position = ?",
        (amount.kopecks, payment.id, position),
    )
