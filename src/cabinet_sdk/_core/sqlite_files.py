"""
Files of SQLite, in clear or encrypted under a key: whoever uses the connection sees no difference.

Rule: one process opens a file with a key or without one, never both at a time. The two ways are two copies of SQLite,
and of two copies in one process each lets go of the locks of the other.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from cabinet_sdk.errors import UsageError

__all__ = ["KEY_LENGTH", "connect", "is_busy", "make", "path_of", "patiently", "transaction"]

T = TypeVar("T")

# Seconds between two tries to have a file.
_PAUSES = (0.0005, 0.004)

KEY_LENGTH = 32
"""Bytes of a key."""


def connect(
    target: str | Path, key: bytes | None = None, *, timeout: float, cached_statements: int = 128, uri: bool = False
) -> sqlite3.Connection:
    """
    Open a file, or a new one in memory, in autocommit and for any thread; rows know the names of their columns.

    A file that is new is its owner's alone, and so is what SQLite puts beside it; one that exists keeps its mode.

    Args:
        target: The file; text is what SQLite takes it for, an address where `uri` is true.
        key: Of an encrypted file, `KEY_LENGTH` bytes; a file that is new is encrypted under it.
        timeout: Seconds to wait for another program that has locked it.
        cached_statements: How many are kept prepared.
        uri: Whether the target is an address.

    Raises:
        sqlite3.DatabaseError: It cannot be opened, or not with this key, or what encrypts is not installed.
        ValueError: The key is of another length.
    """
    if key is not None and len(key) != KEY_LENGTH:
        msg = f"a key has {KEY_LENGTH} bytes, not {len(key)}; of hex digits make them with bytes.fromhex()"
        raise ValueError(msg)
    if isinstance(target, Path):
        # Or SQLite would take some names for something else than a file.
        target = target.absolute()
        # What is wrong with it, SQLite will say.
        with suppress(OSError):
            make(target)
    if key is None:
        connection = sqlite3.connect(
            target,
            timeout=timeout,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=cached_statements,
            uri=uri,
        )
        connection.row_factory = sqlite3.Row
        return connection
    from cabinet_sdk._core import sqlcipher  # noqa: PLC0415  # only who has a key needs what it loads

    return sqlcipher.connect(target, key, timeout=timeout, cached_statements=cached_statements, uri=uri)


def path_of(place: str, name: str | os.PathLike[str]) -> Path:
    """
    Return the path of a file that was named at a place of the program.

    Raises:
        UsageError: It is SQLite's name for what is in memory, or one that no file can have.
    """
    text = os.fspath(name)
    try:
        strange = text == ":memory:" or b"\0" in os.fsencode(text)
    except UnicodeEncodeError:
        strange = True
    if strange:
        msg = f"{place}: expected the path of a file, got {text!a}"
        raise UsageError(msg)
    return Path(text)


def make(path: Path) -> None:
    """Make an empty file for its owner alone. One that exists is not touched: closing it would drop SQLite's locks."""
    with suppress(FileExistsError):
        # By its real name: a link to nothing yet is there already.
        os.close(os.open(os.path.realpath(path), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


@contextmanager
def transaction(connection: sqlite3.Connection, ends_at: float) -> Generator[None]:
    """Write to a file, whole or not at all, with a connection that waits for nobody itself, see `patiently`."""
    try:
        # In here, since an interrupt comes once it is done: nothing would end the transaction.
        patiently(lambda: connection.execute("BEGIN IMMEDIATE"), ends_at)
        yield
        # A file that has no log yet waits here for those who read it.
        patiently(lambda: connection.execute("COMMIT"), ends_at)
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def patiently(act: Callable[[], T], ends_at: float) -> T:
    """
    Do what other processes may have locked, as soon as they let go of it.

    SQLite itself tries ever more seldom, and not at all in some places: beside others that are at the file all the time
    it would find it locked at each of its tries.

    Args:
        act: Done with a connection whose own timeout is 0, and again until it is not refused.
        ends_at: When to give up, by `time.monotonic`.

    Raises:
        sqlite3.OperationalError: The file was locked until then, or something else is wrong.
    """
    while True:
        try:
            return act()
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() >= ends_at:
                raise
        time.sleep(random.uniform(*_PAUSES))  # noqa: S311  # how long to wait is no secret


def is_busy(error: Exception) -> bool:
    """Say whether others have locked the file."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_BUSY
