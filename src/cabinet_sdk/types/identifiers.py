"""What every identifier shares: text that is checked where somebody gives it and canonical from then on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from cabinet_sdk.errors import InvalidValue, mask
from cabinet_sdk.types.kinds import check_kind

__all__ = ["CAPITALS", "DIGITS", "SPACES", "Identifier", "SelfChecking", "weighted"]

SPACES = dict.fromkeys(map(ord, " \u00a0\u202f"))
"""Translation that removes the spaces people group digits with: plain, no-break, narrow no-break."""

CAPITALS = SPACES | {ord(letter): letter.upper() for letter in "abcdefghijklmnopqrstuvwxyz"}
"""The same, with Latin letters made capitals: `str.upper` turns foreign letters such as ``ı`` into Latin ones too."""

DIGITS = frozenset("0123456789")


class Identifier(str):
    """
    Base of all identifiers: a `str` that holds the canonical form, so it compares, hashes and encodes as such.

    Constructing checks and normalises: spaces are removed, and where the customary form has hyphens, those. Nothing
    else is forgiven, digits of other scripts included. `repr` is masked, `str` is whole.

    Raises:
        InvalidValue: With the rule that the value breaks, such as ``length`` or ``check_digit``.
        TypeError: For anything but text: a number has lost its leading zeros.
    """

    __slots__ = ()

    label: ClassVar[str]
    """The Russian name, such as ``ИНН``."""

    pattern: ClassVar[str]
    """Regular expression of the canonical form, ECMA 262, anchored. It knows nothing of check digits."""

    example: ClassVar[str]
    """A value that passes every check."""

    min_length: ClassVar[int]
    max_length: ClassVar[int]

    _lengths: ClassVar[tuple[int, ...]]
    _normal: ClassVar[Mapping[int, str | None]] = SPACES

    def __new__(cls, value: str) -> Self:
        """Check and normalise what somebody gave."""
        cls._check_text(value)
        canonical = cls._canonical(value)
        cls._check(canonical)
        return cls.trusted(canonical)

    @classmethod
    def trusted(cls, value: str) -> Self:
        """Take a value as the service sent it, without any check."""
        return str.__new__(cls, value)

    @property
    def formatted(self) -> str:
        """The customary form on paper; where there is none, the canonical one."""
        return str(self)

    @classmethod
    def _check_text(cls, value: object) -> None:
        reason = "a number loses leading zeros" if isinstance(value, int | float) else ""
        check_kind(value, str, f"{cls.__name__} takes text", reason)

    @classmethod
    def _canonical(cls, value: str) -> str:
        return value.strip().translate(cls._normal)

    @classmethod
    def _check(cls, value: str) -> None:
        cls._check_characters(value)
        cls._check_length(value)

    @classmethod
    def _check_characters(cls, value: str) -> None:
        if not DIGITS.issuperset(value):
            raise cls._refusal("characters", f"nothing but digits 0-9 in {cls.label}", value)

    @classmethod
    def _check_length(cls, value: str) -> None:
        if len(value) not in cls._lengths:
            lengths = " or ".join(map(str, cls._lengths))
            raise cls._refusal("length", f"{lengths} characters of {cls.label}", value)

    @classmethod
    def _refusal(cls, rule: str, expected: str, value: str) -> InvalidValue:
        return InvalidValue(cls.__name__, rule, expected, value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({mask(str(self))!r})"

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return type(self).trusted, (str(self),)


class SelfChecking(Identifier):
    """Base of the identifiers whose last digits follow from the others."""

    __slots__ = ()

    _stem_lengths: ClassVar[tuple[int, ...]]
    # For each right length, how many characters come before the check digits.

    @classmethod
    def with_check_digits(cls, stem: str) -> Self:
        """
        Complete an identifier that lacks its check digits, for made-up data.

        Raises:
            InvalidValue: The stem breaks a rule other than that of check digits.
            TypeError: For anything but text.
        """
        cls._check_text(stem)
        canonical = cls._canonical(stem)
        if len(canonical) not in cls._stem_lengths:
            lengths = " or ".join(map(str, cls._stem_lengths))
            raise cls._refusal("length", f"the {lengths} characters of {cls.label} before its check digits", stem)
        whole = cls._lengths[cls._stem_lengths.index(len(canonical))]
        cls._check_form(canonical.ljust(whole, "0"))
        return cls(canonical + cls._check_digits(canonical))

    @classmethod
    def _check(cls, value: str) -> None:
        cls._check_form(value)
        stem = value[: cls._stem_lengths[cls._lengths.index(len(value))]]
        if not cls._is_exempt(value) and stem + cls._check_digits(stem) != value:
            raise cls._refusal("check_digit", f"{cls.label} whose last digits follow from the others", value)

    @classmethod
    def _check_form(cls, value: str) -> None:
        cls._check_characters(value)
        cls._check_length(value)

    @classmethod
    def _is_exempt(cls, value: str) -> bool:  # noqa: ARG003 - kinds that exempt some values look at it
        return False

    @classmethod
    def _check_digits(cls, stem: str) -> str:
        raise NotImplementedError


def weighted(digits: str, weights: tuple[int, ...]) -> int:
    """Sum the digits, each times its weight."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))
