"""
Where charges and their history are kept.

Rule: a charge's status and what is overpaid follow from its amount and what is paid, in the table itself, so that they
cannot disagree. With whether it is late, which the clock marks once, they make its standing: each filter of a list is a
set of standings, and the charges of one standing lie in an index in each order. What is pending and held for refunds
changes only in the rules, and what is paid only in `rules_ledger`, together with the ledger; the table refuses to pay
back more than is overpaid.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import final

import attrs

from cabinet_sdk._core.answer_codec import decode_value, encode_answer
from cabinet_sdk.charges.models import (
    Calculation,
    Charge,
    ChargeDocument,
    ChargeEvent,
    ChargeEventId,
    ChargeEventKind,
    ChargeId,
    ChargeKind,
    ChargeStatus,
    PaymentId,
    PaymentItem,
    RefundId,
    Requisites,
)
from cabinet_sdk.types import MOSCOW, Money, Period, Uin
from reference_server.clock import from_micros, to_micros
from reference_server.database import Database
from reference_server.session import Work

__all__ = [
    "CHARGE_COLUMNS",
    "SAME_ACCOUNT",
    "SCHEMA",
    "STANDINGS",
    "Details",
    "add_event",
    "charge_by_id",
    "charge_by_uin",
    "charge_from",
    "event_from",
    "first_late",
    "insert_charge",
    "items_of",
    "kinds_of",
    "mark_late",
    "offset_charges",
    "profile_of_charge",
    "room",
    "tax_account_charges",
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
    details BLOB NOT NULL,
    late INTEGER NOT NULL DEFAULT 0,
    standing TEXT NOT NULL GENERATED ALWAYS AS (
        CASE WHEN paid > amount THEN 'overpaid' WHEN late AND paid < amount THEN status || '_late' ELSE status END
    ) VIRTUAL
) WITHOUT ROWID;
CREATE INDEX charges_by_accrual ON charges (profile_id, accrued_on, id);
CREATE INDEX charges_by_term ON charges (profile_id, due_on, id);
CREATE INDEX charges_by_amount ON charges (profile_id, amount, id);
CREATE INDEX charges_by_kind_and_accrual ON charges (profile_id, kind, standing, accrued_on, id);
CREATE INDEX charges_by_kind_and_term ON charges (profile_id, kind, standing, due_on, id);
CREATE INDEX charges_by_kind_and_amount ON charges (profile_id, kind, standing, amount, id);
CREATE INDEX charges_by_payee_and_accrual ON charges (profile_id, payee_inn, kind, standing, accrued_on, id);
CREATE INDEX charges_by_payee_and_term ON charges (profile_id, payee_inn, kind, standing, due_on, id);
CREATE INDEX charges_by_payee_and_amount ON charges (profile_id, payee_inn, kind, standing, amount, id);
CREATE INDEX charges_not_late ON charges (due_on) WHERE NOT late;
CREATE INDEX charges_by_order_number ON charges (profile_id, order_number) WHERE order_number IS NOT NULL;
CREATE INDEX charges_unpaid_by_term ON charges (profile_id, due_on, accrued_on, id) WHERE paid < amount;
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
"""

STANDINGS: Mapping[str, tuple[ChargeStatus, bool, bool]] = {
    "not_paid": (ChargeStatus.NOT_PAID, False, False),
    "not_paid_late": (ChargeStatus.NOT_PAID, True, False),
    "partly_paid": (ChargeStatus.PARTLY_PAID, False, False),
    "partly_paid_late": (ChargeStatus.PARTLY_PAID, True, False),
    "paid": (ChargeStatus.PAID, False, False),
    "overpaid": (ChargeStatus.PAID, False, True),
}
"""Where a charge may stand: its status, whether it is overdue, and whether it is overpaid."""

