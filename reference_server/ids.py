"""
Ids and secrets: of a world in memory from the seed and a counter in the database, so that the same calls give the same.

Elsewhere nobody may guess them: whoever has the id of a payment reads the page on which it is confirmed.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable
from typing import final

from reference_server.database import Database

__all__ = ["SCHEMA", "Ids"]

SCHEMA = """
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters VALUES ('id', 0);
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


@final
class Ids:
    """
    Makes a world's ids.

    Args:
        database: Where the counter is kept, so that no id comes twice after a restart.
        seed: Of the world.
        predictable: Whether ids and secrets come from the seed: only for worlds in memory, whose bytes repeat.
    """

    def __init__(self, database: Database, seed: int, *, predictable: bool) -> None:
        self._database = database
        self._seed = seed
        self._predictable = predictable

    def new(self, prefix: str) -> str:
        """Return an id such as ``chg_k3jx…``, of 120 bits."""
        return f"{prefix}_{self._text('id', 15)}"

    def digits(self, count: int, *, taken: Callable[[str], object] | None = None) -> str:
        """
        Return that many digits, the first of them not zero.

        Unlike an id they may come twice. Where they must not, `taken` says whether somebody has them: without it the
        same digits would be refused again and again, since with what is undone the counter is set back.
        """
        while True:
            number = int.from_bytes(self._bytes("digits", 32))
            found = str(10 ** (count - 1) + number % (9 * 10 ** (count - 1)))
            if taken is None or not taken(found):
                return found

    def secret(self) -> str:
        """Return a secret of 160 bits."""
        return self._text("secret", 20)

    def _text(self, purpose: str, size: int) -> str:
        value = self._bytes(purpose, size) if self._predictable else secrets.token_bytes(size)
        return base64.b32encode(value).decode().lower().rstrip("=")

    def _bytes(self, purpose: str, size: int) -> bytes:
        row = self._database.one("UPDATE counters SET value = value + 1 WHERE name = 'id' RETURNING value")
        if row is None:
            msg = "the database has lost its counter"
            raise RuntimeError(msg)
        return hashlib.blake2b(f"{self._seed}:{purpose}:{row['value']}".encode(), digest_size=size).digest()
