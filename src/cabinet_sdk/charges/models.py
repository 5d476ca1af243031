"""What travels about charges and payments."""

from __future__ import annotations

import datetime as dt
import unicodedata
from typing import NewType, final

import attrs

from cabinet_sdk.errors import InvalidValue
from cabinet_sdk.types import (
    AccountNumber,
    Bik,
    Code,
    Inn,
    Kbk,
    Kpp,
    Money,
    Oktmo,
    OrganisationInn,
    Period,
    TreasuryAccount,
    Uin,
    code,
)

__all__ = [
    "BankTransfer",
    "BankTransferId",
    "BankTransferStatus",
    "Calculation",
    "Charge",
    "ChargeDocument",
    "ChargeEvent",
    "ChargeEventId",
    "ChargeEventKind",
    "ChargeId",
    "ChargeKind",
    "ChargeOrder",
    "ChargeStatus",
    "Confirmation",
    "ExportFormat",
    "Overpayment",
    "Payment",
    "PaymentId",
    "PaymentItem",
    "PaymentMethod",
    "PaymentStatus",
    "Refund",
    "RefundId",
    "RefundMethod",
    "RefundStatus",
    "Requisites",
]

ChargeId = NewType("ChargeId", str)
"""Id of a charge."""

PaymentId = NewType("PaymentId", str)
"""Id of a payment."""

BankTransferId = NewType("BankTransferId", str)
"""Id of a bank transfer that the treasury received."""

ChargeEventId = NewType("ChargeEventId", str)
"""Id of an entry in a charge's history."""

RefundId = NewType("RefundId", str)
"""Id of a request to refund an overpayment."""


@final
class ChargeKind(Code):
    """What a charge is for. An open set."""

    TAX = code("Налог")
    CONTRIBUTION = code("Страховой взнос")
    DUTY = code("Государственная пошлина")
    FINE = code("Штраф")
    PENALTY = code("Пени")
    OTHER = code("Иной платёж")


@final
class ChargeStatus(Code):
    """How much of a charge is credited; it follows from the amount and the payments. An open set."""

    NOT_PAID = code("Не оплачен")
    PARTLY_PAID = code("Частично оплачен")
    PAID = code("Оплачен")


@final
class ChargeOrder(Code):
    """In what order charges are listed; all by what never changes, so that nothing is skipped. An open set."""

    NEWEST = code("Сначала новые")
    OLDEST = code("Сначала старые")
    DUE_FIRST = code("Сначала с ближайшим сроком")
    DUE_LAST = code("Сначала с дальним сроком")
    LARGEST = code("Сначала крупные")
    SMALLEST = code("Сначала мелкие")


@final
class ExportFormat(Code):
    """
    What kind of file a list is exported to. An open set.

    CSV is what a Russian Excel opens by itself: UTF-8 with a byte order mark, semicolons, decimal commas. In CSV and
    XLSX a text that a spreadsheet could take for a formula has a single quote before it (OWASP ASVS 5.0, 1.2.10).
    """

    CSV = code("CSV")
    XLSX = code("Excel (XLSX)")
    PDF = code("PDF")


@final
class PaymentMethod(Code):
    """How a payment is made. An open set."""

    BANK_CARD = code("Банковская карта")
    LINKED_CARD = code("Привязанная карта")
    LINKED_ACCOUNT = code("Привязанный счёт")
    E_WALLET = code("Электронный кошелёк")
    ONLINE_BANKING = code("Онлайн-банкинг")
    SBP = code("СБП")
    ONLINE_CASH_REGISTER = code("Онлайн-касса")
    BANK_TRANSFER = code("Банковский перевод")


@final
class PaymentStatus(Code):
    """Where a payment stands; the last three are final. An open set."""

    CREATED = code("Создан")
    AWAITING_CONFIRMATION = code("Ожидает подтверждения")
    SUCCEEDED = code("Зачислен")
    DECLINED = code("Отклонён")
    EXPIRED = code("Истёк срок подтверждения")

    @property
    def final(self) -> bool:
        """Whether nothing more will come."""
        return self in {PaymentStatus.SUCCEEDED, PaymentStatus.DECLINED, PaymentStatus.EXPIRED}


