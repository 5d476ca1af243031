"""The console's cards of charges: money that comes and goes back, payments that people decide."""

from __future__ import annotations

import re
from html import unescape

import httpx
import pytest

from cabinet_sdk.charges import ChargeKind, ChargeStatus, PaymentMethod, PaymentStatus, RefundMethod, RefundStatus
from cabinet_sdk.types import Money
from reference_server import Outcome, Profile, World
from reference_server.testing import connect, serve
from tests.server.console import sent, shown


def test_the_card_of_a_charge_shows_everything() -> None:
    """Requisites, calculation, documents and history of every made-up charge stand on its card."""
    seeded = World.seeded()
    person = seeded.profiles.all()[0]
    charges = list(connect(seeded, person).charges.list())
    charge = next(each for each in charges if each.calculation is not None)
    with_papers = next(each for each in charges if each.documents)
    with serve(seeded) as url:
        base = f"{url.removesuffix('/v1')}/profiles/{person.id}/charges"
        text = shown(httpx.get(f"{base}/{charge.id}", trust_env=False, timeout=60))
        papers = shown(httpx.get(f"{base}/{with_papers.id}", trust_env=False, timeout=60))

    assert charge.calculation is not None
    requisites = charge.requisites
    for part in (requisites.payee, requisites.account, charge.amount.formatted, charge.calculation.explanation):
        assert re.sub(r"\s+", " ", str(part)) in text
    assert "Начислено" in text
    assert with_papers.documents[0].title in papers


def test_money_is_credited(console: httpx.Client, world: World, person: Profile) -> None:
    """Money that a person lets come from a bank is credited to the charge, more than is due overpays it."""
    charge = world.charges.add(person, Money("100.00"))
    base = f"/profiles/{person.id}/charges/{charge.id}"

    wrong = console.post(f"{base}/credit", data={"amount": "x", "payment_order_number": "7"})
    right = sent(console, f"{base}/credit", amount="130", payment_order_number="7")

    assert wrong.status_code == 422
    assert 'value="x"' in wrong.text
    assert connect(world, person).charges.get(charge.id).overpaid == Money("30.00")
    assert "Переплата" in shown(right)
    assert "Платёжное поручение № 7" in shown(right)
    world.charges.check_books()


def test_a_refund_is_requested_and_decided(console: httpx.Client, world: World, person: Profile) -> None:
    """An overpayment is requested back on the card; its holder chooses a card and the Treasury carries it out."""
    charge = world.charges.add(person, Money("100.00"))
    world.charges.credit(person, charge, Money("150.00"))
    base = f"/profiles/{person.id}"

    too_much = console.post(f"{base}/charges/{charge.id}/refund", data={"method": "bank_card", "amount": "60"})
    card = sent(console, f"{base}/charges/{charge.id}/refund", method="bank_card", amount="40")
    (refund,) = connect(world, person).charges.refunds()
    holder = console.get(f"/refunds/{refund.id}")
    chosen = sent(console, f"/refunds/{refund.id}/card")
    late = console.post(f"/refunds/{refund.id}/card")
    done = sent(console, f"{base}/refunds/{refund.id}/complete", charge=charge.id)
    again = sent(console, f"{base}/refunds/{refund.id}/refuse", charge=charge.id)

    assert "charges.amount_exceeds_overpayment" in shown(too_much)
    assert "Choose card" in shown(card)
    assert (refund.method, refund.amount) == (RefundMethod.BANK_CARD, Money("40.00"))
    assert "Выбрать карту" in holder.text
    assert "Выбрать карту" not in chosen.text
    assert late.status_code == 409
    assert done.url.path == f"{base}/charges/{charge.id}"
    assert connect(world, person).charges.refund(refund.id).status == RefundStatus.COMPLETED
    assert "Nothing was done" in shown(again)
    assert console.get("/refunds/ref_none").status_code == 404


