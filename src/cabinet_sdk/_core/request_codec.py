"""Requests to the wire and back: where each field travels; `request_hooks` says what it may be."""

from __future__ import annotations

import re
import typing
from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar, cast
from urllib.parse import quote

import attrs
import msgspec
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ForbiddenExtraKeysError,
    IterableValidationNote,
)

from cabinet_sdk._core.arguments import unsendable
from cabinet_sdk._core.multipart import MultipartBody
from cabinet_sdk._core.operation import Operation, Upload
from cabinet_sdk._core.request_hooks import CONVERTER, RefusedError, json_name, optional_of
from cabinet_sdk.errors import FieldError, InvalidRequest, InvalidValue, RequestTooLarge
from cabinet_sdk.types import File

__all__ = ["MAX_ERRORS", "EncodedRequest", "decode_request", "encode_request", "fingerprint"]

R = TypeVar("R")

MAX_ERRORS = 100
"""How many wrong fields an answer names: it must not be many times as long as the request."""

_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)


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
        InvalidValue: A path parameter is empty or a dot segment, which would make another address of it; or a text
            cannot be sent.
        RequestTooLarge: A file is longer than its row allows; there is no sense in sending it.
        UsageError: The content of an upload has been read already and cannot be rewound.
    """
    try:
        return _encoded(row, CONVERTER.unstructure(value))
    except UnicodeEncodeError:
        # Told below: what Python says of it shows the whole text, and would be the context of what we say.
        pass
    raise unsendable(CONVERTER.unstructure(value).items())


def _encoded(row: Operation[..., Any, Any], fields: dict[str, Any]) -> EncodedRequest:
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
        InvalidRequest: With the fields that break the contract, the first hundred of them.
    """
    request_class = row.request_class
    fields: dict[str, object] = {}
    refused: list[FieldError] = []
    if row.method in {"GET", "DELETE"}:
        if query:
            kinds = _kinds_of(cast("Hashable", request_class))
            fields, refused = _from_query(kinds, query, frozenset(row.path_fields))
    elif isinstance(row, Upload):
        kinds = _kinds_of(cast("Hashable", request_class))
        form = cast("Sequence[tuple[str, str | File]]", body)
        fields, refused = _from_form(kinds, form, frozenset(row.path_fields))
        refused += [_unknown(name) for name, _ in query]
    else:
        refused = [_unknown(name) for name, _ in query]
        if not isinstance(body, dict):
            refused.append(FieldError("", "type", f"expected an object as the body, got {json_name(body)}"))
        else:
            fields = dict(cast("dict[str, object]", body))
            refused += [_unknown(name) for name in row.path_fields if name in fields]
    fields.update(path)
    try:
        value: R = CONVERTER.structure(fields, request_class)
    except (BaseValidationError, ValueError) as error:
        refused += _field_errors(error, "")
        raise InvalidRequest(errors=tuple(refused[:MAX_ERRORS])) from error
    if refused:
        raise InvalidRequest(errors=tuple(refused[:MAX_ERRORS]))
    return value


@lru_cache(maxsize=1024)
def _kinds_of(request_class: Hashable) -> Mapping[str, Any]:
    return typing.get_type_hints(request_class)


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
        case RefusedError():
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
    fields: dict[str, Any] = CONVERTER.unstructure(value)
    if isinstance(row, Upload):
        file: File = fields[row.file_field]
        fields[row.file_field] = [file.name, file.media_type, file.sha256().hex()]
    return msgspec.json.encode([row.id, fields], order="sorted")
