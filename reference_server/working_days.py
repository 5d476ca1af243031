"""
The federal working calendar, by which terms of law are counted (Labour Code, art. 111 and 112; Tax Code, art. 6.1).

Holidays of regions do not count. What the Government's decrees move is known of the years named here; of any other
year the law alone is applied.
"""

from __future__ import annotations

import datetime as dt

__all__ = ["is_working_day"]

_DAY = dt.timedelta(days=1)

_NEW_YEAR = frozenset((1, day) for day in range(1, 9))
_HOLIDAYS = frozenset({(2, 23), (3, 8), (5, 1), (5, 9), (6, 12), (11, 4)})

# Days off in the place of those of January that fell on a weekend.
_BY_DECREE = frozenset(
    {
        # № 1466 for 2026: of 3 and 4 January.
        dt.date(2026, 1, 9),
        dt.date(2026, 12, 31),
    }
)


def is_working_day(day: dt.date) -> bool:
    """Say whether authorities and banks work on that day."""
    if day.weekday() >= 5 or (day.month, day.day) in _NEW_YEAR | _HOLIDAYS or day in _BY_DECREE:
        return False
    # For a holiday at a weekend the Monday after it is off; for those of January the decrees name other days.
    weekend = (day - _DAY, day - 2 * _DAY) if day.weekday() == 0 else ()
    return not any((each.month, each.day) in _HOLIDAYS for each in weekend)
