"""
The key of a world's file: kept in a file of its own, and put in place of another one.

A key file holds 64 hex digits and nobody but its owner may read it.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from cabinet_sdk._core.sqlite_files import KEY_LENGTH
from reference_server.database import DatabaseRefused, identify, own, path_beside, reason, refuse_strange

__all__ = ["KeyFileRefused", "make_key", "read_key", "rewrite"]

_DIGITS = re.compile(rb"\s*([0-9a-fA-F]{%d})\s*" % (2 * KEY_LENGTH))
_MOST = 1024
_FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class KeyFileRefused(ValueError):
    """The file is not there, holds no key, or lies open to others."""


def read_key(file: Path) -> bytes:
    """
    Return the key that a file holds.

    Raises:
        KeyFileRefused: It cannot be read, holds something else, or others may read it.
    """
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            content = opened.read(_MOST)
    except OSError as error:
        msg = f"the key file {file} cannot be read: {error.strerror}"
        raise KeyFileRefused(msg) from error
    # Windows has no such modes.
    if os.name == "posix" and mode & _FOR_OTHERS:
        msg = f"the key file {file} may be read by others than its owner; change that: chmod 600 {file}"
        raise KeyFileRefused(msg)
    found = _DIGITS.fullmatch(content)
    if found is None:
        msg = f"the key file {file} holds no key: expected {2 * KEY_LENGTH} hex digits, got {len(content)} bytes"
        raise KeyFileRefused(msg)
    return bytes.fromhex(found[1].decode())


def make_key(file: Path) -> None:
    """
    Make a key and keep it in a file, for its owner alone.

    Raises:
        KeyFileRefused: The file is there already, or cannot be made.
    """
    try:
        with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="ascii") as opened:
            opened.write(f"{secrets.token_hex(KEY_LENGTH)}\n")
            opened.flush()
            os.fsync(opened.fileno())
        _keep_names(file)
    except FileExistsError as error:
        msg = f"{file} is there already, and a key is never overwritten: what it has encrypted would be lost"
        raise KeyFileRefused(msg) from error
    except OSError as error:
        msg = f"the key file {file} cannot be written: {error.strerror}"
        raise KeyFileRefused(msg) from error


def rewrite(file: Path, key: bytes | None, new_key: bytes | None) -> None:
    """
    Encrypt a file, change its key, or take the encryption off; no key on one side means in clear.

    What is written is a new file, which takes the place of the old one at the end: whenever the process dies, one of
    the two is there whole.

    Raises:
        DatabaseRefused: It is no world, does not open with the key, another process has it, or there is no room.
    """
    if not file.exists():
        msg = f"{file} is not there"
        raise DatabaseRefused(msg)
    refuse_strange(file)
    real = file.resolve()
    beside = path_beside(file, "rewritten")
    with closing(own(file)):
        try:
            _export(real, key, beside, new_key)
            shutil.copymode(real, beside)
            beside.replace(real)
        except (sqlite3.DatabaseError, OSError) as error:
            msg = f"{file} stays as it was: {reason(error)}"
            raise DatabaseRefused(msg) from error
        finally:
            beside.unlink(missing_ok=True)
        _keep_names(real)


def _export(file: Path, key: bytes | None, beside: Path, new_key: bytes | None) -> None:
    from cabinet_sdk._core import sqlcipher  # noqa: PLC0415  # only who has a key needs what it loads

    beside.unlink(missing_ok=True)
    with closing(sqlcipher.connect(file, key, timeout=0)) as connection:
        identify(connection, file)
        # Nobody else reads or writes, and no log is left that would be taken for one of the new file's.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = DELETE")
        os.close(os.open(beside, os.O_CREAT | os.O_EXCL, 0o600))
        connection.execute(
            "ATTACH ? AS rewritten KEY ?", (str(beside), "" if new_key is None else f"x'{new_key.hex()}'")
        )
        # Until it is whole, nobody needs it.
        connection.execute("PRAGMA rewritten.journal_mode = OFF")
        connection.execute("SELECT sqlcipher_export('rewritten')").fetchone()
        for number in ("application_id", "user_version"):
            value: int = connection.execute(f"PRAGMA {number}").fetchone()[0]
            connection.execute(f"PRAGMA rewritten.{number} = {value}")
        connection.execute("DETACH rewritten")
    with beside.open("rb+") as written:
        os.fsync(written.fileno())


def _keep_names(file: Path) -> None:
    """Have the disk keep the names in a file's folder; Windows does so by itself."""
    if os.name == "posix":
        folder = os.open(file.resolve().parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
