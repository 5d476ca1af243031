"""
The journal as a file: SQLite, on the standard library alone as long as no key is given.

Who works at an entry is a *worker*: a journal object of a living process. Each holds a lock of SQLite's on a file of
its own beside the journal, and the system lets go of it when the process ends, however it ends. So there are neither
terms to wait out after a crash nor heartbeats, and it is the same on every system. Which call of its own works at an
entry a journal knows by the object that the call brings, as long as that one lives.
"""

from __future__ import annotations

import datetime as dt
import glob
import os
import sqlite3
import sys
import threading
import time
import uuid
import weakref
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

from cabinet_sdk._core import sqlite_files
from cabinet_sdk._core.arguments import checking
from cabinet_sdk._core.journal import JournalEntry
from cabinet_sdk._core.sqlite_files import is_busy, patiently, transaction
from cabinet_sdk.errors import JournalFailed, StillRunning, UsageError

__all__ = ["SqliteJournal"]

# Tells our files from any other SQLite file ("CabJ").
_APPLICATION_ID = 0x4361624A
_VERSION = 1

_SCHEMA = """
CREATE TABLE entries (
    number INTEGER PRIMARY KEY,
    base_url TEXT NOT NULL,
    client_id TEXT NOT NULL,
    operation_id TEXT NOT NULL,
    operation TEXT NOT NULL,
    path TEXT NOT NULL,
    body BLOB NOT NULL,
    created_at TEXT NOT NULL,
    worker TEXT,
    UNIQUE (base_url, client_id, operation_id)
)
"""
# Seconds for which a call whose outcome is known waits for others; after that the next transaction erases its entry.
_PATIENCE = 1.0
# A lock cannot be waited for without end.
_LONGEST = 86400.0
_ENTRY = "base_url, client_id, operation_id, operation, path, body, created_at"
_WAIT = "Others write to it: call again, or allow calls to wait for longer, SqliteJournal(timeout=…)."
_THIS = "base_url = ? AND client_id = ? AND operation_id = ?"