@final
class BankTransferStatus(Code):
    """Whether a bank transfer found its charge. An open set."""

    MATCHED = code("Зачислен")
    UNMATCHED = code("Невыясненный платёж")


@final
class ChargeEventKind(Code):
    """What happened to a charge. An open set."""

    ACCRUED = code("Начислено")
    PAYMENT_CREATED = code("Платёж создан")
    PAYMENT_SUCCEEDED = code("Платёж зачислен")
    PAYMENT_DECLINED = code("Платёж отклонён")
    PAYMENT_EXPIRED = code("Истёк срок подтверждения платежа")
    TRANSFER_CREDITED = code("Зачислен банковский перевод")
    OFFSET_CREDITED = code("Зачтена переплата по другому начислению")
    REFUND_REQUESTED = code("Подано заявление о возврате")
    REFUND_ORDERED = code("Поручение на возврат передано в казначейство")
    REFUND_COMPLETED = code("Переплата возвращена")
    REFUND_REFUSED = code("В возврате отказано")
    OVERPAYMENT_OFFSET = code("Переплата зачтена в счёт другого начисления")
    ADVANCE_KEPT = code("Переплата оставлена авансом")
    ADVANCE_APPLIED = code("Аванс зачтён в счёт нового начисления")


@final
class RefundMethod(Code):
    """
    How an overpayment comes back. An open set.

    A bank card is chosen by its holder on a page; no card number passes through the SDK. A linked card is the one that
    the profile has linked. As compensation, the payee pays the money out on its own, to the account that it knows. What
    goes to future payments pays other charges and is no money back.
    """

    BANK_CARD = code("На банковскую карту")
    LINKED_CARD = code("На привязанную карту")
    COMPENSATION = code("В виде компенсации")
    FUTURE_PAYMENTS = code("В счёт будущих платежей")


@final
class RefundStatus(Code):
    """Where a refund stands; the last two are final. An open set."""

    REQUESTED = code("Заявление подано")
    IN_PROGRESS = code("Передан в казначейство")
    COMPLETED = code("Исполнен")
    REFUSED = code("Отказано")

    @property
    def final(self) -> bool:
        """Whether nothing more will come."""
        return self in {RefundStatus.COMPLETED, RefundStatus.REFUSED}


def _fitting(text: str, most: int) -> str:
    """Return a text as the code of a bank takes it: its separator, controls and superfluous spaces gone, then cut."""
    kept = (each for each in text.replace("|", "/") if each.isspace() or unicodedata.category(each) not in _UNSEEN)
    return " ".join("".join(kept).split())[:most].rstrip()


# Control characters, format characters such as changes of direction, and halves of characters.
_UNSEEN = frozenset({"Cc", "Cf", "Cs"})


@final
@attrs.frozen(kw_only=True)
class Requisites:
    """
    All that a payment order at a bank needs (Bank of Russia regulation 762-P, Ministry of Finance order 107n).

    Attributes:
        payee: Name of the payee.
        payee_inn: ИНН of the payee.
        payee_kpp: КПП of the payee.
        account: Treasury account of the payee; it has no check key.
        bank: Name of the payee's bank.
        bik: БИК of the payee's bank.
        correspondent_account: Single treasury account (ЕКС) of the payee's bank.
        kbk: Budget classification code, field 104.
        oktmo: Municipality code, field 105; ``0`` for the single tax payment.
        uin: Unique accrual id, field 22; None is written as ``0``.
        payer_status: Field 101, two digits.
        purpose: Purpose of the payment, field 24.
    """

    payee: str
    payee_inn: OrganisationInn
    payee_kpp: Kpp
    account: TreasuryAccount
    bank: str
    bik: Bik
    correspondent_account: AccountNumber
    kbk: Kbk
    oktmo: Oktmo
    uin: Uin | None = None
    payer_status: str
    purpose: str

    def bank_qr(self, amount: Money, *, purpose: str | None = None, payer_inn: Inn | None = None) -> str:
        """
        Return the text of the QR code that bank apps read (GOST R 56042-2014), in UTF-8.

        What is longer than the standard allows is cut: the payee's name at 160 characters, the bank's at 45, the
        purpose at 210. A ``|`` in them becomes a ``/``; control and direction characters are dropped.

        Args:
            amount: What is to be paid.
            purpose: Instead of the requisites' own, such as one that begins with a payment's number.
            payer_inn: ИНН of whoever owes it. Where there is no УИН, nothing else tells whose the money is.

        Raises:
            InvalidValue: The amount is not above zero.
        """
        if amount <= Money.ZERO:
            raise InvalidValue("Money", "positive", "an amount above zero", str(amount))
        fields = {
            "Name": _fitting(self.payee, 160),
            "PersonalAcc": self.account,
            "BankName": _fitting(self.bank, 45),
            "BIC": self.bik,
            "CorrespAcc": self.correspondent_account,
            "Sum": amount.kopecks,
            "Purpose": _fitting(purpose or self.purpose, 210),
            "PayeeINN": self.payee_inn,
            "PayerINN": payer_inn,
            "KPP": self.payee_kpp,
            "DrawerStatus": self.payer_status,
            "CBC": self.kbk,
            "OKTMO": self.oktmo,
            "UIN": self.uin,
        }
        # The standard lets the writer choose another separator, but not every app looks at which one it is.
        parts = [f"{name}={value}" for name, value in fields.items() if value]
        return "|".join(("ST00012", *parts))


