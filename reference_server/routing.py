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
        self._rows: dict[tuple[str, ...], dict[str, Row]] = {}
        for row in contract:
            self._rows.setdefault(_shape(row.path), {})[row.method] = row

    def match(self, method: str, path: str) -> Match:
        """
        Find the row of a request; `path` is below the base path, still percent-encoded.

        Raises:
            UnknownOperation: No row has this path.
            MethodNotAllowed: Rows have it, with other methods; `allow` names them.
        """
        parts = path.split("/")[1:]
        shape, rows = self._find(parts)
        row = rows.get("GET" if method == "HEAD" else method)
        if row is None:
            allow = {*rows, "HEAD"} if "GET" in rows else {*rows}
            raise MethodNotAllowed(members={"allow": ", ".join(sorted(allow))})
        values = [unquote(part) for part, step in zip(parts, shape, strict=True) if step == "{}"]
        return Match(row, self._handlers[row.id], dict(zip(row.path_fields, values, strict=True)))

    def _find(self, parts: list[str]) -> tuple[tuple[str, ...], dict[str, Row]]:
        # A literal step wins over a placeholder, from left to right; there are few shapes of one length.
        found = [
            (shape, rows)
            for shape, rows in self._rows.items()
            if len(shape) == len(parts) and all(step in {"{}", part} for step, part in zip(shape, parts, strict=True))
        ]
        if not found:
            raise UnknownOperation
        return min(found, key=lambda each: [step == "{}" for step in each[0]])


def _shape(path: str) -> tuple[str, ...]:
    return tuple("{}" if part.startswith("{") else part for part in path.split("/")[1:])