@final
class SqliteJournal:
    """
    A journal in a file, for any number of clients, threads and processes of one machine.

    Only its owner may read the file, also one that was there with other rights. Entries are erased, overwritten, once
    they are settled; in SQLite's log beside the file they can be read until the journal is closed, or opened again
    after a crash. It must not lie on a network drive, where SQLite cannot lock.

    Args:
        path: The file; it is made where there is none. Files that begin with the same name appear beside it.
        timeout: Seconds to wait for another process that is writing; a call waits no longer than its deadline.
        key: 32 bytes under which the file is encrypted, the same each time; it needs ``cabinet-sdk[encryption]``. In
            clear where it is None.

    Raises:
        JournalFailed: It cannot be opened, is something else, has a second name (a hard link), does not open with this
            key, or is of a newer version of the SDK.
        UsageError: An argument of another kind, seconds below zero, or a name that no file can have; ``:memory:`` is
            none either.
        ValueError: The key is of a wrong length.
    """

    @checking("SqliteJournal()", bound=True)
    def __init__(self, path: str | os.PathLike[str], *, timeout: float = 5.0, key: bytes | None = None) -> None:
        if not timeout >= 0:
            raise UsageError(f"SqliteJournal(): timeout: expected seconds from 0 on, got {timeout}")
        file = sqlite_files.path_of("SqliteJournal(): path", path)
        # Resolved, so that the locks lie beside the file by whatever name it is known here.
        self._open = _Open(file.resolve(), min(timeout, _LONGEST), key)
        if any(other.conflicts_with(self._open) for other in list(_JOURNALS)):
            # Opened both ways, each would let go of the locks of the other, see `sqlite_files`.
            message = f"The journal {self._open.path.name} is open in this process already, {{}} a key."
            remedy = "Open it the same way, or close the other one first."
            raise JournalFailed(message.format("with" if key is None else "without"), remedy=remedy)
        # Of the thread that holds it: a signal's handler or the garbage collector may come back here.
        self._lock = threading.RLock()
        self._closed = False
        self._at_work: weakref.WeakValueDictionary[tuple[str, str, str], JournalEntry] = weakref.WeakValueDictionary()
        # What calls of this process have left, and how, until a transaction has written it.
        self._left: dict[tuple[str, str, str], str] = {}
        self._worked = False
        weakref.finalize(self, self._open.close)
        with self._connected():
            pass
        _JOURNALS.add(self)

    def begin(self, entry: JournalEntry, seconds: float | None = None) -> JournalEntry | None:
        """Keep an entry, within so many seconds; return the one that stands under its operation id already."""
        with self._transaction(seconds=seconds) as connection:
            worker = self._open.as_worker()
            row = connection.execute(f"SELECT {_ENTRY}, worker FROM entries WHERE {_THIS}", _key(entry)).fetchone()
            if row is None:
                self._take(entry)
                connection.execute(
                    f"INSERT INTO entries ({_ENTRY}, worker) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (*_key(entry), entry.operation, entry.path, entry.body, entry.created_at.isoformat(), worker),
                )
                return None
            *kept, at_it = row
            earlier = _entry(kept)
            if earlier == entry:
                if self._is_anothers(entry, at_it):
                    message = f"Another call under the idempotency key {entry.operation_id} is on its way."
                    raise StillRunning(message, operation=entry.operation)
                self._take(entry)
                connection.execute(f"UPDATE entries SET worker = ? WHERE {_THIS}", (worker, *_key(entry)))
            return earlier

    def settle(self, entry: JournalEntry) -> None:
        """Forget an entry, if this call is at it still: whoever has taken it over may be sending it."""
        self._leave(entry, f"DELETE FROM entries WHERE {_THIS} AND worker = ?")

    def release(self, entry: JournalEntry) -> None:
        """Keep an entry without a worker, if this call was it."""
        # Without a worker the files are closed, as at the end of the program: to others the entry has none already.
        if self._open.has_worker:
            self._leave(entry, f"UPDATE entries SET worker = NULL WHERE {_THIS} AND worker = ?")

    def open_entries(self) -> list[JournalEntry]:
        """Return all entries of all clients, the oldest first."""
        # Not to write: a full disk or a file that became read-only can still tell what is open.
        with self._connected() as (connection, ends_at):
            select = f"SELECT {_ENTRY} FROM entries ORDER BY number"
            return [_entry(row) for row in patiently(lambda: connection.execute(select).fetchall(), ends_at)]

    def claim(self, entry: JournalEntry) -> bool:
        """Become the worker of an entry that is still there, unchanged, and has none."""
        with self._transaction() as connection:
            mine = self._open.as_worker()
            row = connection.execute(f"SELECT {_ENTRY}, worker FROM entries WHERE {_THIS}", _key(entry)).fetchone()
            if row is None or _key(entry) in self._at_work:
                return False
            *kept, at_it = row
            if _entry(kept) != entry or self._is_anothers(entry, at_it):
                return False
            self._take(entry)
            connection.execute(f"UPDATE entries SET worker = ? WHERE {_THIS}", (mine, *_key(entry)))
            return True

    def _is_anothers(self, entry: JournalEntry, worker: str | None) -> bool:
        """Say whether another call is at an entry that has that worker; inside a transaction, as `_Open.lives`."""
        if worker is None or worker != self._open.as_worker():
            return worker is not None and self._open.lives(worker)
        return self._at_work.get(_key(entry), entry) is not entry

    def _take(self, entry: JournalEntry) -> None:
        self._at_work[_key(entry)] = entry
        # Or it would be left as an earlier call has, where the program is interrupted before it knows of the commit.
        self._left.pop(_key(entry), None)

    def _leave(self, entry: JournalEntry, how: str) -> None:
        """Be at an entry no more, if this call is at it; where the file fails, the next transaction writes it."""
        key = _key(entry)
        if self._at_work.get(key) is not entry:
            return
        # In this order: no other call takes what is at work, and none finds it idle and not left.
        self._left[key] = how
        del self._at_work[key]
        with self._transaction(seconds=_PATIENCE):
            pass

    def close(self) -> None:
        """Give back the file; its entries stay."""
        with self._lock:
            self._closed = True
            self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SqliteJournal {self._open.path.name}>"

    @contextmanager
    def _transaction(self, *, seconds: float | None = None) -> Generator[sqlite3.Connection]:
        with self._connected(seconds) as (connection, ends_at):
            with transaction(connection, ends_at):
                left = {key: how for key, how in self._left.copy().items() if key not in self._at_work}
                for key, how in left.items():
                    connection.execute(how, (*key, self._open.as_worker()))
                yield connection
            for key in left:
                self._left.pop(key, None)

    @contextmanager
    def _connected(self, seconds: float | None = None) -> Generator[tuple[sqlite3.Connection, float]]:
        """Have the connection for this call alone, and say until when it may wait for other processes."""
        limit = max(0.0, min(self._open.timeout, _LONGEST if seconds is None else seconds))
        ends_at = time.monotonic() + limit
        with self._held(limit):
            try:
                if self._closed:
                    raise JournalFailed("The journal is closed.", remedy="Close it after the last call.")
                connection = self._open.connection()
                if connection.in_transaction:
                    message = "The journal is at work in the code that this call has interrupted."
                    raise JournalFailed(message, remedy="Make no calls in the handler of a signal or a finalizer.")
                yield connection, ends_at
            except (sqlite3.Error, OSError) as error:
                message = f"The journal {self._open.path.name} failed: {error}."
                raise JournalFailed(message, remedy=_WAIT if is_busy(error) else None) from error

    def conflicts_with(self, other: _Open) -> bool:
        """Say whether this has the file open of which `other` has a key and this has none, or the other way round."""
        mine = self._open
        return not self._closed and mine.path == other.path and mine.encrypted != other.encrypted

    @contextmanager
    def _held(self, seconds: float) -> Generator[None]:
        lock = self._lock
        try:
            # In here, since an interrupt may come once it is taken; not taken, it cannot be released.
            if not lock.acquire(timeout=seconds):
                raise JournalFailed(f"The journal {self._open.path.name} is at work for other calls.", remedy=_WAIT)
            yield
        finally:
            with suppress(RuntimeError):
                lock.release()

    def before_fork(self) -> None:
        """
        Close the files: what SQLite knows of them must not be shared with another process.

        Until the fork is over, what this one is at looks left alone; whoever takes it over then does harmless work.
        """
        self._lock.acquire()
        self._worked = self._open.has_worker
        self._open.close()

    def after_fork(self, *, child: bool) -> None:
        """Open them again when they are needed; the child is a worker of its own."""
        if child:
            self._lock = threading.RLock()
            self._at_work = weakref.WeakValueDictionary()
            self._left = {}
            self._open = self._open.again()
            weakref.finalize(self, self._open.close)
            return
        try:
            if self._worked:
                # At once: what this process is at must not look left alone. And with the lock held: another thread that
                # forks would hold it while it waits for the locks of other journals, which this one still holds.
                with suppress(JournalFailed), self._transaction():
                    self._open.as_worker()
        finally:
            # An interrupt may have come before it was taken.
            with suppress(RuntimeError):
                self._lock.release()


