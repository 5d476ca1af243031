"""What callers give: wrong kinds and names are refused by the name of the method, and nothing is sent."""

from __future__ import annotations

import datetime as dt
import threading
import traceback
from collections.abc import Callable
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest

from cabinet_sdk import AsyncCabinet, BearerToken, Cabinet, ClientCredentials, RetryPolicy, SqliteJournal
from cabinet_sdk.charges import ChargeId, ChargeStatus, ItemToPay, PaymentMethod, PaymentStatus
from cabinet_sdk.charges.operations import LIST_CHARGES, PAY_CHARGE
from cabinet_sdk.errors import InvalidValue, UsageError
from cabinet_sdk.transports import AsyncHttpxTransport, HttpxTransport, Proxy, Timeout, Tls
from cabinet_sdk.types import File, Inn, Money, OrganisationInn, Period, Uin
from reference_server import Profile, World
from tests.core.sample_area import sample_world, samples_of
from tests.core.scripted import READ, Script, Scripted, thing

# Any: the arguments are wrong, and type checkers say so of each.
Mistake = Callable[[Any], Any]

SBP = PaymentMethod.SBP
ID = ChargeId("chg_1")
STATUSES = "it is ChargeStatus.NOT_PAID or ChargeStatus.PARTLY_PAID or ChargeStatus.PAID"


async def outcome(call: Mistake, client: AsyncCabinet) -> Any:
    """Make the call, in either mode."""
    result = call(client)
    return await result if isawaitable(result) else result


KINDS: dict[str, tuple[Mistake, str]] = {
    "int for an id": (
        lambda cabinet: cabinet.charges.get(5),
        "charges.get(): charge_id: expected ChargeId (str), got int",
    ),
    "None for an id": (
        lambda cabinet: cabinet.charges.get(None),
        "charges.get(): charge_id: expected ChargeId (str), got None",
    ),
    "an item for its id": (
        lambda cabinet: cabinet.charges.get(ItemToPay(ID)),
        "charges.get(): charge_id: expected ChargeId (str), got ItemToPay: give its text",
    ),
    "an identifier for an id": (
        lambda cabinet: cabinet.charges.get(Uin.with_check_digits("1881018810188101881")),
        "charges.get(): charge_id: expected ChargeId (str), got Uin",
    ),
    "text for an identifier": (
        lambda cabinet: cabinet.charges.list(payee_inn="7707083893"),
        "charges.list(): payee_inn: expected Inn, got str '77…93': Inn(text) makes one",
    ),
    "another identifier": (
        lambda cabinet: cabinet.charges.list(uin=Inn("7707083893")),
        "charges.list(): uin: expected Uin, got Inn: Uin(text) makes one",
    ),
    "text of a known code": (
        lambda cabinet: cabinet.charges.list(status="paid"),
        "charges.list(): status: expected ChargeStatus, got str 'p…d': write ChargeStatus.PAID",
    ),
    "text of no code": (
        lambda cabinet: cabinet.charges.list(status="payed"),
        f"charges.list(): status: expected ChargeStatus, got str 'p…d': {STATUSES}",
    ),
    "a code of another set": (
        lambda cabinet: cabinet.charges.list(status=PaymentStatus.CREATED),
        f"charges.list(): status: expected ChargeStatus, got PaymentStatus: {STATUSES}",
    ),
    "a day for a period": (
        lambda cabinet: cabinet.charges.list(period=dt.date(2026, 1, 1)),
        "charges.list(): period: expected Period, got date: Period(first, last) or Period.month(year, month) makes one",
    ),
    "int for a truth": (
        lambda cabinet: cabinet.charges.list(overdue=1),
        "charges.list(): overdue: expected bool, got int",
    ),
    "int for text": (
        lambda cabinet: cabinet.charges.list(order_number=5),
        "charges.list(): order_number: expected str, got int",
    ),
    "int for money": (
        lambda cabinet: cabinet.charges.pay(ID, method=SBP, amount=500),
        "charges.pay(): amount: expected Money, got int: Money('500.00') makes one",
    ),
    "text for money inside": (
        lambda cabinet: cabinet.charges.pay_several((ItemToPay(ID), ItemToPay(ID, "5.00")), method=SBP),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        "charges.pay_several(): items[1].amount: expected Money, got str '5…0': Money('500.00') makes one",
    ),
    "ids for items": (
        lambda cabinet: cabinet.charges.pay_several((ID,), method=SBP),
        "charges.pay_several(): items[0]: expected ItemToPay, got str 'c…1'",
    ),
    "one for several": (
        lambda cabinet: cabinet.charges.pay_several(ItemToPay(ID), method=SBP),
        "charges.pay_several(): items: expected tuple of ItemToPay, got ItemToPay",
    ),
    "int for an id of a flow": (
        lambda cabinet: cabinet.charges.wait_for_payment(5),
        "charges.wait_for_payment(): payment_id: expected PaymentId (str), got int",
    ),
    "text for seconds": (
        lambda cabinet: cabinet.charges.wait_for_payment("pay_1", timeout="5"),
        "charges.wait_for_payment(): timeout: expected float, got str '…'",
    ),
    "an answer of what is no row": (
        lambda cabinet: cabinet.answer("charges.list"),
        "answer() takes a row of the contract, such as LIST_CHARGES, not str 'ch…st'",
    ),
    "a whole answer": (
        lambda cabinet: cabinet.answer(PAY_CHARGE, ID, method="sbp"),
        "charges.pay(): method: expected PaymentMethod, got str '…': write PaymentMethod.SBP",
    ),
}


