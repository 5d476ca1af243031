"""A simple model of charges: what must be true of them, in a few lines and without a database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TypeAlias, final

import attrs

from cabinet_sdk import AsyncCabinet
from cabinet_sdk.charges import (
    AmountExceedsDue,
    AmountExceedsOverpayment,
    Charge,
    ChargeId,
    ChargeNotFound,
    ChargeStatus,
    ItemToPay,
    NothingDue,
    NothingOverpaid,
    Payment,
    PaymentId,
    PaymentMethod,
    PaymentStatus,
    Refund,
    RefundId,
    RefundMethod,
    RefundStatus,
)
from cabinet_sdk.errors import Problem
from cabinet_sdk.types import MOSCOW, Money
from tests.faults.history import Told

__all__ = [
    "Books",
    "GetCharge",
    "GetPayment",
    "ListCharges",
    "ListPayments",
    "ListRefunds",
    "Owed",
    "Pay",
    "PaySeveral",
    "RequestRefund",
    "seen_charge",
    "seen_payment",
    "seen_refund",
]

_OVER = frozenset({PaymentStatus.SUCCEEDED, PaymentStatus.DECLINED, PaymentStatus.EXPIRED})


@final
@attrs.define(kw_only=True)
class Owed:
    """A charge."""

    owner: str
    amount: int
    paid: int = 0


@final
@attrs.define(kw_only=True)
class Paying:
    """A payment: what of it goes where, and what has come already."""

    owner: str
    method: PaymentMethod
    items: list[tuple[ChargeId, int]]
    come: list[int]
    status: PaymentStatus
    number: str
    next_at: dt.datetime | None

    def open(self) -> Iterator[tuple[ChargeId, int]]:
        """Go through what has not come yet."""
        return ((charge, amount - come) for (charge, amount), come in zip(self.items, self.come, strict=True))


@final
@attrs.define(kw_only=True)
class Returning:
    """A refund."""

    owner: str
    charge: ChargeId
    method: RefundMethod
    amount: int
    status: RefundStatus
    awaits_card: bool
    next_at: dt.datetime | None


ChargeView: TypeAlias = tuple[ChargeId, ChargeStatus, int, int, int, int, int, int]
PaymentView: TypeAlias = tuple[PaymentId, PaymentStatus, PaymentMethod, int, tuple[tuple[ChargeId, int], ...]]
RefundView: TypeAlias = tuple[RefundId, RefundStatus, RefundMethod, int, ChargeId]


@final
@attrs.define
class Books:
    """All charges, payments and refunds of a world, and the clock that acts on them."""

    now: dt.datetime
    charges: dict[ChargeId, Owed] = attrs.field(factory=dict[ChargeId, Owed])
    payments: dict[PaymentId, Paying] = attrs.field(factory=dict[PaymentId, Paying])
    refunds: dict[RefundId, Returning] = attrs.field(factory=dict[RefundId, Returning])

    # What can be seen.

    def charge(self, charge_id: ChargeId) -> ChargeView:
        """Return what a charge must look like."""
        owed = self.charges[charge_id]
        pending = sum(
            amount
            for payment in self.payments.values()
            if payment.status not in _OVER
            for charge, amount in payment.open()
            if charge == charge_id
        )
        held = sum(
            each.amount
            for each in self.refunds.values()
            if each.charge == charge_id and each.status in {RefundStatus.REQUESTED, RefundStatus.IN_PROGRESS}
        )
        if owed.paid >= owed.amount:
            status = ChargeStatus.PAID
        else:
            status = ChargeStatus.PARTLY_PAID if owed.paid else ChargeStatus.NOT_PAID
        due, overpaid = max(0, owed.amount - owed.paid - pending), max(0, owed.paid - owed.amount)
        return charge_id, status, owed.amount, owed.paid, pending, due, overpaid, held

    def due(self, charge_id: ChargeId) -> int:
        """Return what can be paid now."""
        return self.charge(charge_id)[5]

    def refundable(self, charge_id: ChargeId) -> int:
        """Return what can be given back now."""
        view = self.charge(charge_id)
        return view[6] - view[7]

    def payment(self, payment_id: PaymentId) -> PaymentView:
        """Return what a payment must look like."""
        paying = self.payments[payment_id]
        amount = sum(amount for _, amount in paying.items)
        return payment_id, paying.status, paying.method, amount, tuple(paying.items)

    def refund(self, refund_id: RefundId) -> RefundView:
        """Return what a refund must look like."""
        each = self.refunds[refund_id]
        return refund_id, each.status, each.method, each.amount, each.charge

    # What the authorities do.

    def credit(self, charge_id: ChargeId, kopecks: int) -> None:
        """Money comes for a charge."""
        self.charges[charge_id].paid += kopecks

    def succeed(self, payment_id: PaymentId) -> None:
        """A payment is credited."""
        paying = self.payments[payment_id]
        for charge, amount in paying.open():
            self.credit(charge, amount)
        self.end(payment_id, PaymentStatus.SUCCEEDED)

    def end(self, payment_id: PaymentId, status: PaymentStatus) -> None:
        """A payment is over."""
        paying = self.payments[payment_id]
        paying.status, paying.next_at = status, None

    def arrive(self, payment_id: PaymentId, kopecks: int) -> None:
        """A bank transfer brings money for a payment: item by item, and too much of it for the last one."""
        paying = self.payments[payment_id]
        last = len(paying.items) - 1
        for position, (charge, amount) in enumerate(list(paying.open())):
            share = kopecks if position == last else min(kopecks, amount)
            paying.come[position] += min(share, amount)
            self.credit(charge, share)
            kopecks -= share
        if not any(amount for _, amount in paying.open()):
            self.end(payment_id, PaymentStatus.SUCCEEDED)

    def refuse(self, refund_id: RefundId) -> None:
        """A refund is refused."""
        self.refunds[refund_id].status, self.refunds[refund_id].next_at = RefundStatus.REFUSED, None

    def advance(self, by: dt.timedelta) -> None:
        """Let time pass, and everything happen at its moment."""
        until = self.now + by
        while True:
            due: list[tuple[dt.datetime, str]] = [
                (each.next_at, thing)
                for things in (self.payments, self.refunds)
                for thing, each in things.items()
                if each.next_at is not None and each.next_at <= until
            ]
            if not due:
                break
            self.now, thing = min(due)
            if thing in self.payments:
                self._step_payment(PaymentId(thing))
            else:
                self._step_refund(RefundId(thing))
        self.now = until

    def _step_payment(self, payment_id: PaymentId) -> None:
        paying = self.payments[payment_id]
        if paying.method == PaymentMethod.BANK_TRANSFER:
            self.end(payment_id, PaymentStatus.EXPIRED)
        elif paying.status == PaymentStatus.CREATED:
            paying.status, paying.next_at = PaymentStatus.AWAITING_CONFIRMATION, self.now + dt.timedelta(seconds=2)
        else:
            self.succeed(payment_id)

    def _step_refund(self, refund_id: RefundId) -> None:
        each = self.refunds[refund_id]
        if each.awaits_card:
            each.awaits_card, each.next_at = False, self.next_opening()
        elif each.status == RefundStatus.REQUESTED:
            each.status, each.next_at = RefundStatus.IN_PROGRESS, self.next_opening()
        else:
            each.status, each.next_at = RefundStatus.COMPLETED, None
            self.charges[each.charge].paid -= each.amount

    def next_opening(self) -> dt.datetime:
        """Return when the authorities work next."""
        opening = self.now.astimezone(MOSCOW).replace(hour=9, minute=0, second=0, microsecond=0)
        opening += dt.timedelta(days=1)
        while opening.weekday() in {5, 6}:
            opening += dt.timedelta(days=1)
        return opening.astimezone(dt.UTC)

    # What clients do.

    def pay(self, who: str, items: list[tuple[ChargeId, int | None]]) -> list[tuple[ChargeId, int]] | type[Problem]:
        """Return what a payment will be of, or why there is none."""
        found: list[tuple[ChargeId, int]] = []
        for charge_id, asked in items:
            if self.charges[charge_id].owner != who:
                return ChargeNotFound
            due = self.due(charge_id)
            if due == 0:
                return NothingDue
            if asked is not None and asked > due:
                return AmountExceedsDue
            found.append((charge_id, due if asked is None else asked))
        return found

    def start_payment(self, who: str, payment: Payment, items: list[tuple[ChargeId, int]]) -> None:
        """Enter a payment that was made just now."""
        by_transfer = payment.method == PaymentMethod.BANK_TRANSFER
        self.payments[payment.id] = Paying(
            owner=who,
            method=payment.method,
            items=items,
            come=[0] * len(items),
            status=PaymentStatus.AWAITING_CONFIRMATION if by_transfer else PaymentStatus.CREATED,
            number=payment.number,
            next_at=self.now + (dt.timedelta(days=5) if by_transfer else dt.timedelta(seconds=1)),
        )


# What clients were told, in the model's terms.


def seen_charge(charge: Charge) -> ChargeView:
    """Return what a charge looks like."""
    amounts = (charge.amount, charge.paid, charge.pending, charge.due, charge.overpaid, charge.refunding)
    amount, paid, pending, due, overpaid, held = (each.kopecks for each in amounts)
    return charge.id, charge.status, amount, paid, pending, due, overpaid, held


def seen_payment(payment: Payment) -> PaymentView:
    """Return what a payment looks like."""
    items = tuple((item.charge_id, item.amount.kopecks) for item in payment.items)
    return payment.id, payment.status, payment.method, payment.amount.kopecks, items


def seen_refund(refund: Refund) -> RefundView:
    """Return what a refund looks like."""
    return refund.id, refund.status, refund.method, refund.amount.kopecks, refund.charge_id


def _refused_as(told: Told, why: type[Problem]) -> bool:
    refusal = told.refusal
    if refusal is None or refusal.code != Problem.code:
        return type(refusal) is why
    # Where the document was cut on its way, only the status is left.
    return refusal.status == why.status


@final
@attrs.frozen
class GetCharge:
    """Read a charge, one's own or not."""

    who: str
    charge_id: ChargeId

    async def perform(self, client: AsyncCabinet) -> object:
        """Call the operation."""
        return await client.charges.get(self.charge_id)

    def follow(self, books: Books, told: Told) -> bool:
        """Compare all that is seen."""
        if books.charges[self.charge_id].owner != self.who:
            return _refused_as(told, ChargeNotFound)
        return isinstance(told.value, Charge) and seen_charge(told.value) == books.charge(self.charge_id)


