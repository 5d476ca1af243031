"""Rows to handlers: which function answers which operation, and which row a request is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, final, overload
from urllib.parse import unquote

import attrs

from cabinet_sdk._core.operation import Call, Download, Job, Listing, Upload
from cabinet_sdk.contract import Contract, Row
from cabinet_sdk.errors import MethodNotAllowed, UnknownOperation
from reference_server.files import StoredFile
from reference_server.paging import Selection
from reference_server.session import Session

__all__ = ["Handler", "Match", "Router", "handles"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

Handler = Callable[[Session, Any], Any]  # Any: its own row's types, checked where it is declared

_HANDLERS: dict[str, Handler] = {}


@overload
def handles(
    row: Listing[P, R, T],
) -> Callable[[Callable[[Session, R], Selection[T]]], Callable[[Session, R], Selection[T]]]: ...
@overload
def handles(
    row: Download[P, R],
) -> Callable[[Callable[[Session, R], StoredFile]], Callable[[Session, R], StoredFile]]: ...
@overload
def handles(
    row: Call[P, R, T] | Job[P, R, T] | Upload[P, R, T],
) -> Callable[[Callable[[Session, R], T]], Callable[[Session, R], T]]: ...
def handles(row: Any) -> Any:  # Any: the overloads say what goes with what
    """
    Declare the function that answers a row; a wrong request or result type is a type error.

    A listing's handler returns what to select, a download's a `StoredFile`; an upload's finds the file in its request,
    as long as it runs. Paging, idempotency, rights and limits are done around it.
    """

    def declare(handler: Handler) -> Handler:
        if row.id in _HANDLERS:
            msg = f"{row!r} has a handler already: {_HANDLERS[row.id].__qualname__}"
            raise TypeError(msg)
        _HANDLERS[row.id] = handler
        return handler

    return declare


@final
@attrs.frozen
class Match:
    """
    What a request is for.

    Attributes:
        row: The operation.
        handler: What answers it.
        path: Its path parameters, percent-decoded.
    """

    row: Row
    handler: Handler
    path: Mapping[str, str]


@final
class Router:
    """
    Finds the row of a request; refuses to start with a row that nothing answers.

    Args:
        contract: The rows.
        further: Handlers by the ids of their rows, besides those that are declared: a test may have rows of its own.
    """

    def __init__(self, contract: Contract, further: Mapping[str, Handler] | None = None) -> None:
        self._handlers = _HANDLERS | dict(further or {})
        missing = [row.id for row in contract if row.id not in self._handlers]
        if missing:
            msg = f"no handler for {', '.join(missing)}"
            raise TypeError(msg)
        self._root = _Step()
        for row in contract:
            step = self._root
            for name in row.path.split("/")[1:]:
                step = step.next.setdefault("{}" if name.startswith("{") else name, _Step())
            step.rows[row.method] = row

    def match(self, method: str, path: str) -> Match:
        """
        Find the row of a request; `path` is below the base path, still percent-encoded.

        Raises:
            UnknownOperation: No row has this path.
            MethodNotAllowed: Rows have it, with other methods; `allow` names them.
        """
        parts = path.split("/")[1:]
        rows = _find(self._root, parts)
        if rows is None:
            raise UnknownOperation
        row = rows.get("GET" if method == "HEAD" else method)
        if row is None:
            allow = {*rows, "HEAD"} if "GET" in rows else {*rows}
            raise MethodNotAllowed(members={"allow": ", ".join(sorted(allow))})
        steps = row.path.split("/")[1:]
        values = {step[1:-1]: unquote(part) for step, part in zip(steps, parts, strict=True) if step.startswith("{")}
        return Match(row, self._handlers[row.id], values)


@final
class _Step:
    """Where a path may go on, a placeholder under ``{}``, and the rows that end here, by their methods."""

    __slots__ = ("next", "rows")

    def __init__(self) -> None:
        self.next: dict[str, _Step] = {}
        self.rows: dict[str, Row] = {}


def _find(step: _Step, parts: list[str]) -> dict[str, Row] | None:
    if not parts:
        return step.rows or None
    # A literal step wins over a placeholder, from left to right.
    for name in (parts[0], "{}"):
        if name in step.next and (rows := _find(step.next[name], parts[1:])) is not None:
            return rows
    return None
