"""The types of everything about charges, in both modes. Type checkers read this file; it is never run."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, Protocol, assert_type

from cabinet_sdk import Answer, AsyncCabinet, AsyncFileStream, AsyncPages, Cabinet, FileStream, Page, Pages
from cabinet_sdk.charges import (
    AsyncCharges,
    BankTransfer,
    BankTransferStatus,
    Calculation,
    Charge,
    ChargeDocument,
    ChargeEvent,
    ChargeId,
    ChargeKind,
    ChargeOrder,
    Charges,
    ChargeStatus,
    Confirmation,
    ExportFormat,
    ItemToPay,
    Overpayment,
    Payment,
    PaymentId,
    PaymentItem,
    PaymentMethod,
    PaymentStatus,
    Refund,
    RefundId,
    RefundMethod,
    RefundStatus,
    Requisites,
)
from cabinet_sdk.charges.operations import (
    GET_CHARGE,
    GET_PAYMENT,
    GET_REFUND,
    LIST_BANK_TRANSFERS,
    LIST_CHARGE_EVENTS,
    LIST_CHARGES,
    LIST_OVERPAYMENTS,
    LIST_PAYMENTS,
    LIST_REFUNDS,
    PAY_CHARGE,
    PAY_CHARGES,
    REQUEST_REFUND,
    GetCharge,
    ListCharges,
    PayCharge,
)
from cabinet_sdk.types import Inn, Money, Oktmo, Period, Uin
from reference_server.charges.handlers import get_charge, list_charges, pay_charge
from reference_server.paging import Selection
from reference_server.routing import handles
from reference_server.session import Session

# Any: a coroutine's two parameters that nobody uses.


def sync_methods(cabinet: Cabinet, charge_id: ChargeId, payment_id: PaymentId, refund_id: RefundId) -> None:
    """Every method of the sync client returns its result."""
    charges = assert_type(cabinet.charges, Charges)
    assert_type(charges.list(), Pages[Charge])
    assert_type(
        charges.list(
            period=Period.year(2026),
            kind=ChargeKind.TAX,
            status=ChargeStatus.PAID,
            overdue=True,
            overpaid=False,
            payee_inn=Inn("7707083893"),
            uin=Uin("18810177170000000083"),
            order_number="1",
            order=ChargeOrder.NEWEST,
        ),
        Pages[Charge],
    )
    assert_type(charges.export(ExportFormat.CSV), FileStream)
    assert_type(charges.export(format=ExportFormat.PDF, period=Period.year(2026), overdue=True), FileStream)
    assert_type(charges.payment_document(payment_id), FileStream)
    assert_type(charges.receipt(payment_id), FileStream)
    assert_type(charges.list(period=None, kind=None, overdue=None), Pages[Charge])
    assert_type(charges.get(charge_id), Charge)
    assert_type(charges.get(charge_id=charge_id), Charge)
    assert_type(charges.history(charge_id), Pages[ChargeEvent])
    assert_type(charges.pay(charge_id, method=PaymentMethod.SBP), Payment)
    assert_type(charges.pay(charge_id, method=PaymentMethod.SBP, amount=Money(1)), Payment)
    assert_type(charges.pay_several((ItemToPay(charge_id),), method=PaymentMethod.SBP), Payment)
    assert_type(charges.pay_several([ItemToPay(charge_id)], method=PaymentMethod.SBP), Payment)
    assert_type(charges.payment(payment_id), Payment)
    assert_type(charges.wait_for_payment(payment_id), Payment)
    assert_type(charges.wait_for_payment(payment_id, timeout=None), Payment)
    assert_type(charges.wait_for_confirmation(payment_id, timeout=1.5), Payment)
    assert_type(charges.bank_transfers(), Pages[BankTransfer])
    assert_type(charges.bank_transfers(status=BankTransferStatus.MATCHED), Pages[BankTransfer])

    assert_type(charges.payments(), Pages[Payment])
    assert_type(
        charges.payments(status=PaymentStatus.CREATED, method=PaymentMethod.SBP, period=Period.year(2026)),
        Pages[Payment],
    )
    assert_type(charges.overpayments(), Pages[Overpayment])
    assert_type(charges.overpayments(period=Period.year(2026), kind=ChargeKind.TAX), Pages[Overpayment])
    assert_type(charges.request_refund(charge_id, method=RefundMethod.BANK_CARD), Refund)
    assert_type(charges.request_refund(charge_id, method=RefundMethod.BANK_CARD, amount=Money(1)), Refund)
    assert_type(charges.refund(refund_id), Refund)
    assert_type(charges.refunds(), Pages[Refund])
    assert_type(
        charges.refunds(
            charge_id=charge_id,
            status=RefundStatus.REFUSED,
            method=RefundMethod.COMPENSATION,
            period=Period.year(2026),
        ),
        Pages[Refund],
    )
    assert_type(charges.wait_for_refund(refund_id), Refund)
    assert_type(charges.wait_for_refund(refund_id, timeout=None), Refund)


async def async_methods(cabinet: AsyncCabinet, charge_id: ChargeId, payment_id: PaymentId, refund_id: RefundId) -> None:
    """Every method of the async client returns a coroutine of the same result, and a list its async pages."""
    charges = assert_type(cabinet.charges, AsyncCharges)
    assert_type(charges.list(), AsyncPages[Charge])
    assert_type(
        charges.list(
            period=Period.year(2026),
            kind=ChargeKind.TAX,
            status=ChargeStatus.PAID,
            overdue=True,
            overpaid=False,
            payee_inn=Inn("7707083893"),
            uin=Uin("18810177170000000083"),
            order_number="1",
            order=ChargeOrder.NEWEST,
        ),
        AsyncPages[Charge],
    )
    assert_type(await charges.export(ExportFormat.CSV), AsyncFileStream)
    assert_type(await charges.export(format=ExportFormat.PDF, period=Period.year(2026), overdue=True), AsyncFileStream)
    assert_type(await charges.payment_document(payment_id), AsyncFileStream)
    assert_type(await charges.receipt(payment_id), AsyncFileStream)
    assert_type(await charges.get(charge_id), Charge)
    assert_type(await charges.get(charge_id=charge_id), Charge)
    assert_type(charges.history(charge_id), AsyncPages[ChargeEvent])
    assert_type(await charges.pay(charge_id, method=PaymentMethod.SBP), Payment)
    assert_type(await charges.pay(charge_id, method=PaymentMethod.SBP, amount=Money(1)), Payment)
    assert_type(await charges.pay_several((ItemToPay(charge_id),), method=PaymentMethod.SBP), Payment)
    assert_type(await charges.pay_several([ItemToPay(charge_id)], method=PaymentMethod.SBP), Payment)
    assert_type(await charges.payment(payment_id), Payment)
    assert_type(await charges.wait_for_payment(payment_id), Payment)
    assert_type(await charges.wait_for_payment(payment_id, timeout=None), Payment)
    assert_type(await charges.wait_for_confirmation(payment_id, timeout=1.5), Payment)
    assert_type(charges.bank_transfers(), AsyncPages[BankTransfer])
    assert_type(charges.bank_transfers(status=BankTransferStatus.MATCHED), AsyncPages[BankTransfer])

    assert_type(charges.payments(), AsyncPages[Payment])
    assert_type(
        charges.payments(status=PaymentStatus.CREATED, method=PaymentMethod.SBP, period=Period.year(2026)),
        AsyncPages[Payment],
    )
    assert_type(charges.overpayments(), AsyncPages[Overpayment])
    assert_type(charges.overpayments(period=Period.year(2026), kind=ChargeKind.TAX), AsyncPages[Overpayment])
    assert_type(await charges.request_refund(charge_id, method=RefundMethod.BANK_CARD), Refund)
    assert_type(await charges.request_refund(charge_id, method=RefundMethod.BANK_CARD, amount=Money(1)), Refund)
    assert_type(await charges.refund(refund_id), Refund)
    assert_type(charges.refunds(), AsyncPages[Refund])
    assert_type(
        charges.refunds(
            charge_id=charge_id,
            status=RefundStatus.REFUSED,
            method=RefundMethod.COMPENSATION,
            period=Period.year(2026),
        ),
        AsyncPages[Refund],
    )
    assert_type(await charges.wait_for_refund(refund_id), Refund)
    assert_type(await charges.wait_for_refund(refund_id, timeout=None), Refund)

    # Not asserted: pyright knows an `async def`, as which the stubs of the wheel show it, by a narrower type.
    begun: Coroutine[Any, Any, Charge] = charges.get(charge_id)
    assert_type(await begun, Charge)


class _Pay(Protocol):
    def __call__(self, charge_id: ChargeId, *, method: PaymentMethod, amount: Money | None = None) -> Payment: ...


class _AsyncPay(Protocol):
    def __call__(
        self, charge_id: ChargeId, *, method: PaymentMethod, amount: Money | None = None
    ) -> Coroutine[Any, Any, Payment]: ...


class _WaitForPayment(Protocol):
    def __call__(self, payment_id: PaymentId, *, timeout: float | None = 900.0) -> Payment: ...


class _PayOfClass(Protocol):
    def __call__(
        self, area: Charges, /, charge_id: ChargeId, *, method: PaymentMethod, amount: Money | None = None
    ) -> Payment: ...


def signatures(cabinet: Cabinet, async_cabinet: AsyncCabinet) -> tuple[_Pay, _AsyncPay, _WaitForPayment, _PayOfClass]:
    """Methods are callables of exactly these parameters, also where they are handed on, and asked of the class."""
    return (
        cabinet.charges.pay,
        async_cabinet.charges.pay,
        cabinet.charges.wait_for_payment,
        Charges.pay,
    )


def sync_pages(pages: Pages[Charge]) -> None:
    """Pages are iterated over by item, or by page from a token."""
    for charge in pages:
        assert_type(charge, Charge)
    assert_type(iter(pages), Iterator[Charge])
    assert_type([charge.amount for charge in pages], list[Money])
    for page in assert_type(pages.by_page("token"), Iterator[Page[Charge]]):
        assert_type(page, Page[Charge])
        assert_type(page.items, tuple[Charge, ...])
        assert_type(page.token, str | None)
    assert_type(pages.token, str | None)


async def async_pages(pages: AsyncPages[Charge]) -> None:
    """The same with `async for`."""
    async for charge in pages:
        assert_type(charge, Charge)
    assert_type([charge.amount async for charge in pages], list[Money])
    async for page in assert_type(pages.by_page("token"), AsyncIterator[Page[Charge]]):
        assert_type(page, Page[Charge])
        assert_type(page.items, tuple[Charge, ...])
        assert_type(page.token, str | None)
    assert_type(pages.token, str | None)


def sync_answers(cabinet: Cabinet, charge_id: ChargeId, payment_id: PaymentId, refund_id: RefundId) -> None:
    """The whole answer of any row carries the row's result; of a list it is one page."""
    got = assert_type(cabinet.answer(GET_CHARGE, charge_id), Answer[Charge])
    assert_type(got.value, Charge)
    assert_type(got.status, int)
    assert_type(got.operation_id, str | None)
    assert_type(cabinet.answer(GET_CHARGE, charge_id=charge_id), Answer[Charge])
    assert_type(cabinet.answer(GET_PAYMENT, payment_id), Answer[Payment])
    assert_type(cabinet.answer(LIST_CHARGES, overdue=True), Answer[list[Charge]])
    assert_type(cabinet.answer(LIST_CHARGE_EVENTS, charge_id), Answer[list[ChargeEvent]])
    assert_type(cabinet.answer(LIST_BANK_TRANSFERS), Answer[list[BankTransfer]])
    assert_type(cabinet.answer(PAY_CHARGE, charge_id, method=PaymentMethod.SBP, amount=Money(1)), Answer[Payment])
    assert_type(cabinet.answer(PAY_CHARGES, (ItemToPay(charge_id),), method=PaymentMethod.SBP), Answer[Payment])
    assert_type(cabinet.answer(LIST_PAYMENTS, method=PaymentMethod.SBP), Answer[list[Payment]])
    assert_type(cabinet.answer(LIST_OVERPAYMENTS), Answer[list[Overpayment]])
    assert_type(cabinet.answer(LIST_REFUNDS, charge_id=charge_id), Answer[list[Refund]])
    assert_type(cabinet.answer(GET_REFUND, refund_id), Answer[Refund])
    assert_type(cabinet.answer(REQUEST_REFUND, charge_id, method=RefundMethod.COMPENSATION), Answer[Refund])


