"""`Cabinet` and `AsyncCabinet`: the areas of a personal cabinet, opened and closed."""

from __future__ import annotations

import asyncio
import inspect
import random
import threading
import uuid
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, cast, final

import attrs

from cabinet_sdk._core.allowance import Allowance
from cabinet_sdk._core.arguments import check_fields, checking, make_request
from cabinet_sdk._core.context import (
    AroundAttempt,
    AroundCall,
    Context,
    OnDrift,
    OneKey,
    Options,
    checked_headers,
    checked_seconds,
)
from cabinet_sdk._core.flow import AsyncLock, Flow, Lock, perform, perform_async
from cabinet_sdk._core.journal import Journal
from cabinet_sdk._core.operation import MAX_LIMIT, Operation
from cabinet_sdk._core.per_process import LOADING
from cabinet_sdk._core.retry import RetryBudget, RetryPolicy
from cabinet_sdk._core.signin import Credentials, SignIn
from cabinet_sdk._core.transport import AsyncTransport, Transport, check_transport
from cabinet_sdk._core.wire import Answer, Timeout, parts_of
from cabinet_sdk.errors import UsageError

if TYPE_CHECKING:
    from cabinet_sdk._core.resuming import Resumed, Resuming
    from cabinet_sdk.charges.client import AsyncCharges, Charges

__all__ = ["AsyncCabinet", "Cabinet"]

P = ParamSpec("P")
T = TypeVar("T")


@final
class _Same:
    """The option stays as it is: None means *without limit* there."""

    def __repr__(self) -> str:
        return "unchanged"


_SAME = _Same()


class _Client:
    """What both clients are: views over a context."""

    _context: Context

    def with_options(
        self,
        *,
        deadline: float | _Same | None = _SAME,
        timeout: Timeout | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        page_size: int | None = None,
    ) -> Self:
        """
        Return a view of this client with other options; all else stays shared.

        That is the transport, the token, the retry budget, what the service still allows, the journal and the hooks.

        Args:
            deadline: Seconds for a call with all its attempts and pauses; None is without limit.
            timeout: Limits of one attempt.
            headers: To send besides those sent already, in place of one of the same name; what the client writes itself
                is refused.
            idempotency_key: For one keyed call: the view raises `UsageError` at a second one, and at a change without a
                key. Reads leave it alone.
            page_size: Items a page of a listing, 1 to 1000.
        """
        options = self._context.options
        if not isinstance(deadline, _Same):
            options = attrs.evolve(options, deadline=deadline)
        if timeout is not None:
            options = attrs.evolve(options, timeout=timeout)
        if headers is not None:
            merged = {**dict(options.headers), **dict(checked_headers(headers))}
            options = attrs.evolve(options, headers=tuple(merged.items()))
        if idempotency_key is not None:
            options = attrs.evolve(options, key=OneKey(idempotency_key))
        if page_size is not None:
            options = attrs.evolve(options, page_size=page_size)
        check_fields("with_options()", options)
        if options.page_size is not None and not 1 <= options.page_size <= MAX_LIMIT:
            raise UsageError(f"with_options(): page_size: expected 1 to {MAX_LIMIT}, got {options.page_size}")
        checked_seconds("with_options(): deadline", options.deadline)
        for name in ("connect", "idle", "total"):
            checked_seconds(f"with_options(): timeout.{name}", getattr(options.timeout, name))
        view = object.__new__(type(self))
        view._context = attrs.evolve(self._context, options=options)
        return view

    def _answering(
        self,
        row: Operation[..., Any, T],  # Any: any request class
        args: tuple[Any, ...],  # Any: its arguments
        kwargs: Mapping[str, Any],
    ) -> Flow[Answer[T]]:
        with LOADING:
            from cabinet_sdk._core.calls import answer  # noqa: PLC0415  # what the first call needs, or the first area

        return answer(self._context, row, make_request(row, args, kwargs))

    def _resuming(self) -> Resuming:
        from cabinet_sdk._core.resuming import Resuming  # noqa: PLC0415  # only those need it who have a journal

        if self._context.journal is None:
            msg = f"a {type(self).__name__} resumes what its journal has; give it one: journal=SqliteJournal(path)"
            raise UsageError(msg)
        return Resuming(self._context, self._context.journal, self._row_of)

    def _row_of(self, row_id: str) -> Operation[..., Any, Any] | None:  # Any: a row of whatever types
        from cabinet_sdk._core.area import row_of  # noqa: PLC0415  # an area brings it; none may be loaded yet

        return row_of(getattr(self, row_id.partition(".")[0], None), row_id)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self._context.base_url}>"


