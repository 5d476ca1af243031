"""Numbers of state registers: ОГРН, ОГРНИП, СНИЛС; and ОКВЭД, the kind of activity they register."""

from __future__ import annotations

import re
from typing import Final

from cabinet_sdk.types.identifiers import DIGITS, SPACES, Identifier, SelfChecking, weighted

__all__ = ["Ogrn", "Ogrnip", "Okved", "Snils"]

_OKVED_SIGNS: Final = DIGITS | {"."}
_okved: Final = re.compile(r"[0-9]{2}(?:\.[0-9]{1,2}){0,2}").fullmatch
_LAST_UNCHECKED_SNILS: Final = 1_001_998


class Ogrn(SelfChecking):
    """
    ОГРН, the number of an organisation in the register ЕГРЮЛ: 13 digits.

    Raises:
        InvalidValue: With the rule ``characters``, ``length``, ``first_digit`` (1 or 5: the others begin numbers of
            records, ГРН) or ``check_digit``.
    """

    __slots__ = ()

    label = "ОГРН"
    pattern = r"^[15][0-9]{12}$"
    example = "1027700132195"
    min_length = 13
    max_length = 13
    _lengths = (13,)
    _stem_lengths = (12,)

    @classmethod
    def _check_form(cls, value: str) -> None:
        super()._check_form(value)
        if not value.startswith(("1", "5")):
            raise cls._refusal("first_digit", "an ОГРН that begins with 1 or 5", value)

    @classmethod
    def _check_digits(cls, stem: str) -> str:
        return str(int(stem) % 11 % 10)


class Ogrnip(SelfChecking):
    """
    ОГРНИП, the number of an entrepreneur in the register ЕГРИП: 15 digits.

    Raises:
        InvalidValue: With the rule ``characters``, ``length``, ``first_digit`` (3) or ``check_digit``.
    """

    __slots__ = ()

    label = "ОГРНИП"
    pattern = r"^3[0-9]{14}$"
    example = "304500116000157"
    min_length = 15
    max_length = 15
    _lengths = (15,)
    _stem_lengths = (14,)

    @classmethod
    def _check_form(cls, value: str) -> None:
        super()._check_form(value)
        if not value.startswith("3"):
            raise cls._refusal("first_digit", "an ОГРНИП that begins with 3", value)

    @classmethod
    def _check_digits(cls, stem: str) -> str:
        return str(int(stem) % 13 % 10)


class Snils(SelfChecking):
    """
    СНИЛС, the number of a person's insurance account: 11 digits, on paper ``112-233-445 95``.

    The check digits of numbers up to 001-001-998 follow no rule and are not checked.

    Raises:
        InvalidValue: With the rule ``characters``, ``length`` or ``check_digit``.
    """

    __slots__ = ()

    label = "СНИЛС"
    pattern = r"^[0-9]{11}$"
    example = "11223344595"
    min_length = 11
    max_length = 11
    _lengths = (11,)
    _stem_lengths = (9,)
    _normal = SPACES | dict.fromkeys(map(ord, "-\u2010\u2011"))

    @property
    def formatted(self) -> str:
        """The form on paper: ``112-233-445 95``."""
        return f"{self[:3]}-{self[3:6]}-{self[6:9]} {self[9:]}"

    @classmethod
    def _is_exempt(cls, value: str) -> bool:
        return int(value[:9]) <= _LAST_UNCHECKED_SNILS

    @classmethod
    def _check_digits(cls, stem: str) -> str:
        return f"{weighted(stem, (9, 8, 7, 6, 5, 4, 3, 2, 1)) % 101 % 100:02d}"


class Okved(Identifier):
    """
    ОКВЭД, a kind of economic activity by the classifier ОКВЭД 2: ``62``, ``62.0``, ``62.01``, ``62.01.1``.

    Raises:
        InvalidValue: With the rule ``characters`` or ``form``.
    """

    __slots__ = ()

    label = "ОКВЭД"
    pattern = r"^[0-9]{2}(\.[0-9]{1,2}){0,2}$"
    example = "62.01"
    min_length = 2
    max_length = 8

    @classmethod
    def _check(cls, value: str) -> None:
        if not _OKVED_SIGNS.issuperset(value):
            raise cls._refusal("characters", "digits 0-9 and dots in ОКВЭД", value)
        if _okved(value) is None:
            raise cls._refusal("form", "an ОКВЭД such as 62, 62.01 or 62.01.1", value)