async def async_answers(cabinet: AsyncCabinet, charge_id: ChargeId) -> None:
    """The same with `await`."""
    assert_type(await cabinet.answer(GET_CHARGE, charge_id), Answer[Charge])
    assert_type(await cabinet.answer(LIST_CHARGES, overdue=True), Answer[list[Charge]])
    assert_type(await cabinet.answer(PAY_CHARGE, charge_id, method=PaymentMethod.SBP), Answer[Payment])


def what_travels(
    charge: Charge, payment: Payment, transfer: BankTransfer, event: ChargeEvent, overpayment: Overpayment
) -> None:
    """Fields have the types of the domain."""
    assert_type(charge.id, ChargeId)
    assert_type(charge.kind, ChargeKind)
    assert_type(charge.status, ChargeStatus)
    assert_type(charge.due, Money)
    assert_type(charge.due_on, dt.date)
    assert_type(charge.overdue, bool)
    assert_type(charge.uin, Uin | None)
    assert_type(charge.tax_period, Period | None)
    assert_type(charge.requisites, Requisites)
    assert_type(charge.requisites.oktmo, Oktmo)
    assert_type(charge.requisites.bank_qr(charge.amount, purpose="Штраф"), str)
    assert_type(charge.calculation, Calculation | None)
    assert_type(charge.documents, tuple[ChargeDocument, ...])
    assert_type(payment.id, PaymentId)
    assert_type(payment.status, PaymentStatus)
    assert_type(payment.status.final, bool)
    assert_type(payment.items, tuple[PaymentItem, ...])
    assert_type(payment.confirmation, Confirmation | None)
    assert_type(payment.expires_at, dt.datetime)
    assert_type(transfer.payer_inn, Inn)
    assert_type(event.payment_id, PaymentId | None)
    assert_type(event.refund_id, RefundId | None)
    assert_type(charge.refunding, Money)
    assert_type(overpayment.charge_id, ChargeId)
    assert_type(overpayment.credited_on, dt.date)
    assert_type(overpayment.refundable, Money)
    refund = assert_type(overpayment.refund, Refund | None)
    if refund is not None:
        assert_type(refund.method, RefundMethod)
        assert_type(refund.status.final, bool)
        assert_type(refund.items, tuple[PaymentItem, ...])
        assert_type(refund.advance, Money)
        assert_type(refund.settled_at, dt.datetime | None)


def handlers(session: Session, charge_id: ChargeId) -> None:
    """A handler keeps its types under its declaration."""
    assert_type(get_charge(session, GetCharge(charge_id)), Charge)
    assert_type(list_charges(session, ListCharges(overdue=True)), Selection[Charge])
    assert_type(pay_charge(session, PayCharge(charge_id, method=PaymentMethod.SBP)), Payment)

    @handles(PAY_CHARGE)
    def pay(session: Session, request: PayCharge) -> Payment:
        return pay_charge(session, request)

    @handles(LIST_CHARGES)
    def several(session: Session, request: ListCharges) -> Selection[Charge]:
        return list_charges(session, request)

    assert_type(pay(session, PayCharge(charge_id, method=PaymentMethod.SBP)), Payment)
    assert_type(several(session, ListCharges()), Selection[Charge])
