"""Where bank transfers are kept, with what of them went to which charges."""

from __future__ import annotations

import sqlite3

from cabinet_sdk.charges.models import BankTransfer, BankTransferId, BankTransferStatus
from cabinet_sdk.types import Inn, Money
from reference_server.charges import store
from reference_server.clock import from_micros, to_micros
from reference_server.database import Database
from reference_server.session import Work

__all__ = ["SCHEMA", "add_transfer", "transfers_from"]

SCHEMA = """
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
"""


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


def transfers_from(database: Database, rows: list[sqlite3.Row], payer_id: str) -> list[BankTransfer]:
    """Return a payer's transfers of rows, their items read at once; whose charge else was paid is nobody's business."""
    items = store.items_of(database, "bank_transfer", rows, payer_id)
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
            items=items[row["id"]],
        )
        for row in rows
    ]