def _context(
    base_url: str,
    credentials: Credentials | None,
    *,
    transport: Transport | AsyncTransport,
    perform_flow: Callable[[Any], Any],  # Any: see Context.perform
    new_lock: Callable[[], Lock | AsyncLock],
    retry: RetryPolicy | None,
    journal: Journal | None,
    around_call: AroundCall | None,
    around_attempt: AroundAttempt | None,
    on_drift: OnDrift | None,
    new_id: Callable[[], str] | None,
    options: Options,
) -> Context:
    parts = parts_of(base_url)
    if parts is None:
        raise UsageError("the base URL cannot be read: its host or its port is none")
    host, port = parts.hostname, parts.port
    strange = not base_url.isprintable() or not set(" ?#\\").isdisjoint(base_url) or "@" in parts.netloc
    if parts.scheme not in {"http", "https"} or not host or strange:
        msg = f"a base URL is https://host/v1, without user, query and fragment; got one with scheme {parts.scheme!r}"
        raise UsageError(msg)
    if journal is not None and credentials is not None and not (credentials.client_id or "").strip():
        msg = "with a journal credentials must say whose they are, so that nobody else resumes: give {} a client_id"
        raise UsageError(msg.format(type(credentials).__name__))
    methods = ("begin", "settle", "release", "open_entries", "claim")
    if journal is not None and any(inspect.iscoroutinefunction(getattr(journal, name)) for name in methods):
        raise UsageError("the methods of a journal are plain functions, no async ones: they are called in threads")
    # One spelling of each address (RFC 3986 6.2), or what a journal has under another one would never be resumed.
    host = f"[{host}]" if ":" in host else host
    place = host if port in {None, {"http": 80, "https": 443}[parts.scheme]} else f"{host}:{port}"
    base_url = f"{parts.scheme}://{place}{parts.path}".rstrip("/")
    checked_seconds("deadline", options.deadline)
    retry = retry or RetryPolicy()
    return Context(
        base_url=base_url,
        transport=transport,
        perform=perform_flow,
        sign_in=SignIn(credentials, f"{base_url}/oauth/token", new_lock),
        retry=retry,
        budget=RetryBudget(retry.budget),
        allowance=Allowance(),
        journal=journal,
        around_call=around_call,
        around_attempt=around_attempt,
        on_drift=on_drift,
        new_id=new_id or _new_id,
        random=random.random,
        options=options,
    )


def _new_id() -> str:
    return str(uuid.uuid4())


