"""Whatever breaks the contract is refused with a problem document that names the place (experiments 84, 91)."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Self, final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cabinet_sdk._core.operation import Listing
from cabinet_sdk.charges import Charge, RefundMethod
from cabinet_sdk.contract import CONTRACT, Row
from cabinet_sdk.types import Money
from reference_server import Profile, World
from reference_server.limits import MAX_BODY
from tests.server.raw import Raw, document

PAY = "/payments"

MALFORMED, INVALID, TOO_LARGE = "request.malformed", "request.invalid", "request.too_large"
DEEP, LONG, MANY = "nests deeper than 32 levels", "longer than 1048576 bytes", "more than 10000 keys"


def good(method: bytes, charge: bytes = b"CHARGE") -> bytes:
    """Return a body that pays a charge, whose id is filled in where it is sent."""
    return b'{"items": [{"charge_id": "' + charge + b'"}], "method": ' + method + b"}"


# Of a request otherwise good, where it is one at all: the body, the code of its problem, and what that says of it.
HOSTILE = {
    "nesting 200": (b'{"method": ' + b"[" * 200 + b"]" * 200 + b"}", MALFORMED, DEEP),
    "nesting 33": (good(b'"sbp", "a": ' + b"[" * 32 + b"]" * 32), MALFORMED, DEEP),
    "nesting 100000": (b"[" * 100_000 + b"]" * 100_000, MALFORMED, DEEP),
    "nesting 1000, objects": (b'{"a":' * 1000 + b"1" + b"}" * 1000, MALFORMED, DEEP),
    "nesting a million": (b"[" * 1_000_000 + b"]" * 1_000_000, TOO_LARGE, LONG),
    "nesting as deep as fits": (b'{"a":' * 150_000 + b"1" + b"}" * 150_000, MALFORMED, DEEP),
    "a million keys": (b"{" + b",".join(b'"%d":1' % n for n in range(1_000_000)) + b"}", TOO_LARGE, LONG),
    "as many keys as fit": (b"{" + b",".join(b'"%x":1' % n for n in range(110_000)) + b"}", MALFORMED, MANY),
    "a key more than an object may have": (
        good(b'"sbp",' + b",".join(b'"%x":1' % n for n in range(9_999))),
        MALFORMED,
        MANY,
    ),
    "as many keys as an object may have": (
        b"{" + b",".join(b'"%x":1' % n for n in range(10_000)) + b"}",
        INVALID,
        "items required",
    ),
    "keys in each of a hundred items": (
        b'{"items":[%s]}' % b",".join([b"{" + b",".join(b'"k%d":1' % n for n in range(900)) + b"}"] * 100),
        INVALID,
        "items[0].charge_id required",
    ),
    "as many items as fit": (b'{"items":[' + b",".join([b"1"] * 500_000) + b"]}", INVALID, "items items"),
    "a key twice": (good(b'"sbp", "method": "sbp"'), MALFORMED, "a key stands twice"),
    "5000 digits": (b'{"items": ' + b"9" * 5000 + b', "method": "sbp"}', MALFORMED, "limit (4300 digits)"),
    "1e400": (b'{"items": 1e400, "method": "sbp"}', INVALID, "items type"),
    "NaN": (b'{"items": NaN, "method": "sbp"}', MALFORMED, "NaN is no JSON number"),
    "a lone surrogate": (good(b'"sbp"', b"CHARGE\\ud800"), INVALID, "items[0].charge_id form"),
    "a byte order mark": (b"\xef\xbb\xbf" + good(b'"sbp"'), MALFORMED, "Unexpected UTF-8 BOM"),
    "UTF-16": (good(b'"sbp"').decode().encode("utf-16"), MALFORMED, "not UTF-8"),
    "NUL": (good(b'"sbp"', b"CHARGE\\u0000"), INVALID, "items[0].charge_id form"),
    "not UTF-8": (b'{"method": "\xff"}', MALFORMED, "not UTF-8"),
    "cut": (good(b'"sbp"')[:-5], MALFORMED, "Unterminated string"),
    "empty": (b"", INVALID, " type"),
    "text": (b"hello", MALFORMED, "Expecting value"),
    "two documents": (good(b'"sbp"') * 2, MALFORMED, "Extra data"),
    "too large": (b'{"method": "' + b"a" * 1024 * 1024 + b'"}', TOO_LARGE, LONG),
}


@final
class Counted:
    """Counts the lines of Python that a thread runs: work that is the same on every machine."""

    def __init__(self) -> None:
        self.lines = 0

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    # Any: what `sys.settrace` hands over.
    def _trace(self, _: FrameType, event: str, __: Any) -> Callable[[FrameType, str, Any], Any]:
        if event == "line":
            self.lines += 1
        return self._trace


@pytest.mark.parametrize("name", HOSTILE)
def test_84_hostile_bodies_are_refused(raw: Raw, charge_of_the_person: Charge, name: str) -> None:
    """Each hostile body is a short problem document that says why, after work that grows no faster than the body."""
    body, code, reason = HOSTILE[name]
    body = body.replace(b"CHARGE", charge_of_the_person.id.encode())
    with Counted() as work:
        response = raw.send("POST", PAY, content=body, key="k")

    told = document(response)
    assert (response.status, told["status"], told["code"]) == (*[413 if code == TOO_LARGE else 400] * 2, code)
    first = next(iter(told.get("errors") or ()), None)
    assert reason in (told["detail"] if first is None else f"{first['field']} {first['code']}")
    assert response.headers.get("content-type") == "application/problem+json"
    assert len(response.content) < 32 * 1024
    # What is longer than any request may be is not looked at.
    assert work.lines < 5_000 + (8 * len(body) if len(body) <= MAX_BODY else 0)


def test_84_what_is_hostile_above_is_good_without_it(raw: Raw, charge_of_the_person: Charge) -> None:
    """The request that the bodies above spoil pays the charge."""
    body = good(b'"sbp"').replace(b"CHARGE", charge_of_the_person.id.encode())

    assert raw.send("POST", PAY, content=body, key="k").status == 201


@pytest.mark.parametrize(
    "headers,status,code",
    [
        ({"content-encoding": "gzip"}, 415, "request.unsupported_media_type"),
        ({"content-type": "text/plain"}, 415, "request.unsupported_media_type"),
        ({"content-type": None}, 415, "request.unsupported_media_type"),
        ({"accept": "text/html"}, 406, "request.not_acceptable"),
        ({"accept": "application/json;q=0"}, 406, "request.not_acceptable"),
        ({"accept": "text/html, application/json; v=1; Q=0.000, */*"}, 406, "request.not_acceptable"),
        ({"accept": "application/*;q=0, */*;q=0.1"}, 406, "request.not_acceptable"),
        ({"accept": "*/*;q=0.0"}, 406, "request.not_acceptable"),
        ({"authorization": None}, 401, "sign_in.required"),
        ({"authorization": "Bearer nonsense"}, 401, "sign_in.token_invalid"),
        ({"authorization": "Basic abc"}, 401, "sign_in.token_invalid"),
    ],
)
def test_wrong_headers_are_refused(raw: Raw, headers: dict[str, str | None], status: int, code: str) -> None:
    """Format, encoding and token are checked before anything is read."""
    response = raw.send("POST", PAY, {"items": [{"charge_id": "a"}], "method": "sbp"}, headers=headers, key="k")

    assert (response.status, document(response)["code"]) == (status, code)
    if status == 401:
        assert response.headers["www-authenticate"].startswith("Bearer")


def test_a_coded_form_gets_no_token(raw: Raw, person: Profile) -> None:
    """The token endpoint takes no coding either, and does not read on as if there were none."""
    who = f"client_id={person.id}&client_secret={raw.world.client_secret(person.id)}"
    headers = {"content-type": "application/x-www-form-urlencoded", "content-encoding": "gzip"}
    response = raw.send(
        "POST", "/oauth/token", content=f"grant_type=client_credentials&{who}".encode(), headers=headers
    )

    assert (response.status, document(response)["code"]) == (415, "request.unsupported_media_type")


@pytest.mark.parametrize(
    "accept",
    [
        *("*/*", "application/*;q=0.001", "application/json;q=0.0010", "Application/JSON; charset=utf-8"),
        *(
            "*/*;q=0, application/json;q=0.1",
            "application/json, text/html;q=0",
            "application/json;v=2;q=0, application/json",
        ),
    ],
)
def test_json_goes_to_whoever_takes_it(raw: Raw, accept: str) -> None:
    """Of the ranges in `Accept` the most specific one counts."""
    assert raw.send("GET", "/charges", headers={"accept": accept}).status == 200


@pytest.mark.parametrize("value", [None, "a", 1])
def test_a_field_of_the_path_is_none_of_the_body(raw: Raw, charge_of_the_person: Charge, value: object) -> None:
    """What stands in the address is not said a second time, not even as nothing."""
    path, body = f"/charges/{charge_of_the_person.id}/payments", {"charge_id": value, "method": "sbp"}
    response = raw.send("POST", path, body, key="k")

    errors = [(error["field"], error["code"]) for error in document(response)["errors"]]
    assert (response.status, errors) == (400, [("charge_id", "unknown_field")])


def test_every_wrong_field_is_named(raw: Raw) -> None:
    """All that is wrong is told at once, each with its path and rule; values are masked."""
    body = {
        "items": [
            {"charge_id": "a b", "amount": 1},
            {"charge_id": None, "colour": 1},
            3,
            {"charge_id": "a", "amount": "1.5"},
        ],
        "method": "barter",
        "tip": 5,
    }
    response = raw.send("POST", PAY, body, key="k")

    errors = {error["field"]: error["code"] for error in document(response)["errors"]}
    assert errors == {
        "items[0].charge_id": "form",
        "items[0].amount": "type",
        "items[1].charge_id": "type",
        "items[1].colour": "unknown_field",
        "items[2]": "type",
        "items[3].amount": "form",
        "method": "unknown_code",
        "tip": "unknown_field",
    }


@pytest.mark.parametrize(
    "query,field,code",
    [
        ("status=zzz", "status", "unknown_code"),
        ("kind=tax&kind=fine", "kind", "repeated"),
        ("uin=18810177170101012345", "uin", "check_digit"),
        ("period=2026-02-30/2026-03-01", "period", "calendar"),
        ("period=2026", "period", "form"),
        ("overdue=yes", "overdue", "type"),
        ("payee_inn=7707083894", "payee_inn", "check_digit"),
        ("colour=red", "colour", "unknown_field"),
        ("order_number=" + "9" * 1001, "order_number", "too_long"),
        ("order_number=%00", "order_number", "characters"),
        ("limit=0", "limit", "range"),
        ("limit=1001", "limit", "range"),
        ("limit=1&limit=2", "limit", "repeated"),
        ("limit=ten", "limit", "range"),
        ("cursor=abc", "cursor", "cursor"),
        ("cursor=", "cursor", "cursor"),
    ],
)
def test_a_wrong_parameter_is_named(raw: Raw, query: str, field: str, code: str) -> None:
    """A wrong, unknown or repeated query parameter is 400 with its name and rule."""
    response = raw.send("GET", f"/charges?{query}")

    errors = document(response)["errors"]
    assert (response.status, errors[0]["field"], errors[0]["code"]) == (400, field, code)


@pytest.mark.parametrize("query", ["a=%ff", "%ff=1", "=1", "&&", "a", "a=%zz"])
def test_a_broken_query_is_refused(raw: Raw, query: str) -> None:
    """A query that is not one is 400, never 500."""
    assert raw.send("GET", f"/charges?{query}").status == 400


def test_91_a_cursor_holds_for_its_own_list(raw: Raw, world: World, person: Profile) -> None:
    """A cursor with one character changed, of another filter or of another profile is refused."""
    for _ in range(3):
        world.charges.add(person, Money("1.00"))
    other = world.profiles.add("Петров")
    link = raw.send("GET", "/charges?limit=1").headers["link"]
    cursor = link.partition("cursor=")[2].partition(">")[0]
    tampered = cursor[:-2] + ("A" if cursor[-2] != "A" else "B") + cursor[-1]

    assert raw.send("GET", f"/charges?limit=1&cursor={cursor}").status == 200
    assert raw.send("GET", f"/charges?limit=1&cursor={tampered}").status == 400
    assert raw.send("GET", f"/charges?limit=1&kind=fine&cursor={cursor}").status == 400
    assert Raw(world, other).send("GET", f"/charges?limit=1&cursor={cursor}").status == 400


@pytest.mark.parametrize("row_id", [row.id for row in CONTRACT if isinstance(row, Listing)])
def test_91_no_list_takes_a_wrong_page(raw: Raw, world: World, person: Profile, row_id: str) -> None:
    """Sizes of no page and cursors that nobody gave are refused by every list; the largest page is a thousand."""
    path = CONTRACT[row_id].path.format(charge_id=world.charges.add(person, Money("1.00")).id)
    sizes = {size: raw.send("GET", f"{path}?limit={size}") for size in ("0", "-1", "1001", "1000000000", "9" * 40, "")}
    cursors = {cursor: raw.send("GET", f"{path}?cursor={cursor}") for cursor in ("0", "a" * 24, "a" * 900, "..", "")}

    assert raw.send("GET", f"{path}?limit=1000").status == 200
    for field, answers in (("limit", sizes), ("cursor", cursors)):
        for value, answer in answers.items():
            assert (answer.status, document(answer)["errors"][0]["field"]) == (400, field), value


@pytest.mark.parametrize("path", ["/charges", "/payments", "/refunds", "/overpayments"])
def test_a_period_may_be_all_of_time(raw: Raw, world: World, person: Profile, path: str) -> None:
    """The first and the last day that there are bound a period like any other."""
    charge = world.charges.add(person, Money("1.00"))
    raw.send("POST", f"/charges/{charge.id}/payments", {"method": "sbp"}, key="k")
    world.charges.credit(person, charge, Money("2.00"))
    world.charges.request_refund(person, charge, RefundMethod.COMPENSATION)

    assert len(json.loads(raw.send("GET", f"{path}?period=0001-01-01/9999-12-31").content)) == 1
    assert json.loads(raw.send("GET", f"{path}?period=9999-12-31/9999-12-31").content) == []


def test_an_empty_filter_stays_on_the_next_page(raw: Raw, world: World, person: Profile) -> None:
    """A parameter that is empty is a filter too, and the next page is of the same list."""
    for number in ("", "7", ""):
        world.charges.add(person, Money("1.00"), order_number=number)
    link = raw.send("GET", "/charges?order_number=&limit=1").headers["link"]

    second = raw.send("GET", link[len("</v1") : link.index(">")])

    assert [item["order_number"] for item in json.loads(second.content)] == [""]
    assert "link" not in second.headers


def test_91_paging_while_the_list_changes(raw: Raw, world: World, person: Profile) -> None:
    """Rows that were there from the beginning are shown once each, whatever is added and paid meanwhile."""
    stable = [world.charges.add(person, Money("1.00")) for _ in range(10)]
    seen: list[str] = []
    path: str | None = "/charges?limit=3&order=oldest"
    while path is not None:
        response = raw.send("GET", path)
        seen += [item["id"] for item in json.loads(response.content)]
        world.charges.add(person, Money("2.00"))
        world.charges.credit(person, stable[len(seen) % 10], Money("1.00"))
        link = response.headers.get("link")
        path = None if link is None or len(seen) > 50 else link[len("</v1") : link.index(">")]

    assert len(seen) == len(set(seen))
    assert {charge.id for charge in stable} <= set(seen)


@pytest.mark.parametrize(
    "method,path,status",
    [
        ("GET", "/nowhere", 404),
        ("GET", "/charges/a/b/c", 404),
        ("DELETE", "/charges", 405),
        ("POST", "/charges", 405),
        ("OPTIONS", "/charges", 405),
        ("TRACE", "/payments", 405),
        ("FOO", "/payments", 405),
    ],
)
def test_unknown_addresses_and_methods(raw: Raw, method: str, path: str, status: int) -> None:
    """An unknown path is 404; a wrong method 405 with the right ones in `Allow`."""
    response = raw.send(method, path)

    assert response.status == status
    assert (response.headers.get("allow") is not None) == (status == 405)


@pytest.mark.feature("EX-01")
@pytest.mark.parametrize("row", list(CONTRACT), ids=lambda row: row.id)
def test_no_row_takes_an_unknown_parameter(raw: Raw, row: Row) -> None:
    """The policy: a parameter that nobody declared is refused and named, whatever the row, before anything is done."""
    path = re.sub(r"\{\w+\}", "id_1", row.path)
    body = None if row.method in {"GET", "DELETE"} else {"method": "sbp"}

    response = raw.send(row.method, f"{path}?colour=red", body, key="k" if body else None)

    assert response.status == 400
    assert "colour" in {error["field"] for error in document(response)["errors"]}


def test_head_is_get_without_a_body(raw: Raw, world: World, person: Profile) -> None:
    """HEAD answers with the headers of GET and no body."""
    world.charges.add(person, Money("1.00"))
    got, head = raw.send("GET", "/charges"), raw.send("HEAD", "/charges")

    assert head.content == b""
    assert head.status == got.status
    assert head.headers["content-length"] == str(len(got.content))
    assert {*head.headers} == {*got.headers}


def test_84_the_log_keeps_little_of_a_long_address(raw: Raw, world: World) -> None:
    """A thousand requests are kept, those of strangers too, so that none may take much room."""
    for path in ("/charges?" + "a&" * 30_000, "/charges/" + "a" * 60_000):
        raw.send("GET", path, headers={"authorization": None})

    assert [len(request.url) < 10_000 for request in world.requests[-2:]] == [True, True]


def test_the_request_id_is_echoed_and_never_trusted(raw: Raw) -> None:
    """A good request id comes back; one that could spoil a log is replaced."""
    good = raw.send("GET", "/charges", headers={"x-request-id": "abc-1"})
    bad = raw.send("GET", "/charges", headers={"x-request-id": "a\nb" + "x" * 500})

    assert good.headers["x-request-id"] == "abc-1"
    assert bad.headers["x-request-id"].startswith("req-")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(["items", "method", "charge_id", "amount"])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(body=JSON | st.dictionaries(FIELDS, JSON | st.lists(st.dictionaries(FIELDS, JSON, max_size=3), max_size=3)))
def test_no_body_is_a_fault_of_the_server(raw: Raw, charge_of_the_person: Charge, body: object) -> None:
    """Whatever JSON comes, the answer is a refusal or a payment, never 500."""
    response = raw.send("POST", PAY, content=json.dumps(body).encode(), key="k")

    assert response.status in {201, 400, 404, 409, 422}, (body, charge_of_the_person.id)


@pytest.fixture
def charge_of_the_person(world: World, person: Profile) -> Charge:
    """A charge that a request may hit."""
    return world.charges.add(person, Money("100.00"))
