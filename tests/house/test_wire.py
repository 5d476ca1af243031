"""What travels: samples of every row, and any value there and back."""

from __future__ import annotations

import copy
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cabinet_sdk._core.operation import Download
from cabinet_sdk._core.request_codec import EncodedRequest, encode_request
from cabinet_sdk.charges.models import ChargeId, PaymentMethod
from cabinet_sdk.charges.operations import EXPORT_CHARGES, GET_CHARGE, LIST_CHARGES, PAY_CHARGE
from cabinet_sdk.contract import CONTRACT, Row
from cabinet_sdk.types import Money
from tests.house.wire import answers, breaches_of_sample, misfits, received, requests, returned
from tests.wire.record import FOLDER, HOW, Exchange, exchanges, path_of, read, record, shown

ROWS = [pytest.param(row, id=row.id) for row in CONTRACT]
each_row = pytest.mark.parametrize("row", ROWS)
each_row_of_values = pytest.mark.parametrize(
    "row", [pytest.param(row, id=row.id) for row in CONTRACT if not isinstance(row, Download)]
)

thorough = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@each_row
def test_every_row_has_a_sample(row: Row) -> None:
    """Beside each row stands a file with a request and an answer of it as they travel."""
    assert path_of(row).exists(), HOW


def test_every_sample_has_a_row() -> None:
    """No sample is left of a row that is gone."""
    assert {path.relative_to(FOLDER) for path in FOLDER.glob("*/*.json")} == {
        path_of(row).relative_to(FOLDER) for row in CONTRACT
    }, HOW


@each_row
def test_a_sample_decodes_and_encodes_to_itself(row: Row) -> None:
    """Server and client read request and answer as values of the row's types, and write the same again."""
    assert breaches_of_sample(row, read(row)) == []


@pytest.mark.parametrize("area", sorted({row.area for row in CONTRACT}))
def test_the_samples_are_what_travels_now(area: str) -> None:
    """Client and server exchange today what the files say."""
    travelled = record(area)

    assert {*travelled} == {row.id for row in CONTRACT if row.area == area}
    for row_id, sample in travelled.items():
        assert shown(sample) == path_of(CONTRACT[row_id]).read_text(encoding="utf-8"), HOW


def as_bytes(travelled: list[Exchange]) -> list[tuple[object, ...]]:
    """Return all of each request and answer, headers and files among it."""
    return [
        (
            *(request.method, request.url, request.headers.pairs(), request.content),
            *(response.status, response.headers.pairs(), response.content),
        )
        for request, response in travelled
    ]


@pytest.mark.parametrize("area", sorted({row.area for row in CONTRACT}))
def test_the_same_seed_and_calls_give_the_same_bytes(area: str) -> None:
    """Told twice in fresh worlds of one seed, a story is the same to the byte, tokens and files too; else it is not."""
    told, again, otherwise = (as_bytes(exchanges(area, seed=seed)[0]) for seed in (7, 7, 8))

    assert told == again
    assert told != otherwise


def changed(sample: dict[str, Any], *steps: str, to: object) -> dict[str, Any]:
    """Return a copy of a sample with another value in one place."""
    other = copy.deepcopy(sample)
    place = other
    for step in steps[:-1]:
        place = place[step]
    place[steps[-1]] = to
    return other


@pytest.mark.parametrize(
    "row, steps, to, breach",
    [
        (PAY_CHARGE, ("request", "method"), "GET", "request: [request.method_not_allowed]"),
        (PAY_CHARGE, ("request", "path"), "/payments", "request: the address leads to charges.pay_several"),
        (PAY_CHARGE, ("request", "body", "amount"), 1, "request: [request.invalid]"),
        (PAY_CHARGE, ("request", "body", "colour"), "red", "request: [request.invalid]"),
        (GET_CHARGE, ("request", "path"), "/charges/%63hg_1", "request: it encodes to"),
        (PAY_CHARGE, ("answer", "status"), 200, "answer: the status is 201, not 200"),
        (PAY_CHARGE, ("answer", "headers"), {}, "answer: [service.unreadable_answer]"),
        (PAY_CHARGE, ("answer", "body", "amount"), 1, "answer: [service.unreadable_answer]"),
        (PAY_CHARGE, ("answer", "body", "colour"), "red", "answer: it encodes to"),
        (LIST_CHARGES, ("answer", "body"), {}, "answer: [service.unreadable_answer]"),
        (EXPORT_CHARGES, ("answer", "headers"), {}, "answer: the file has no name or no type"),
    ],
)
def test_a_wrong_sample_is_found(row: Row, steps: tuple[str, ...], to: object, breach: str) -> None:
    """A request that the server would refuse, an answer that the client cannot read, and any detour are reported."""
    breaches = breaches_of_sample(row, changed(read(row), *steps, to=to))

    assert [each for each in breaches if each.startswith(breach)]


@each_row
@thorough
@given(data=st.data())
def test_any_request_arrives_as_it_was_sent(row: Row, data: st.DataObject) -> None:
    """Whatever a request class may hold reaches the row's handler equal and of the same types."""
    value = data.draw(requests(row))

    got = received(row, value)

    assert got == value
    assert misfits(got, row.request_class) == []


@pytest.mark.slow
@each_row_of_values
@thorough
@given(data=st.data())
def test_any_answer_arrives_as_it_was_sent(row: Row, data: st.DataObject) -> None:
    """Whatever an answer may hold reaches the caller equal and of the same types, unknown codes included."""
    value = data.draw(answers(row))

    got = returned(row, value)

    assert got == value
    assert misfits(got, row.response) == []


def test_a_value_that_changes_on_its_way_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two tests before this one see when an encoder loses something, or a decoder gives another type."""

    def lossy(row: Row, value: Any) -> EncodedRequest:  # Any: an attrs class of whatever fields
        return encode_request(row, attrs.evolve(value, amount=None))

    monkeypatch.setattr("tests.house.wire.encode_request", lossy)
    value = PAY_CHARGE.request(ChargeId("chg_1"), method=PaymentMethod.SBP, amount=Money("1.00"))

    assert received(PAY_CHARGE, value) != value
    wrong = copy.copy(value)
    object.__setattr__(wrong, "method", "sbp")
    assert misfits(wrong, PAY_CHARGE.request_class) == ["$.method is a str, not a PaymentMethod"]
    assert misfits([1], list[str]) == ["$[0] is a int, not a str"]
    assert misfits((), list[str]) == ["$ is a tuple, not a list"]
