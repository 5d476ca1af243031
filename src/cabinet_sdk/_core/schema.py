"""
Types to JSON Schema 2020-12, the dialect of OpenAPI 3.1.

Rule: a schema says what the server really does. Requests are closed: limits, known codes, no other field, and what is
optional is left out, never ``null``. Answers are open: newer servers add fields and codes, older ones lack fields that
have a default here, and None travels as ``null``.
"""

from __future__ import annotations

import datetime as dt
import enum
import re
import typing
from collections.abc import Callable
from typing import Any, NewType, TypeAlias, cast, final

import attrs

from cabinet_sdk._core.operation import documentation_of
from cabinet_sdk._core.request_hooks import ID_PATTERN, MAX_ITEMS, MAX_TEXT, optional_of
from cabinet_sdk.types import Code, File, Identifier, Money, Period

__all__ = ["FILE", "Documentation", "Schema", "Schemas", "Side", "example_of", "read_documentation"]

Schema: TypeAlias = dict[str, Any]  # Any: JSON
"""A JSON Schema, or any other JSON object of the document."""

FILE: Schema = {
    "type": "string",
    "format": "binary",
    "contentMediaType": "application/octet-stream",
    "examples": ["the bytes of the file"],
}

_TEXT_PATTERN = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$"
_CODE_PATTERN = r"^[a-z][a-z0-9_]*$"
_MONEY_PATTERN = r"^-?(0|[1-9][0-9]{0,15})\.[0-9]{2}$"
_PERIOD_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}/[0-9]{4}-[0-9]{2}-[0-9]{2}$"

# For text of no class of its own, by the end of the field's name.
_TEXT_EXAMPLES = {
    "code": "form",
    "field": "items[2].amount",
    "number": "12345",
    "rate": "6 %",
    "status": "01",
    "url": "https://cabinet.example/page",
}

_SECTION = re.compile(r"^(?:Args|Attributes|Raises|Returns):$")
_ENTRY = re.compile(r"^    (?P<name>\w+): (?P<text>.+)$")


@final
@enum.unique
class Side(enum.Enum):
    """Which way a value travels."""

    REQUEST = "request"
    ANSWER = "answer"


@final
@attrs.frozen
class Documentation:
    """
    What a docstring says.

    Attributes:
        summary: Its first sentence.
        description: What follows, up to the sections.
        fields: Text by name, of the section ``Args`` or ``Attributes``.
    """

    summary: str
    description: str
    fields: dict[str, str]


def read_documentation(described: type[object]) -> Documentation:
    """Read the docstring of a class in the form of this house."""
    lines = documentation_of(described).splitlines()
    starts = [number for number, line in enumerate(lines) if _SECTION.match(line)]
    summary, _, description = "\n".join(lines[: starts[0] if starts else None]).partition("\n")
    fields: dict[str, str] = {}
    name = ""
    for line in lines[starts[0] :] if starts else []:
        entry = _ENTRY.match(line)
        if _SECTION.match(line) and line not in {"Args:", "Attributes:"}:
            break
        if entry is not None:
            name = entry["name"]
            fields[name] = entry["text"]
        elif name and line.strip():
            fields[name] += f" {line.strip()}"
    return Documentation(summary, description.strip(), fields)


@final
class Schemas:
    """Makes schemas and collects those that have a name of their own, to be referred to."""

    def __init__(self) -> None:
        self._components: dict[str, Schema] = {}
        self._kinds: dict[str, object] = {}

    @property
    def components(self) -> dict[str, Schema]:
        """The schemas with a name, in the order of their names."""
        return dict(sorted(self._components.items()))

    def of(self, kind: Any, side: Side) -> Schema:  # Any: a type expression
        """
        Return the schema of a type.

        Raises:
            TypeError: The type does not travel.
        """
        inner = optional_of(kind)
        if inner is not None:
            schema = self.of(inner, side)
            return schema if side is Side.REQUEST else {"anyOf": [schema, {"type": "null"}]}
        if typing.get_origin(kind) in {tuple, list}:
            items: Schema = {"type": "array", "items": self.of(typing.get_args(kind)[0], side)}
            return items | ({"minItems": 1, "maxItems": MAX_ITEMS} if side is Side.REQUEST else {})
        if isinstance(kind, NewType):
            return self.named(kind.__name__, kind, lambda: _id(kind))
        if isinstance(kind, type):
            return self._of_class(cast("type[Any]", kind), side)  # Any: whatever class it is
        msg = f"{kind!r} has no schema"
        raise TypeError(msg)

    def fields_of(
        self,
        described: type[Any],  # Any: attrs reads the class
        side: Side,
        names: tuple[str, ...] | None = None,
    ) -> dict[str, Schema]:
        """Return the schema of each field of an attrs class, or of some of them, with its text."""
        kinds = typing.get_type_hints(described)
        texts = read_documentation(described).fields
        found: dict[str, Schema] = {}
        for name in attrs.fields_dict(described) if names is None else names:
            schema = self.of(kinds[name], side)
            if schema.get("type") == "string" and "examples" not in schema:
                schema["examples"] = [_TEXT_EXAMPLES.get(name.rpartition("_")[2], "Текст")]
            if name in texts:
                schema["description"] = texts[name]
            found[name] = schema
        return found

    def named(self, name: str, kind: object, make: Callable[[], Schema]) -> Schema:
        """Return the reference to a schema; it is made when it is first referred to."""
        if self._kinds.setdefault(name, kind) is not kind:
            msg = f"{name} would stand for both {kind!r} and {self._kinds[name]!r}"
            raise TypeError(msg)
        if name not in self._components:
            # It holds the place already, so that a class may hold itself.
            self._components[name] = {}
            self._components[name] = make()
        return {"$ref": f"#/components/schemas/{name}"}

    def object_of(
        self,
        described: type[Any],  # Any: attrs reads the class
        side: Side,
        names: tuple[str, ...] | None = None,
    ) -> Schema:
        """Return the schema of an attrs class, or of some of its fields."""
        properties = self.fields_of(described, side, names)
        fields = attrs.fields_dict(described)
        schema: Schema = {
            "type": "object",
            "description": read_documentation(described).summary,
            "properties": properties,
        }
        required = [name for name in properties if fields[name].default is attrs.NOTHING]
        if required:
            schema["required"] = required
        if side is Side.REQUEST:
            schema["additionalProperties"] = False
        return schema

    def _of_class(self, kind: type[Any], side: Side) -> Schema:  # Any: whatever class it is
        make = next((make for base, make in _SHARED if issubclass(kind, base)), None)
        if make is not None:
            return self.named(kind.__name__, kind, lambda: make(kind))
        if issubclass(kind, Code):
            name = f"Known{kind.__name__}" if side is Side.REQUEST else kind.__name__
            return self.named(name, kind, lambda: _code(kind, side))
        if kind is File:
            return dict(FILE)
        if attrs.has(kind):
            name = f"{kind.__name__}Request" if side is Side.REQUEST else kind.__name__
            return self.named(name, kind, lambda: self.object_of(kind, side))
        if kind not in _PLAIN:
            msg = f"{kind!r} has no schema"
            raise TypeError(msg)
        limits = {"maxLength": MAX_TEXT, "pattern": _TEXT_PATTERN} if kind is str and side is Side.REQUEST else {}
        return _PLAIN[kind] | limits


