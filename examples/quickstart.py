"""
See what is due and pay it: python examples/quickstart.py http://127.0.0.1:8080

Needs a reference server with its made-up people; `make demo` starts one and runs this against it.
"""

from __future__ import annotations

import re
import sys
import urllib.request

from cabinet_sdk import Cabinet, ClientCredentials
from cabinet_sdk.charges import Charge, Payment, PaymentMethod
from cabinet_sdk.transports import HttpxTransport
from cabinet_sdk.types import Money
from examples.losing_transport import LosingTransport


def main(server: str) -> None:
    transport = LosingTransport(HttpxTransport())
    with Cabinet(f"{server}/v1", credentials_from(server), transport=transport) as cabinet:
        print("Signed in. What is overdue (просроченная задолженность):\n")
        debts = list(cabinet.charges.list(overdue=True))
        show(debts)

        whole, part, third = debts[:3]
        print(f"\nPaying «{whole.purpose}» in full by СБП …")
        report(cabinet, cabinet.charges.pay(whole.id, method=PaymentMethod.SBP))

        half = Money.from_kopecks(part.due.kopecks // 2)
        print(f"\nPaying half of «{part.purpose}» by card …")
        report(cabinet, cabinet.charges.pay(part.id, method=PaymentMethod.BANK_CARD, amount=half))

        print(f"\nPaying «{third.purpose}» while the network loses the answer …")
        transport.lose_next_answer_to("POST")
        payment = cabinet.charges.pay(third.id, method=PaymentMethod.BANK_CARD)
        print(f"  Answers lost: {transport.lost}. The SDK asked again under the same idempotency key.")
        report(cabinet, payment)
        credited = [event for event in cabinet.charges.history(third.id) if event.payment_order_number is not None]
        after = cabinet.charges.get(third.id)
        print(f"  Paid {after.paid.formatted} of {after.amount.formatted}, overpaid {after.overpaid.formatted};")
        print(f"  payments of this run in the history: {sum(event.payment_id is not None for event in credited)}.")
        if after.overpaid or after.due:
            sys.exit("  That is not what it should be.")

        print("\nNow:\n")
        show([cabinet.charges.get(charge.id) for charge in debts])


def report(cabinet: Cabinet, payment: Payment) -> None:
    """Follow a payment to its end."""
    payment = cabinet.charges.wait_for_payment(payment.id)
    print(f"  {payment.amount.formatted}: {payment.status.label}, payment order № {payment.payment_order_number}")


def show(charges: list[Charge]) -> None:
    """Print charges as a table."""
    print(f"{'Due':<12}{'Status':<20}{'Amount':>15}{'To pay':>15}  Purpose")
    for charge in charges:
        print(
            f"{charge.due_on:%d.%m.%Y}  {charge.status.label:<20}{charge.amount.formatted:>15}"
            f"{charge.due.formatted:>15}  {charge.purpose}",
        )


def credentials_from(server: str) -> ClientCredentials:
    """Read the credentials of the first made-up person off the server's page; a real program has its own."""
    with urllib.request.urlopen(server) as page:  # noqa: S310  # the address was given on the command line
        text = page.read().decode()
    found = re.search(r"<td><code>(prf_\w+)</code></td><td><code>(\w+)</code></td>", text)
    if found is None:
        sys.exit(f"{server} shows no credentials: is it a reference server on this machine?")
    return ClientCredentials(found[1], found[2])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1].rstrip("/"))
