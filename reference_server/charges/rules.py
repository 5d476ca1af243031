"""
What may happen to charges, payments and refunds, and what follows.

Rule: whatever moves money goes through `_credit` or `_take`, which change the charge, the ledger and the history
together.

It is longer than other modules because the rooms of an area are fixed, and all of this is rules.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import final

import attrs

from cabinet_sdk.charges.errors import (
    AmountExceedsDue,
    AmountExceedsOverpayment,
    ChargeNotFound,
    MethodNotLinked,
    NothingDue,
    NothingOverpaid,
)
from cabinet_sdk.charges.models import (
    BankTransfer,
    BankTransferId,
    BankTransferStatus,
    Charge,
    ChargeEventKind,
    ChargeId,
    ChargeKind,
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
from cabinet_sdk.charges.operations import ItemToPay
from cabinet_sdk.errors import FieldError, InvalidRequest
from cabinet_sdk.types import (
    MOSCOW,
    AccountNumber,
    Bik,
    Code,
    Inn,
    Kbk,
    Kpp,
    Money,
    Oktmo,
    OrganisationInn,
    TreasuryAccount,
    Uin,
    code,
    moscow_date,
)
from reference_server.charges import store
from reference_server.clock import to_micros
from reference_server.profiles import Profile
from reference_server.session import Work

__all__ = [
    "SINGLE_TAX_KBK",
    "SINGLE_TAX_KINDS",
    "Outcome",
    "accrue",
    "choose_card",
    "complete_refund",
    "decline",
    "distribute",
    "expire",
    "order_refund",
    "pay",
    "receive",
    "receive_for",
    "refuse_refund",
    "request_refund",
    "single_tax_requisites",
    "step",
    "succeed",
]

SINGLE_TAX_KINDS = frozenset({ChargeKind.TAX, ChargeKind.CONTRIBUTION, ChargeKind.PENALTY})
"""What is paid as the single tax payment (ЕНП; Tax Code art. 11.3): one account at the treasury, no УИН, ОКТМО 0."""

SINGLE_TAX_KBK = Kbk.trusted("18201061201010000510")

_LINKED = frozenset({PaymentMethod.LINKED_CARD, PaymentMethod.LINKED_ACCOUNT, RefundMethod.LINKED_CARD})

# How long a payment waits for what it needs: a transfer takes banking days, a page is open for a quarter of an hour.
_TERM = dt.timedelta(minutes=15)
_TRANSFER_TERM = dt.timedelta(days=5)
# How long the authorities that the server plays take, by the world's clock.
_TO_CONFIRMATION = dt.timedelta(seconds=1)
_TO_OUTCOME = dt.timedelta(seconds=2)
_TO_CARD = dt.timedelta(seconds=2)
# When authorities begin to work, in Moscow.
_OPENING = dt.time(9)

_PAYMENT_NUMBER_LENGTH = 12
_REFUND_NUMBER_LENGTH = 10
_PAYMENT_NUMBER = re.compile(r"(?<![0-9])[0-9]{12}(?![0-9])")
_UIN = re.compile(r"(?<!\w)(?:[0-9]{25}|\w{20})(?!\w)")


@final
class Outcome(Code):
    """What becomes of a payment when its payer is asked, and of a refund when the payee decides."""

    SUCCEED = code("Подтвердить")
    DECLINE = code("Отклонить")
    HOLD = code("Ждать решения")


def single_tax_requisites(purpose: str) -> Requisites:
    """Return the requisites of the single tax payment: the same for every payer in the country."""
    return Requisites(
        payee="Казначейство России (ФНС России)",
        payee_inn=OrganisationInn.trusted("7727406020"),
        payee_kpp=Kpp.trusted("770801001"),
        account=TreasuryAccount.trusted("03100643000000018500"),
        bank="УФК по Тульской области, г. Тула",
        bik=Bik.trusted("017003983"),
        correspondent_account=AccountNumber.trusted("40102810445370000059"),
        kbk=SINGLE_TAX_KBK,
        oktmo=Oktmo.trusted("0"),
        uin=None,
        payer_status="01",
        purpose=purpose,
    )


def accrue(work: Work, profile: Profile, charge: Charge) -> Charge:
    """
    Enter a new charge, and pay it from what earlier overpayments have left for it; return it as it stands then.

    Raises:
        ValueError: The charge breaks a rule of its kind.
    """
    by_single_tax_payment = charge.kind in SINGLE_TAX_KINDS
    requisites = charge.requisites
    if by_single_tax_payment and (
        charge.uin is not None or requisites.kbk != SINGLE_TAX_KBK or requisites.oktmo != "0"
    ):
        msg = f"a {charge.kind} is paid as the single tax payment: no УИН, КБК {SINGLE_TAX_KBK}, ОКТМО 0"
        raise ValueError(msg)
    if not by_single_tax_payment and (charge.uin is None or requisites.kbk == SINGLE_TAX_KBK):
        msg = f"a {charge.kind} needs a УИН and a КБК of its own"
        raise ValueError(msg)
    if charge.uin != requisites.uin or (charge.uin is not None and str(charge.uin) == str(requisites.kbk)):
        msg = "the УИН of the requisites is the charge's, and not the КБК (Ministry of Finance order 107n)"
        raise ValueError(msg)
    if charge.due_on < charge.accrued_on:
        msg = f"due on {charge.due_on}, before the accrual on {charge.accrued_on}"
        raise ValueError(msg)
    store.insert_charge(work, profile.id, charge)
    store.add_event(work, charge.id, ChargeEventKind.ACCRUED, charge.amount, charge.purpose)
    for refund in store.advances(work, profile.id, charge):
        charge = _apply_advance(work, profile, refund, charge)
    return charge


def _apply_advance(work: Work, profile: Profile, refund: Refund, charge: Charge) -> Charge:
    share = min(refund.advance, charge.due)
    if not share:
        return charge
    store.add_advance(work, refund.id, -share)
    store.post(work, refund.id, _account(charge.id), share, against=_advance(refund))
    comment = f"Аванс по заявлению № {refund.number} зачтён: {charge.purpose}"
    _tell(work, refund, ChargeEventKind.ADVANCE_APPLIED, share, comment)
    _bring(work, refund, charge.id, share)
    applied = store.charge_by_id(work, profile.id, charge.id)
    return charge if applied is None else applied


def pay(
    work: Work,
    profile: Profile,
    items: Sequence[ItemToPay],
    method: PaymentMethod,
    fields: Sequence[str],
) -> Payment:
    """
    Make a payment of the profile's charges: of all of them or of none.

    Args:
        work: The unit of work.
        profile: Who pays.
        items: What to pay.
        method: How.
        fields: Path of each item in the request, for errors.
    """
    if method in _LINKED and method not in profile.linked:
        raise MethodNotLinked(members={"method": method})
    seen: set[str] = set()
    for item, field in zip(items, fields, strict=True):
        if item.charge_id in seen:
            error = FieldError(f"{field}charge_id", "repeated", "expected each charge once, got it again")
            raise InvalidRequest(errors=(error,))
        seen.add(item.charge_id)
    parts = tuple(_part(work, profile, item, field) for item, field in zip(items, fields, strict=True))
    by_transfer = method == PaymentMethod.BANK_TRANSFER
    expires_at = work.now + (_TRANSFER_TERM if by_transfer else _TERM)
    payment = Payment(
        id=PaymentId(work.ids.new("pay")),
        status=PaymentStatus.AWAITING_CONFIRMATION if by_transfer else PaymentStatus.CREATED,
        method=method,
        amount=sum((part.amount for part in parts), Money.ZERO),
        items=parts,
        number=work.ids.digits(_PAYMENT_NUMBER_LENGTH),
        created_at=work.now,
        expires_at=expires_at,
    )
    # The authorities that the server plays follow the clock unless a test has scripted what they do next.
    outcome = store.take_scripted_outcome(work, "payment") or Outcome.SUCCEED
    next_at = expires_at if by_transfer else work.now + _TO_CONFIRMATION
    store.insert_payment(work, profile.id, payment, outcome, next_at)
    for part in parts:
        store.update_charge(work, part.charge_id, pending=part.amount.kopecks)
        comment = f"Платёж № {payment.number}: {method.label.lower() if method != PaymentMethod.SBP else method.label}"
        store.add_event(
            work, part.charge_id, ChargeEventKind.PAYMENT_CREATED, part.amount, comment, payment_id=payment.id
        )
    return payment


def _part(work: Work, profile: Profile, item: ItemToPay, field: str) -> PaymentItem:
    charge = store.charge_by_id(work, profile.id, item.charge_id)
    if charge is None:
        raise ChargeNotFound
    amount = charge.due if item.amount is None else item.amount
    if item.amount is not None and item.amount.kopecks <= 0:
        error = FieldError(f"{field}amount", "positive", "expected an amount above zero")
        raise InvalidRequest(errors=(error,))
    if not charge.due:
        raise NothingDue(members={"charge_id": charge.id})
    if amount > charge.due:
        raise AmountExceedsDue(members={"charge_id": charge.id, "due": str(charge.due)})
    return PaymentItem(charge_id=charge.id, amount=amount)


def step(work: Work) -> None:
    """
    Let happen what the clock has made due, each at its own moment.

    Payers confirm and choose cards, banks credit, payees decide, the Treasury carries out, terms run out.
    """
    while (due := store.next_step(work)) is not None:
        then = attrs.evolve(work, now=due.at)
        if isinstance(due.subject, Payment):
            _step_payment(then, due.subject, due.outcome)
        else:
            _step_refund(then, due.subject, due.outcome)


def _step_payment(work: Work, payment: Payment, outcome: str) -> None:
    waits = outcome == Outcome.HOLD or payment.method == PaymentMethod.BANK_TRANSFER
    if payment.status == PaymentStatus.CREATED:
        next_at = payment.expires_at if waits else work.now + _TO_OUTCOME
        _move(work, payment, PaymentStatus.AWAITING_CONFIRMATION, next_at=next_at)
    elif waits:
        expire(work, payment)
    elif outcome == Outcome.DECLINE:
        decline(work, payment, "Банк отклонил операцию")
    else:
        succeed(work, payment)


def succeed(work: Work, payment: Payment) -> None:
    """Credit a pending payment."""
    order_number = work.ids.digits(6)
    _settle(work, payment, PaymentStatus.SUCCEEDED, order_number=order_number)
    for position, item in enumerate(payment.items):
        open_amount = _open_amount(work, payment, position)
        if open_amount:
            _credit(
                work,
                payment.id,
                item.charge_id,
                open_amount,
                pending=open_amount,
                kind=ChargeEventKind.PAYMENT_SUCCEEDED,
                comment=f"Платёж № {payment.number} зачислен",
                payment_id=payment.id,
                order_number=order_number,
            )


def decline(work: Work, payment: Payment, reason: str) -> None:
    """Give up a pending payment: its bank said no."""
    _settle(work, payment, PaymentStatus.DECLINED, reason=reason)
    _release(work, payment, ChargeEventKind.PAYMENT_DECLINED, reason)


def expire(work: Work, payment: Payment) -> None:
    """Give up a pending payment: nobody confirmed it in time."""
    _settle(work, payment, PaymentStatus.EXPIRED)
    _release(work, payment, ChargeEventKind.PAYMENT_EXPIRED, "Срок подтверждения истёк")


def _release(work: Work, payment: Payment, kind: ChargeEventKind, comment: str) -> None:
    for position, item in enumerate(payment.items):
        open_amount = _open_amount(work, payment, position)
        store.update_charge(work, item.charge_id, pending=-open_amount.kopecks)
        store.add_event(work, item.charge_id, kind, open_amount, comment, payment_id=payment.id)


def _open_amount(work: Work, payment: Payment, position: int) -> Money:
    row = work.database.one(
        "SELECT amount - credited AS open FROM payment_items WHERE payment_id = ? AND position = ?",
        (payment.id, position),
    )
    return Money.from_kopecks(0 if row is None else row["open"])


def _settle(
    work: Work,
    payment: Payment,
    status: PaymentStatus,
    *,
    order_number: str | None = None,
    reason: str | None = None,
) -> None:
    work.database.execute(
        "UPDATE payments SET status = ?, settled_at = ?, next_at = NULL, payment_order_number = ?, decline_reason = ?"
        " WHERE id = ?",
        (str(status), to_micros(work.now), order_number, reason, payment.id),
    )


def _move(work: Work, payment: Payment, status: PaymentStatus, *, next_at: dt.datetime) -> None:
    work.database.execute(
        "UPDATE payments SET status = ?, next_at = ? WHERE id = ?",
        (str(status), to_micros(next_at), payment.id),
    )


def _credit(
    work: Work,
    source: str,
    charge_id: str,
    amount: Money,
    *,
    pending: Money,
    kind: ChargeEventKind,
    comment: str,
    payment_id: str | None,
    order_number: str,
) -> None:
    store.update_charge(work, charge_id, paid=amount.kopecks, pending=-pending.kopecks)
    store.post(work, source, _account(charge_id), amount)
    store.add_event(
        work,
        charge_id,
        kind,
        amount,
        comment,
        payment_id=payment_id,
        payment_order_number=order_number,
    )


def _take(work: Work, refund: Refund, amount: Money, to: str, *, kind: ChargeEventKind, comment: str) -> None:
    """Move what a refund holds from its charge to another account of the ledger."""
    store.update_charge(work, refund.charge_id, paid=-amount.kopecks, refunding=-amount.kopecks)
    store.post(work, refund.id, to, amount, against=_account(refund.charge_id))
    _tell(work, refund, kind, amount, comment)


def _bring(work: Work, refund: Refund, charge_id: str, amount: Money) -> None:
    """Credit an offset to the charge that it pays; whoever took the money has entered it in the ledger."""
    store.update_charge(work, charge_id, paid=amount.kopecks)
    store.add_refund_item(work, refund.id, charge_id, amount)
    comment = f"Зачтена переплата по заявлению № {refund.number}"
    store.add_event(work, charge_id, ChargeEventKind.OFFSET_CREDITED, amount, comment, refund_id=refund.id)


def _tell(work: Work, refund: Refund, kind: ChargeEventKind, amount: Money, comment: str) -> None:
    order_number = refund.payment_order_number
    store.add_event(
        work, refund.charge_id, kind, amount, comment, payment_order_number=order_number, refund_id=refund.id
    )


def _account(charge_id: str) -> str:
    return f"charge:{charge_id}"


def _advance(refund: Refund) -> str:
    return f"advance:{refund.id}"


def request_refund(
    work: Work,
    profile: Profile,
    charge_id: ChargeId,
    method: RefundMethod,
    amount: Money | None,
) -> Refund:
    """Request the refund of what a charge of the profile is overpaid by, and hold its amount."""
    charge = store.charge_by_id(work, profile.id, charge_id)
    if charge is None:
        raise ChargeNotFound
    if amount is not None and amount.kopecks <= 0:
        error = FieldError("amount", "positive", "expected an amount above zero")
        raise InvalidRequest(errors=(error,))
    if method in _LINKED and method not in profile.linked:
        raise MethodNotLinked(members={"method": method})
    refundable = charge.overpaid - charge.refunding
    if not refundable:
        raise NothingOverpaid(members={"charge_id": charge.id})
    if amount is not None and amount > refundable:
        raise AmountExceedsOverpayment(members={"charge_id": charge.id, "refundable": str(refundable)})
    refund = Refund(
        id=RefundId(work.ids.new("ref")),
        charge_id=charge.id,
        status=RefundStatus.REQUESTED,
        method=method,
        amount=refundable if amount is None else amount,
        number=work.ids.digits(_REFUND_NUMBER_LENGTH),
        created_at=work.now,
    )
    outcome = store.take_scripted_outcome(work, "refund") or Outcome.SUCCEED
    if outcome == Outcome.HOLD:
        next_at = None
    elif method == RefundMethod.BANK_CARD:
        next_at = work.now + _TO_CARD
    else:
        next_at = _next_working_day(work.now)
    store.insert_refund(work, profile.id, refund, outcome, next_at)
    store.update_charge(work, charge.id, refunding=refund.amount.kopecks)
    comment = f"Заявление № {refund.number}: {_how(method)}"
    _tell(work, refund, ChargeEventKind.REFUND_REQUESTED, refund.amount, comment)
    return refund


def _how(method: RefundMethod) -> str:
    return method.label[0].lower() + method.label[1:]


def _next_working_day(now: dt.datetime) -> dt.datetime:
    """
    Return when the payee or the Treasury does what it has to do by the next day (Tax Code, art. 78 and 79).

    Days are working days (art. 6.1 p. 6); of those that are not, only weekends are known here.
    """
    day = moscow_date(now) + dt.timedelta(days=1)
    while day.weekday() >= 5:
        day += dt.timedelta(days=1)
    return dt.datetime.combine(day, _OPENING, MOSCOW).astimezone(dt.UTC)


def _step_refund(work: Work, refund: Refund, outcome: str) -> None:
    if outcome == Outcome.HOLD:
        store.update_refund(work, refund, refund.status)
    elif refund.confirmation is not None:
        choose_card(work, refund)
    elif outcome == Outcome.DECLINE:
        refuse_refund(work, refund, "Переплата не подтверждена администратором доходов")
    elif refund.method != RefundMethod.FUTURE_PAYMENTS and refund.status == RefundStatus.REQUESTED:
        order_refund(work, refund)
    else:
        complete_refund(work, refund)


def choose_card(work: Work, refund: Refund) -> None:
    """Let the holder of a refund that awaits it choose the bank card."""
    store.update_refund(work, refund, refund.status, next_at=_next_working_day(work.now))


def order_refund(work: Work, refund: Refund) -> None:
    """Grant a refund: the order goes to the Treasury, which carries it out the next working day."""
    order_number = work.ids.digits(6)
    next_at = _next_working_day(work.now)
    store.update_refund(work, refund, RefundStatus.IN_PROGRESS, next_at=next_at, order_number=order_number)
    ordered = attrs.evolve(refund, payment_order_number=order_number)
    comment = f"Заявление № {refund.number} удовлетворено, поручение № {order_number}"
    _tell(work, ordered, ChargeEventKind.REFUND_ORDERED, refund.amount, comment)


def refuse_refund(work: Work, refund: Refund, reason: str) -> None:
    """Refuse a pending refund and free what it held."""
    store.update_refund(work, refund, RefundStatus.REFUSED, reason=reason)
    store.update_charge(work, refund.charge_id, refunding=-refund.amount.kopecks)
    _tell(work, refund, ChargeEventKind.REFUND_REFUSED, refund.amount, reason)


def complete_refund(work: Work, refund: Refund) -> None:
    """Carry out a pending refund: the money leaves the charge for good."""
    if refund.method == RefundMethod.FUTURE_PAYMENTS:
        store.update_refund(work, refund, RefundStatus.COMPLETED)
        _offset(work, refund)
        return
    if refund.payment_order_number is None:
        refund = attrs.evolve(refund, payment_order_number=work.ids.digits(6))
    store.update_refund(work, refund, RefundStatus.COMPLETED, order_number=refund.payment_order_number)
    comment = f"Возвращено по заявлению № {refund.number}: {_how(refund.method)}"
    _take(work, refund, refund.amount, store.BANK, kind=ChargeEventKind.REFUND_COMPLETED, comment=comment)


def _offset(work: Work, refund: Refund) -> None:
    """
    Pay other charges of the same account with an overpayment; the rest stays for those to come.

    Money of one payee cannot pay another's charge. Taxes, contributions and penalties are one account (ЕНС) and are
    paid in the order of the Tax Code; charges of any other payee by their terms, the earliest first. What payments
    under way will pay is left to them.
    """
    profile_id = store.profile_of_charge(work, refund.charge_id)
    charge = None if profile_id is None else store.charge_by_id(work, profile_id, refund.charge_id)
    if profile_id is None or charge is None:
        msg = f"the refund {refund.id} has lost its charge"
        raise RuntimeError(msg)
    others = store.offset_charges(work, profile_id, charge)
    purposes = {other.id: other.purpose for other in others}
    rest = refund.amount
    for item in distribute(refund.amount, others, work.today, besides_pending=True):
        comment = f"Зачтено по заявлению № {refund.number}: {purposes[item.charge_id]}"
        to = _account(item.charge_id)
        _take(work, refund, item.amount, to, kind=ChargeEventKind.OVERPAYMENT_OFFSET, comment=comment)
        _bring(work, refund, item.charge_id, item.amount)
        rest -= item.amount
    if rest:
        comment = f"Остаток по заявлению № {refund.number} зачтётся при новых начислениях"
        _take(work, refund, rest, _advance(refund), kind=ChargeEventKind.ADVANCE_KEPT, comment=comment)
        store.add_advance(work, refund.id, rest)


def receive(
    work: Work,
    *,
    profile_id: str | None,
    payer_inn: Inn,
    amount: Money,
    purpose: str,
    payment_order_number: str,
    uin: Uin | None,
    kbk: Kbk | None,
) -> BankTransfer:
    """
    Take in what a bank brought and match it: by a payment's number, by a УИН, or as the single tax payment.

    What finds no charge stays visible as unmatched.
    """
    payment = _payment_named_in(work, purpose)
    charge = None if payment is not None else _charge_named_in(work, uin, purpose)
    shares: list[_Share]
    if payment is not None:
        shares = list(_fill(work, payment, amount))
    elif charge is not None:
        shares = [_Share(PaymentItem(charge_id=charge.id, amount=amount))]
    elif kbk == SINGLE_TAX_KBK and profile_id is not None:
        items = distribute(amount, store.tax_account_charges(work, profile_id), work.today)
        shares = [_Share(item) for item in items]
    else:
        shares = []
    transfer = _enter(
        work,
        profile_id=profile_id,
        payer_inn=payer_inn,
        amount=amount,
        purpose=purpose,
        payment_order_number=payment_order_number,
        shares=shares,
        payment=payment,
    )
    if payment is not None and not any(_open_amount(work, payment, position) for position in range(len(payment.items))):
        _settle(work, payment, PaymentStatus.SUCCEEDED, order_number=payment_order_number)
    return transfer


def receive_for(work: Work, payer: Profile, charge: Charge, amount: Money, payment_order_number: str) -> BankTransfer:
    """Take in what a bank brought for one charge, whatever the transfer says."""
    shares = [_Share(PaymentItem(charge_id=charge.id, amount=amount))]
    return _enter(
        work,
        profile_id=payer.id,
        payer_inn=payer.inn,
        amount=amount,
        purpose=charge.purpose,
        payment_order_number=payment_order_number,
        shares=shares,
    )


@final
@attrs.frozen
class _Share:
    """What of a transfer goes to a charge, and how much of that a payment had announced."""

    item: PaymentItem
    announced: Money = Money.ZERO


def _enter(
    work: Work,
    *,
    profile_id: str | None,
    payer_inn: Inn,
    amount: Money,
    purpose: str,
    payment_order_number: str,
    shares: Sequence[_Share],
    payment: Payment | None = None,
) -> BankTransfer:
    transfer_id = BankTransferId(work.ids.new("trf"))
    for share in shares:
        _credit(
            work,
            transfer_id,
            share.item.charge_id,
            share.item.amount,
            pending=share.announced,
            kind=ChargeEventKind.TRANSFER_CREDITED,
            comment=f"Платёжное поручение № {payment_order_number}",
            payment_id=None if payment is None else payment.id,
            order_number=payment_order_number,
        )
    unmatched = amount - sum((share.item.amount for share in shares), Money.ZERO)
    if unmatched:
        store.post(work, transfer_id, store.UNMATCHED, unmatched)
    transfer = BankTransfer(
        id=transfer_id,
        status=BankTransferStatus.UNMATCHED if unmatched else BankTransferStatus.MATCHED,
        amount=amount,
        unmatched=unmatched,
        received_at=work.now,
        payment_order_number=payment_order_number,
        payer_inn=payer_inn,
        purpose=purpose,
        items=tuple(share.item for share in shares),
    )
    store.add_transfer(work, profile_id, transfer)
    return transfer


def _payment_named_in(work: Work, purpose: str) -> Payment | None:
    for number in _PAYMENT_NUMBER.findall(purpose):
        payment = store.payment_by_number(work, number)
        if payment is not None and payment.method == PaymentMethod.BANK_TRANSFER and not payment.status.final:
            return payment
    return None


def _charge_named_in(work: Work, uin: Uin | None, purpose: str) -> Charge | None:
    candidates = [str(uin)] if uin is not None else _UIN.findall(purpose)
    found = (store.charge_by_uin(work, candidate.upper()) for candidate in candidates)
    return next((charge for charge in found if charge is not None), None)


def _fill(work: Work, payment: Payment, amount: Money) -> Iterator[_Share]:
    """Share what came among a payment's items in their order; what is too much overpays the last one."""
    last = len(payment.items) - 1
    for position, item in enumerate(payment.items):
        open_amount = _open_amount(work, payment, position)
        share = amount if position == last else min(amount, open_amount)
        if not share:
            continue
        pending = min(share, open_amount)
        work.database.execute(
            "UPDATE payment_items SET credited = credited + ? WHERE payment_id = ? AND position = ?",
            (pending.kopecks, payment.id, position),
        )
        amount -= share
        yield _Share(PaymentItem(charge_id=item.charge_id, amount=share), pending)


