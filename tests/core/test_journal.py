"""The journal of a client: kept before it is sent, settled by its outcome, resumed after whatever went wrong."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import sqlite3
import sys
import threading
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any, final

import attrs
import pytest

from cabinet_sdk import (
    AsyncCabinet,
    Attempt,
    BearerToken,
    Cabinet,
    CallScope,
    ClientCredentials,
    Credentials,
    Journal,
    JournalEntry,
    Resumed,
    RetryPolicy,
    SqliteJournal,
)
from cabinet_sdk._core.flow import Run, pause, perform
from cabinet_sdk._core.journal import recorded
from cabinet_sdk._core.operation import Call
from cabinet_sdk.charges import (
    ChargeId,
    ChargeNotFound,
    ItemToPay,
    NothingDue,
    NothingOverpaid,
    Payment,
    PaymentMethod,
    RefundMethod,
)
from cabinet_sdk.charges.operations import PAY_CHARGE
from cabinet_sdk.errors import (
    CabinetError,
    ConnectionFailed,
    DeadlineExceeded,
    FieldError,
    InvalidRequest,
    InvalidValue,
    JournalFailed,
    KeyReused,
    OutcomeUnknown,
    PermissionMissing,
    ServiceUnavailable,
    StillRunning,
    UsageError,
)
from cabinet_sdk.transports import (
    AsyncInProcessTransport,
    AsyncTransport,
    Headers,
    InProcessTransport,
    Request,
    Response,
    Transport,
)
from cabinet_sdk.types import Money
from reference_server import Profile, World
from reference_server.respond import LoggedRequest
from reference_server.testing import connect as connect_to
from reference_server.testing import credentials
from tests.conftest import Connect
from tests.core.conftest import Play
from tests.core.sample_area import UPLOAD
from tests.core.scripted import (
    BASE_URL,
    CHANGE,
    CHANGE_ONCE,
    READ,
    Ask,
    Script,
    Scripted,
    Thing,
    problem,
    thing,
)
from tests.faces import settle

pytestmark = pytest.mark.feature("EX-01", "SE-06", "CH-05")

CARD = PaymentMethod.BANK_CARD
ONCE = RetryPolicy(attempts=1)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """A journal in a file."""
    return SqliteJournal(tmp_path / "journal.db")


@pytest.fixture
def payer(connect: Connect, person: Profile, journal: Journal) -> AsyncCabinet:
    """A client with that journal, which repeats without pauses."""
    return connect(person, journal=journal, retry=RetryPolicy(first_delay=0))


def owed(world: World, person: Profile, amount: str = "500.00") -> ChargeId:
    """Add something to pay."""
    return world.charges.add(person, Money(amount)).id


async def paid(client: AsyncCabinet) -> list[Payment]:
    """Return all payments of the client's profile."""
    return [payment async for payment in client.charges.payments()]


def asked(world: World) -> list[LoggedRequest]:
    """Return the requests to pay that the world has seen."""
    return [request for request in world.requests if request.operation == "charges.pay"]


async def resumed(client: AsyncCabinet) -> list[Resumed]:
    """Resume all that is open."""
    return [one async for one in client.resume()]


@final
class Hooked:
    """A transport of either mode that calls a function before each request, and another that may replace its answer."""

    def __init__(
        self, inner: Any, before: Callable[[Request], None], after: Callable[[Request], Response | None]
    ) -> None:
        self._inner, self._before, self._after = inner, before, after  # Any: of either mode
        self.sleep, self.now = inner.sleep, inner.now
        self.close = getattr(inner, "close", None)
        self.aclose = getattr(inner, "aclose", None)
        self.send = self._send if self.aclose is None else self._send_async

    def _send(self, request: Request) -> Response:
        self._before(request)
        response: Response = self._inner.send(request)
        return self._after(request) or response

    async def _send_async(self, request: Request) -> Response:
        self._before(request)
        response: Response = await self._inner.send(request)
        return self._after(request) or response


def hooked(
    before: Callable[[Request], None], after: Callable[[Request], Response | None] = lambda _: None
) -> dict[str, Any]:
    """Return the arguments that put a hook under either client."""

    def wrap(inner: Transport | AsyncTransport) -> Any:
        return Hooked(inner, before, after)

    return {"wrap": wrap, "wrap_async": wrap}


async def test_an_operation_stands_in_the_journal_while_it_is_sent(
    connect: Connect, world: World, person: Profile, journal: Journal
) -> None:
    """Before the first byte is sent the entry is there, with all it takes to send again; the outcome erases it."""
    seen: list[JournalEntry] = []

    def look(request: Request) -> None:
        if request.method == "POST" and "oauth" not in request.url:
            seen.extend(journal.open_entries())

    charge = owed(world, person)
    started = dt.datetime.now(dt.UTC)
    client = connect(person, journal=journal, **hooked(look))

    await client.with_options(idempotency_key="invoice-7").charges.pay(charge, method=CARD)

    assert seen == [
        JournalEntry(
            base_url=BASE_URL.replace("https", "http"),
            client_id=person.id,
            operation_id="invoice-7",
            operation="charges.pay",
            path=f"/charges/{charge}/payments",
            body=b'{"method":"bank_card"}',
            created_at=started,
        )
    ]
    assert started <= seen[0].created_at <= dt.datetime.now(dt.UTC)
    assert journal.open_entries() == []
    assert charge not in repr(seen)
    assert "bank_card" not in repr(seen)


async def test_reads_are_not_kept(payer: AsyncCabinet, world: World, person: Profile, journal: Journal) -> None:
    """A read needs no journal, even one that fails."""
    charge = owed(world, person)
    world.faults.lose_answer("charges.get", times=4)

    with pytest.raises(Exception, match="connection"):
        await payer.charges.get(charge)

    assert journal.open_entries() == []


async def test_a_refusal_settles(payer: AsyncCabinet, world: World, person: Profile, journal: Journal) -> None:
    """What the service refused, or certainly did not do, is no open operation."""
    charge = owed(world, person)
    await payer.charges.pay(charge, method=CARD)

    with pytest.raises(NothingDue):
        await payer.charges.pay(charge, method=CARD)
    with pytest.raises(ChargeNotFound):
        await payer.charges.pay(ChargeId("chg_none"), method=CARD)
    world.faults.refuse("charges.pay", times=4)
    with pytest.raises(ServiceUnavailable):
        await payer.charges.pay(owed(world, person), method=CARD)

    assert journal.open_entries() == []
    assert await resumed(payer) == []
    assert len(await paid(payer)) == 1


