"""Requests and answers between their values and the wire, in both directions."""

from __future__ import annotations

import datetime as dt
import json
import types
import typing
from functools import cache
from typing import Any, NewType, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

import attrs
from hypothesis import strategies as st

from cabinet_sdk._core.answer_codec import decode_answer, encode_answer
from cabinet_sdk._core.operation import Download, Listing
from cabinet_sdk._core.request_codec import EncodedRequest, decode_request, encode_request
from cabinet_sdk.contract import CONTRACT, Row
from cabinet_sdk.errors import CabinetError, InvalidValue
from cabinet_sdk.transports import Headers, Response
from cabinet_sdk.types import Code, Identifier, Money, Period, SelfChecking
from reference_server import World
from reference_server.routing import Router

__all__ = ["answers", "breaches_of_sample", "misfits", "received", "requests", "returned"]

# Any: type expressions, JSON, and values of whatever types they describe.

_IDS = st.text("ABCXYZabcxyz0189_-", min_size=1, max_size=64)
_NAMED = {"cursor", "limit"}


def received(row: Row, value: object) -> Any:
    """Send a request by the client's encoder through the server's router and decoder; return what the server reads."""
    sent = encode_request(row, value)
    query = urlencode(sent.query)
    return read_request(row, row.method, sent.path + (f"?{query}" if query else ""), _json_of(sent))


def _json_of(sent: EncodedRequest) -> Any:
    return json.loads(sent.body) if isinstance(sent.body, bytes) else None


def read_request(row: Row, method: str, address: str, body: Any) -> Any:
    """Read a request as the server does, without what belongs to the listing and not to its filters."""
    parts = urlsplit(address)
    route, values = _router().match(method, parts.path)
    if route.row.id != row.id:
        msg = f"the address leads to {route.row.id}"
        raise ValueError(msg)
    query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    named = _NAMED if isinstance(row, Listing) else set[str]()
    return decode_request(route.row, values, [pair for pair in query if pair[0] not in named], body)


def returned(row: Row, value: object) -> Any:
    """Send an answer by the server's encoder to the client's decoder, and return what the client reads."""
    return read_answer(row, row.success_status, "application/json", encode_answer(value))


@cache
def _router() -> Router:
    World().close()  # It brings every area's handlers.
    return Router(CONTRACT)


def read_answer(row: Row, status: int, content_type: str, content: bytes) -> Any:
    """Read an answer as the client does."""
    response = Response(status=status, headers=Headers((("content-type", content_type),)), content=content)
    return decode_answer(response, row.response, row.id)


def breaches_of_sample(row: Row, sample: dict[str, Any]) -> list[str]:
    """Return what of a sample does not decode to the row's types, or encodes to something else again."""
    breaches: list[str] = []
    request, answer = sample["request"], sample["answer"]
    try:
        value = read_request(row, request["method"], request["path"], request["body"])
        breaches += [f"request: {misfit}" for misfit in misfits(value, row.request_class)]
        again = encode_request(row, value)
        body = _json_of(again)
        parts = urlsplit(str(request["path"]))
        query = tuple(pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in _NAMED)
        if (again.path, again.query, body) != (parts.path, query, request["body"]):
            breaches.append(f"request: it encodes to {again}")
    except (CabinetError, ValueError) as error:
        breaches.append(f"request: {error}")
    if answer["status"] != row.success_status:
        breaches.append(f"answer: the status is {row.success_status}, not {answer['status']}")
    if isinstance(row, Download):
        # What is in a file is the affair of the tests of its area.
        described = {"content-disposition", "content-type"} <= answer["headers"].keys()
        return breaches if described else [*breaches, "answer: the file has no name or no type"]
    try:
        content = json.dumps(answer["body"], ensure_ascii=False).encode()
        result = read_answer(row, answer["status"], answer["headers"].get("content-type", ""), content)
        breaches += [f"answer: {misfit}" for misfit in misfits(result, row.response)]
        if json.loads(encode_answer(result)) != answer["body"]:
            breaches.append(f"answer: it encodes to {encode_answer(result).decode()}")
    except CabinetError as error:
        breaches.append(f"answer: {error}")
    return breaches


