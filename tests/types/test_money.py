"""Money: exact, bounded, canonical, never a float."""

import copy
import operator
import pickle
from collections.abc import Callable
from decimal import Decimal, localcontext
from functools import partial
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabinet_sdk.errors import InvalidValue
from cabinet_sdk.types import Money, Rounding

MOST = 2**63 - 1
LEAST = -(2**63)
FOREIGN = cast("Any", 1)  # Any: what the types forbid, tried all the same
"""A number that is not money, out of the type checkers' sight."""

kopecks = st.integers(LEAST, MOST)
modest = st.integers(-(10**12), 10**12)


def refusal(make: Callable[[], object]) -> InvalidValue:
    """Return the refusal that the making of a value ends with."""
    with pytest.raises(InvalidValue) as caught:
        make()
    return caught.value


@pytest.mark.parametrize(
    "text, expected",
    [
        ("0.00", 0),
        ("0.05", 5),
        ("-0.05", -5),
        ("1234.50", 123450),
        ("-1234.50", -123450),
        ("92233720368547758.07", MOST),
        ("-92233720368547758.08", LEAST),
        ("9999999999999999.99", 999999999999999999),
        ("10000000000000000.00", 1000000000000000000),
    ],
)
def test_reads_canonical_text(text: str, expected: int) -> None:
    """The canonical text is read exactly, to the ends of 64 bits, and written back the same."""
    assert expected == Money(text).kopecks == Money.trusted(text).kopecks
    assert text == str(Money(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "1234",
        "1234.5",
        "1234.500",
        "1234.",
        ".50",
        "-.50",
        "01.00",
        "00.00",
        "-01.00",
        "+1.00",
        "--1.00",
        "1,00",
        "1 000.00",
        "1_000.00",
        " 1.00",
        "1.00 ",
        "1.00\n",
        "1.0\n",
        "1..5",
        "1.2.34",
        "1.-5",
        "-1.-5",
        "1e3.00",
        "٣.٠٠",
        "1.0٠",
        "².00",
        "nan",
    ],
)
def test_refuses_text_that_is_not_canonical(text: str) -> None:
    """Whatever is not canonical is refused, by the fast way of the decoder too."""
    assert "form" == refusal(lambda: Money(text)).rule == refusal(lambda: Money.trusted(text)).rule


@given(st.text("-0123456789. ٣", max_size=22))
def test_what_is_read_is_what_is_written(text: str) -> None:
    """A text is either refused or is the very text that the amount writes."""
    try:
        money = Money(text)
    except InvalidValue:
        return

    assert text == str(money)


def test_refuses_a_negative_zero() -> None:
    """Zero has one text only."""
    assert refusal(lambda: Money("-0.00")).rule == "negative_zero"


@pytest.mark.parametrize("text", ["92233720368547758.08", "-92233720368547758.09", "1" + "0" * 6000 + ".00"])
def test_refuses_text_beyond_64_bits(text: str) -> None:
    """Too much money is out of range, however long its text."""
    assert "range" == refusal(lambda: Money(text)).rule == refusal(lambda: Money.trusted(text)).rule


def test_refusal_hides_the_amount() -> None:
    """The text of a refusal names rule and form but not the whole value, which is an attribute."""
    error = refusal(lambda: Money("1234567,89"))

    assert error.value == "1234567,89"
    assert "1234567" not in str(error)
    assert "12…89" in str(error)


def test_whole_roubles() -> None:
    """An int is roubles."""
    assert Money("1234.00") == Money(1234)
    assert Money("-5.00") == Money(-5)


@pytest.mark.parametrize("value", [1.5, 0.0, True, None, b"1.00", 1j])
def test_refuses_other_types(value: object) -> None:
    """A float, a bool and other things are no amounts, and the error says what is."""
    with pytest.raises(TypeError, match=r"text such as '12\.30', whole roubles as int, or a Decimal"):
        Money(cast("Any", value))  # Any: what the types forbid


