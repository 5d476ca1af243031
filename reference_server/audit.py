"""
The audit journal: who did what, for whom, when and from where; every change, download, sign-in and denied attempt.

Rule: an entry is written in the transaction of what it tells about, so that neither is ever there without the other.
Entries are numbered without gaps and chained: the hash of each covers its own ids and the hash of the one before, so
that whoever edits, removes, moves or adds one breaks the chain there. Two things a chain cannot see for itself: that
its end was cut off, and that it is another journal's. An *anchor* tells them, the journal's identity with number and
hash of an entry, kept outside the database. A world in a file keeps one beside it, and ``audit anchor`` prints it for a
place that is out of reach for whoever can write to the file.

Personal values, the address that a request came from, are not hashed but encrypted under a key of the person's own;
the chain covers what that gives. Erasing a person destroys the key: the values are gone and the chain still holds.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
import secrets
import sqlite3
import weakref
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, final

import attrs

from reference_server.clock import from_micros, to_micros
from reference_server.database import Database, DatabaseRefused, path_beside, refuse_strange

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from reference_server.session import Work

__all__ = [
    "CONSOLE",
    "DONE",
    "IDENTITY",
    "SANDBOX",
    "SCHEMA",
    "SET_ASIDE",
    "Anchor",
    "AuditEntry",
    "Breach",
    "Journal",
    "beside",
    "by_console",
    "check",
    "entries",
    "latest",
    "of_file",
]

SCHEMA = """
CREATE TABLE audit_entries (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    action TEXT NOT NULL,
    outcome TEXT NOT NULL,
    actor TEXT,
    profile_id TEXT,
    subject TEXT,
    request_id TEXT,
    personal BLOB,
    hash BLOB NOT NULL
);
CREATE TRIGGER audit_entries_never_change BEFORE UPDATE ON audit_entries
BEGIN SELECT RAISE(ABORT, 'the audit journal is only ever added to'); END;
CREATE TRIGGER audit_entries_never_go BEFORE DELETE ON audit_entries
BEGIN SELECT RAISE(ABORT, 'the audit journal is only ever added to'); END;
CREATE TABLE audit_keys (person TEXT PRIMARY KEY, key BLOB NOT NULL) WITHOUT ROWID;
"""

DONE = "done"
"""The outcome of what was carried out; that of a denied attempt is the code of the problem."""

SET_ASIDE = "set_aside"
"""The outcome of a step that the clock could not take."""

SANDBOX = "sandbox"
"""How the actions begin that a control of the world did, in process or by the console."""

CONSOLE = "console"
"""Who did what a form of the console asked for."""

IDENTITY = "audit_journal"
"""The setting under which a world keeps the identity of its journal."""

_BY: ContextVar[tuple[str | None, str | None]] = ContextVar("by", default=(None, None))
_NOBODY = ""
"""Whose key covers what came from somebody unknown."""
_COLUMNS = "number", "at", "action", "outcome", "actor", "profile_id", "subject", "request_id", "personal", "hash"
_ERASE = "audit.erase"
_NONCE = 12
_AT_ONCE = 1000
# Of characters in the file of an anchor, which has 149.
_MOST = 1024
_ANCHOR = re.compile(r"([0-9a-f]{64}):([0-9]{1,18}):([0-9a-f]{64})", re.ASCII)


@final
@attrs.frozen(kw_only=True)
class AuditEntry:
    """
    What the journal says about one event.

    Attributes:
        number: From 1, without gaps.
        at: When, in UTC.
        action: The operation's id; ``sign_in.token`` for a sign-in, ``clock.…`` for what an authority did in its time,
            ``sandbox.…`` for what a control of the world did.
        outcome: ``done``, the code of the problem with which the attempt was denied, or ``set_aside`` where the clock
            could not do what was due.
        actor: Who did it, a client's id, or ``console``; None for an authority, a test and for somebody unknown.
        profile_id: For whom; None where nobody was signed in.
        subject: What it was done to: the path of the thing, below the base path.
        request_id: Of the request; None where there was none.
        sender: The network address that the request came from; None in process, and after the person was erased.
    """

    number: int
    at: dt.datetime
    action: str
    outcome: str
    actor: str | None
    profile_id: str | None
    subject: str | None
    request_id: str | None
    sender: str | None


@final
@attrs.frozen
class Anchor:
    """
    A point that a journal has reached.

    Attributes:
        journal: The identity of the journal.
        number: Of the entry; 0 before the first.
        hash: Of that entry; the journal's identity before the first.
    """

    journal: bytes
    number: int
    hash: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read what `str` has written.

        Raises:
            ValueError: It is no anchor.
        """
        found = _ANCHOR.fullmatch(text.strip())
        if found is None:
            msg = "expected an anchor: 64 hex digits, a number and 64 hex digits, with colons between"
            raise ValueError(msg)
        return cls(bytes.fromhex(found.group(1)), int(found.group(2)), bytes.fromhex(found.group(3)))

    def __str__(self) -> str:
        return f"{self.journal.hex()}:{self.number:018d}:{self.hash.hex()}"


