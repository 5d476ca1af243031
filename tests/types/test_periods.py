"""Periods: whole days, both ends included, counted in Moscow."""

import copy
import pickle
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabinet_sdk.errors import InvalidValue
from cabinet_sdk.types import MOSCOW, Period, moscow_date, periods

NEW_YEAR = datetime(2025, 12, 31, 21, 0, tzinfo=UTC)
"""Midnight in Moscow."""
FIXED = timezone(timedelta(hours=3))
SETTLED = datetime.fromisoformat("2014-10-26")
"""When the offset of Moscow became what it is."""

spans = st.tuples(st.dates(), st.dates()).map(sorted)


def rule_of(make: Callable[[], object]) -> str:
    """Return the rule by which the making of a value is refused."""
    with pytest.raises(InvalidValue) as caught:
        make()
    return caught.value.rule


@pytest.mark.parametrize(
    "period, expected",
    [
        (Period.month(2026, 11), "2026-11-01/2026-11-30"),
        (Period.month(2026, 12), "2026-12-01/2026-12-31"),
        (Period.month(2024, 2), "2024-02-01/2024-02-29"),
        (Period.month(2100, 2), "2100-02-01/2100-02-28"),
        (Period.quarter(2026, 1), "2026-01-01/2026-03-31"),
        (Period.quarter(2026, 2), "2026-04-01/2026-06-30"),
        (Period.quarter(2026, 3), "2026-07-01/2026-09-30"),
        (Period.quarter(2026, 4), "2026-10-01/2026-12-31"),
        (Period.year(2026), "2026-01-01/2026-12-31"),
        (Period.year(9999), "9999-01-01/9999-12-31"),
        (Period.day(date(2026, 5, 9)), "2026-05-09/2026-05-09"),
    ],
)
def test_calendar_periods(period: Period, expected: str) -> None:
    """Months, quarters and years run from their first day to their last."""
    assert expected == str(period)


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda: Period.month(2026, 0), "Period.month: expected a month from 1 to 12, got 0"),
        (lambda: Period.month(2026, 13), "Period.month: expected a month from 1 to 12, got 13"),
        (lambda: Period.month(0, 1), "Period.month: expected a year from 1 to 9999, got 0"),
        (lambda: Period.quarter(2026, 0), "Period.quarter: expected a quarter from 1 to 4, got 0"),
        (lambda: Period.quarter(2026, 5), "Period.quarter: expected a quarter from 1 to 4, got 5"),
        (lambda: Period.year(0), "Period.year: expected a year from 1 to 9999, got 0"),
        (lambda: Period.year(10000), "Period.year: expected a year from 1 to 9999, got 10000"),
    ],
)
def test_refuses_what_the_calendar_lacks(make: Callable[[], object], said: str) -> None:
    """A month, quarter or year that does not exist is refused, and said as it was given."""
    with pytest.raises(InvalidValue) as caught:
        make()

    assert str(caught.value) == f"{said} (rule range)."
    assert copy.copy(caught.value).value == said.rpartition(" ")[2]


def test_refuses_days_in_the_wrong_order() -> None:
    """A period does not end before it begins."""
    assert rule_of(lambda: Period(date(2026, 2, 1), date(2026, 1, 31))) == "order"
    assert rule_of(lambda: Period.parse("2026-02-01/2026-01-31")) == "order"