def test_the_reason_fits_what_was_given() -> None:
    """Only of a float it is said that it has no exact kopecks."""
    wrong: Any = Money  # Any: what the types forbid
    with pytest.raises(TypeError, match=r"or a Decimal, not float: a float has no exact kopecks$"):
        wrong(1.5)
    with pytest.raises(TypeError, match=r"or a Decimal, not NoneType$"):
        wrong(None)


@pytest.mark.parametrize("value", [12.5, 12, None, b"12.50"])
def test_decoding_refuses_other_types(value: object) -> None:
    """What is no text is no amount on the wire."""
    with pytest.raises(TypeError):
        Money.trusted(cast("Any", value))  # Any: what the types forbid


@pytest.mark.parametrize("value", [1.0, True, "1"])
def test_kopecks_are_an_int(value: object) -> None:
    """Kopecks are made of an int alone."""
    with pytest.raises(TypeError, match="kopecks are an int"):
        Money.from_kopecks(cast("Any", value))  # Any: what the types forbid


@pytest.mark.parametrize(
    "value, expected",
    [
        ("12.30", "12.30"),
        ("12.3", "12.30"),
        ("12", "12.00"),
        ("1E+3", "1000.00"),
        ("12.3000", "12.30"),
        ("-0.00", "0.00"),
    ],
)
def test_takes_decimals_of_whole_kopecks(value: str, expected: str) -> None:
    """A decimal counts by its value: zeros behind the kopecks are no fraction."""
    assert expected == str(Money(Decimal(value)))


@pytest.mark.parametrize(
    "value, rule",
    [
        ("12.345", "decimals"),
        ("1E-999999", "decimals"),
        ("NaN", "finite"),
        ("sNaN", "finite"),
        ("-Infinity", "finite"),
        ("92233720368547758.08", "range"),
        ("1E+40", "range"),
        ("1E+999999", "range"),
    ],
)
def test_refuses_other_decimals(value: str, rule: str) -> None:
    """A decimal that is no whole number of kopecks in 64 bits is refused, and why is told."""
    assert rule == refusal(lambda: Money(Decimal(value))).rule


def test_ambient_decimal_context_changes_nothing() -> None:
    """What a program sets for its own decimals does not touch money."""
    with localcontext() as context:
        context.prec = 2

        assert str(Money.rounded(Decimal("1234.567"), Rounding.KOPECK_HALF_UP)) == "1234.57"
        assert str(Money(Decimal("1234.56"))) == "1234.56"
        assert Decimal("1234.56") == Money("1234.56").roubles


@given(kopecks)
def test_round_trips(number: int) -> None:
    """Text, roubles, kopecks, a pickle and copies all give the same amount back."""
    money = Money.from_kopecks(number)

    assert number == money.kopecks
    assert money == Money(str(money)) == Money.trusted(str(money)) == Money(money.roubles)
    assert money == pickle.loads(pickle.dumps(money)) == copy.copy(money) == copy.deepcopy(money)  # noqa: S301 - our own
    assert f"Money('{money}')" == repr(money)
    assert str(money) == f"{money}"


@given(modest, modest, modest)
def test_arithmetic_is_that_of_kopecks(a: int, b: int, c: int) -> None:
    """Sums, differences, signs and order are those of whole kopecks, hence associative and exact."""
    x, y, z = Money.from_kopecks(a), Money.from_kopecks(b), Money.from_kopecks(c)

    assert a + b == (x + y).kopecks
    assert a - b == (x - y).kopecks
    assert (x + y) + z == x + (y + z)
    assert x + y == y + x
    assert x - x == Money.ZERO
    assert Money.from_kopecks(-a) == -x
    assert x == +x
    assert abs(a) == abs(x).kopecks
    assert bool(a) is bool(x)
    assert [a < b, a <= b, a > b, a >= b, a == b] == [x < y, x <= y, x > y, x >= y, x == y]
    assert sorted([a, b, c]) == [money.kopecks for money in sorted([x, y, z])]


@given(modest, st.integers(-1000, 1000))
def test_multiplies_by_whole_numbers(number: int, factor: int) -> None:
    """A product with an int is exact, from either side."""
    assert number * factor == (Money.from_kopecks(number) * factor).kopecks
    assert number * factor == (factor * Money.from_kopecks(number)).kopecks