@final
@attrs.frozen
class Breach:
    """
    The first entry that is not as it was written.

    Attributes:
        number: Of the entry.
        reason: What is wrong with it, one sentence.
    """

    number: int
    reason: str


@final
class Journal:
    """
    Writes a world's journal; used under the world's lock.

    Args:
        database: Where it is kept.
        identity: 32 bytes that no other journal has.

    Raises:
        DatabaseRefused: The anchor beside the file names what is not in the journal, or cannot be read or written.
    """

    def __init__(self, database: Database, identity: bytes) -> None:
        self._database = database
        self._identity = identity
        self._anchors: _AnchorFile | None = None
        self._as_one = False
        self._anchored_in = 0
        if database.file is not None:
            _expect(database, identity, database.file)
            try:
                self._anchors = _AnchorFile(database.file)
                self.anchor()
            except OSError as error:
                msg = f"{path_beside(database.file, 'anchor')} cannot be written: {error.strerror}"
                raise DatabaseRefused(msg) from error

    def record(
        self,
        work: Work,
        action: str,
        *,
        outcome: str = DONE,
        actor: str | None = None,
        profile_id: str | None = None,
        subject: str | None = None,
        request_id: str | None = None,
        sender: str | None = None,
    ) -> None:
        """Add an entry, in the transaction that the caller has open; the arguments are those of `AuditEntry`."""
        if self._as_one:
            return
        last = latest(self._database, self._identity)
        if self._anchors is not None and self._anchored_in != self._database.transactions:
            # The one before all of this transaction: an anchor must not name an entry that is rolled back after all.
            self._anchors.write(last)
            self._anchored_in = self._database.transactions
        if action.startswith(f"{SANDBOX}."):
            actor, sender = _BY.get()
        number, at = last.number + 1, to_micros(work.now)
        personal = None if sender is None else self._encrypt(actor or _NOBODY, number, sender)
        told = (number, at, action, outcome, actor, profile_id, subject, request_id)
        self._database.execute(
            "INSERT INTO audit_entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*told, personal, _hash(last.hash, told, personal)),
        )

    @contextmanager
    def as_one(self, work: Work, action: str) -> Generator[None]:
        """Have all that is done inside stand as one entry, in the transaction that the caller has open."""
        self._as_one = True
        try:
            yield
        finally:
            self._as_one = False
        self.record(work, action)

    def anchor(self) -> Anchor:
        """Return how far the journal has come, and keep it beside the file."""
        last = latest(self._database, self._identity)
        if self._anchors is not None:
            self._anchors.write(last)
        return last

    def close(self) -> None:
        """Keep the last anchor; nothing is recorded after that."""
        anchors, self._anchors = self._anchors, None
        if anchors is not None:
            try:
                anchors.write(latest(self._database, self._identity))
            finally:
                anchors.close()

    def erase(self, work: Work, person: str) -> None:
        """Destroy a person's key, in the transaction that the caller has open; that is an entry too."""
        self._database.execute("DELETE FROM audit_keys WHERE person = ?", (person,))
        self.record(work, _ERASE, profile_id=person)

    def _encrypt(self, person: str, number: int, value: str) -> bytes:
        key = _key(self._database, person)
        if key is None:
            # Never from the seed: what can be made again cannot be destroyed.
            key = secrets.token_bytes(32)
            self._database.execute("INSERT INTO audit_keys VALUES (?, ?)", (person, key))
        nonce = secrets.token_bytes(_NONCE)
        return nonce + _cipher(key).encrypt(nonce, value.encode(), str(number).encode())


