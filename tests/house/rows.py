"""What must hold of every row of the contract, and of what is made from it elsewhere."""

from __future__ import annotations

import ast
import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import attrs

from cabinet_sdk._core.area import Area, Endpoint
from cabinet_sdk._core.operation import Operation, documentation_of
from cabinet_sdk.contract import Row
from cabinet_sdk.errors import Problem

__all__ = [
    "endpoints",
    "handler_breaches",
    "method_breaches",
    "openapi_breaches",
    "row_breaches",
    "row_of",
    "undocumented_problems",
]

_ID = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_.]*")
_ARGUMENT = re.compile(r"^ {4}(\w+): (\S.*)$", re.MULTILINE)
_PLACEHOLDER = re.compile(r"{\w+}")


def row_breaches(rows: Iterable[Row]) -> list[str]:
    """Return what is wrong with the rows themselves."""
    rows = list(rows)
    ids = Counter(row.id for row in rows)
    breaches = [f"{row_id}: several rows have this id" for row_id, times in ids.items() if times > 1]
    addresses = Counter((row.method, _PLACEHOLDER.sub("{}", row.path)) for row in rows)
    breaches += [f"{method} {path}: several rows have this address" for (method, path), n in addresses.items() if n > 1]
    for row in rows:
        breaches += [f"{row.id}: {breach}" for breach in _row_breaches(row)]
    return breaches


def _row_breaches(row: Row) -> Iterable[str]:
    kind: Any = row.request_class  # Any: attrs reads its fields while the program runs
    if not _ID.fullmatch(row.id):
        yield "an id is the area, a dot and a name, in lower case"
    home = f"cabinet_sdk.{row.area}.operations"
    if kind.__module__ != home:
        yield f"its request class stands in {kind.__module__}, not in {home}"
    if not attrs.has(kind):
        yield f"{kind.__name__} is no attrs class"
        return
    fields = [field.name for field in attrs.fields(cast("Any", kind))]
    for name in row.path_fields:
        if name not in fields:
            yield f"the path needs {name}, which {kind.__name__} does not have"
    text = documentation_of(kind)
    if not text.partition("\n")[0].endswith("."):
        yield f"the docstring of {kind.__name__} does not begin with a sentence"
    arguments = [name for name, _ in _ARGUMENT.findall(text.partition("\nArgs:\n")[2])]
    # In the order of the call: what is given by position stands before what a base gives by keyword.
    called = [field.alias for field in sorted(attrs.fields(cast("Any", kind)), key=lambda field: field.kw_only)]
    if arguments != called:
        yield f"{kind.__name__} explains the arguments {arguments} and has the fields {called}"
    if len(set(row.errors)) != len(row.errors):
        yield "an error is named twice"
    if not row.permission.label:
        yield "its permission has no label"


def endpoints(methods: type[Area[Any]]) -> dict[str, Endpoint[..., Any, Any]]:
    """Return the endpoints of an area's class by name, those of its bases too."""
    found: dict[str, Endpoint[..., Any, Any]] = {}
    for cls in reversed(methods.__mro__):
        for name, value in vars(cls).items():
            if isinstance(value, Endpoint):
                found[name] = cast("Endpoint[..., Any, Any]", value)
    return found


def row_of(endpoint: Endpoint[..., Any, Any]) -> Row | None:
    """Return the row that an endpoint is made of, None for a flow."""
    source = cast("object", endpoint.source)
    return cast("Row", source) if isinstance(source, Operation) else None


def method_breaches(rows: Iterable[Row], methods: type[Area[Any]], source: str) -> list[str]:
    """
    Return what is wrong with an area's methods.

    Each row is one endpoint, named as in its id; under each endpoint stands the first sentence of the request class or
    of the flow, which no program reads but the reader and the editor do.

    Args:
        rows: The area's.
        methods: One of the area's two classes.
        source: Of the module `client`.
    """
    found = endpoints(methods)
    made_of = {name: row_of(endpoint) for name, endpoint in found.items()}
    uses = Counter(row.id for row in made_of.values() if row is not None)
    breaches = [f"{row.id} is {uses[row.id]} endpoints, not one" for row in rows if uses[row.id] != 1]
    known = {row.id for row in rows}
    shown = _attribute_docstrings(source)
    for name, row in made_of.items():
        first = (inspect.getdoc(found[name].source) or "").partition("\n")[0] if row is None else row.summary
        if row is not None and row.id not in known:
            breaches.append(f"{name} is made of {row.id}, which is none of the area's rows")
        elif row is not None and row.id.partition(".")[2] != name:
            breaches.append(f"{name} is made of {row.id}: the two names differ")
        if shown.get(name) != first:
            breaches.append(f"{name} says {shown.get(name)!r}, what it is made of says {first!r}")
    return breaches


def _attribute_docstrings(source: str) -> dict[str, str]:
    """Return the texts that stand under assignments in classes."""
    found: dict[str, str] = {}
    for cls in ast.walk(ast.parse(source)):
        if not isinstance(cls, ast.ClassDef):
            continue
        for above, below in zip(cls.body, cls.body[1:], strict=False):
            match above, below:
                case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = inspect.cleandoc(text)
                case _:
                    pass
    return found


def handler_breaches(rows: Iterable[Row], handlers: Mapping[str, Callable[..., Any]]) -> list[str]:
    """Return the rows that nothing answers, the handlers of no row, and those that stand in another room."""
    rows = list(rows)
    strange = {*handlers} - {row.id for row in rows}
    breaches = [f"{row.id} has no handler" for row in rows if row.id not in handlers]
    breaches += [f"{handlers[row_id].__name__} answers {row_id}, which is no row" for row_id in sorted(strange)]
    shared = Counter(handlers.values())
    for row in rows:
        handler = handlers.get(row.id)
        home = f"reference_server.{row.area}.handlers"
        if handler is not None and handler.__module__ != home:
            breaches.append(f"{row.id} is answered in {handler.__module__}, not in {home}")
        if handler is not None and shared[handler] > 1:
            breaches.append(f"{row.id} shares its handler {handler.__name__} with another row")
    return breaches


def openapi_breaches(rows: Iterable[Row], document: Mapping[str, Any]) -> list[str]:
    """Return the rows that an OpenAPI document lacks or shows elsewhere, and the operations that are no rows."""
    shown: dict[str, tuple[str, str]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if isinstance(operation, dict) and "operationId" in operation:
                shown[operation["operationId"]] = (method.upper(), path)
    wanted = {row.id: (row.method, row.path) for row in rows}
    breaches = [f"{row_id} is missing" for row_id in wanted.keys() - shown.keys()]
    for row_id, address in shown.items():
        if row_id in wanted and wanted[row_id] != address:
            breaches.append(f"{row_id} is {address}, not {wanted[row_id]}")
        # Signing in is no row: it is OAuth 2.0's own.
        elif row_id not in wanted and not row_id.startswith("sign_in."):
            breaches.append(f"{row_id} is no row")
    return breaches


def undocumented_problems(problems: Iterable[type[Problem]], page: str) -> list[str]:
    """Return the codes that a page does not show as code."""
    return [problem.code for problem in problems if f"`{problem.code}`" not in page]