@given(st.lists(modest))
def test_sums(numbers: list[int]) -> None:
    """The sum of many amounts needs no start value, though an empty one is then the int 0."""
    amounts = [Money.from_kopecks(number) for number in numbers]

    assert sum(numbers) == sum(amounts, Money.ZERO).kopecks
    assert sum(amounts) == (sum(amounts, Money.ZERO) if amounts else 0)


@pytest.mark.parametrize(
    "compute",
    [
        lambda: Money.from_kopecks(MOST) + Money("0.01"),
        lambda: Money.from_kopecks(LEAST) - Money("0.01"),
        lambda: -Money.from_kopecks(LEAST),
        lambda: abs(Money.from_kopecks(LEAST)),
        lambda: Money.from_kopecks(MOST) * 2,
        lambda: Money("1.00") * 10**6000,
        lambda: Money.from_kopecks(MOST + 1),
        lambda: Money(10**17),
        lambda: Money.rounded(Decimal("1E+20"), Rounding.ROUBLE_HALF_UP),
    ],
)
def test_overflow_is_refused(compute: Callable[[], object]) -> None:
    """No operation leaves 64 bits silently."""
    assert refusal(compute).rule == "range"


@pytest.mark.parametrize("operation", [operator.add, operator.sub, operator.lt, operator.le, operator.gt, operator.ge])
@pytest.mark.parametrize("other", [1, 0, 1.5, Decimal(1), "1.00", None])
def test_mixes_with_nothing_else(operation: Callable[[object, object], object], other: object) -> None:
    """Money is added to and compared with money only."""
    with pytest.raises(TypeError):
        operation(Money(1), other)


@pytest.mark.parametrize("factor", [1.5, True, Decimal(2), Money(2), "2"])
def test_is_not_multiplied_by_anything_else(factor: object) -> None:
    """A fraction of money is a matter of a rounding rule, so only whole factors multiply."""
    with pytest.raises(TypeError):
        _ = Money(1) * cast("Any", factor)  # Any: what the types forbid


def test_is_added_to_no_number() -> None:
    """Only the zero that a sum starts from may stand on the left."""
    assert Money(5) == 0 + Money(5)
    with pytest.raises(TypeError):
        _ = FOREIGN + Money(5)


def test_equals_money_only() -> None:
    """An amount equals no number and no text, and equal amounts have equal hashes, others their own."""
    assert Money(1) != FOREIGN
    assert Money(1) != cast("object", Decimal(1))
    assert Money(1) != cast("object", "1.00")
    assert len({Money("1.00"), Money(1), Money.from_kopecks(100)}) == 1
    assert len({hash(Money.from_kopecks(number)) for number in range(100)}) == 100


def test_is_immutable() -> None:
    """An amount has nothing that could be set."""
    money = cast("Any", Money(1))  # Any: what the types forbid

    with pytest.raises(AttributeError):
        money.kopecks = 5
    with pytest.raises(AttributeError):
        money.note = "mine"


@pytest.mark.parametrize(
    "amount, rule, expected",
    [
        ("1.005", Rounding.KOPECK_HALF_UP, "1.01"),
        ("1.00499", Rounding.KOPECK_HALF_UP, "1.00"),
        ("-1.005", Rounding.KOPECK_HALF_UP, "-1.01"),
        ("-0.001", Rounding.KOPECK_HALF_UP, "0.00"),
        ("1000.49", Rounding.ROUBLE_HALF_UP, "1000.00"),
        ("1000.50", Rounding.ROUBLE_HALF_UP, "1001.00"),
        ("1001.50", Rounding.ROUBLE_HALF_UP, "1002.00"),
        ("0.4999999999999999999999999999999999999999", Rounding.ROUBLE_HALF_UP, "0.00"),
        ("-1000.50", Rounding.ROUBLE_HALF_UP, "-1001.00"),
    ],
)
def test_rounds_by_a_named_rule(amount: str, rule: Rounding, expected: str) -> None:
    """Halves go up in magnitude, and a tax is in whole roubles."""
    assert expected == str(Money.rounded(Decimal(amount), rule))