@pytest.mark.parametrize("call, message", KINDS.values(), ids=KINDS.keys())
async def test_a_wrong_kind_is_refused_before_anything_is_sent(
    client: AsyncCabinet, world: World, call: Mistake, message: str
) -> None:
    """The error names method, argument and kinds, masks the value, and often says what to write."""
    with pytest.raises(UsageError) as caught:
        await outcome(call, client)

    assert str(caught.value) == message
    assert world.requests == ()


NAMES: dict[str, tuple[Mistake, str]] = {
    "a slip": (
        lambda cabinet: cabinet.charges.list(stauts=ChargeStatus.PAID),
        "charges.list() got an unexpected keyword argument 'stauts'; did you mean 'status'?",
    ),
    "unknown": (
        lambda cabinet: cabinet.charges.get(ID, colour="red"),
        "charges.get() got an unexpected keyword argument 'colour'; there are charge_id",
    ),
    "missing": (
        lambda cabinet: cabinet.charges.pay(),
        "charges.pay() missing required argument(s): 'charge_id', 'method'",
    ),
    "by place": (
        lambda cabinet: cabinet.charges.pay(ID, SBP),
        "charges.pay() takes 1 positional argument(s), got 2; by name go method=…, amount=…",
    ),
    "twice": (
        lambda cabinet: cabinet.charges.get(ID, charge_id=ID),
        "charges.get() got multiple values for argument 'charge_id'",
    ),
    "of a flow": (
        lambda cabinet: cabinet.charges.wait_for_payment("pay_1", timout=5),
        "charges.wait_for_payment() got an unexpected keyword argument 'timout'; did you mean 'timeout'?",
    ),
    "missing in a flow": (
        lambda cabinet: cabinet.charges.wait_for_payment(),
        "charges.wait_for_payment() missing required argument(s): 'payment_id'",
    ),
    "of a whole answer": (
        lambda cabinet: cabinet.answer(LIST_CHARGES, perid=Period.year(2026)),
        "charges.list() got an unexpected keyword argument 'perid'; did you mean 'period'?",
    ),
}


@pytest.mark.parametrize("call, message", NAMES.values(), ids=NAMES.keys())
async def test_a_wrong_name_is_refused_by_the_name_of_the_method(
    client: AsyncCabinet, world: World, call: Mistake, message: str
) -> None:
    """It is a `TypeError`, as of any function, and says what was meant where that is near."""
    with pytest.raises(TypeError) as caught:
        await outcome(call, client)

    assert str(caught.value) == message
    assert world.requests == ()