@final
@attrs.frozen
class GetPayment:
    """Read a payment."""

    payment_id: PaymentId

    async def perform(self, client: AsyncCabinet) -> object:
        """Call the operation."""
        return await client.charges.payment(self.payment_id)

    def follow(self, books: Books, told: Told) -> bool:
        """Compare all that is seen."""
        return isinstance(told.value, Payment) and seen_payment(told.value) == books.payment(self.payment_id)


@final
@attrs.frozen
class ListCharges:
    """List the charges in pages of two; they are not a snapshot, so that only which they are is compared."""

    who: str

    async def perform(self, client: AsyncCabinet) -> object:
        """Call the operation."""
        return sorted([charge.id async for charge in client.with_options(page_size=2).charges.list()])

    def follow(self, books: Books, told: Told) -> bool:
        """Compare which there are."""
        own = sorted(each for each, owed in books.charges.items() if owed.owner == self.who)
        return told.value == own


@final
@attrs.frozen
class ListPayments:
    """List the payments on one page, which is a snapshot."""

    who: str

    async def perform(self, client: AsyncCabinet) -> object:
        """Call the operation."""
        return sorted([seen_payment(each) async for each in client.with_options(page_size=1000).charges.payments()])

    def follow(self, books: Books, told: Told) -> bool:
        """Compare all that is seen: what one has made is there, and nothing goes back in time."""
        own = sorted(books.payment(each) for each, paying in books.payments.items() if paying.owner == self.who)
        return told.value == own


