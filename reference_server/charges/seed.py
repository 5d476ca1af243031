"""Made-up charges of a profile: every kind, in every state."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Sequence
from decimal import Decimal
from itertools import product

import attrs

from cabinet_sdk.charges.models import Calculation, Charge, ChargeDocument, ChargeKind, RefundMethod
from cabinet_sdk.types import Money, Period, Rounding, moscow_date
from reference_server.charges.control import ChargesControl
from reference_server.profiles import Profile, ProfileKind

__all__ = ["seed"]


@attrs.frozen
class _Draft:
    """A charge to make: of what kind, for what, and how its amount comes about."""

    kind: ChargeKind
    purpose: str
    rate: str | None = None


_TAXES = {
    ProfileKind.PERSON: (
        _Draft(ChargeKind.TAX, "Налог на имущество физических лиц", "0,1 %"),
        _Draft(ChargeKind.TAX, "Транспортный налог", "35 ₽ за л. с."),
        _Draft(ChargeKind.TAX, "Земельный налог", "0,3 %"),
        _Draft(ChargeKind.PENALTY, "Пени по транспортному налогу"),
    ),
    ProfileKind.ENTREPRENEUR: (
        _Draft(ChargeKind.TAX, "Налог при УСН, авансовый платёж", "6 %"),
        _Draft(ChargeKind.CONTRIBUTION, "Страховые взносы в фиксированном размере"),
        _Draft(ChargeKind.CONTRIBUTION, "Страховые взносы с дохода свыше 300 000 ₽", "1 %"),
        _Draft(ChargeKind.PENALTY, "Пени по страховым взносам"),
    ),
    ProfileKind.ORGANISATION: (
        _Draft(ChargeKind.TAX, "Налог на добавленную стоимость", "22 %"),
        _Draft(ChargeKind.TAX, "Налог на прибыль организаций", "25 %"),
        _Draft(ChargeKind.CONTRIBUTION, "Страховые взносы за работников", "30 %"),
        _Draft(ChargeKind.PENALTY, "Пени по налогу на прибыль"),
    ),
}

_DUTIES_AND_FINES = (
    _Draft(ChargeKind.DUTY, "Государственная пошлина за регистрацию прав"),
    _Draft(ChargeKind.FINE, "Штраф за нарушение правил дорожного движения"),
    _Draft(ChargeKind.FINE, "Штраф за непредставление сведений в срок"),
    _Draft(ChargeKind.DUTY, "Государственная пошлина за выдачу документа"),
)

# What became of a charge: the share that was paid in tenths, and the days since its term (below zero: to come).
_STATES: Sequence[tuple[int, int]] = ((0, -40), (10, 20), (4, -15), (0, 25), (3, 60), (13, 90))


def seed(control: ChargesControl, profile: Profile, chance: random.Random, now: dt.datetime) -> None:
    """Charge a profile with every kind in every state: not paid, partly paid, paid, overdue, overpaid, refunded."""
    today = moscow_date(now)
    made = product((*_TAXES[profile.kind], *_DUTIES_AND_FINES), _STATES)
    for number, (draft, (tenths, days_late)) in enumerate(made):
        due_on = today - dt.timedelta(days=days_late + chance.randrange(5))
        charge = _add(control, profile, chance, draft, due_on, with_order=draft.kind == ChargeKind.FINE)
        _pay(control, profile, charge, tenths, number)
        if tenths > 10:
            _refund(control, profile, charge, number // len(_STATES))


def _add(
    control: ChargesControl,
    profile: Profile,
    chance: random.Random,
    draft: _Draft,
    due_on: dt.date,
    *,
    with_order: bool,
) -> Charge:
    accrued_on = due_on - dt.timedelta(days=60 + chance.randrange(20))
    base = Money(chance.randrange(20_000, 900_000))
    calculation = None
    if draft.rate is not None and draft.rate.endswith(" %"):
        percent = Decimal(draft.rate.removesuffix(" %").replace(",", "."))
        amount = Money.rounded(base.roubles * percent / 100, Rounding.ROUBLE_HALF_UP)
        calculation = Calculation(base=base, rate=draft.rate, explanation=f"{base.formatted} × {draft.rate}")
    else:
        amount = Money.from_kopecks(chance.randrange(500_00, 60_000_00))
    order_number = f"{chance.randrange(10**9, 10**10)}" if with_order else None
    documents: tuple[ChargeDocument, ...] = ()
    if order_number is not None:
        documents = (
            ChargeDocument(
                title=f"Постановление № {order_number} от {accrued_on:%d.%m.%Y}",
                url=f"https://documents.example/orders/{order_number}",
            ),
        )
    quarter = Period.quarter(accrued_on.year, (accrued_on.month + 2) // 3)
    return control.add(
        profile,
        amount,
        kind=draft.kind,
        accrued_on=accrued_on,
        due_on=due_on,
        purpose=draft.purpose,
        order_number=order_number,
        tax_period=quarter if draft.kind in {ChargeKind.TAX, ChargeKind.CONTRIBUTION} else None,
        calculation=calculation,
        documents=documents,
    )


def _pay(control: ChargesControl, profile: Profile, charge: Charge, tenths: int, number: int) -> None:
    if tenths == 0:
        return
    amount = Money.from_kopecks(charge.amount.kopecks * tenths // 10)
    control.credit(profile, charge, amount, payment_order_number=str(1000 + number))


def _refund(control: ChargesControl, profile: Profile, charge: Charge, draft: int) -> None:
    """Bring the overpayment of each draft to another state: nothing asked, requested, in progress, refused, done."""
    if draft == 0:
        return
    method = (RefundMethod.FUTURE_PAYMENTS, RefundMethod.BANK_CARD, RefundMethod.COMPENSATION)[draft % 3]
    part = Money.from_kopecks(charge.amount.kopecks // 10) if draft == 5 else None
    refund = control.request_refund(profile, charge, method, part)
    match draft:
        case 2:
            control.order_refund(refund.id)
        case 3:
            control.refuse_refund(refund.id)
        case 4 | 5 | 6:
            control.complete_refund(refund.id)
        case _:
            pass