OPTIONS: dict[str, tuple[Mistake, str]] = {
    "text for seconds": (
        lambda cabinet: cabinet.with_options(deadline="5"),
        "with_options(): deadline: expected float, got str '…'",
    ),
    "seconds for a timeout": (
        lambda cabinet: cabinet.with_options(timeout=5),
        "with_options(): timeout: expected Timeout, got int",
    ),
    "text inside a timeout": (
        lambda cabinet: cabinet.with_options(timeout=Timeout(idle="5")),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        "with_options(): timeout.idle: expected float, got str '…'",
    ),
    "text for a number": (
        lambda cabinet: cabinet.with_options(page_size="5"),
        "with_options(): page_size: expected int, got str '…'",
    ),
    "pages of nothing": (
        lambda cabinet: cabinet.with_options(page_size=0),
        "with_options(): page_size: expected 1 to 1000, got 0",
    ),
    "pages of too much": (
        lambda cabinet: cabinet.with_options(page_size=1001),
        "with_options(): page_size: expected 1 to 1000, got 1001",
    ),
    "a number for a key": (
        lambda cabinet: cabinet.with_options(idempotency_key=5),
        "an idempotency key is 1 to 255 Latin letters, digits and hyphens",
    ),
    "a deadline that is never over": (
        lambda cabinet: cabinet.with_options(deadline=float("nan")),
        "with_options(): deadline: expected seconds from 0 to {most}, or None for no limit, got nan",
    ),
    "a deadline before now": (
        lambda cabinet: cabinet.with_options(deadline=-5),
        "with_options(): deadline: expected seconds from 0 to {most}, or None for no limit, got -5",
    ),
    "a timeout before now": (
        lambda cabinet: cabinet.with_options(timeout=Timeout(connect=-1)),
        "with_options(): timeout.connect: expected seconds from 0 to {most}, or None for no limit, got -1",
    ),
    "a timeout that no lock takes": (
        lambda cabinet: cabinet.with_options(timeout=Timeout(idle=float("inf"))),
        "with_options(): timeout.idle: expected seconds from 0 to {most}, or None for no limit, got inf",
    ),
    "pairs for headers": (
        lambda cabinet: cabinet.with_options(headers=[("x-a", "b")]),
        "headers are a mapping of names to values, not a list",
    ),
    "a number in a header": (
        lambda cabinet: cabinet.with_options(headers={"x-a": 5}),
        "'x-a' is no header name (RFC 9110 5.6.2), or its value is not printable ASCII without outer blanks",
    ),
}


@pytest.mark.parametrize("call, message", OPTIONS.values(), ids=OPTIONS.keys())
async def test_a_wrong_option_is_refused_where_it_is_given(client: AsyncCabinet, call: Mistake, message: str) -> None:
    """A view with an option of a wrong kind is not made."""
    with pytest.raises(UsageError) as caught:
        await outcome(call, client)

    assert str(caught.value) == message.replace("{most}", f"{threading.TIMEOUT_MAX:.0f}")


HALF = "Иванова Мария \ud800"

# Where a text stands, and the calls that would send it.
TEXTS: dict[str, tuple[str, Mistake]] = {
    "in the path": ("charge_id", lambda cabinet: cabinet.charges.get(ChargeId(HALF))),
    "in the path of a change": ("charge_id", lambda cabinet: cabinet.charges.pay(ChargeId(HALF), method=SBP)),
    "in the query": ("order_number", lambda cabinet: first_of(cabinet.charges.list(order_number=HALF))),
    "in the body": (
        "items[1].charge_id",
        lambda cabinet: cabinet.charges.pay_several([ItemToPay(ID), ItemToPay(ChargeId(HALF))], method=SBP),
    ),
    "in a code": ("method", lambda cabinet: cabinet.charges.pay(ID, method=PaymentMethod.trusted(HALF))),
    "in a cursor": ("cursor", lambda cabinet: first_of(cabinet.charges.list().by_page(HALF))),
    "in a row": ("order_number", lambda cabinet: cabinet.answer(LIST_CHARGES, order_number=HALF)),
    "in a form": ("note", lambda cabinet: samples_of(cabinet).upload(File(b"", name="a.txt"), note=HALF)),
}


async def first_of(items: Any) -> Any:
    """Return the first of a list that comes in pages."""
    return await anext(aiter(items))


@pytest.mark.parametrize("where", TEXTS)
async def test_a_text_that_no_bytes_stand_for(client: AsyncCabinet, world: World, where: str) -> None:
    """Half of a surrogate pair cannot be sent: the error is one of ours, names the place and shows nothing of it."""
    field, call = TEXTS[where]
    with pytest.raises(InvalidValue) as caught:
        await outcome(call, client)

    error = caught.value
    assert (error.kind, error.rule, error.value) == (field, "characters", HALF)
    assert str(error) == f"{field}: expected text without halves of surrogate pairs, got … (rule characters)."
    shown = "".join(traceback.format_exception(error)) + repr(error)
    assert [part for part in ("Иванова", "Мария", "\ud800", "UnicodeEncodeError") if part in shown] == []
    assert [request.operation for request in world.requests] == []


