"""
What may be charged: the rules of each kind, and the single tax account.

What follows stands beside this: `rules_payments`, `rules_transfers` and `rules_refunds` decide, `rules_ledger` moves
the money, and `rules_steps` lets the clock act.
"""

from __future__ import annotations

from typing import final

from cabinet_sdk.charges.models import Charge, ChargeEventKind, ChargeKind, Refund, Requisites
from cabinet_sdk.types import AccountNumber, Bik, Code, Kbk, Kpp, Oktmo, OrganisationInn, TreasuryAccount, code
from reference_server.charges import rules_ledger, store, store_refunds
from reference_server.profiles import Profile
from reference_server.session import Work

__all__ = ["SINGLE_TAX_KBK", "SINGLE_TAX_KINDS", "Outcome", "accrue", "single_tax_requisites"]

SINGLE_TAX_KINDS = frozenset({ChargeKind.TAX, ChargeKind.CONTRIBUTION, ChargeKind.PENALTY})
"""What is paid as the single tax payment (ЕНП; Tax Code art. 11.3): one account at the treasury, no УИН, ОКТМО 0."""

SINGLE_TAX_KBK = Kbk.trusted("18201061201010000510")


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
    for refund in store_refunds.advances(work, profile.id, charge):
        charge = _apply_advance(work, profile, refund, charge)
    return charge


def _apply_advance(work: Work, profile: Profile, refund: Refund, charge: Charge) -> Charge:
    share = min(refund.advance, charge.due)
    if not share:
        return charge
    rules_ledger.apply_advance(work, refund, charge, share)
    applied = store.charge_by_id(work, profile.id, charge.id)
    return charge if applied is None else applied
