"""Who may do what: tokens, permissions, limits, and profiles that do not see one another."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from cabinet_sdk import AsyncCabinet, BearerToken, Cabinet, ClientCredentials
from cabinet_sdk.charges import PaymentMethod
from cabinet_sdk.contract import CONTRACT
from cabinet_sdk.errors import PermissionMissing, RateLimited, SignInRefused, TokenInvalid
from cabinet_sdk.transports import InProcessTransport
from cabinet_sdk.types import Money
from reference_server import ManualClock, Profile, RateLimit, World
from reference_server.limits import RateLimiter
from reference_server.testing import BASE_URL, connect, credentials, serve
from reference_server.world import DEFAULT_START
from tests.conftest import Connect
from tests.server.raw import Raw, document, token_for


@pytest.mark.feature("EX-01")
def test_a_narrow_token_reads_and_does_not_pay(world: World, person: Profile) -> None:
    """A token with one scope is refused what needs another, by the row's permission and before the request is read."""
    raw = Raw(world, person, scope="charges.read")

    assert raw.send("GET", "/charges").status == 200
    refused = raw.send("POST", "/payments", content=b"no JSON at all", key="k")

    assert (refused.status, document(refused)["code"]) == (403, "permission.missing")
    assert document(refused)["permission"] == "charges.pay"
    assert 'scope="charges.pay"' in refused.headers["www-authenticate"]


async def test_a_missing_permission_is_its_own_error(connect: Connect, world: World) -> None:
    """Who may only read gets `PermissionMissing` for paying."""
    reader = world.profiles.add("Читатель", permissions=frozenset({"charges.read"}))
    charge = world.charges.add(reader, Money("1.00"))
    client = connect(reader)

    with pytest.raises(PermissionMissing) as caught:
        await client.charges.pay(charge.id, method=PaymentMethod.SBP)

    assert caught.value.permission == "charges.pay"


def test_every_operation_asks_for_a_token(world: World, raw: Raw) -> None:
    """Without a token, with garbage and after its hour no row answers anything but 401."""
    paths = {"{charge_id}": "chg_a", "{payment_id}": "pay_a"}
    for row in CONTRACT:
        path = row.path
        for placeholder, value in paths.items():
            path = path.replace(placeholder, value)
        for authorization in (None, "Bearer garbage", "Bearer", "nonsense"):
            response = raw.send(row.method, path, {}, headers={"authorization": authorization}, key="k")
            assert response.status == 401, row.id
    world.clock.sleep(3600)
    assert raw.send("GET", "/charges").status == 401


async def test_an_expired_token_is_renewed_unseen(client: AsyncCabinet, world: World, person: Profile) -> None:
    """A call after the token's hour signs in again and goes on."""
    world.charges.add(person, Money("1.00"))
    assert len([charge async for charge in client.charges.list()]) == 1
    world.clock.sleep(4000)

    assert len([charge async for charge in client.charges.list()]) == 1
    assert [request.operation for request in world.requests].count("sign_in.token") == 2


def test_wrong_credentials_are_refused(world: World, person: Profile) -> None:
    """An unknown client and a wrong secret get the same answer."""
    messages: set[str] = set()
    for client_id, secret in ((person.id, "wrong"), ("prf_none", world.client_secret(person.id)), ("", "")):
        transport = InProcessTransport(world.respond, sleep=world.clock.sleep, now=world.clock.monotonic)
        with Cabinet(BASE_URL, ClientCredentials(client_id, secret), transport=transport) as cabinet:
            with pytest.raises(SignInRefused) as caught:
                list(cabinet.charges.list())
            messages.add(caught.value.message)
            assert caught.value.error == "invalid_client"

    assert len(messages) == 1


@pytest.mark.parametrize(
    "form,error",
    [
        ("grant_type=password&{client}", "unsupported_grant_type"),
        ("{client}", "invalid_request"),
        ("grant_type=&{client}", "invalid_request"),
        ("grant_type=client_credentials", "invalid_request"),
        ("grant_type=client_credentials&grant_type=client_credentials&{client}", "invalid_request"),
        ("grant_type=client_credentials&scope=everything&{client}", "invalid_scope"),
        ("grant_type=client_credentials&%FF=1&{client}", None),
    ],
)
def test_the_token_endpoint_keeps_to_oauth(raw: Raw, person: Profile, form: str, error: str | None) -> None:
    """Wrong grants, doubled parameters and foreign scopes get the codes of RFC 6749; unknown parameters are ignored."""
    client = f"client_id={person.id}&client_secret={raw.world.client_secret(person.id)}"
    response = raw.send(
        "POST",
        "/oauth/token",
        content=form.format(client=client).encode(),
        headers={"authorization": None, "content-type": "application/x-www-form-urlencoded"},
    )

    assert response.headers["cache-control"] == "no-store"
    assert document(response).get("error") == error
    assert response.status == (200 if error is None else 400)


def test_a_token_does_not_show_in_the_database(world: World, person: Profile) -> None:
    """Tokens and client secrets are kept as digests only."""
    token = token_for(world, person)
    dump = "\n".join(
        str(tuple(row)) for table in ("tokens", "profiles") for row in world.database.all(f"SELECT * FROM {table}")
    )

    assert token not in dump
    assert world.client_secret(person.id) not in dump