@final
class Cabinet(_Client):
    """
    A personal cabinet, sync; ``with Cabinet(...) as cabinet:`` closes it.

    Thread-safe. There is no default address: give that of a reference server or of a service with the same contract.

    Args:
        base_url: With the base path, such as ``http://127.0.0.1:8080/v1``.
        credentials: `ClientCredentials` or `BearerToken`.
        transport: Another one than HTTP over httpx; the client closes it.
        deadline: Seconds for a call with all its attempts and pauses; None is without limit.
        retry: How stubborn; the attempts, delays and statuses stand in the guide to errors and retries.
        journal: Keeps what is filed, signed or paid until its outcome is known, for `resume`; the client does not
            close it.
        around_call: A hook around each call with all its attempts.
        around_attempt: A hook around each attempt.
        on_drift: A hook that is told what answers hold that this version does not know.
        new_id: Makes request ids and idempotency keys; UUIDs unless a test wants others.
    """

    _charges: Charges | None = None

    @checking("Cabinet()", bound=True)
    def __init__(
        self,
        base_url: str,
        credentials: Credentials | None = None,
        *,
        transport: Transport | None = None,
        deadline: float | None = 60.0,
        retry: RetryPolicy | None = None,
        journal: Journal | None = None,
        around_call: AroundCall | None = None,
        around_attempt: AroundAttempt | None = None,
        on_drift: OnDrift | None = None,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        if transport is None:
            from cabinet_sdk._core.httpx_transport import HttpxTransport  # noqa: PLC0415  # heavy, and not needed with another

            transport = HttpxTransport()
        check_transport(transport, asynchronous=False)
        self._context = _context(
            base_url,
            credentials,
            transport=transport,
            perform_flow=partial(perform, transport=transport),
            new_lock=threading.RLock,
            retry=retry,
            journal=journal,
            around_call=around_call,
            around_attempt=around_attempt,
            on_drift=on_drift,
            new_id=new_id,
            options=Options(deadline=deadline),
        )

    @property
    def charges(self) -> Charges:
        """Charges, and paying them."""
        # No `cached_property`: that of Python 3.11 has a lock, which a fork may leave taken.
        if self._charges is None:
            with LOADING:
                from cabinet_sdk.charges.client import Charges  # noqa: PLC0415  # each area is loaded on first use

            self._charges = Charges(self._context)
        return self._charges

    def answer(
        self, row: Operation[P, Any, T], *args: P.args, **kwargs: P.kwargs
    ) -> Answer[T]:  # Any: any request class
        """Make a call of any row and return its whole answer; of a listing it is one page, a `list`."""
        result: Answer[T] = self._context.perform(self._answering(row, args, kwargs))
        return result

    def resume(self) -> Generator[Resumed]:
        """
        Bring what earlier calls of this client left open in its journal to its outcome, one after the other.

        Call it when the program starts, and again while something stays unknown. Each operation is sent under the id
        that it had, so it cannot happen twice; what another call or process is at is left to it. Each has the deadline
        of a call. Nothing happens until the first one is asked for, and an operation is forgotten when the next one is:
        if the program ends before, it is told again.

        Raises:
            JournalFailed: The journal cannot be read.
            UsageError: The client has no journal.
        """
        return self._resume(self._resuming())

    def _resume(self, resuming: Resuming) -> Generator[Resumed]:
        try:
            while True:
                resumed: Resumed | None = self._context.perform(resuming.next())
                if resumed is None:
                    return
                yield resumed
        finally:
            self._context.perform(resuming.end())

    def close(self) -> None:
        """
        Close the transport, and with it all views; more than once does nothing.

        Nothing more is sent. What is on its way comes to its end: a call of another thread, and a file that was opened,
        until it is closed.
        """
        cast("Transport", self._context.transport).close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


@final
class AsyncCabinet(_Client):
    """
    A personal cabinet, async; ``async with AsyncCabinet(...) as cabinet:`` closes it.

    For one event loop (asyncio). There is no default address: give that of a reference server or of a service with the
    same contract.

    Args:
        base_url: With the base path, such as ``http://127.0.0.1:8080/v1``.
        credentials: `ClientCredentials` or `BearerToken`.
        transport: Another one than HTTP over httpx; the client closes it.
        deadline: Seconds for a call with all its attempts and pauses; None is without limit.
        retry: How stubborn; the attempts, delays and statuses stand in the guide to errors and retries.
        journal: Keeps what is filed, signed or paid until its outcome is known, for `resume`; the client does not
            close it.
        around_call: A hook around each call with all its attempts.
        around_attempt: A hook around each attempt.
        on_drift: A hook that is told what answers hold that this version does not know.
        new_id: Makes request ids and idempotency keys; UUIDs unless a test wants others.
    """

    _charges: AsyncCharges | None = None

    @checking("AsyncCabinet()", bound=True)
    def __init__(
        self,
        base_url: str,
        credentials: Credentials | None = None,
        *,
        transport: AsyncTransport | None = None,
        deadline: float | None = 60.0,
        retry: RetryPolicy | None = None,
        journal: Journal | None = None,
        around_call: AroundCall | None = None,
        around_attempt: AroundAttempt | None = None,
        on_drift: OnDrift | None = None,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        if transport is None:
            from cabinet_sdk._core.httpx_transport import AsyncHttpxTransport  # noqa: PLC0415  # heavy, and not needed with another

            transport = AsyncHttpxTransport()
        check_transport(transport, asynchronous=True)
        self._context = _context(
            base_url,
            credentials,
            transport=transport,
            perform_flow=partial(perform_async, transport=transport),
            new_lock=asyncio.Lock,
            retry=retry,
            journal=journal,
            around_call=around_call,
            around_attempt=around_attempt,
            on_drift=on_drift,
            new_id=new_id,
            options=Options(deadline=deadline),
        )

    @property
    def charges(self) -> AsyncCharges:
        """Charges, and paying them."""
        # As there.
        if self._charges is None:
            with LOADING:
                from cabinet_sdk.charges.client import AsyncCharges  # noqa: PLC0415  # each area is loaded on first use

            self._charges = AsyncCharges(self._context)
        return self._charges

    async def answer(
        self, row: Operation[P, Any, T], *args: P.args, **kwargs: P.kwargs
    ) -> Answer[T]:  # Any: any request class
        """Make a call of any row and return its whole answer; of a listing it is one page, a `list`."""
        result: Answer[T] = await self._context.perform(self._answering(row, args, kwargs))
        return result

    def resume(self) -> AsyncGenerator[Resumed]:
        """
        Bring what earlier calls of this client left open in its journal to its outcome, one after the other.

        Call it when the program starts, and again while something stays unknown. Each operation is sent under the id
        that it had, so it cannot happen twice; what another call or process is at is left to it. Each has the deadline
        of a call. Nothing happens until the first one is asked for, and an operation is forgotten when the next one is:
        if the program ends before, it is told again.

        Raises:
            JournalFailed: The journal cannot be read.
            UsageError: The client has no journal.
        """
        return self._resume(self._resuming())

    async def _resume(self, resuming: Resuming) -> AsyncGenerator[Resumed]:
        try:
            while True:
                resumed: Resumed | None = await self._context.perform(resuming.next())
                if resumed is None:
                    return
                yield resumed
        finally:
            await self._context.perform(resuming.end())

    async def close(self) -> None:
        """
        Close the transport, and with it all views; more than once does nothing.

        Nothing more is sent. What is on its way comes to its end: a call of another task, and a file that was opened,
        until it is closed.
        """
        await cast("AsyncTransport", self._context.transport).aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