def test_rounds_decimals_only() -> None:
    """A float is not rounded: its error came before."""
    with pytest.raises(TypeError, match="only a Decimal"):
        Money.rounded(cast("Any", 1.005), Rounding.KOPECK_HALF_UP)  # Any: what the types forbid


@given(kopecks, st.integers(1, 60))
def test_split_loses_nothing(number: int, count: int) -> None:
    """The parts sum to the whole, differ by a kopeck at most and come largest first."""
    parts = Money.from_kopecks(number).split(count)

    assert count == len(parts)
    assert Money.from_kopecks(number) == sum(parts, Money.ZERO)
    assert list(parts) == sorted(parts, reverse=True)
    assert parts[0].kopecks - parts[-1].kopecks <= 1


@pytest.mark.parametrize("count", [0, -1])
def test_split_needs_a_part(count: int) -> None:
    """There is no division into nothing."""
    assert refusal(lambda: Money(1).split(count)).rule == "range"


@pytest.mark.parametrize("count", [True, 2.0])
def test_split_counts_in_whole_numbers(count: object) -> None:
    """The number of parts is an int."""
    with pytest.raises(TypeError):
        Money(1).split(cast("Any", count))  # Any: what the types forbid


@pytest.mark.parametrize(
    "text, expected",
    [
        ("0.00", "0,00 ₽"),
        ("999.05", "999,05 ₽"),
        ("1234.50", "1\u00a0234,50\u00a0₽"),
        ("-1234567.89", "\u22121\u00a0234\u00a0567,89\u00a0₽"),
    ],
)
def test_formatted(text: str, expected: str) -> None:
    """A reader sees groups of three, a comma, the sign of the rouble, and no line break between."""
    assert expected.replace(" ", "\u00a0") == Money(text).formatted


REFUSALS: dict[str, Callable[[], object]] = {
    "Money: expected roubles with two decimals, such as 1234.50, got … (rule form).": lambda: Money("1,5"),
    "Money: expected 0.00, zero has no sign, got -…0 (rule negative_zero).": lambda: Money("-0.00"),
    "Money.split: expected one part or more, got … (rule range).": lambda: Money("1.00").split(0),
    "Money: expected a finite number, got … (rule finite).": lambda: Money.rounded(
        Decimal("NaN"), Rounding.KOPECK_HALF_UP
    ),
    "Money: expected an amount from -92233720368547758.08 to 92233720368547758.07, got 99…00 (rule range).": lambda: (
        Money("99999999999999999999.00")
    ),
    "Money: expected an amount from -92233720368547758.08 to 92233720368547758.07, got 92…08 (rule range).": lambda: (
        Money.from_kopecks(MOST + 1)
    ),
    "Money: expected an amount from -92233720368547758.08 to 92233720368547758.07, got … (rule range).": lambda: (
        Money.from_kopecks(2**999)
    ),
    "Money: expected an amount from -92233720368547758.08 to 92233720368547758.07, got 1…0 (rule range).": lambda: (
        Money(Decimal("1E+30"))
    ),
}


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_says_what_was_expected_what_came_and_the_rule(text: str) -> None:
    """Word for word, since people act on it; what came is masked."""
    with pytest.raises(InvalidValue) as caught:
        REFUSALS[text]()

    assert str(caught.value) == text
    assert caught.value.kind == text.partition(":")[0]


WRONG_TYPES: dict[str, Callable[[Any], object]] = {  # Any: what the types forbid
    "the number of parts is an int, not float": Money("1.00").split,
    "only a Decimal is rounded, not float": partial(Money.rounded, rule=Rounding.KOPECK_HALF_UP),
    "kopecks are an int, not float": Money.from_kopecks,
    "the text of an amount is a str, not float": Money.trusted,
}


@pytest.mark.parametrize("text", WRONG_TYPES)
def test_another_type_is_named(text: str) -> None:
    """The type that came is in the text."""
    with pytest.raises(TypeError) as caught:
        WRONG_TYPES[text](1.5)

    assert str(caught.value) == text