@pytest.mark.parametrize("kind", [Cabinet, AsyncCabinet])
@pytest.mark.parametrize("deadline", [float("nan"), float("inf"), 1e18, -5])
def test_a_deadline_is_one_that_comes(kind: Any, deadline: float) -> None:
    """No limit is None; what a clock or a lock cannot wait for is refused when the client is made."""
    with pytest.raises(UsageError, match=r"^deadline: expected seconds from 0 to"):
        kind("http://cabinet.example/v1", deadline=deadline)


@pytest.mark.parametrize("kind", [Cabinet, AsyncCabinet])
@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"base_url": None}, "base_url: expected str, got None"),
        ({"deadline": "60"}, "deadline: expected float, got str '…'"),
        ({"retry": 3}, "retry: expected RetryPolicy, got int"),
        ({"around_attempt": "hook"}, "around_attempt: expected a callable, got str 'h…k'"),
        ({"credentials": ("id", "secret")}, "credentials: expected ClientCredentials or BearerToken, got tuple"),
        ({"journal": "x.journal"}, "journal: expected Journal, got str 'x.…al'"),
        ({"journal": SqliteJournal}, "journal: expected Journal, got the class SqliteJournal: write SqliteJournal(…)"),
        ({"retry": RetryPolicy}, "retry: expected RetryPolicy, got the class RetryPolicy: write RetryPolicy(…)"),
        ({"credentials": ClientCredentials("id", 5)}, "credentials.client_secret: expected str, got int"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ],
)
def test_a_client_says_what_it_takes(kind: Any, wrong: dict[str, object], message: str) -> None:
    """Each argument of a client is looked at before anything is made of it."""
    with pytest.raises(UsageError) as caught:
        kind(**{"base_url": "http://cabinet.example/v1", **wrong})

    assert str(caught.value) == f"{kind.__name__}(): {message}"


def test_a_client_names_itself() -> None:
    """An unknown argument of a client is named with what was meant."""
    client: Any = Cabinet
    with pytest.raises(TypeError, match=r"^Cabinet\(\) got an .* 'token'; there are base_url, credentials, "):
        client("http://cabinet.example/v1", token="secret")
    with pytest.raises(TypeError, match=r"^Cabinet\(\) missing required argument\(s\): 'base_url'$"):
        client()


async def test_what_is_right_goes_through(client: AsyncCabinet, world: World, person: Profile) -> None:
    """Subclasses of the kind, codes that nobody knows yet, whole numbers as seconds and lists for tuples are right."""
    charge = world.charges.add(person, Money("10.00"))
    any_client: Any = client

    assert [item async for item in client.charges.list(payee_inn=OrganisationInn("7707083893"))] == []
    assert [item.id async for item in client.charges.list(overdue=False, period=None)] == [charge.id]
    payment = await any_client.charges.pay_several([ItemToPay(charge.id)], method=SBP)
    assert (await client.charges.wait_for_payment(payment.id, timeout=900)).status == PaymentStatus.SUCCEEDED


async def test_downloads_and_uploads_are_checked_too(client: AsyncCabinet, world: World) -> None:
    """Every kind of row refuses what does not belong."""
    sample_world(world)
    samples: Any = samples_of(client)

    with pytest.raises(UsageError, match=r"samples\.download\(\): sample_id: expected SampleId \(str\), got int"):
        await samples.download(5)
    with pytest.raises(UsageError, match=r"samples\.upload\(\): file: expected File, got bytes"):
        await samples.upload(b"content")
    assert world.requests == ()


URL = "http://cabinet.example/v1"
MOST = f"{threading.TIMEOUT_MAX:.0f}"


def signed_in(value: Any) -> object:
    """Make a client with a token."""
    return Cabinet(URL, BearerToken(value))


def called(new_id: Any) -> object:
    """Make a call under an id of one's own."""
    return Cabinet(URL, transport=Scripted(Script(thing())), new_id=new_id).answer(READ)


