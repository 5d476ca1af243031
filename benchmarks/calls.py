"""A call by the client and its parts, without a network: all sides get the same bytes from the same httpx transport."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable
from itertools import cycle
from typing import Annotated, Any, Union, cast

import attrs
import httpx
import pydantic
from pydantic_core import core_schema

from benchmarks import peers
from benchmarks.harness import Figure, Task, compare, row
from benchmarks.samples import URL, Canned, canned_client, charges_one_by_one, pages_of_charges
from cabinet_sdk._core.answer_codec import decode_answer
from cabinet_sdk._core.wire import Headers, Response
from cabinet_sdk.charges import Charge, ChargeId
from cabinet_sdk.charges.operations import LIST_CHARGES
from cabinet_sdk.types import Code, Identifier, Money, Period

__all__: list[str] = []


def _bare(*contents: bytes) -> Task:
    client = httpx.Client(transport=Canned(*contents))
    return lambda: client.get(f"{URL}/charges").json()


@row("get", "One GET, with a typed result, token, retries and deadline, over bare httpx and `.json()`", goal=1.0)
def get() -> Figure:
    """Read one charge, each at an address of its own: the same one would flatter whoever keeps what it took apart."""
    contents = charges_one_by_one()
    ids = [ChargeId(json.loads(content)["id"]) for content in contents]
    assert len(set(ids)) > 500
    charges, bare = canned_client(*contents).charges, httpx.Client(transport=Canned(*contents))
    asked, addresses = cycle(ids), cycle(f"{URL}/charges/{charge_id}" for charge_id in ids)
    assert charges.get(next(asked)).purpose == json.loads(contents[0])["purpose"]
    ratio, cost = compare(lambda: charges.get(next(asked)), lambda: bare.get(next(addresses)).json())
    found = peers.measured(peers.one_object(), lambda task, body: compare(task, _bare(body))[0])
    return Figure(ratio, f"{cost:.0f} µs a call.", found)


@row(
    "page",
    "A page of 100 charges, over bare httpx and `.json()`",
    goal=1.0,
    why=(
        "`.json()` makes dictionaries of strings, and no more. Of our time a third goes into parsing and making the"
        " objects, which msgspec does in C in two thirds of the time of the dictionaries; a quarter into looking up"
        " 1 700 identifiers, codes and amounts, most of which were there before, a tenth of a microsecond each, in C"
        " too; a fifth into making the 240 that are new in each page, half a microsecond each; the rest is the call,"
        " which is cheaper than the bare one. Were nothing new, it would be the figure of the same page each time."
    ),
)
def page() -> Figure:
    """Read a page of charges."""
    contents = pages_of_charges()
    cabinet = canned_client(*contents)
    ratio, cost = compare(lambda: cabinet.answer(LIST_CHARGES), _bare(*contents))
    same = canned_client(contents[0])
    again, _ = compare(lambda: same.answer(LIST_CHARGES), _bare(contents[0]))
    found = peers.measured(peers.hundred_objects(contents[0]), lambda task, body: compare(task, _bare(body))[0])
    length = len(contents[0]) // 1000
    return Figure(ratio, f"{cost:.0f} µs a page of {length} KB. {again} where it is the same page each time.", found)


@row("decode", "Decoding that page, over pydantic that does the same conversions", goal=0.8)
def decode() -> Figure:
    """Turn bytes into charges."""
    contents = pages_of_charges()
    kind: Any = list.__class_getitem__(_in_pydantic(Charge))  # Any: made while this runs
    same = cast("pydantic.TypeAdapter[list[Charge]]", pydantic.TypeAdapter(kind))
    head = Headers((("content-type", "application/json"),))
    ours, theirs, dictionaries = cycle(contents), cycle(contents), cycle(contents)

    def decoded() -> list[Charge]:
        response = Response(status=200, headers=head, content=next(ours))
        return cast("list[Charge]", decode_answer(response, list[Charge], "charges.list"))

    one, other = decoded()[0], same.validate_json(next(theirs))[0]
    assert (one.due, one.status, one.requisites.kbk) == (other.due, other.status, other.requisites.kbk)
    ratio, cost = compare(decoded, lambda: same.validate_json(next(theirs)))
    plain, _ = compare(decoded, lambda: json.loads(next(dictionaries)))
    return Figure(ratio, f"{cost:.0f} µs a page; {plain} of `json.loads()`, which makes dictionaries.")


def _in_pydantic(kind: Any) -> Any:  # Any: type expressions
    """Return what pydantic needs to read the same JSON into the same values."""
    if attrs.has(kind):
        hints = typing.get_type_hints(kind)
        fields: dict[str, Any] = {
            each.name: (_in_pydantic(hints[each.name]), ... if each.default is attrs.NOTHING else each.default)
            for each in attrs.fields(kind)
        }
        return pydantic.create_model(kind.__name__, **fields)
    if isinstance(kind, type) and issubclass(kind, Code | Identifier | Money | Period):
        read = cast("Callable[[str], object]", Period.parse if kind is Period else cast("Any", kind).trusted)
        schema = core_schema.no_info_after_validator_function(read, core_schema.str_schema())
        return Annotated[Any, pydantic.GetPydanticSchema(lambda _source, _handler: schema)]
    arguments = tuple(_in_pydantic(each) for each in typing.get_args(kind) if each is not Ellipsis)
    origin = typing.get_origin(kind)
    if origin in {Union, types.UnionType}:
        return Union[arguments]  # noqa: UP007  # made while this runs
    if origin is tuple:
        return cast("Any", tuple)[arguments[0], ...]
    return cast("Any", kind)