def distribute(
    amount: Money, charges: Sequence[Charge], today: dt.date, *, besides_pending: bool = False
) -> list[PaymentItem]:
    """
    Share a single tax payment among what is owed, in the order of the Tax Code, art. 45 p. 8.

    Debts before what is not due yet, the earliest term first, penalties (пени) after all of them; where it is not
    enough for charges of one place in that order, in proportion to what is open: not paid, and besides pending
    payments too where that is asked for.
    """

    def place(charge: Charge) -> tuple[bool, bool, dt.date]:
        return charge.kind == ChargeKind.PENALTY, charge.due_on >= today, charge.due_on

    items: list[PaymentItem] = []
    for _, group in groupby(sorted(charges, key=place), key=place):
        same = list(group)
        open_amounts = [charge.due if besides_pending else charge.amount - charge.paid for charge in same]
        for charge, share in zip(same, _in_proportion(amount, open_amounts), strict=True):
            if share:
                items.append(PaymentItem(charge_id=charge.id, amount=share))
                amount -= share
    return items


def _in_proportion(amount: Money, wanted: Sequence[Money]) -> list[Money]:
    """Share an amount, at most what each wants; kopecks that do not divide go to the first ones."""
    total = sum((each.kopecks for each in wanted), 0)
    if amount.kopecks >= total:
        return list(wanted)
    shares = [amount.kopecks * each.kopecks // total for each in wanted]
    rest = amount.kopecks - sum(shares)
    for index, each in enumerate(wanted):
        extra = min(rest, each.kopecks - shares[index], 1)
        shares[index] += extra
        rest -= extra
    return [Money.from_kopecks(share) for share in shares]
