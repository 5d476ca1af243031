"""The console's pages about clock, faults and requests, and the help pages of problems."""

from __future__ import annotations

import datetime as dt
import re

import httpx

from cabinet_sdk import Cabinet
from cabinet_sdk.charges import PaymentMethod
from cabinet_sdk.contract import CONTRACT
from cabinet_sdk.errors import catalogue
from cabinet_sdk.types import Money
from reference_server import FaultKind, ManualClock, Profile, SystemClock, World
from reference_server.testing import credentials, serve
from tests.server.console import bearer, own, sent, shown


def test_the_clock_moves_on(console: httpx.Client, world: World) -> None:
    """A person moves a manual clock forward by a button or by what is typed, and never too far."""
    start = world.clock.now()
    sent(console, "/clock", number="15", unit="minutes")
    page = sent(console, "/clock", number="2", unit="days")
    far = console.post("/clock", data={"number": "999999", "unit": "days"})
    back = console.post("/clock", data={"number": "-1", "unit": "hours"})
    odd = console.post("/clock", data={"number": "1", "unit": "aeons"})

    assert world.clock.now() - start == dt.timedelta(days=2, minutes=15)
    assert "18.11.2026 12:15:00" in shown(page)
    assert [each.status_code for each in (far, back, odd)] == [422, 422, 422]
    assert 'value="999999"' in far.text


def test_time_ends_with_an_error_at_the_field() -> None:
    """A clock at the end of time stays there and says so."""
    clock = ManualClock(dt.datetime(9898, 12, 30, tzinfo=dt.UTC))
    with serve(World(clock=clock)) as url:
        page = httpx.post(
            f"{url.removesuffix('/v1')}/clock", data={"number": "9", "unit": "days"}, trust_env=False, timeout=60
        )

    assert page.status_code == 422
    assert "A clock goes to 9899-01-01 00:00:00+00:00 and no further." in page.text


def test_the_systems_clock_cannot_be_moved() -> None:
    """Where time is the system's, the page says so and has no buttons."""
    with serve(World(clock=SystemClock())) as url:
        page = httpx.get(f"{url.removesuffix('/v1')}/clock", trust_env=False, timeout=60)
        moved = httpx.post(
            f"{url.removesuffix('/v1')}/clock", data={"number": "1", "unit": "days"}, trust_env=False, timeout=60
        )

    assert "nobody can move it" in page.text
    assert "<form" not in page.text
    assert moved.status_code == 409


def test_faults_are_set_and_cleared(console: httpx.Client, world: World, person: Profile) -> None:
    """A person sets every kind of fault, sees how often it has struck and still will, and clears them all."""
    for kind in FaultKind:
        fields = {"operation": "charges.get", "kind": kind.value, "times": "2", "status": "429", "retry_after": "7"}
        sent(console, "/faults", **fields)
    found = world.faults.all()
    problem = found[0].problem
    world.faults.clear()
    sent(console, "/faults", operation="charges.list", kind="refuse", times="3", status="503", retry_after="")
    struck = console.get("/v1/charges", headers=bearer(console, world, person))
    page = console.get("/faults")
    wrong = console.post("/faults", data={"operation": "no.such", "kind": "x", "times": "0", "status": "200"})
    cleared = sent(console, "/faults/clear")

    assert [fault.kind for fault in found] == list(FaultKind)
    assert problem is not None
    assert (problem.status, problem.retry_after) == (429, 7)
    assert struck.status_code == 503
    (row,) = re.findall(r"<tr><th[^>]*><code>charges.list.*?</tr>", page.text, re.DOTALL)
    assert re.findall(r'class="number">(\d+)', row) == ["1", "2"]
    assert wrong.status_code == 422
    assert wrong.text.count('aria-invalid="true"') == 3
    assert "everything works" in shown(cleared)
    assert world.faults.all() == ()


