"""A newer and an older service than this SDK, and one that errs in its error documents."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabinet_sdk import Drift
from cabinet_sdk._core.answer_codec import encode_answer
from cabinet_sdk._core.problems import problem_of
from cabinet_sdk.charges import BankTransferStatus, Payment, PaymentId, PaymentMethod, PaymentStatus
from cabinet_sdk.errors import (
    CallerError,
    DeadlineExceeded,
    Problem,
    RightsError,
    ServiceError,
    StateError,
    UnreadableAnswer,
)
from cabinet_sdk.transports import Response
from cabinet_sdk.types import Money
from tests.core.conftest import Play
from tests.core.scripted import READ, Script, answer, ok, problem

pytestmark = pytest.mark.feature("EX-01")

TRANSFER: dict[str, object] = {
    "id": "trf_1",
    "status": "matched",
    "amount": "10.00",
    "unmatched": "0.00",
    "received_at": "2026-11-22T12:00:00Z",
    "payment_order_number": "17",
    "payer_inn": "7707083893",
    "purpose": "Налог",
    "items": [{"charge_id": "chg_1", "amount": "10.00"}],
}


async def test_a_newer_service_is_understood(play: Play) -> None:
    """Experiment 88: unknown codes are kept and comparable, unknown fields ignored, in a listing too."""
    items = [{"charge_id": "chg_1", "amount": "10.00", "share": 1}]
    newer: dict[str, object] = {**TRANSFER, "status": "frozen", "colour": "red", "items": items}
    script = Script(ok([TRANSFER, newer]))

    known, unknown = [transfer async for transfer in play(script).charges.bank_transfers()]

    assert known.status is not unknown.status
    assert unknown.status == BankTransferStatus("frozen")
    assert not unknown.status.known
    assert str(unknown.status) == "frozen"
    assert unknown.status.label


def paid_with(status: str, *headers: tuple[str, str]) -> Response:
    """Return the answer that a payment has a status."""
    at = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
    payment = Payment(
        id=PaymentId("pay_1"),
        status=PaymentStatus(status),
        method=PaymentMethod.SBP,
        amount=Money("10.00"),
        items=(),
        number="17",
        created_at=at,
        expires_at=at,
    )
    return answer(200, encode_answer(payment), "application/json", headers)


async def test_a_wait_ends_with_a_status_that_only_the_service_knows(play: Play) -> None:
    """A newer status may be final: it is waited on while the service says when to ask again, and then returned."""
    soon = ("Retry-After", "2")
    script = Script(paid_with("created", soon), paid_with("frozen", soon), paid_with("reversed"))

    payment = await play(script).charges.wait_for_payment(PaymentId("pay_1"))

    assert payment.status == PaymentStatus("reversed")
    assert script.pauses == [2.0, 2.0]


async def test_a_wait_that_is_too_long_says_the_last_status(play: Play) -> None:
    """Whoever waited in vain learns what came last, also where this version does not know it."""
    script = Script(paid_with("frozen", ("Retry-After", "2")))

    with pytest.raises(DeadlineExceeded, match=r"Not there yet after 5 s; wait again later\. Its status is frozen\."):
        await play(script).charges.wait_for_payment(PaymentId("pay_1"), timeout=5)


async def test_what_is_new_is_kept_and_reported(play: Play) -> None:
    """Experiment 88: an unknown field stands in `Answer.content`, and the drift hook is told its path once."""
    seen: list[Drift] = []
    script = Script(ok({"name": "a", "size": {"w": 1}}, ("X-Request-Id", "srv-1")))

    got = await play(script, on_drift=seen.append).answer(READ)

    assert json.loads(got.content)["size"] == {"w": 1}
    assert [(drift.operation, drift.paths) for drift in seen] == [("things.read", ("$.size",))]
    assert got.request_id == "srv-1"


async def test_drift_in_a_listing_names_fields_and_codes(play: Play) -> None:
    """The hook hears of fields and codes inside items; without drift it hears nothing."""
    seen: list[Drift] = []
    script = Script(ok([{**TRANSFER, "status": "frozen", "colour": 1}, {**TRANSFER, "colour": 2}]), ok([TRANSFER]))
    client = play(script, on_drift=seen.append)

    for _ in range(2):
        _ = [transfer async for transfer in client.charges.bank_transfers()]

    assert [set(drift.paths) for drift in seen] == [{"$[].status", "$[].colour"}]


@pytest.mark.parametrize(
    "status, kind",
    [
        (400, CallerError),
        (402, CallerError),
        (403, RightsError),
        (409, StateError),
        (423, StateError),
        (507, ServiceError),
    ],
)
async def test_a_new_error_code_has_its_generic_class(play: Play, status: int, kind: type[Problem]) -> None:
    """Experiment 88: an unknown code keeps its name, text, fields and members; the class follows from the status."""
    fields = [{"field": "a.b", "code": "new_rule", "message": "Wrong.", "hint": 1}]
    script = Script(problem(status, "things.too_new", detail="Something new.", errors=fields, limit="7", deep={"a": 1}))

    with pytest.raises(kind) as caught:
        await play(script).answer(READ)

    error = caught.value
    assert (type(error), error.code, error.status) == (kind, "things.too_new", status)
    assert error.message == "Something new."
    assert [(e.field, e.code, e.message) for e in error.errors] == [("a.b", "new_rule", "Wrong.")]
    assert dict(error.members) == {"limit": "7"}


async def test_optional_fields_may_be_missing_or_null(play: Play) -> None:
    """Experiments 88 and 89: an optional field that is left out or null has its default."""
    script = Script(ok({"name": "a"}), ok({"name": "a", "colour": None}))
    client = play(script)

    assert [(await client.answer(READ)).value.colour for _ in range(2)] == [None, None]
    without = {name: value for name, value in TRANSFER.items() if name != "items"}
    [transfer] = [transfer async for transfer in play(Script(ok([without]))).charges.bank_transfers()]
    assert transfer.items == ()


@pytest.mark.parametrize(
    "change, path",
    [
        ({"amount": 10}, "$[1].amount"),
        ({"amount": "10"}, "$[1].amount"),
        ({"received_at": "yesterday"}, "$[1].received_at"),
        ({"received_at": "2026-11-22T12:00:00"}, "$[1].received_at"),
        ({"status": 3}, "$[1].status"),
        ({"items": [{"charge_id": 1, "amount": "1.00"}]}, "$[1].items[0].charge_id"),
    ],
)
async def test_a_wrong_type_names_its_place(play: Play, change: dict[str, object], path: str) -> None:
    """A value of a wrong type is an error with its JSON path, and the text does not show the value."""
    script = Script(ok([TRANSFER, {**TRANSFER, **change}], ("X-Request-Id", "srv-1")))

    with pytest.raises(UnreadableAnswer) as caught:
        _ = [transfer async for transfer in play(script).charges.bank_transfers()]

    assert caught.value.path == path
    assert caught.value.request_id == "srv-1"
    assert "yesterday" not in str(caught.value)
    assert ".." not in str(caught.value)


MEMBERS = ("type", "title", "status", "detail", "instance", "code", "request_id", "errors")


@pytest.mark.parametrize("wrong", [7, True, None, [], {}, ["text"], {"a": "b"}, [[]], 1e300])
async def test_members_of_a_wrong_type_are_ignored(play: Play, wrong: object) -> None:
    """Experiment 89: a problem document of wrong types still gives the class of its status and our request id."""
    script = Script(answer(409, json.dumps(dict.fromkeys(MEMBERS, wrong)).encode(), "application/problem+json"))

    with pytest.raises(StateError) as caught:
        await play(script).answer(READ)

    error = caught.value
    assert (type(error), error.code, error.status, error.errors) == (StateError, "unknown", 409, ())
    assert error.request_id == script.requests[0].headers["x-request-id"]


async def test_the_real_status_counts(play: Play) -> None:
    """A `status` member that differs from the answer's is ignored."""
    script = Script(answer(404, b'{"status": 503, "code": "charges.charge_not_found"}', "application/problem+json"))

    with pytest.raises(CallerError) as caught:
        await play(script).answer(READ)

    assert caught.value.status == 404
    assert len(script.requests) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS) | st.text(max_size=5), inner),
    max_leaves=8,
)


