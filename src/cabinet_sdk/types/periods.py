"""Stretches of whole days, as taxes and reports are counted, and the day it is in Moscow."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Final, final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cabinet_sdk.errors import InvalidValue
from cabinet_sdk.types.kinds import check_kind

__all__ = ["MOSCOW", "Period", "moscow_date"]

_interval: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})/([0-9]{4}-[0-9]{2}-[0-9]{2})").fullmatch


def _moscow() -> tzinfo:
    try:
        return ZoneInfo("Europe/Moscow")
    except ZoneInfoNotFoundError:
        return timezone(timedelta(hours=3), "MSK")


MOSCOW: Final[tzinfo] = _moscow()
"""
Moscow time, in which terms of law are counted.

A machine without time zone data gets plain UTC+3 instead: the same for every moment since 26.10.2014, when Moscow gave
up changing its clocks. Who dates earlier moments there installs ``tzdata``.
"""


def moscow_date(moment: datetime) -> date:
    """
    Return the day it is in Moscow at a moment.

    Raises:
        InvalidValue: With the rule ``offset``, for a moment without an offset: nobody knows when that is.
        TypeError: For anything but a moment, dates included.
    """
    check_kind(moment, datetime, "a moment is a datetime")
    if moment.utcoffset() is None:
        raise InvalidValue("moment", "offset", "a datetime with an offset", moment.isoformat())
    return moment.astimezone(MOSCOW).date()


def _demand_day(value: object, what: str) -> None:
    moment = isinstance(value, datetime)
    advice = "moscow_date() gives the day of a moment" if moment else "date(2026, 3, 31) makes one"
    check_kind(value, date, f"{what} is a date", advice)


@final
class Period:
    """
    All days from the first to the last, both included.

    ``str()`` is the form on the wire, an interval of ISO 8601: ``2026-01-01/2026-03-31``.

    Raises:
        InvalidValue: With the rule ``order``, when the first day comes after the last.
        TypeError: For anything but dates, moments included.
    """

    # Not an attrs class: it travels as text, and the codec would take one apart into its fields.
    __slots__ = ("_first", "_last")

    def __init__(self, first: date, last: date) -> None:
        _demand_day(first, "Period.first")
        _demand_day(last, "Period.last")
        self._first = first
        self._last = last
        if first > last:
            raise InvalidValue("Period", "order", "a first day not after the last", str(self))

    @property
    def first(self) -> date:
        """The first day."""
        return self._first

    @property
    def last(self) -> date:
        """The last day."""
        return self._last

    @classmethod
    def day(cls, day: date) -> Period:
        """Make the period of one day."""
        return cls(day, day)

    @classmethod
    def month(cls, year: int, month: int) -> Period:
        """Make the period of a calendar month, 1 to 12."""
        return cls._months("month", year, month, 1)

    @classmethod
    def quarter(cls, year: int, quarter: int) -> Period:
        """Make the period of a calendar quarter, 1 to 4."""
        return cls._months("quarter", year, quarter, 3)

    @classmethod
    def year(cls, year: int) -> Period:
        """Make the period of a calendar year."""
        return cls._months("year", year, 1, 12)

    @classmethod
    def _months(cls, kind: str, year: int, number: int, months: int) -> Period:
        """Make the period of a calendar year's part of that number, of so many months."""
        for each, given, most in (("year", year, date.max.year), (kind, number, 12 // months)):
            check_kind(given, int, f"Period.{kind}: a {each} is an int")
            if not 1 <= given <= most:
                raise InvalidValue(f"Period.{kind}", "range", f"a {each} from 1 to {most}", str(given), personal=False)
        first, last = (number - 1) * months + 1, number * months
        end = date(year, 12, 31) if last == 12 else date(year, last + 1, 1) - timedelta(days=1)
        return cls(date(year, first, 1), end)

    @classmethod
    def current_month(cls, now: datetime | None = None) -> Period:
        """Return the calendar month it is in Moscow, by the system's clock unless a moment is given."""
        today = _today(now)
        return cls.month(today.year, today.month)

    @classmethod
    def current_quarter(cls, now: datetime | None = None) -> Period:
        """Return the calendar quarter it is in Moscow, by the system's clock unless a moment is given."""
        today = _today(now)
        return cls.quarter(today.year, (today.month + 2) // 3)

    @classmethod
    def current_year(cls, now: datetime | None = None) -> Period:
        """Return the calendar year it is in Moscow, by the system's clock unless a moment is given."""
        return cls.year(_today(now).year)

    @classmethod
    def parse(cls, text: str) -> Period:
        """
        Read the form on the wire, two ISO dates with a slash between.

        Raises:
            InvalidValue: With the rule ``form``, ``calendar`` (no such day) or ``order``.
            TypeError: For anything but text.
        """
        check_kind(text, str, "Period.parse takes text")
        found = _interval(text)
        if found is None:
            raise InvalidValue("Period", "form", "two ISO dates, such as 2026-01-01/2026-03-31", text)
        try:
            first, last = date.fromisoformat(found[1]), date.fromisoformat(found[2])
        except ValueError:
            raise InvalidValue("Period", "calendar", "days that the calendar has", text) from None
        return cls(first, last)

    @property
    def days(self) -> int:
        """How many days there are."""
        return (self.last - self.first).days + 1

    @property
    def formatted(self) -> str:
        """The period as a Russian reader expects it: ``01.01.2026–31.03.2026``."""
        return "–".join(f"{day.day:02}.{day.month:02}.{day.year:04}" for day in (self.first, self.last))

    def __contains__(self, day: date) -> bool:
        """
        Tell whether a day lies in the period.

        Raises:
            TypeError: For a moment: `moscow_date` gives its day.
        """
        _demand_day(day, "what may lie in a period")
        return self.first <= day <= self.last

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Period) and (self._first, self._last) == (other._first, other._last)

    def __hash__(self) -> int:
        return hash((self._first, self._last))

    def __str__(self) -> str:
        return f"{self.first.isoformat()}/{self.last.isoformat()}"

    def __repr__(self) -> str:
        return f"Period({self.first!r}, {self.last!r})"

    def __reduce__(self) -> tuple[type[Period], tuple[date, date]]:
        return Period, (self._first, self._last)


def _today(now: datetime | None) -> date:
    return moscow_date(datetime.now(MOSCOW) if now is None else now)
