"""
Where a world's state is kept: SQLite, in memory or in a file.

Rule: one connection a world, used under the world's lock only; every change is inside `transaction`, so that it happens
whole or not at all. A file is in WAL mode with full durability: what was answered survives a power cut.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias, final

__all__ = ["SCHEMA_VERSION", "Database", "DatabaseRefused", "Value"]

SCHEMA_VERSION = 1
"""Of the tables of all areas; a file of another version is refused until there is a migration."""

# Tells our files from any other SQLite file ("CabS").
_APPLICATION_ID = 0x43616253

Value: TypeAlias = str | int | bytes | None
"""What a column holds."""


class DatabaseRefused(RuntimeError):
    """The file is not a world of this version."""


@final
class Database:
    """
    One world's tables.

    Args:
        schema: The statements that make them.
        file: Where they are kept; in memory where it is None.

    Raises:
        DatabaseRefused: The file is something else, or of another version.
    """

    def __init__(self, schema: str, file: Path | None = None) -> None:
        try:
            self._connection = sqlite3.connect(
                ":memory:" if file is None else file,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=512,
            )
        except sqlite3.OperationalError as error:
            msg = f"{file} cannot be opened: {error}"
            raise DatabaseRefused(msg) from error
        # From Python 3.13 on a connection that nobody closed is a warning, and tests leave worlds to the collector.
        weakref.finalize(self, self._connection.close)
        self._connection.row_factory = sqlite3.Row
        if file is None:
            _template(schema).backup(self._connection)
        else:
            self._open(schema, file)
        self._connection.execute("PRAGMA foreign_keys = ON")

    def _open(self, schema: str, file: Path) -> None:
        try:
            version = self._pragma("user_version")
            application = self._pragma("application_id")
            tables = self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        except sqlite3.DatabaseError as error:
            self._connection.close()
            msg = f"{file} is not an SQLite database: {error}"
            raise DatabaseRefused(msg) from error
        if (tables or application) and (application, version) != (_APPLICATION_ID, SCHEMA_VERSION):
            self._connection.close()
            what = f"of version {version}" if application == _APPLICATION_ID else "of another program"
            msg = f"{file} is a database {what}; this server needs one of its own, version {SCHEMA_VERSION}"
            raise DatabaseRefused(msg)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        if not tables:
            with self.transaction():
                _create(self._connection, schema)

    def _pragma(self, name: str) -> int:
        value: int = self._connection.execute(f"PRAGMA {name}").fetchone()[0]
        return value

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Keep what is done inside whole: committed at the end, undone by an error."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def execute(self, sql: str, parameters: Sequence[Value] = ()) -> int:
        """Run a statement; return how many rows it changed."""
        return self._connection.execute(sql, parameters).rowcount

    def one(self, sql: str, parameters: Sequence[Value] = ()) -> sqlite3.Row | None:
        """Return the first row, None where there is none."""
        row: sqlite3.Row | None = self._connection.execute(sql, parameters).fetchone()
        return row

    def all(self, sql: str, parameters: Sequence[Value] = ()) -> list[sqlite3.Row]:
        """Return every row."""
        return self._connection.execute(sql, parameters).fetchall()

    def close(self) -> None:
        """Close the connection; a world in memory is gone then."""
        self._connection.close()


def _create(connection: sqlite3.Connection, schema: str) -> None:
    # Statement by statement: `executescript` would commit the transaction that a new file is made in.
    statement = ""
    for line in schema.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


@lru_cache(maxsize=8)
def _template(schema: str) -> sqlite3.Connection:
    """Return empty tables to copy: a copy takes a fiftieth of the time that making them does."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _create(connection, schema)
    return connection
