"""ИНН and КПП."""

from typing import assert_type

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from stdnum.ru import inn as stdnum_inn

from cabinet_sdk.errors import InvalidValue
from cabinet_sdk.types import Inn, Kpp, OrganisationInn, PersonInn

ORGANISATIONS = [
    "7707083893",
    "7727406020",
    "7705401340",
    "7830002293",
    "5027089703",
    "7736050003",
    "7710140679",
]
PERSONS = ["500100732259", "380102242368", "772784575277", "519035208616", "123456789047", "772880774363"]

organisation_stems = st.from_regex("(?!00)[0-9]{9}", fullmatch=True)
person_stems = st.from_regex("(?!00)[0-9]{10}", fullmatch=True)


def rule_of(kind: type[Inn | Kpp], text: str) -> str | None:
    """Return the rule by which a text is refused, or nothing when it is accepted."""
    try:
        kind(text)
    except InvalidValue as error:
        return error.rule
    return None


@pytest.mark.parametrize("text", ORGANISATIONS)
def test_accepts_numbers_of_organisations(text: str) -> None:
    """Ten right digits are an organisation's."""
    assert Inn(text) == OrganisationInn(text) == text
    assert not Inn(text).is_person


@pytest.mark.parametrize("text", PERSONS)
def test_accepts_numbers_of_persons(text: str) -> None:
    """Twelve right digits are a person's."""
    assert Inn(text) == PersonInn(text) == text
    assert Inn(text).is_person


@pytest.mark.parametrize(
    "text, rule",
    [
        ("7707083894", "check_digit"),
        ("7701234567", "check_digit"),
        ("500100732258", "check_digit"),
        ("775013796002", "check_digit"),
        ("0000000000", "all_zeros"),
        ("000000000000", "all_zeros"),
        ("0012345678", "region"),
        ("001234567890", "region"),
        ("770708389", "length"),
        ("77070838931", "length"),
        ("", "length"),
        ("77O7083893", "characters"),
        ("7707-083893", "characters"),
    ],
)
def test_refuses_by_the_rule_that_fails(text: str, rule: str) -> None:
    """Every refusal names its rule."""
    assert rule_of(Inn, text) == rule


@pytest.mark.parametrize("text", ["7707083893", "7707083894"])
def test_tells_a_person_from_an_organisation(text: str) -> None:
    """Ten digits where twelve belong, and twelve where ten do, are told as just that, whatever else is wrong."""
    assert rule_of(PersonInn, text) == "ten_digits"
    assert rule_of(PersonInn, "12345678901") == "length"
    assert rule_of(OrganisationInn, "500100732259") == "twelve_digits"
    assert rule_of(OrganisationInn, "12345678901") == "length"


@given(organisation_stems)
def test_completes_numbers_of_organisations(stem: str) -> None:
    """A completed number is accepted and keeps its stem."""
    value = OrganisationInn.with_check_digits(stem)

    assert_type(value, OrganisationInn)
    assert Inn.with_check_digits(stem) == value == OrganisationInn(value)
    assert value[:-1] == stem


@given(person_stems)
def test_completes_numbers_of_persons(stem: str) -> None:
    """A completed number is accepted and keeps its stem."""
    value = PersonInn.with_check_digits(stem)

    assert Inn.with_check_digits(stem) == value == PersonInn(value)
    assert value[:-2] == stem


@given(st.one_of(organisation_stems, person_stems), st.data())
def test_one_wrong_digit_is_found(stem: str, data: st.DataObject) -> None:
    """One changed digit is always found unless every check digit is 0, which stands for remainder 0 and 10 alike."""
    value = Inn.with_check_digits(stem)
    assume(value[len(stem) :].strip("0"))
    place = data.draw(st.integers(0, len(value) - 1))
    digit = data.draw(st.sampled_from("0123456789").filter(lambda digit: digit != value[place]))

    assert rule_of(Inn, value[:place] + digit + value[place + 1 :]) is not None


@given(st.one_of(organisation_stems, person_stems), st.integers(0, 99))
def test_agrees_with_stdnum(stem: str, control: int) -> None:
    """Another implementation accepts and refuses the same numbers, those that begin with 00 apart."""
    text = stem + (f"{control % 10}" if len(stem) == 9 else f"{control:02}")
    right = Inn.with_check_digits(stem)

    assert (rule_of(Inn, text) is None) is stdnum_inn.is_valid(text)
    assert stdnum_inn.is_valid(right)


@pytest.mark.parametrize("text", ["0000000000", "000000000000"])
def test_stdnum_takes_all_zeros_for_a_number(text: str) -> None:
    """The sums of all zeros are right, which is why the other implementation accepts them and we look twice."""
    assert stdnum_inn.is_valid(text)
    assert rule_of(Inn, text) == "all_zeros"


@pytest.mark.parametrize("text", ["770801001", "997750001", "7708AZ001", "010143001"])
def test_accepts_kpp(text: str) -> None:
    """Digits are right, and Latin letters where the reason stands."""
    assert Kpp(text) == text


@pytest.mark.parametrize(
    "text, rule",
    [
        ("000801001", "region"),
        ("77080100", "length"),
        ("7708010012", "length"),
        ("77A801001", "characters"),
        ("770801A01", "characters"),
        ("7708АВ001", "characters"),
    ],
)
def test_refuses_kpp(text: str, rule: str) -> None:
    """A region 00, a wrong length, and letters elsewhere or Cyrillic are refused."""
    assert rule_of(Kpp, text) == rule
