"""Lists that come in pages: fetched as they are iterated, resumable from a token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Generic, TypeVar, final
from urllib.parse import parse_qs, urlsplit

import attrs

from cabinet_sdk._core.arguments import checking
from cabinet_sdk._core.calls import answer
from cabinet_sdk._core.context import Context
from cabinet_sdk._core.flow import Flow
from cabinet_sdk._core.links import linked
from cabinet_sdk._core.operation import Listing
from cabinet_sdk._core.wire import Answer, origin_of
from cabinet_sdk.errors import InvalidRequest, UnreadableAnswer

__all__ = ["AsyncPages", "Page", "Pages"]

T = TypeVar("T")

# What callers know these parameters as; no row has a field of such a name.
_GIVEN_AS = {"cursor": "token", "limit": "page_size"}


@final
@attrs.frozen
class Page(Generic[T]):
    """
    One page of a list.

    Attributes:
        items: In the order of the list.
        token: Where the next page starts; None on the last one.
    """

    items: tuple[T, ...]
    token: str | None


@final
class _Reader(Generic[T]):
    """Where a walk through a list stands; knows no mode."""

    def __init__(self, context: Context, row: Listing[..., Any, T], request: object, token: str | None) -> None:
        self._context = context
        self._row = row
        self._request = request
        self.token = token
        self._seen = {token}
        self.ended = False

    def next_page(self) -> Flow[Page[T]]:
        """Fetch the page at the token and move on."""
        parameters = () if self.token is None else (("cursor", self.token),)
        try:
            got = yield from answer(self._context, self._row, self._request, parameters)
        except InvalidRequest as error:
            error.errors = tuple(
                attrs.evolve(each, field=_GIVEN_AS.get(each.field, each.field)) for each in error.errors
            )
            raise
        token = self._token_after(got)
        if token is not None and token in self._seen:
            raise self._unreadable(got, "The list leads back to a page that it showed before.")
        self._seen.add(token)
        self.token, self.ended = token, token is None
        return Page(tuple(got.value), token)

    def _token_after(self, got: Answer[list[T]]) -> str | None:
        header = got.headers.get("link")
        if header is None:
            return None
        target, readable, foreign = None, True, False
        try:
            target = linked(header, "next", f"{self._context.base_url}{self._row.path}")
            foreign = target is not None and origin_of(target) != origin_of(self._context.base_url)
        except ValueError:
            readable = False
        if not readable:
            # Out here, since what Python says shows a piece of the link.
            raise self._unreadable(got, "The link to the next page cannot be read.")
        if target is None:
            return None
        if foreign:
            raise self._unreadable(
                got, "The next page is at another host; it is not asked, so that no token gets there."
            )
        cursor = parse_qs(urlsplit(target).query).get("cursor")
        if not cursor:
            raise self._unreadable(got, "The link to the next page has no cursor.")
        return cursor[0]

    def _unreadable(self, got: Answer[Any], message: str) -> UnreadableAnswer:  # Any: of whatever items
        return UnreadableAnswer(message, status=got.status, request_id=got.request_id, operation=self._row.id)


@final
class Pages(Generic[T]):
    """
    A list: iterate over its items; the pages are fetched as you go, from the beginning in each iteration.

    Nothing is sent before the first item is asked for. Rows that are added or removed meanwhile are seen or not; the
    others are neither skipped nor shown twice.
    """

    def __init__(self, context: Context, row: Listing[..., Any, T], request: object) -> None:
        self._context = context
        self._row = row
        self._request = request
        self._token: str | None = None

    @property
    def token(self) -> str | None:
        """
        Where to resume with `by_page`: the first page that was not iterated to its end; None is the beginning.

        So a resumed walk shows the items of at most one page again and loses none.
        """
        return self._token

    @checking("Pages.by_page()", bound=True)
    def by_page(self, token: str | None = None) -> Iterator[Page[T]]:
        """Iterate over pages, from a token (`Page.token`, `Pages.token`) or from the beginning."""
        reader = _Reader(self._context, self._row, self._request, token)
        self._token = token
        while not reader.ended:
            page: Page[T] = self._context.perform(reader.next_page())
            yield page
            self._token = page.token

    def __iter__(self) -> Iterator[T]:
        for page in self.by_page():
            yield from page.items

    def __repr__(self) -> str:
        return f"<Pages of {self._row.id}>"


@final
class AsyncPages(Generic[T]):
    """
    A list: iterate over its items with ``async for``; the pages are fetched as you go, from the beginning each time.

    Nothing is sent before the first item is asked for. Rows that are added or removed meanwhile are seen or not; the
    others are neither skipped nor shown twice.
    """

    def __init__(self, context: Context, row: Listing[..., Any, T], request: object) -> None:
        self._context = context
        self._row = row
        self._request = request
        self._token: str | None = None

    @property
    def token(self) -> str | None:
        """
        Where to resume with `by_page`: the first page that was not iterated to its end; None is the beginning.

        So a resumed walk shows the items of at most one page again and loses none.
        """
        return self._token

    @checking("AsyncPages.by_page()", bound=True)
    async def by_page(self, token: str | None = None) -> AsyncIterator[Page[T]]:
        """Iterate over pages, from a token (`Page.token`, `AsyncPages.token`) or from the beginning."""
        reader = _Reader(self._context, self._row, self._request, token)
        self._token = token
        while not reader.ended:
            page: Page[T] = await self._context.perform(reader.next_page())
            yield page
            self._token = page.token

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.by_page():
            for item in page.items:
                yield item

    def __repr__(self) -> str:
        return f"<AsyncPages of {self._row.id}>"