@contextmanager
def by_console(sender: str | None) -> Generator[None]:
    """Have what controls do inside, in this thread or task, stand as done by the console for that address."""
    before = _BY.set((CONSOLE, sender))
    try:
        yield
    finally:
        _BY.reset(before)


def entries(database: Database, profile_id: str | None = None) -> list[AuditEntry]:
    """Return every entry, the oldest first; of one profile only, where one is named."""
    condition, values = ("", ()) if profile_id is None else (" WHERE profile_id = ?", (profile_id,))
    rows = database.all(f"SELECT * FROM audit_entries{condition} ORDER BY number", values)
    return [_entry(database, row) for row in rows]


def of_file(file: Path, key: bytes | None = None) -> Database:
    """
    Open the journal of a file to read it.

    Raises:
        DatabaseRefused: The file is not there, something else, does not open with this key, or has no journal.
    """
    database = Database.reading(file, key)
    try:
        database.one("SELECT number FROM audit_entries LIMIT 1")
    except sqlite3.OperationalError as error:
        database.close()
        msg = f"{file} has no audit journal: {error}"
        raise DatabaseRefused(msg) from error
    return database


def beside(file: Path) -> Anchor | None:
    """
    Return the anchor beside a file, None where there is none.

    Whoever compares them reads it before the file: one that is older than what is read later is right.

    Raises:
        DatabaseRefused: It cannot be read, or is no regular file or no anchor.
    """
    path = path_beside(file, "anchor")
    refuse_strange(path)
    try:
        with path.open(encoding="ascii") as opened:
            text = opened.read(_MOST)
        # Empty where the process died, or the disk was full, before the first was written.
        return Anchor.parse(text) if text else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be read: {error.strerror if isinstance(error, OSError) else error}"
        raise DatabaseRefused(msg) from error


def latest(database: Database, identity: bytes | None = None) -> Anchor:
    """
    Return how far a journal has come.

    Raises:
        DatabaseRefused: Its identity, or the hash of its last entry, is not what one writes.
    """
    row = database.one("SELECT number, hash FROM audit_entries ORDER BY number DESC LIMIT 1")
    identity = _identity(database) if identity is None else identity
    number, last = (0, identity) if row is None else (row["number"], row["hash"])
    if not identity or not isinstance(last, bytes):
        msg = f"the audit journal of {database.file} was tampered with: `audit verify` names the entry"
        raise DatabaseRefused(msg)
    return Anchor(identity, number, last)


def check(database: Database, anchor: Anchor | None = None) -> Breach | None:
    """
    Read a journal from its first entry to its last; return the first that is not as it was.

    Nor is one whose personal value cannot be read, unless its person was erased later.

    Args:
        database: Where the journal is.
        anchor: A point that it has reached once: what was cut off before that point, and a journal that was put in
            place of another, is found.
    """
    identity = _identity(database)
    if not identity:
        return Breach(1, "the journal has lost its identity, with which the entry was chained")
    anchor = anchor or Anchor(identity, 0, identity)
    if identity != anchor.journal:
        return Breach(1, "the anchor is of another journal: the file was put in place of another one")
    number, previous = 1, identity
    # The first of each person; an erasure that is still to come explains it.
    unreadable: dict[str, int] = {}
    try:
        with database.any_text():
            for row in _rows(database):
                reason = _wrong(row, number, previous, anchor)
                if reason is not None:
                    return Breach(number, reason)
                if row["personal"] is not None and _sender(database, row) is None:
                    unreadable.setdefault(row["actor"] or _NOBODY, number)
                if row["action"] == _ERASE:
                    unreadable.pop(row["profile_id"], None)
                number, previous = number + 1, row["hash"]
    except sqlite3.OperationalError as error:
        # Of the tables and not of the disk.
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        return Breach(number, f"the entry cannot be read: {error}")
    if number <= anchor.number:
        return Breach(number, f"the entry is missing: the journal had reached {anchor.number}")
    reason = "what is personal in the entry cannot be read, and no later one says that its person was erased"
    return next((Breach(each, reason) for each in unreadable.values()), None)


