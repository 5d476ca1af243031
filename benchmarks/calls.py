"""A call by the client and its parts, without a network: all sides get the same bytes from the same httpx transport."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, Union, cast

import attrs
import httpx
import pydantic
from pydantic_core import core_schema

from benchmarks import peers
from benchmarks.harness import Figure, Task, compare, row
from benchmarks.samples import URL, Canned, canned_client, one_charge, page_of_charges
from cabinet_sdk._core.answer_codec import decode_answer
from cabinet_sdk._core.wire import Headers, Response
from cabinet_sdk.charges import Charge, ChargeId
from cabinet_sdk.charges.operations import LIST_CHARGES
from cabinet_sdk.types import Code, Identifier, Money, Period

__all__: list[str] = []


def _bare(content: bytes) -> Task:
    client = httpx.Client(transport=Canned(content))
    return lambda: client.get(f"{URL}/charges").json()


@row("get", "One GET, with a typed result, token, retries and deadline, over bare httpx and `.json()`", goal=1.0)
def get() -> Figure:
    """Read one charge."""
    content = one_charge()
    charges, charge_id = canned_client(content).charges, ChargeId("chg_1")
    assert charges.get(charge_id).purpose == json.loads(content)["purpose"]
    ratio, cost = compare(lambda: charges.get(charge_id), _bare(content))
    found = peers.measured(peers.one_object(), lambda task, body: compare(task, _bare(body))[0])
    return Figure(ratio, f"{cost:.0f} µs a call, {len(content)} bytes.", found)


@row("page", "A page of 100 charges, over bare httpx and `.json()`", goal=1.0)
def page() -> Figure:
    """Read a page of charges."""
    content = page_of_charges()
    cabinet = canned_client(content)
    ratio, cost = compare(lambda: cabinet.answer(LIST_CHARGES), _bare(content))
    found = peers.measured(peers.hundred_objects(content), lambda task, body: compare(task, _bare(body))[0])
    return Figure(ratio, f"{cost:.0f} µs a page of {len(content)} bytes.", found)


@row("decode", "Decoding that page, over pydantic that does the same conversions", goal=0.8)
def decode() -> Figure:
    """Turn bytes into charges."""
    content = page_of_charges()
    response = Response(status=200, headers=Headers((("content-type", "application/json"),)), content=content)
    kind: Any = list.__class_getitem__(_in_pydantic(Charge))  # Any: made while this runs
    same = cast("pydantic.TypeAdapter[list[Charge]]", pydantic.TypeAdapter(kind))
    one, other = decode_answer(response, list[Charge], "charges.list")[0], same.validate_json(content)[0]
    assert (one.due, one.status, one.requisites.kbk) == (other.due, other.status, other.requisites.kbk)
    ratio, cost = compare(
        lambda: decode_answer(response, list[Charge], "charges.list"), lambda: same.validate_json(content)
    )
    dictionaries, _ = compare(
        lambda: decode_answer(response, list[Charge], "charges.list"), lambda: json.loads(content)
    )
    return Figure(ratio, f"{cost:.0f} µs a page; {dictionaries} of `json.loads()`, which makes dictionaries.")


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
