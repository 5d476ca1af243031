"""What holds for every identifier, whatever its kind."""

import copy
import json
import pickle
import re
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabinet_sdk import types
from cabinet_sdk.errors import InvalidValue, mask
from cabinet_sdk.types import (
    AccountNumber,
    Bik,
    Identifier,
    Inn,
    Kbk,
    Kpp,
    Ogrn,
    Ogrnip,
    Oktmo,
    Okved,
    OrganisationInn,
    PersonInn,
    SelfChecking,
    Snils,
    TreasuryAccount,
    Uin,
)

KINDS = sorted(
    (kind for kind in vars(types).values() if isinstance(kind, type) and issubclass(kind, Identifier)),
    key=lambda kind: kind.__name__,
)
KINDS.remove(Identifier)
KINDS.remove(SelfChecking)
kinds = st.sampled_from(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_describes_itself(kind: type[Identifier]) -> None:
    """Every kind has a Russian name, an example that passes, and a pattern and lengths that agree with it."""
    example = kind(kind.example)

    assert re.search("[А-Я]", kind.label)
    assert kind.example == example
    assert kind.min_length <= len(example) <= kind.max_length
    assert kind.pattern.startswith("^")
    assert kind.pattern.endswith("$")
    assert re.fullmatch(kind.pattern, example)


@pytest.mark.parametrize("kind", KINDS)
def test_is_a_string_of_its_kind(kind: type[Identifier]) -> None:
    """An identifier compares, hashes, prints and encodes as its canonical text, and nothing can be set on it."""
    value = kind(kind.example)

    assert type(value) is kind
    assert value == kind.example
    assert hash(value) == hash(kind.example)
    assert str(value) == f"{value}" == kind.example
    assert type(str(value)) is str
    assert json.loads(json.dumps(value)) == kind.example
    with pytest.raises(AttributeError):
        cast("Any", value).note = "mine"  # Any: what the types forbid


@pytest.mark.parametrize("kind", KINDS)
def test_repr_is_masked(kind: type[Identifier]) -> None:
    """Nobody learns a value from a log that shows representations."""
    value = kind(kind.example)

    assert repr(value) == f"{kind.__name__}('{mask(kind.example)}')"
    assert kind.example not in repr(value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_and_copies(kind: type[Identifier], protocol: int) -> None:
    """Kind and value survive, also of a value that the service sent and no check would pass."""
    for value in (kind(kind.example), kind.trusted("what is this")):
        for again in (
            pickle.loads(pickle.dumps(value, protocol)),  # noqa: S301 - our own
            copy.copy(value),
            copy.deepcopy(value),
        ):
            assert (type(again), again) == (kind, value)


@pytest.mark.parametrize("kind", KINDS)
def test_forgives_spaces(kind: type[Identifier]) -> None:
    """Spaces around and between, no-break ones too, are no part of the value."""
    spaced = " \u00a0\u202f".join(kind.example)

    assert kind(f"\t {spaced}\n") == kind.example


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sign", ["-", "_", "/", "\t", "\n", "\u200b", "٣", "３", "²", "😀", "\x00"])
def test_forgives_nothing_else(kind: type[Identifier], sign: str) -> None:
    """Other signs between, digits of other scripts included, are refused and not dropped."""
    if kind is Snils and sign == "-":
        return
    with pytest.raises(InvalidValue) as caught:
        kind(kind.example[:-1] + sign + kind.example[-1])

    assert caught.value.rule in {"characters", "length"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("zero", ["٠", "０", "०"])
def test_digits_are_ascii(kind: type[Identifier], zero: str) -> None:
    """A value in the digits of another script is refused, although `int` would read it."""
    translated = kind.example.translate({ord("0") + digit: chr(ord(zero) + digit) for digit in range(10)})

    with pytest.raises(InvalidValue, match="rule characters"):
        kind(translated)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [7707083893, 7.7, None, b"7707083893"])
def test_takes_text_only(kind: type[Identifier], value: object) -> None:
    """A number has lost its leading zeros already, so only text is an identifier."""
    reason = ": a number loses leading zeros" if isinstance(value, int | float) else ""
    with pytest.raises(TypeError, match=f"^{kind.__name__} takes text, not {type(value).__name__}{reason}$"):
        kind(cast("Any", value))  # Any: what the types forbid


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["", " ", "1" * 40])
def test_refuses_wrong_lengths(kind: type[Identifier], text: str) -> None:
    """Nothing and too much are refused."""
    with pytest.raises(InvalidValue) as caught:
        kind(text)

    assert caught.value.kind == kind.__name__
    assert caught.value.rule in {"length", "form"}


@given(kinds, st.text("0123456789 -.ABZabzАБЯабяЙЁ\u00a0٣", max_size=27))
def test_what_is_accepted_is_canonical(kind: type[Identifier], text: str) -> None:
    """Whatever is accepted fits the pattern and the lengths, and is accepted again unchanged."""
    try:
        value = kind(text)
    except InvalidValue:
        return

    assert re.fullmatch(kind.pattern, value)
    assert kind.min_length <= len(value) <= kind.max_length
    assert kind(value) == value
    assert kind(value.formatted) == value


@given(kinds, st.text(max_size=30))
def test_trusted_takes_anything(kind: type[Identifier], text: str) -> None:
    """What the service sends is taken as it is."""
    value = kind.trusted(text)

    assert (type(value), value) == (kind, text)


def test_refusal_names_rule_and_russian_name_and_hides_the_value() -> None:
    """A refusal tells a person what would be right, and a log nothing about a person."""
    with pytest.raises(InvalidValue) as caught:
        PersonInn("500100732258")

    assert caught.value.rule == "check_digit"
    assert caught.value.value == "500100732258"
    assert "ИНН" in str(caught.value)
    assert "50…58" in str(caught.value)
    assert "500100732258" not in str(caught.value)


@pytest.mark.parametrize(
    "kind, given, rule, expected",
    [
        (Bik, "04452522X", "characters", "nothing but digits 0-9 in БИК"),
        (Bik, "04452522", "length", "9 characters of БИК"),
        (
            AccountNumber,
            "4080281083800001234X",
            "characters",
            "digits 0-9 in an account number, one of the letters ABCEHKMPTX only as the sixth character",
        ),
        (AccountNumber, "4080281083800001234", "length", "20 characters of Номер счёта"),
        (TreasuryAccount, "40802810838000012345", "first_digit", "an account in the treasury, which begins with 0"),
        (Uin, "1881017717000000008Й", "characters", "digits 0-9, Latin and Cyrillic letters (no Ё, no Й) in УИН"),
        (Uin, "1881017717000000008", "length", "20 or 25 characters of УИН"),
        (Uin, "1881017717000000008312345X", "length", "20 or 25 characters of УИН"),
        (Uin, "188101771700000000831234X", "characters", "nothing but digits 0-9 in an УИН of 25 characters"),
        (Uin, "0" * 20, "all_zeros", "an УИН that is not all zeros"),
        (Uin, "18810177170000000084", "check_digit", "УИН whose last digits follow from the others"),
        (Kbk, "1820106120101000051Ё", "characters", "digits 0-9, Latin and Cyrillic letters (no Ё, no Й) in КБК"),
        (Kbk, "182010612010100005", "length", "20 characters of КБК"),
        (Kbk, "0" * 20, "all_zeros", "a КБК that is not all zeros"),
        (Oktmo, "4530100Й", "characters", "nothing but digits 0-9 in ОКТМО"),
        (Oktmo, "5", "length", "8 or 11 digits of ОКТМО, or a single 0"),
        (Oktmo, "453010001", "length", "1 or 8 or 11 characters of ОКТМО"),
        (Oktmo, "00000000", "all_zeros", "an ОКТМО that is not all zeros"),
        (Ogrn, "102770013219", "length", "13 characters of ОГРН"),
        (Ogrn, "2027700132195", "first_digit", "an ОГРН that begins with 1 or 5"),
        (Ogrn, "1027700132194", "check_digit", "ОГРН whose last digits follow from the others"),
        (Ogrnip, "104500116000157", "first_digit", "an ОГРНИП that begins with 3"),
        (Snils, "12345678900", "check_digit", "СНИЛС whose last digits follow from the others"),
        (Okved, "6", "form", "an ОКВЭД such as 62, 62.01 or 62.01.1"),
        (Okved, "62.01,1", "characters", "digits 0-9 and dots in ОКВЭД"),
        (Inn, "770708389", "length", "10 or 12 characters of ИНН"),
        (Inn, "77O7083893", "characters", "nothing but digits 0-9 in ИНН"),
        (Inn, "0000000000", "all_zeros", "an ИНН that is not all zeros"),
        (Inn, "0012345678", "region", "an ИНН that does not begin with 00"),
        (Inn, "7707083894", "check_digit", "ИНН whose last digits follow from the others"),
        (PersonInn, "7707083893", "ten_digits", "12 digits, the ИНН of a person; ten digits are an organisation's"),
        (PersonInn, "77070838931", "length", "12 characters of ИНН физического лица"),
        (
            OrganisationInn,
            "500100732259",
            "twelve_digits",
            "10 digits, the ИНН of an organisation; twelve digits are a person's",
        ),
        (OrganisationInn, "77070838931", "length", "10 characters of ИНН организации"),
        (Kpp, "77080100", "length", "9 characters of КПП"),
        (Kpp, "770801A01", "characters", "digits 0-9 in КПП, Latin letters only as the fifth and sixth character"),
        (Kpp, "000801001", "region", "a КПП that does not begin with 00"),
    ],
)
def test_a_refusal_says_word_for_word_what_was_expected(
    kind: type[Identifier], given: str, rule: str, expected: str
) -> None:
    """People act on these texts, so each is shown whole; what came is masked."""
    with pytest.raises(InvalidValue) as caught:
        kind(given)

    assert str(caught.value) == f"{kind.__name__}: expected {expected}, got {mask(given)} (rule {rule})."
    assert caught.value.value == given


@pytest.mark.parametrize(
    "kind, stem, lengths",
    [(Inn, "12345678", "9 or 10"), (Uin, "188101771700000000", "19 or 24"), (Snils, "1122334455", "9")],
)
def test_a_wrong_stem_is_told_how_long_one_is(kind: type[SelfChecking], stem: str, lengths: str) -> None:
    """What is no stem is refused with the number of characters that come before the check digits."""
    with pytest.raises(InvalidValue) as caught:
        kind.with_check_digits(stem)

    expected = f"the {lengths} characters of {kind.label} before its check digits"
    assert str(caught.value) == f"{kind.__name__}: expected {expected}, got {mask(stem)} (rule length)."


def test_small_letters_become_capitals() -> None:
    """Where letters belong, their case does not matter; letters that only turn Latin by it are refused."""
    assert Kpp("7708ab001") == "7708AB001"
    with pytest.raises(InvalidValue, match="rule characters"):
        Kpp("7708ıſ001")
    with pytest.raises(InvalidValue, match="rule characters"):
        Uin("ß" + "1" * 19)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if issubclass(kind, SelfChecking)])
@pytest.mark.parametrize("stem", ["", "12345678", "x", "770708389x", "1" * 40])
def test_only_a_stem_is_completed(kind: type[SelfChecking], stem: str) -> None:
    """What is no stem gets no check digits."""
    with pytest.raises(InvalidValue):
        kind.with_check_digits(stem)


def test_a_whole_value_is_no_stem() -> None:
    """Completing what is complete is refused, except that an organisation's ИНН looks like the stem of a person's."""
    for kind in (Snils, Uin, PersonInn):
        with pytest.raises(InvalidValue, match="rule length"):
            kind.with_check_digits(kind.example)

    assert Inn.with_check_digits("7707083893").is_person