@pytest.mark.parametrize("operation", ["charges.pay", "charges.pay_several", "charges.request_refund"])
async def test_what_no_rule_allows_is_settled_after_a_lost_attempt(
    payer: AsyncCabinet, world: World, person: Profile, journal: Journal, operation: str
) -> None:
    """A rule that comes after the key was looked up settles the attempt before: nothing was done, nothing is open."""
    charges, charge = payer.charges, owed(world, person)
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "charges.pay": lambda: charges.pay(charge, method=CARD, amount=Money.ZERO),
        "charges.pay_several": lambda: charges.pay_several((ItemToPay(charge), ItemToPay(charge)), method=CARD),
        "charges.request_refund": lambda: charges.request_refund(
            charge, method=RefundMethod.COMPENSATION, amount=Money.ZERO
        ),
    }
    world.faults.lose_request(operation)

    with pytest.raises(InvalidRequest):
        await calls[operation]()

    assert journal.open_entries() == []


async def test_a_mistake_in_the_program_leaves_nothing_open(
    connect: Connect, world: World, person: Profile, journal: Journal
) -> None:
    """What a closed client refuses was not sent and is not made later; what an earlier call has left stays open."""
    charge, other = owed(world, person), owed(world, person)
    unlucky = connect(person, journal=journal, retry=RetryPolicy(attempts=1))
    world.faults.lose_answer("charges.pay")
    with pytest.raises(OutcomeUnknown) as caught:
        await unlucky.charges.pay(charge, method=CARD)
    await unlucky.close()

    with pytest.raises(UsageError, match="closed"):
        await unlucky.charges.pay(other, method=CARD)
    again = unlucky.with_options(idempotency_key=caught.value.operation_id)
    with pytest.raises(UsageError, match="closed"):
        await again.charges.pay(charge, method=CARD)

    assert [entry.operation_id for entry in journal.open_entries()] == [caught.value.operation_id]
    payer = connect(person, journal=journal)
    assert len(await resumed(payer)) == len(await paid(payer)) == 1
    assert journal.open_entries() == []


async def test_what_was_never_sent_is_settled(play: Play, journal: Journal) -> None:
    """A call that got no connection did not happen and is not made later."""
    client = play(Script(ConnectionFailed("refused")), BearerToken("t", client_id="prf_1"), journal=journal)

    with pytest.raises(ConnectionFailed):
        await client.answer(CHANGE)
    with pytest.raises(InvalidValue):
        await client.charges.pay(ChargeId(""), method=CARD)

    assert journal.open_entries() == []


async def test_an_unknown_outcome_is_reconciled(
    payer: AsyncCabinet, world: World, person: Profile, journal: Journal
) -> None:
    """`OutcomeUnknown` leaves the entry open; its `reconcile` settles it."""
    world.faults.lose_answer("charges.pay", times=4)

    with pytest.raises(OutcomeUnknown) as caught:
        await payer.charges.pay(owed(world, person), method=CARD)
    assert [entry.operation_id for entry in journal.open_entries()] == [caught.value.operation_id]
    assert ". It stays in the journal: resume() brings it to its outcome too. Operation id " in str(caught.value)
    payment = await settle(caught.value.reconcile())

    assert await paid(payer) == [payment]
    assert journal.open_entries() == []


@pytest.mark.parametrize("days", [0, 2, 400])
@pytest.mark.parametrize("fault", ["lose_answer", "lose_request", "crash", "garble_answer"])
async def test_an_unknown_outcome_is_resumed(
    connect: Connect, world: World, person: Profile, journal: Journal, *, fault: str, days: int
) -> None:
    """Experiments 2, 10 and 14: whatever broke, a client that comes up later, or days later, brings one payment."""
    client = connect(person, journal=journal, retry=RetryPolicy(first_delay=0))
    charge = owed(world, person)
    getattr(world.faults, fault)("charges.pay", times=4)
    with pytest.raises(OutcomeUnknown) as caught:
        await client.charges.pay(charge, method=CARD, amount=Money("100.00"))
    [entry] = journal.open_entries()
    world.clock.sleep(days * 86400)

    later = connect(person, journal=journal)
    [one] = await resumed(later)

    assert one.settled
    assert one.error is None
    assert repr(one) == f"<Resumed charges.pay {one.operation_id}: settled, Payment>"
    assert (one.operation, one.operation_id) == ("charges.pay", caught.value.operation_id)
    assert one.created_at == entry.created_at
    assert isinstance(one.value, Payment)
    assert await paid(later) == [await later.charges.payment(one.value.id)]
    assert one.value.amount == Money("100.00")
    assert await resumed(later) == []
    world.charges.check_books()


async def test_resuming_goes_on_after_one_that_fails(
    connect: Connect, world: World, person: Profile, journal: Journal
) -> None:
    """A refusal and one that stays unknown do not keep the rest; what stays unknown stays open, the oldest first."""
    client = connect(person, journal=journal, retry=RetryPolicy(attempts=1))
    first, second, third = (owed(world, person) for _ in range(3))
    for operation in ("charges.pay", "charges.pay_several", "charges.request_refund"):
        world.faults.lose_request(operation)
    with pytest.raises(OutcomeUnknown):
        await client.charges.pay(first, method=CARD)
    with pytest.raises(OutcomeUnknown):
        await client.charges.request_refund(second, method=RefundMethod.BANK_CARD)
    with pytest.raises(OutcomeUnknown):
        await client.charges.pay_several((ItemToPay(second), ItemToPay(third)), method=CARD)
    world.faults.refuse("charges.pay")

    unknown, refused, done = await resumed(client)

    assert isinstance(unknown.error, OutcomeUnknown)
    assert (unknown.settled, unknown.value) == (False, None)
    assert repr(unknown).startswith(
        f"<Resumed charges.pay {unknown.operation_id}: open, <OutcomeUnknown: Nobody can know"
    )
    assert isinstance(refused.error, NothingOverpaid)
    assert refused.settled
    assert (done.error, done.value.amount) == (None, Money("1000.00"))
    [entry] = journal.open_entries()
    assert entry.operation_id == unknown.operation_id
    payment = await settle(unknown.error.reconcile())
    assert payment.amount == Money("500.00")
    assert journal.open_entries() == []


