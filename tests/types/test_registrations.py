"""ОГРН, ОГРНИП, СНИЛС and ОКВЭД."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from stdnum.ru import ogrn as stdnum_ogrn

from cabinet_sdk.errors import InvalidValue
from cabinet_sdk.types import Identifier, Ogrn, Ogrnip, Okved, SelfChecking, Snils

ogrn_stems = st.from_regex("[15][0-9]{11}", fullmatch=True)
ogrnip_stems = st.from_regex("3[0-9]{13}", fullmatch=True)
snils_stems = st.from_regex("[0-9]{9}", fullmatch=True)


def rule_of(kind: type[Identifier], text: str) -> str | None:
    """Return the rule by which a text is refused, or nothing when it is accepted."""
    try:
        kind(text)
    except InvalidValue as error:
        return error.rule
    return None


def with_one_digit_changed(value: str, data: st.DataObject) -> str:
    """Return the value with any one digit replaced by any other."""
    place = data.draw(st.integers(0, len(value) - 1))
    digit = data.draw(st.sampled_from("0123456789").filter(lambda digit: digit != value[place]))
    return value[:place] + digit + value[place + 1 :]


@pytest.mark.parametrize("text", ["1027700132195", "1037700013020", "1022200525819", "1027700100010"])
def test_accepts_ogrn(text: str) -> None:
    """Right numbers are accepted, that with remainder 10 too."""
    assert Ogrn(text) == text


@pytest.mark.parametrize("text", ["304500116000157", "304463210700212", "311169002100018", "325502400000020"])
def test_accepts_ogrnip(text: str) -> None:
    """Right numbers are accepted, those with remainders 10 and 12 too."""
    assert Ogrnip(text) == text


@pytest.mark.parametrize(
    "kind, text, rule",
    [
        (Ogrn, "1027700132194", "check_digit"),
        (Ogrn, "1022500001328", "check_digit"),
        (Ogrn, "2027700132195", "first_digit"),
        (Ogrn, "0000000000000", "first_digit"),
        (Ogrn, "102770013219", "length"),
        (Ogrn, "304500116000157", "length"),
        (Ogrn, "102770013219X", "characters"),
        (Ogrnip, "304500116000156", "check_digit"),
        (Ogrnip, "104500116000157", "first_digit"),
        (Ogrnip, "1027700132195", "length"),
        (Ogrnip, "30450011600015X", "characters"),
        (Snils, "123-456-789 00", "check_digit"),
        (Snils, "001-001-999 00", "check_digit"),
        (Snils, "112-233-445", "length"),
        (Snils, "112.233.445 95", "characters"),
        (Okved, "62.", "form"),
        (Okved, "6", "form"),
        (Okved, "62.011", "form"),
        (Okved, "62.01.1.1", "form"),
        (Okved, "6201", "form"),
        (Okved, "62,01", "characters"),
        (Okved, "A62", "characters"),
    ],
)
def test_refuses_by_the_rule_that_fails(kind: type[Identifier], text: str, rule: str) -> None:
    """Every refusal names its rule."""
    assert rule_of(kind, text) == rule


@pytest.mark.parametrize(
    "text", ["112-233-445 95", "087-654-303 00", "123-456-789 64", "002-019-795 99", "002-019-869 00"]
)
def test_accepts_snils(text: str) -> None:
    """Right numbers are accepted in the form on paper, and shown so again."""
    value = Snils(text)

    assert value == text.replace("-", "").replace(" ", "")
    assert value.formatted == text


@pytest.mark.parametrize("text", ["000-000-600 06", "001-001-998 77", "000-000-001 00"])
def test_does_not_check_the_first_snils(text: str) -> None:
    """Numbers up to 001-001-998 were given before the rule and follow none."""
    assert Snils(text).formatted == text


def test_reads_other_hyphens() -> None:
    """A СНИЛС pasted from a text document has its hyphens and spaces unbreakable."""
    assert Snils("112\u2011233\u2011445\u00a095") == "11223344595"


@pytest.mark.parametrize("text", ["62", "62.0", "62.01", "62.01.1", "62.01.11", "01.11"])
def test_accepts_okved(text: str) -> None:
    """Every depth of the classifier is accepted."""
    assert Okved(text) == text


@given(ogrn_stems)
def test_completes_ogrn(stem: str) -> None:
    """A completed number is accepted and keeps its stem."""
    assert Ogrn(Ogrn.with_check_digits(stem))[:-1] == stem


@given(ogrnip_stems)
def test_completes_ogrnip(stem: str) -> None:
    """A completed number is accepted and keeps its stem."""
    assert Ogrnip(Ogrnip.with_check_digits(stem))[:-1] == stem


@given(snils_stems)
def test_completes_snils(stem: str) -> None:
    """A completed number is accepted and keeps its stem."""
    assert Snils(Snils.with_check_digits(stem))[:-2] == stem


@pytest.mark.parametrize("kind, stem", [(Ogrn, "202770013219"), (Ogrnip, "10450011600015")])
def test_does_not_complete_what_can_never_be_right(kind: type[SelfChecking], stem: str) -> None:
    """A wrong stem is refused by its own rule."""
    with pytest.raises(InvalidValue, match="rule first_digit"):
        kind.with_check_digits(stem)


@given(ogrn_stems, st.data())
def test_one_wrong_digit_of_an_ogrn_is_found(stem: str, data: st.DataObject) -> None:
    """One changed digit is always found unless the check digit is 0, which stands for remainder 0 and 10 alike."""
    value = Ogrn.with_check_digits(stem)
    assume(value[-1] != "0")

    assert rule_of(Ogrn, with_one_digit_changed(value, data)) is not None


@given(ogrnip_stems, st.data())
def test_one_wrong_digit_of_an_ogrnip_is_found(stem: str, data: st.DataObject) -> None:
    """One changed digit is always found when the check digit is 3 or more; lesser ones stand for two remainders."""
    value = Ogrnip.with_check_digits(stem)
    assume(value[-1] >= "3")

    assert rule_of(Ogrnip, with_one_digit_changed(value, data)) is not None


@given(snils_stems, st.data())
def test_one_wrong_digit_of_a_snils_is_found(stem: str, data: st.DataObject) -> None:
    """One changed digit is always found among checked numbers unless they end in 00, for remainders 0 and 100."""
    value = Snils.with_check_digits(stem)
    changed = with_one_digit_changed(value, data)
    assume(value[-2:] != "00" and changed[:9] > "001001998")

    assert rule_of(Snils, changed) == "check_digit"


@given(ogrn_stems, st.integers(0, 9))
def test_agrees_with_stdnum_on_ogrn(stem: str, control: int) -> None:
    """Another implementation accepts and refuses the same numbers of organisations."""
    assert (rule_of(Ogrn, f"{stem}{control}") is None) is stdnum_ogrn.is_valid(f"{stem}{control}")
    assert stdnum_ogrn.is_valid(Ogrn.with_check_digits(stem))


@given(ogrnip_stems)
def test_agrees_with_stdnum_on_most_ogrnip(stem: str) -> None:
    """The other implementation accepts a right ОГРНИП exactly when the remainder has one digit."""
    assert stdnum_ogrn.is_valid(Ogrnip.with_check_digits(stem)) is (int(stem) % 13 < 10)


@pytest.mark.parametrize("text", ["304463210700212", "325502400000020"])
def test_stdnum_refuses_right_ogrnip(text: str) -> None:
    """It compares a remainder of two digits with one digit; these numbers are in the register."""
    assert not stdnum_ogrn.is_valid(text)
    assert rule_of(Ogrnip, text) is None
