"""
One test body for both clients: the sync client with an async face.

A body is written for `AsyncCabinet`. The face lets it drive a `Cabinet`: what the sync client returns is there at once,
and awaiting it gives the result or raises the error.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from inspect import isawaitable
from typing import Any, Self, TypeVar, cast

from cabinet_sdk import AsyncCabinet, Cabinet, Page, Pages
from cabinet_sdk._core.area import Area
from cabinet_sdk._core.downloads import FileStream

__all__ = ["settle", "with_async_area", "with_async_face"]

AreaT = TypeVar("AreaT")


async def settle(value: Any) -> Any:
    """Return what `OutcomeUnknown.reconcile` gives: awaited where the client is async."""
    return await value if isawaitable(value) else value


def with_async_face(cabinet: Cabinet) -> AsyncCabinet:
    """Return the sync client in the guise of the async one."""
    return cast("AsyncCabinet", _Face(cabinet))


def with_async_area(client: AsyncCabinet, sync: Callable[[Any], Any], asynchronous: Callable[[Any], AreaT]) -> AreaT:
    """Return an area that the client itself does not have, for a client of either mode."""
    either: Any = client
    context = either._context
    return cast("AreaT", _Face(sync(context))) if isinstance(either, _Face) else asynchronous(context)


class _Face:
    """Any: this stands between two typed worlds and knows neither."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if isinstance(value, Area):
            return _Face(value)
        return _wrap(value) if callable(value) else value

    async def __aenter__(self) -> Self:
        self._target.__enter__()
        return self

    async def __aexit__(self, *args: object) -> None:
        self._target.__exit__(*args)


def _is(value: object, kind: type[object]) -> bool:
    # Apart, since after `isinstance` the two type checkers know different things of the value.
    return isinstance(value, kind)


def _wrap(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            result = function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  # it is raised where the body awaits it
            return _Done(None, error)
        if _is(result, Pages):
            return _FacePages(result)
        if _is(result, Iterator):
            return _asynchronous(result)
        if isinstance(result, FileStream):
            return _Done(_FaceFile(result), None)
        return _Face(result) if isinstance(result, Cabinet) else _Done(result, None)

    return call


async def _asynchronous(items: Iterator[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


class _Done:
    def __init__(self, result: Any, error: Exception | None) -> None:
        self._result = result
        self._error = error

    def __await__(self) -> Generator[None, None, Any]:
        if self._error is not None:
            raise self._error
        return self._result
        yield

    async def __aiter__(self) -> AsyncIterator[Any]:
        for item in await self:
            yield item

    def __getattr__(self, name: str) -> Any:
        # Only reached where a call that does not return an awaitable has failed, such as `with_options`.
        if self._error is not None:
            raise self._error
        raise AttributeError(name)


class _FacePages:
    def __init__(self, pages: Pages[Any]) -> None:
        self._pages = pages

    @property
    def token(self) -> str | None:
        return self._pages.token

    async def by_page(self, token: str | None = None) -> AsyncIterator[Page[Any]]:
        for page in self._pages.by_page(token):
            yield page

    async def __aiter__(self) -> AsyncIterator[Any]:
        for item in self._pages:
            yield item


class _FaceFile(_Face):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._target:
            yield chunk