def test_limits_are_exact_and_per_client() -> None:
    """Each client gets its quota a window, not one more; the answer says when to come back; another is untouched."""
    world = World(rate_limit=RateLimit(quota=5, window=10))
    person, other = world.profiles.add("А"), world.profiles.add("Б")
    raw = Raw(world, person)
    answers = [raw.send("GET", "/charges") for _ in range(8)]

    assert [answer.status for answer in answers] == [200] * 5 + [429] * 3
    assert [answer.headers["ratelimit"] for answer in answers[:2]] == ['"default";r=4;t=10', '"default";r=3;t=10']
    assert answers[-1].headers["retry-after"] == "10"
    assert answers[-1].headers["ratelimit"] == '"default";r=0;t=10'
    assert Raw(world, other).send("GET", "/charges").status == 200
    world.clock.sleep(10)
    assert raw.send("GET", "/charges").status == 200
    world.close()


def test_92_limits_are_exact_with_fifty_clients_at_once() -> None:
    """Fifty connections of one tenant share its quota, none more and none less; another's is untouched."""
    world = World(rate_limit=RateLimit(quota=100, window=60))
    busy, calm = world.profiles.add("А"), world.profiles.add("Б")
    tokens = {profile.id: token_for(world, profile) for profile in (busy, calm)}

    def ask(url: str, profile: Profile, times: int) -> list[httpx.Response]:
        headers = {"authorization": f"Bearer {tokens[profile.id]}"}
        with httpx.Client(trust_env=False, timeout=60, headers=headers) as client:
            return [client.get(f"{url}/charges") for _ in range(times)]

    with serve(world) as url, ThreadPoolExecutor(60) as threads:
        many = [threads.submit(ask, url, busy, 4) for _ in range(50)]
        few = [threads.submit(ask, url, calm, 5) for _ in range(10)]
        answers = [answer for each in many for answer in each.result()]
        others = [answer for each in few for answer in each.result()]

    good = [answer.headers["ratelimit"] for answer in answers if answer.status_code == 200]
    refused = [answer.headers for answer in answers if answer.status_code == 429]
    assert sorted(good) == sorted(f'"default";r={left};t=60' for left in range(100))
    assert {(each["ratelimit"], each["retry-after"]) for each in refused} == {('"default";r=0;t=60', "60")}
    assert len(refused) == 100
    assert {each.headers["ratelimit-policy"] for each in (*answers, *others)} == {'"default";q=100;w=60'}
    assert [answer.status_code for answer in others] == [200] * 50
    world.close()


def test_strangers_are_counted_by_address() -> None:
    """Attempts without a good token, and wrong secrets, are limited too; who has a token is not held up by them."""
    world = World(rate_limit=RateLimit(quota=5, window=60))
    person = world.profiles.add("А")
    raw = Raw(world, person)
    form = f"grant_type=client_credentials&client_id={person.id}&client_secret=wrong".encode()
    form_type = {"content-type": "application/x-www-form-urlencoded", "authorization": None}
    guessed = [raw.send("GET", "/charges", headers={"authorization": "Bearer guess"}).status for _ in range(3)]
    guessed += [raw.send("POST", "/oauth/token", content=form, headers=form_type).status for _ in range(5)]

    assert guessed == [401] * 5 + [429] * 3
    assert raw.send("GET", "/charges").status == 200
    assert len([each for each in world.audit.entries() if not each.action.startswith("sandbox.")]) == 6
    world.close()


def test_116_a_clock_that_is_set_back_locks_nobody_out() -> None:
    """With the system's clock two hours back a window begins anew, and no wait is longer than one."""
    limiter = RateLimiter(RateLimit(quota=2, window=60))
    for _ in range(2):
        limiter.admit("a", DEFAULT_START)
    earlier = DEFAULT_START - dt.timedelta(hours=2)

    assert limiter.admit("a", earlier)[1] == ("ratelimit", '"default";r=1;t=60')
    limiter.admit("a", earlier)
    with pytest.raises(RateLimited) as caught:
        limiter.admit("a", earlier + dt.timedelta(seconds=20))
    assert caught.value.retry_after == 40


def test_a_limiter_forgets_whose_window_is_over() -> None:
    """Ten thousand addresses that try once leave nothing behind, and those whose window goes on are still counted."""
    limiter, clock = RateLimiter(RateLimit(quota=1, window=10)), ManualClock(DEFAULT_START)
    for number in range(10_000):
        clock.sleep(0.01)
        limiter.admit(f"address {number}", clock.now())

    assert len(limiter._windows) <= 2002  # pyright: ignore[reportPrivateUsage]  # what it costs is nowhere else
    with pytest.raises(RateLimited):
        limiter.admit("address 9999", clock.now())


def test_the_client_waits_as_long_as_it_is_told() -> None:
    """A refusal for too many requests is waited out by the server's word, within the deadline, and then succeeds."""
    world = World(rate_limit=RateLimit(quota=2, window=20))
    person = world.profiles.add("А")
    with connect(world, person) as cabinet:
        before = world.clock.now()
        for _ in range(5):
            list(cabinet.charges.list())
        assert (world.clock.now() - before).total_seconds() == 40
        hasty = cabinet.with_options(deadline=5)
        list(hasty.charges.list())
        with pytest.raises(RateLimited) as caught:
            list(hasty.charges.list())
    assert caught.value.retry_after == 20
    world.close()


async def test_a_static_token_is_not_renewed(world: World, person: Profile) -> None:
    """A token from elsewhere is used as it is; once it is refused, that is the caller's to mend."""
    transport = InProcessTransport(world.respond, sleep=world.clock.sleep, now=world.clock.monotonic)
    with Cabinet(BASE_URL, BearerToken(token_for(world, person)), transport=transport) as cabinet:
        assert list(cabinet.charges.list()) == []
        world.clock.sleep(3600)
        with pytest.raises(TokenInvalid):
            list(cabinet.charges.list())
    assert "…" in repr(credentials(world, person))
