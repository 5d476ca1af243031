"""
What a caller gives, looked at before anything is done with it: the error names the method, the argument and the kinds.

Type checkers find the same earlier. This is for those who have none, and for values that come out of an `Any`.

Rule: no value is turned into another here. Text where a code, an identifier or an amount belongs is refused, known or
not, as type checkers refuse it: the class checks text where it enters the program, and says what is wrong with it.
"""

from __future__ import annotations

import datetime as dt
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, wraps
from types import NoneType
from typing import Any, Literal, NewType, ParamSpec, TypeAlias, TypeVar, cast, final

import attrs

from cabinet_sdk._core.operation import Operation
from cabinet_sdk.errors import InvalidValue, UsageError, mask
from cabinet_sdk.types import Code, File, Identifier, Money, Period

__all__ = ["check_call", "check_fields", "check_text", "checked", "checking", "make_request", "unsendable"]

P = ParamSpec("P")
R = TypeVar("R")
ClassT = TypeVar("ClassT", bound=type)

_HALF_PAIR = re.compile("[\ud800-\udfff]")

# Any in this module: type expressions, and arguments that may be anything.


@final
class _WrongKindError(Exception):
    """A value that is not of the kind that belongs in its place."""

    def __init__(self, path: str, kind: Any, given: object) -> None:
        super().__init__(path)
        self.path = path
        self.kind = kind
        self.given = given


_Look: TypeAlias = Callable[[Any, str], None]
"""Raises `_WrongKindError` for a value, at a path, that is not of a kind."""


@final
@attrs.frozen
class _Kind:
    """
    How a kind is told from others.

    Attributes:
        plain: Classes whose own instances are right without a closer look; subclasses get one.
        look: The closer look.
    """

    plain: frozenset[type]
    look: _Look


