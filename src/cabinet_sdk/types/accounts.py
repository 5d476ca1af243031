"""Where money is kept: БИК of a bank, and account numbers, whose key digit only the two together can prove."""

from __future__ import annotations

import re
from typing import Final, Self

from cabinet_sdk.types.identifiers import CAPITALS, Identifier
from cabinet_sdk.types.kinds import check_kind

__all__ = ["AccountNumber", "Bik", "TreasuryAccount"]

_account: Final = re.compile(r"[0-9]{5}[0-9ABCEHKMPTX][0-9]{14}").fullmatch
_LETTERS_AS_DIGITS: Final = str.maketrans("ABCEHKMPTX", "0123456789")
_WEIGHTS: Final = (7, 1, 3) * 7 + (7, 1)
_KEY: Final = 8
"""Index of the key, the ninth digit of an account."""
_HELD_BY_THE_BANK_OF_RUSSIA: Final = ("30101", "40102")
"""Correspondent accounts of banks, and the single treasury accounts (ЕКС)."""


class Bik(Identifier):
    """
    БИК, the code of a bank or of a body of the treasury: 9 digits, none of them a check.

    Those of banks begin with 04, those of the treasury with 00, 01 or 02.

    Raises:
        InvalidValue: With the rule ``characters`` or ``length``.
    """

    __slots__ = ()

    label = "БИК"
    pattern = r"^[0-9]{9}$"
    example = "044525225"
    min_length = 9
    max_length = 9
    _lengths = (9,)


class AccountNumber(Identifier):
    """
    Number of an account in a bank, in the Bank of Russia or in the treasury: 20 characters, the sixth maybe a letter.

    Its ninth digit, the key, depends on the bank too: `check` proves both together.

    Raises:
        InvalidValue: With the rule ``length`` or ``characters``.
    """

    __slots__ = ()

    label = "Номер счёта"
    pattern = r"^[0-9]{5}[0-9ABCEHKMPTX][0-9]{14}$"
    example = "40802810838000012345"
    min_length = 20
    max_length = 20
    _lengths = (20,)
    _normal = CAPITALS

    @property
    def is_treasury(self) -> bool:
        """Whether it is an account in the treasury (казначейский счёт), which has no key."""
        return self.startswith("0")

    def key_fits(self, bik: Bik) -> bool:
        """
        Tell whether the key fits the bank; an account in the treasury has none, so any bank will do.

        Raises:
            TypeError: For anything but a `Bik`.
        """
        _check_bank(bik)
        return self.is_treasury or _key_sum(self, bik) % 10 == 0

    def check(self, bik: Bik) -> None:
        """
        Check that the key fits the bank.

        Raises:
            InvalidValue: With the rule ``account_key``: the account or the БИК has a wrong digit.
            TypeError: For anything but a `Bik`.
        """
        if not self.key_fits(bik):
            expected = "an account whose key, the ninth digit, fits the БИК of its bank"
            raise self._refusal("account_key", expected, str(self))

    @classmethod
    def with_key(cls, stem: str, bik: Bik) -> Self:
        """
        Put the right key into an account, for made-up data; whatever stands in its place, the ninth, is replaced.

        Raises:
            InvalidValue: The stem is no account number; with the rule ``no_key``, an account in the treasury.
            TypeError: For anything but text and a `Bik`.
        """
        cls._check_text(stem)
        _check_bank(bik)
        canonical = cls._canonical(stem)
        account = cls(canonical[:_KEY] + "0" + canonical[_KEY + 1 :])
        if account.is_treasury:
            raise cls._refusal("no_key", "an account outside the treasury: those in it have no key", account)
        # The key's weight is 3, and 3 · 3 = 9 ≡ -1 (mod 10): three times the sum without it makes the whole sum vanish.
        key = 3 * _key_sum(account, bik) % 10
        return cls(f"{account[:_KEY]}{key}{account[_KEY + 1 :]}")

    @classmethod
    def _check(cls, value: str) -> None:
        # A letter is right or wrong by its place, which only the right length tells.
        cls._check_length(value)
        if _account(value) is None:
            expected = "digits 0-9 in an account number, one of the letters ABCEHKMPTX only as the sixth character"
            raise cls._refusal("characters", expected, value)


class TreasuryAccount(AccountNumber):
    """
    Number of an account in the treasury (казначейский счёт): 20 digits, the first a zero, none of them a key.

    Raises:
        InvalidValue: With the rule ``length``, ``characters`` or ``first_digit``.
    """

    __slots__ = ()

    label = "Казначейский счёт"
    pattern = r"^0[0-9]{19}$"
    example = "03100643000000018500"

    @classmethod
    def _check(cls, value: str) -> None:
        cls._check_length(value)
        cls._check_characters(value)
        if not value.startswith("0"):
            raise cls._refusal("first_digit", "an account in the treasury, which begins with 0", value)


def _check_bank(bik: object) -> None:
    check_kind(bik, Bik, "a bank is told by its Bik", "Bik(text) makes one")


def _key_sum(account: AccountNumber, bik: Bik) -> int:
    """
    Sum by which the key is proved: a multiple of ten when it is right.

    The account is prefixed by three digits of the БИК: the last three where a credit organisation holds it, ``0`` and
    the fifth and sixth where the Bank of Russia does.
    """
    prefix = f"0{bik[4:6]}" if account.startswith(_HELD_BY_THE_BANK_OF_RUSSIA) else bik[6:]
    digits = prefix + account.translate(_LETTERS_AS_DIGITS)
    return sum(int(digit) * weight % 10 for digit, weight in zip(digits, _WEIGHTS, strict=True))