_PLAIN: dict[type[object], Schema] = {
    bool: {"type": "boolean"},
    int: {"type": "integer", "format": "int64", "examples": [1]},
    str: {"type": "string"},
    dt.date: {"type": "string", "format": "date", "examples": ["2026-03-28"]},
    dt.datetime: {"type": "string", "format": "date-time", "examples": ["2026-03-28T09:30:00Z"]},
}


def _id(kind: NewType) -> Schema:
    thing = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__).lower().removesuffix(" id")
    return {
        "type": "string",
        "description": f"Id of a {thing}; it says nothing by itself.",
        "pattern": ID_PATTERN,
        "minLength": 1,
        "maxLength": 64,
        "examples": [f"{thing.replace(' ', '-')}-1"],
    }


def _identifier(kind: type[Identifier]) -> Schema:
    summary = read_documentation(kind).summary
    return {
        "type": "string",
        "title": kind.label,
        "description": summary,
        # A format of this project's own: digits follow from others, which no pattern can say.
        "format": re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind.__name__).lower(),
        # It says the lengths too, exactly.
        "pattern": kind.pattern,
        "examples": [kind.example],
    }


def _code(kind: type[Code], side: Side) -> Schema:
    members = [str(member) for member in kind.members()]
    known = ", ".join(f"`{member}` ({member.label})" for member in kind.members())
    summary = read_documentation(kind).summary
    if side is Side.REQUEST:
        opening = summary.removesuffix("An open set.").strip()
        return {"type": "string", "description": f"{opening} {known}.", "enum": members}
    return {
        "type": "string",
        "description": f"{summary} Known are {known}; expect others.",
        "pattern": _CODE_PATTERN,
        "x-extensible-enum": members,
        "examples": members[:1],
    }


def _money(_: type[Money]) -> Schema:
    return {
        "type": "string",
        "description": "Roubles with two decimals, below ten quadrillion; a float does not hold them exactly.",
        "format": "money",
        "pattern": _MONEY_PATTERN,
        "examples": ["1234.50"],
    }


def _period(_: type[Period]) -> Schema:
    return {
        "type": "string",
        "description": "All days from the first to the last, both included: an interval of ISO 8601.",
        "format": "period",
        "pattern": _PERIOD_PATTERN,
        "examples": ["2026-01-01/2026-03-31"],
    }


# Any: each makes the schema of its own kind of class.
_SHARED: tuple[tuple[type[object], Callable[[Any], Schema]], ...] = (
    (Identifier, _identifier),
    (Money, _money),
    (Period, _period),
)


def example_of(schema: Schema, components: dict[str, Schema]) -> Any:  # Any: JSON
    """
    Make up a value that a schema describes.

    What may be ``null`` is, and of several amounts in an object the first is the sum and the others are zero.
    """
    match schema:
        case {"$ref": str(reference)}:
            return example_of(components[reference.rpartition("/")[2]], components)
        case {"examples": [first, *_]} | {"enum": [first, *_]}:
            return first
        case {"type": "object"}:
            return _example_object(schema, components)
        case {"type": "array"}:
            return [example_of(schema["items"], components)]
        case {"type": "boolean" | "string" as plain}:
            return {"boolean": False, "string": "Текст"}[plain]
        case {"anyOf": [_, {"type": "null"}]}:
            return None
        case _:
            msg = f"nothing says what an example of {schema} is"
            raise TypeError(msg)


def _example_object(schema: Schema, components: dict[str, Schema]) -> Schema:
    properties: dict[str, Schema] = schema["properties"]
    amounts = [name for name, inner in properties.items() if str(inner.get("$ref", "")).endswith("/Money")]
    return {
        name: "0.00" if name in amounts[1:] else example_of(inner, components) for name, inner in properties.items()
    }
