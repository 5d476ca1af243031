"""What a person takes along of charges and payments: documents, receipts and the columns of a list."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import attrs

from cabinet_sdk.charges.models import Charge, Payment, PaymentItem, PaymentMethod, Requisites
from cabinet_sdk.charges.operations import ExportCharges
from cabinet_sdk.types import MOSCOW, Code, Period
from reference_server.charges import store
from reference_server.papers import Column, Document, Section, Sheet, shown_day
from reference_server.profiles import Profile
from reference_server.session import Work

__all__ = ["charge_sheet", "payment_document", "receipt"]


def payment_document(work: Work, profile: Profile, payment: Payment) -> Document:
    """Return the document of a payment, with what a bank needs for each of its charges."""
    by_transfer = payment.method == PaymentMethod.BANK_TRANSFER
    sections = [_payment(payment), _payer(profile)]
    for number, (charge, item) in enumerate(_items(work, profile, payment), start=1):
        requisites = charge.requisites
        purpose = f"Платёж № {payment.number}. {requisites.purpose}" if by_transfer else requisites.purpose
        # Once nothing more is awaited, a code would only invite to pay twice; so it would beside another method.
        qr = None
        if by_transfer and not payment.status.final:
            qr = requisites.bank_qr(item.amount, purpose=purpose, payer_inn=profile.inn)
        heading = "Получатель" if len(payment.items) == 1 else f"Получатель {number} из {len(payment.items)}"
        fields = (("Сумма", item.amount.formatted), *_requisites(requisites, purpose))
        sections.append(Section(heading=heading, fields=fields, qr=qr))
    kind = "Платёжное поручение" if by_transfer else "Квитанция"
    return Document(
        title=f"{kind} № {payment.number}",
        about=f"от {_moment(payment.created_at)}",
        sections=tuple(sections),
    )


def receipt(work: Work, profile: Profile, payment: Payment) -> Document:
    """Return the receipt of a payment that is credited."""
    sections = [_payment(payment), _payer(profile)]
    for charge, item in _items(work, profile, payment):
        fields = [
            ("Сумма", item.amount.formatted),
            ("За что", charge.purpose),
            ("Получатель", f"{charge.requisites.payee}, ИНН {charge.requisites.payee_inn}"),
        ]
        if charge.uin is not None:
            fields.append(("УИН", str(charge.uin)))
        sections.append(Section(heading=charge.kind.label, fields=tuple(fields)))
    return Document(
        title=f"Чек об оплате № {payment.number}",
        about=f"от {_moment(payment.settled_at or payment.created_at)}",
        sections=tuple(sections),
    )


def charge_sheet(profile: Profile, request: ExportCharges, today: dt.date) -> Sheet[Charge]:
    """Return how a list of charges looks in a file."""
    about = f"{profile.name}, ИНН {profile.inn}. На {shown_day(today)}. {_filters(request)}"
    return Sheet(title="Начисления", about=about, name=f"Начисления {today.isoformat()}", columns=_COLUMNS)


_COLUMNS: tuple[Column[Charge], ...] = (
    Column("Дата начисления", lambda charge: charge.accrued_on, 14, printed=True),
    Column("Срок оплаты", lambda charge: charge.due_on, 13, printed=True),
    Column("Вид", lambda charge: charge.kind.label, 16, printed=True),
    Column("Назначение", lambda charge: charge.purpose, 50, printed=True),
    Column("Статус", lambda charge: charge.status.label, 15, printed=True),
    Column("Начислено, ₽", lambda charge: charge.amount, 20, printed=True, amount=True),
    Column("Оплачено, ₽", lambda charge: charge.paid, 20, printed=True, amount=True),
    Column("К оплате, ₽", lambda charge: charge.due, 20, printed=True, amount=True),
    Column("Переплата, ₽", lambda charge: charge.overpaid, 20, amount=True),
    Column("УИН", lambda charge: charge.uin and str(charge.uin), 24, printed=True),
    Column("Номер документа", lambda charge: charge.order_number, 24),
    Column("Период", lambda charge: charge.tax_period and _days(charge.tax_period), 24),
    Column("Получатель", lambda charge: charge.requisites.payee, 40),
    Column("ИНН получателя", lambda charge: str(charge.requisites.payee_inn), 14),
    Column("КПП получателя", lambda charge: str(charge.requisites.payee_kpp), 12),
    Column("Счёт получателя", lambda charge: str(charge.requisites.account), 22),
    Column("БИК", lambda charge: str(charge.requisites.bik), 11),
    Column("КБК", lambda charge: str(charge.requisites.kbk), 22),
    Column("ОКТМО", lambda charge: str(charge.requisites.oktmo), 12),
    Column("Номер в кабинете", lambda charge: str(charge.id), 24),
)


def _items(work: Work, profile: Profile, payment: Payment) -> Iterator[tuple[Charge, PaymentItem]]:
    for item in payment.items:
        charge = store.charge_by_id(work, profile.id, item.charge_id)
        if charge is not None:
            yield charge, item


def _payment(payment: Payment) -> Section:
    fields = [
        ("Сумма", payment.amount.formatted),
        ("Статус", payment.status.label),
        ("Способ", payment.method.label),
    ]
    if payment.settled_at is not None:
        fields.append(("Завершён", _moment(payment.settled_at)))
    if payment.payment_order_number is not None:
        fields.append(("Платёжное поручение банка", f"№ {payment.payment_order_number}"))
    if payment.decline_reason is not None:
        fields.append(("Причина отказа", payment.decline_reason))
    return Section(heading="Платёж", fields=tuple(fields))


def _payer(profile: Profile) -> Section:
    fields = [("Наименование", profile.name), ("ИНН", str(profile.inn))]
    if profile.kpp is not None:
        fields.append(("КПП", str(profile.kpp)))
    return Section(heading="Плательщик", fields=tuple(fields))


def _requisites(requisites: Requisites, purpose: str) -> tuple[tuple[str, str], ...]:
    return (
        ("Получатель", requisites.payee),
        ("ИНН / КПП", f"{requisites.payee_inn} / {requisites.payee_kpp}"),
        ("Казначейский счёт", str(requisites.account)),
        ("Банк", requisites.bank),
        ("БИК", str(requisites.bik)),
        ("Единый казначейский счёт", str(requisites.correspondent_account)),
        ("УИН (22)", "0" if requisites.uin is None else str(requisites.uin)),
        ("Назначение платежа (24)", purpose),
        ("Статус плательщика (101)", requisites.payer_status),
        ("КБК (104)", str(requisites.kbk)),
        ("ОКТМО (105)", str(requisites.oktmo)),
    )


def _filters(request: ExportCharges) -> str:
    """Say in words what was asked for."""
    said: list[str] = []
    for name, label in _FILTERS.items():
        value = getattr(request, name)
        if value is None:
            continue
        if isinstance(value, bool):
            shown = "да" if value else "нет"
        elif isinstance(value, Period):
            shown = _days(value)
        else:
            shown = value.label if isinstance(value, Code) else str(value)
        said.append(f"{label}: {shown}")
    return f"Отбор: {'; '.join(said)}." if said else "Без отбора."


_FILTERS = {
    "period": "период",
    "kind": "вид",
    "status": "статус",
    "overdue": "просрочено",
    "overpaid": "переплата",
    "payee_inn": "ИНН получателя",
    "uin": "УИН",
    "order_number": "номер документа",
    "order": "порядок",
}
assert set(_FILTERS) == {field.name for field in attrs.fields(ExportCharges)} - {"format"}  # noqa: S101  # none forgotten


def _days(period: Period) -> str:
    return f"{shown_day(period.first)} – {shown_day(period.last)}"


def _moment(moment: dt.datetime) -> str:
    local = moment.astimezone(MOSCOW)
    return f"{shown_day(local)} {local:%H:%M} (МСК)"
