"""When nobody can know whether a change happened."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from cabinet_sdk import AsyncCabinet, Attempt, Cabinet, CallScope, ClientCredentials, Drift, RetryPolicy
from cabinet_sdk._core.operation import Call
from cabinet_sdk.charges import NothingDue
from cabinet_sdk.errors import (
    ConnectionFailed,
    ConnectionLost,
    DeadlineExceeded,
    KeyReused,
    OutcomeUnknown,
    Problem,
    ServiceUnavailable,
    StateError,
    StillRunning,
    TimedOut,
    UnreadableAnswer,
    UsageError,
)
from tests.core.conftest import Play
from tests.core.scripted import (
    BASE_URL,
    CHANGE,
    CHANGE_ONCE,
    READ,
    After,
    Ask,
    AsyncScripted,
    Script,
    Scripted,
    Step,
    Thing,
    answer,
    html,
    ok,
    problem,
    thing,
    token,
)

pytestmark = pytest.mark.feature("EX-01", "SE-06")

AMBIGUOUS: dict[str, Step] = {
    "timed out": TimedOut("silence"),
    "cut": ConnectionLost("cut"),
    "500": problem(500),
    "502 HTML": html(502),
    "504": problem(504),
    "503 HTML": html(503),
    "503 JSON of a gateway": answer(503, b'{"code":"UPSTREAM_TIMEOUT"}', "application/json"),
    "504 JSON of a gateway": answer(504, b'{"code":"charges.nothing_due"}', "application/vnd.gateway+json"),
    "a gateway's 524": html(524),
    "509": problem(509),
    "999": problem(999),
    "still running": problem(409, "idempotency.still_running"),
}
NOT_SETTLING: dict[str, Step] = {
    **AMBIGUOUS,
    "503": problem(503),
    "429": problem(429),
    "401": problem(401, "sign_in.required"),
    "rejected token": problem(401, "sign_in.token_invalid"),
    "403": problem(403, "permission.missing"),
    "refused": ConnectionFailed("refused"),
    "300": problem(300),
    "302": problem(302),
    "404 HTML": html(404),
    "409 JSON of a gateway": answer(409, b'{"code":"charges.nothing_due"}', "application/json"),
    "404 of another version": problem(404, "request.unknown_operation"),
    "400 that was not read": problem(400, "request.malformed"),
    "400 of another version": problem(400, "request.invalid"),
    "409 that is none of its own": problem(409, "charges.method_not_linked"),
    "409 that nobody knows": problem(409, "charges.frozen"),
    "its own with another status": problem(503, "charges.nothing_due"),
    "409 whose type is none of its own": problem(409, None, type="https://cabinet.example/problems/charges.frozen"),
    "409 whose type names no code": problem(409, None, type="https://gateway.example/problems/conflict"),
    "409 of a code that counts more than its type": problem(
        409, "charges.frozen", type="https://cabinet.example/problems/charges.nothing_due"
    ),
    "no key came": problem(400, "idempotency.key_missing"),
    **{str(status): problem(status, "request.refused") for status in (405, 406, 413, 415, 421, 507)},
    "200 HTML": html(200),
    "200 cut JSON": answer(200, b'{"name": "a th', "application/json"),
    "200 of a wrong type": ok({"name": 7}),
}
SETTLING: dict[str, tuple[Step, type[Exception]]] = {
    "409": (problem(409, "charges.nothing_due"), StateError),
    "409 by its type": (
        problem(409, None, type="https://cabinet.example/problems/charges.nothing_due"),
        NothingDue,
    ),
    "422": (problem(422, "idempotency.key_reused"), KeyReused),
    "404": (problem(404, "charges.charge_not_found"), Problem),
}


async def reconciled(error: OutcomeUnknown) -> Thing:
    """Return what `reconcile` gives, of either client's error."""
    result = error.reconcile()
    thing: Thing = await result if inspect.isawaitable(result) else result
    return thing


