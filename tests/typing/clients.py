"""The types of clients, views, errors and shared values. Type checkers read this file; it is never run."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from decimal import Decimal
from typing import assert_type

import cabinet_sdk
from cabinet_sdk import (
    AsyncCabinet,
    AsyncPages,
    BearerToken,
    Cabinet,
    ClientCredentials,
    Journal,
    JournalEntry,
    Pages,
    Resumed,
    RetryPolicy,
    SqliteJournal,
)
from cabinet_sdk.charges import Charge, ChargeNotFound, ChargeStatus, NothingDue, PaymentMethod
from cabinet_sdk.errors import (
    CabinetError,
    DeadlineExceeded,
    FieldError,
    InvalidRequest,
    InvalidValue,
    NetworkError,
    NotFound,
    OutcomeUnknown,
    Problem,
    RateLimited,
    StateError,
)
from cabinet_sdk.transports import (
    AsyncHttpxTransport,
    AsyncInProcessTransport,
    AsyncTransport,
    HttpxTransport,
    InProcessTransport,
    Timeout,
    Transport,
)
from cabinet_sdk.types import Identifier, Inn, Money, OrganisationInn, Period, PersonInn, Rounding
from reference_server import Profile, World
from reference_server.testing import connect, connect_async, serve


def sync_client(url: str) -> None:
    """A sync client is its own context, and its views are clients of the same class."""
    cabinet = assert_type(Cabinet(url, BearerToken("t")), Cabinet)
    assert_type(Cabinet(url, ClientCredentials("id", "secret"), deadline=None, retry=RetryPolicy(attempts=1)), Cabinet)
    with assert_type(cabinet, Cabinet) as entered:
        assert_type(entered, Cabinet)
    view = assert_type(cabinet.with_options(deadline=1.0, timeout=Timeout(idle=1.0), headers={"x-a": "1"}), Cabinet)
    assert_type(view.with_options(deadline=None, page_size=10, idempotency_key="a").charges.list(), Pages[Charge])
    assert_type(cabinet.close(), None)


async def async_client(url: str) -> None:
    """An async client is its own async context, and its views are clients of the same class."""
    cabinet = assert_type(AsyncCabinet(url), AsyncCabinet)
    async with cabinet as entered:
        assert_type(entered, AsyncCabinet)
    view = assert_type(cabinet.with_options(deadline=1.0), AsyncCabinet)
    assert_type(view.charges.list(), AsyncPages[Charge])
    assert_type(await cabinet.close(), None)


def journals(url: str) -> list[Journal]:
    """A client resumes what its journal has, in its own mode; the journal that comes along is one of the protocol."""
    journal = assert_type(SqliteJournal("journal.db", timeout=1.0), SqliteJournal)
    assert_type(journal.open_entries(), list[JournalEntry])
    for one in assert_type(Cabinet(url, journal=journal).resume(), Generator[Resumed]):
        assert_type(one.error, CabinetError | None)
        assert_type(one.settled, bool)
    return [journal]


async def async_journals(url: str, journal: Journal) -> None:
    """The same, async."""
    async for one in assert_type(AsyncCabinet(url, journal=journal).resume(), AsyncGenerator[Resumed]):
        assert_type(one.operation_id, str)


def lazy_names() -> None:
    """What the package loads on first use has the types of what it loads."""
    assert_type(cabinet_sdk.Cabinet, type[Cabinet])
    assert_type(cabinet_sdk.RetryPolicy(), RetryPolicy)
    assert_type(cabinet_sdk.__version__, str)


def transports(world: World, person: Profile) -> tuple[list[Transport], list[AsyncTransport]]:
    """Each transport is one of its mode, and the fake's helpers give clients."""
    assert_type(connect(world, person), Cabinet)
    assert_type(connect_async(world, person), AsyncCabinet)
    assert_type(serve(world).__enter__(), str)
    clock = world.clock
    return (
        [HttpxTransport(), InProcessTransport(world.respond, sleep=clock.sleep)],
        [AsyncHttpxTransport(), AsyncInProcessTransport(world.respond, sleep=clock.sleep)],
    )


def contexts(url: str) -> tuple[AbstractContextManager[Cabinet], AbstractAsyncContextManager[AsyncCabinet]]:
    """Clients go wherever a context of the mode is wanted."""
    return Cabinet(url), AsyncCabinet(url)


def problems(cabinet: Cabinet) -> None:
    """Each problem has its facts as typed attributes, and its place in the tree."""
    try:
        cabinet.close()
    except ChargeNotFound as error:
        not_found: NotFound = error
        assert_type(error.code, str)
        assert_type(not_found.members, Mapping[str, str])
    except NothingDue as error:
        refused: StateError = error
        assert_type(refused.status, int)
    except InvalidRequest as error:
        assert_type(error.errors, tuple[FieldError, ...])
        assert_type(error.errors[0].field, str)
    except RateLimited as error:
        assert_type(error.retry_after, float | None)
    except Problem as error:
        assert_type(error.request_id, str | None)
        assert_type(error.remedy, str)


def other_errors(cabinet: Cabinet) -> None:
    """The same of what is no answer of the service; what Python has a word for is that too."""
    try:
        cabinet.close()
    except OutcomeUnknown as error:
        assert_type(error.operation_id, str)
    except InvalidValue as error:
        a_value_error: ValueError = error
        assert_type(error.rule, str)
        assert_type(error.value, str | None)
        raise a_value_error from None
    except DeadlineExceeded as error:
        a_timeout: TimeoutError = error
        raise a_timeout from None
    except NetworkError as error:
        assert_type(error.sent, bool)
    except CabinetError as error:
        assert_type(error.message, str)
        assert_type(error.operation, str | None)


def codes() -> None:
    """Each code is an instance of its class and a text."""
    assert_type(ChargeStatus.PAID, ChargeStatus)
    assert_type(PaymentMethod.SBP, PaymentMethod)
    assert_type(ChargeStatus("brand_new"), ChargeStatus)
    assert_type(ChargeStatus.parse("paid"), ChargeStatus)
    assert_type(ChargeStatus.members(), tuple[ChargeStatus, ...])
    assert_type(ChargeStatus.PAID.label, str)
    assert_type(ChargeStatus.PAID.known, bool)
    text: str = ChargeStatus.PAID
    assert_type(text.upper(), str)


def money(amount: Money) -> None:
    """Sums of money are money, whole multiples too; parts and comparisons are what they seem."""
    assert_type(amount + Money("1.50"), Money)
    assert_type(amount - amount, Money)
    assert_type(amount * 3, Money)
    assert_type(3 * amount, Money)
    assert_type(-amount, Money)
    assert_type(abs(amount), Money)
    assert_type(sum([amount, amount], Money.ZERO), Money)
    assert_type(amount < Money.ZERO, bool)
    assert_type(amount.split(3), tuple[Money, ...])
    assert_type(amount.kopecks, int)
    assert_type(amount.roubles, Decimal)
    assert_type(Money.rounded(Decimal("1.005"), Rounding.KOPECK_HALF_UP), Money)


def values(day: dt.date) -> None:
    """Identifiers and periods keep their classes."""
    assert_type(PersonInn("500100732259"), PersonInn)
    assert_type(OrganisationInn.with_check_digits("770708389"), OrganisationInn)
    inn: Inn = PersonInn("500100732259")
    identifier: Identifier = inn
    assert_type(identifier.formatted, str)
    assert_type(Period.quarter(2026, 1), Period)
    assert_type(Period.parse("2026-01-01/2026-03-31").first, dt.date)
    assert_type(day in Period.year(2026), bool)
