"""Values of another kind: each is refused by the name of what was called, in one sentence."""

import datetime as dt
import io
from array import array
from decimal import Decimal
from typing import Any

import pytest

from cabinet_sdk.charges import PaymentMethod
from cabinet_sdk.errors import InvalidValue, UsageError
from cabinet_sdk.types import AccountNumber, Bik, File, Inn, Money, Period, Rounding, moscow_date

pytestmark = pytest.mark.feature("EX-01")

ACCOUNT: Any = AccountNumber(AccountNumber.example)

# Any: type checkers refuse them all.
CALLS: list[tuple[Any, tuple[object, ...], str]] = [
    (Period.month, ("2026", 1), "Period.month: a year is an int, not str"),
    (Period.month, (2026, "1"), "Period.month: a month is an int, not str"),
    (Period.year, (True,), "Period.year: a year is an int, not bool"),
    (Period.parse, (5,), "Period.parse takes text, not int"),
    (Period.current_month, (dt.date(2026, 1, 1),), "a moment is a datetime, not date"),
    (moscow_date, (dt.date(2026, 1, 1),), "a moment is a datetime, not date"),
    (moscow_date, ("2026-01-01",), "a moment is a datetime, not str"),
    (
        Money.rounded,
        (Decimal(1), Decimal(1)),
        "the rule of rounding is a Rounding, not Decimal: Rounding.KOPECK_HALF_UP is one",
    ),
    (Money.rounded, (1.5, Rounding.KOPECK_HALF_UP), "only a Decimal is rounded, not float"),
    (Money.from_kopecks, (True,), "kopecks are an int, not bool"),
    (PaymentMethod, (5,), "PaymentMethod takes text, not int"),
    (PaymentMethod, ([],), "PaymentMethod takes text, not list"),
    (PaymentMethod.parse, (None,), "PaymentMethod takes text, not NoneType"),
    (Inn.with_check_digits, (770708389,), "Inn takes text, not int: a number loses leading zeros"),
    (ACCOUNT.check, ("12",), "a bank is told by its Bik, not str: Bik(text) makes one"),
    (ACCOUNT.key_fits, ("12",), "a bank is told by its Bik, not str: Bik(text) makes one"),
    (AccountNumber.with_key, (5, Bik(Bik.example)), "AccountNumber takes text, not int: a number loses leading zeros"),
    (AccountNumber.with_key, (AccountNumber.example, 5), "a bank is told by its Bik, not int: Bik(text) makes one"),
]


@pytest.mark.parametrize("call, given, message", CALLS)
def test_another_kind_is_refused_in_words(call: Any, given: tuple[object, ...], message: str) -> None:
    """The error says what belongs there and what came, and is a `TypeError`, as of any function."""
    with pytest.raises(TypeError) as caught:
        call(*given)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    "content", [bytearray(b"abc"), memoryview(b"abc"), array("B", b"abc"), {}, io.StringIO("abc"), 5, None]
)
def test_a_file_of_no_bytes_is_refused_where_it_is_made(content: Any) -> None:
    """It would be found out half-way through an upload."""
    with pytest.raises(UsageError, match=rf"^a file is made of bytes, .*, not of {type(content).__name__}$"):
        File(content, name="a.txt")


def test_a_file_is_not_shorter_than_nothing() -> None:
    """The error names what was expected."""
    with pytest.raises(InvalidValue, match="0 bytes or more"):
        File(iter([b"abc"]), name="a.txt", length=-1)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"name": None}, "the name of a file is text, not NoneType"),
        ({"media_type": None}, "the media type of a file is text, not NoneType"),
        ({"length": "5"}, "the length of a file is an int, not str"),
    ],
)
def test_what_a_file_is_called_is_looked_at(wrong: dict[str, Any], message: str) -> None:
    """Name, type and length are of their kinds."""
    arguments: dict[str, Any] = {"name": "a.txt", **wrong}
    with pytest.raises(TypeError) as caught:
        File(iter([b"abc"]), **arguments)

    assert str(caught.value) == message