async def test_a_later_refusal_of_rights_settles_nothing(
    connect: Connect, world: World, person: Profile, journal: Journal
) -> None:
    """A token that may no longer pay tells nothing of what was sent before it: the entry waits for one that may."""
    client = connect(person, journal=journal, retry=RetryPolicy(attempts=1))
    world.faults.lose_answer("charges.pay")
    with pytest.raises(OutcomeUnknown):
        await client.charges.pay(owed(world, person), method=CARD)
    fault = world.faults.refuse("charges.pay")
    fault.problem = PermissionMissing(members={"permission": "charges.pay"})

    [one] = await resumed(client)
    [other] = await resumed(client)

    assert isinstance(one.error, OutcomeUnknown)
    assert isinstance(one.error.__cause__, PermissionMissing)
    assert other.settled
    assert len(await paid(client)) == 1


async def test_an_outcome_is_told_until_the_next_is_asked_for(
    payer: AsyncCabinet, world: World, person: Profile, journal: Journal
) -> None:
    """A program that dies while it deals with an outcome is told it again; nothing is done again."""
    for _ in range(2):
        world.faults.lose_answer("charges.pay", times=4)
        with pytest.raises(OutcomeUnknown):
            await payer.charges.pay(owed(world, person), method=CARD)

    async with aclosing(payer.resume()) as outcomes:
        first = await anext(outcomes)
    again, second = await resumed(payer)

    assert again == first
    assert second.operation_id != first.operation_id
    assert len(await paid(payer)) == 2
    assert journal.open_entries() == []


async def test_clients_resume_their_own(connect: Connect, world: World, person: Profile, journal: Journal) -> None:
    """One journal serves many profiles and services, and nobody resumes what another began, under one key even."""
    other = world.profiles.add("Петров Пётр Петрович")
    charge = owed(world, person)
    world.faults.lose_answer("charges.pay")
    client = connect(person, journal=journal, retry=RetryPolicy(attempts=1))
    with pytest.raises(OutcomeUnknown):
        await client.with_options(idempotency_key="k-1").charges.pay(charge, method=CARD)
    foreign = connect(other, journal=journal)

    assert await resumed(foreign) == []
    payment = await foreign.with_options(idempotency_key="k-1").charges.pay(owed(world, other), method=CARD)

    [entry] = journal.open_entries()
    assert entry.client_id == person.id
    [one] = await resumed(client)
    assert one.value.id != payment.id


async def test_what_was_begun_at_another_address_is_told(
    connect: Connect, world: World, person: Profile, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """A service that has moved leaves open what was sent to its old address: resuming says so, and leaves it alone."""
    client = connect(person, journal=journal, retry=RetryPolicy(attempts=1))
    for key in ("k-1", "k-2"):
        world.faults.lose_answer("charges.pay")
        with pytest.raises(OutcomeUnknown):
            await client.with_options(idempotency_key=key).charges.pay(owed(world, person), method=CARD)

    def resumes_nothing(client_id: str) -> list[str]:
        caplog.clear()
        token = BearerToken("t", client_id)
        elsewhere = Cabinet("https://new.example/v1", token, transport=Scripted(Script()), journal=journal)
        assert list(elsewhere.resume()) == []
        return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]

    [address] = {entry.base_url for entry in journal.open_entries()}
    [warning] = resumes_nothing(person.id)
    assert warning == (
        f"the journal has 2 open operation(s) of this client at {address}, "
        "which a client for https://new.example/v1 does not resume"
    )
    assert resumes_nothing("somebody else") == []
    assert len(await resumed(client)) == 2


async def test_resuming_that_nobody_iterates_over_is_noticed(mode: str, world: World, tmp_path: Path) -> None:
    """The bare statement does nothing; Python warns where it stands, as of a coroutine that is not awaited."""
    with SqliteJournal(tmp_path / "journal.db") as journal:
        # Any: of either mode.
        kind: Any = Cabinet if mode.startswith("sync") else AsyncCabinet
        transport: Any = InProcessTransport if mode.startswith("sync") else AsyncInProcessTransport
        respond = transport(world.respond, sleep=world.clock.sleep)
        client = kind(BASE_URL, BearerToken("t", "client"), transport=respond, journal=journal)

        with pytest.warns(RuntimeWarning, match=r"^resume\(\) does nothing until it is iterated over$") as warned:
            client.resume()

        assert warned[0].filename == __file__


@pytest.mark.parametrize(
    "nobodys", [BearerToken("t"), BearerToken("t", ""), BearerToken("t", " "), ClientCredentials("", "secret")]
)
def test_credentials_must_say_whose_they_are(journal: Journal, nobodys: Credentials) -> None:
    """A journal outlives a token, so with one the client wants to know who that is; a blank name is everybody's."""
    with pytest.raises(UsageError, match=f"give {type(nobodys).__name__} a client_id"):
        Cabinet(BASE_URL, nobodys, transport=Scripted(Script()), journal=journal)


async def test_without_a_journal_there_is_nothing_to_resume(client: AsyncCabinet) -> None:
    """Resuming says what is missing."""
    with pytest.raises(UsageError, match="SqliteJournal"):
        await resumed(client)


async def test_an_operation_of_another_version_is_told_and_kept(
    payer: AsyncCabinet, world: World, person: Profile, journal: Journal
) -> None:
    """An entry whose row this version does not have stays for the version that has it; the others are resumed."""
    for operation in ("charges.pay_in_gold", "charges.get", "close.now", "charges", "_context.key"):
        entry = JournalEntry(
            base_url=BASE_URL.replace("https", "http"),
            client_id=person.id,
            operation_id=f"k-{operation.replace('.', '-').replace('_', '-')}",
            operation=operation,
            path="/charges/chg_1/gold",
            body=b"{}",
            created_at=dt.datetime.now(dt.UTC),
        )
        journal.begin(entry)
        journal.release(entry)
    world.faults.lose_answer("charges.pay", times=4)
    with pytest.raises(OutcomeUnknown):
        await payer.charges.pay(owed(world, person), method=CARD)

    *strangers, own = await resumed(payer)

    assert own.error is None
    assert [stranger.settled for stranger in strangers] == [False] * 5
    error = strangers[0].error
    assert isinstance(error, OutcomeUnknown)
    assert error.message == (
        "This version of the SDK has no operation charges.pay_in_gold; the version that began it can resume it. "
        "Operation id k-charges-pay-in-gold."
    )
    assert (error.operation, error.operation_id) == ("charges.pay_in_gold", "k-charges-pay-in-gold")
    assert len(journal.open_entries()) == 5
    assert len(world.requests) == len([request for request in world.requests if "gold" not in request.url])