_KINDS = """
WITH RECURSIVE found (kind) AS (
    SELECT min(kind) FROM charges INDEXED BY charges_by_kind_and_accrual WHERE profile_id = ?
    UNION ALL
    SELECT (
        SELECT min(kind) FROM charges INDEXED BY charges_by_kind_and_accrual
        WHERE profile_id = ? AND kind > found.kind
    ) FROM found WHERE kind IS NOT NULL
) SELECT kind FROM found WHERE kind IS NOT NULL
"""

CHARGE_COLUMNS = (
    "id, kind, amount, paid, pending, refunding, status, accrued_on, due_on, late, uin, order_number, details"
)

_CHARGE_BY_ID = f"SELECT {CHARGE_COLUMNS} FROM charges WHERE id = ? AND profile_id = ?"

# In kopecks, that an amount holds.
_MOST = 2**63 - 1

_TAX_KINDS = "('tax', 'contribution', 'penalty')"

SAME_ACCOUNT = f"payee_inn = ? AND (kind IN {_TAX_KINDS}) = (? IN {_TAX_KINDS})"
"""
The condition that a charge is of the same account as another, by its payee's ИНН and its kind.

Taxes, contributions and penalties are one account with the tax service; of the rest each payee has its own.
"""


@final
@attrs.frozen(kw_only=True)
class Details:
    """What of a charge is never searched."""

    purpose: str
    requisites: Requisites
    tax_period: Period | None = None
    calculation: Calculation | None = None
    documents: tuple[ChargeDocument, ...] = ()


# An amount cannot change, so that equal ones may be one: of those of a charge most are nothing or all of it.
_money = lru_cache(maxsize=1024)(Money.from_kopecks)


# Nor can these, and of each charge they are the same for ever. Few: what is read again is read soon, and whoever reads
# all charges there are is not to keep them.
@lru_cache(maxsize=128)
def _details(content: bytes) -> Details:
    return decode_value(content, Details)


def charge_from(row: sqlite3.Row) -> Charge:
    """Return the charge of a row that begins with `CHARGE_COLUMNS`."""
    # Unpacked, since looking up the names of columns would take a fifth of the time that this does.
    charge_id, kind, amount, paid, pending, refunding, status, accrued_on, due_on, late, uin, order_number, *rest = row
    details = _details(rest[0])
    return Charge(
        id=ChargeId(charge_id),
        kind=ChargeKind.trusted(kind),
        status=ChargeStatus.trusted(status),
        amount=_money(amount),
        paid=_money(paid),
        pending=_money(pending),
        due=_money(max(0, amount - paid - pending)),
        overpaid=_money(max(0, paid - amount)),
        accrued_on=dt.date.fromisoformat(accrued_on),
        due_on=dt.date.fromisoformat(due_on),
        # By the mark and not by the day, so that a filter never says otherwise.
        overdue=bool(late) and paid < amount,
        purpose=details.purpose,
        uin=None if uin is None else Uin.trusted(uin),
        order_number=order_number,
        tax_period=details.tax_period,
        requisites=details.requisites,
        calculation=details.calculation,
        documents=details.documents,
        refunding=_money(refunding),
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
        "INSERT INTO charges (id, profile_id, kind, amount, accrued_on, due_on, uin, order_number, payee_inn, details,"
        " late) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
            charge.due_on < work.today,
        ),
    )


def mark_late(work: Work) -> None:
    """Mark what has become late since it was asked last: once for each charge, paid or not."""
    work.database.execute("UPDATE charges SET late = 1 WHERE NOT late AND due_on < ?", (work.today.isoformat(),))


def first_late(database: Database) -> dt.datetime | None:
    """Return when the next charge becomes late, None where none will: at midnight in Moscow after its last day."""
    row = database.one("SELECT min(due_on) AS day FROM charges WHERE NOT late")
    day = None if row is None or row["day"] is None else dt.date.fromisoformat(row["day"])
    if day is None or day == dt.date.max:
        return None
    return dt.datetime.combine(day + dt.timedelta(days=1), dt.time(0), MOSCOW)


