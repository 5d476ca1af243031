"""What a method that is made of a row or a flow must say about itself."""

from __future__ import annotations

import inspect
import pydoc
import re
import typing
from collections.abc import Callable, Iterator
from typing import Any, cast

import attrs

from cabinet_sdk import AsyncFileStream, AsyncPages, FileStream, Pages
from cabinet_sdk._core.area import Area, Endpoint
from cabinet_sdk._core.operation import Download, Listing, documentation_of
from tests.house.rows import row_of

__all__ = ["help_of", "lies"]

# Any: signatures, annotations and results are of whatever types.


def help_of(thing: object) -> str:
    """
    Return what `help` shows, without the control characters for bold letters and laid out as by any Python.

    From 3.13 on a long signature stands on several lines, and empty lines have no indentation.
    """
    plain: Any = vars(pydoc)["plaintext"]
    text = re.sub(r"[ ]+$", "", pydoc.render_doc(thing, renderer=plain), flags=re.MULTILINE)
    return re.sub(r"\w\(\n(?:[ |]+.+\n)+?[ |]*\) ->", _on_one_line, text)


def _on_one_line(signature: re.Match[str]) -> str:
    first, *parameters, last = (line.strip(" |") for line in signature[0].splitlines())
    return f"{first}{' '.join(parameters)}{last}"


def lies(
    function: Callable[..., Any],
    endpoint: Endpoint[..., Any, Any],
    owner: type[Area[Any]],
    name: str,
    *,
    asynchronous: bool,
) -> list[str]:
    """
    Return what a method says that is not so.

    Args:
        function: The method, as its class gives it.
        endpoint: What it is made of.
        owner: The class that it is asked of.
        name: Under which.
        asynchronous: Whether the class is for `AsyncCabinet`.
    """
    awaited = asynchronous and not isinstance(row_of(endpoint), Listing)
    facts = {
        "is a function": (inspect.isfunction(function), True),
        "is an `async def`": (inspect.iscoroutinefunction(function), awaited),
        "has the name": (function.__name__, name),
        "has the qualified name": (function.__qualname__, f"{owner.__name__}.{name}"),
        "is of the module": (function.__module__, owner.__module__),
        "takes": (_parameters(inspect.signature(function)), ["self", *_expected_parameters(endpoint)]),
        "has the annotations": (typing.get_type_hints(function), _expected_hints(endpoint, asynchronous=asynchronous)),
        "has in its signature": (_signed_hints(function), _expected_hints(endpoint, asynchronous=asynchronous)),
    }
    found = [f"{name} {what} {said!r}, not {true!r}" for what, (said, true) in facts.items() if said != true]
    text = help_of(function).replace("\n    ", "\n")
    head = f"\n{'async ' if awaited else ''}{name}(self"
    wanted = [head, *_expected_lines(endpoint)]
    found += [f"help of {name} lacks {each!r}" for each in wanted if each not in text]
    if "context" in text:
        found.append(f"help of {name} speaks of the context, which is no parameter")
    return found


def _parameters(signature: inspect.Signature) -> list[str]:
    """Show parameters without their annotations, those by keyword after a star."""
    shown = [each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()]
    return [f"{each.kind.description} {each}" if each.name != "self" else "self" for each in shown]


def _source_signature(endpoint: Endpoint[..., Any, Any]) -> inspect.Signature:
    row = row_of(endpoint)
    if row is not None:
        return inspect.signature(row.request_class)
    signature = inspect.signature(cast("Callable[..., Any]", endpoint.source))
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def _expected_parameters(endpoint: Endpoint[..., Any, Any]) -> list[str]:
    return _parameters(_source_signature(endpoint))


def _expected_hints(endpoint: Endpoint[..., Any, Any], *, asynchronous: bool) -> dict[str, Any]:
    row = row_of(endpoint)
    result: Any
    if row is None:
        hints = typing.get_type_hints(endpoint.source)
        result = typing.get_args(hints.pop("return"))[2]
    else:
        hints = typing.get_type_hints(row.request_class)
        for field in attrs.fields(row.request_class):
            if field.converter is not None:
                # What callers may give is said by the first parameter.
                hints[field.name] = next(iter(typing.get_type_hints(field.converter).values()))
        result = row.response
        if isinstance(row, Download):
            result = AsyncFileStream if asynchronous else FileStream
        if isinstance(row, Listing):
            pages: Any = AsyncPages if asynchronous else Pages
            result = pages[typing.get_args(result)[0]]
    return {name: hints[name] for name in _source_signature(endpoint).parameters} | {"return": result}


def _signed_hints(function: Callable[..., Any]) -> dict[str, Any]:
    signature = inspect.signature(function)
    hints = {each.name: each.annotation for each in signature.parameters.values() if each.name != "self"}
    return {**hints, "return": signature.return_annotation}


def _expected_lines(endpoint: Endpoint[..., Any, Any]) -> Iterator[str]:
    row = row_of(endpoint)
    told = inspect.getdoc(endpoint.source) or "" if row is None else documentation_of(row.request_class)
    for line in told.splitlines():
        if not line.startswith("    context: "):
            yield line
    if row is not None:
        for error in row.errors:
            yield f"    {error.__name__}: {(inspect.getdoc(error) or '').partition(chr(10))[0]}"
