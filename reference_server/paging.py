"""Pages of a list: a handler says what to select, and keyset cursors walk through it."""

from __future__ import annotations

import base64
import hashlib
import heapq
import hmac
import json
import marshal
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar, cast, final

import attrs

from cabinet_sdk.errors import FieldError, InvalidRequest
from reference_server.database import Database, Value
from reference_server.files import Spool

__all__ = ["DEFAULT_LIMIT", "MAX_LIMIT", "Selection", "Snapshot", "Window", "count", "page", "window_of"]

T = TypeVar("T")

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
_LIMIT = re.compile(r"[0-9]{1,9}", re.ASCII)
_AT_ONCE = 200


@final
@attrs.frozen(kw_only=True)
class Selection(Generic[T]):
    """
    What a listing shows.

    Attributes:
        columns: Of the rows that `read` gets.
        source: The table.
        conditions: All of them hold; each with its parameters in order.
        sides: Of these conditions exactly one holds for each row. They are read side by side, each in the order of its
            own index, and merged, so that nothing is sorted.
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
    sides: Sequence[tuple[str, Sequence[Value]]] = (("1", ()),)


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


def window_of(query: Sequence[tuple[str, str]]) -> tuple[list[tuple[str, str]], Window]:
    """
    Take the parameters of paging from those of the operation.

    Raises:
        InvalidRequest: One came twice, or the limit is none.
    """
    given: dict[str, str] = {}
    rest: list[tuple[str, str]] = []
    refused: list[FieldError] = []
    for name, value in query:
        if name not in {"limit", "cursor"}:
            rest.append((name, value))
        elif name in given:
            refused.append(FieldError(name, "repeated", "expected the parameter once, got it again"))
        else:
            given[name] = value
    limit = given.get("limit", str(DEFAULT_LIMIT))
    if not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= MAX_LIMIT:
        refused.append(FieldError("limit", "range", f"expected 1 to {MAX_LIMIT}"))
    if refused:
        raise InvalidRequest(errors=tuple(refused))
    return rest, Window(int(limit), given.get("cursor"))


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
    after = None if window.cursor is None else _open(window.cursor, secret, scope)
    rows, last = _select(database, selection, window.limit, after)
    return selection.read(rows), None if last is None else _seal(last, secret, scope)


@final
class Snapshot(Generic[T]):
    """
    All items as they are now, read later, without the world's lock; a few are in memory, the rest wait on the disk.

    Args:
        database: Read now, and not when the items are.
        selection: Its `read` must not need the database.
    """

    def __init__(self, database: Database, selection: Selection[T]) -> None:
        self._read = selection.read
        self._spool = Spool()
        self._lengths: list[int] = []
        after: list[Value] | None = None
        while True:
            rows, after = _select(database, selection, _AT_ONCE, after)
            part = marshal.dumps((rows[0].keys() if rows else [], [tuple(row) for row in rows]))
            self._lengths.append(self._spool.file.write(part))
            if after is None:
                return

    def __iter__(self) -> Iterator[T]:
        self._spool.file.seek(0)
        for length in self._lengths:
            part: tuple[list[str], list[tuple[Value, ...]]]
            part = marshal.loads(self._spool.file.read(length))  # noqa: S302  # written above
            names, tuples = part
            rows = cast("list[sqlite3.Row]", [_Kept(zip(names, values, strict=True)) for values in tuples])
            yield from self._read(rows)


class _Kept(dict[str, Value]):
    """A row from the disk: as one of SQLite's, it gives its values by name or one after the other."""

    def __iter__(self) -> Iterator[Any]:  # Any: of a dictionary these would be the names
        return iter(self.values())


def count(database: Database, selection: Selection[T], at_most: int) -> int:
    """Return how many items there are; counting ends at `at_most`."""
    found = 0
    for side in selection.sides:
        where, parameters = _where([*selection.conditions, side])
        row = database.one(
            f"SELECT count(*) AS number FROM (SELECT 1 FROM {selection.source} WHERE {where} LIMIT ?)",
            [*parameters, at_most - found],
        )
        found += 0 if row is None else row["number"]
    return found


def _select(
    database: Database, selection: Selection[Any], limit: int, after: list[Value] | None
) -> tuple[list[sqlite3.Row], list[Value] | None]:  # Any: of whatever items
    """Return the rows after the one with these keys, and the keys of the last of them if more would follow."""
    conditions = list(selection.conditions)
    if after is not None:
        marks = ", ".join("?" * len(selection.keys))
        sign = "<" if selection.descending else ">"
        conditions.append((f"({', '.join(selection.keys)}) {sign} ({marks})", after))
    direction = "DESC" if selection.descending else "ASC"
    order = ", ".join(f"{key} {direction}" for key in selection.keys)
    keys = ", ".join(f"{key} AS key_{number}" for number, key in enumerate(selection.keys))

    def read(side: tuple[str, Sequence[Value]]) -> Iterator[sqlite3.Row]:
        where, parameters = _where([*conditions, side])
        return database.each(
            # Everything but the parameters is written in this repository.
            f"SELECT {selection.columns}, {keys} FROM {selection.source} WHERE {where} ORDER BY {order} LIMIT ?",
            [*parameters, limit + 1],
        )

    def keys_of(row: sqlite3.Row) -> list[Value]:
        return [row[f"key_{number}"] for number in range(len(selection.keys))]

    sides = [read(side) for side in selection.sides]
    merged = sides[0] if len(sides) == 1 else heapq.merge(*sides, key=keys_of, reverse=selection.descending)
    rows = list(islice(merged, limit + 1))
    last = None
    if len(rows) > limit:
        rows = rows[:limit]
        last = keys_of(rows[-1])
    return rows, last


def _where(conditions: Sequence[tuple[str, Sequence[Value]]]) -> tuple[str, list[Value]]:
    where = " AND ".join(sql for sql, _ in conditions) or "1"
    return where, [value for _, parameters in conditions for value in parameters]


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
        message = "expected the cursor of a page of this very list, got another text"
        raise InvalidRequest(errors=(FieldError("cursor", "cursor", message),))
    return cast("list[Value]", json.loads(payload))


def _mac(payload: bytes, secret: bytes, scope: bytes) -> bytes:
    return hmac.digest(secret, hashlib.sha256(scope).digest() + payload, "sha256")[:16]
