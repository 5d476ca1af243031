"""Changes happen once for each idempotency key, whatever is lost on the way (experiments 1, 3-5, 8-10, 61, 62)."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from cabinet_sdk import AsyncCabinet, Cabinet
from cabinet_sdk.charges import (
    AmountExceedsDue,
    AmountExceedsOverpayment,
    Charge,
    NothingDue,
    PaymentMethod,
    PaymentStatus,
    RefundMethod,
    RefundStatus,
)
from cabinet_sdk.errors import InternalError, KeyReused, OutcomeUnknown, Problem
from cabinet_sdk.types import Money
from reference_server import ManualClock, Profile, World
from reference_server.idempotency import ANSWER_KEPT
from reference_server.respond import Exchange
from reference_server.routing import Admitted
from reference_server.testing import connect, credentials, serve
from reference_server.world import DEFAULT_START
from tests.faces import settle
from tests.server.raw import Raw, document


@pytest.fixture
def charge(world: World, person: Profile) -> Charge:
    """A charge of 100 roubles."""
    return world.charges.add(person, Money("100.00"))


def payments_in(world: World) -> int:
    """Count payments where they are kept."""
    row = world.database.one("SELECT count(*) AS count FROM payments")
    assert row is not None
    count: int = row["count"]
    return count


@pytest.mark.feature("CH-05")
async def test_1_an_answer_lost_after_the_commit_pays_once(client: AsyncCabinet, world: World, charge: Charge) -> None:
    """One call whose answer is lost asks again under the same key and gets what is stored; one payment, one entry."""
    fault = world.faults.lose_answer("charges.pay")

    payment = await client.charges.pay(charge.id, method=PaymentMethod.SBP)

    assert fault.hits == 1
    assert payments_in(world) == 1
    assert payment == await client.charges.payment(payment.id)
    assert len([event async for event in client.charges.history(charge.id)]) == 2
    sent = [request for request in world.requests if request.operation == "charges.pay"]
    assert [(request.status, request.replayed) for request in sent] == [(None, False), (201, True)]
    assert len({request.idempotency_key for request in sent}) == 1
    assert len({request.request_id for request in sent}) == 1


async def test_a_garbled_answer_pays_once(client: AsyncCabinet, world: World, charge: Charge) -> None:
    """A proxy's page of HTML after the commit is asked again about, like a lost answer."""
    world.faults.garble_answer("charges.pay", times=2)

    payment = await client.charges.pay(charge.id, method=PaymentMethod.SBP)

    assert payments_in(world) == 1
    assert payment.amount == charge.amount


async def test_when_every_answer_is_lost_nobody_can_know(client: AsyncCabinet, world: World, charge: Charge) -> None:
    """With no attempt left the caller is told so, and `reconcile` brings the one payment that there is."""
    world.faults.lose_answer("charges.pay", times=4)

    with pytest.raises(OutcomeUnknown) as caught:
        await client.charges.pay(charge.id, method=PaymentMethod.SBP)

    payment = await settle(caught.value.reconcile())
    assert payments_in(world) == 1
    assert payment.id == (await client.charges.payment(payment.id)).id
    keys = {request.idempotency_key for request in world.requests if request.operation == "charges.pay"}
    assert keys == {caught.value.operation_id}


def test_3_fifty_threads_with_one_key(world: World, person: Profile, charge: Charge) -> None:
    """Fifty requests with the same key and body: one execution; the others get the same bytes, or 409 meanwhile."""
    raw = Raw(world, person)
    path = f"/charges/{charge.id}/payments"
    with ThreadPoolExecutor(50) as threads:
        waiting = [threads.submit(raw.send, "POST", path, {"method": "sbp"}, key="one") for _ in range(50)]
        answers = [each.result() for each in waiting]

    statuses = Counter(answer.status for answer in answers)
    assert set(statuses) <= {201, 409}
    assert len({answer.content for answer in answers if answer.status == 201}) == 1
    assert sum(answer.headers.get("idempotency-replayed") is None for answer in answers if answer.status == 201) == 1
    assert payments_in(world) == 1


def test_a_key_whose_first_request_runs_is_refused_at_once(raw: Raw, world: World, charge: Charge) -> None:
    """Between the head of a request and its body its key is taken: 409 meanwhile, and its answer afterwards."""
    path, body = f"/charges/{charge.id}/payments", {"method": "sbp", "amount": "60.00"}
    request = raw.request("POST", path, body, key="one")
    first = Exchange.of(world, request)
    assert isinstance(first.admit(), Admitted)

    meanwhile = raw.send("POST", path, body, key="one")
    other = raw.send("POST", path, {"method": "sbp", "amount": "40.00"}, key="two")
    done = first.answer(request.content)
    afterwards = raw.send("POST", path, body, key="one")

    assert (meanwhile.status, document(meanwhile)["code"]) == (409, "idempotency.still_running")
    assert meanwhile.headers["retry-after"] == "1"
    assert (other.status, done.status, afterwards.content) == (201, 201, done.content)
    assert payments_in(world) == 2


