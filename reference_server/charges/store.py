"""
Where charges and payments are kept.

Rule: a charge's status and what is overpaid follow from its amount and what is paid, in the table itself, so that a
filter by status is an index look-up and cannot disagree with the amounts. What is paid, pending and held for refunds
changes only in `rules`, together with the ledger; the table refuses to pay back more than is overpaid.

It is longer than other modules because it is the only one of the area that knows SQL.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
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
    Overpayment,
    Payment,
    PaymentId,
    PaymentItem,
    PaymentMethod,
    PaymentStatus,
    Refund,
    RefundId,
    RefundMethod,
    RefundStatus,
    Requisites,
)
from cabinet_sdk.types import Inn, Money, Period, Uin
from reference_server.clock import from_micros, to_micros
from reference_server.database import Database
from reference_server.session import Work

__all__ = [
    "BANK",
    "CHARGE_COLUMNS",
    "OVERPAYMENT_COLUMNS",
    "SCHEMA",
    "UNMATCHED",
    "Details",
    "Step",
    "add_advance",
    "add_event",
    "add_refund_item",
    "add_transfer",
    "advances",
    "charge_by_id",
    "charge_by_uin",
    "charge_from",
    "event_from",
    "has_step",
    "insert_charge",
    "insert_payment",
    "insert_refund",
    "next_step",
    "next_step_of_refund",
    "offset_charges",
    "overpayments_from",
    "payment_by_id",
    "payment_by_number",
    "payments_from",
    "post",
    "profile_of_charge",
    "refund_by_id",
    "refunds_from",
    "script_outcome",
    "take_scripted_outcome",
    "tax_account_charges",
    "transfers_from",
    "update_charge",
    "update_refund",
]

SCHEMA = """
CREATE TABLE charges (
    id TEXT PRIMARY KEY,
    profile_id TEXT NOT NULL REFERENCES profiles (id),
    kind TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    paid INTEGER NOT NULL DEFAULT 0 CHECK (paid >= 0),
    pending INTEGER NOT NULL DEFAULT 0 CHECK (pending >= 0),
    refunding INTEGER NOT NULL DEFAULT 0 CHECK (refunding BETWEEN 0 AND max(0, paid - amount)),
    overpaid_on TEXT CHECK ((overpaid_on IS NOT NULL) = (paid > amount)),
    last_refund_id TEXT,
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
CREATE INDEX charges_overpaid_by_accrual ON charges (profile_id, accrued_on, id) WHERE paid > amount;
CREATE INDEX charges_overpaid_by_day ON charges (profile_id, overpaid_on, id) WHERE paid > amount;
CREATE INDEX charges_overpaid_by_kind ON charges (profile_id, kind, overpaid_on, id) WHERE paid > amount;

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
    refund_id TEXT,
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

CREATE TABLE scripted_outcomes (position INTEGER PRIMARY KEY, subject TEXT NOT NULL, outcome TEXT NOT NULL);
CREATE INDEX scripted_outcomes_by_subject ON scripted_outcomes (subject, position);

CREATE TABLE ledger (
    entry INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    at INTEGER NOT NULL,
    account TEXT NOT NULL,
    amount INTEGER NOT NULL
);
CREATE INDEX ledger_by_account ON ledger (account);
"""

CHARGE_COLUMNS = "id, kind, amount, paid, pending, refunding, status, accrued_on, due_on, uin, order_number, details"
OVERPAYMENT_COLUMNS = "id, kind, amount, paid, refunding, overpaid_on, last_refund_id, details"

# Taxes, contributions and penalties are one account with the tax service; of the rest each payee has its own.
_TAX_KINDS = "('tax', 'contribution', 'penalty')"
_SAME_ACCOUNT = f"payee_inn = ? AND (kind IN {_TAX_KINDS}) = (? IN {_TAX_KINDS})"

BANK = "bank"
"""The ledger's account for what banks brought and took back; with the sign turned it is what everybody else has."""
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
        refunding=Money.from_kopecks(row["refunding"]),
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
        f" AND kind IN {_TAX_KINDS} ORDER BY due_on, accrued_on, id",
        (profile_id,),
    )
    return [charge_from(row, work.today) for row in rows]


def offset_charges(work: Work, profile_id: str, charge: Charge) -> list[Charge]:
    """Return what money of that charge may pay and nothing under way pays: open charges of the same account."""
    rows = work.database.all(
        f"SELECT {CHARGE_COLUMNS} FROM charges WHERE profile_id = ? AND paid < amount AND paid + pending < amount"
        f" AND {_SAME_ACCOUNT} ORDER BY due_on, accrued_on, id",
        (profile_id, str(charge.requisites.payee_inn), str(charge.kind)),
    )
    return [charge_from(row, work.today) for row in rows]


def update_charge(work: Work, charge_id: str, *, paid: int = 0, pending: int = 0, refunding: int = 0) -> None:
    """Add to what is paid, pending and held for refunds, in kopecks."""
    # An overpayment has its day, and forgets its refund, with the very change that makes it or ends it.
    work.database.execute(
        "UPDATE charges SET paid = paid + ?, pending = pending + ?, refunding = refunding + ?,"
        " overpaid_on = CASE WHEN paid + ? > amount THEN coalesce(overpaid_on, ?) END,"
        " last_refund_id = CASE WHEN paid + ? > amount THEN last_refund_id END WHERE id = ?",
        (paid, pending, refunding, paid, work.today.isoformat(), paid, charge_id),
    )


