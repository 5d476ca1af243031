"""
Requests and answers as values: what every transport carries, whatever it is made of.

Rule: nothing of an HTTP library appears here or anywhere above; only the adapter in `cabinet_sdk.transports` knows one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, Generic, Protocol, Self, TypeVar, cast, final
from urllib.parse import SplitResult, urlsplit

import attrs

from cabinet_sdk._core.redaction import shown_headers, shown_url

__all__ = [
    "Answer",
    "AsyncByteStream",
    "Body",
    "ByteStream",
    "Headers",
    "Request",
    "Response",
    "Timeout",
    "media_type_of",
    "origin_of",
    "parts_of",
]

T = TypeVar("T")

_LONGEST_REQUEST_ID = 128


@final
class Headers(Mapping[str, str]):
    """
    Header fields: names without regard to case, repeated ones kept.

    ``headers["name"]`` joins repeated fields with a comma, as RFC 9110 5.3 allows.
    """

    __slots__ = ("_pairs", "_values")

    def __init__(self, pairs: Iterable[tuple[str, str]] | Mapping[str, str] = ()) -> None:
        fields: Any = pairs  # Any: narrowed step by step, the checkers lose what is in it
        # Each call makes some of a list; to ask of that whether it is a mapping would cost as much as all the rest.
        if type(pairs) is not list and isinstance(pairs, Mapping):
            fields = cast("Mapping[str, str]", pairs).items()
        self._pairs: tuple[tuple[str, str], ...] = tuple([(name.lower(), value) for name, value in fields])
        self._values: dict[str, str] | None = None

    @classmethod
    def received(cls, fields: Iterable[tuple[bytes, bytes]]) -> Self:
        """Return fields as a server gets them: bytes, names in lower case."""
        self = cls.__new__(cls)
        self._pairs = tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields])
        self._values = None
        return self

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    # Overridden because the inherited one raises and catches on each miss, many times a call.
    # Narrower than a mapping's on purpose: the value of a field is text or missing.
    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the field's value, repeated ones joined with a comma."""
        if self._values is None:
            # Made when first asked, since many are only passed on.
            values: dict[str, str] = {}
            for key, value in self._pairs:
                values[key] = f"{values[key]}, {value}" if key in values else value
            self._values = values
        return self._values.get(name.lower(), default)

    # For the same reason: it is asked for fields that are seldom there.
    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for name, _ in self._pairs))

    def __len__(self) -> int:
        return len({name for name, _ in self._pairs})

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Return every field in its order, names in lower case."""
        return self._pairs

    def __repr__(self) -> str:
        return f"Headers({shown_headers(self._pairs)!r})"


@final
@attrs.frozen(kw_only=True)
class Timeout:
    """
    How long one attempt may take, in seconds; None is without limit.

    Attributes:
        connect: Until a connection stands.
        idle: Between two bytes, either way.
        total: Until the whole answer is there, or the head of a streamed one. Where the deadline leaves less, that.
    """

    connect: float | None = 10.0
    idle: float | None = 30.0
    total: float | None = None


class ByteStream(Protocol):
    """The body of an answer as it comes; iterate once, close always."""

    def __iter__(self) -> Iterator[bytes]: ...
    def close(self) -> None: ...


class AsyncByteStream(Protocol):
    """The body of an answer as it comes; iterate once, close always."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...
    async def aclose(self) -> None: ...


class Body(Protocol):
    """
    The body of a request that is too large for memory. A transport sends what it iterates over.

    Each iteration begins at the beginning, for an attempt of its own. Reading it may wait for a disk.
    """

    @property
    def length(self) -> int | None:
        """In bytes, and then exactly so many come; None where nobody knows before the end."""
        ...

    @property
    def spent(self) -> bool:
        """Whether it has been iterated over and cannot be again, so that there is no other attempt."""
        ...

    def __iter__(self) -> Iterator[bytes]: ...


@final
@attrs.frozen(kw_only=True, repr=False)
class Request:
    """
    One attempt, complete: a transport sends it as it stands and adds nothing that changes its meaning.

    Attributes:
        method: In upper case.
        url: Absolute.
        headers: All but `Host` and `Content-Length`, which the transport writes.
        content: The body; a `Body` is sent as it is read.
        timeout: How long the attempt may take.
        stream: Whether the body of a good answer (below 300) is wanted as a stream.
        answer_limit: The largest body in bytes that may be read into memory; more is `UnreadableAnswer`.
    """

    method: str
    url: str
    headers: Headers = Headers()
    content: bytes | Body = b""
    timeout: Timeout = Timeout()
    stream: bool = False
    answer_limit: int = 64 * 1024 * 1024

    def __repr__(self) -> str:
        length = len(self.content) if isinstance(self.content, bytes) else self.content.length
        return f"<Request {self.method} {shown_url(self.url)} {shown_headers(self.headers.pairs())} {length} B>"


@final
@attrs.frozen(kw_only=True, repr=False)
class Response:
    """
    An answer: its body in `content`, or in `stream` where the request asked for that.

    Attributes:
        status: The HTTP status.
        headers: As they came.
        content: The whole body, content codings undone.
        stream: The body to come, for a transport of the same mode.
    """

    status: int
    headers: Headers = Headers()
    content: bytes = b""
    stream: ByteStream | AsyncByteStream | None = None

    @property
    def request_id(self) -> str | None:
        """Under which the service says that it knows the request; None where it says none that can stand in a log."""
        told = self.headers.get("x-request-id")
        return told if told and len(told) <= _LONGEST_REQUEST_ID and told.isprintable() else None

    def __repr__(self) -> str:
        return f"<Response {self.status} {shown_headers(self.headers.pairs())} {len(self.content)} B>"


def media_type_of(response: Response) -> str:
    """Return the media type without its parameters, as it is compared; empty where there is none."""
    return (response.headers.get("content-type") or "").partition(";")[0].strip().lower()


def parts_of(url: str) -> SplitResult | None:
    """
    Return the parts of an address, None where its host or its port is none.

    No error, for what Python says of it shows a piece, which may be of a password, even to those who catch it.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port: two addresses with the same three may share secrets."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port


@final
@attrs.frozen(kw_only=True, repr=False)
class Answer(Generic[T]):
    """
    A good answer with all that came with it.

    Attributes:
        value: The typed result.
        status: The HTTP status.
        headers: As they came.
        content: The body as it came, with the fields that this version of the SDK does not know.
        request_id: Under which the service knows the call.
        operation_id: The idempotency key that was sent, None for a read.
        attempts: How many it took, without those for a token.
    """

    value: T
    status: int
    headers: Headers
    content: bytes
    request_id: str
    operation_id: str | None
    attempts: int

    def __repr__(self) -> str:
        return f"<Answer {self.status} after {self.attempts} attempt(s), request id {self.request_id}>"
