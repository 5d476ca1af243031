"""Pages of a list: a handler says what to select, and keyset cursors walk through it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, cast, final

import attrs

from cabinet_sdk.errors import FieldError, InvalidRequest
from reference_server.database import Database, Value

__all__ = ["DEFAULT_LIMIT", "MAX_LIMIT", "Selection", "Window", "page"]

T = TypeVar("T")

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000


@final
@attrs.frozen(kw_only=True)
class Selection(Generic[T]):
    """
    What a listing shows.

    Attributes:
        columns: Of the rows that `read` gets.
        source: The table.
        conditions: All of them hold; each with its parameters in order.
        keys: Columns that never change and together tell rows apart; the list is sorted by them.
        descending: Whether from the greatest to the least.
        read: Makes the items of a page from its rows, in their order.
    """

    columns: str
    source: str
    conditions: Sequence[tuple[str, Sequence[Value]]]
    keys: tuple[str, ...]
    descending: bool
    read: Callable[[list[sqlite3.Row]], list[T]]


@final
@attrs.frozen
class Window:
    """
    Which part of a list is asked for.

    Attributes:
        limit: At most so many items.
        cursor: Where to start; None is the beginning.
    """

    limit: int
    cursor: str | None


def page(
    database: Database,
    selection: Selection[T],
    window: Window,
    secret: bytes,
    scope: bytes,
) -> tuple[list[T], str | None]:
    """
    Return the items and the cursor of the next page.

    A cursor is sealed with the world's secret and holds for one `scope` (profile, operation and filters) only.

    Raises:
        InvalidRequest: The cursor is none of ours, or of another list.
    """
    conditions = list(selection.conditions)
    if window.cursor is not None:
        values = _open(window.cursor, secret, scope)
        marks = ", ".join("?" * len(selection.keys))
        sign = "<" if selection.descending else ">"
        conditions.append((f"({', '.join(selection.keys)}) {sign} ({marks})", values))
    where = " AND ".join(sql for sql, _ in conditions) or "1"
    direction = "DESC" if selection.descending else "ASC"
    order = ", ".join(f"{key} {direction}" for key in selection.keys)
    keys = ", ".join(f"{key} AS key_{number}" for number, key in enumerate(selection.keys))
    rows = database.all(
        # Everything but the parameters is written in this repository.
        f"SELECT {selection.columns}, {keys} FROM {selection.source} WHERE {where} ORDER BY {order} LIMIT ?",
        [*(value for _, parameters in conditions for value in parameters), window.limit + 1],
    )
    more = len(rows) > window.limit
    rows = rows[: window.limit]
    token = None
    if more:
        token = _seal([rows[-1][f"key_{number}"] for number in range(len(selection.keys))], secret, scope)
    return selection.read(rows), token


def _seal(values: list[Any], secret: bytes, scope: bytes) -> str:  # Any: column values
    payload = json.dumps(values, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_mac(payload, secret, scope) + payload).decode().rstrip("=")


def _open(cursor: str, secret: bytes, scope: bytes) -> list[Value]:
    try:
        sealed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except ValueError:
        sealed = b""
    mac, payload = sealed[:16], sealed[16:]
    if not hmac.compare_digest(mac, _mac(payload, secret, scope)):
        message = "expected a cursor from a Link header of this very list, got another text"
        raise InvalidRequest(errors=(FieldError("cursor", "cursor", message),))
    return cast("list[Value]", json.loads(payload))


def _mac(payload: bytes, secret: bytes, scope: bytes) -> bytes:
    return hmac.digest(secret, hashlib.sha256(scope).digest() + payload, "sha256")[:16]