def post(work: Work, source: str, account: str, amount: Money, *, against: str = BANK) -> None:
    """Enter money in the ledger twice: on the account, and with the sign turned where it comes from."""
    for name, kopecks in ((account, amount.kopecks), (against, -amount.kopecks)):
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
    refund_id: str | None = None,
) -> None:
    """Enter something in a charge's history."""
    work.database.execute(
        "INSERT INTO charge_events SELECT ?, ?, coalesce(max(number), 0) + 1, ?, ?, ?, ?, ?, ?, ?"
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
            refund_id,
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
        refund_id=None if row["refund_id"] is None else RefundId(row["refund_id"]),
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
    return payments_from(work.database, [row], origin)[0]


def payment_by_number(work: Work, number: str) -> Payment | None:
    """Return the payment with that unique number."""
    row = work.database.one("SELECT * FROM payments WHERE number = ?", (number,))
    return None if row is None else payments_from(work.database, [row], "")[0]


@final
@attrs.frozen(kw_only=True)
class Step:
    """
    What happens next by the clock.

    Attributes:
        subject: A payment or a refund.
        outcome: How it is to end.
        at: When.
    """

    subject: Payment | Refund
    outcome: str
    at: dt.datetime


def next_step(work: Work) -> Step | None:
    """Return the earliest step that is due, of payments and refunds together: one may pay what the other frees."""
    row = work.database.one(
        "SELECT 'payment' AS subject, id, outcome, next_at FROM payments WHERE next_at <= ?"
        " UNION ALL SELECT 'refund', id, outcome, next_at FROM refunds WHERE next_at <= ?"
        " ORDER BY next_at, id LIMIT 1",
        (to_micros(work.now), to_micros(work.now)),
    )
    if row is None:
        return None
    by_id = payment_by_id if row["subject"] == "payment" else refund_by_id
    subject = by_id(work, row["id"])
    return None if subject is None else Step(subject=subject, outcome=row["outcome"], at=from_micros(row["next_at"]))


def has_step(work: Work) -> bool:
    """Say whether a step of a payment or a refund is due."""
    now = to_micros(work.now)
    found = work.database.one(
        "SELECT 1 FROM payments WHERE next_at <= ? UNION ALL SELECT 1 FROM refunds WHERE next_at <= ? LIMIT 1",
        (now, now),
    )
    return found is not None


def script_outcome(work: Work, subject: str, outcome: str) -> None:
    """Have a payment or a refund to come end like this; outcomes are used up in the order of their scripting."""
    work.database.execute("INSERT INTO scripted_outcomes (subject, outcome) VALUES (?, ?)", (subject, outcome))


def take_scripted_outcome(work: Work, subject: str) -> str | None:
    """Return what was scripted for the next payment or refund, and forget it."""
    row = work.database.one(
        "DELETE FROM scripted_outcomes"
        " WHERE position = (SELECT min(position) FROM scripted_outcomes WHERE subject = ?) RETURNING outcome",
        (subject,),
    )
    return None if row is None else row["outcome"]


def payments_from(database: Database, rows: Sequence[sqlite3.Row], origin: str) -> list[Payment]:
    """Return the payments of rows, their items read at once."""
    items = _items_of(database, "payment", rows)
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


def _items_of(database: Database, owner: str, rows: Iterable[sqlite3.Row]) -> defaultdict[str, tuple[PaymentItem, ...]]:
    """Return by id what payments, bank transfers or refunds brought to which charges."""
    ids = [row["id"] for row in rows]
    column = f"{owner.removeprefix('bank_')}_id"
    found: defaultdict[str, tuple[PaymentItem, ...]] = defaultdict(tuple)
    for row in database.all(
        f"SELECT {column} AS owner, charge_id, amount FROM {owner}_items"
        f" WHERE {column} IN ({', '.join('?' * len(ids))}) ORDER BY {column}, position",
        ids,
    ):
        item = PaymentItem(charge_id=ChargeId(row["charge_id"]), amount=Money.from_kopecks(row["amount"]))
        found[row["owner"]] += (item,)
    return found


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


def advances(work: Work, profile_id: str, charge: Charge) -> list[Refund]:
    """Return the offsets of the charge's account of which something is left, the oldest first."""
    rows = work.database.all(
        "SELECT refunds.* FROM refunds JOIN charges ON charges.id = refunds.charge_id"
        f" WHERE refunds.profile_id = ? AND advance > 0 AND {_SAME_ACCOUNT} ORDER BY settled_at, refunds.id",
        (profile_id, str(charge.requisites.payee_inn), str(charge.kind)),
    )
    return refunds_from(work.database, rows)


def refund_by_id(work: Work, refund_id: str, *, profile_id: str | None = None, origin: str = "") -> Refund | None:
    """Return a refund; of that profile only, where one is given."""
    row = work.database.one("SELECT * FROM refunds WHERE id = ?", (refund_id,))
    if row is None or (profile_id is not None and row["profile_id"] != profile_id):
        return None
    return refunds_from(work.database, [row], origin)[0]


def next_step_of_refund(work: Work, refund_id: str) -> dt.datetime | None:
    """Return when a refund moves on by the clock, None where somebody else has to move it."""
    row = work.database.one("SELECT next_at FROM refunds WHERE id = ?", (refund_id,))
    return None if row is None or row["next_at"] is None else from_micros(row["next_at"])


def refunds_from(database: Database, rows: Sequence[sqlite3.Row], origin: str = "") -> list[Refund]:
    """Return the refunds of rows, their items read at once."""
    items = _items_of(database, "refund", rows)
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
    details = decode_value(row["details"], Details)
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
    items = _items_of(database, "bank_transfer", rows)
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
