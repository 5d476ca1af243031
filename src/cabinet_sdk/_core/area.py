"""
One declaration, two methods: how a row of the contract or a flow becomes a method of both clients.

``pay = Endpoint(PAY_CHARGE)`` in an area's private generic base is a blocking method of its sync class and an
``async def`` of its async class. Type checkers read the signature off the row's request class through `Endpoint`'s type
parameters: P the parameters, S what the sync method returns, A what the async one does. At run time the descriptor
builds, once for each class, a plain function that carries the same signature, name and docstring, so `help`,
`inspect.signature` and completion show the truth.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Coroutine
from operator import attrgetter
from typing import (
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    TypeGuard,
    TypeVar,
    cast,
    final,
    get_args,
    get_type_hints,
    overload,
)

import attrs

from cabinet_sdk._core.arguments import check_call, make_request
from cabinet_sdk._core.calls import call
from cabinet_sdk._core.context import Context
from cabinet_sdk._core.downloads import AsyncFileStream, FileStream, open_file, open_file_async
from cabinet_sdk._core.flow import Flow
from cabinet_sdk._core.operation import Call, Download, Job, Listing, Operation, Upload, documentation_of
from cabinet_sdk._core.paging import AsyncPages, Pages

__all__ = ["Area", "Async", "Endpoint", "Row", "Source", "Sync", "is_asynchronous", "row_of"]

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
S_co = TypeVar("S_co", covariant=True)
A_co = TypeVar("A_co", covariant=True)


@final
class Sync:
    """Mode of `Cabinet`: a call returns its result."""


@final
class Async:
    """Mode of `AsyncCabinet`: a call returns an awaitable of its result."""


ModeT = TypeVar("ModeT", Sync, Async)


class Area(Generic[ModeT]):
    """A group of operations of one client."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # Any: a docstring is declared as text, and a property of the instance has no other way to stand in for it.
        cast("Any", cls).__doc__ = _Overview(cls.__doc__)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._context.base_url}>"


@final
class _Overview:
    """An area's docstring. That of an instance tells its methods too, so that `help(cabinet.charges)` does."""

    def __init__(self, text: str | None) -> None:
        self._text = text

    def __get__(self, area: Area[Any] | None, owner: type[Area[Any]]) -> str | None:
        if area is None:
            return self._text
        entries = [f"{self._text}"]
        for name in [each for cls in owner.__mro__ for each, value in vars(cls).items() if isinstance(value, Endpoint)]:
            method = getattr(owner, name)
            parameters = list(inspect.signature(method).parameters.values())[1:]
            signature = inspect.Signature([each.replace(annotation=each.empty) for each in parameters])
            call = f"{'await ' if inspect.iscoroutinefunction(method) else ''}{name}{signature}"
            entries.append(f"{call}\n    {inspect.getdoc(method) or ''}".partition("\n\n")[0])
        return "\n\n".join([*entries, "help() of a method tells its arguments and errors."])


# Private, so that completion after an area shows its operations alone; the functions below are the area's methods.
_context_of: Callable[[Area[Any]], Context] = attrgetter("_context")


Row = Operation[..., Any, Any]
Source = Row | Callable[..., Flow[Any]]
"""What a method is made of. Any: a row or a flow of whatever types."""


class Endpoint(Generic[P, S_co, A_co]):
    """A row or a flow as a method: signature and result from it, blocking or not from the class it is asked of."""

    # Any in these signatures: the request class and a coroutine's two unused parameters play no part.
    @overload
    def __init__(self: Endpoint[Q, Pages[T], AsyncPages[T]], source: Listing[Q, Any, T]) -> None: ...
    @overload
    def __init__(
        self: Endpoint[Q, FileStream, Coroutine[Any, Any, AsyncFileStream]], source: Download[Q, Any]
    ) -> None: ...
    @overload
    def __init__(
        self: Endpoint[Q, T, Coroutine[Any, Any, T]],
        source: Call[Q, Any, T] | Job[Q, Any, T] | Upload[Q, Any, T] | Callable[Concatenate[Context, Q], Flow[T]],
    ) -> None: ...
    def __init__(self, source: Any) -> None:
        self.source: Source = source
        self._name = ""
        self._functions: dict[type, Callable[..., Any]] = {}

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, area: None, owner: type[Area[Sync]]) -> Callable[Concatenate[Area[Sync], P], S_co]: ...
    @overload
    def __get__(self, area: None, owner: type[Area[Async]]) -> Callable[Concatenate[Area[Async], P], A_co]: ...
    @overload
    def __get__(self, area: Area[Sync], owner: type[Area[Sync]]) -> Callable[P, S_co]: ...
    @overload
    def __get__(self, area: Area[Async], owner: type[Area[Async]]) -> Callable[P, A_co]: ...
    def __get__(self, area: Area[Any] | None, owner: type[Area[Any]]) -> Any:
        function = self._functions.get(owner)
        if function is None:
            function = self._functions[owner] = self._build(owner)
        return function if area is None else function.__get__(area, owner)

    def _build(self, owner: type[Area[Any]]) -> Callable[..., Any]:
        asynchronous = is_asynchronous(owner)
        signature = _signature(self.source, asynchronous=asynchronous)
        # The module of an area's methods is its room `client`.
        name = f"{owner.__module__.split('.')[-2]}.{self._name}()"
        method = _method(self.source, name, signature, asynchronous=asynchronous)
        method.__name__ = self._name
        method.__qualname__ = f"{owner.__name__}.{self._name}"
        method.__module__ = owner.__module__
        method.__doc__ = _documentation(self.source)
        # Any: functions declare no such attribute, `inspect` looks for it.
        cast("Any", method).__signature__ = signature
        hints = {each.name: each.annotation for each in signature.parameters.values() if each.name != "self"}
        method.__annotations__ = {**hints, "return": signature.return_annotation}
        return method


