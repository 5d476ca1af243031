"""Tokens: fetched once, renewed once, and what it means when there is none."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs

import pytest

from cabinet_sdk import BearerToken, ClientCredentials
from cabinet_sdk.errors import (
    CabinetError,
    CallerError,
    ConnectionFailed,
    ConnectionLost,
    DeadlineExceeded,
    OutcomeUnknown,
    RightsError,
    ServiceError,
    SignInRefused,
    SignInRequired,
    TimedOut,
    TokenInvalid,
    UnreadableAnswer,
)
from cabinet_sdk.transports import Request
from tests.core.conftest import Play
from tests.core.scripted import (
    BASE_URL,
    CHANGE,
    READ,
    Script,
    Step,
    answer,
    html,
    ok,
    problem,
    thing,
    token,
)

pytestmark = pytest.mark.feature("EX-01")

CREDENTIALS = ClientCredentials("client:1", "sécret/+", scope=("charges.read", "charges.pay"))
REJECTED = problem(401, "sign_in.token_invalid")


def bytes_of(request: Request) -> bytes:
    """Return a body that is held in memory."""
    assert isinstance(request.content, bytes)
    return request.content


def sent(script: Script) -> list[str | None]:
    """Return what the requests were signed with."""
    return [request.headers.get("authorization") for request in script.requests]


async def test_the_token_is_fetched_when_first_needed_and_kept(play: Play) -> None:
    """One request by RFC 6749 2.3.1 and 4.4.2 gives the token of all calls."""
    script = Script(thing(), tokens=[token("t-1")])
    client = play(script, CREDENTIALS)
    assert script.token_requests == []

    for row in (READ, CHANGE, READ):
        await client.answer(row)

    [asked] = script.token_requests
    scheme, _, encoded = asked.headers["authorization"].partition(" ")
    assert (asked.method, asked.url, scheme) == ("POST", f"{BASE_URL}/oauth/token", "Basic")
    assert base64.b64decode(encoded) == b"client%3A1:s%C3%A9cret%2F%2B"
    assert parse_qs(bytes_of(asked).decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["charges.read charges.pay"],
    }
    assert sent(script) == ["Bearer t-1"] * 3


async def test_without_credentials_nothing_is_signed(play: Play) -> None:
    """A client without credentials sends no token; the service's refusal is the error."""
    script = Script(problem(401, "sign_in.required"))

    with pytest.raises(SignInRequired):
        await play(script, None).answer(READ)

    assert sent(script) == [None]


@pytest.mark.parametrize("lifetime, used", [(3600, 3570.0), (300, 270.0), (40, 20.0), (10, 5.0)])
async def test_a_token_is_renewed_before_it_expires(play: Play, lifetime: int, used: float) -> None:
    """A token is used until 30 s before its end, a short one for half its life."""
    script = Script(thing(), tokens=[token("t-1", lifetime), token("t-2", lifetime)])
    client = play(script, CREDENTIALS)

    for clock in (1000.0, 1000.0 + used - 0.001, 1000.0 + used):
        script.clock = clock
        await client.answer(READ)

    assert sent(script) == ["Bearer t-1", "Bearer t-1", "Bearer t-2"]


async def test_a_token_without_a_lifetime_is_kept_for_an_hour(play: Play) -> None:
    """`expires_in` is only recommended (RFC 6749 5.1)."""
    script = Script(thing(), tokens=[ok({"access_token": "t", "token_type": "Bearer"})])
    client = play(script, CREDENTIALS)

    for clock in (1000.0, 4569.0, 4571.0):
        script.clock = clock
        await client.answer(READ)

    assert len(script.token_requests) == 2


async def test_a_rejected_token_is_fetched_again_once(play: Play) -> None:
    """A token that the service does not know any more is replaced, and the call goes on with the same key."""
    script = Script(thing(), REJECTED, thing("renewed"), tokens=[token("t-1"), token("t-2")])
    client = play(script, CREDENTIALS)
    await client.answer(CHANGE)

    assert (await client.answer(CHANGE)).value.name == "renewed"

    assert sent(script) == ["Bearer t-1", "Bearer t-1", "Bearer t-2"]
    assert script.keys[1] == script.keys[2]
    assert script.pauses == []


@pytest.mark.parametrize("known", [False, True], ids=["first call", "later call"])
async def test_constant_rejection_is_no_loop(play: Play, *, known: bool) -> None:
    """A token that is rejected right after it was fetched is the error; a change was not done."""
    script = Script(*([thing()] if known else []), REJECTED, tokens=[token()])
    client = play(script, CREDENTIALS)
    if known:
        await client.answer(READ)

    with pytest.raises(TokenInvalid):
        await client.answer(CHANGE)

    assert len(script.requests) == (3 if known else 1)
    assert len(script.token_requests) == (2 if known else 1)


async def test_a_given_token_is_not_renewed(play: Play) -> None:
    """A bearer token that somebody else fetched is used as it is; its rejection is the error."""
    script = Script(REJECTED)

    with pytest.raises(TokenInvalid):
        await play(script, BearerToken("theirs")).answer(READ)

    assert sent(script) == ["Bearer theirs"]
    assert script.token_requests == []


