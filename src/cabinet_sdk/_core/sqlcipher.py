"""
The one module that knows SQLCipher, which encrypts each page of a file and its log, and sees what was changed there.

Its module for Python is the standard library's with another SQLite below, and with classes of its own. Here the
connection and its cursors raise the standard library's errors, so that nobody else has to know of two.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast, final

if TYPE_CHECKING:
    # It has no types; what it shares with this one is all that is used, but for the flags and the key.
    import sqlite3 as dbapi2
else:
    try:
        from sqlcipher3 import dbapi2
    except ModuleNotFoundError as error:
        msg = "a key needs what encrypts: pip install 'cabinet-sdk[encryption]'"
        raise sqlite3.NotSupportedError(msg) from error

__all__ = ["connect"]

P = ParamSpec("P")
T = TypeVar("T")


def _translating(method: Callable[P, T]) -> Callable[P, T]:
    @wraps(method)
    def translated(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except dbapi2.Error as error:
            raise _standard(error) from None

    return translated


def _standard(error: dbapi2.Error) -> sqlite3.Error:
    """Return the standard library's error that says the same."""
    kind: type[sqlite3.Error] = getattr(sqlite3, type(error).__name__)
    # Those that Python raises itself, of a connection that is closed for one, have no code.
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return kind(*error.args)
    if kind is sqlite3.DatabaseError:
        # What it makes of every extended code.
        kind = _BY_CODE.get(code & 0xFF, kind)
    same = kind(*error.args)
    same.sqlite_errorcode, same.sqlite_errorname = code, _EXTENDED_NAMES.get(code, error.sqlite_errorname)
    return same


# As open flag of SQLite: errors say what exactly failed, as they do in the standard library.
_EXTENDED_CODES = 0x02000000
_FLAGS = 0x2 | 0x4 | _EXTENDED_CODES  # to read and write, and made where there is none

# Names that it does not know.
_EXTENDED_NAMES = {
    value: name for name, value in vars(sqlite3).items() if name.startswith("SQLITE_") and cast("int", value) > 0xFF
}

_BY_CODE: dict[int, type[sqlite3.DatabaseError]] = {
    sqlite3.SQLITE_CONSTRAINT: sqlite3.IntegrityError,
    **dict.fromkeys(
        (
            sqlite3.SQLITE_ERROR,
            sqlite3.SQLITE_ABORT,
            sqlite3.SQLITE_BUSY,
            sqlite3.SQLITE_LOCKED,
            sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_IOERR,
            sqlite3.SQLITE_CANTOPEN,
        ),
        sqlite3.OperationalError,
    ),
}


@final
class _Cursor(dbapi2.Cursor):
    execute = _translating(dbapi2.Cursor.execute)
    fetchone = _translating(dbapi2.Cursor.fetchone)
    fetchall = _translating(dbapi2.Cursor.fetchall)

    @_translating
    def __next__(self) -> Any:  # Any: as the types of the standard library have it
        return super().__next__()


@final
class _Connection(dbapi2.Connection):
    def cursor(self, factory: Any = _Cursor) -> Any:  # Any: as there
        # `Connection.execute` asks for its cursor here.
        return super().cursor(factory)


def connect(
    target: str | Path, key: bytes | None, *, timeout: float, cached_statements: int = 128, uri: bool = False
) -> sqlite3.Connection:
    """
    Open a file under its key, or one in clear where there is none.

    Raises:
        sqlite3.DatabaseError: It cannot be opened, or not with this key.
    """
    try:
        connection: sqlite3.Connection = cast("Any", dbapi2).connect(  # Any: the standard library knows no flags
            target,
            timeout=timeout,
            isolation_level=None,
            check_same_thread=False,
            factory=_Connection,
            cached_statements=cached_statements,
            uri=uri,
            flags=_FLAGS,
        )
    except dbapi2.Error as error:
        raise _standard(error) from None
    connection.row_factory = dbapi2.Row
    try:
        # It would write to stderr; what goes wrong is raised.
        connection.execute("PRAGMA cipher_log_level = NONE")
        if key is not None:
            # By a call and not by a statement: traces and caches have statements. A key written so is taken as it is.
            cast("Any", connection).set_key(f"x'{key.hex()}'")  # Any: the same
            _try(connection, target, timeout=timeout, uri=uri)
    except BaseException:
        connection.close()
        raise
    return connection


def _try(connection: sqlite3.Connection, target: str | Path, *, timeout: float, uri: bool) -> None:
    """Read, and so find out whether the key is that of the file."""
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_NOTADB:
            raise
        msg = "the key is not the one under which it was encrypted, or it is damaged or no database; name its own key"
        plain = connect(target, None, timeout=timeout, uri=uri)
        try:
            plain.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            msg = "it is not encrypted; open it without a key, or encrypt it first"
        except sqlite3.DatabaseError:
            pass
        finally:
            plain.close()
        told = sqlite3.DatabaseError(msg)
        told.sqlite_errorcode, told.sqlite_errorname = error.sqlite_errorcode, error.sqlite_errorname
        raise told from None
