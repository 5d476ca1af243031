"""One call of every row about charges, each with as much in request and answer as it can have."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from cabinet_sdk import Cabinet
from cabinet_sdk.charges import (
    BankTransferStatus,
    Calculation,
    ChargeDocument,
    ChargeKind,
    ChargeOrder,
    ChargeStatus,
    ExportFormat,
    ItemToPay,
    PaymentMethod,
    PaymentStatus,
    RefundMethod,
    RefundStatus,
)
from cabinet_sdk.charges.operations import (
    EXPORT_CHARGES,
    GET_CHARGE,
    GET_PAYMENT,
    GET_PAYMENT_DOCUMENT,
    GET_RECEIPT,
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
)
from cabinet_sdk.contract import Row
from cabinet_sdk.types import Money, Period
from reference_server import World

__all__ = ["story"]


def story(world: World, cabinet: Cabinet) -> Iterator[Row]:
    """Charge a person, pay in part, in full and too much, get some of it back, and look at all of it."""
    person = world.profiles.all()[0]
    fines = [
        world.charges.add(
            person,
            Money("1500.00"),
            accrued_on=dt.date(2026, 7, day),
            due_on=dt.date(2026, 9, day),
            order_number="18810077260000012345",
            documents=(
                ChargeDocument(
                    title="Постановление по делу", url="https://documents.example/orders/18810077260000012345"
                ),
            ),
        )
        for day in (10, 11)
    ]
    tax = world.charges.add(
        person,
        Money("3960.00"),
        kind=ChargeKind.TAX,
        accrued_on=dt.date(2026, 10, 1),
        tax_period=Period.year(2025),
        calculation=Calculation(base=Money("113142.86"), rate="3,5 %", explanation="113 142,86 ₽ × 3,5 %"),
    )
    for fine in fines:
        world.charges.credit(person, fine, Money("500.00"), payment_order_number="77")

    filtered = cabinet.with_options(page_size=1).charges.list(
        period=Period.quarter(2026, 3),
        kind=ChargeKind.FINE,
        status=ChargeStatus.PARTLY_PAID,
        overdue=True,
        overpaid=False,
        payee_inn=fines[0].requisites.payee_inn,
        order_number="18810077260000012345",
        order=ChargeOrder.OLDEST,
    )
    next(filtered.by_page())
    yield LIST_CHARGES

    paid = cabinet.charges.pay(fines[0].id, method=PaymentMethod.SBP, amount=Money("250.50"))
    yield PAY_CHARGE

    cabinet.charges.wait_for_confirmation(paid.id)
    yield GET_PAYMENT
    world.charges.confirm(paid.id)

    cabinet.charges.payment_document(paid.id)
    yield GET_PAYMENT_DOCUMENT

    cabinet.charges.receipt(paid.id)
    yield GET_RECEIPT

    cabinet.charges.export(
        ExportFormat.CSV,
        period=Period.quarter(2026, 3),
        kind=ChargeKind.FINE,
        status=ChargeStatus.PARTLY_PAID,
        overdue=True,
        overpaid=False,
        payee_inn=fines[0].requisites.payee_inn,
        order_number="18810077260000012345",
        order=ChargeOrder.OLDEST,
    )
    yield EXPORT_CHARGES

    pending = cabinet.charges.pay_several(
        (ItemToPay(fines[1].id), ItemToPay(tax.id, Money("960.00"))),
        method=PaymentMethod.BANK_CARD,
    )
    yield PAY_CHARGES
    world.charges.decline(pending.id)

    cabinet.charges.get(tax.id)
    yield GET_CHARGE

    list(cabinet.charges.history(fines[0].id))
    yield LIST_CHARGE_EVENTS

    world.charges.receive_transfer(
        person.inn,
        Money("100.00"),
        purpose="Оплата по счёту",
        payment_order_number="5",
    )
    list(cabinet.charges.bank_transfers(status=BankTransferStatus.UNMATCHED))
    yield LIST_BANK_TRANSFERS

    list(
        cabinet.charges.payments(
            status=PaymentStatus.DECLINED, method=PaymentMethod.BANK_CARD, period=Period.month(2026, 11)
        )
    )
    yield LIST_PAYMENTS

    world.charges.credit(person, fines[0], Money("1000.00"), payment_order_number="78")
    part = cabinet.charges.request_refund(fines[0].id, method=RefundMethod.BANK_CARD, amount=Money("100.00"))
    yield REQUEST_REFUND

    list(cabinet.charges.overpayments(period=Period.month(2026, 11), kind=ChargeKind.FINE))
    yield LIST_OVERPAYMENTS

    world.charges.refuse_refund(part.id)
    world.charges.add(person, Money("20.25"), accrued_on=dt.date(2026, 10, 2))
    offset = cabinet.charges.request_refund(fines[0].id, method=RefundMethod.FUTURE_PAYMENTS)
    world.charges.complete_refund(offset.id)
    cabinet.charges.refund(offset.id)
    yield GET_REFUND

    list(
        cabinet.charges.refunds(
            charge_id=fines[0].id,
            status=RefundStatus.REFUSED,
            method=RefundMethod.BANK_CARD,
            period=Period.month(2026, 11),
        )
    )
    yield LIST_REFUNDS