async def test_only_a_401_renews(play: Play) -> None:
    """The code of a rejected token with another status is taken for what the status says."""
    script = Script(problem(500, "sign_in.token_invalid"), tokens=[token()])

    with pytest.raises(OutcomeUnknown):
        await play(script, CREDENTIALS).answer(CHANGE)

    assert len(script.requests) == 4
    assert len(script.token_requests) == 1


REFUSALS: dict[str, tuple[Step, type[CabinetError], int]] = {
    "invalid_client 400": (answer(400, b'{"error":"invalid_client"}', "application/json"), SignInRefused, 1),
    "invalid_client 401": (answer(401, b'{"error":"invalid_client"}', "application/json"), SignInRefused, 1),
    "invalid_scope": (answer(400, b'{"error":"invalid_scope"}', "application/json"), SignInRefused, 1),
    "HTML 404": (html(404), CallerError, 1),
    "HTML 403": (html(403), RightsError, 1),
    "HTML 502": (html(502), ServiceError, 4),
    "HTML 200": (html(200), UnreadableAnswer, 1),
    "problem 503": (problem(503, "service.unavailable"), ServiceError, 4),
    "problem 500": (problem(500), ServiceError, 4),
    "408": (answer(408, b'{"error":"slow"}', "application/json"), CallerError, 4),
    "425": (answer(425, b'{"error":"early"}', "application/json"), CallerError, 4),
    "429": (answer(429, b'{"error":"slow_down"}', "application/json"), ServiceError, 4),
    "refused": (ConnectionFailed("refused"), ConnectionFailed, 4),
    "cut": (ConnectionLost("cut"), ConnectionLost, 4),
    "timed out": (TimedOut("silence"), TimedOut, 4),
    "empty": (answer(200, b"", "application/json"), UnreadableAnswer, 1),
    "204": (answer(204, b"", None), UnreadableAnswer, 1),
    "array": (ok(["token"]), UnreadableAnswer, 1),
    "no token": (ok({"token": "t"}), UnreadableAnswer, 1),
    "null token": (ok({"access_token": None}), UnreadableAnswer, 1),
    "empty token": (token(""), UnreadableAnswer, 1),
    "header injection": (token("t\r\nX-Evil: 1"), UnreadableAnswer, 1),
    "foreign letters": (token("токен"), UnreadableAnswer, 1),
    "text lifetime": (token("t", "3600"), UnreadableAnswer, 1),
    "true lifetime": (token("t", True), UnreadableAnswer, 1),  # noqa: FBT003
    "no number": (token("t", float("nan")), UnreadableAnswer, 1),
    "huge lifetime": (token("t", 10**400), UnreadableAnswer, 1),
    "lifetime long over": (token("t", -(10**400)), UnreadableAnswer, 1),
    "large": (answer(200, b'{"access_token":"t"' + b" " * 1024**2 + b"}", "application/json"), UnreadableAnswer, 1),
}


@pytest.mark.feature("SE-06")
@pytest.mark.parametrize("outcome, kind, attempts", REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_token_that_cannot_be_had(play: Play, outcome: Step, kind: type[CabinetError], attempts: int) -> None:
    """Without a token a change is not sent, and the typed error says why: never that the outcome is unknown."""
    script = Script(thing(), tokens=[outcome])

    with pytest.raises(kind) as caught:
        await play(script, CREDENTIALS).answer(CHANGE)

    assert not isinstance(caught.value, OutcomeUnknown)
    assert script.requests == []
    assert len(script.token_requests) == attempts
    assert caught.value.operation == "sign_in.token"
    assert caught.value.request_id == script.token_requests[0].headers["x-request-id"]


async def test_a_refusal_names_its_reason(play: Play) -> None:
    """The OAuth code of a refusal is a member of the error, its description the text."""
    content = b'{"error":"invalid_client","error_description":"unknown client"}'
    script = Script(thing(), tokens=[answer(401, content, "application/json")])

    with pytest.raises(SignInRefused) as caught:
        await play(script, CREDENTIALS).answer(READ)

    assert caught.value.members == {"error": "invalid_client"}
    assert caught.value.message == "unknown client"
    assert caught.value.status == 401


async def test_a_failed_fetch_is_tried_again_by_the_next_call(play: Play) -> None:
    """An error while fetching the token leaves no lock held and nothing kept."""
    script = Script(thing(), tokens=[html(200), token()])
    client = play(script, CREDENTIALS)
    with pytest.raises(UnreadableAnswer):
        await client.answer(READ)

    assert (await client.answer(READ)).value.name == "a thing"


async def test_a_deadline_while_fetching(play: Play) -> None:
    """A token endpoint that breaks until the deadline gives the deadline's error."""
    script = Script(thing(), tokens=[ConnectionFailed("refused")])

    with pytest.raises((DeadlineExceeded, ConnectionFailed)):
        await play(script, CREDENTIALS, deadline=0.001).answer(CHANGE)

    assert script.requests == []
