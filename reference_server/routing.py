"""Rows to handlers: which function answers which operation, and which row a request is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, final, overload
from urllib.parse import unquote

import attrs

from cabinet_sdk._core.operation import Call, Download, Job, Listing, Repeat, Upload
from cabinet_sdk.contract import Contract, Row
from cabinet_sdk.errors import MethodNotAllowed, UnknownOperation
from reference_server.files import StoredFile
from reference_server.limits import MAX_BODY
from reference_server.paging import Selection
from reference_server.session import Session

__all__ = ["Admitted", "Handler", "Route", "Router", "handles"]

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
class Admitted:
    """
    What may follow a good head.

    Attributes:
        max_body: How many bytes the body may have.
    """

    max_body: int


@final
class Route:
    """
    A row with its handler, and what of it is asked with every request.

    Args:
        row: The operation.
        handler: What answers it.
    """

    def __init__(self, row: Row, handler: Handler) -> None:
        self.row = row
        self.handler = handler
        self.permission = row.permission.code
        self.takes_body = row.method not in {"GET", "DELETE"}
        self.listing = isinstance(row, Listing)
        self.download = isinstance(row, Download)
        self.changes = row.repeat is not Repeat.SAFE
        # A form may have as much text around its file as any other body.
        max_body = row.max_bytes + MAX_BODY if isinstance(row, Upload) else MAX_BODY
        self.admitted = Admitted(max_body)
        steps = row.path.split("/")[1:]
        self._fields = [(step[1:-1], place) for place, step in enumerate(steps) if step.startswith("{")]

    def values(self, parts: list[str]) -> dict[str, str]:
        """Return the path parameters, percent-decoded."""
        return {name: unquote(parts[place]) if "%" in parts[place] else parts[place] for name, place in self._fields}


@final
class Router:
    """
    Finds the row of a request; refuses to start with a row that nothing answers.

    Args:
        contract: The rows.
        further: Handlers by the ids of their rows, besides those that are declared: a test may have rows of its own.
    """

    def __init__(self, contract: Contract, further: Mapping[str, Handler] | None = None) -> None:
        handlers = _HANDLERS | dict(further or {})
        missing = [row.id for row in contract if row.id not in handlers]
        if missing:
            msg = f"no handler for {', '.join(missing)}"
            raise TypeError(msg)
        self.permissions = frozenset(row.permission.code for row in contract)
        self._root = _Step()
        for row in contract:
            step = self._root
            for name in row.path.split("/")[1:]:
                step = step.next.setdefault("{}" if name.startswith("{") else name, _Step())
            route = step.routes[row.method] = Route(row, handlers[row.id])
            if row.method == "GET":
                step.routes["HEAD"] = route

    def match(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """
        Find what a request is for, with its path parameters; `path` is below the base path, still percent-encoded.

        Raises:
            UnknownOperation: No row has this path.
            MethodNotAllowed: Rows have it, with other methods; `allow` names them.
        """
        parts = path.split("/")[1:]
        routes = _find(self._root, parts, 0)
        if not routes:
            raise UnknownOperation
        route = routes.get(method)
        if route is None:
            raise MethodNotAllowed(members={"allow": ", ".join(sorted(routes))})
        return route, route.values(parts)


@final
class _Step:
    """Where a path may go on, a placeholder under ``{}``, and the routes that end here, by their methods."""

    __slots__ = ("next", "routes")

    def __init__(self) -> None:
        self.next: dict[str, _Step] = {}
        self.routes: dict[str, Route] = {}


def _find(step: _Step, parts: list[str], start: int) -> dict[str, Route]:
    for place in range(start, len(parts)):
        literal, other = step.next.get(parts[place]), step.next.get("{}")
        if literal is not None and other is not None:
            # A literal step wins over a placeholder, from left to right.
            return _find(literal, parts, place + 1) or _find(other, parts, place + 1)
        found = literal or other
        if found is None:
            return {}
        step = found
    return step.routes