@final
@attrs.frozen(kw_only=True)
class Calculation:
    """
    How the amount came about.

    Attributes:
        base: What the rate applies to.
        rate: As the law names it, such as ``6 %``.
        explanation: For a person, in Russian.
    """

    base: Money
    rate: str
    explanation: str


@final
@attrs.frozen(kw_only=True)
class ChargeDocument:
    """
    A document that a charge rests on.

    Attributes:
        title: For a person, in Russian.
        url: Where it can be read.
    """

    title: str
    url: str


@final
@attrs.frozen(kw_only=True)
class Charge:
    """
    What somebody owes the budget.

    Attributes:
        id: Of the charge.
        kind: What it is for.
        status: How much of it is credited.
        amount: What was charged.
        paid: What is credited so far.
        pending: What payments under way will credit if they succeed.
        due: What can be paid now: the amount without what is paid and pending, never below zero.
        overpaid: What is credited beyond the amount.
        accrued_on: Day of accrual.
        due_on: Last day to pay, in Moscow time.
        overdue: Whether that day is over and something is not paid.
        purpose: For a person, in Russian.
        uin: Unique accrual id (УИН); taxes and contributions, paid as the single tax payment (ЕНП), have none.
        order_number: Number of the order that a fine or a duty rests on.
        tax_period: The period that a tax or a contribution is for.
        requisites: What a bank needs to pay it.
        calculation: How the amount came about, where there was something to compute.
        documents: What it rests on.
        refunding: What of the overpaid sum is held by refunds under way.
    """

    id: ChargeId
    kind: ChargeKind
    status: ChargeStatus
    amount: Money
    paid: Money
    pending: Money
    due: Money
    overpaid: Money
    accrued_on: dt.date
    due_on: dt.date
    overdue: bool
    purpose: str
    uin: Uin | None = None
    order_number: str | None = None
    tax_period: Period | None = None
    requisites: Requisites
    calculation: Calculation | None = None
    documents: tuple[ChargeDocument, ...] = ()
    refunding: Money = Money.ZERO


@final
@attrs.frozen(kw_only=True)
class ChargeEvent:
    """
    An entry in a charge's history.

    Attributes:
        id: Of the entry.
        at: When it happened.
        kind: What happened.
        amount: How much it was about.
        payment_id: The payment, where there is one in the cabinet.
        payment_order_number: Number of the payment order, once there is one.
        payee: Name of the payee.
        comment: For a person, in Russian.
        refund_id: The refund, where it is about one; of an offset, that tells the other charges too.
    """

    id: ChargeEventId
    at: dt.datetime
    kind: ChargeEventKind
    amount: Money
    payment_id: PaymentId | None = None
    payment_order_number: str | None = None
    payee: str
    comment: str
    refund_id: RefundId | None = None


@final
@attrs.frozen(kw_only=True)
class PaymentItem:
    """
    What of a payment, a transfer or an offset goes to one charge.

    Attributes:
        charge_id: The charge.
        amount: How much of it.
    """

    charge_id: ChargeId
    amount: Money


