"""
Requests to the wire and back: cattrs with strict hooks, the one engine of this direction.

What a request class may hold, and what the server demands of it:

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
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NewType, TypeAlias, TypeVar, cast
from urllib.parse import quote

import attrs
import msgspec
from cattrs import Converter
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn

from cabinet_sdk._core.multipart import MultipartBody
from cabinet_sdk._core.operation import Operation, Upload
from cabinet_sdk.errors import FieldError, InvalidRequest, InvalidValue, RequestTooLarge
from cabinet_sdk.types import Code, File, Identifier, Money, Period

__all__ = [
    "ID_PATTERN",
    "MAX_ITEMS",
    "MAX_TEXT",
    "EncodedRequest",
    "Hook",
    "decode_request",
    "encode_request",
    "fingerprint",
    "optional_of",
]

R = TypeVar("R")

ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
MAX_TEXT = 1000
MAX_ITEMS = 100

_ID = re.compile(ID_PATTERN, re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
# Control characters (ASVS 16.4.1 and 1.2: none may reach a log, a file name or a page) and lone surrogates.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

# Any: a type expression or a JSON value can be anything; every hook checks what it gets.
Hook: TypeAlias = Callable[[Any, Any], Any]


class _RefusedError(ValueError):
    def __init__(self, code: str, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.code = code


def optional_of(kind: Any) -> Any | None:  # Any: a type expression
    """Return X for ``X | None``, None for anything else."""
    if typing.get_origin(kind) not in {types.UnionType, typing.Union}:
        return None
    inner = [argument for argument in typing.get_args(kind) if argument is not type(None)]
    return inner[0] if len(inner) == 1 else None


def _json_name(value: object) -> str:
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
        raise _RefusedError("type", expected, _json_name(value))
    return value


def _structure_str(value: Any, _: Any) -> str:
    text = _text(value)
    if len(text) > MAX_TEXT:
        raise _RefusedError("too_long", f"at most {MAX_TEXT} characters", f"{len(text)}")
    if _UNPRINTABLE.search(text):
        raise _RefusedError("characters", "text without control characters", "one with")
    return text


def _structure_id(value: Any, _: Any) -> str:
    text = _text(value)
    if not _ID.fullmatch(text):
        raise _RefusedError("form", "an id of 1 to 64 letters, digits, - and _", f"{len(text)} other characters")
    return text


def _structure_int(value: Any, _: Any) -> int:
    if type(value) is not int:
        raise _RefusedError("type", "an integer", _json_name(value))
    return value


def _structure_bool(value: Any, _: Any) -> bool:
    if type(value) is not bool:
        raise _RefusedError("type", "true or false", _json_name(value))
    return value


def _structure_date(value: Any, _: Any) -> dt.date:
    text = _text(value)
    if _DATE.fullmatch(text):
        try:
            return dt.date.fromisoformat(text)
        except ValueError:
            pass
    raise _RefusedError("form", "a day such as 2026-03-28", "other text")


def _structure_file(value: Any, _: Any) -> File:
    if not isinstance(value, File):
        raise _RefusedError("type", "a file", _json_name(value))
    return value


def _itself(value: File) -> File:
    return value


def _by_class(parse: Callable[[Any, str], object]) -> Hook:
    def structure(value: Any, kind: Any) -> object:
        return parse(kind, _text(value))

    return structure


def _optional_factory(kind: Any, converter: Converter) -> Hook:
    inner = optional_of(kind)
    hook = converter.get_structure_hook(inner)

    def structure(value: Any, _: Any) -> object:
        if value is None:
            raise _RefusedError("null", "a value, or the field left out", "null")
        return hook(value, inner)

    return structure


def _tuple_factory(kind: Any, converter: Converter) -> Hook:
    item = typing.get_args(kind)[0]
    hook = converter.get_structure_hook(item)

    def structure(value: Any, _: Any) -> object:
        if not isinstance(value, list):
            raise _RefusedError("type", "an array", _json_name(value))
        entries = cast("list[object]", value)
        if not 1 <= len(entries) <= MAX_ITEMS:
            raise _RefusedError("items", f"1 to {MAX_ITEMS} items", f"{len(entries)}")
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


def _class_factory(kind: Any, converter: Converter) -> Hook:
    hook = make_dict_structure_fn(kind, converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=True)

    def structure(value: Any, _: Any) -> object:
        if not isinstance(value, dict):
            raise _RefusedError("type", "an object", _json_name(value))
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
    by_class: tuple[tuple[type, Hook], ...] = (
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


_CONVERTER = _make_converter()


@attrs.frozen
class EncodedRequest:
    """
    A request as it travels.

    Attributes:
        path: Below the base path, filled in and quoted.
        query: Parameters in the order of the fields.
        body: JSON, or the form of an upload; None where the operation has none.
        content_type: Of the body.
    """

    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | MultipartBody | None = None
    content_type: str | None = None


def encode_request(row: Operation[..., Any, Any], value: object) -> EncodedRequest:
    """
    Put a request on the wire.

    Raises:
        InvalidValue: A path parameter is empty or a dot segment, which would make another address of it.
        RequestTooLarge: A file is longer than its row allows; there is no sense in sending it.
        UsageError: The content of an upload has been read already and cannot be rewound.
    """
    fields: dict[str, Any] = _CONVERTER.unstructure(value)
    path = row.path
    for name in row.path_fields:
        text = str(fields.pop(name))
        if text in {"", ".", ".."}:
            raise InvalidValue(name, "form", "text that can stand in an address", text)
        path = path.replace(f"{{{name}}}", quote(text, safe=""))
    if row.method in {"GET", "DELETE"}:
        return EncodedRequest(path, tuple(_query_pairs(fields)))
    if isinstance(row, Upload):
        name = row.file_field
        file: File = fields.pop(name)
        if file.length is not None and file.length > row.max_bytes:
            message = f"The file has {file.length} bytes and may have {row.max_bytes}; it was not sent."
            raise RequestTooLarge(message, operation=row.id)
        form = MultipartBody(_query_pairs(fields), name, file)
        return EncodedRequest(path, body=form, content_type=form.content_type)
    return EncodedRequest(path, body=msgspec.json.encode(fields), content_type="application/json")


def _query_pairs(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, _as_text(entry))
        for name, value in fields.items()
        for entry in (cast("Sequence[object]", value) if isinstance(value, list | tuple) else (value,))
    ]


def _as_text(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return msgspec.json.encode(value).decode()
        case _:
            return str(value)


def decode_request(
    row: Operation[Any, R, Any],
    path: Mapping[str, str],
    query: Sequence[tuple[str, str]],
    body: object,
) -> R:
    """
    Read a request from the wire, strictly.

    `body` is the parsed JSON, None where there is none; of an upload it is the form: the names and values of its parts.

    Raises:
        InvalidRequest: With every field that breaks the contract.
    """
    kinds = typing.get_type_hints(row.request_class)
    fields: dict[str, object] = {}
    refused: list[FieldError] = []
    if row.method in {"GET", "DELETE"}:
        fields, refused = _from_query(kinds, query, frozenset(row.path_fields))
    elif isinstance(row, Upload):
        form = cast("Sequence[tuple[str, str | File]]", body)
        fields, refused = _from_form(kinds, form, frozenset(row.path_fields))
        refused += [_unknown(name) for name, _ in query]
    else:
        refused = [_unknown(name) for name, _ in query]
        if not isinstance(body, dict):
            refused.append(FieldError("", "type", f"expected an object as the body, got {_json_name(body)}"))
        else:
            fields = dict(cast("dict[str, object]", body))
            refused += [_unknown(name) for name in row.path_fields if fields.pop(name, None) is not None]
    fields.update(path)
    try:
        value: R = _CONVERTER.structure(fields, row.request_class)
    except (BaseValidationError, ValueError) as error:
        refused += _field_errors(error, "")
        raise InvalidRequest(errors=tuple(refused)) from error
    if refused:
        raise InvalidRequest(errors=tuple(refused))
    return value


def _from_query(
    kinds: Mapping[str, Any],
    query: Sequence[tuple[str, str]],
    path_fields: frozenset[str],
) -> tuple[dict[str, object], list[FieldError]]:
    fields: dict[str, object] = {}
    refused: list[FieldError] = []
    for name, text in query:
        kind = optional_of(kinds.get(name)) or kinds.get(name)
        if name in path_fields or kind is None:
            refused.append(_unknown(name))
        elif typing.get_origin(kind) is tuple:
            cast("list[object]", fields.setdefault(name, [])).append(_from_text(text, typing.get_args(kind)[0]))
        elif name in fields:
            refused.append(FieldError(name, "repeated", "expected the parameter once, got it again"))
        else:
            fields[name] = _from_text(text, kind)
    return fields, refused


def _from_form(
    kinds: Mapping[str, Any],
    form: Sequence[tuple[str, str | File]],
    path_fields: frozenset[str],
) -> tuple[dict[str, object], list[FieldError]]:
    fields, refused = _from_query(kinds, [(name, text) for name, text in form if isinstance(text, str)], path_fields)
    for name, file in form:
        if isinstance(file, str):
            continue
        if name in path_fields or name not in kinds:
            refused.append(_unknown(name))
        elif name in fields:
            refused.append(FieldError(name, "repeated", "expected the part once, got it again"))
        else:
            fields[name] = file
    return fields, refused


def _from_text(text: str, kind: Any) -> object:
    if kind is int and _INTEGER.fullmatch(text):
        return int(text)
    if kind is bool and text in {"true", "false"}:
        return text == "true"
    if attrs.has(kind) and kind is not File:
        try:
            return msgspec.json.decode(text)
        except ValueError:
            return text
    return text


def _unknown(name: str) -> FieldError:
    shown = name if name.isidentifier() and name.isascii() else "…"
    return FieldError(shown[:64], "unknown_field", "the operation has no such field")


def _field_errors(error: BaseException, path: str) -> list[FieldError]:
    match error:
        case BaseValidationError():
            found: list[FieldError] = []
            for inner in error.exceptions:
                found += _field_errors(inner, path + _step(inner, path))
            return found
        case ForbiddenExtraKeysError():
            prefix = f"{path}." if path else ""
            return [
                FieldError(prefix + unknown.field, unknown.code, unknown.message)
                for unknown in map(_unknown, sorted(map(str, error.extra_fields)))
            ]
        case KeyError():
            return [FieldError(path, "required", "the field is required")]
        case InvalidValue():
            return [FieldError(path, error.rule, error.message)]
        case _RefusedError():
            return [FieldError(path, error.code, str(error))]
        case _:
            return [FieldError(path, "invalid", "the value breaks the contract")]


def _step(error: BaseException, path: str) -> str:
    notes: Sequence[object] = getattr(error, "__notes__", ())
    for note in reversed(notes):
        if isinstance(note, AttributeValidationNote):
            return f".{note.name}" if path else note.name
        if isinstance(note, IterableValidationNote):
            return f"[{note.index}]"
    return ""


def fingerprint(row: Operation[..., Any, Any], value: object) -> bytes:
    """Return what tells two requests apart: equal exactly for equal operation and fields, files by name and digest."""
    fields: dict[str, Any] = _CONVERTER.unstructure(value)
    if isinstance(row, Upload):
        file: File = fields[row.file_field]
        fields[row.file_field] = [file.name, file.media_type, file.sha256().hex()]
    return msgspec.json.encode([row.id, fields], order="sorted")
