"""Words that every area shares: identifiers, money, periods, open sets of codes."""

from __future__ import annotations

from cabinet_sdk.types.accounts import AccountNumber, Bik, TreasuryAccount
from cabinet_sdk.types.budget import Kbk, Oktmo, Uin
from cabinet_sdk.types.codes import Code, code
from cabinet_sdk.types.files import File, Progress, safe_name
from cabinet_sdk.types.identifiers import Identifier, SelfChecking
from cabinet_sdk.types.money import Money, Rounding
from cabinet_sdk.types.periods import MOSCOW, Period, moscow_date
from cabinet_sdk.types.registrations import Ogrn, Ogrnip, Okved, Snils
from cabinet_sdk.types.taxpayers import Inn, Kpp, OrganisationInn, PersonInn

__all__ = [
    "MOSCOW",
    "AccountNumber",
    "Bik",
    "Code",
    "File",
    "Identifier",
    "Inn",
    "Kbk",
    "Kpp",
    "Money",
    "Ogrn",
    "Ogrnip",
    "Oktmo",
    "Okved",
    "OrganisationInn",
    "Period",
    "PersonInn",
    "Progress",
    "Rounding",
    "SelfChecking",
    "Snils",
    "TreasuryAccount",
    "Uin",
    "code",
    "moscow_date",
    "safe_name",
]
