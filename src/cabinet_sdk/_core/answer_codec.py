"""
Answers to the wire and back: msgspec into attrs classes, the one engine of this direction.

The client trusts what the service sends as far as the wire types go: a number where text belongs is an error that names
the JSON path; an identifier's check digit is not computed again, an unknown code and an unknown field are kept.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from typing import Any, TypeAlias, TypeVar, cast, final

import msgspec

from cabinet_sdk._core.digests import digest_in
from cabinet_sdk._core.redaction import shown_name, shown_text
from cabinet_sdk._core.wire import Response, media_type_of
from cabinet_sdk.errors import UnreadableAnswer
from cabinet_sdk.types import Code, Identifier, Money, Period

__all__ = ["MEDIA_TYPE", "decode_answer", "decode_value", "encode_answer", "unknown_fields"]

T = TypeVar("T")

MEDIA_TYPE = "application/json"


@final
class _Shared(dict[str, Any]):  # Any: values of one kind
    """
    The values of a kind by their texts; one that is missing is made.

    A page of a hundred charges holds 1700 such values, 240 of them new. None can change, so that equal ones may be one
    object. The latest few hundred of a kind are kept, and no long ones, so that no service can fill the memory.
    """

    __slots__ = ("_read",)

    def __init__(self, kind: type[Any]) -> None:  # Any: each class builds itself
        super().__init__()
        self._read: Callable[[str], object] = kind.parse if kind is Period else kind.trusted

    def make(self, text: object) -> object:
        """Make the value, from whatever stands in the JSON."""
        if not isinstance(text, str):
            msg = f"Expected `str`, got `{type(text).__name__}`"
            raise TypeError(msg)
        value = self._read(text)
        if len(text) <= 64:
            if len(self) >= 256:
                self.clear()
            self[text] = value
        return value

    __missing__ = make


def _share() -> None:
    """
    Let ``kind[text]`` be the shared value, for every kind that is declared by now.

    It is `operator.getitem` with the arguments that msgspec has for its hook. So it gets there without a frame of
    Python, which would cost as much as all the rest.
    """
    kinds: list[Any] = [Code, Identifier, Money, Period]  # Any: no annotation tells of what is set
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        # What is inherited makes values of the parent's kind.
        if "__class_getitem__" not in vars(kind):
            kind.__class_getitem__ = _Shared(kind).__getitem__


def _make(kind: type[Any], value: object) -> object:  # Any: as above
    return _Shared(kind).make(value)


@lru_cache(maxsize=1024)
def _encode_text(value: object) -> str:
    if isinstance(value, Identifier | Code | Money | Period):
        return str(value)
    msg = f"{type(value).__name__} has no form on the wire"
    raise TypeError(msg)


_ENCODER = msgspec.json.Encoder(enc_hook=_encode_text)


@lru_cache(maxsize=1024)
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:  # Any: a type expression, and whatever it describes
    _share()
    look_up: Any = operator.getitem  # Any: a class has no items, says its type
    return msgspec.json.Decoder(kind, dec_hook=look_up)


def encode_answer(value: object) -> bytes:
    """Put an answer on the wire: every field, None as ``null``."""
    return _ENCODER.encode(value)


def decode_value(content: bytes, kind: type[T]) -> T:
    """Read what `encode_answer` wrote, as the server does with what it keeps."""
    value: T = _decoder(cast("Any", kind)).decode(content)  # Any: see _decoder
    return value


def _decoded(content: bytes, kind: Any) -> Any:  # Any: as above
    try:
        value = _decoder(kind).decode(content)
    except msgspec.ValidationError:
        # Of a list or an object in a text's place it says that no list can be looked up; this says what was expected.
        value = msgspec.json.decode(content, type=kind, dec_hook=_make)
    look = _moments(kind)
    path = None if look is None else look(value)
    if path is not None:
        message = f"Expected `datetime` with an offset, got one without - at `${path}`"
        raise msgspec.ValidationError(message)
    return value


_Look: TypeAlias = Callable[[Any], str | None]  # Any: what was decoded
"""Returns the path to the first moment without an offset in a value."""


@lru_cache(maxsize=1024)
def _moments(kind: Any) -> _Look | None:  # Any: as above
    """
    Return what looks for moments without an offset in values of a kind; None where they hold no moments.

    msgspec does it itself only where an annotation says so, and those of the models know nothing of it.
    """
    return _look_of(msgspec.inspect.type_info(kind))


def _look_of(info: msgspec.inspect.Type) -> _Look | None:
    match info:
        case msgspec.inspect.DateTimeType():
            return lambda value: "" if value.tzinfo is None else None
        case msgspec.inspect.DataclassType():
            found = ((field.name, field.encode_name, _look_of(field.type)) for field in info.fields)
            looks = [(operator.attrgetter(name), path, look) for name, path, look in found if look is not None]
            return partial(_in_fields, looks) if looks else None
        case msgspec.inspect.ListType() | msgspec.inspect.VarTupleType():
            look = _look_of(info.item_type)
            return None if look is None else partial(_in_items, look)
        case msgspec.inspect.UnionType():
            # Of several classes msgspec could not tell which it is.
            look = next((look for option in info.types if (look := _look_of(option)) is not None), None)
            return None if look is None else partial(_in_optional, look)
        case _:
            return None


def _in_fields(looks: Sequence[tuple[Callable[[Any], object], str, _Look]], value: object) -> str | None:
    for get, path, look in looks:
        found = look(get(value))
        if found is not None:
            return f".{path}{found}"
    return None


def _in_items(look: _Look, values: Iterable[object]) -> str | None:
    for number, value in enumerate(values):
        found = look(value)
        if found is not None:
            return f"[{number}]{found}"
    return None


def _in_optional(look: _Look, value: object) -> str | None:
    return None if value is None else look(value)


def decode_answer(response: Response, kind: Any, operation: str) -> Any:  # Any: as above; the caller knows the type
    """
    Read a good answer.

    Raises:
        UnreadableAnswer: It is not JSON, is cut, or has a wrong type; its `path` says where. Or it is to be a file, and
            is none, a part of one, or not the one that its digest tells of.
    """
    if kind is bytes:
        if response.status != 200:
            raise _unreadable(response, operation, f"Status {response.status} brings no file.")
        announced = digest_in(response.headers.get("repr-digest"))
        if announced is not None and announced != hashlib.sha256(response.content).digest():
            raise _unreadable(response, operation, "The file is damaged: its digest is not the one announced.")
        return response.content
    media_type = media_type_of(response)
    if media_type != MEDIA_TYPE:
        raise _unreadable(
            response, operation, f"Expected {MEDIA_TYPE}, got {shown_text(media_type) or 'no content type'}."
        )
    try:
        return _decoded(response.content, kind)
    except msgspec.ValidationError as error:
        # The text holds types and a path, no values. A message of our own classes is masked already.
        reason, _, path = str(error).partition(" - at ")
        raise _unreadable(response, operation, f"{reason.removesuffix('.')}.", path.strip("`") or "$") from error
    except (ValueError, TypeError, RecursionError) as error:
        reason = "nests too deep" if isinstance(error, RecursionError) else f"is not the JSON it should be: {error}"
        message = f"The body of {len(response.content)} bytes {reason}."
        raise _unreadable(response, operation, message) from error


def _unreadable(response: Response, operation: str, message: str, path: str | None = None) -> UnreadableAnswer:
    return UnreadableAnswer(
        message,
        members={"path": path} if path else None,
        status=response.status,
        request_id=response.request_id,
        operation=operation,
    )


def unknown_fields(content: bytes, kind: Any) -> tuple[str, ...]:  # Any: as above
    """
    Return the JSON paths of the fields and codes that this version of the SDK does not know, each path once.

    They hold no values: a name that a service makes of data, such as a key of a map, is hidden. The path is that of the
    whole where something that nobody knows cannot be read, which the known fields do not need.
    """
    try:
        value: object = msgspec.json.decode(content)
    except (ValueError, RecursionError):
        return ("$",)
    found: dict[str, None] = {}
    _compare(value, msgspec.inspect.type_info(kind), "$", found)
    return tuple(found)


def _compare(value: object, info: msgspec.inspect.Type, path: str, found: dict[str, None]) -> None:
    match info:
        case msgspec.inspect.DataclassType() if isinstance(value, dict):
            known = {field.encode_name: field.type for field in info.fields}
            for name, inner in cast("dict[str, object]", value).items():
                if name in known:
                    _compare(inner, known[name], f"{path}.{name}", found)
                else:
                    found[f"{path}.{shown_name(name)}"] = None
        case msgspec.inspect.ListType() | msgspec.inspect.VarTupleType() if isinstance(value, list):
            for inner in cast("list[object]", value):
                _compare(inner, info.item_type, f"{path}[]", found)
        case msgspec.inspect.UnionType():
            for option in info.types:
                _compare(value, option, path, found)
        case msgspec.inspect.CustomType() if issubclass(info.cls, Code) and isinstance(value, str):
            if not info.cls.trusted(value).known:
                found[path] = None
        case _:
            pass
