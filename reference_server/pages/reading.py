"""What the console shows of a world, read through the handlers that answer the contract: it can show nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar, final

import attrs
from starlette.datastructures import QueryParams

from cabinet_sdk.charges.models import (
    BankTransfer,
    Charge,
    ChargeEvent,
    ChargeId,
    Payment,
    PaymentStatus,
    Refund,
)
from cabinet_sdk.charges.operations import (
    GetCharge,
    ListBankTransfers,
    ListChargeEvents,
    ListCharges,
    ListPayments,
    ListRefunds,
)
from cabinet_sdk.errors import InvalidRequest, NotFound
from reference_server.charges import handlers, store_payments, store_refunds
from reference_server.database import cannot_serve
from reference_server.paging import Selection, Window, count, page
from reference_server.profiles import Profile
from reference_server.session import Session, Work
from reference_server.world import World

__all__ = ["Counted", "Listed", "Reader", "part_of"]

T = TypeVar("T")

_PAGE_LENGTH = 25
_LATEST = 10
_COUNTED = 10_000
"""A count beyond is not exact: it must not cost more the more there is."""
_PENDING = (PaymentStatus.AWAITING_CONFIRMATION, PaymentStatus.CREATED)


@final
@attrs.frozen
class Counted:
    """How many there are, exactly up to a bound."""

    number: int

    def __str__(self) -> str:
        return f"more than {_COUNTED}" if self.number > _COUNTED else str(self.number)


@final
@attrs.frozen
class Listed(Generic[T]):
    """
    A page of a list.

    Attributes:
        items: What is shown.
        cursor: Of the next page; None on the last.
    """

    items: list[T]
    cursor: str | None


def part_of(items: Sequence[T], asked: QueryParams) -> tuple[Sequence[T], int, bool]:
    """Return the page of a list that an address asks for, its number, and whether there are more."""
    text = asked.get("page", "1")
    number = max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 9 else 1
    return items[(number - 1) * _PAGE_LENGTH : number * _PAGE_LENGTH], number, number * _PAGE_LENGTH < len(items)


@final
class Reader:
    """
    Reads a world for people.

    Args:
        world: Which.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def charges(self, profile: Profile, request: ListCharges, cursor: str | None) -> Listed[Charge]:
        """Return a page of a profile's charges."""
        with self._session(profile) as session:
            selection = handlers.list_charges(session, request)
            return self._page(session, selection, f"charges {request}", cursor)

    def count(self, profile: Profile, request: ListCharges) -> Counted:
        """Return how many charges of a profile there are."""
        with self._session(profile) as session:
            selection = handlers.list_charges(session, request)
            return Counted(count(session.work.database, selection, _COUNTED + 1))

    def charge(self, profile: Profile, charge_id: str) -> Charge | None:
        """Return a charge of a profile."""
        try:
            with self._session(profile) as session:
                return handlers.get_charge(session, GetCharge(ChargeId(charge_id)))
        except NotFound:
            return None

    def history(self, profile: Profile, charge: Charge, cursor: str | None) -> Listed[ChargeEvent]:
        """Return a page of a charge's history."""
        with self._session(profile) as session:
            selection = handlers.list_charge_events(session, ListChargeEvents(charge.id))
            return self._page(session, selection, f"history {charge.id}", cursor)

    def pending_payments(self, profile: Profile, charge: Charge | None, cursor: str | None) -> Listed[Payment]:
        """Return a page of a profile's payments that are not final, or of a charge of it, the latest first."""
        with self._session(profile) as session:
            selection = handlers.list_payments(session, ListPayments())
            selection = attrs.evolve(selection, sides=[("status = ?", (str(status),)) for status in _PENDING])
            if charge is not None:
                # There are few pending ones to look through, and of a charge's items there is no index.
                paid = "EXISTS (SELECT 1 FROM payment_items WHERE payment_id = payments.id AND charge_id = ?)"
                selection = attrs.evolve(selection, conditions=[*selection.conditions, (paid, (charge.id,))])
            return self._page(session, selection, f"pending {charge and charge.id}", cursor)

    def refunds(self, profile: Profile, charge: Charge) -> list[Refund]:
        """Return the latest refunds of a charge."""
        with self._session(profile) as session:
            selection = handlers.list_refunds(session, ListRefunds(charge_id=charge.id))
            return self._page(session, selection, "refunds", None).items

    def transfers(self, profile: Profile) -> list[BankTransfer]:
        """Return the latest bank transfers that name a profile as the payer."""
        with self._session(profile) as session:
            selection = handlers.list_bank_transfers(session, ListBankTransfers())
            return self._page(session, selection, "transfers", None).items[:_LATEST]

    def payment(self, payment_id: str, profile: Profile | None = None) -> Payment | None:
        """Return a payment of a profile; whoever pays, if none is given."""
        with self._read() as work:
            return store_payments.payment_by_id(work, payment_id, profile_id=profile and profile.id)

    def refund(self, refund_id: str, profile: Profile | None = None) -> Refund | None:
        """Return a refund of a profile; whoever asked for it, if none is given."""
        with self._read() as work:
            return store_refunds.refund_by_id(work, refund_id, profile_id=profile and profile.id)

    @contextmanager
    def _session(self, profile: Profile) -> Generator[Session]:
        with self._read() as work:
            yield Session(work=work, profile=profile, origin="")

    @contextmanager
    def _read(self) -> Generator[Work]:
        """Open a unit of work that changes nothing: it takes no turn at a file that another program has locked."""
        world = self._world
        with world.lock:
            now = world.clock.now()
            try:
                world.step(now)
            except (sqlite3.OperationalError, OSError) as error:
                # What the clock has made due and cannot be written now waits, as for whoever reads by the contract.
                if not cannot_serve(error):
                    raise
            yield world.unit(now)

    def _page(self, session: Session, selection: Selection[T], scope: str, cursor: str | None) -> Listed[T]:
        sealed = f"console {session.profile.id} {scope}".encode()
        database, secret = session.work.database, self._world.cursor_secret
        try:
            items, further = page(database, selection, Window(_PAGE_LENGTH, cursor), secret, sealed)
        except InvalidRequest:
            # A cursor of another list, such as one from before the filters changed: the list begins anew.
            items, further = page(database, selection, Window(_PAGE_LENGTH, None), secret, sealed)
        return Listed(items, further)
