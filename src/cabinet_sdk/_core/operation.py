"""
A row of the contract: one operation, declared once and read by client, server, OpenAPI, docs and tests.

Where a field of the request class travels follows from its name and the method: a name in the path template is a path
parameter; the rest is the query of a GET or DELETE and the JSON body of anything else.

A cursor and a limit belong to the kind `Listing`, an idempotency key to `Repeat.KEYED`: request classes hold neither.
"""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Generic, Literal, ParamSpec, TypeAlias, TypeVar, cast, final, get_args, get_type_hints

import attrs

from cabinet_sdk.errors import Problem
from cabinet_sdk.types.files import File

__all__ = [
    "MAX_LIMIT",
    "Call",
    "Download",
    "Job",
    "Listing",
    "Method",
    "Operation",
    "Permission",
    "Repeat",
    "Upload",
    "documentation_of",
    "several",
]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

MAX_LIMIT = 1000
"""Items that a page of a `Listing` has at most."""

Method: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


def several(items: Sequence[T]) -> tuple[T, ...]:
    """
    Return what a caller gives as any sequence as the tuple that a request holds.

    A converter of a request class calls it, since type checkers read the types of converters that are not generic.
    """
    kind = type(items)
    # For callers without a type checker: what is none is left as it is, and refused in the words of the method.
    if issubclass(kind, Sequence) and not issubclass(kind, str | bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
        return tuple(items)
    return cast("tuple[T, ...]", items)


def documentation_of(kind: type[object]) -> str:
    """Return the docstring of a class; the arguments of a request that it extends follow its own."""
    bases = [inspect.getdoc(base) or "" for base in kind.__mro__[1:] if attrs.has(base)]
    inherited = [text.partition("\nArgs:\n")[2] for text in bases]
    return "\n".join([inspect.getdoc(kind) or "", *filter(None, inherited)])


@final
@enum.unique
class Repeat(enum.Enum):
    """How an operation may be repeated when its answer is lost."""

    SAFE = "safe"
    """It changes nothing: repeated freely."""
    KEYED = "keyed"
    """It changes something once for each `Idempotency-Key`: repeated with the same key only."""
    NEVER = "never"
    """Repeated only where nothing of it was sent."""


@final
@attrs.frozen
class Permission:
    """
    What a token must allow.

    Attributes:
        code: As in a token's scope: ``charges.read``.
        label: In Russian, as a person grants it.
    """

    code: str
    label: str


def _repeat_by_method(row: Operation[..., Any, Any]) -> Repeat:
    return Repeat.SAFE if row.method == "GET" else Repeat.KEYED


def _durable_by_method(row: Operation[..., Any, Any]) -> bool:
    return row.method == "POST" and row.repeat is Repeat.KEYED and not isinstance(row, Upload)


@lru_cache(maxsize=1024)
def _names_in(template: str) -> tuple[str, ...]:
    return tuple(re.findall(r"{(\w+)}", template))


@attrs.frozen(eq=False, repr=False)
class Operation(Generic[P, R, T]):
    """
    What every kind of row declares; the kinds are its subclasses, a closed set.

    Attributes:
        id: Area and verb: ``charges.pay``.
        method: The HTTP method.
        path: Template below the base path: ``/charges/{charge_id}``.
        request: The request class: its signature is the method's, its docstring the operation's.
        response: What the answer decodes to.
        permission: What the token must allow.
        repeat: How it may be repeated; reads are safe and changes keyed unless the row says otherwise.
        errors: The problems of its own that it may answer, besides those that any operation may.
        created: The row that reads what this one creates: its address is the answer's `Location`.
        durable: Whether a client with a journal keeps it there until its outcome is known, to be resumed days later:
            every keyed POST but uploads, unless the row says otherwise. A row that carries a secret says otherwise,
            and so does one that is worth nothing later. Edits are left out, since a late one would undo others.
    """

    id: str
    method: Method
    path: str
    request: Callable[P, R]
    response: type[T]
    permission: Permission = attrs.field(kw_only=True)
    repeat: Repeat = attrs.field(default=attrs.Factory(_repeat_by_method, takes_self=True), kw_only=True)
    errors: tuple[type[Problem], ...] = attrs.field(default=(), kw_only=True)
    created: Operation[..., Any, Any] | None = attrs.field(default=None, kw_only=True)  # Any: a row of whatever types
    durable: bool = attrs.field(default=attrs.Factory(_durable_by_method, takes_self=True), kw_only=True)

    def __attrs_post_init__(self) -> None:
        missing = [name for name in self.path_fields if name not in attrs.fields_dict(self.request_class)]
        if missing:
            msg = f"{self.id}: the path needs {missing}, which {self.request_class.__name__} does not have"
            raise TypeError(msg)
        if self.durable and (self.repeat is not Repeat.KEYED or isinstance(self, Upload)):
            msg = f"{self.id}: only a keyed row whose request is no file can be durable"
            raise TypeError(msg)

    @property
    def request_class(self) -> type[Any]:  # Any: attrs reads the class' fields at run time
        """The request class as a class; `request` is typed as a callable to carry its signature."""
        if not isinstance(self.request, type):
            msg = f"{self.id}: the request must be an attrs class, not {self.request!r}"
            raise TypeError(msg)
        return self.request

    @property
    def area(self) -> str:
        """The area that the row belongs to."""
        return self.id.partition(".")[0]

    @property
    def path_fields(self) -> tuple[str, ...]:
        """The names in the path template, in their order."""
        return _names_in(self.path)

    @property
    def summary(self) -> str:
        """What the operation does, in one sentence."""
        return documentation_of(self.request_class).partition("\n")[0]

    @property
    def success_status(self) -> int:
        """The status of a good answer: 201 where something is created."""
        return 200 if self.created is None else 201

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}: {self.method} {self.path}>"


@final
@attrs.frozen(eq=False, repr=False)
class Call(Operation[P, R, T]):
    """One request, one typed answer."""


@final
@attrs.frozen(eq=False, repr=False)
class Listing(Operation[P, R, list[T]]):
    """A list that comes in pages: an array an answer, the next page in `Link`."""

    @property
    def item(self) -> type[T]:
        """The type of one item."""
        item: type[T] = get_args(self.response)[0]
        return item


@final
@attrs.frozen(eq=False, repr=False)
class Job(Operation[P, R, T]):
    """Starts work that takes time: the answer is a resource with a status, and a flow waits for it by its id."""


@final
@attrs.frozen(eq=False, repr=False)
class Upload(Operation[P, R, T]):
    """
    A multipart request that streams a file: exactly one field of the request class is a `File`, the others are text.

    Attributes:
        max_bytes: The largest file that the service takes.
    """

    max_bytes: int = attrs.field(default=10 * 1024 * 1024, kw_only=True)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        files = [name for name, kind in get_type_hints(self.request_class).items() if kind is File]
        if len(files) != 1 or files[0] in self.path_fields:
            msg = f"{self.id}: {self.request_class.__name__} must have exactly one field of type File, not {len(files)}"
            raise TypeError(msg)

    @property
    def file_field(self) -> str:
        """The name of the field that is the file."""
        return next(name for name, kind in get_type_hints(self.request_class).items() if kind is File)


@final
@attrs.frozen(eq=False, repr=False)
class Download(Operation[P, R, bytes]):
    """
    An answer that is a file and streams; `bytes` is what the whole of it is.

    Attributes:
        media_types: What it may be.
    """

    response: type[bytes] = attrs.field(default=bytes, init=False)
    media_types: tuple[str, ...] = attrs.field(default=("*/*",), kw_only=True)
