"""What banks bring: which charges it is for, and what becomes of what finds none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import final

import attrs

from cabinet_sdk.charges.models import (
    BankTransfer,
    BankTransferId,
    BankTransferStatus,
    Charge,
    ChargeEventKind,
    ChargeId,
    Payment,
    PaymentItem,
    PaymentMethod,
    PaymentStatus,
)
from cabinet_sdk.types import Inn, Kbk, Money, Uin
from reference_server.charges import rules, rules_ledger, rules_shares, store, store_payments, store_transfers
from reference_server.profiles import Profile
from reference_server.session import Work

__all__ = ["receive", "receive_for"]

_PAYMENT_NUMBER = re.compile(r"(?<![0-9])[0-9]{12}(?![0-9])")
_UIN = re.compile(r"(?<!\w)(?:[0-9]{25}|\w{20})(?!\w)")


@final
@attrs.frozen
class _Share:
    """What of a transfer goes to a charge, and how much of that a payment had announced."""

    item: PaymentItem
    announced: Money = Money.ZERO


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

    Of a payment's charges one whose УИН is named too comes first. What finds no charge stays visible as unmatched.
    """
    payment = _payment_named_in(work, purpose)
    charge = _charge_named_in(work, uin, purpose)
    shares: list[_Share]
    if payment is not None:
        shares = list(_fill(work, payment, amount, first=None if charge is None else charge.id))
    elif charge is not None:
        shares = [_Share(PaymentItem(charge_id=charge.id, amount=amount))]
    elif kbk == rules.SINGLE_TAX_KBK and profile_id is not None:
        items = rules_shares.distribute(amount, store.tax_account_charges(work, profile_id), work.today)
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
    if payment is not None and not any(
        store_payments.open_amount(work, payment, position) for position in range(len(payment.items))
    ):
        store_payments.settle_payment(work, payment, PaymentStatus.SUCCEEDED, order_number=payment_order_number)
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
    shares = [share for share in (_fitting(work, each) for each in shares) if share.item.amount]
    for share in shares:
        rules_ledger.credit(
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
        rules_ledger.keep_unmatched(work, transfer_id, unmatched)
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
    store_transfers.add_transfer(work, profile_id, transfer)
    return transfer


def _fitting(work: Work, share: _Share) -> _Share:
    """Return what of a share its charge can hold; what a payment had announced of it has its place there."""
    amount = min(share.item.amount, store.room(work, share.item.charge_id) + share.announced)
    return attrs.evolve(share, item=attrs.evolve(share.item, amount=amount))


def _payment_named_in(work: Work, purpose: str) -> Payment | None:
    for number in _PAYMENT_NUMBER.findall(purpose):
        payment = store_payments.payment_by_number(work, number)
        if payment is not None and payment.method == PaymentMethod.BANK_TRANSFER and not payment.status.final:
            return payment
    return None


def _charge_named_in(work: Work, uin: Uin | None, purpose: str) -> Charge | None:
    candidates = [str(uin)] if uin is not None else _UIN.findall(purpose)
    found = (store.charge_by_uin(work, candidate.upper()) for candidate in candidates)
    return next((charge for charge in found if charge is not None), None)


def _fill(work: Work, payment: Payment, amount: Money, first: ChargeId | None) -> Iterator[_Share]:
    """Share what came among a payment's items: that one first, then in their order; too much overpays the last one."""
    items = sorted(enumerate(payment.items), key=lambda each: each[1].charge_id != first)
    for position, item in items:
        open_amount = store_payments.open_amount(work, payment, position)
        share = amount if position == items[-1][0] else min(amount, open_amount)
        if not share:
            continue
        pending = min(share, open_amount)
        store_payments.add_credited(work, payment, position, pending)
        amount -= share
        yield _Share(PaymentItem(charge_id=item.charge_id, amount=share), pending)