MADE: list[tuple[Any, dict[str, object], str]] = [
    (SqliteJournal, {"path": 5}, "SqliteJournal(): path: expected str or PathLike of str, got int"),
    (SqliteJournal, {"path": b"j"}, "SqliteJournal(): path: expected str or PathLike of str, got bytes"),
    (SqliteJournal, {"path": "j", "key": "0123" * 16}, "SqliteJournal(): key: expected bytes, got str"),
    (SqliteJournal, {"path": "j", "timeout": "5"}, "SqliteJournal(): timeout: expected float, got str '…'"),
    (
        SqliteJournal,
        {"path": "j", "timeout": float("nan")},
        "SqliteJournal(): timeout: expected seconds from 0 on, got nan",
    ),
    (SqliteJournal, {"path": ":memory:"}, "SqliteJournal(): path: expected the path of a file, got ':memory:'"),
    (SqliteJournal, {"path": "a\0b"}, r"SqliteJournal(): path: expected the path of a file, got 'a\x00b'"),
    (SqliteJournal, {"path": Path("\ud800")}, r"SqliteJournal(): path: expected the path of a file, got '\ud800'"),
    (RetryPolicy, {"attempts": "4"}, "RetryPolicy(): attempts: expected int, got str '…'"),
    (RetryPolicy, {"attempts": 0}, "RetryPolicy(): attempts: expected 1 or more, got 0"),
    (RetryPolicy, {"first_delay": float("nan")}, "RetryPolicy(): first_delay: expected 0 or more, got nan"),
    (signed_in, {"value": 5}, "Cabinet(): credentials.value: expected str, got int"),
    (
        Cabinet,
        {"base_url": URL, "deadline": 10**5000},
        f"deadline: expected seconds from 0 to {MOST}, or None for no limit, got a larger number",
    ),
    (called, {"new_id": lambda: 5}, "new_id() returns text, not int"),
    (
        called,
        {"new_id": lambda: "a\r\nb"},
        "new_id() returns text that a header can have: one line of ASCII, and not empty",
    ),
]


@pytest.mark.parametrize("make, given, message", MADE, ids=[message for *_, message in MADE])
def test_what_a_client_is_made_of_says_what_it_takes(make: Any, given: dict[str, object], message: str) -> None:
    """Neither Python nor another library speaks in its place, and nothing is shown of what may be a key."""
    with pytest.raises(UsageError) as caught:
        make(**given)

    assert str(caught.value) == message


@pytest.mark.parametrize("method", ["begin", "settle", "release", "open_entries", "claim"])
def test_a_journal_is_not_async(method: str) -> None:
    """Its methods are called in threads: one that nobody awaits would keep nothing."""

    class Awaited:
        def begin(self, *_: object) -> None: ...

        settle = release = open_entries = claim = begin

    async def awaited(*_: object) -> None: ...

    journal: Any = Awaited()
    setattr(journal, method, awaited)
    with pytest.raises(UsageError, match="no async ones"):
        Cabinet(URL, BearerToken("t", "client"), transport=Scripted(Script(thing())), journal=journal)


# Where checkers are told to ignore a line, they refuse it too: it is for callers who have none.
TRANSPORTS: dict[str, tuple[Mistake, str]] = {
    "a file for Tls": (lambda kind: kind(tls="/ca.pem"), "{kind}(): tls: expected Tls, got str '/…m'"),
    "a truth for Tls": (lambda kind: kind(tls=True), "{kind}(): tls: expected Tls, got bool"),
    "an address for a proxy": (
        lambda kind: kind(proxy="http://proxy.example:3128"),
        "{kind}(): proxy: expected Proxy, got str 'ht…28'",
    ),
    "an unknown protocol": (
        lambda kind: kind(tls=Tls(minimum_version="1.1")),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        "Tls(): minimum_version: expected '1.2' or '1.3', got str '…'",
    ),
    "a number for a protocol": (
        lambda kind: kind(tls=Tls(minimum_version=1.3)),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        "Tls(): minimum_version: expected '1.2' or '1.3', got float",
    ),
    "a proxy without an address": (
        lambda kind: kind(proxy=Proxy(url=None)),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        "Proxy(): url: expected str, got None",
    ),
    "text for a number": (lambda kind: kind(connections="5"), "{kind}(): connections: expected int, got str '…'"),
    "no connections": (lambda kind: kind(connections=0), "{kind}(): connections: expected 1 or more, got 0"),
    "a slip": (
        lambda kind: kind(conections=5),
        "{kind}() got an unexpected keyword argument 'conections'; did you mean 'connections'?",
    ),
}


@pytest.mark.parametrize("kind", [HttpxTransport, AsyncHttpxTransport])
@pytest.mark.parametrize("call, message", TRANSPORTS.values(), ids=TRANSPORTS.keys())
def test_a_transport_over_http_says_what_it_takes(kind: Any, call: Mistake, message: str) -> None:
    """It is found where the transport is made, not at the first call."""
    with pytest.raises((UsageError, TypeError)) as caught:
        call(kind)

    assert str(caught.value) == message.format(kind=kind.__name__)