@final
@attrs.frozen
class ListRefunds:
    """List the refunds on one page, which is a snapshot."""

    who: str

    async def perform(self, client: AsyncCabinet) -> object:
        """Call the operation."""
        return sorted([seen_refund(each) async for each in client.with_options(page_size=1000).charges.refunds()])

    def follow(self, books: Books, told: Told) -> bool:
        """Compare all that is seen."""
        own = sorted(books.refund(each) for each, refund in books.refunds.items() if refund.owner == self.who)
        return told.value == own


@final
@attrs.frozen
class Pay:
    """Pay a charge, one's own or not."""

    who: str
    charge_id: ChargeId
    method: PaymentMethod
    kopecks: int | None

    async def perform(self, client: AsyncCabinet) -> object:
        """Call the operation."""
        amount = None if self.kopecks is None else Money.from_kopecks(self.kopecks)
        return await client.charges.pay(self.charge_id, method=self.method, amount=amount)

    def follow(self, books: Books, told: Told) -> bool:
        """Make the payment, or refuse it for the same reason."""
        return _follow_payment(books, self.who, [(self.charge_id, self.kopecks)], told)


@final
@attrs.frozen
class PaySeveral:
    """Pay several charges at once: all or none."""

    who: str
    charges: tuple[ChargeId, ...]
    method: PaymentMethod

    async def perform(self, client: AsyncCabinet) -> object:
        """Call the operation."""
        return await client.charges.pay_several(tuple(map(ItemToPay, self.charges)), method=self.method)

    def follow(self, books: Books, told: Told) -> bool:
        """Make the payment, or refuse it for the same reason."""
        return _follow_payment(books, self.who, [(each, None) for each in self.charges], told)


