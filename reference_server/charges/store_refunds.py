"""Where refunds are kept, and overpayments read with the latest of theirs."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Sequence

from cabinet_sdk._core.answer_codec import decode_value
from cabinet_sdk.charges.models import (
    Charge,
    ChargeEventKind,
    ChargeId,
    ChargeKind,
    Confirmation,
    Overpayment,
    Refund,
    RefundId,
    RefundMethod,
    RefundStatus,
)
from cabinet_sdk.types import Money
from reference_server.charges import store
from reference_server.clock import from_micros, to_micros
from reference_server.database import Database
from reference_server.session import Work

__all__ = [
    "OVERPAYMENT_COLUMNS",
    "SCHEMA",
    "add_advance",
    "add_refund_event",
    "add_refund_item",
    "advances",
    "insert_refund",
    "is_refund_number",
    "next_step_of_refund",
    "overpayments_from",
    "payee_of",
    "refund_by_id",
    "refunds_from",
    "update_refund",
]

SCHEMA = """
CREATE TABLE refunds (
    id TEXT PRIMARY KEY,
    profile_id TEXT NOT NULL REFERENCES profiles (id),
    charge_id TEXT NOT NULL REFERENCES charges (id),
    status TEXT NOT NULL,
    method TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    advance INTEGER NOT NULL DEFAULT 0 CHECK (advance BETWEEN 0 AND amount),
    number TEXT NOT NULL UNIQUE,
    awaits_card INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    settled_at INTEGER,
    next_at INTEGER,
    outcome TEXT NOT NULL,
    payment_order_number TEXT,
    refusal_reason TEXT
) WITHOUT ROWID;
CREATE INDEX refunds_by_next ON refunds (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX refunds_by_time ON refunds (profile_id, created_at, id);
CREATE INDEX refunds_by_status ON refunds (profile_id, status, created_at, id);
CREATE INDEX refunds_by_method ON refunds (profile_id, method, created_at, id);
CREATE INDEX refunds_by_charge ON refunds (charge_id, created_at, id);
CREATE INDEX refunds_by_advance ON refunds (profile_id, settled_at, id) WHERE advance > 0;

CREATE TABLE refund_items (
    refund_id TEXT NOT NULL REFERENCES refunds (id),
    position INTEGER NOT NULL,
    charge_id TEXT NOT NULL REFERENCES charges (id),
    amount INTEGER NOT NULL CHECK (amount > 0),
    PRIMARY KEY (refund_id, position)
) WITHOUT ROWID;
"""

OVERPAYMENT_COLUMNS = "id, kind, amount, paid, refunding, overpaid_on, last_refund_id, details"


def insert_refund(work: Work, profile_id: str, refund: Refund, outcome: str, next_at: dt.datetime | None) -> None:
    """Keep a new refund; it is the latest of its charge."""
    work.database.execute(
        "INSERT INTO refunds"
        " (id, profile_id, charge_id, status, method, amount, number, awaits_card, created_at, next_at, outcome)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            refund.id,
            profile_id,
            refund.charge_id,
            str(refund.status),
            str(refund.method),
            refund.amount.kopecks,
            refund.number,
            refund.method == RefundMethod.BANK_CARD,
            to_micros(refund.created_at),
            None if next_at is None else to_micros(next_at),
            outcome,
        ),
    )
    work.database.execute("UPDATE charges SET last_refund_id = ? WHERE id = ?", (refund.id, refund.charge_id))


def update_refund(
    work: Work,
    refund: Refund,
    status: RefundStatus,
    *,
    next_at: dt.datetime | None = None,
    order_number: str | None = None,
    reason: str | None = None,
) -> None:
    """Move a refund on; a card is not awaited any more."""
    work.database.execute(
        "UPDATE refunds SET status = ?, next_at = ?, settled_at = ?, awaits_card = 0,"
        " payment_order_number = coalesce(?, payment_order_number), refusal_reason = ? WHERE id = ?",
        (
            str(status),
            None if next_at is None else to_micros(next_at),
            to_micros(work.now) if status.final else None,
            order_number,
            reason,
            refund.id,
        ),
    )


def add_refund_item(work: Work, refund_id: str, charge_id: str, amount: Money) -> None:
    """Keep that an offset paid a charge."""
    work.database.execute(
        "INSERT INTO refund_items SELECT ?, count(*), ?, ? FROM refund_items WHERE refund_id = ?",
        (refund_id, charge_id, amount.kopecks, refund_id),
    )


def add_advance(work: Work, refund_id: str, amount: Money) -> None:
    """Add to what of an offset is left for charges to come."""
    work.database.execute("UPDATE refunds SET advance = advance + ? WHERE id = ?", (amount.kopecks, refund_id))


def add_refund_event(work: Work, refund: Refund, kind: ChargeEventKind, amount: Money, comment: str) -> None:
    """Enter something about a refund in its charge's history."""
    order_number = refund.payment_order_number
    store.add_event(
        work, refund.charge_id, kind, amount, comment, payment_order_number=order_number, refund_id=refund.id
    )


def advances(work: Work, profile_id: str, charge: Charge) -> list[Refund]:
    """Return the offsets of the charge's account of which something is left, the oldest first."""
    rows = work.database.all(
        "SELECT refunds.* FROM refunds JOIN charges ON charges.id = refunds.charge_id"
        f" WHERE refunds.profile_id = ? AND advance > 0 AND {store.SAME_ACCOUNT} ORDER BY settled_at, refunds.id",
        (profile_id, str(charge.requisites.payee_inn), str(charge.kind)),
    )
    return refunds_from(work.database, rows)


def refund_by_id(work: Work, refund_id: str, *, profile_id: str | None = None, origin: str = "") -> Refund | None:
    """Return a refund; of that profile only, where one is given."""
    row = work.database.one("SELECT * FROM refunds WHERE id = ?", (refund_id,))
    if row is None or (profile_id is not None and row["profile_id"] != profile_id):
        return None
    return refunds_from(work.database, [row], origin)[0]


def is_refund_number(work: Work, number: str) -> bool:
    """Say whether a refund has that number."""
    return work.database.one("SELECT 1 FROM refunds WHERE number = ?", (number,)) is not None


def payee_of(work: Work, refund_id: str) -> str | None:
    """Return the profile that is paid back."""
    row = work.database.one("SELECT profile_id FROM refunds WHERE id = ?", (refund_id,))
    return None if row is None else str(row["profile_id"])


def next_step_of_refund(work: Work, refund_id: str) -> dt.datetime | None:
    """Return when a refund moves on by the clock, None where somebody else has to move it."""
    row = work.database.one("SELECT next_at FROM refunds WHERE id = ?", (refund_id,))
    return None if row is None or row["next_at"] is None else from_micros(row["next_at"])


def refunds_from(database: Database, rows: Sequence[sqlite3.Row], origin: str = "") -> list[Refund]:
    """Return the refunds of rows, their items read at once."""
    items = store.items_of(database, "refund", rows)
    return [
        Refund(
            id=RefundId(row["id"]),
            charge_id=ChargeId(row["charge_id"]),
            status=RefundStatus.trusted(row["status"]),
            method=RefundMethod.trusted(row["method"]),
            amount=Money.from_kopecks(row["amount"]),
            number=row["number"],
            confirmation=Confirmation(url=f"{origin}/refunds/{row['id']}") if row["awaits_card"] else None,
            items=items[row["id"]],
            advance=Money.from_kopecks(row["advance"]),
            created_at=from_micros(row["created_at"]),
            settled_at=None if row["settled_at"] is None else from_micros(row["settled_at"]),
            payment_order_number=row["payment_order_number"],
            refusal_reason=row["refusal_reason"],
        )
        for row in rows
    ]


def overpayments_from(database: Database, rows: Sequence[sqlite3.Row], origin: str) -> list[Overpayment]:
    """Return the overpayments of charges' rows, their refunds read at once."""
    ids = [row["last_refund_id"] for row in rows if row["last_refund_id"] is not None]
    found = database.all(f"SELECT * FROM refunds WHERE id IN ({', '.join('?' * len(ids))})", ids)
    refunds = {str(refund.id): refund for refund in refunds_from(database, found, origin)}
    return [_overpayment(row, refunds.get(row["last_refund_id"])) for row in rows]


def _overpayment(row: sqlite3.Row, refund: Refund | None) -> Overpayment:
    details = decode_value(row["details"], store.Details)
    overpaid = row["paid"] - row["amount"]
    return Overpayment(
        charge_id=ChargeId(row["id"]),
        kind=ChargeKind.trusted(row["kind"]),
        purpose=details.purpose,
        payee=details.requisites.payee,
        amount=Money.from_kopecks(overpaid),
        refundable=Money.from_kopecks(overpaid - row["refunding"]),
        credited_on=dt.date.fromisoformat(row["overpaid_on"]),
        refund=refund,
    )
