"""Who may look at the console and send its forms, and that no name does harm in it."""

from __future__ import annotations

import datetime as dt

import httpx
import pytest

from cabinet_sdk.charges import PaymentMethod, RefundMethod
from cabinet_sdk.types import Money
from reference_server import Outcome, Profile, World
from reference_server.testing import connect, serve
from tests.server.console import HOSTILE, own, shown
from tests.server.raw import token_for

FORMS = ("/profiles", "/clock", "/faults", "/faults/clear", "/pay/pay_x/confirm")


def test_hostile_names_are_escaped(console: httpx.Client, world: World) -> None:
    """What people name themselves, their charges and their transfers is text on every page, never markup."""
    person = world.profiles.add(HOSTILE)
    charge = world.charges.add(person, Money("1.00"), purpose=HOSTILE)
    world.charges.receive_transfer(person.inn, Money("1.00"), purpose=HOSTILE)
    console.get("/v1/<script>alert('1')</script>")
    base = f"/profiles/{person.id}"
    wrong = console.post(f"{base}/charges", data={"kind": "fine", "amount": HOSTILE, "purpose": HOSTILE})
    addresses_ = ["/", base, f"{base}/charges/{charge.id}", "/requests", "/problems/<script>", "/<script>"]

    for page in (wrong, *map(console.get, addresses_)):
        assert "<script" not in page.text, page.url
        assert "O'Нил\"" not in page.text
    for address in addresses_[:3]:
        assert HOSTILE in shown(console.get(address))


@pytest.mark.parametrize("address", FORMS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "{own}", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_foreign_forms_are_refused(console: httpx.Client, world: World, address: str, headers: dict[str, str]) -> None:
    """A form that another site's page sends does nothing."""
    before = world.clock.now()
    page = console.post(
        address,
        data={"name": "x", "kind": "person", "number": "1", "unit": "days"},
        headers={name: value.format(own=own(console)) for name, value in headers.items()},
    )

    assert page.status_code == 403
    assert world.profiles.all() == []
    assert world.clock.now() == before


def test_own_forms_pass(console: httpx.Client, world: World) -> None:
    """What a browser sends with a form of the console itself is let pass."""
    headers = {"Origin": own(console), "Sec-Fetch-Site": "same-origin"}
    page = console.post("/clock", data={"number": "1", "unit": "days"}, headers=headers)

    assert page.status_code == 303
    assert page.headers["location"] == "/clock?done=advanced"
    assert world.clock.now() == dt.datetime(2026, 11, 17, 9, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "evil-localhost", "evil.example:127"),
        *("[::2]", "[::1]evil", "0.0.0.0", "128.0.0.1", "[::::]", "@", "evil@localhost", ""),  # noqa: S104  # as sent
    ],
)
@pytest.mark.parametrize("path", ["/", "/healthz", "/v1/charges", "/v1/oauth/token", "/v1/nothing", "/nothing"])
def test_foreign_hosts_are_refused(console: httpx.Client, world: World, person: Profile, host: str, path: str) -> None:
    """A name that somebody else's name server has pointed to this machine gets nothing there (DNS rebinding)."""
    form = {
        "grant_type": "client_credentials",
        "client_id": person.id,
        "client_secret": world.client_secret(person.id),
    }
    refused = [
        console.get(path, headers={"Host": host, "Authorization": f"Bearer {token_for(world, person)}"}),
        console.post(path, headers={"Host": host}, data=form),
    ]

    for answer in refused:
        assert answer.status_code == 421
        assert answer.json()["code"] == "request.misdirected"
        assert answer.json()["type"] == "/problems/request.misdirected"
    assert [each.problem for each in world.requests[-2:]] == ["request.misdirected"] * 2