async def test_result_is_unknown_and_reconciled(play: Play) -> None:
    """Experiment 22: a keyed call that times out names its operation id, and `reconcile` brings the single result."""
    script = Script(*[TimedOut("silence")] * 4, thing("the one"))

    with pytest.raises(OutcomeUnknown) as caught:
        await play(script).answer(CHANGE, payee_inn="7707083893")
    result = await reconciled(caught.value)

    error = caught.value
    assert result.name == "the one"
    assert set(script.keys) == {f'"{error.operation_id}"'}
    assert {request.content for request in script.requests} == {b'{"payee_inn":"7707083893"}'}
    assert error.operation == "things.change"
    assert error.request_id == script.requests[0].headers["x-request-id"]
    assert isinstance(error.__cause__, TimedOut)
    assert error.operation_id in str(error)
    assert "journal" not in str(error)


async def test_reconciling_may_fail_and_be_repeated(play: Play) -> None:
    """While still nobody knows, `reconcile` raises the same kind of error with the same operation id."""
    script = Script(*[ConnectionLost("cut")] * 8, thing())
    with pytest.raises(OutcomeUnknown) as caught:
        await play(script).answer(CHANGE)

    with pytest.raises(OutcomeUnknown) as again:
        await reconciled(caught.value)

    assert again.value.operation_id == caught.value.operation_id
    assert (await reconciled(again.value)).name == "a thing"
    assert (await reconciled(caught.value)).name == "a thing"


@pytest.mark.parametrize("then", NOT_SETTLING.values(), ids=NOT_SETTLING.keys())
async def test_reconciling_never_says_that_nothing_was_done(play: Play, then: Step) -> None:
    """What does not settle it leaves it unknown in `reconcile` too: 503 speaks of this attempt, not of the first."""
    script = Script(TimedOut("silence"), then)
    with pytest.raises(OutcomeUnknown) as caught:
        await play(script, retry=RetryPolicy(attempts=1)).answer(CHANGE)

    with pytest.raises(OutcomeUnknown) as again:
        await reconciled(caught.value)

    assert again.value.operation_id == caught.value.operation_id


def test_reconciling_blocks_in_the_sync_client() -> None:
    """What `reconcile` of a blocking call returns is the result itself."""
    script = Script(*[TimedOut("silence")] * 4, thing())
    with pytest.raises(OutcomeUnknown) as caught:
        Cabinet(BASE_URL, transport=Scripted(script)).answer(CHANGE)

    assert caught.value.reconcile().name == "a thing"


async def test_reconciling_is_awaited_in_the_async_client() -> None:
    """What `reconcile` of an async call returns is an awaitable of the result."""
    script = Script(*[TimedOut("silence")] * 4, thing())
    with pytest.raises(OutcomeUnknown) as caught:
        await AsyncCabinet(BASE_URL, transport=AsyncScripted(script)).answer(CHANGE)

    assert (await caught.value.reconcile()).name == "a thing"