@final
@attrs.frozen(kw_only=True)
class Confirmation:
    """
    Where the payer confirms a payment or chooses a card; no card number passes through the SDK.

    Attributes:
        url: A page to open.
        qr: Text to show as a QR code, where the method has one.
    """

    url: str
    qr: str | None = None


@final
@attrs.frozen(kw_only=True)
class Payment:
    """
    A payment: pending until it is credited or fails.

    Attributes:
        id: Of the payment.
        status: Where it stands.
        method: How it is made.
        amount: Of all items.
        items: What goes to which charge.
        number: Unique number; a bank transfer that carries it in its purpose is matched by it.
        confirmation: Where the payer confirms it, while that is awaited.
        created_at: When it was made.
        expires_at: Until when it waits for its confirmation or transfer.
        settled_at: When it became final.
        payment_order_number: Number of the payment order, once credited.
        decline_reason: Why it was declined, in Russian.
    """

    id: PaymentId
    status: PaymentStatus
    method: PaymentMethod
    amount: Money
    items: tuple[PaymentItem, ...]
    number: str
    confirmation: Confirmation | None = None
    created_at: dt.datetime
    expires_at: dt.datetime
    settled_at: dt.datetime | None = None
    payment_order_number: str | None = None
    decline_reason: str | None = None


@final
@attrs.frozen(kw_only=True)
class BankTransfer:
    """
    Money that came from a bank and names this profile as the payer.

    Attributes:
        id: Of the transfer.
        status: Whether all of it found its charge.
        amount: How much came.
        unmatched: What of it found no charge.
        received_at: When the treasury received it.
        payment_order_number: Number of the bank's payment order.
        payer_inn: ИНН of the payer.
        purpose: As the payer wrote it.
        items: What went to which charge of the profile; of what paid somebody else's nothing more is told.
    """

    id: BankTransferId
    status: BankTransferStatus
    amount: Money
    unmatched: Money
    received_at: dt.datetime
    payment_order_number: str
    payer_inn: Inn
    purpose: str
    items: tuple[PaymentItem, ...] = ()


@final
@attrs.frozen(kw_only=True)
class Refund:
    """
    A request to refund an overpayment: pending until it is carried out or refused.

    Until then its amount is held: it stays credited to the charge and cannot be refunded a second time. What is refused
    is free again.

    Attributes:
        id: Of the refund.
        charge_id: The charge that is overpaid.
        status: Where it stands.
        method: How the overpayment comes back.
        amount: How much of it.
        number: Number of the request, to quote to the payee.
        confirmation: Where the holder chooses the bank card, while that is awaited.
        items: What of an offset went to which charge.
        advance: What of an offset is left for charges to come; it is applied by itself when they are accrued.
        created_at: When it was requested.
        settled_at: When it became final.
        payment_order_number: Number of the order to the Treasury, once there is one; an offset needs none.
        refusal_reason: Why it was refused, in Russian.
    """

    id: RefundId
    charge_id: ChargeId
    status: RefundStatus
    method: RefundMethod
    amount: Money
    number: str
    confirmation: Confirmation | None = None
    items: tuple[PaymentItem, ...] = ()
    advance: Money = Money.ZERO
    created_at: dt.datetime
    settled_at: dt.datetime | None = None
    payment_order_number: str | None = None
    refusal_reason: str | None = None


@final
@attrs.frozen(kw_only=True)
class Overpayment:
    """
    What is credited to a charge beyond its amount.

    Attributes:
        charge_id: The charge that is overpaid.
        kind: What the charge is for.
        purpose: The charge's, for a person, in Russian.
        payee: Name of the payee who has the money.
        amount: How much is overpaid.
        refundable: What of it can be requested now: the amount without what refunds under way hold.
        credited_on: Day in Moscow on which the charge became overpaid; what came later adds to the amount.
        refund: The latest request to refund this overpayment, with its method and status.
    """

    charge_id: ChargeId
    kind: ChargeKind
    purpose: str
    payee: str
    amount: Money
    refundable: Money
    credited_on: dt.date
    refund: Refund | None = None
