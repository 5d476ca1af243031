"""How money is shared among charges, by the Tax Code."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import groupby

from cabinet_sdk.charges.models import Charge, ChargeKind, PaymentItem
from cabinet_sdk.types import Money

__all__ = ["distribute"]


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