@pytest.mark.parametrize("then", NOT_SETTLING.values(), ids=NOT_SETTLING.keys())
@pytest.mark.parametrize("first", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
async def test_what_follows_does_not_settle_it(play: Play, first: Step, then: Step) -> None:
    """After an ambiguous attempt nothing but an answer of the operation itself says what became of it."""
    script = Script(first, then)

    with pytest.raises(OutcomeUnknown):
        await play(script).answer(CHANGE)

    assert len(set(script.keys)) == 1


@pytest.mark.parametrize("then, kind", SETTLING.values(), ids=SETTLING.keys())
@pytest.mark.parametrize("first", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
async def test_a_definite_refusal_settles_it(play: Play, first: Step, then: Step, kind: type[Exception]) -> None:
    """After an ambiguous attempt a refusal by the operation is the outcome."""
    script = Script(first, then)

    with pytest.raises(kind) as caught:
        await play(script).answer(CHANGE)

    assert not isinstance(caught.value, OutcomeUnknown)
    assert len(script.requests) == 2


@pytest.mark.parametrize("row", [CHANGE, CHANGE_ONCE], ids=["keyed", "never repeated"])
@pytest.mark.parametrize("name", ["200 HTML", "200 cut JSON", "200 of a wrong type"])
async def test_a_result_that_cannot_be_read_is_unknown(play: Play, name: str, row: Call[..., Ask, Thing]) -> None:
    """A good status with a body that nobody understands: it may have been done, so the first attempt is enough."""
    with pytest.raises(OutcomeUnknown) as caught:
        await play(Script(NOT_SETTLING[name])).answer(row)

    assert isinstance(caught.value.__cause__, UnreadableAnswer)


@pytest.mark.parametrize(
    "refusal",
    [answer(400, b'{"error":"invalid_client"}', "application/json"), html(403), ConnectionFailed("refused"), token("")],
    ids=["invalid_client", "HTML", "refused", "no token"],
)
async def test_a_lost_token_does_not_settle_it(play: Play, refusal: Step) -> None:
    """A change whose first attempt was cut stays unknown when no token can be had for the next one."""
    script = Script(ConnectionLost("cut"), problem(401, "sign_in.token_invalid"), tokens=[token("first"), refusal])

    with pytest.raises(OutcomeUnknown):
        await play(script, ClientCredentials("client", "secret")).answer(CHANGE)


@pytest.mark.parametrize(
    "outcome",
    [ConnectionFailed("refused"), problem(503, "service.unavailable"), problem(429, "service.rate_limited")],
)
async def test_what_was_not_done_is_not_unknown(play: Play, outcome: Step) -> None:
    """Where no attempt reached the operation the error says so."""
    with pytest.raises((ConnectionFailed, ServiceUnavailable, Problem)) as caught:
        await play(Script(outcome)).answer(CHANGE)

    assert not isinstance(caught.value, OutcomeUnknown)


@pytest.mark.parametrize("key", [None, "k-1"], ids=["own key", "caller's key"])
async def test_what_still_runs_is_unknown(play: Play, key: str | None) -> None:
    """Whoever has the key, such as a gateway's copy of the request, may carry the change out after the call."""
    script = Script(problem(409, "idempotency.still_running"))
    client = play(script) if key is None else play(script).with_options(idempotency_key=key)

    with pytest.raises(OutcomeUnknown) as caught:
        await client.answer(CHANGE)

    assert isinstance(caught.value.__cause__, StillRunning)
    assert script.keys == [f'"{caught.value.operation_id}"'] * 4


async def test_a_read_is_never_unknown(play: Play) -> None:
    """A read that times out is just that."""
    with pytest.raises(TimedOut):
        await play(Script(TimedOut("silence"))).answer(READ)


@pytest.mark.parametrize("first", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
async def test_a_row_without_a_key_is_not_repeated(play: Play, first: Step) -> None:
    """A row that is never repeated is unknown after one attempt, has the request id as its id, and cannot reconcile."""
    script = Script(first, thing())

    with pytest.raises(OutcomeUnknown) as caught:
        await play(script).answer(CHANGE_ONCE)

    assert script.keys == [None]
    assert caught.value.operation_id == script.requests[0].headers["x-request-id"]
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):  # noqa: S301  # our own bytes
        assert not error.keyed
        assert error.remedy.startswith("Look the thing up, and do not repeat the call blindly")
        assert "idempotency key" not in str(error)
        with pytest.raises(UsageError, match="can happen twice: look the thing up") as mistake:
            error.reconcile()
        assert "idempotency_key" not in str(mistake.value)


async def test_after_a_pickle_the_id_still_serves(play: Play) -> None:
    """A pickled error cannot repeat its call, but another client can with its operation id."""
    with pytest.raises(OutcomeUnknown) as caught:
        await play(Script(TimedOut("silence"))).answer(CHANGE)

    error: OutcomeUnknown = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  # our own bytes

    assert (str(error), error.operation_id) == (str(caught.value), caught.value.operation_id)
    with pytest.raises(UsageError, match="pickled"):
        error.reconcile()
    script = Script(thing())
    await play(script).with_options(idempotency_key=error.operation_id).answer(CHANGE)
    assert script.keys == [f'"{error.operation_id}"']


async def test_deadline_after_an_ambiguous_attempt_is_unknown(play: Play) -> None:
    """A change that ran into its deadline after it was sent is unknown, with the deadline as the reason."""
    with pytest.raises(OutcomeUnknown) as caught:
        await play(Script(After(61.0, thing()))).answer(CHANGE)

    assert isinstance(caught.value.__cause__, DeadlineExceeded)


async def test_empty_budget_after_an_ambiguous_attempt_is_unknown(play: Play) -> None:
    """A change that may not be repeated for want of budget is unknown after an ambiguous attempt."""
    script = Script(TimedOut("silence"))

    with pytest.raises(OutcomeUnknown):
        await play(script, retry=RetryPolicy(budget=0)).answer(CHANGE)

    assert len(script.requests) == 1


async def test_a_client_closed_meanwhile_does_not_settle_it(play: Play) -> None:
    """Another thread that closes the client between two attempts does not make the first one undone."""
    closed = UsageError("the client is closed; make a new one")

    with pytest.raises(OutcomeUnknown, match="the client is closed") as caught:
        await play(Script(ConnectionLost("cut"), closed)).answer(CHANGE)
    for script, row in (
        (Script(ConnectionFailed("refused"), closed), CHANGE),
        (Script(TimedOut("late"), closed), READ),
    ):
        with pytest.raises(UsageError):
            await play(script).answer(row)

    assert caught.value.__cause__ is closed


async def test_a_hook_that_fails_does_not_settle_it(play: Play) -> None:
    """Before a further attempt or when it is told of an error, a hook of one's own does not hide what was sent."""

    @contextmanager
    def fails_before(attempt: Attempt) -> Generator[None]:
        if attempt.number > 1:
            raise ZeroDivisionError("personal")
        yield

    @contextmanager
    def fails_after(_: CallScope | Attempt) -> Generator[None]:
        yield
        raise ZeroDivisionError

    @contextmanager
    def refuses_again(attempt: Attempt) -> Generator[None]:
        if attempt.number > 1:
            raise UsageError("once is enough")
        yield

    client = play(Script(ConnectionLost("cut")), around_attempt=fails_before)
    with pytest.raises(OutcomeUnknown, match=r"happened: ZeroDivisionError\.") as caught:
        await client.answer(CHANGE)
    assert "personal" not in str(caught.value)
    with pytest.raises(OutcomeUnknown):
        await play(Script(ConnectionLost("cut")), around_call=fails_after).answer(CHANGE)
    with pytest.raises(UsageError, match="once is enough"):
        # What never went out stays undone.
        await play(Script(ConnectionFailed("refused")), around_attempt=refuses_again).answer(CHANGE)


async def test_a_hook_for_drift_is_no_outcome(play: Play) -> None:
    """What `on_drift` raises does not say that a change was not made, and of a read it is itself."""

    def fails(_: Drift) -> None:
        raise ConnectionFailed("no place to report to")

    strange = ok({"name": "a thing", "new": 1})
    told = r"happened: a hook raised ConnectionFailed: no place to report to\."
    with pytest.raises(OutcomeUnknown, match=told) as caught:
        await play(Script(strange), on_drift=fails).answer(CHANGE)
    with pytest.raises(ConnectionFailed):
        await play(Script(strange), on_drift=fails).answer(READ)

    assert isinstance(caught.value.__cause__, ConnectionFailed)


def test_rows_encode_their_request() -> None:
    """The rows of these tests are what the tests say: the same request class for all."""
    assert {row.request_class for row in (READ, CHANGE, CHANGE_ONCE)} == {Ask}
