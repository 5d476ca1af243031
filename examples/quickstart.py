"""
See what is due, pay it, in full, in part, and through a network that loses an answer, and take the papers along.

Needs a reference server with its made-up people; `make demo` starts one and runs this against it. By hand, with the
folder for the papers:

    python -m examples.quickstart http://127.0.0.1:8080 .
"""

from __future__ import annotations

import re
import sys
import urllib.request
from collections.abc import Iterable
from pathlib import Path

from cabinet_sdk import Cabinet, ClientCredentials
from cabinet_sdk.charges import Charge, ChargeId, ExportFormat, Payment, PaymentMethod
from cabinet_sdk.transports import HttpxTransport
from cabinet_sdk.types import Money
from examples.losing_transport import LosingTransport
from examples.progress_bar import ProgressBar

PERSON = "Смирнова Анна Сергеевна"


def main(server: str, folder: Path) -> None:
    """Sign in, look, pay in full and in part, lose an answer, look again, save the papers."""
    print(f"The reference server at {server} plays the cabinet; everybody in it is made up.")
    transport = LosingTransport(HttpxTransport())
    with Cabinet(f"{server}/v1", credentials_of(PERSON, server), transport=transport) as cabinet:
        print(f"Signed in as {PERSON}. Overdue (задолженность):\n")
        debts = list(cabinet.charges.list(overdue=True))
        show(debts)
        whole, part, unlucky = debts[:3]

        print(f"\n1. Pay all of «{whole.purpose}».")
        follow(cabinet, cabinet.charges.pay(whole.id, method=PaymentMethod.SBP))

        half = Money.from_kopecks(part.due.kopecks // 2)
        print(f"\n2. Pay half of «{part.purpose}».")
        follow(cabinet, cabinet.charges.pay(part.id, method=PaymentMethod.BANK_CARD, amount=half))

        print(f"\n3. Pay «{unlucky.purpose}» while the network loses the answer.")
        transport.lose_next_answer_to("POST")
        payment = cabinet.charges.pay(unlucky.id, method=PaymentMethod.BANK_CARD)
        print("   The server took the payment, its answer was lost, and the SDK asked again under the same key.")
        follow(cabinet, payment)
        after = cabinet.charges.get(unlucky.id)
        times = payments_of(cabinet, unlucky.id)
        print(f"   Answers lost: {transport.lost}. Payments made: {times}. Overpaid: {after.overpaid.formatted}.")
        if times != 1 or after.due or after.overpaid:
            sys.exit("   That is not what it should be.")
        print("   Nothing was paid twice.")

        print("\nThe same charges now:\n")
        show(cabinet.charges.get(charge.id) for charge in debts)

        print(f"\n4. Take the papers along, to {folder}.")
        with cabinet.charges.receipt(payment.id) as file:
            file.save(folder / "receipt.pdf", progress=ProgressBar("   receipt.pdf "))
        with cabinet.charges.export(ExportFormat.XLSX) as file:
            file.save(folder / "charges.xlsx", progress=ProgressBar("   charges.xlsx"))


def follow(cabinet: Cabinet, payment: Payment) -> None:
    """Wait for the end of a payment and tell it."""
    payment = cabinet.charges.wait_for_payment(payment.id)
    order = f", платёжное поручение № {payment.payment_order_number}" if payment.payment_order_number else ""
    print(f"   {payment.method.label}, {payment.amount.formatted}: {payment.status.label.lower()}{order}.")


def payments_of(cabinet: Cabinet, charge_id: ChargeId) -> int:
    """Count the payments that the charge has had from this cabinet."""
    return len({event.payment_id for event in cabinet.charges.history(charge_id) if event.payment_id is not None})


def show(charges: Iterable[Charge]) -> None:
    """Print charges as a table."""
    print(f"{'Срок':<12}{'Статус':<18}{'Начислено':>14}{'К оплате':>14}  За что")
    for charge in charges:
        print(
            f"{charge.due_on:%d.%m.%Y}  {charge.status.label:<18}{charge.amount.formatted:>14}"
            f"{charge.due.formatted:>14}  {charge.purpose}"
        )


def credentials_of(name: str, server: str) -> ClientCredentials:
    """Read the credentials of a made-up person off the server's page; a real program has its own."""
    with urllib.request.urlopen(server) as page:  # noqa: S310  # the address was given on the command line
        text = page.read().decode()
    found = re.search(rf">{re.escape(name)}</a>.*?<code[^>]*>(\w+)</code>.*?<code[^>]*>(\w+)</code>", text, re.DOTALL)
    if found is None:
        sys.exit(f"{server} does not know {name}: is it a reference server on this machine?")
    return ClientCredentials(found[1], found[2])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1].rstrip("/"), Path(sys.argv[2]))
