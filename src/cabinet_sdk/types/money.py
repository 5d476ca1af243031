"""Amounts of roubles: whole kopecks inside, a decimal string on the wire, never a float."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from enum import Enum, unique
from typing import ClassVar, Final, final

from cabinet_sdk.errors import InvalidValue
from cabinet_sdk.types.kinds import check_kind

__all__ = ["Money", "Rounding"]

_MOST: Final = 2**63 - 1
_LEAST: Final = -(2**63)
_LONGEST: Final = len("-92233720368547758.08")
_SAFE_DIGITS: Final = 18  # Any number of so few digits fits 64 bits, so that the usual amount needs no comparison.
_FRACTIONS: Final = tuple(f".{kopecks:02d}" for kopecks in range(100))  # Twice as fast as formatting each time.
_canonical: Final = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]{2}").fullmatch
_KOPECK: Final = Decimal("0.01")
# A context of our own: what a program sets for its thread must not change its money.
_EXACT: Final = Context(prec=28, rounding=ROUND_HALF_UP, traps=[InvalidOperation])
_new: Final = object.__new__


@unique
class Rounding(Enum):
    """The rules by which an amount may lose its fraction; the value of each is the unit it rounds to."""

    KOPECK_HALF_UP = Decimal("0.01")
    """To whole kopecks, half a kopeck up."""

    ROUBLE_HALF_UP = Decimal(1)
    """To whole roubles: less than 50 kopecks dropped, 50 and more up (НК РФ, ст. 52 п. 6, the amount of a tax)."""


@final
class Money:
    """
    An amount of roubles, exact to the kopeck.

    ``Money("1234.50")`` takes the canonical text of the wire, ``Money(1234)`` whole roubles, ``Money(Decimal("12.3"))``
    any decimal that is a whole number of kopecks. It holds 64 bits of kopecks; beyond that every operation raises.

    Raises:
        InvalidValue: With the rule ``form``, ``negative_zero``, ``decimals``, ``finite`` or ``range``.
        TypeError: For a float, whose kopecks are not what it shows, a bool and whatever else.
    """

    __slots__ = ("_kopecks",)

    ZERO: ClassVar[Money]
    _kopecks: int

    def __new__(cls, amount: str | int | Decimal) -> Money:
        """Make an amount from the text of the wire, from whole roubles or from a decimal."""
        if isinstance(amount, str):
            return cls.trusted(amount)
        if isinstance(amount, Decimal):
            rounded = _quantized(amount, _KOPECK)
            if rounded != amount:
                raise InvalidValue("Money", "decimals", "at most two decimals: Money.rounded() rounds", str(amount))
            return cls.from_kopecks(int(rounded.scaleb(2, _EXACT)))
        if isinstance(amount, bool) or not isinstance(amount, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            reason = ": a float has no exact kopecks" if isinstance(amount, float) else ""  # pyright: ignore[reportUnnecessaryIsInstance]
            kind = type(amount).__name__
            msg = f"Money takes text such as '12.30', whole roubles as int, or a Decimal, not {kind}{reason}"
            raise TypeError(msg)
        return cls.from_kopecks(amount * 100)

    @classmethod
    def trusted(cls, text: str) -> Money:
        """
        Read the canonical text of the wire, as fast as Python can, and as strictly as ``Money(text)``.

        Raises:
            InvalidValue: The text is not canonical or the amount does not fit 64 bits.
        """
        try:
            roubles, _, kopecks = text.partition(".")
        except AttributeError:
            msg = f"the text of an amount is a str, not {type(text).__name__}"
            raise TypeError(msg) from None
        digits = roubles + kopecks
        if (
            len(kopecks) == 2
            and (roubles >= "1" or roubles == "0")  # Among digits only those without a leading zero sort so.
            and len(digits) <= _SAFE_DIGITS
            and digits.isdigit()
            and digits.isascii()
        ):
            self = _new(cls)
            self._kopecks = int(digits)
            return self
        return cls._read(text)

    @classmethod
    def _read(cls, text: str) -> Money:
        if _canonical(text) is None:
            raise InvalidValue("Money", "form", "roubles with two decimals, such as 1234.50", text)
        if text == "-0.00":
            raise InvalidValue("Money", "negative_zero", "0.00, zero has no sign", text)
        # Longer texts are out of range for certain, and int() must not be fed thousands of digits.
        if len(text) > _LONGEST:
            raise _out_of_range(text)
        return cls.from_kopecks(int(text[:-3] + text[-2:]))

    @classmethod
    def from_kopecks(cls, kopecks: int) -> Money:
        """Make an amount of that many kopecks."""
        check_kind(kopecks, int, "kopecks are an int")
        if not _LEAST <= kopecks <= _MOST:
            # Python writes no numbers of thousands of digits.
            raise _out_of_range(_text(kopecks) if kopecks.bit_length() < 1000 else "…")
        self = _new(cls)
        self._kopecks = int(kopecks)
        return self

    @staticmethod
    def _checked(kopecks: int) -> Money:
        if not _LEAST <= kopecks <= _MOST:
            return Money.from_kopecks(kopecks)  # It raises.
        self = _new(Money)
        self._kopecks = kopecks
        return self

    @classmethod
    def rounded(cls, amount: Decimal, rule: Rounding) -> Money:
        """
        Round a computed amount of roubles by a rule named here.

        Halves go away from zero, so that a sum to be refunded rounds as the same sum to be paid.
        """
        check_kind(amount, Decimal, "only a Decimal is rounded")
        check_kind(rule, Rounding, "the rule of rounding is a Rounding", "Rounding.KOPECK_HALF_UP is one")
        return cls.from_kopecks(int(_quantized(amount, rule.value).scaleb(2, _EXACT)))

    @property
    def kopecks(self) -> int:
        """The whole amount in kopecks."""
        return self._kopecks

    @property
    def roubles(self) -> Decimal:
        """The amount in roubles, with two decimals."""
        return Decimal(_text(self._kopecks))

    @property
    def formatted(self) -> str:
        """The amount as a Russian reader expects it: ``1 234,50 ₽`` with no-break spaces and a true minus sign."""
        roubles, kopecks = divmod(abs(self._kopecks), 100)
        grouped = f"{roubles:,}".replace(",", "\u00a0")
        sign = "\u2212" if self._kopecks < 0 else ""
        return f"{sign}{grouped},{kopecks:02d}\u00a0₽"

    def split(self, parts: int) -> tuple[Money, ...]:
        """
        Divide into that many parts that differ by a kopeck at most and sum to the whole exactly, the largest first.

        Raises:
            InvalidValue: With the rule ``range``, for less than one part.
        """
        check_kind(parts, int, "the number of parts is an int")
        if parts < 1:
            raise InvalidValue("Money.split", "range", "one part or more", str(parts))
        least, remainder = divmod(self._kopecks, parts)
        small = Money.from_kopecks(least)
        if not remainder:
            return (small,) * parts
        return (Money.from_kopecks(least + 1),) * remainder + (small,) * (parts - remainder)

    def __add__(self, other: Money) -> Money:
        return self._checked(self._kopecks + other._kopecks) if type(other) is Money else NotImplemented

    def __radd__(self, other: int) -> Money:
        # sum() starts from the int 0; no other number is money.
        return self if type(other) is int and other == 0 else NotImplemented

    def __sub__(self, other: Money) -> Money:
        return self._checked(self._kopecks - other._kopecks) if type(other) is Money else NotImplemented

    def __mul__(self, factor: int) -> Money:
        if isinstance(factor, bool) or not isinstance(factor, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            return NotImplemented
        return self._checked(self._kopecks * factor)

    __rmul__ = __mul__

    def __neg__(self) -> Money:
        return self._checked(-self._kopecks)

    def __pos__(self) -> Money:
        return self

    def __abs__(self) -> Money:
        return self._checked(abs(self._kopecks))

    def __bool__(self) -> bool:
        return self._kopecks != 0

    def __eq__(self, other: object) -> bool:
        return self._kopecks == other._kopecks if type(other) is Money else NotImplemented

    # Of > and >= Python asks the other amount.
    def __lt__(self, other: Money) -> bool:
        return self._kopecks < other._kopecks if type(other) is Money else NotImplemented

    def __le__(self, other: Money) -> bool:
        return self._kopecks <= other._kopecks if type(other) is Money else NotImplemented

    def __hash__(self) -> int:
        return hash(self._kopecks)

    def __str__(self) -> str:
        return _text(self._kopecks)

    def __repr__(self) -> str:
        return f"Money('{_text(self._kopecks)}')"

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return Money.from_kopecks, (self._kopecks,)


Money.ZERO = Money(0)


def _text(kopecks: int) -> str:
    if kopecks < 0:
        return "-" + _text(-kopecks)
    return str(kopecks // 100) + _FRACTIONS[kopecks % 100]


def _quantized(amount: Decimal, unit: Decimal) -> Decimal:
    if not amount.is_finite():
        raise InvalidValue("Money", "finite", "a finite number", str(amount))
    try:
        return amount.quantize(unit, context=_EXACT)
    except InvalidOperation:
        # The result would have more digits than the context: far beyond 64 bits.
        raise _out_of_range(str(amount)) from None


def _out_of_range(value: str) -> InvalidValue:
    return InvalidValue("Money", "range", f"an amount from {_text(_LEAST)} to {_text(_MOST)}", value)
