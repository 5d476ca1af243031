"""
Mistakes that both type checkers must refuse; this file is never run.

Each wrong line says what the checkers call its mistake. Once one of them takes the line, its ignore is needed no more,
and the checker reports that.
"""

from __future__ import annotations

import cabinet_sdk.charges
import cabinet_sdk.transports
from cabinet_sdk import AsyncCabinet, AsyncPages, Cabinet, Pages
from cabinet_sdk.charges import Charge, ChargeId, ChargeStatus, ItemToPay, Payment, PaymentId, PaymentMethod
from cabinet_sdk.charges.operations import (
    GET_CHARGE,
    GET_PAYMENT,
    LIST_CHARGES,
    PAY_CHARGE,
    GetCharge,
    GetPayment,
    ListCharges,
    PayCharge,
)
from cabinet_sdk.transports import AsyncHttpxTransport, HttpxTransport
from cabinet_sdk.types import Inn, Kpp, Money
from reference_server.charges.handlers import get_charge, list_charges
from reference_server.paging import Selection
from reference_server.routing import handles
from reference_server.session import Session


def arguments(cabinet: Cabinet, charge_id: ChargeId, payment_id: PaymentId) -> None:
    """Wrong arguments of methods."""
    cabinet.charges.get("chg_1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cabinet.charges.get(payment_id)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cabinet.charges.get()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    cabinet.charges.get(charge_id, charge_id)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    cabinet.charges.get(charge_id, colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    cabinet.charges.list(ChargeStatus.PAID)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]
    cabinet.charges.list(status="paid")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cabinet.charges.list(cursor="token")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    cabinet.charges.pay(charge_id)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    cabinet.charges.pay(charge_id, PaymentMethod.SBP)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    cabinet.charges.pay(charge_id, method="sbp")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cabinet.charges.pay(charge_id, method=PaymentMethod.SBP, amount=100)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cabinet.charges.pay(charge_id, method=PaymentMethod.SBP, amount="100.00")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cabinet.charges.pay(charge_id, method=PaymentMethod.SBP, idempotency_key="a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    cabinet.charges.pay_several((charge_id,), method=PaymentMethod.SBP)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cabinet.charges.pay_several([charge_id], method=PaymentMethod.SBP)  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    cabinet.charges.pay_several({ItemToPay(charge_id)}, method=PaymentMethod.SBP)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cabinet.charges.wait_for_payment(payment_id, 5.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    cabinet.charges.wait_for_payment(charge_id)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cabinet.charges.wait_for_payment(payment_id, timeout="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cabinet.charges.annul(charge_id)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def results(cabinet: Cabinet, charge_id: ChargeId) -> Pages[Payment]:
    """Results taken for something else."""
    charge = cabinet.charges.get(charge_id)
    _ = charge.colour  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    charge.due = Money(0)  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    _ = cabinet.charges.list()[0]  # type: ignore[index]  # pyright: ignore[reportIndexIssue, reportUnknownVariableType]
    _ = cabinet.charges.list().items  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    cabinet.charges.payment(cabinet.charges.get(charge_id).id)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return cabinet.charges.list()  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


async def async_arguments(cabinet: AsyncCabinet, charge_id: ChargeId) -> None:
    """The same mistakes with the async client."""
    await cabinet.charges.get("chg_1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await cabinet.charges.get(charge_id, colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await cabinet.charges.pay(charge_id, PaymentMethod.SBP)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await cabinet.charges.pay(charge_id, method=PaymentMethod.SBP, amount=100)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cabinet.charges.list(status="paid")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def modes(cabinet: Cabinet, async_cabinet: AsyncCabinet, charge_id: ChargeId) -> Charge:
    """What belongs to one mode, done with the other."""
    await cabinet.charges.get(charge_id)  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    await cabinet.charges.list()  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    await async_cabinet.charges.list()  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    for _ in async_cabinet.charges.list():  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        pass
    async for _ in cabinet.charges.list():  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        pass
    list(async_cabinet.charges.list())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    _ = async_cabinet.charges.get(charge_id).due  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    async_cabinet.charges.get(charge_id)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    with async_cabinet:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    async with cabinet:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    pages: AsyncPages[Charge] = cabinet.charges.list()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    pages.by_page(0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return async_cabinet.charges.get(charge_id)  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


def clients(url: str, cabinet: Cabinet) -> AsyncCabinet:
    """Wrong clients and views."""
    Cabinet()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Cabinet(url, "token")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Cabinet(url, transport=AsyncHttpxTransport())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    AsyncCabinet(url, transport=HttpxTransport())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cabinet.with_options(5.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    cabinet.with_options(deadline="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cabinet.with_options(idle=1.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    return cabinet.with_options(deadline=5.0)  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


def whole_answers(cabinet: Cabinet, charge_id: ChargeId, payment_id: PaymentId) -> Payment:
    """Wrong arguments and results of the whole answer of a row."""
    cabinet.answer(GET_CHARGE)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    cabinet.answer(GET_CHARGE, payment_id)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cabinet.answer(GET_CHARGE, charge_id, colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    cabinet.answer(LIST_CHARGES, status="paid")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    cabinet.answer(PAY_CHARGE, charge_id, PaymentMethod.SBP)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    cabinet.answer("charges.get", charge_id)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    return cabinet.answer(GET_CHARGE, charge_id).value  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


def values(charge_id: ChargeId, kpp: Kpp, session: Session) -> PaymentId:
    """Values of one kind taken for those of another."""
    Money(1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    _ = Money(1) + 1  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnknownVariableType]
    _ = Money(1) * Money(1)  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnknownVariableType]
    _ = Money(1) < 1  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnknownVariableType]
    ItemToPay(charge_id, 100)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    GetCharge("chg_1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Inn(7707083893)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ListCharges(status="paid")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ListCharges(payee_inn=kpp)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    PayCharge(charge_id, method=ChargeStatus.PAID)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    get_charge(session, GetPayment(PaymentId("pay_1")))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return charge_id  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


def names() -> None:
    """Names that modules do not have, though some of theirs are loaded on first use."""
    _ = cabinet_sdk.Cabinett  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    _ = cabinet_sdk.transports.HttpTransport  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    _ = cabinet_sdk.charges.Charg  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]


def handlers() -> None:
    """Handlers that do not fit their rows."""

    @handles(GET_CHARGE)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    def wrong_request(session: Session, request: GetPayment) -> Charge:
        raise NotImplementedError

    @handles(GET_CHARGE)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    def wrong_result(session: Session, request: GetCharge) -> Payment:
        raise NotImplementedError

    @handles(GET_CHARGE)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    def no_result(session: Session, request: GetCharge) -> Charge | None:
        raise NotImplementedError

    @handles(GET_CHARGE)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    def no_session(request: GetCharge) -> Charge:
        raise NotImplementedError

    @handles(GET_CHARGE)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    def fields_for_request(session: Session, charge_id: ChargeId) -> Charge:
        raise NotImplementedError

    @handles(LIST_CHARGES)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    def list_for_selection(session: Session, request: ListCharges) -> list[Charge]:
        raise NotImplementedError

    @handles(LIST_CHARGES)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    def wrong_item(session: Session, request: ListCharges) -> Selection[Payment]:
        raise NotImplementedError

    @handles(GET_PAYMENT)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    def selection_for_one(session: Session, request: GetPayment) -> Selection[Payment]:
        raise NotImplementedError

    @handles(PAY_CHARGE)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async def waits(session: Session, request: PayCharge) -> Payment:
        raise NotImplementedError

    handles("charges.get")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    handles(GET_CHARGE)(list_charges)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