async def test_a_key_of_the_journal_is_not_reused(
    payer: AsyncCabinet, world: World, person: Profile, journal: Journal
) -> None:
    """Another request under the key of an open one is refused before it is sent; the same request takes it over."""
    charge = owed(world, person)
    world.faults.lose_answer("charges.pay", times=4)
    view = payer.with_options(idempotency_key="invoice-7")
    with pytest.raises(OutcomeUnknown):
        await view.charges.pay(charge, method=CARD, amount=Money("100.00"))
    before = len(world.requests)

    with pytest.raises(
        KeyReused, match=r"The journal has another request under the idempotency key invoice-7\."
    ) as reused:
        await payer.with_options(idempotency_key="invoice-7").charges.pay(charge, method=CARD, amount=Money("99.00"))
    assert reused.value.operation == "charges.pay"
    assert len(world.requests) == before
    again = payer.with_options(idempotency_key="invoice-7")
    payment = await again.charges.pay(charge, method=CARD, amount=Money("100.00"))

    assert await paid(payer) == [payment]
    assert journal.open_entries() == []


async def test_taking_over_does_not_forget_what_was_sent(
    payer: AsyncCabinet, world: World, person: Profile, journal: Journal
) -> None:
    """A repeated call that the service cannot serve now does not claim that the first did not happen."""
    charge = owed(world, person)
    world.faults.lose_answer("charges.pay", times=4)
    with pytest.raises(OutcomeUnknown):
        await payer.with_options(idempotency_key="invoice-7").charges.pay(charge, method=CARD)
    world.faults.refuse("charges.pay", times=4)

    with pytest.raises(OutcomeUnknown):
        await payer.with_options(idempotency_key="invoice-7").charges.pay(charge, method=CARD)

    assert len(journal.open_entries()) == 1
    assert len(await resumed(payer)) == 1
    assert len(await paid(payer)) == 1


async def test_reconciling_does_not_forget_what_was_sent(play: Play) -> None:
    """Without a journal too: after an ambiguous call a service that is down does not make it one that never was."""
    script = Script(problem(500), *[problem(503)] * 7, thing())
    with pytest.raises(OutcomeUnknown) as caught:
        await play(script).answer(CHANGE)

    with pytest.raises(OutcomeUnknown) as again:
        await settle(caught.value.reconcile())

    assert (await settle(again.value.reconcile())).name == "a thing"


async def test_what_is_running_is_not_resumed(connect: Connect, world: World, person: Profile, tmp_path: Path) -> None:
    """While a call is at its operation neither its own client nor another process' journal takes it over."""
    path = tmp_path / "journal.db"
    mine, others = SqliteJournal(path), SqliteJournal(path)
    seen: list[tuple[int, bool, bool]] = []

    def look(request: Request) -> None:
        if request.url.endswith("/payments"):
            [entry] = others.open_entries()
            seen.append((1, mine.claim(entry), others.claim(entry)))

    client = connect(person, journal=mine, **hooked(look, look))

    await client.charges.pay(owed(world, person), method=CARD)

    assert seen == [(1, False, False)] * 2


async def test_a_call_is_alone_at_its_operation(
    connect: Connect, world: World, person: Profile, journal: Journal
) -> None:
    """While a call is on its way another under its key is not sent, and whatever becomes of it the entry stays."""
    refused: list[StillRunning] = []
    charge = owed(world, person)

    def intrude(request: Request) -> None:
        if not request.url.endswith("/payments") or refused:
            return
        with connect_to(world, person, journal=journal) as other:
            for deadline in (60.0, 1e-9):
                view = other.with_options(idempotency_key="invoice-7", deadline=deadline)
                with pytest.raises(StillRunning, match="invoice-7 is on its way") as caught:
                    view.charges.pay(charge, method=CARD)
                refused.append(caught.value)
        with pytest.raises(StillRunning):
            other.with_options(idempotency_key="invoice-7").charges.pay(charge, method=CARD)
        [entry] = journal.open_entries()
        assert not journal.claim(entry)

    client = connect(person, journal=journal, **hooked(intrude)).with_options(idempotency_key="invoice-7")
    await client.charges.pay(charge, method=CARD)

    assert [error.operation for error in refused] == ["charges.pay"] * 2
    assert len(asked(world)) == 1
    assert journal.open_entries() == []


def test_what_is_on_its_way_outlives_a_call_that_was_never_sent(
    world: World, person: Profile, journal: Journal
) -> None:
    """Of two threads with one key the one that gets no token erases nothing that the other may be sending."""
    charge = owed(world, person)
    signs_in, goes_on, second_at_it, ends = (threading.Event() for _ in range(4))

    def first(request: Request) -> None:
        if request.url.endswith("/token"):
            signs_in.set()
            assert goes_on.wait(60)
            raise ConnectionFailed("no network")

    def second(request: Request) -> None:
        if request.url.endswith("/payments"):
            second_at_it.set()
            assert ends.wait(60)

    def pay(hook: Callable[[Request], None]) -> Payment:
        transport: Any = Hooked(InProcessTransport(world.respond), hook, lambda _: None)  # Any: of either mode
        client = Cabinet(BASE_URL, credentials(world, person), transport=transport, journal=journal, retry=ONCE)
        return client.with_options(idempotency_key="invoice-7").charges.pay(charge, method=CARD)

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(pay, first)
        assert signs_in.wait(60)
        other = pool.submit(pay, second)
        other.add_done_callback(lambda _: second_at_it.set())
        assert second_at_it.wait(60)
        goes_on.set()
        assert isinstance(one.exception(60), ConnectionFailed)
        kept, on_its_way = len(journal.open_entries()), not other.done()
        ends.set()

    assert kept == on_its_way
    assert isinstance(other.exception(), StillRunning)
    assert pay(lambda _: None).items[0].charge_id == charge


def test_two_that_reconcile_at_once_are_two_calls(world: World, person: Profile, journal: Journal) -> None:
    """One error reconciled twice at once: only one call is at the entry, and the other learns that nobody knows yet."""
    charge = owed(world, person)
    errors: list[OutcomeUnknown] = []
    refused: list[OutcomeUnknown] = []

    def intrude(request: Request) -> None:
        if request.url.endswith("/payments") and errors and not refused:
            with pytest.raises(OutcomeUnknown, match="is on its way") as caught:
                errors[0].reconcile()
            refused.append(caught.value)

    transport: Any = Hooked(InProcessTransport(world.respond), intrude, lambda _: None)  # Any: of either mode
    client = Cabinet(BASE_URL, credentials(world, person), transport=transport, journal=journal, retry=ONCE)
    world.faults.lose_request("charges.pay", times=2)
    with pytest.raises(OutcomeUnknown):
        client.charges.pay(charge, method=CARD)
    [told] = client.resume()
    assert isinstance(told.error, OutcomeUnknown)
    errors.append(told.error)

    assert told.error.reconcile().items[0].charge_id == charge
    assert len(refused) == 1
    assert journal.open_entries() == []


