"""
Conversations without I/O, and the two drivers that hold them.

A flow is a generator: it yields *effects*, what it wants done outside, is sent what came of each, and returns a result.
Whatever takes more than one exchange (retry, sign-in, paging, waiting for a job) is written once as a flow and composed
with ``yield from``, which keeps the types.

Rule: `perform` and `perform_async` are the only functions that wait. An error of an effect is thrown into the flow, so
that retrying is the flow's decision; ``finally`` in a flow runs also when a task is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVar, assert_never, cast, final

import attrs

from cabinet_sdk._core.per_process import PerProcess
from cabinet_sdk._core.transport import AsyncTransport, Transport
from cabinet_sdk._core.wire import AsyncByteStream, ByteStream, Request, Response
from cabinet_sdk.errors import UsageError

__all__ = [
    "Acquire",
    "AsyncLock",
    "Close",
    "Effect",
    "Exchange",
    "Flow",
    "Lock",
    "Pause",
    "ReadChunk",
    "Run",
    "acquire",
    "close",
    "exchange",
    "pause",
    "perform",
    "perform_async",
    "read_chunk",
    "release",
    "run",
]

T = TypeVar("T")

_THREADS = PerProcess(partial(ThreadPoolExecutor, 8, thread_name_prefix="cabinet_sdk"))


class Lock(Protocol):
    """A lock of the sync mode (`threading.RLock`): the handler of a signal may call the client its thread is in."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool: ...  # noqa: FBT001, FBT002  # as it is there
    def release(self) -> None: ...


class AsyncLock(Protocol):
    """A lock of the async mode (`asyncio.Lock`)."""

    async def acquire(self) -> bool: ...
    def release(self) -> None: ...


@final
@attrs.frozen
class Exchange:
    """Send the request; the result is the answer."""

    request: Request


@final
@attrs.frozen
class Pause:
    """Wait that many seconds."""

    seconds: float


@final
@attrs.frozen
class Acquire:
    """Take the lock within so many seconds; releasing it does not wait and is done by the flow itself."""

    lock: Lock | AsyncLock
    seconds: float | None


@final
@attrs.frozen
class ReadChunk:
    """Read on in the body of an answer; the result is None at its end."""

    chunks: Iterator[bytes] | AsyncIterator[bytes]


@final
@attrs.frozen
class Close:
    """Give back the connection of an answer, read to its end or not."""

    stream: ByteStream | AsyncByteStream


@final
@attrs.frozen
class Run:
    """
    Call a function that waits for a disk or computes for long; the result is its own.

    Attributes:
        function: What to call.
        whole: Whether a task that is cancelled meanwhile goes on waiting for the function, and ends only then.
        apart: Whether it gets threads that nothing else takes. Those of the event loop may all be waiting for the very
            call, or for a resolver that is silent.
    """

    function: Callable[[], object]
    whole: bool
    apart: bool


Effect: TypeAlias = Exchange | Pause | Acquire | ReadChunk | Close | Run

Flow: TypeAlias = Generator[Effect, Any, T]
"""A conversation that returns a `T`. What is sent in depends on the effect: only the functions below yield effects."""


def exchange(request: Request) -> Flow[Response]:
    """
    Send the request and return the answer.

    Raises:
        TypeError: The transport, which may be anybody's, gave back something else.
    """
    response: Any = yield Exchange(request)
    if isinstance(response, Response):
        return response
    raise TypeError(f"send() of a transport returns a Response, not {type(response).__name__}")


def pause(seconds: float) -> Flow[None]:
    """Wait."""
    yield Pause(seconds)


def acquire(lock: Lock | AsyncLock, seconds: float | None) -> Flow[bool]:
    """Take the lock within so many seconds and say whether it is taken; with `release` in a ``finally`` around it."""
    taken: bool = yield Acquire(lock, seconds)
    return taken


def release(lock: Lock | AsyncLock, *, taken: bool) -> None:
    """Give a lock back, also where an interrupt came once it was taken and before that could be noted."""
    if isinstance(lock, asyncio.Lock):
        # Interrupts are cancellations there and come between steps. It would not say whose it is.
        if taken:
            lock.release()
        return
    with suppress(RuntimeError):
        lock.release()


