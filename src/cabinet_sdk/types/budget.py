"""What a payment to the budget names: УИН of the charge, КБК of the income, ОКТМО of the municipality."""

from __future__ import annotations

import re
from typing import Final

from cabinet_sdk.types.identifiers import CAPITALS, Identifier, SelfChecking

__all__ = ["Kbk", "Oktmo", "Uin"]

_CYRILLIC: Final = "АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЭЮЯЪЫЬ"
_CYRILLIC_VALUES: Final = (*range(1, 29), 33, 36, 42)
# Latin look-alikes count as the Cyrillic letter.
_LOOK_ALIKES: Final = {
    "A": 1,
    "B": 3,
    "E": 6,
    "K": 10,
    "M": 12,
    "H": 13,
    "O": 14,
    "P": 16,
    "C": 17,
    "T": 18,
    "Y": 19,
    "X": 21,
}
_LATIN: Final = "DFGIJLNQRSUVWZ"
_VALUES: Final = (
    {digit: int(digit) for digit in "0123456789"}
    | dict(zip(_CYRILLIC, _CYRILLIC_VALUES, strict=True))
    | _LOOK_ALIKES
    | {letter: value for value, letter in enumerate(_LATIN, start=29)}
)
_BOTH_CAPITALS: Final = CAPITALS | {ord(letter.lower()): letter for letter in _CYRILLIC}
_uin: Final = re.compile(r"[0-9A-ZА-ИК-Я]*").fullmatch


class Uin(SelfChecking):
    """
    УИН, the number of a charge: 20 characters, letters among them maybe, or 25 digits.

    Letters are Latin or Cyrillic, capitals once canonical; ``A`` and ``А`` check alike but stay different numbers.

    Raises:
        InvalidValue: With the rule ``characters``, ``length``, ``all_zeros`` or ``check_digit``.
    """

    __slots__ = ()

    label = "УИН"
    pattern = r"^([0-9A-ZА-ИК-Я]{20}|[0-9]{25})$"
    example = "18810177170000000083"
    min_length = 20
    max_length = 25
    _lengths = (20, 25)
    _stem_lengths = (19, 24)
    _normal = _BOTH_CAPITALS

    @classmethod
    def _check_form(cls, value: str) -> None:
        super()._check_form(value)
        if len(value) == cls.max_length and not value.isdecimal():
            raise cls._refusal("characters", "nothing but digits 0-9 in an УИН of 25 characters", value)
        if not value.strip("0"):
            raise cls._refusal("all_zeros", "an УИН that is not all zeros", value)

    @classmethod
    def _check_characters(cls, value: str) -> None:
        if _uin(value) is None:
            raise cls._refusal("characters", "digits 0-9, Latin and Cyrillic letters (no Ё, no Й) in УИН", value)

    @classmethod
    def _check_digits(cls, stem: str) -> str:
        control = 0
        # Weights 1 to 10 over and over; where that leaves 10, once more from 3; where that does too, 0.
        for start in (0, 2):
            control = sum(_VALUES[sign] % 10 * ((place + start) % 10 + 1) for place, sign in enumerate(stem)) % 11
            if control < 10:
                break
        return str(control % 10)


class Kbk(Identifier):
    """
    КБК, the code of an income of the budget: 20 characters, digits and, as ГИС ГМП allows, letters; none is a check.

    Raises:
        InvalidValue: With the rule ``characters``, ``length`` or ``all_zeros``.
    """

    __slots__ = ()

    label = "КБК"
    pattern = r"^[0-9A-ZА-ИК-Я]{20}$"
    example = "18201061201010000510"
    min_length = 20
    max_length = 20
    _lengths = (20,)
    _normal = _BOTH_CAPITALS

    @classmethod
    def _check(cls, value: str) -> None:
        super()._check(value)
        if not value.strip("0"):
            raise cls._refusal("all_zeros", "a КБК that is not all zeros", value)

    @classmethod
    def _check_characters(cls, value: str) -> None:
        if _uin(value) is None:
            raise cls._refusal("characters", "digits 0-9, Latin and Cyrillic letters (no Ё, no Й) in КБК", value)


class Oktmo(Identifier):
    """
    ОКТМО, the code of a municipality: 8 digits, 11 of a settlement, or ``0`` where a payment names none.

    Raises:
        InvalidValue: With the rule ``characters``, ``length`` or ``all_zeros``.
    """

    __slots__ = ()

    label = "ОКТМО"
    pattern = r"^(0|[0-9]{8}|[0-9]{11})$"
    example = "45301000"
    min_length = 1
    max_length = 11
    _lengths = (1, 8, 11)

    @classmethod
    def _check(cls, value: str) -> None:
        cls._check_characters(value)
        if value == "0":
            return
        if len(value) == 1:
            raise cls._refusal("length", "8 or 11 digits of ОКТМО, or a single 0", value)
        cls._check_length(value)
        if not int(value):
            raise cls._refusal("all_zeros", "an ОКТМО that is not all zeros", value)