@pytest.mark.parametrize("value", [datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01", None])
def test_takes_dates_only(value: object) -> None:
    """A moment is no day, nor is a text; the error says how to get a day."""
    day = cast("Any", value)  # Any: what the types forbid

    with pytest.raises(TypeError, match=r"Period\.first is a date, not \w+: (moscow_date|date)\("):
        Period(day, date(2026, 1, 1))
    with pytest.raises(TypeError, match=r"Period\.last is a date"):
        Period(date(2026, 1, 1), day)
    with pytest.raises(TypeError):
        assert day not in Period.year(2026)


@given(spans, st.dates())
def test_contains_both_ends_and_all_between(span: list[date], day: date) -> None:
    """A day lies in a period when it is neither before the first nor after the last."""
    period = Period(*span)

    assert (span[0] <= day <= span[1]) is (day in period)
    assert period.first in period
    assert period.last in period
    assert (span[1] - span[0]).days + 1 == period.days


@given(spans)
def test_round_trips(span: list[date]) -> None:
    """The text of the wire, a pickle and copies give the same period back, with the same hash."""
    period = Period(*span)

    assert period == Period.parse(str(period))
    assert period == pickle.loads(pickle.dumps(period)) == copy.deepcopy(period)  # noqa: S301 - our own
    assert len({period, Period.parse(str(period))}) == 1


@pytest.mark.parametrize(
    "text, rule",
    [
        ("", "form"),
        ("2026-01-01", "form"),
        ("2026-01-01/", "form"),
        ("20260101/20260331", "form"),
        ("2026-01-01--2026-03-31", "form"),
        ("2026-01-01/2026-03-31/2026-06-30", "form"),
        ("2026-01-01/P3M", "form"),
        (" 2026-01-01/2026-03-31", "form"),
        ("2026-01-01/2026-03-31\n", "form"),
        ("٢٠٢٦-01-01/2026-03-31", "form"),
        ("2026-02-29/2026-03-31", "calendar"),
        ("0000-01-01/2026-03-31", "calendar"),
    ],
)
def test_reads_the_wire_strictly(text: str, rule: str) -> None:
    """Only two ISO dates of the calendar with a slash between are a period."""
    assert rule == rule_of(lambda: Period.parse(text))


def test_formatted() -> None:
    """A Russian reader sees days before months, and an en dash."""
    assert Period.quarter(2026, 1).formatted == "01.01.2026–31.03.2026"


def test_is_immutable() -> None:
    """A period cannot be changed."""
    with pytest.raises(AttributeError):
        cast("Any", Period.year(2026)).first = date(2025, 1, 1)  # Any: what the types forbid


def test_current_periods_turn_at_midnight_in_moscow() -> None:
    """The new year begins in Moscow, three hours before it does in UTC."""
    before = NEW_YEAR - timedelta(seconds=1)

    assert Period.month(2025, 12) == Period.current_month(before)
    assert Period.month(2026, 1) == Period.current_month(NEW_YEAR)
    assert Period.quarter(2025, 4) == Period.current_quarter(before)
    assert Period.quarter(2026, 1) == Period.current_quarter(NEW_YEAR)
    assert Period.year(2025) == Period.current_year(before)
    assert Period.year(2026) == Period.current_year(NEW_YEAR)


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda moment: moment.year < 9999))
def test_current_periods_hold_the_day_it_is(moment: datetime) -> None:
    """Whenever it is, the current month, quarter and year hold the day it is in Moscow."""
    day = moscow_date(moment)

    assert day in Period.current_month(moment)
    assert day in Period.current_quarter(moment)
    assert day in Period.current_year(moment)


def test_current_periods_know_the_time() -> None:
    """Without a moment the clock of the system says when it is."""
    before = moscow_date(datetime.now(UTC))
    periods_now = Period.current_month(), Period.current_quarter(), Period.current_year()
    after = moscow_date(datetime.now(UTC))

    assert all(before in period or after in period for period in periods_now)


@pytest.mark.parametrize("ask", [moscow_date, Period.current_month, Period.current_quarter, Period.current_year])
def test_refuses_a_moment_without_offset(ask: Callable[[datetime], object]) -> None:
    """Nobody knows what day a naive moment is."""
    naive = NEW_YEAR.replace(tzinfo=None)

    assert rule_of(lambda: ask(naive)) == "offset"


@given(st.datetimes(min_value=SETTLED, max_value=datetime.fromisoformat("9998-01-01"), timezones=st.just(UTC)))
def test_moscow_is_three_hours_ahead_since_2014(moment: datetime) -> None:
    """Since 26.10.2014 Moscow time is UTC+3, summer and winter, so that the stand-in below gives the same days."""
    assert moment.astimezone(FIXED).date() == moscow_date(moment)


def test_moscow_was_four_hours_ahead_before() -> None:
    """With time zone data earlier moments have their own offset."""
    assert timedelta(hours=4) == datetime(2013, 6, 1, tzinfo=MOSCOW).utcoffset()


def test_machine_without_time_zone_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the data is missing, Moscow is UTC+3."""

    def missing(key: str) -> ZoneInfo:
        raise ZoneInfoNotFoundError(key)

    monkeypatch.setattr(periods, "ZoneInfo", missing)

    assert timedelta(hours=3) == NEW_YEAR.astimezone(periods._moscow()).utcoffset()  # pyright: ignore[reportPrivateUsage]
