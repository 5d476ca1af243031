"""Every error: what it says, and that it survives copying and travelling."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from collections.abc import Callable
from typing import assert_type

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cabinet_sdk.charges.errors
from cabinet_sdk import errors
from cabinet_sdk._core.problems import problem_of
from cabinet_sdk._core.schema import read_documentation
from cabinet_sdk.charges import AmountExceedsDue, ChargeId, NothingDue
from cabinet_sdk.errors import (
    CabinetError,
    CallerError,
    ConnectionFailed,
    ConnectionLost,
    DeadlineExceeded,
    FieldError,
    InvalidValue,
    JournalFailed,
    Member,
    NetworkError,
    NotFound,
    OutcomeUnknown,
    Problem,
    RightsError,
    ServiceError,
    StateError,
    TimedOut,
    TokenInvalid,
    UsageError,
    catalogue,
    mask,
)
from cabinet_sdk.transports import Headers, Response
from cabinet_sdk.types import Money

pytestmark = pytest.mark.feature("SE-06")

KNOWN = (CallerError, NotFound, RightsError, StateError, ServiceError, Problem, *catalogue())
NETWORK = (NetworkError, ConnectionFailed, ConnectionLost, TimedOut, DeadlineExceeded, JournalFailed, CabinetError)


def of_class(kind: type[CabinetError]) -> CabinetError:
    """Return an error with every attribute set."""
    if issubclass(kind, Problem):
        return kind(
            "What happened.",
            errors=(FieldError("items[2].amount", "too_large", "expected less"),),
            members={"due": "10.00"},
            retry_after=1.5,
            status=499,
            request_id="req-1",
            operation="charges.pay",
        )
    if kind is InvalidValue:
        return InvalidValue("Inn", "check_digit", "ten digits", "7707083894")
    if kind is OutcomeUnknown:
        return OutcomeUnknown("Nobody knows.", operation_id="op-1", request_id="req-1", operation="charges.pay")
    return kind("What happened.", request_id="req-1", operation="charges.pay")


EVERY = [*KNOWN, *NETWORK, InvalidValue, OutcomeUnknown]
COPIES: list[Callable[[CabinetError], CabinetError]] = [
    copy.copy,
    copy.deepcopy,
    *[lambda error, protocol=protocol: pickle.loads(pickle.dumps(error, protocol)) for protocol in range(2, 6)],  # noqa: S301  # our own bytes
]


def test_no_class_is_forgotten() -> None:
    """The tests below try every error class of the package."""
    modules = (errors, cabinet_sdk.charges.errors)
    public = {getattr(module, name) for module in modules for name in module.__all__}
    classes = {kind for kind in public if inspect.isclass(kind) and issubclass(kind, CabinetError)}

    assert classes <= set(EVERY)


@pytest.mark.parametrize("duplicate", COPIES, ids=["copy", "deepcopy", *(f"pickle {number}" for number in range(2, 6))])
@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_errors_copy_and_travel(kind: type[CabinetError], duplicate: Callable[[CabinetError], CabinetError]) -> None:
    """A copy has the same class, text and attributes; only a whole personal value stays behind when it is pickled."""
    error = of_class(kind)

    other = duplicate(error)

    assert type(other) is kind
    assert other is not error
    assert (str(other), repr(other)) == (str(error), repr(error))
    hidden = {"value", "_again"}
    assert {k: v for k, v in vars(other).items() if k not in hidden} == {
        k: v for k, v in vars(error).items() if k not in hidden
    }


@pytest.mark.parametrize("kind", EVERY)
def test_arguments_travel(kind: type[CabinetError]) -> None:
    """A copy has the `args` of the error, which tools that group errors read."""
    error = of_class(kind)

    assert copy.copy(error).args == error.args


texts = st.text(max_size=20)


@given(
    detail=st.none() | texts,
    fields=st.lists(st.builds(FieldError, texts, texts, texts), max_size=3),
    members=st.dictionaries(texts, texts, max_size=3),
    retry_after=st.none() | st.floats(0, 1e9),
    code=st.none() | texts,
    status=st.none() | st.integers(400, 599),
    kind=st.sampled_from(KNOWN),
)
def test_problems_of_any_content_travel(  # noqa: PLR0917  # hypothesis gives them by name
    detail: str | None,
    fields: list[FieldError],
    members: dict[str, str],
    retry_after: float | None,
    code: str | None,
    status: int | None,
    kind: type[Problem],
) -> None:
    """Whatever a service put into a problem comes out of a pickle again."""
    error = kind(detail, errors=tuple(fields), members=members, retry_after=retry_after, code=code, status=status)

    other = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes

    assert vars(other) == vars(error)
    assert str(other) == str(error)


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_the_text_says_what_to_do_and_under_which_id(kind: type[CabinetError]) -> None:
    """The text of an error holds its message, its remedy, the operation and the request id, on one line."""
    error = of_class(kind)

    text = str(error)

    assert error.message in text
    assert error.remedy in text
    if kind is not InvalidValue:
        assert "(operation charges.pay, request id req-1)" in text
    if isinstance(error, Problem):
        assert text.startswith(f"[{error.code}]")
        assert "items[2].amount: expected less" in text
    assert "\n" not in text
    assert text in repr(error)


@pytest.mark.parametrize(
    "kind", [*catalogue(), ConnectionFailed, ConnectionLost, TimedOut, DeadlineExceeded, OutcomeUnknown]
)
def test_every_reason_explains_itself(kind: type[CabinetError]) -> None:
    """A class has a sentence of its own; a remedy, where there is one, is a sentence."""
    assert (kind.__doc__ or "").strip()
    assert not kind.remedy or kind.remedy.endswith(".")


AMOUNTS: list[tuple[dict[str, object], Money | None]] = [
    ({"due": "10.00"}, Money("10.00")),
    ({"due": Money("10.00")}, Money("10.00")),
    ({}, None),
    ({"due": "ten"}, None),
    ({"due": ""}, None),
]


@pytest.mark.parametrize("members, due", AMOUNTS)
def test_a_member_is_typed(members: dict[str, object], due: Money | None) -> None:
    """A member is an attribute of its own kind, on both sides and after a pickle; what cannot be read is None."""
    error = AmountExceedsDue(members=members)
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes

    assert_type(error.due, Money | None)
    assert_type(error.charge_id, ChargeId | None)
    assert error.due == copied.due == due
    assert error.members == {name: str(value) for name, value in members.items()}


@pytest.mark.parametrize("kind", [kind for kind in catalogue() if kind.__module__.startswith("cabinet_sdk.")])
def test_every_member_is_explained(kind: type[Problem]) -> None:
    """The docstring of a class names the members that it declares, and no others."""
    declared = {name for name, value in vars(kind).items() if isinstance(value, Member)}

    assert {*read_documentation(kind).fields} == declared


def test_the_tree_splits_by_who_must_act() -> None:
    """Every problem of the catalogue belongs to exactly one of four; the usual built-in bases hold too."""
    sides = (CallerError, RightsError, StateError, ServiceError)
    for kind in catalogue():
        assert sum(issubclass(kind, side) for side in sides) == 1
    assert issubclass(InvalidValue, ValueError)
    assert issubclass(DeadlineExceeded, TimeoutError)
    assert not issubclass(UsageError, CabinetError)


def test_codes_are_unique() -> None:
    """A second class with a code that is taken cannot be declared."""
    with pytest.raises(TypeError, match="needs its own"):
        type("Impostor", (CallerError,), {"code": "request.invalid"})


def test_usage_errors_travel() -> None:
    """A mistake in the program pickles like any built-in error."""
    assert str(pickle.loads(pickle.dumps(UsageError("a mistake")))) == "a mistake"  # noqa: S301  # our own bytes


@given(st.text(max_size=40))
def test_a_mask_hides_half_at_least(value: str) -> None:
    """A masked value shows at most two characters at each end, and never half of it."""
    shown = mask(value).replace("…", "") if "…" not in value else ""

    assert len(shown) <= min(4, len(value) // 2)


@pytest.mark.parametrize(
    "challenge, kind",
    [
        ('Bearer realm="x", error="invalid_token"', TokenInvalid),
        ("Basic, bearer error=invalid_token", TokenInvalid),
        ('Basic error="invalid_token"', RightsError),
        ('error="invalid_token", Bearer', RightsError),
        # Of many schemes none is looked at twice: it would take hours.
        ("bearer " * 300_000, RightsError),
    ],
)
def test_a_challenge_says_whether_the_token_was_refused(challenge: str, kind: type[CabinetError]) -> None:
    """Without a problem document a 401 is what its `WWW-Authenticate` says (RFC 6750 3.1)."""
    response = Response(status=401, headers=Headers([("www-authenticate", challenge)]))

    assert type(problem_of(response, "things.read", None)) is kind


def test_a_large_document_is_a_page() -> None:
    """An error of more than a megabyte is not taken apart: its values would take many times as much memory."""
    content = b'{"code": "charges.nothing_due", "members": [' + b"[]," * 350_000 + b"[]]}"
    response = Response(status=409, headers=Headers([("content-type", "application/problem+json")]), content=content)

    assert type(problem_of(response, "charges.pay", None)) is StateError


@pytest.mark.parametrize(
    "media_type, kind",
    [
        ("application/problem+json", NothingDue),
        ("Application/Problem+JSON ; charset=utf-8", NothingDue),
        ("application/json", StateError),
        ("text/html; note=application/problem+json", StateError),
        (None, StateError),
    ],
)
def test_a_problem_document_says_that_it_is_one(media_type: str | None, kind: type[CabinetError]) -> None:
    """Whatever stands between answers in JSON of its own, with codes that are not the service's."""
    headers = Headers([] if media_type is None else [("content-type", media_type)])
    response = Response(status=409, headers=headers, content=b'{"code": "charges.nothing_due"}')

    assert type(problem_of(response, "charges.pay", None)) is kind


