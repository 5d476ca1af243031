"""The numbers the tax service gives: ИНН to persons and organisations, КПП to an organisation's places."""

from __future__ import annotations

import re
from typing import ClassVar, Final

from cabinet_sdk.types.identifiers import CAPITALS, Identifier, SelfChecking, weighted

__all__ = ["Inn", "Kpp", "OrganisationInn", "PersonInn"]

_ORGANISATION_WEIGHTS: Final = (2, 4, 10, 3, 5, 9, 4, 6, 8)
_PERSON_WEIGHTS: Final = (7, 2, 4, 10, 3, 5, 9, 4, 6, 8)
_PERSON_LAST_WEIGHTS: Final = (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)

_kpp: Final = re.compile(r"[0-9]{4}[0-9A-Z]{2}[0-9]{3}").fullmatch


class Inn(SelfChecking):
    """
    ИНН, the taxpayer's number: 12 digits of a person, 10 of an organisation.

    Raises:
        InvalidValue: With the rule ``characters``, ``length``, ``all_zeros``, ``region`` (the first two digits are not
            ``00``, by the XSDs of the FNS) or ``check_digit``.
    """

    __slots__ = ()

    label = "ИНН"
    pattern = r"^([0-9]{10}|[0-9]{12})$"
    example = "7707083893"
    min_length = 10
    max_length = 12
    _lengths: ClassVar[tuple[int, ...]] = (10, 12)
    _stem_lengths: ClassVar[tuple[int, ...]] = (9, 10)

    @property
    def is_person(self) -> bool:
        """Whether it is a person's, entrepreneurs included."""
        return len(self) == PersonInn.max_length

    @classmethod
    def _check_form(cls, value: str) -> None:
        super()._check_form(value)
        if not int(value):
            raise cls._refusal("all_zeros", "an ИНН that is not all zeros", value)
        if value.startswith("00"):
            raise cls._refusal("region", "an ИНН that does not begin with 00", value)

    @classmethod
    def _check_digits(cls, stem: str) -> str:
        if len(stem) == len(_ORGANISATION_WEIGHTS):
            return _control(stem, _ORGANISATION_WEIGHTS)
        first = _control(stem, _PERSON_WEIGHTS)
        return first + _control(stem + first, _PERSON_LAST_WEIGHTS)


class PersonInn(Inn):
    """
    ИНН of a person, an entrepreneur included: 12 digits.

    Raises:
        InvalidValue: As of `Inn`; with the rule ``ten_digits``, for an organisation's.
    """

    __slots__ = ()

    label = "ИНН физического лица"
    pattern = r"^[0-9]{12}$"
    example = "500100732259"
    min_length = 12
    _lengths = (12,)
    _stem_lengths = (10,)

    @classmethod
    def _check_length(cls, value: str) -> None:
        if len(value) == OrganisationInn.max_length:
            expected = "12 digits, the ИНН of a person; ten digits are an organisation's"
            raise cls._refusal("ten_digits", expected, value)
        super()._check_length(value)


class OrganisationInn(Inn):
    """
    ИНН of an organisation: 10 digits.

    Raises:
        InvalidValue: As of `Inn`; with the rule ``twelve_digits``, for a person's.
    """

    __slots__ = ()

    label = "ИНН организации"
    pattern = r"^[0-9]{10}$"
    max_length = 10
    _lengths = (10,)
    _stem_lengths = (9,)

    @classmethod
    def _check_length(cls, value: str) -> None:
        if len(value) == PersonInn.max_length:
            expected = "10 digits, the ИНН of an organisation; twelve digits are a person's"
            raise cls._refusal("twelve_digits", expected, value)
        super()._check_length(value)


class Kpp(Identifier):
    """
    КПП, why and where an organisation is registered with the tax service: 9 characters, none of them a check.

    Characters five and six, the reason, may be Latin letters.

    Raises:
        InvalidValue: With the rule ``length``, ``characters`` or ``region`` (the first two digits are not ``00``), all
            by the XSDs of the FNS.
    """

    __slots__ = ()

    label = "КПП"
    pattern = r"^([0-9][1-9]|[1-9][0-9])[0-9]{2}[0-9A-Z]{2}[0-9]{3}$"
    example = "770801001"
    min_length = 9
    max_length = 9
    _lengths = (9,)
    _normal = CAPITALS

    @classmethod
    def _check(cls, value: str) -> None:
        # A letter is right or wrong by its place, which only the right length tells.
        cls._check_length(value)
        if _kpp(value) is None:
            expected = "digits 0-9 in КПП, Latin letters only as the fifth and sixth character"
            raise cls._refusal("characters", expected, value)
        if value.startswith("00"):
            raise cls._refusal("region", "a КПП that does not begin with 00", value)


def _control(stem: str, weights: tuple[int, ...]) -> str:
    return str(weighted(stem, weights) % 11 % 10)
