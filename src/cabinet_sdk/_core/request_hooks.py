"""
What a request class may hold, and what the server demands of it: strict hooks for cattrs.

- `str`: up to 1000 characters, no control characters; ``NewType`` over `str` is an id: 1 to 64 of ``[A-Za-z0-9_-]``;
- `int`, `bool`, `date`; `Money`, `Period`, identifiers and codes, each checked by its own class;
- ``tuple[X, ...]``: 1 to 100 items; another attrs class; ``X | None``, where None is *absent* and never ``null``;
- one `File` in an upload, which travels as a form: its other fields are text parts, an attrs class among them is JSON.

A value out of its default is left off the wire. A field that the class does not have is refused.
"""

from __future__ import annotations

import datetime as dt
import re
import types
import typing
from collections.abc import Callable
from typing import Any, NewType, TypeAlias, cast

import attrs
from cattrs import Converter
from cattrs.errors import IterableValidationError, IterableValidationNote
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn

from cabinet_sdk.types import Code, File, Identifier, Money, Period

__all__ = ["CONVERTER", "ID_PATTERN", "MAX_ITEMS", "MAX_TEXT", "RefusedError", "json_name", "optional_of"]

ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
MAX_TEXT = 1000
MAX_ITEMS = 100

_ID = re.compile(ID_PATTERN, re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
# Control characters (ASVS 16.4.1 and 1.2: none may reach a log, a file name or a page) and lone surrogates.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

# Any: a type expression or a JSON value can be anything; every hook checks what it gets.
_Hook: TypeAlias = Callable[[Any, Any], Any]


class RefusedError(ValueError):
    """A value that its field may not have: the rule it breaks, what was expected and what came."""

    def __init__(self, code: str, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.code = code


def optional_of(kind: Any) -> Any | None:  # Any: a type expression
    """Return X for ``X | None``, None for anything else."""
    if typing.get_origin(kind) not in {types.UnionType, typing.Union}:
        return None
    inner = [argument for argument in typing.get_args(kind) if argument is not type(None)]
    return inner[0] if len(inner) == 1 else None


def json_name(value: object) -> str:
    """Return what JSON calls a value of this kind, and nothing of the value."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list() | tuple():
            return "an array"
        case _:
            return "an object"


def _text(value: object, expected: str = "a string") -> str:
    if not isinstance(value, str):
        raise RefusedError("type", expected, json_name(value))
    return value


def _structure_str(value: Any, _: Any) -> str:
    text = _text(value)
    if len(text) > MAX_TEXT:
        raise RefusedError("too_long", f"at most {MAX_TEXT} characters", f"{len(text)}")
    if _UNPRINTABLE.search(text):
        raise RefusedError("characters", "text without control characters", "one with")
    return text


def _structure_id(value: Any, _: Any) -> str:
    text = _text(value)
    if not _ID.fullmatch(text):
        raise RefusedError("form", "an id of 1 to 64 letters, digits, - and _", f"{len(text)} other characters")
    return text


def _structure_int(value: Any, _: Any) -> int:
    if type(value) is not int:
        raise RefusedError("type", "an integer", json_name(value))
    return value


def _structure_bool(value: Any, _: Any) -> bool:
    if type(value) is not bool:
        raise RefusedError("type", "true or false", json_name(value))
    return value


def _structure_date(value: Any, _: Any) -> dt.date:
    text = _text(value)
    if _DATE.fullmatch(text):
        try:
            return dt.date.fromisoformat(text)
        except ValueError:
            pass
    raise RefusedError("form", "a day such as 2026-03-28", "other text")


def _structure_file(value: Any, _: Any) -> File:
    if not isinstance(value, File):
        raise RefusedError("type", "a file", json_name(value))
    return value


def _itself(value: File) -> File:
    return value


def _by_class(parse: Callable[[Any, str], object]) -> _Hook:
    def structure(value: Any, kind: Any) -> object:
        return parse(kind, _text(value))

    return structure


def _optional_factory(kind: Any, converter: Converter) -> _Hook:
    inner = optional_of(kind)
    hook = converter.get_structure_hook(inner)

    def structure(value: Any, _: Any) -> object:
        if value is None:
            raise RefusedError("null", "a value, or the field left out", "null")
        return hook(value, inner)

    return structure


def _tuple_factory(kind: Any, converter: Converter) -> _Hook:
    item = typing.get_args(kind)[0]
    hook = converter.get_structure_hook(item)

    def structure(value: Any, _: Any) -> object:
        if not isinstance(value, list):
            raise RefusedError("type", "an array", json_name(value))
        entries = cast("list[object]", value)
        if not 1 <= len(entries) <= MAX_ITEMS:
            raise RefusedError("items", f"1 to {MAX_ITEMS} items", f"{len(entries)}")
        built: list[object] = []
        refused: list[Exception] = []
        for index, entry in enumerate(entries):
            try:
                built.append(hook(entry, item))
            except Exception as error:  # noqa: BLE001  # gathered, and raised together below
                error.add_note(_note(index, item))
                refused.append(error)
        if refused:
            raise _items_error(refused, kind)
        return tuple(built)

    return structure


def _items_error(refused: list[Exception], kind: Any) -> Exception:
    # An exception group of one parameter more, which only one type checker sees.
    make = cast("Callable[..., Exception]", IterableValidationError)
    return make("items", refused, kind)


def _note(index: int, item: Any) -> str:
    # cattrs' class of notes is a `str` that is made by `__new__` alone, which its annotations do not say.
    return cast("str", cast("Any", IterableValidationNote)("item", index, item))


def _class_factory(kind: Any, converter: Converter) -> _Hook:
    hook = make_dict_structure_fn(kind, converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=True)

    def structure(value: Any, _: Any) -> object:
        if not isinstance(value, dict):
            raise RefusedError("type", "an object", json_name(value))
        return hook(cast("dict[str, Any]", value), kind)

    return structure


def _unstructure_class_factory(kind: Any, converter: Converter) -> Callable[[Any], dict[str, Any]]:
    return make_dict_unstructure_fn(kind, converter, _cattrs_omit_if_default=True)


def _is_optional(kind: Any) -> bool:
    return optional_of(kind) is not None


def _is_tuple(kind: Any) -> bool:
    return typing.get_origin(kind) is tuple


def _is_new_type(kind: Any) -> bool:
    return isinstance(kind, NewType)


def _make_converter() -> Converter:
    converter = Converter(omit_if_default=True, detailed_validation=True)
    # cattrs asks the hooks registered last first; those for exact types come before those for kinds of types.
    converter.register_structure_hook_factory(attrs.has, _class_factory)
    converter.register_structure_hook_factory(_is_optional, _optional_factory)
    converter.register_structure_hook_factory(_is_tuple, _tuple_factory)
    # By class: cattrs finds its own, lenient hooks for `str`, `int` and `bool` by class, before any other.
    by_class: tuple[tuple[type, _Hook], ...] = (
        (Identifier, _by_class(lambda kind, text: kind(text))),
        (Code, _by_class(lambda kind, text: kind.parse(text))),
        (Money, _by_class(lambda kind, text: kind(text))),
        (Period, _by_class(lambda kind, text: kind.parse(text))),
        (str, _structure_str),
        (int, _structure_int),
        (bool, _structure_bool),
        (dt.date, _structure_date),
        (File, _structure_file),
    )
    for known, hook in by_class:
        converter.register_structure_hook(known, hook)
    converter.register_structure_hook_func(_is_new_type, _structure_id)
    converter.register_unstructure_hook_factory(attrs.has, _unstructure_class_factory)
    # By class: cattrs' own hook for `str` is found by class too and would keep the subclasses as they are.
    converter.register_unstructure_hook(Identifier, str.__str__)
    converter.register_unstructure_hook(Code, str.__str__)
    converter.register_unstructure_hook(Money, str)
    converter.register_unstructure_hook(Period, str)
    converter.register_unstructure_hook(dt.date, dt.date.isoformat)
    converter.register_unstructure_hook(File, _itself)
    return converter


CONVERTER = _make_converter()
"""Reads and writes every request."""