def test_the_status_is_a_refusals_alone(console: httpx.Client, world: World) -> None:
    """What stands in the fields of a refusal is nothing to a fault of another kind."""
    fields = {"operation": "charges.get", "times": "1", "status": "none", "retry_after": "soon"}
    page = console.post("/faults", data=fields | {"kind": "crash"})
    refused = console.post("/faults", data=fields | {"kind": "refuse"})

    assert page.status_code == 303
    assert [fault.kind for fault in world.faults.all()] == [FaultKind.CRASH]
    assert refused.status_code == 422
    assert refused.text.count('aria-invalid="true"') == 2


def test_every_operation_can_be_chosen_for_a_fault(console: httpx.Client) -> None:
    """The list of operations is the contract's."""
    text = console.get("/faults").text

    assert all(f'<option value="{row.id}"' in text for row in CONTRACT)


def test_the_log_shows_the_latest_first(console: httpx.Client, world: World, person: Profile) -> None:
    """Requests stand with method, path, status, problem and request id; replays are marked, secrets hidden."""
    charge = world.charges.add(person, Money("100.00"))
    with Cabinet(f"{own(console)}/v1", credentials(world, person)) as cabinet:
        for _ in range(2):
            keyed = cabinet.with_options(idempotency_key="once")
            keyed.charges.pay(charge.id, method=PaymentMethod.SBP)
    console.get("/v1/charges?payee_inn=7707083893&limit=5", headers={"X-Request-Id": "mine-1"})

    page = console.get("/requests")
    refused = shown(console.get("/requests?only=refused"))

    text = shown(page)
    assert text.index("mine-1") < text.index(f"/v1/charges/{charge.id}/payments")
    assert text.count("replayed") == 1
    assert "/v1/charges?payee_inn=hidden&limit=5" in text
    assert "7707083893" not in text
    assert '<a href="/problems/sign_in.required">' in page.text
    assert "201" not in refused
    assert "mine-1" in refused
    assert 'http-equiv="refresh"' in console.get("/requests?live=yes").text
    assert 'http-equiv="refresh"' not in page.text


def test_the_log_comes_in_pages(console: httpx.Client) -> None:
    """A long log is walked through page by page."""
    for number in range(30):
        console.get("/v1/charges", headers={"X-Request-Id": f"number-{number}."})

    first, second = shown(console.get("/requests")), shown(console.get("/requests?page=2"))

    assert "number-29." in first
    assert "number-0." not in first
    assert "number-0." in second
    assert "number-29." in shown(console.get("/requests?page=no"))


def test_the_log_explains_near_misses(console: httpx.Client, world: World, person: Profile) -> None:
    """A path, a method or a field that is nearly right shows what was meant and what differed."""
    charge = world.charges.add(person, Money("1.00"))
    token = bearer(console, world, person)
    console.get("/v1/charge")
    console.put(f"/v1/charges/{charge.id}")
    console.get("/v1/charges?sttaus=paid", headers=token)
    console.get("/v1/" + "x" * 50)

    text = shown(console.get("/requests"))

    assert "Nearly charges.list , GET /v1/charges “charge” should be “charges”." in text
    assert "Nearly charges.get , GET /v1/charges/{charge_id} The method is GET, not PUT." in text
    assert "sttaus : the operation has no such field; did you mean status ?" in text
    assert "No operation is near." in text


def test_every_problem_has_its_page(console: httpx.Client) -> None:
    """A problem's page says what it means, who must act, what to do, its class and who answers it."""
    for problem in catalogue():
        # Tests of other modules may have made problems of their own.
        if not problem.__module__.startswith("cabinet_sdk."):
            continue
        text = shown(console.get(f"/problems/{problem.code}"))

        assert problem.__name__ in text
        for heading in ("What it means", "Who must act", "What to do", "Answered by"):
            assert heading in text


def test_a_problem_names_its_operations(console: httpx.Client) -> None:
    """What only some operations answer names them, what any may answer says so."""
    nothing_due = shown(console.get("/problems/charges.nothing_due"))
    everywhere = shown(console.get("/problems/permission.missing"))

    assert "charges.pay , POST /v1/charges/{charge_id}/payments" in nothing_due
    assert "from cabinet_sdk.charges import NothingDue" in nothing_due
    assert "Any operation." in everywhere