def test_a_refusal_is_told_without_its_form(console: httpx.Client, world: World, person: Profile) -> None:
    """What is wrong with a form that the page does not show any more stands at the top of the page, and once."""
    charge = world.charges.add(person, Money("100.00"))
    world.charges.credit(person, charge, Money("150.00"))
    base = f"/profiles/{person.id}/charges/{charge.id}"
    sent(console, f"{base}/refund", method="bank_card", amount="")

    late = console.post(f"{base}/refund", data={"method": "bank_card", "amount": ""})
    odd = console.post(f"{base}/refund", data={"method": "barter", "amount": "1"})
    shown_there = console.post(f"{base}/credit", data={"amount": "x"})

    assert [late.status_code, odd.status_code] == [422, 422]
    assert f'action="{base}/refund"' not in late.text
    assert "charges.nothing_overpaid" in shown(late)
    assert "method: Choose one of the list." in shown(odd)
    for page in (late, odd, shown_there):
        assert page.text.count('role="alert"') == 1


def test_a_transfer_arrives(console: httpx.Client, world: World, person: Profile) -> None:
    """A transfer is matched by what its purpose says or as the single tax payment; what is not stays visible."""
    fine = world.charges.add(person, Money("100.00"))
    tax = world.charges.add(person, Money("100.00"), kind=ChargeKind.TAX)
    base = f"/profiles/{person.id}"

    matched = sent(console, f"{base}/transfers", amount="100", purpose=f"Штраф, УИН {fine.uin}")
    single = sent(console, f"{base}/transfers", amount="40", purpose="ЕНП", single_tax="yes")
    lost = sent(console, f"{base}/transfers", amount="5", purpose="Без назначения")
    wrong = console.post(f"{base}/transfers", data={"amount": "5", "purpose": ""})

    client = connect(world, person)
    assert client.charges.get(fine.id).status == ChargeStatus.PAID
    assert client.charges.get(tax.id).paid == Money("40.00")
    assert "is matched" in shown(matched)
    assert "is matched" in shown(single)
    assert "found no charge" in shown(lost)
    assert "Невыясненный платёж" in shown(lost)
    assert wrong.status_code == 422
    assert len(list(client.charges.bank_transfers())) == 3


@pytest.mark.parametrize("act, status", [("confirm", "succeeded"), ("decline", "declined")])
def test_payments_are_decided(
    console: httpx.Client, world: World, person: Profile, act: str, status: PaymentStatus
) -> None:
    """Pending payments stand on the profile's page and on the card, each with buttons that decide it once."""
    charge = world.charges.add(person, Money("100.00"))
    client = connect(world, person)
    payment = client.charges.pay(charge.id, method=PaymentMethod.SBP)
    base = f"/profiles/{person.id}"

    pages = [console.get(base), console.get(f"{base}/charges/{charge.id}")]
    decided = sent(console, f"{base}/payments/{payment.id}/{act}", charge=charge.id)
    late = sent(console, f"{base}/payments/{payment.id}/{act}")
    unknown = console.post(f"{base}/payments/{payment.id}/steal")
    lost = console.post(f"{base}/payments/none/{act}")

    for page in pages:
        assert f"№ {payment.number}" in page.text
        assert f'action="{base}/payments/{payment.id}/{act}"' in page.text
    assert decided.url.path == f"{base}/charges/{charge.id}"
    assert late.url.path == base
    assert "Nothing was done" in shown(late)
    assert [unknown.status_code, lost.status_code] == [404, 404]
    assert client.charges.payment(payment.id).status == status


