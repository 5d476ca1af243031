"""Values of another kind, refused by the names of this package before Python trips over them."""

from __future__ import annotations

from datetime import date, datetime

__all__ = ["check_kind"]

# Subclasses that are another kind of thing.
_BUT: dict[type, type] = {int: bool, date: datetime}


def check_kind(value: object, kind: type, rule: str, advice: str = "") -> None:
    """
    Look whether a value is of a kind.

    Args:
        value: Whatever it is.
        kind: What it must be.
        rule: What is said where it is not, such as ``kopecks are an int``.
        advice: Said after it.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(value, kind) or isinstance(value, _BUT.get(kind, ())):
        raise TypeError(f"{rule}, not {type(value).__name__}{advice and f': {advice}'}")