def test_a_key_that_runs_holds_up_nobody_else(raw: Raw, world: World, charge: Charge) -> None:
    """Two profiles may choose the same key at the same moment: each is the key of its own."""
    body = {"method": "sbp"}
    request = raw.request("POST", f"/charges/{charge.id}/payments", body, key="one")
    other = world.profiles.add("Смирнова Ольга Игоревна")
    theirs = world.charges.add(other, Money("40.00"))
    first = Exchange.of(world, request)
    assert isinstance(first.admit(), Admitted)

    meanwhile = Raw(world, other).send("POST", f"/charges/{theirs.id}/payments", body, key="one")

    assert (meanwhile.status, first.answer(request.content).status) == (201, 201)
    assert (document(meanwhile)["amount"], payments_in(world)) == ("40.00", 2)


def test_an_answer_that_was_let_go_is_found_anew(raw: Raw, world: World, person: Profile, charge: Charge) -> None:
    """Also where the system's clock was set back since: the payment as it is now takes the place of its old answer."""
    path, body = f"/charges/{charge.id}/payments", {"method": "sbp", "amount": "10.00"}
    first = raw.send("POST", path, body, key="one")
    clock = world.clock
    assert isinstance(clock, ManualClock)
    begun = clock.now()
    clock.advance(ANSWER_KEPT + dt.timedelta(days=1))
    Raw(world, person).send("POST", path, body, key="two")
    clock.restore(begun)

    again = Raw(world, person).send("POST", path, body, key="one")

    assert (again.status, again.headers["idempotency-replayed"]) == (200, "true")
    assert document(again)["id"] == document(first)["id"]


async def test_4_a_key_belongs_to_one_request(client: AsyncCabinet, world: World, charge: Charge) -> None:
    """The same key with another body is refused with 422 and the first payment stands untouched."""
    first = await client.with_options(idempotency_key="mine").charges.pay(charge.id, method=PaymentMethod.SBP)

    with pytest.raises(KeyReused):
        await client.with_options(idempotency_key="mine").charges.pay(charge.id, method=PaymentMethod.BANK_CARD)

    assert payments_in(world) == 1
    assert await client.charges.payment(first.id) == first


def test_5_a_change_without_a_key_is_refused(raw: Raw, world: World, charge: Charge) -> None:
    """Without the header the answer is 400 and links to its help page; with a malformed one it names the header."""
    path = f"/charges/{charge.id}/payments"
    missing = raw.send("POST", path, {"method": "sbp"})
    malformed = raw.send("POST", path, {"method": "sbp"}, key="a b")

    assert (missing.status, document(missing)["code"]) == (400, "idempotency.key_missing")
    assert document(missing)["type"].endswith("/problems/idempotency.key_missing")
    assert document(malformed)["errors"] == [
        {
            "field": "Idempotency-Key",
            "code": "form",
            "message": "expected 1 to 255 Latin letters, digits and hyphens, quoted or bare",
        }
    ]
    assert payments_in(world) == 0


@pytest.mark.parametrize("form", ["plain-key", '"plain-key"'])
def test_a_key_is_the_same_quoted_or_bare(raw: Raw, world: World, charge: Charge, form: str) -> None:
    """A structured field string and bare text name the same key."""
    path = f"/charges/{charge.id}/payments"
    raw.send("POST", path, {"method": "sbp"}, key="plain-key")
    again = raw.send("POST", path, {"method": "sbp"}, key=form)

    assert again.headers.get("idempotency-replayed") == "true"
    assert payments_in(world) == 1


def test_8_a_refusal_frees_the_key(raw: Raw, world: World, charge: Charge) -> None:
    """A first try that was refused leaves its key free for the corrected request."""
    path = f"/charges/{charge.id}/payments"
    wrong = raw.send("POST", path, {"method": "sbp", "amount": "1000.00"}, key="retry")
    invalid = raw.send("POST", path, {"method": "sbp", "amount": 1}, key="retry")
    right = raw.send("POST", path, {"method": "sbp", "amount": "10.00"}, key="retry")

    assert (wrong.status, invalid.status, right.status) == (409, 400, 201)
    assert payments_in(world) == 1