def test_a_profile_decides_what_is_its_own(console: httpx.Client, world: World, person: Profile) -> None:
    """Below the address of a profile, another's payments and refunds are not there."""
    other = world.profiles.add("Петров")
    owed, overpaid = (world.charges.add(person, Money("100.00")) for _ in range(2))
    world.charges.credit(person, overpaid, Money("150.00"))
    client = connect(world, person)
    payment = client.charges.pay(owed.id, method=PaymentMethod.SBP)
    refund = client.charges.request_refund(overpaid.id, method=RefundMethod.COMPENSATION)
    base = f"/profiles/{other.id}"

    answers = [
        console.post(f"{base}/payments/{payment.id}/confirm"),
        console.post(f"{base}/refunds/{refund.id}/refuse"),
    ]

    assert [each.status_code for each in answers] == [404, 404]
    assert not client.charges.payment(payment.id).status.final
    assert not client.charges.refund(refund.id).status.final


def test_every_pending_payment_can_be_decided(console: httpx.Client, world: World, person: Profile) -> None:
    """A card shows its own pending payments however many others there are, and the profile all of them, in pages."""
    world.charges.script(*[Outcome.HOLD] * 60)
    client = connect(world, person)
    first = world.charges.add(person, Money("100.00"))
    parts = [client.charges.pay(first.id, amount=Money("1.00"), method=PaymentMethod.SBP) for _ in range(27)]
    others = [world.charges.add(person, Money("1.00")) for _ in range(27)]
    payments = parts + [client.charges.pay(each.id, method=PaymentMethod.SBP) for each in others]
    base = f"/profiles/{person.id}"

    def decidable(address: str) -> list[str]:
        found: list[str] = []
        while address:
            text = console.get(address).text
            found += re.findall(r'/payments/(\w+)/confirm"', text)
            further = re.search(r'rel="next" href="([^"]+pending=[^"]+)"', text)
            address = unescape(further[1]) if further else ""
        return found

    assert sorted(decidable(base)) == sorted(payment.id for payment in payments)
    assert sorted(decidable(f"{base}/charges/{first.id}")) == sorted(payment.id for payment in parts)
    assert decidable(f"{base}/charges/{others[-1].id}") == [payments[-1].id]


def test_outcomes_are_scripted(console: httpx.Client, world: World, person: Profile) -> None:
    """The next payments end as a person has noted, as often as noted."""
    charges = [world.charges.add(person, Money("100.00")) for _ in range(3)]
    base = f"/profiles/{person.id}"

    sent(console, f"{base}/outcomes", subject="payment", outcome="decline", times="2")
    wrong = console.post(f"{base}/outcomes", data={"subject": "payment", "outcome": "decline", "times": "0"})
    odd = console.post(f"{base}/outcomes", data={"subject": "fine", "outcome": "decline", "times": "1"})

    client = connect(world, person)
    ends: list[PaymentStatus] = []
    for charge in charges:
        payment = client.charges.pay(charge.id, method=PaymentMethod.SBP)
        world.clock.sleep(10)
        ends.append(client.charges.payment(payment.id).status)
    assert ends == [PaymentStatus.DECLINED, PaymentStatus.DECLINED, PaymentStatus.SUCCEEDED]
    assert [wrong.status_code, odd.status_code] == [422, 422]


def test_the_pay_page_knows_every_state(console: httpx.Client, world: World, person: Profile) -> None:
    """A payment that is unknown, declined or expired says so, and its buttons are gone."""
    charge = world.charges.add(person, Money("100.00"))
    client = connect(world, person)
    declined = client.charges.pay(charge.id, method=PaymentMethod.SBP)
    refused = sent(console, f"/pay/{declined.id}/decline")
    world.charges.script(Outcome.HOLD)
    expired = client.charges.pay(charge.id, method=PaymentMethod.SBP)
    waiting = console.get(f"/pay/{expired.id}")
    world.clock.sleep(3600)
    late = console.post(f"/pay/{expired.id}/confirm")

    assert "Отклонено плательщиком" in refused.text
    assert "<form" not in refused.text
    assert "Подтвердить" in waiting.text
    assert late.status_code == 409
    assert "Истёк срок подтверждения" in late.text
    assert console.get("/pay/pay_none").status_code == 404
    assert console.post("/pay/pay_none/confirm").status_code == 404
    assert console.post(f"/pay/{expired.id}/steal").status_code == 404