def kinds_of(database: Database, profile_id: str) -> list[str]:
    """Return the kinds of charges that the profile has: a look-up for each, however many charges there are."""
    return [row["kind"] for row in database.all(_KINDS, (profile_id, profile_id))]


def charge_by_id(work: Work, profile_id: str, charge_id: str) -> Charge | None:
    """Return a charge of the profile."""
    row = work.database.one(_CHARGE_BY_ID, (charge_id, profile_id))
    return None if row is None else charge_from(row)


def charge_by_uin(work: Work, uin: str) -> Charge | None:
    """Return the charge with that УИН, whoever owes it."""
    row = work.database.one(f"SELECT {CHARGE_COLUMNS} FROM charges WHERE uin = ?", (uin,))
    return None if row is None else charge_from(row)


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
    return [charge_from(row) for row in rows]


def offset_charges(work: Work, profile_id: str, charge: Charge) -> list[Charge]:
    """Return what money of that charge may pay and nothing under way pays: open charges of the same account."""
    rows = work.database.all(
        f"SELECT {CHARGE_COLUMNS} FROM charges WHERE profile_id = ? AND paid < amount AND paid + pending < amount"
        f" AND {SAME_ACCOUNT} ORDER BY due_on, accrued_on, id",
        (profile_id, str(charge.requisites.payee_inn), str(charge.kind)),
    )
    return [charge_from(row) for row in rows]


def room(work: Work, charge_id: str) -> Money:
    """Return how much more a charge can hold, besides what is paid and pending."""
    row = work.database.one("SELECT max(0, ? - paid - pending) AS room FROM charges WHERE id = ?", (_MOST, charge_id))
    return _money(0 if row is None else row["room"])


def update_charge(work: Work, charge_id: str, *, paid: int = 0, pending: int = 0, refunding: int = 0) -> None:
    """
    Add to what is paid, pending and held for refunds, in kopecks.

    Raises:
        ValueError: What is paid and pending would be more than 64 bits hold.
    """
    # An overpayment has its day, and forgets its refund, with the very change that makes it or ends it.
    changed = work.database.one(
        "UPDATE charges SET paid = paid + ?, pending = pending + ?, refunding = refunding + ?,"
        " overpaid_on = CASE WHEN paid + ? > amount THEN coalesce(overpaid_on, ?) END,"
        " last_refund_id = CASE WHEN paid + ? > amount THEN last_refund_id END WHERE id = ?"
        " RETURNING typeof(paid + pending) AS kind",
        (paid, pending, refunding, paid, work.today.isoformat(), paid, charge_id),
    )
    # What does not fit an integer becomes a float in SQLite, and no amount any more. What is pending keeps its place,
    # so that a payment once taken can be credited.
    if changed is not None and changed["kind"] != "integer":
        msg = f"the charge {charge_id} cannot hold that much"
        raise ValueError(msg)


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


def items_of(
    database: Database, owner: str, rows: Iterable[sqlite3.Row], payer_id: str | None = None
) -> defaultdict[str, tuple[PaymentItem, ...]]:
    """Return by id what payments, bank transfers or refunds brought to which charges; of a payer to own ones only."""
    parameters = [row["id"] for row in rows]
    condition = f"IN ({', '.join('?' * len(parameters))})"
    if payer_id is not None:
        condition += " AND charge_id IN (SELECT id FROM charges WHERE id = charge_id AND profile_id = ?)"
        parameters.append(payer_id)
    column = f"{owner.removeprefix('bank_')}_id"
    found: defaultdict[str, tuple[PaymentItem, ...]] = defaultdict(tuple)
    for row in database.all(
        f"SELECT {column} AS owner, charge_id, amount FROM {owner}_items"
        f" WHERE {column} {condition} ORDER BY {column}, position",
        parameters,
    ):
        item = PaymentItem(charge_id=ChargeId(row["charge_id"]), amount=Money.from_kopecks(row["amount"]))
        found[row["owner"]] += (item,)
    return found