def test_a_claimed_host_is_not_repeated_in_a_problem(world: World) -> None:
    """Beyond this machine a caller may name any host; the page of a code is told without one."""
    with serve(world, sandbox=False) as url:
        answer = httpx.get(f"{url}/nowhere", headers={"Host": "evil.example"}, trust_env=False, timeout=60)

    assert answer.json()["type"] == "/problems/request.unknown_operation"


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8080", "a.b.localhost:1", "127.0.0.1", "127.0.0.1:1", "127.8.9.10", "[::1]", "[::1]:8080"],
)
@pytest.mark.parametrize("path", ["/", "/v1/charges"])
def test_loopback_hosts_are_served(console: httpx.Client, world: World, person: Profile, host: str, path: str) -> None:
    """The names of this machine get everything, at any port."""
    headers = {"Host": host, "Authorization": f"Bearer {token_for(world, person)}"}
    assert console.get(path, headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/", "/healthz", "/openapi.json", "/style.css", "/nothing", "/v1/nothing"])
def test_no_answer_is_taken_for_what_it_is_not(console: httpx.Client, path: str) -> None:
    """Every answer forbids a browser to guess what it is, and to keep it."""
    headers = console.get(path).headers

    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")


def test_broken_forms_are_refused(console: httpx.Client) -> None:
    """A body that is too large or no form is refused and does nothing."""
    assert console.post("/clock", content=b"a" * 100_000).status_code == 413
    assert console.post("/clock", content="число=1".encode()).status_code == 400
    assert console.post("/clock", content=b"number=%FF").status_code == 400
    assert console.post("/clock", content=b"number=1", headers={"Content-Encoding": "gzip"}).status_code == 415
    assert console.post("/clock", content=b"&".join(b"%d=1" % number for number in range(60))).status_code == 400
    assert console.post("/clock", content=b"number=1&unit=days&number=9").status_code == 400


def test_the_address_of_a_form_leads_to_its_page(console: httpx.Client, world: World, person: Profile) -> None:
    """Whoever loads the answer to a form anew gets the page with the form, and all methods of an address are named."""
    charge = world.charges.add(person, Money("1.00"))
    base = f"/profiles/{person.id}"
    card = f"{base}/charges/{charge.id}"
    pages = {
        "/": ["/profiles"],
        base: [f"{base}/charges", f"{base}/transfers", f"{base}/outcomes", f"{base}/payments/pay_x/confirm"],
        card: [f"{card}/credit", f"{card}/refund"],
        "/faults": ["/faults/clear"],
        "/pay/pay_x": ["/pay/pay_x/confirm"],
        "/refunds/ref_x": ["/refunds/ref_x/card"],
    }

    for page, forms in pages.items():
        for form in forms:
            for answer in (console.get(form), console.head(form)):
                assert (answer.status_code, answer.headers["location"]) == (303, page)
            assert console.put(form).headers["allow"] == "POST"
    for odd, page in (("a%25b", "/pay/a%25b"), ("a%2523", "/pay/a%2523")):
        assert console.get(f"/pay/{odd}/confirm").headers["location"] == page
    refused = console.put("/clock")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, POST")
    assert console.get("/nothing").status_code == 404


def test_without_the_sandbox_a_payer_only_looks(world: World, person: Profile) -> None:
    """Beyond this machine a confirmation leads to its page, which nobody can decide anything on."""
    charges = connect(world, person).charges
    owed = world.charges.add(person, Money("10.00"))
    overpaid = world.charges.add(person, Money("1.00"))
    world.charges.credit(person, overpaid, Money("5.00"))
    world.charges.script(Outcome.HOLD)
    world.charges.script_refunds(Outcome.HOLD)
    payment = charges.pay(owed.id, method=PaymentMethod.SBP)
    refund = charges.request_refund(overpaid.id, method=RefundMethod.BANK_CARD)
    world.clock.sleep(10)
    with (
        serve(world, sandbox=False) as url,
        httpx.Client(base_url=url.removesuffix("/v1"), trust_env=False, timeout=60) as public,
    ):
        pages = [public.get(f"/pay/{payment.id}"), public.get(f"/refunds/{refund.id}")]
        unknown = public.get("/pay/none")
        decided = [public.post(f"/pay/{payment.id}/confirm"), public.post(f"/refunds/{refund.id}/card")]

    for page, number in zip(pages, (payment.number, refund.number), strict=True):
        assert page.status_code == 200
        assert number in shown(page)
        assert "decides nothing here" in shown(page)
        assert "<form" not in page.text
        assert person.name not in page.text
    assert unknown.status_code == 404
    assert [each.status_code for each in decided] == [404, 404]
    assert not charges.payment(payment.id).status.final
    assert charges.refund(refund.id).confirmation is not None


def test_without_the_sandbox_there_are_no_controls(world: World, person: Profile) -> None:
    """Beyond this machine the console is absent: neither pages nor forms, nor a trace of them in what is left."""
    charge = world.charges.add(person, Money("1.00"))
    base = f"/profiles/{person.id}"
    with (
        serve(world, sandbox=False) as url,
        httpx.Client(base_url=url.removesuffix("/v1"), trust_env=False, timeout=60) as public,
    ):
        hidden = [
            public.get(each).status_code
            for each in (base, f"{base}/charges/{charge.id}", "/requests", "/faults", "/clock")
        ]
        refused = [public.post(each).status_code for each in (*FORMS, f"{base}/charges", f"{base}/transfers")]
        index = public.get("/", headers={"Host": "cabinet.example"})
        foreign = public.get("/v1/charges", headers={"Host": "cabinet.example"})
        strange = public.get("/v1/charges", headers={"Host": "[::::]"})
        problems = public.get("/problems")

    assert set(hidden) == {404}
    assert set(refused) == {404}
    assert index.status_code == problems.status_code == 200
    assert foreign.json()["type"] == "/problems/sign_in.required"
    assert strange.json()["type"] == "/problems/sign_in.required"
    for page in (index, problems):
        assert person.name not in page.text
        assert person.id not in page.text
        assert 'href="/faults"' not in page.text
    assert "<form" not in index.text
