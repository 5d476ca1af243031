"""
Where the ledger is kept: what money came, and where it went.

Rule: whatever is entered is entered twice, the second time with the sign turned, so that the whole sums to zero.
"""

from __future__ import annotations

from cabinet_sdk.types import Money
from reference_server.clock import to_micros
from reference_server.session import Work

__all__ = ["BANK", "SCHEMA", "UNMATCHED", "post"]

SCHEMA = """
CREATE TABLE ledger (
    entry INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    at INTEGER NOT NULL,
    account TEXT NOT NULL,
    amount INTEGER NOT NULL
);
CREATE INDEX ledger_by_account ON ledger (account);
"""

BANK = "bank"
"""The ledger's account for what banks brought and took back; with the sign turned it is what everybody else has."""
UNMATCHED = "unmatched"
"""The ledger's account for what found no charge."""


def post(work: Work, source: str, account: str, amount: Money, *, against: str = BANK) -> None:
    """Enter money in the ledger twice: on the account, and with the sign turned where it comes from."""
    for name, kopecks in ((account, amount.kopecks), (against, -amount.kopecks)):
        work.database.execute(
            "INSERT INTO ledger (source, at, account, amount) VALUES (?, ?, ?, ?)",
            (source, to_micros(work.now), name, kopecks),
        )