def read_chunk(chunks: Iterator[bytes] | AsyncIterator[bytes]) -> Flow[bytes | None]:
    """Read the next bytes, None at the end."""
    chunk: bytes | None = yield ReadChunk(chunks)
    return chunk


def close(stream: ByteStream | AsyncByteStream) -> Flow[None]:
    """Give back the connection of an answer."""
    yield Close(stream)


def run(function: Callable[[], T], *, whole: bool = False, apart: bool = False) -> Flow[T]:
    """Call a function that waits for a disk or computes for long, in async mode in a thread of its own."""
    result: T = yield Run(function, whole, apart)
    return result


def perform(flow: Flow[T], transport: Transport) -> T:
    """Hold the conversation, waiting in this thread."""
    try:
        effect = next(flow)
        while True:
            try:
                result = _do(effect, transport)
            except BaseException as error:  # noqa: BLE001  # the flow decides, also on an interrupt
                effect = flow.throw(error)
            else:
                effect = flow.send(result)
    except StopIteration as end:
        return cast("T", end.value)
    except BaseException:
        # An interrupt may come between two steps: what the flow holds is given back now, not with its last reference.
        flow.close()
        raise


async def perform_async(flow: Flow[T], transport: AsyncTransport) -> T:
    """
    Hold the conversation, waiting in this task.

    Raises:
        UsageError: No event loop of asyncio runs here; with another one, a call would end half-way.
    """
    try:
        effect = next(flow)
        _expect_asyncio()
        while True:
            try:
                result = await _do_async(effect, transport)
            except BaseException as error:  # noqa: BLE001  # the flow decides, also on a cancellation
                effect = flow.throw(error)
            else:
                effect = flow.send(result)
    except StopIteration as end:
        return cast("T", end.value)
    except BaseException:
        flow.close()
        raise


def _expect_asyncio() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise UsageError("an AsyncCabinet needs the event loop of asyncio: asyncio.run(…)") from None


# The casts below hold since a client makes its locks and takes its streams from a transport of its own mode.


def _do(effect: Effect, transport: Transport) -> object:
    match effect:
        case Exchange():
            return transport.send(effect.request)
        case Pause():
            transport.sleep(effect.seconds)
        case Acquire():
            return cast("Lock", effect.lock).acquire(timeout=-1 if effect.seconds is None else max(0.0, effect.seconds))
        case ReadChunk():
            return next(cast("Iterator[bytes]", effect.chunks), None)
        case Close():
            cast("ByteStream", effect.stream).close()
        case Run():
            return effect.function()
        case _:
            assert_never(effect)
    return None


async def _do_async(effect: Effect, transport: AsyncTransport) -> object:
    match effect:
        case Exchange():
            sending: Any = transport.send(effect.request)
            if isinstance(sending, Response):
                raise TypeError("send() of an AsyncCabinet's transport is an async def")
            return await sending
        case Pause():
            await transport.sleep(effect.seconds)
        case Acquire():
            try:
                async with asyncio.timeout(effect.seconds):
                    return await cast("AsyncLock", effect.lock).acquire()
            except TimeoutError:
                return False
        case ReadChunk():
            return await anext(cast("AsyncIterator[bytes]", effect.chunks), None)
        case Close():
            await cast("AsyncByteStream", effect.stream).aclose()
        case Run():
            work = _in_own_thread(effect.function) if effect.apart else asyncio.to_thread(effect.function)
            return await (_to_its_end(work) if effect.whole else work)
        case _:
            assert_never(effect)
    return None


async def _in_own_thread(function: Callable[[], object]) -> object:
    return await asyncio.get_running_loop().run_in_executor(_THREADS.get(), copy_context().run, function)


async def _to_its_end(work: Coroutine[Any, Any, object]) -> object:  # Any: what a coroutine has no use for here
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        # Whoever cancels again, as a loop that is being closed does, is not made to wait.
        await asyncio.wait([task])
        # Looked at, or it would be logged as one that nobody heard of.
        if not task.cancelled():
            task.exception()
        raise
