"""УИН, КБК and ОКТМО."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabinet_sdk.errors import InvalidValue
from cabinet_sdk.types import Identifier, Kbk, Oktmo, Uin

LETTERS = {
    "А": 1, "Б": 2, "В": 3, "Г": 4, "Д": 5, "Е": 6, "Ж": 7, "З": 8, "И": 9, "К": 10, "Л": 11, "М": 12, "Н": 13,
    "О": 14, "П": 15, "Р": 16, "С": 17, "Т": 18, "У": 19, "Ф": 20, "Х": 21, "Ц": 22, "Ч": 23, "Ш": 24, "Щ": 25,
    "Э": 26, "Ю": 27, "Я": 28, "Ъ": 33, "Ы": 36, "Ь": 42,
    "A": 1, "B": 3, "E": 6, "K": 10, "M": 12, "H": 13, "O": 14, "P": 16, "C": 17, "T": 18, "Y": 19, "X": 21,
    "D": 29, "F": 30, "G": 31, "I": 32, "J": 33, "L": 34, "N": 35, "Q": 36, "R": 37, "S": 38, "U": 39, "V": 40,
    "W": 41, "Z": 42,
}  # fmt: skip
"""The value of every letter in the check of an УИН."""

uin_stems = st.one_of(
    st.text("0123456789" + "".join(LETTERS), min_size=19, max_size=19),
    st.from_regex("[0-9]{24}", fullmatch=True),
).filter(lambda stem: stem.strip("0"))


def rule_of(kind: type[Identifier], text: str) -> str | None:
    """Return the rule by which a text is refused, or nothing when it is accepted."""
    try:
        kind(text)
    except InvalidValue as error:
        return error.rule
    return None


@pytest.mark.parametrize(
    "text",
    ["88818012420345815071", "32117072411021588933", "18810177170000000083", "1881000000000012345678906"],
)
def test_accepts_uin(text: str) -> None:
    """Right numbers of 20 and 25 digits are accepted, that of the second pass too."""
    assert Uin(text) == text


@pytest.mark.parametrize(
    "kind, text, rule",
    [
        (Uin, "18810177170101012345", "check_digit"),
        (Uin, "0" * 20, "all_zeros"),
        (Uin, "0" * 25, "all_zeros"),
        (Uin, "0", "length"),
        (Uin, "1" * 21, "length"),
        (Uin, "Ё" + "1" * 19, "characters"),
        (Uin, "й" + "1" * 19, "characters"),
        (Uin, "_" + "1" * 19, "characters"),
        (Uin, "A" + "1" * 24, "characters"),
        (Kbk, "0" * 20, "all_zeros"),
        (Kbk, "1820106120101000051", "length"),
        (Kbk, "182010612010100005_0", "characters"),
        (Oktmo, "00000000", "all_zeros"),
        (Oktmo, "00000000000", "all_zeros"),
        (Oktmo, "1", "length"),
        (Oktmo, "453010", "length"),
        (Oktmo, "45301000A", "characters"),
    ],
)
def test_refuses_by_the_rule_that_fails(kind: type[Identifier], text: str, rule: str) -> None:
    """Every refusal names its rule."""
    assert rule_of(kind, text) == rule


@pytest.mark.parametrize("letter", LETTERS)
def test_letters_count_by_the_table(letter: str) -> None:
    """A letter checks as the last digit of its value, wherever it stands."""
    for place in range(19):
        stem = "1" * place + "{}" + "1" * (18 - place)
        as_letter = Uin.with_check_digits(stem.format(letter))
        as_digit = Uin.with_check_digits(stem.format(LETTERS[letter] % 10))

        assert as_letter[-1] == as_digit[-1]
        assert Uin(as_letter.lower()) == as_letter


def test_look_alikes_stay_different() -> None:
    """A Latin and a Cyrillic letter check alike, but the numbers are two."""
    latin, cyrillic = (Uin.with_check_digits(f"{letter}{'1' * 18}") for letter in ("A", "А"))

    assert latin[1:] == cyrillic[1:]
    assert latin != cyrillic


@given(uin_stems)
def test_completes_uin(stem: str) -> None:
    """A completed number is accepted, keeps its stem, and has no other right check digit."""
    value = Uin.with_check_digits(stem)

    assert value[:-1] == stem
    assert [rule_of(Uin, f"{stem}{digit}") for digit in range(10)].count(None) == 1


@given(st.from_regex("[1-9][0-9]{18}|[1-9][0-9]{23}", fullmatch=True), st.data())
def test_one_wrong_digit_of_an_uin_is_found(stem: str, data: st.DataObject) -> None:
    """One changed digit is always found where neither number needs the second pass."""
    place = data.draw(st.integers(0, len(stem) - 1))
    digit = data.draw(st.sampled_from("0123456789").filter(lambda digit: digit != stem[place]))
    changed = stem[:place] + digit + stem[place + 1 :]
    sums = [sum(int(sign) * (at % 10 + 1) for at, sign in enumerate(text)) % 11 for text in (stem, changed)]
    if 10 in sums:
        return

    assert rule_of(Uin, changed + Uin.with_check_digits(stem)[-1]) == "check_digit"


@pytest.mark.parametrize("text", ["18201061201010000510", "1820106120101000АБ10", "0X" * 10])
def test_accepts_kbk(text: str) -> None:
    """Digits are right, and letters."""
    assert Kbk(text) == Kbk(text.lower()) == text


def test_reads_kbk_in_groups() -> None:
    """A КБК is often printed in groups."""
    assert Kbk("182 0 10 61201 01 0000 510") == "18201061201010000510"


@pytest.mark.parametrize("text", ["0", "45301000", "45301000001"])
def test_accepts_oktmo(text: str) -> None:
    """A municipality has 8 digits, a settlement 11, and a payment that names none a zero."""
    assert Oktmo(text) == text
