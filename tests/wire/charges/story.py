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
    ItemToPay,
    PaymentMethod,
)
from cabinet_sdk.charges.operations import (
    GET_CHARGE,
    GET_PAYMENT,
    LIST_BANK_TRANSFERS,
    LIST_CHARGE_EVENTS,
    LIST_CHARGES,
    PAY_CHARGE,
    PAY_CHARGES,
)
from cabinet_sdk.contract import Row
from cabinet_sdk.types import Money, Period
from reference_server import World

__all__ = ["story"]


def story(world: World, cabinet: Cabinet) -> Iterator[Row]:
    """Charge a person, pay in part and in full, and look at all of it."""
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
