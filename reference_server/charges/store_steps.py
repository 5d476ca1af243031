"""What the clock makes happen next, and how a test has said that it is to end."""

from __future__ import annotations

import datetime as dt
from typing import final

import attrs

from cabinet_sdk.charges.models import Payment, Refund
from reference_server.charges import store, store_payments, store_refunds
from reference_server.clock import from_micros, to_micros
from reference_server.database import Database
from reference_server.session import Work

__all__ = ["SCHEMA", "Step", "has_step", "next_step", "script_outcome", "set_aside", "take_scripted_outcome"]

SCHEMA = """
CREATE TABLE scripted_outcomes (position INTEGER PRIMARY KEY, subject TEXT NOT NULL, outcome TEXT NOT NULL);
CREATE INDEX scripted_outcomes_by_subject ON scripted_outcomes (subject, position);
"""


@final
@attrs.frozen(kw_only=True)
class Step:
    """
    What happens next by the clock.

    Attributes:
        subject: A payment or a refund.
        profile_id: Whose.
        outcome: How it is to end.
        at: When.
    """

    subject: Payment | Refund
    profile_id: str
    outcome: str
    at: dt.datetime


def next_step(work: Work) -> Step | None:
    """Return the earliest step that is due, of payments and refunds together: one may pay what the other frees."""
    row = work.database.one(
        "SELECT 'payment' AS subject, id, profile_id, outcome, next_at FROM payments WHERE next_at <= ?"
        " UNION ALL SELECT 'refund', id, profile_id, outcome, next_at FROM refunds WHERE next_at <= ?"
        " ORDER BY next_at, id LIMIT 1",
        (to_micros(work.now), to_micros(work.now)),
    )
    if row is None:
        return None
    by_id = store_payments.payment_by_id if row["subject"] == "payment" else store_refunds.refund_by_id
    subject = by_id(work, row["id"])
    if subject is None:
        return None
    at = from_micros(row["next_at"])
    return Step(subject=subject, profile_id=row["profile_id"], outcome=row["outcome"], at=at)


def set_aside(work: Work, subject: Payment | Refund) -> None:
    """Have the clock leave a payment or a refund alone: somebody else has to move it."""
    table = "payments" if isinstance(subject, Payment) else "refunds"
    work.database.execute(f"UPDATE {table} SET next_at = NULL WHERE id = ?", (subject.id,))


def has_step(database: Database, now: dt.datetime) -> bool:
    """Say whether a step of a payment or a refund is due, or a charge has become late."""
    earliest = database.remembered("earliest step", _earliest)
    return earliest is not None and earliest <= now


def _earliest(database: Database) -> dt.datetime | None:
    row = database.one(
        "SELECT min(at) AS at FROM (SELECT min(next_at) AS at FROM payments WHERE next_at IS NOT NULL"
        " UNION ALL SELECT min(next_at) FROM refunds WHERE next_at IS NOT NULL)"
    )
    step = None if row is None or row["at"] is None else from_micros(row["at"])
    return min(filter(None, (step, store.first_late(database))), default=None)


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