@given(
    st.integers(300, 599), st.dictionaries(st.sampled_from(MEMBERS) | st.text(max_size=5), json_values) | json_values
)
def test_no_document_breaks_the_client(status: int, document: object) -> None:
    """Whatever JSON an error answer holds, it becomes a problem of its status."""
    response = answer(status, json.dumps(document).encode(), "application/problem+json")

    error = problem_of(response, "things.read", None)

    assert isinstance(error, Problem)
    assert error.status == status
    assert str(error)


@given(st.binary(max_size=60))
def test_no_bytes_break_the_client(content: bytes) -> None:
    """Whatever bytes an error answer holds, it becomes a problem of its status."""
    assert problem_of(answer(503, content, "application/problem+json"), "things.read", None).status == 503


async def test_a_moment_is_aware_of_its_zone(play: Play) -> None:
    """Whatever its offset is, a moment can be compared with any other."""
    script = Script(ok([TRANSFER, {**TRANSFER, "received_at": "2026-11-22T15:00:00+03:00"}]))

    utc, moscow = [transfer async for transfer in play(script).charges.bank_transfers()]

    assert utc.received_at == moscow.received_at


async def test_a_moment_that_may_be_missing_has_an_offset_too(play: Play) -> None:
    """Without one it is none also where a field may be null, and null is nothing wrong."""
    payment: dict[str, object] = {
        "id": "pay_1",
        "status": "pending",
        "method": "bank_card",
        "amount": "10.00",
        "items": [],
        "number": "17",
        "created_at": "2026-11-22T12:00:00Z",
        "expires_at": "2026-11-22T12:00:00Z",
    }
    client = play(Script(ok({**payment, "settled_at": None}), ok({**payment, "settled_at": "2026-11-22T12:00:00"})))

    assert (await client.charges.payment(PaymentId("pay_1"))).settled_at is None
    with pytest.raises(UnreadableAnswer) as caught:
        await client.charges.payment(PaymentId("pay_1"))
    assert caught.value.path == "$.settled_at"