@final
class _Open:
    """The files that a journal has open: its own, and the lock by which others see that the worker lives."""

    def __init__(self, path: Path, timeout: float, key: bytes | None) -> None:
        self.path = path
        self.timeout = timeout
        self._key = key
        self._process = os.getpid()
        self._worker = uuid.uuid4().hex
        self._connection: sqlite3.Connection | None = None
        self._alive: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    @property
    def encrypted(self) -> bool:
        """Whether there is a key."""
        return self._key is not None

    def again(self) -> _Open:
        """Return the same with nothing open, for a worker of its own."""
        return _Open(self.path, self.timeout, self._key)

    def connection(self) -> sqlite3.Connection:
        """Return the connection, made and checked when first needed, while it is that of the file of this name."""
        if self._connection is None:
            _refuse_strange(self.path)
            ends_at = time.monotonic() + self.timeout
            # SQLite would not say why it cannot.
            sqlite_files.make(self.path)
            connection = patiently(lambda: sqlite_files.connect(self.path, self._key, timeout=0), ends_at)
            # SQLite opens it only below: what is put into its place until then is noticed.
            self._file = _identity(self.path)
            try:
                _prepare(connection, self.path, ends_at)
                patiently(lambda: connection.execute("PRAGMA journal_mode = WAL"), ends_at)
                _keep_to_owner(self.path)
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA secure_delete = ON")
                # What a crash left in the log was settled perhaps. Another process that is at it is not waited for.
                with suppress(sqlite3.OperationalError):
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except BaseException as error:
                connection.close()
                if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
                    name = self.path.name
                    message = f"The journal {name} is not a database, or it is encrypted and needs its key."
                    raise JournalFailed(message, remedy="Give its key, or name another file.") from error
                raise
            self._connection = connection
        elif _identity(self.path) != self._file:
            # What is written to it from now on nobody would find again.
            message = f"The journal {self.path.name} was removed or replaced while it was open."
            raise JournalFailed(message, remedy="Open it anew.")
        return self._connection

    def as_worker(self) -> str:
        """Return the worker's id, its lock held; inside a transaction, so that nobody clears the lock's file away."""
        if self._alive is None:
            for stale in self.path.parent.glob(f"{glob.escape(self._lock_of('').name)}*"):
                if not _is_locked(stale):
                    with suppress(OSError):
                        stale.unlink()
            path = self._lock_of(self._worker)
            sqlite_files.make(path)
            self._alive = _locked(path)
        return self._worker

    def lives(self, worker: str) -> bool:
        """Say whether another worker lives; inside a transaction, so that nobody else is asking."""
        return _is_locked(self._lock_of(worker))

    def _lock_of(self, worker: str) -> Path:
        return self.path.with_name(f"{self.path.name}-worker-{worker}")

    @property
    def has_worker(self) -> bool:
        """Whether the worker's lock is held."""
        return self._alive is not None

    def close(self) -> None:
        """Close the files."""
        if self._process != os.getpid():
            # They are the parent's, which has closed them before the fork.
            return
        if self._alive is not None:
            self._alive.close()
            self._alive = None
            with suppress(OSError):
                self._lock_of(self._worker).unlink()
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _keep_to_owner(path: Path) -> None:
    """Take from a file that was there already, and from what lies beside it, the rights of all but its owner."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        file = path.with_name(name)
        with suppress(OSError):
            mode = file.stat().st_mode
            if mode & 0o077:
                file.chmod(mode & 0o700)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells the file of this name from all others; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _refuse_strange(path: Path) -> None:
    """Refuse a place where no journal can be: SQLite would not say what is wrong with it, or use it all the same."""
    if not path.parent.is_dir():
        message = f"The journal {path.name} has no place: there is no folder {path.parent}."
        raise JournalFailed(message, remedy="Make the folder, or name another.")
    if path.exists() and not path.is_file():
        raise JournalFailed(f"{path} is a folder or a device and no file.", remedy="Name a file.")
    if path.exists() and path.stat().st_nlink > 1:
        # SQLite's log and our locks lie beside a name, and by another one nobody would see them.
        message = f"{path.name} has another name (a hard link)."
        raise JournalFailed(message, remedy="Remove one or copy the file.")


def _prepare(connection: sqlite3.Connection, path: Path, ends_at: float) -> None:
    def read(what: str) -> int:
        value: int = patiently(lambda: connection.execute(what).fetchone()[0], ends_at)
        return value

    if not read("PRAGMA application_id"):
        # Only to make one: whoever opens a journal that is there need not wait for those who write.
        with transaction(connection, ends_at):
            if not read("PRAGMA application_id") and not read("SELECT count(*) FROM sqlite_schema"):
                connection.execute(_SCHEMA)
                connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {_VERSION}")
    if read("PRAGMA application_id") != _APPLICATION_ID:
        message = f"{path.name} is a database of another program and no journal."
        raise JournalFailed(message, remedy="Name another file.")
    version = read("PRAGMA user_version")
    if version != _VERSION:
        message = f"The journal {path.name} is of version {version} and this SDK reads version {_VERSION}."
        raise JournalFailed(message, remedy="Use the SDK that wrote it, or a newer one.")


def _locked(path: Path) -> sqlite3.Connection:
    """
    Return a connection that holds the lock of a file until it is closed or the process ends.

    Raises:
        sqlite3.OperationalError: Somebody else holds it.
    """
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        # Nothing is written to it, so there shall be no second file beside it either.
        connection.execute("PRAGMA journal_mode = MEMORY")
        connection.execute("BEGIN EXCLUSIVE")
    except BaseException:
        connection.close()
        raise
    return connection


def _is_locked(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        _locked(path).close()
    except sqlite3.OperationalError:
        return True
    return False


def _key(entry: JournalEntry) -> tuple[str, str, str]:
    return entry.base_url, entry.client_id, entry.operation_id


def _entry(row: Sequence[Any]) -> JournalEntry:  # Any: as the schema has it
    base_url, client_id, operation_id, operation, path, body, created_at = row
    try:
        began = dt.datetime.fromisoformat(created_at)
    except (ValueError, TypeError) as error:
        message = f"The journal's entry under the key {operation_id} is damaged: its moment is none."
        raise JournalFailed(message, remedy="Put a copy of the file in its place that is whole.") from error
    return JournalEntry(
        base_url=base_url,
        client_id=client_id,
        operation_id=operation_id,
        operation=operation,
        path=path,
        body=body,
        created_at=began,
    )


_JOURNALS: weakref.WeakSet[SqliteJournal] = weakref.WeakSet()


class _Forking(threading.local):
    """The journals that this thread has closed for its fork: others may have been made since."""

    def __init__(self) -> None:
        self.journals: list[SqliteJournal] = []


_forking = _Forking()


def _before_fork() -> None:
    for journal in list(_JOURNALS):
        # Noted first: an interrupt, which ends this and not the fork, leaves no lock taken.
        _forking.journals.append(journal)
        journal.before_fork()


def _after_fork(*, child: bool) -> None:
    journals, _forking.journals = _forking.journals, []
    for journal in list(_JOURNALS) if child else journals:
        journal.after_fork(child=child)


if sys.platform != "win32":
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=partial(_after_fork, child=False),
        after_in_child=partial(_after_fork, child=True),
    )