@final
class Interrupting:
    """Raises an error at the point of that number: before and after each exchange and each act of the journal."""

    def __init__(self, point: int, error: BaseException) -> None:
        self.left, self._error = point, error

    def pass_point(self, _: object = None) -> None:
        self.left -= 1
        if self.left == 0:
            raise self._error

    def journal(self, inner: Journal) -> Journal:
        interrupting: Any = _InterruptedJournal(inner, self)  # Any: it answers to every name
        journal: Journal = interrupting
        return journal


@final
class _InterruptedJournal:
    def __init__(self, inner: Journal, points: Interrupting) -> None:
        self._inner, self._points = inner, points

    def __getattr__(self, name: str) -> Any:
        def act(*args: object) -> Any:
            self._points.pass_point()
            result = getattr(self._inner, name)(*args)
            self._points.pass_point()
            return result

        return act


@pytest.mark.parametrize("fault", [True, False], ids=["fault", "interrupt"])
@pytest.mark.parametrize("point", range(1, 9))
async def test_an_interrupt_leaves_the_operation_open(
    connect: Connect, world: World, person: Profile, journal: Journal, *, mode: str, point: int, fault: bool
) -> None:
    """Wherever a call is interrupted, resuming brings what was begun to its one outcome; what was not, never was."""
    stopped = KeyboardInterrupt if mode == "sync" else asyncio.CancelledError
    interrupt: type[BaseException] = ZeroDivisionError if fault else stopped
    points = Interrupting(point, interrupt())
    client = connect(person, journal=points.journal(journal), **hooked(points.pass_point, points.pass_point))
    # Nothing was begun at the first point; a journal that fails is told before anything is sent, and so is a transport
    # that fails for the token.
    sent = 0 if point == 1 or (fault and point <= 4) else 1
    # A fault while the entry is settled does not hide the outcome; at the last point the entry is gone by then.
    told = 0 if fault and point == 8 else sent
    # A fault of the journal, then of the transport, first for the token.
    faults = (JournalFailed, ConnectionFailed, OutcomeUnknown)
    failure = faults[min((point - 1) // 2, 2)] if fault else interrupt
    with nullcontext() if fault and point >= 7 else pytest.raises(failure):
        await client.charges.pay(owed(world, person), method=CARD, amount=Money("100.00"))
    points.left = 0

    outcomes = await resumed(connect(person, journal=journal))

    assert [one.error for one in outcomes] == [None] * told
    assert len(await paid(connect(person))) == sent
    assert journal.open_entries() == []


async def test_a_hook_that_fails_leaves_the_operation_open(
    connect: Connect, world: World, person: Profile, journal: Journal
) -> None:
    """Where a hook around the call hides its result, resuming tells it."""

    @contextmanager
    def fails(_: CallScope) -> Generator[None]:
        yield
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await connect(person, journal=journal, around_call=fails).charges.pay(owed(world, person), method=CARD)

    client = connect(person, journal=journal)
    [one] = await resumed(client)
    assert await paid(client) == [one.value]


@pytest.mark.parametrize("raised", [DeadlineExceeded("late"), NothingDue(), OutcomeUnknown("", operation_id="x")])
@pytest.mark.parametrize("place", ["call", "attempt", "next attempt", "transport"])
async def test_what_others_raise_is_no_outcome(
    connect: Connect, world: World, person: Profile, journal: Journal, *, place: str, raised: CabinetError
) -> None:
    """An error that a hook or a transport raises after a payment went out neither settles it nor hides it."""

    @contextmanager
    def fails(seen: CallScope | Attempt) -> Generator[None]:
        if place == "next attempt" and isinstance(seen, Attempt) and seen.number > 1:
            raise raised
        yield
        if place != "next attempt" and seen.operation == "charges.pay":
            raise raised

    def fail(request: Request) -> None:
        if request.url.endswith("/payments"):
            raise raised

    if place == "transport":
        arguments = hooked(lambda _: None, fail)
    else:
        arguments = {"around_call" if place == "call" else "around_attempt": fails}
    charge = owed(world, person)
    if place == "next attempt":
        world.faults.lose_answer("charges.pay")
    client = connect(person, journal=journal, retry=RetryPolicy(first_delay=0), **arguments)

    with pytest.raises(OutcomeUnknown) as caught:
        await client.charges.pay(charge, method=CARD)

    [entry] = journal.open_entries()
    assert (caught.value.operation_id, caught.value.__cause__) == (entry.operation_id, raised)
    if place != "next attempt":
        [still] = await resumed(client)
        assert isinstance(still.error, OutcomeUnknown)
        assert still.operation_id == entry.operation_id
    clean = connect(person, journal=journal)
    [one] = await resumed(clean)
    assert await paid(clean) == [one.value]


async def test_a_hook_that_fails_at_once_leaves_nothing_open(
    connect: Connect, world: World, person: Profile, journal: Journal
) -> None:
    """Where a hook raises before anything went out, that is the error, and nothing is sent later."""

    @contextmanager
    def fails(_: CallScope) -> Generator[None]:
        raise ConnectionFailed("of another client")
        yield

    client = connect(person, journal=journal, around_call=fails)

    with pytest.raises(ConnectionFailed, match="of another client"):
        await client.charges.pay(owed(world, person), method=CARD)

    assert journal.open_entries() == []
    assert asked(world) == []


async def test_a_hook_that_fails_settles_nothing_that_is_resumed(
    connect: Connect, world: World, person: Profile, journal: Journal
) -> None:
    """What an earlier call sent stays open where a hook raises before it is sent again."""
    world.faults.lose_answer("charges.pay")
    with pytest.raises(OutcomeUnknown):
        await connect(person, journal=journal, retry=ONCE).charges.pay(owed(world, person), method=CARD)

    @contextmanager
    def fails(_: CallScope) -> Generator[None]:
        raise ConnectionFailed("of another client")
        yield

    [still] = await resumed(connect(person, journal=journal, around_call=fails))

    assert not still.settled
    assert len(journal.open_entries()) == 1


async def test_a_node_of_another_version_settles_nothing(
    connect: Connect, world: World, person: Profile, journal: Journal
) -> None:
    """A field that another version of the service refuses says nothing of the attempt before, which was carried out."""
    client = connect(person, journal=journal, retry=RetryPolicy(first_delay=0))
    world.faults.lose_answer("charges.pay")

    def newer(request: Request) -> None:
        if asked(world) and request.url.endswith("/payments"):
            fault = world.faults.refuse("charges.pay")
            fault.problem = InvalidRequest(errors=(FieldError("method", "unknown_field", "not known"),))

    mixed = connect(person, journal=journal, retry=RetryPolicy(first_delay=0), **hooked(newer))
    with pytest.raises(OutcomeUnknown) as caught:
        await mixed.charges.pay(owed(world, person), method=CARD)
    [still] = await resumed(mixed)
    [one] = await resumed(client)

    assert isinstance(caught.value.__cause__, InvalidRequest)
    assert not still.settled
    assert await paid(client) == [one.value]


async def test_what_still_runs_stays_open(payer: AsyncCabinet, world: World, person: Profile, journal: Journal) -> None:
    """A copy of the request that the service is at may be carried out after the call has ended: the entry stays."""
    world.faults.refuse("charges.pay", problem=StillRunning(), times=4)

    with pytest.raises(OutcomeUnknown) as caught:
        await payer.charges.pay(owed(world, person), method=CARD)
    open_then = journal.open_entries()
    [one] = await resumed(payer)

    assert isinstance(caught.value.__cause__, StillRunning)
    assert [entry.operation_id for entry in open_then] == [caught.value.operation_id]
    assert await paid(payer) == [one.value]


@pytest.mark.parametrize("status", [302, 303, 307, 418, 430, 460, 499, 509])
async def test_a_page_after_a_payment_settles_nothing(
    connect: Connect, world: World, person: Profile, journal: Journal, status: int
) -> None:
    """What something between answers in the service's place leaves the payment open, which was made."""
    page = Response(status=status, headers=Headers((("content-type", "text/html"),)), content=b"<html>")

    def replace(request: Request) -> Response | None:
        return page if request.url.endswith("/payments") else None

    with pytest.raises(OutcomeUnknown):
        await connect(person, journal=journal, retry=ONCE, **hooked(lambda _: None, replace)).charges.pay(
            owed(world, person), method=CARD
        )

    client = connect(person, journal=journal)
    [one] = await resumed(client)
    assert await paid(client) == [one.value]


@pytest.mark.parametrize("point", range(1, 12))
async def test_interrupted_resuming_is_resumed(
    connect: Connect, world: World, person: Profile, journal: Journal, *, mode: str, point: int
) -> None:
    """Wherever resuming is interrupted, the next one goes on: nothing stays claimed, nothing is done twice."""
    client = connect(person, journal=journal, retry=RetryPolicy(attempts=1))
    for _ in range(2):
        world.faults.lose_answer("charges.pay")
        with pytest.raises(OutcomeUnknown):
            await client.charges.pay(owed(world, person), method=CARD)
    interrupt: type[BaseException] = KeyboardInterrupt if mode == "sync" else asyncio.CancelledError
    points = Interrupting(point, interrupt())
    stopped = connect(person, journal=points.journal(journal), **hooked(points.pass_point, points.pass_point))

    told: list[Resumed] = []

    async def walk() -> None:
        async for one in stopped.resume():
            told.append(one)  # noqa: PERF401  # what is told before the interrupt counts

    with pytest.raises(interrupt):
        await walk()
    points.left = 0
    outcomes = await resumed(client)

    assert {one.operation_id for one in (*told, *outcomes)} == {request.idempotency_key for request in asked(world)}
    assert all(one.error is None for one in outcomes)
    assert len(await paid(client)) == 2
    assert journal.open_entries() == []


@pytest.mark.parametrize("point", range(1, 9))
async def test_a_task_may_be_cancelled_at_every_await(
    world: World, person: Profile, tmp_path: Path, point: int
) -> None:
    """Experiment 118: a real cancellation at every await, also while the journal writes: one payment, no lost entry."""
    task: asyncio.Task[Payment] | None = None
    loop = asyncio.get_running_loop()
    left = point

    def pass_point(_: object = None) -> None:
        nonlocal left
        left -= 1
        if left == 0 and task is not None:
            loop.call_soon_threadsafe(cancel, task)
            assert threading.current_thread() is threading.main_thread() or cancelled.wait(60)

    def cancel(one: asyncio.Task[Payment]) -> None:
        one.cancel()
        cancelled.set()

    cancelled = threading.Event()

    class Watched:
        def __init__(self, inner: Journal) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> Any:
            def act(*args: object) -> Any:
                assert threading.current_thread() is not threading.main_thread()
                pass_point()
                result = getattr(self._inner, name)(*args)
                pass_point()
                return result

            return act

    class Waiting:
        def __init__(self, inner: AsyncTransport) -> None:
            self._inner, self.sleep, self.now, self.aclose = inner, inner.sleep, inner.now, inner.aclose

        async def send(self, request: Request) -> Response:
            pass_point()
            await asyncio.sleep(0)
            response = await self._inner.send(request)
            pass_point()
            await asyncio.sleep(0)
            return response

    transport = AsyncInProcessTransport(world.respond, sleep=world.clock.sleep, now=world.clock.monotonic)
    journal = SqliteJournal(tmp_path / "journal.db")
    watched: Any = Watched(journal)
    async with AsyncCabinet(
        "http://cabinet.example/v1", credentials(world, person), transport=Waiting(transport), journal=watched
    ) as client:
        task = asyncio.create_task(client.charges.pay(owed(world, person), method=CARD, amount=Money("100.00")))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(journal.open_entries()) == 1
        task, left = None, 0

        [one] = [outcome async for outcome in client.resume()]

        assert await paid(client) == [await client.charges.payment(one.value.id)]
    assert journal.open_entries() == []


def claimable(path: Path) -> bool:
    """Say whether another process could resume the one entry of a journal."""
    with SqliteJournal(path) as other:
        [entry] = other.open_entries()
        return other.claim(entry)


def test_an_interrupt_between_two_steps_leaves_nothing_claimed(world: World, person: Profile, tmp_path: Path) -> None:
    """Ctrl+C when the answer is there and the call has not gone on yet: others may resume at once."""
    path = tmp_path / "journal.db"

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code is not perform.__code__:
            return None
        if event == "line" and asked(world):
            sys.settrace(before)
            raise KeyboardInterrupt
        return trace

    client = connect_to(world, person, journal=SqliteJournal(path))
    charge = owed(world, person)
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            client.charges.pay(charge, method=CARD)
    finally:
        sys.settrace(before)

    assert claimable(path)
    assert caught.traceback


@pytest.mark.parametrize("fails", [set[str](), {"release"}], ids=["a journal that works", "one that fails"])
def test_a_task_that_is_left_behind_leaves_nothing_claimed(
    world: World, person: Profile, tmp_path: Path, caplog: pytest.LogCaptureFixture, fails: set[str]
) -> None:
    """An event loop that is closed with a call on its way, be it one that resumes: others may resume it at once."""
    path = tmp_path / "journal.db"
    journal = Broken(SqliteJournal(path), fails)
    charge = owed(world, person)

    async def leave(resuming: bool) -> None:
        sent = asyncio.Event()
        inner = AsyncInProcessTransport(world.respond, sleep=world.clock.sleep, now=world.clock.monotonic)

        async def stall(request: Request) -> Response:
            response = await inner.send(request)
            if request.url.endswith("/payments"):
                sent.set()
                await asyncio.Event().wait()
            return response

        transport: Any = Hooked(inner, lambda _: None, lambda _: None)
        transport.send = stall
        client = AsyncCabinet(BASE_URL, credentials(world, person), transport=transport, journal=journal)
        work = resumed(client) if resuming else client.charges.pay(charge, method=CARD)
        tasks.append(asyncio.ensure_future(work))
        await sent.wait()

    # What nobody could release has to wait for the end of this process.
    for resuming in (False,) if fails else (False, True):
        tasks: list[asyncio.Future[Any]] = []
        loop = asyncio.new_event_loop()
        loop.run_until_complete(leave(resuming))
        loop.close()
        task: Any = tasks.pop()
        # As the garbage collector does it, and without the complaint that nobody has awaited the task.
        task._log_destroy_pending = False
        task.get_coro().close()
        assert claimable(path) is not bool(fails)
    key = asked(world)[0].idempotency_key
    failed = f"{key} can be resumed only after the end of this process: [Errno 28] No space left on device"
    assert [each.getMessage() for each in caplog.records if each.levelname == "WARNING"] == [failed] * bool(fails)


@final
@attrs.define
class Broken:
    """A journal that fails at some acts."""

    inner: Journal
    fails: set[str]

    def _act(self, name: str, *args: object) -> Any:
        if name in self.fails:
            raise OSError(28, "No space left on device")
        return getattr(self.inner, name)(*args)

    def begin(self, entry: JournalEntry, seconds: float | None = None) -> JournalEntry | None:
        earlier: JournalEntry | None = self._act("begin", entry, seconds)
        return earlier

    def settle(self, entry: JournalEntry) -> None:
        self._act("settle", entry)

    def release(self, entry: JournalEntry) -> None:
        self._act("release", entry)

    def open_entries(self) -> list[JournalEntry]:
        entries: list[JournalEntry] = self._act("open_entries")
        return entries

    def claim(self, entry: JournalEntry) -> bool:
        claimed: bool = self._act("claim", entry)
        return claimed


async def test_nothing_is_sent_that_cannot_be_kept(
    connect: Connect, world: World, person: Profile, journal: Journal
) -> None:
    """A journal that fails is the error, with the operation and what to do, before anything is sent."""
    client = connect(person, journal=Broken(journal, {"begin", "open_entries"}))

    with pytest.raises(JournalFailed, match="No space left") as caught:
        await client.charges.pay(owed(world, person), method=CARD)
    with pytest.raises(JournalFailed, match="No space left"):
        await resumed(client)

    assert isinstance(caught.value.__cause__, OSError)
    assert [request.operation for request in world.requests] == []


async def test_reconciling_needs_the_journal_and_leaves_it_open(
    connect: Connect, world: World, person: Profile, journal: Journal
) -> None:
    """Where the journal fails while an unknown outcome is reconciled nothing is sent, and the entry can be resumed."""
    broken = Broken(journal, set())
    client = connect(person, journal=broken, retry=RetryPolicy(attempts=1))
    world.faults.lose_request("charges.pay")
    with pytest.raises(OutcomeUnknown) as caught:
        await client.charges.pay(owed(world, person), method=CARD)
    before = len(world.requests)
    broken.fails = {"begin"}

    with pytest.raises(OutcomeUnknown, match="The journal failed"):
        await settle(caught.value.reconcile())

    assert len(world.requests) == before
    [one] = await resumed(client)
    assert one.operation_id == caught.value.operation_id
    assert len(await paid(client)) == 1


async def test_a_known_outcome_is_not_lost_by_the_journal(
    connect: Connect, world: World, person: Profile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where an entry cannot be settled its outcome is told all the same, and resuming it does nothing twice."""
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path)
    client = connect(person, journal=Broken(journal, {"settle", "release"}))
    world.faults.lose_answer("charges.pay_several", times=4)
    charge = owed(world, person)
    with caplog.at_level(logging.WARNING, "cabinet_sdk"):
        payment = await client.charges.pay(charge, method=CARD)
        with pytest.raises(OutcomeUnknown):
            await client.charges.pay_several((ItemToPay(owed(world, person)),), method=CARD)

    failed = "The journal failed: [Errno 28] No space left on device."
    settling = f"{asked(world)[0].idempotency_key} may stay in the journal although it is settled: {failed}"
    releasing = [
        f"{key} can be resumed only after the end of this process: {failed}"
        for key in (asked(world)[0].idempotency_key, world.requests[-1].idempotency_key)
    ]
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3
    said = [record.getMessage().partition(" Make")[0] for record in caplog.records]
    assert said == [settling, *releasing]
    assert charge not in caplog.text
    journal.close()
    one, _ = await resumed(connect(person, journal=SqliteJournal(path)))
    assert one.value.id == payment.id
    assert len(await paid(client)) == 2


async def test_a_locked_journal_keeps_no_call_beyond_its_deadline(
    connect: Connect, world: World, person: Profile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A call waits for another program as long as it may itself, and a second for the entry to be forgotten."""
    path = tmp_path / "journal.db"
    patient = SqliteJournal(path, timeout=3600)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    charge = owed(world, person)
    client = connect(person, journal=patient).with_options(deadline=0.05)

    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalFailed, match="locked"):
        await client.charges.pay(charge, method=CARD)
    other.execute("ROLLBACK")
    assert asked(world) == []
    assert patient.open_entries() == []

    def lock(request: Request) -> None:
        if request.url.endswith("/payments"):
            other.execute("BEGIN IMMEDIATE")

    payment = await connect(person, journal=patient, **hooked(lock)).charges.pay(charge, method=CARD)
    other.close()

    assert "may stay in the journal although it is settled" in caplog.text
    assert await resumed(connect(person, journal=patient)) == []
    assert patient.open_entries() == []
    assert [one.id for one in await paid(connect(person))] == [payment.id]


@pytest.mark.parametrize("late, left", [(2.0, 3.0), (7.0, 0.0)])
def test_the_deadline_goes_on_while_no_thread_is_free(late: float, left: float) -> None:
    """A journal is told what is left when it is asked, not what was when a thread was asked for."""
    now, told = 0.0, list[float | None]()

    class Noting:
        def begin(self, _: JournalEntry, seconds: float | None = None) -> None:
            told.append(seconds)

        def release(self, _: JournalEntry) -> None:
            pass

    entry = JournalEntry(
        base_url=BASE_URL,
        client_id="c",
        operation_id="k-1",
        operation="things.change",
        path="/things",
        body=b"",
        created_at=dt.datetime(2026, 11, 16, tzinfo=dt.UTC),
    )
    noting: Any = Noting()
    flow = recorded(noting, entry, lambda _: pause(0), lambda: 5.0 - now, own_id=True)
    effect = next(flow)
    assert isinstance(effect, Run)
    now += late
    effect.function()
    flow.close()

    assert told == [left]


async def test_a_journal_needs_no_thread_of_the_loop(
    connect: Connect, world: World, person: Profile, journal: Journal
) -> None:
    """Where the program itself has taken all threads of the event loop, a payment is kept and sent all the same."""
    busy, go = threading.Event(), threading.Event()

    def work() -> None:
        busy.set()
        go.wait(60)

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as threads:
        loop.set_default_executor(threads)
        working = loop.run_in_executor(None, work)
        try:
            await asyncio.sleep(0)
            assert busy.wait(60)
            client = connect(person, journal=journal)
            payment = await client.charges.pay(owed(world, person), method=CARD, amount=Money("100.00"))
        finally:
            go.set()
        await working

    assert [each.id for each in await paid(connect(person))] == [payment.id]
    assert journal.open_entries() == []


async def test_an_interrupt_is_not_hidden_by_the_journal(
    connect: Connect, world: World, person: Profile, journal: Journal, caplog: pytest.LogCaptureFixture, *, mode: str
) -> None:
    """Where it comes while the entry is settled and the journal fails then, nobody says that nothing was sent."""
    interrupt: type[BaseException] = KeyboardInterrupt if mode.startswith("sync") else asyncio.CancelledError
    broken = Broken(journal, set())

    class Interrupts:
        def __getattr__(self, name: str) -> Any:
            return getattr(broken, name)

        def settle(self, entry: JournalEntry) -> None:
            journal.settle(entry)
            broken.fails = {"begin", "release"}
            raise interrupt

    interrupts: Any = Interrupts()
    with caplog.at_level(logging.WARNING, "cabinet_sdk"), pytest.raises(interrupt):
        await connect(person, journal=interrupts).charges.pay(owed(world, person), method=CARD)

    assert "may not be told again" in caplog.text


async def test_reconciling_that_cannot_be_kept_stays_unknown(
    connect: Connect, world: World, person: Profile, journal: Journal
) -> None:
    """A journal that fails at `reconcile` does not make the first call one that never was."""
    broken = Broken(journal, set())
    client = connect(person, journal=broken, retry=RetryPolicy(attempts=1))
    world.faults.lose_answer("charges.pay", times=2)
    with pytest.raises(OutcomeUnknown) as called:
        await client.charges.pay(owed(world, person), method=CARD)
    [resuming] = await resumed(client)
    broken.fails = {"begin"}

    for unknown in (called.value, resuming.error):
        assert isinstance(unknown, OutcomeUnknown)
        with pytest.raises(OutcomeUnknown, match="No space left") as again:
            await settle(unknown.reconcile())
        assert isinstance(again.value.__cause__, JournalFailed)
        assert again.value.operation_id == called.value.operation_id
    broken.fails = set()

    payment = await settle(again.value.reconcile())
    assert await paid(client) == [payment]
    assert journal.open_entries() == []


async def test_views_share_the_journal(payer: AsyncCabinet, world: World, person: Profile, journal: Journal) -> None:
    """A view keeps and resumes in the journal of its client."""
    view = payer.with_options(deadline=5.0)
    world.faults.lose_answer("charges.pay", times=4)
    with pytest.raises(OutcomeUnknown):
        await view.charges.pay(owed(world, person), method=CARD)

    assert len(journal.open_entries()) == 1
    assert [one.settled for one in await resumed(view.with_options(page_size=1))] == [True]


async def test_the_whole_answer_is_kept_too(
    payer: AsyncCabinet, world: World, person: Profile, journal: Journal
) -> None:
    """`answer` of a durable row is a call like any other."""
    world.faults.lose_answer("charges.pay", times=4)
    with pytest.raises(OutcomeUnknown):
        await payer.answer(PAY_CHARGE, owed(world, person), method=CARD)

    [one] = await resumed(payer)
    assert isinstance(one.value, Payment)
    assert journal.open_entries() == []


def test_which_rows_are_durable() -> None:
    """A keyed POST is, unless its row says otherwise; reads, edits, uploads and what is never repeated are not."""
    permission = CHANGE.permission
    made: dict[str, bool] = {
        "post": CHANGE.durable,
        "read": READ.durable,
        "never": CHANGE_ONCE.durable,
        "edit": Call("t.edit", "PATCH", "/t", Ask, Thing, permission=permission).durable,
        "secret": Call("t.secret", "POST", "/t", Ask, Thing, permission=permission, durable=False).durable,
        "delete": Call("t.delete", "DELETE", "/t", Ask, Thing, permission=permission, durable=True).durable,
        "upload": UPLOAD.durable,
    }
    assert {name for name, durable in made.items() if durable} == {"post", "delete"}
    with pytest.raises(TypeError, match="keyed"):
        Call("t.read", "GET", "/t", Ask, Thing, permission=permission, durable=True)