def _follow_payment(books: Books, who: str, asked: list[tuple[ChargeId, int | None]], told: Told) -> bool:
    items = books.pay(who, asked)
    if isinstance(items, type):
        return _refused_as(told, items)
    if not isinstance(told.value, Payment) or told.value.id in books.payments:
        return False
    books.start_payment(who, told.value, items)
    return seen_payment(told.value) == books.payment(told.value.id)


@final
@attrs.frozen
class RequestRefund:
    """Ask for what is overpaid."""

    who: str
    charge_id: ChargeId
    method: RefundMethod
    kopecks: int | None

    async def perform(self, client: AsyncCabinet) -> object:
        """Call the operation."""
        amount = None if self.kopecks is None else Money.from_kopecks(self.kopecks)
        return await client.charges.request_refund(self.charge_id, method=self.method, amount=amount)

    def follow(self, books: Books, told: Told) -> bool:
        """Hold the amount, or refuse for the same reason."""
        refundable = books.refundable(self.charge_id)
        why: type[Problem] | None = None
        if books.charges[self.charge_id].owner != self.who:
            why = ChargeNotFound
        elif refundable == 0:
            why = NothingOverpaid
        elif self.kopecks is not None and self.kopecks > refundable:
            why = AmountExceedsOverpayment
        if why is not None:
            return _refused_as(told, why)
        if not isinstance(told.value, Refund) or told.value.id in books.refunds:
            return False
        to_card = self.method == RefundMethod.BANK_CARD
        books.refunds[told.value.id] = Returning(
            owner=self.who,
            charge=self.charge_id,
            method=self.method,
            amount=refundable if self.kopecks is None else self.kopecks,
            status=RefundStatus.REQUESTED,
            awaits_card=to_card,
            next_at=books.now + dt.timedelta(seconds=2) if to_card else books.next_opening(),
        )
        return seen_refund(told.value) == books.refund(told.value.id)