def make_request(row: Operation[..., R, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> R:
    """
    Make the request value of an operation.

    Raises:
        TypeError: An argument that the operation does not have, or one that is missing.
        UsageError: An argument of another kind than the operation's.
    """
    # For callers without a type checker: the id of a row is what people try first.
    if not isinstance(row, Operation):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(f"answer() takes a row of the contract, such as LIST_CHARGES, not {_shown(row)}")
    try:
        value = row.request(*args, **kwargs)
    except TypeError as error:
        raise _mistake(f"{row.id}()", inspect.signature(row.request_class), args, kwargs, error) from None
    check_fields(f"{row.id}()", value)
    return value


def check_fields(name: str, value: object) -> None:
    """
    Check the fields of an attrs value by their annotations; `name` is what was called with them.

    Raises:
        UsageError: A field of another kind.
    """
    try:
        _look_at_fields(value, "")
    except _WrongKindError as wrong:
        raise _refusal(name, wrong) from None


def check_call(name: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """
    Check the arguments of a call by the annotations of a signature, which are no strings any more.

    Raises:
        TypeError: An argument that the signature does not have, or one that is missing.
        UsageError: An argument of another kind.
    """
    try:
        given = signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        raise _mistake(name, signature, args, kwargs, error) from None
    try:
        for each, value in given.items():
            parameter = signature.parameters[each]
            if parameter.kind is parameter.VAR_POSITIONAL:
                for index, entry in enumerate(value):
                    _kind(parameter.annotation).look(entry, f"{each}[{index}]")
            else:
                _kind(parameter.annotation).look(value, each)
    except _WrongKindError as wrong:
        raise _refusal(name, wrong) from None


def check_text(kind: str, text: str) -> None:
    """
    Look whether a text can be sent at all.

    Raises:
        InvalidValue: It holds half of a surrogate pair, for which there are no bytes.
    """
    if _HALF_PAIR.search(text):
        raise InvalidValue(kind, "characters", "text without halves of surrogate pairs", text)


def unsendable(fields: Iterable[tuple[str, object]]) -> InvalidValue:
    """Return what is wrong with the first text among fields that there are no bytes for."""
    for path, text in _texts(fields):
        try:
            check_text(path, text)
        except InvalidValue as error:
            return error
    return InvalidValue("request", "characters", "text that can be sent", "")


def _texts(fields: Iterable[tuple[str, object]]) -> Iterator[tuple[str, str]]:
    for path, value in fields:
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, dict):
            yield from _texts((f"{path}.{name}", each) for name, each in cast("dict[str, object]", value).items())
        elif isinstance(value, list | tuple):
            yield from _texts((f"{path}[{at}]", each) for at, each in enumerate(cast("Sequence[object]", value)))
        elif attrs.has(value.__class__):
            yield from _texts((f"{path}.{name}", getattr(value, name)) for name in attrs.fields_dict(value.__class__))


def checked(place: str) -> Callable[[ClassT], ClassT]:
    """Have the public methods of a class check their arguments; errors name them below this place."""

    def decorate(cls: ClassT) -> ClassT:
        for name, member in list(vars(cls).items()):
            if isinstance(member, types.FunctionType) and not name.startswith("_"):
                setattr(cls, name, checking(f"{place}.{name}()", bound=True)(member))
        return cls

    return decorate


def checking(name: str, *, bound: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Have a function check its arguments; of a method, which is `bound`, all but the first."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature: inspect.Signature | None = None

        @wraps(function)
        def check_and_call(*args: P.args, **kwargs: P.kwargs) -> R:
            nonlocal signature
            if signature is None:
                whole = inspect.signature(function, eval_str=True)
                signature = whole.replace(parameters=list(whole.parameters.values())[bound:])
            check_call(name, signature, args[bound:], kwargs)
            try:
                return function(*args, **kwargs)
            except UnicodeEncodeError:
                # Told below: what Python says of it shows the whole text, and would be the context of what we say.
                pass
            raise unsendable(signature.bind(*args[bound:], **kwargs).arguments.items())

        return check_and_call

    return decorate


def _mistake(
    name: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any], error: TypeError
) -> TypeError:
    """Return in the words of the method what is wrong with the number and the names of the arguments."""
    parameters = signature.parameters
    unknown = next((each for each in kwargs if each not in parameters), None)
    if unknown is not None:
        return TypeError(f"{name} got an unexpected keyword argument {unknown!r}{_near(unknown, list(parameters))}")
    by_place = [each.name for each in parameters.values() if each.kind is not each.KEYWORD_ONLY]
    if len(args) > len(by_place):
        by_name = ", ".join(f"{each}=…" for each in parameters if each not in by_place)
        others = f"; by name go {by_name}" if by_name else ""
        return TypeError(f"{name} takes {len(by_place)} positional argument(s), got {len(args)}{others}")
    twice = next((each for each in by_place[: len(args)] if each in kwargs), None)
    if twice is not None:
        return TypeError(f"{name} got multiple values for argument {twice!r}")
    given = {*by_place[: len(args)], *kwargs}
    missing = [each.name for each in parameters.values() if each.default is each.empty and each.name not in given]
    return TypeError(f"{name} missing required argument(s): {', '.join(map(repr, missing))}") if missing else error


def _near(unknown: str, known: list[str]) -> str:
    import difflib  # noqa: PLC0415  # needed by nobody who makes no mistake

    near = difflib.get_close_matches(unknown, known, 1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; there are {', '.join(known)}" if known else "; it takes none"


@cache
def _fields(described: type[Any]) -> tuple[tuple[str, frozenset[type], _Look], ...]:
    hints = typing.get_type_hints(described)
    kinds = {name: _kind(hints[name]) for name in attrs.fields_dict(described)}
    return tuple((name, kind.plain, kind.look) for name, kind in kinds.items())


def _look_at_fields(value: Any, path: str) -> None:
    for name, plain, look in _fields(value.__class__):
        given = getattr(value, name)
        if type(given) not in plain:
            look(given, f"{path}.{name}" if path else name)


# Subclasses that are another kind of thing.
_BUT: dict[Any, tuple[type, ...]] = {float: (bool,), int: (bool,), dt.date: (dt.datetime,)}


@cache
def _kind(kind: Any) -> _Kind:
    origin = typing.get_origin(kind)
    if origin in {types.UnionType, typing.Union}:
        return _union(kind)
    if origin is not None:
        return _generic(kind, origin)
    if kind in _BUT:
        return _instance(kind, (float, int) if kind is float else (kind,), but=_BUT[kind])
    if isinstance(kind, NewType):
        # They are text too, and none is anybody's id.
        return _instance(kind, (cast("type", kind.__supertype__),), but=(Identifier, Code))
    if isinstance(kind, type) and not getattr(kind, "_is_protocol", False):
        cls = cast("type[Any]", kind)
        return _described(cls) if attrs.has(cls) and cls is not File else _instance(cls, (cls,))
    return _protocol(kind) if getattr(kind, "_is_runtime_protocol", False) else _ANYTHING


def _generic(kind: Any, origin: Any) -> _Kind:
    if origin in {tuple, list}:
        return _several(kind, (tuple, list))
    if origin in {set, frozenset}:
        return _several(kind, (set, frozenset))
    if origin is Literal:
        return _literal(kind)
    if origin is Callable:

        def look(given: Any, path: str) -> None:
            if not callable(given):
                raise _WrongKindError(path, kind, given)

        return _Kind(frozenset(), look)
    return _instance(kind, (origin,)) if isinstance(origin, type) else _ANYTHING


# What else an annotation may be, such as a protocol that nothing can be asked of: whoever needs it finds out.
_ANYTHING = _Kind(frozenset(), lambda _, __: None)


def _protocol(kind: Any) -> _Kind:
    names = [name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")]

    def look(given: Any, path: str) -> None:
        # Not by `isinstance`, which from Python 3.12 on sees nothing of what a wrapper hands on by `__getattr__`. A
        # class has the methods too.
        if isinstance(given, type) or not all(callable(getattr(given, name, None)) for name in names):
            raise _WrongKindError(path, kind, given)

    return _Kind(frozenset(), look)


def _instance(kind: Any, classes: tuple[type, ...], but: tuple[type, ...] = ()) -> _Kind:
    def look(given: Any, path: str) -> None:
        if not isinstance(given, classes) or isinstance(given, but):
            raise _WrongKindError(path, kind, given)

    return _Kind(frozenset(classes), look)


def _literal(kind: Any) -> _Kind:
    def look(given: Any, path: str) -> None:
        if type(given) is not str or given not in typing.get_args(kind):
            raise _WrongKindError(path, kind, given)

    return _Kind(frozenset(), look)


def _described(kind: type[Any]) -> _Kind:
    def look(given: Any, path: str) -> None:
        if not isinstance(given, kind):
            raise _WrongKindError(path, kind, given)
        _look_at_fields(given, path)

    return _Kind(frozenset(), look)


def _several(kind: Any, classes: tuple[type, ...]) -> _Kind:
    item = typing.get_args(kind)[0]

    def look(given: Any, path: str) -> None:
        if not isinstance(given, classes):
            raise _WrongKindError(path, kind, given)
        inner = _kind(item)
        for index, entry in enumerate(cast("Sequence[Any]", given)):
            if type(entry) not in inner.plain:
                inner.look(entry, f"{path}[{index}]")

    return _Kind(frozenset(), look)


def _union(kind: Any) -> _Kind:
    options = [_kind(option) for option in typing.get_args(kind) if option is not NoneType]
    optional = NoneType in typing.get_args(kind)
    plain = frozenset[type]().union(*(option.plain for option in options), [NoneType] if optional else [])

    def look(given: Any, path: str) -> None:
        if type(given) in plain:
            return
        found: list[_WrongKindError] = []
        for option in options:
            try:
                option.look(given, path)
            except _WrongKindError as wrong:
                found.append(wrong)
            else:
                return
        # A fault inside the value says more than that the value is none of the options.
        inside = next((wrong for wrong in found if wrong.path != path), None)
        raise inside or (found[0] if len(found) == 1 else _WrongKindError(path, kind, given))

    return _Kind(plain, look)


def _refusal(method: str, wrong: _WrongKindError) -> UsageError:
    advice = _advice(wrong.kind, wrong.given)
    # A text in the place of bytes may be a key: nothing of it is shown.
    given = "str" if wrong.kind is bytes and isinstance(wrong.given, str) else _shown(wrong.given)
    return UsageError(f"{method}: {wrong.path}: expected {_name(wrong.kind)}, got {given}" + (advice and f": {advice}"))


def _name(kind: Any) -> str:
    if isinstance(kind, NewType):
        return f"{kind.__name__} ({_name(kind.__supertype__)})"
    origin = typing.get_origin(kind)
    if origin is Callable:
        return "a callable"
    if origin is Literal:
        return " or ".join(map(repr, typing.get_args(kind)))
    arguments = [_name(option) for option in typing.get_args(kind) if option not in {NoneType, ...}]
    if origin in {types.UnionType, typing.Union}:
        return " or ".join(arguments)
    if origin is not None:
        return f"{_name(origin)} of {', '.join(arguments)}"
    name: str = "datetime.date" if kind is dt.date else getattr(kind, "__name__", str(kind))
    return name


def _shown(given: Any) -> str:
    if given is None:
        return "None"
    if isinstance(given, type):
        return f"the class {given.__name__}"
    return f"{type(given).__name__} {mask(given)!r}" if type(given) is str else type(given).__name__


def _advice(kind: Any, given: Any) -> str:
    if isinstance(kind, NewType):
        return f"give its {'id' if hasattr(given, 'id') else 'text'}" if attrs.has(given.__class__) else ""
    if not isinstance(kind, type):
        return ""
    if isinstance(given, type) and issubclass(given, kind):
        return f"write {given.__name__}(…)"
    if issubclass(kind, Code):
        members = [f"{kind.__name__}.{str.__str__(member).upper()}" for member in kind.members()]
        text = str.__str__(given) if isinstance(given, str) else ""
        return f"write {kind.__name__}.{text.upper()}" if text in kind.members() else f"it is {' or '.join(members)}"
    return next((text(kind.__name__) for base, text in _ADVICE if issubclass(kind, base)), "")


_ADVICE: tuple[tuple[type, Callable[[str], str]], ...] = (
    (Money, lambda _: "Money('500.00') makes one"),
    (Identifier, lambda name: f"{name}(text) makes one"),
    (Period, lambda _: "Period(first, last) or Period.month(year, month) makes one"),
    (dt.datetime, lambda _: "datetime.datetime(year, month, day, tzinfo=datetime.UTC) makes one"),
    (dt.date, lambda _: "datetime.date(year, month, day) makes one, moscow_date(moment) the day of a moment"),
)