@pytest.mark.parametrize(
    "members, kind, code",
    [
        ({"type": "https://cabinet.example/problems/charges.nothing_due"}, NothingDue, "charges.nothing_due"),
        ({"type": "/v1/problems/charges.nothing_due", "code": 7}, NothingDue, "charges.nothing_due"),
        ({"type": "problems/charges.nothing_due"}, NothingDue, "charges.nothing_due"),
        ({"type": "problems/charges.frozen"}, StateError, "unknown"),
        ({"type": "https://gateway.example/problems/503.html"}, StateError, "unknown"),
        ({"type": "/problems/charges.frozen", "code": "charges.nothing_due"}, NothingDue, "charges.nothing_due"),
        ({"type": "/problems/charges.nothing_due", "code": "charges.frozen"}, StateError, "charges.frozen"),
        ({"type": "https://cabinet.example/charges.nothing_due"}, StateError, "unknown"),
        ({"type": "https://gateway.example/problems/conflict"}, StateError, "unknown"),
        ({"type": "/problems/charges.nothing_due/"}, StateError, "unknown"),
        ({"type": "about:blank"}, StateError, "unknown"),
        ({"type": 7}, StateError, "unknown"),
        ({}, StateError, "unknown"),
    ],
)
def test_without_a_code_the_type_names_it(members: dict[str, object], kind: type[CabinetError], code: str) -> None:
    """RFC 9457 makes `type` the identifier, and that of each code is its page: it serves where there is no `code`."""
    headers = Headers([("content-type", "application/problem+json")])
    problem = problem_of(
        Response(status=409, headers=headers, content=json.dumps(members).encode()), "charges.pay", None
    )

    assert type(problem) is kind
    assert problem.code == code