def misfits(value: object, kind: Any, path: str = "$") -> list[str]:
    """Return the places where a value is not of the type that a type expression says, all the way down."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, NewType):
        found = misfits(value, kind.__supertype__, path)
    elif origin in {types.UnionType, typing.Union}:
        options = [misfits(value, each, path) for each in arguments]
        found = [] if [] in options else [misfit for option in options for misfit in option]
    elif type(value) is not (origin or kind):
        found = [f"{path} is a {type(value).__name__}, not a {(origin or kind).__name__}"]
    elif origin in {list, tuple}:
        items = enumerate(cast("list[object]", value))
        found = [misfit for number, item in items for misfit in misfits(item, arguments[0], f"{path}[{number}]")]
    elif attrs.has(kind):
        hints = typing.get_type_hints(kind)
        names = [field.name for field in attrs.fields(cast("Any", kind))]
        found = [each for name in names for each in misfits(getattr(value, name), hints[name], f"{path}.{name}")]
    else:
        found = []
    return found


def requests(row: Row) -> st.SearchStrategy[Any]:
    """Make any request of a row that the server must take."""
    return _values(row.request_class, asked=True)


def answers(row: Row) -> st.SearchStrategy[Any]:
    """Make any answer of a row, codes that this version does not know among it."""
    return _values(row.response, asked=False)


def _values(kind: Any, *, asked: bool) -> st.SearchStrategy[Any]:
    """
    Make values of a type.

    Args:
        kind: A type expression of those that may travel.
        asked: Whether it is a request, whose codes are known and whose lists hold 1 to 100 items.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    made: st.SearchStrategy[Any]
    if kind in _PLAIN:
        made = _PLAIN[kind]
    elif origin in {types.UnionType, typing.Union}:
        made = st.one_of([_values(each, asked=asked) for each in arguments])
    elif origin in {list, tuple}:
        items = st.lists(_values(arguments[0], asked=asked), min_size=1 if asked else 0, max_size=5)
        made = items.map(cast("Any", origin))
    elif isinstance(kind, NewType):
        made = _IDS
    elif attrs.has(kind):
        hints = typing.get_type_hints(kind)
        names = [field.name for field in attrs.fields(cast("Any", kind))]
        made = st.builds(kind, **{name: _values(hints[name], asked=asked) for name in names})
    elif issubclass(kind, Code):
        made = st.sampled_from(kind.members())
        if not asked:
            made |= st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True).map(kind)
    else:
        made = _identifiers(kind)
    return made


def _identifiers(kind: type[Identifier]) -> st.SearchStrategy[Identifier]:
    """Make identifiers that pass every check: the example, and others with their check digits computed."""
    lengths: tuple[int, ...] = getattr(kind, "_lengths", ())
    stems: tuple[int, ...] = getattr(kind, "_stem_lengths", ())

    def complete(text: str) -> Identifier | None:
        try:
            if issubclass(kind, SelfChecking):
                return kind.with_check_digits(text[: stems[lengths.index(len(text))]])
            return kind(text)
        except InvalidValue:
            return None

    made = st.from_regex(kind.pattern, fullmatch=True).map(complete).filter(lambda each: each is not None)
    return st.one_of(st.just(kind(kind.example)), cast("st.SearchStrategy[Identifier]", made))


_DAYS = st.dates(min_value=dt.date(1, 1, 1))
_CHARACTERS = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]) | st.sampled_from("\t\n\r")
_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    type(None): st.none(),
    str: st.text(_CHARACTERS, max_size=200),
    int: st.integers(-(10**18) + 1, 10**18 - 1),
    bool: st.booleans(),
    dt.date: _DAYS,
    dt.datetime: st.datetimes(timezones=st.just(dt.UTC)),
    Money: st.integers(-(2**63), 2**63 - 1).map(Money.from_kopecks),
    Period: st.tuples(_DAYS, _DAYS).map(lambda days: Period(min(days), max(days))),
}