async def test_9_a_crash_in_the_middle_leaves_nothing(client: AsyncCabinet, world: World, charge: Charge) -> None:
    """A handler that fails after its work changes nothing, and the retry does the whole."""
    fault = world.faults.crash("charges.pay")

    payment = await client.charges.pay(charge.id, method=PaymentMethod.SBP)

    assert fault.hits == 1
    assert payments_in(world) == 1
    assert len([event async for event in client.charges.history(charge.id)]) == 2
    assert (await client.charges.get(charge.id)).pending == payment.amount
    world.charges.check_books()


async def test_a_service_that_keeps_failing_leaves_nothing(client: AsyncCabinet, world: World, charge: Charge) -> None:
    """When every attempt crashes nobody can know by the answers; reconciling does it once."""
    world.faults.crash("charges.pay", times=4)

    with pytest.raises(OutcomeUnknown) as caught:
        await client.charges.pay(charge.id, method=PaymentMethod.SBP)

    assert isinstance(caught.value.__cause__, InternalError)
    assert payments_in(world) == 0
    await settle(caught.value.reconcile())
    assert payments_in(world) == 1


def test_10_after_a_day_the_key_tells_the_current_state(raw: Raw, world: World, charge: Charge) -> None:
    """For 24 hours the key gets the stored answer; after that the payment as it is now, and never a second one."""
    path = f"/charges/{charge.id}/payments"
    first = raw.send("POST", path, {"method": "sbp"}, key="old")
    world.clock.sleep(3590)
    soon = raw.send("POST", path, {"method": "sbp"}, key="old")
    for _ in range(24):
        world.clock.sleep(3590)
        raw.token = Raw(world, world.profiles.all()[0]).token
    later = raw.send("POST", path, {"method": "sbp"}, key="old")

    assert soon.content == first.content
    assert soon.status == 201
    assert (later.status, document(later)["status"]) == (200, PaymentStatus.SUCCEEDED)
    assert document(later)["id"] == document(first)["id"]
    assert payments_in(world) == 1


def test_a_day_ends_to_the_second(world: World, person: Profile, charge: Charge) -> None:
    """A second before the day is over the stored answer is replayed, then no more."""
    path = f"/charges/{charge.id}/payments"
    statuses: list[int] = []
    for seconds in (0, 86399, 1):
        world.clock.sleep(seconds)
        statuses.append(Raw(world, person).send("POST", path, {"method": "sbp"}, key="old").status)

    assert statuses == [201, 201, 200]


def test_answers_that_are_replayed_no_more_are_let_go_of(world: World, person: Profile, charge: Charge) -> None:
    """A day later the next change erases an answer and leaves its key; younger answers stay."""
    path = f"/charges/{charge.id}/payments"
    for key, seconds in (("first", 0), ("second", 1), ("third", 86399)):
        world.clock.sleep(seconds)
        answer = Raw(world, person).send("POST", path, {"method": "sbp", "amount": "1.00"}, key=key)
        assert answer.status == 201
    kept = world.database.all("SELECT key, content IS NOT NULL AS answer FROM idempotency_keys ORDER BY kept_at")

    assert [tuple(row) for row in kept] == [("first", 0), ("second", 1), ("third", 1)]


def test_keys_of_two_profiles_do_not_meet(world: World, person: Profile, charge: Charge) -> None:
    """The same key of another profile is another key, and tells nothing about the first."""
    other = world.profiles.add("Петров")
    theirs = world.charges.add(other, Money("5.00"))
    mine = Raw(world, person).send("POST", f"/charges/{charge.id}/payments", {"method": "sbp"}, key="same")
    second = Raw(world, other).send("POST", f"/charges/{theirs.id}/payments", {"method": "sbp"}, key="same")

    assert (mine.status, second.status) == (201, 201)
    assert payments_in(world) == 2


def test_61_fifty_payments_of_one_charge(world: World, person: Profile, charge: Charge) -> None:
    """Fifty threads pay one charge at once over HTTP with keys of their own: one succeeds, the ledger has it."""
    with serve(world) as url, Cabinet(url, credentials(world, person)) as cabinet, ThreadPoolExecutor(50) as threads:

        def pay(_: int) -> str:
            try:
                return cabinet.charges.pay(charge.id, method=PaymentMethod.SBP).status
            except NothingDue as error:
                return error.code

        outcomes = Counter(threads.map(pay, range(50)))
    world.clock.sleep(60)

    assert outcomes == {PaymentStatus.CREATED: 1, NothingDue.code: 49}
    with connect(world, person) as cabinet:
        assert cabinet.charges.get(charge.id).paid == charge.amount
    world.charges.check_books()