def _wrong(row: sqlite3.Row, number: int, previous: bytes, anchor: Anchor) -> str | None:
    """Say what is wrong with a row where the entry of that number is to be."""
    found = row["number"]
    if found != number:
        missing = isinstance(found, int) and found > number
        return "the entry is missing" if missing else f"an entry {found} stands before it"
    if not _is_entry(row) or row["hash"] != _hash(previous, tuple(row)[:8], row["personal"]):
        return "the entry is not what was written after the one before it"
    if number == anchor.number and row["hash"] != anchor.hash:
        return "the entry is not the one that the anchor names"
    return None


def _identity(database: Database) -> bytes:
    """Return what the settings have; nothing where it is no identity."""
    row = database.one("SELECT CAST(value AS BLOB) AS value FROM settings WHERE name = ?", (IDENTITY,))
    try:
        return b"" if row is None else bytes.fromhex(row["value"].decode())
    except ValueError:
        return b""


def _is_entry(row: sqlite3.Row) -> bool:
    """Say whether a row has the columns of an entry and what they can hold."""
    *told, personal, _ = row
    if tuple(row.keys()) != _COLUMNS or any(isinstance(each, bytes) for each in told):
        return False
    return personal is None or isinstance(personal, bytes)


def _rows(database: Database) -> Iterator[sqlite3.Row]:
    # Page by page: a reader that holds on would keep the log of a busy file from being emptied.
    after = None
    while True:
        condition, values = ("", ()) if after is None else (" WHERE number > ?", (after,))
        rows = database.all(f"SELECT * FROM audit_entries{condition} ORDER BY number LIMIT {_AT_ONCE}", values)
        if not rows:
            return
        yield from rows
        after = rows[-1]["number"]


def _hash(previous: bytes, told: tuple[Any, ...], personal: bytes | None) -> bytes:  # Any: whatever a column holds
    covered = [*told, None if personal is None else hashlib.sha256(personal).hexdigest()]
    # Bytes that are no text are hashed as themselves: no entry has any.
    return hashlib.sha256(previous + json.dumps(covered, ensure_ascii=False).encode(errors="surrogateescape")).digest()


def _entry(database: Database, row: sqlite3.Row) -> AuditEntry:
    return AuditEntry(
        number=row["number"],
        at=from_micros(row["at"]),
        action=row["action"],
        outcome=row["outcome"],
        actor=row["actor"],
        profile_id=row["profile_id"],
        subject=row["subject"],
        request_id=row["request_id"],
        sender=_sender(database, row),
    )


def _sender(database: Database, row: sqlite3.Row) -> str | None:
    personal: bytes | None = row["personal"]
    key = None if personal is None else _key(database, row["actor"] or _NOBODY)
    if personal is None or key is None:
        return None
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415  # loaded with the first personal value

    try:
        return _cipher(key).decrypt(personal[:_NONCE], personal[_NONCE:], str(row["number"]).encode()).decode()
    except (InvalidTag, TypeError, ValueError):
        # Of before an erasure: who came back has another key. Or somebody has put what is no key in its place.
        return None


def _cipher(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  # the same

    return AESGCM(key)


def _key(database: Database, person: str) -> bytes | None:
    row = database.one("SELECT key FROM audit_keys WHERE person = ?", (person,))
    return None if row is None else row["key"]


def _expect(database: Database, identity: bytes, file: Path) -> None:
    """Make sure that a file that is opened again has the entry that its anchor names, before the anchor moves on."""
    anchor = beside(file)
    if anchor is None or (anchor.journal != identity and latest(database).number == 0):
        # A file that was made anew in the place of one that was removed.
        return
    row = database.one("SELECT hash FROM audit_entries WHERE number = ?", (anchor.number,))
    found = identity if anchor.number == 0 else None if row is None else row["hash"]
    if anchor.journal != identity or found != anchor.hash:
        name = path_beside(file, "anchor").name
        msg = (
            f"the audit journal of {file} does not hold entry {anchor.number} as {name} names it; "
            f"if the file was restored from a copy on purpose, remove {name}"
        )
        raise DatabaseRefused(msg)


@final
class _AnchorFile:
    """The latest anchor beside a file, always of the same length and so overwritten in one piece."""

    def __init__(self, file: Path) -> None:
        self._descriptor = os.open(path_beside(file, "anchor"), os.O_RDWR | os.O_CREAT, 0o600)
        self.close = weakref.finalize(self, os.close, self._descriptor)

    def write(self, anchor: Anchor) -> None:
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, f"{anchor}\n".encode())