def row_of(area: object, row_id: str) -> Row | None:
    """Return the row of that id that an area has a method of; None where it has none, or where this is no area."""
    if not isinstance(area, Area):
        return None
    for cls in type(cast("object", area)).__mro__:
        for endpoint in vars(cls).values():
            if isinstance(endpoint, Endpoint):
                source: Source = cast("Endpoint[..., Any, Any]", endpoint).source
                if _is_row(source) and source.id == row_id:
                    return source
    return None


def is_asynchronous(owner: type[Area[Any]]) -> bool:
    """Say of which mode an area's class is, from the parameter of its base."""
    return any(Async in get_args(base) for cls in owner.__mro__ for base in getattr(cls, "__orig_bases__", ()))


def _method(source: Source, name: str, signature: inspect.Signature, *, asynchronous: bool) -> Callable[..., Any]:
    if isinstance(source, Listing):
        return _listing(cast("Listing[..., Any, Any]", source), asynchronous=asynchronous)
    if isinstance(source, Download):
        return _download(source, asynchronous=asynchronous)
    start = _start(source) if _is_row(source) else _start_flow(source, name, signature)

    def method(self: Area[Any], *args: Any, **kwargs: Any) -> Any:
        context = _context_of(self)
        return context.perform(start(context, *args, **kwargs))

    async def method_async(self: Area[Any], *args: Any, **kwargs: Any) -> Any:
        context = _context_of(self)
        return await context.perform(start(context, *args, **kwargs))

    return method_async if asynchronous else method


def _start(row: Row) -> Callable[..., Flow[Any]]:
    def start(context: Context, *args: Any, **kwargs: Any) -> Flow[Any]:
        return call(context, row, make_request(row, args, kwargs))

    return start


def _start_flow(source: Source, name: str, signature: inspect.Signature) -> Callable[..., Flow[Any]]:
    flow = cast("Callable[..., Flow[Any]]", source)
    own = signature.replace(parameters=list(signature.parameters.values())[1:])

    def start(context: Context, *args: Any, **kwargs: Any) -> Flow[Any]:
        check_call(name, own, args, kwargs)
        return flow(context, *args, **kwargs)

    return start


def _listing(row: Listing[..., Any, Any], *, asynchronous: bool) -> Callable[..., Any]:
    pages = cast("Callable[..., Any]", AsyncPages if asynchronous else Pages)

    def method(self: Area[Any], *args: Any, **kwargs: Any) -> Any:
        return pages(_context_of(self), row, make_request(row, args, kwargs))

    return method


def _download(row: Download[..., Any], *, asynchronous: bool) -> Callable[..., Any]:
    def method(self: Area[Any], *args: Any, **kwargs: Any) -> Any:
        return open_file(_context_of(self), row, make_request(row, args, kwargs))

    async def method_async(self: Area[Any], *args: Any, **kwargs: Any) -> Any:
        return await open_file_async(_context_of(self), row, make_request(row, args, kwargs))

    return method_async if asynchronous else method


def _is_row(source: Source) -> TypeGuard[Row]:
    # Asked directly, type checkers fill the row's parameters in, each with something else.
    return isinstance(source, Operation)


def _signature(source: Source, *, asynchronous: bool) -> inspect.Signature:
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not _is_row(source):
        signature = inspect.signature(cast("Callable[..., Flow[Any]]", source), eval_str=True)
        returns = get_args(signature.return_annotation)[2]  # Flow[T] is Generator[Effect, Any, T]
        return signature.replace(parameters=[this, *list(signature.parameters.values())[1:]], return_annotation=returns)
    hints = get_type_hints(source.request_class)
    for field in attrs.fields(source.request_class):
        if field.converter is not None:
            # Callers give what it takes: any sequence where a request holds a tuple.
            hints[field.name] = next(iter(get_type_hints(field.converter).values()))
    signature = inspect.signature(source.request_class)
    parameters = [each.replace(annotation=hints[each.name]) for each in signature.parameters.values()]
    returns = _result(source, asynchronous=asynchronous)
    return signature.replace(parameters=[this, *parameters], return_annotation=returns)


def _result(row: Row, *, asynchronous: bool) -> Any:
    """Return what the method returns, or what awaiting it gives."""
    if isinstance(row, Download):
        return AsyncFileStream if asynchronous else FileStream
    pages: Any = AsyncPages if asynchronous else Pages
    return pages[cast("Any", row).item] if isinstance(row, Listing) else row.response


def _documentation(source: Source) -> str:
    if not isinstance(source, Operation):
        # The context is the client's affair: a method has no such parameter.
        return re.sub(r"(?m)^    context: .*\n(?:     .*\n)*", "", inspect.getdoc(source) or "")
    text = documentation_of(source.request_class)
    if not source.errors:
        return text
    raises = "\n".join(
        f"    {error.__name__}: {(error.__doc__ or '').strip().partition(chr(10))[0]}" for error in source.errors
    )
    return f"{text}\n\nRaises:\n{raises}"