@pytest.mark.slow
def test_62_parts_and_refunds_at_once_never_come_to_more(tmp_path: Path) -> None:
    """Over HTTP on a file, threads pay one charge in parts while others have the money of an overpaid one back."""
    with closing(World(file=tmp_path / "world.db", clock=ManualClock(DEFAULT_START))) as world:
        person = world.profiles.add("Иванова Мария Петровна")
        owed, source = (world.charges.add(person, Money("100.00")) for _ in range(2))
        world.charges.credit(person, source, Money("130.00"))

        def pay(charge: Charge, amount: str) -> str:
            return cabinet.charges.pay(charge.id, method=PaymentMethod.SBP, amount=Money(amount)).status

        def refund(method: RefundMethod, amount: str) -> str:
            return cabinet.charges.request_refund(source.id, method=method, amount=Money(amount)).status

        acts: list[Callable[[], str]] = [
            *[partial(pay, owed, "7.00")] * 20,
            *[partial(pay, source, "1.00")] * 10,
            *[partial(refund, RefundMethod.FUTURE_PAYMENTS, "4.00")] * 10,
            *[partial(refund, RefundMethod.COMPENSATION, "4.00")] * 10,
        ]

        def outcome(act: Callable[[], str]) -> str:
            try:
                return act()
            except Problem as error:
                return error.code

        with (
            serve(world) as url,
            Cabinet(url, credentials(world, person)) as cabinet,
            ThreadPoolExecutor(50) as threads,
        ):
            outcomes = Counter(threads.map(outcome, random.sample(acts, len(acts))))
            held = cabinet.charges.get(owed.id), cabinet.charges.get(source.id)
            world.charges.check_books()
            world.clock.sleep(60)
            paid = cabinet.charges.get(owed.id)
            world.clock.sleep(14 * 86400)
            after = cabinet.charges.get(owed.id), cabinet.charges.get(source.id)
            refunds = list(cabinet.charges.refunds())
            payments = list(cabinet.charges.payments())

        assert outcomes == {
            PaymentStatus.CREATED: 14,
            AmountExceedsDue.code: 6,
            NothingDue.code: 10,
            RefundStatus.REQUESTED: 7,
            AmountExceedsOverpayment.code: 13,
        }
        assert [charge.pending for charge in held] == [Money("98.00"), Money.ZERO]
        assert [charge.refunding for charge in held] == [Money.ZERO, Money("28.00")]
        assert (paid.paid, paid.due) == (Money("98.00"), Money("2.00"))
        assert {payment.status for payment in payments} == {PaymentStatus.SUCCEEDED}
        assert {each.status for each in refunds} == {RefundStatus.COMPLETED}
        # What went to future payments paid what was left of the other charge, and no more than that.
        moved = sum((item.amount for each in refunds for item in each.items), Money.ZERO)
        assert [charge.paid for charge in after] == [Money("98.00") + moved, Money("102.00")]
        assert after[0].overpaid == Money.ZERO
        world.charges.check_books()
        accounts = world.database.all("SELECT sum(amount) AS total FROM ledger GROUP BY source, at")
        assert {account["total"] for account in accounts} == {0}


async def test_fifty_tasks_of_one_client(client: AsyncCabinet, world: World, charge: Charge) -> None:
    """Fifty tasks pay two roubles each, with answers lost: exactly the charge is paid."""
    world.faults.lose_answer("charges.pay", times=3)

    async def pay() -> None:
        payment = await client.charges.pay(charge.id, method=PaymentMethod.SBP, amount=Money("2.00"))
        await client.charges.wait_for_payment(payment.id)

    await asyncio.gather(*(pay() for _ in range(50)))

    paid = await client.charges.get(charge.id)
    assert (paid.paid, paid.overpaid) == (Money("100.00"), Money.ZERO)
    assert payments_in(world) == 50
    world.charges.check_books()


def test_a_read_holds_no_key(raw: Raw, world: World, charge: Charge) -> None:
    """Whoever sends a key with what only reads is answered, also while a change under that key is on its way."""
    path, body = f"/charges/{charge.id}/payments", {"method": "sbp"}
    request = raw.request("POST", path, body, key="k")
    on_its_way = Exchange.of(world, request)
    assert isinstance(on_its_way.admit(), Admitted)

    assert raw.send("GET", "/charges", key="k").status == 200
    assert raw.send("POST", path, body, key="k").status == 409
    assert on_its_way.answer(request.content).status == 201
