"""БИК and account numbers with their key."""

from typing import assert_type

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabinet_sdk.errors import InvalidValue
from cabinet_sdk.types import AccountNumber, Bik, Identifier, TreasuryAccount

PAIRS = [
    ("40602810700000000025", "049805746"),
    ("30114B84600000000501", "044541312"),
    ("40802810838000012345", "044525225"),
    ("30101810400000000225", "044525225"),
    ("40102810445370000059", "017003983"),
]

stems = st.from_regex("[1-9][0-9]{4}[0-9ABCEHKMPTX][0-9]{14}", fullmatch=True)
biks = st.from_regex("[0-9]{9}", fullmatch=True).map(Bik)


def rule_of(kind: type[Identifier], text: str) -> str | None:
    """Return the rule by which a text is refused, or nothing when it is accepted."""
    try:
        kind(text)
    except InvalidValue as error:
        return error.rule
    return None


@pytest.mark.parametrize("text", ["044525225", "017003983", "024501901", "014030106", "004525988"])
def test_accepts_bik_of_banks_and_treasury(text: str) -> None:
    """A БИК need not begin with 04."""
    assert Bik(text) == text


@pytest.mark.parametrize(
    "kind, text, rule",
    [
        (Bik, "04452522", "length"),
        (Bik, "0445252255", "length"),
        (Bik, "04452522X", "characters"),
        (AccountNumber, "4060281070000000002", "length"),
        (AccountNumber, "406028107000000000250", "length"),
        (AccountNumber, "40602810A00000000025", "characters"),
        (AccountNumber, "30114D84600000000501", "characters"),
        (AccountNumber, "30114В84600000000501", "characters"),
        (TreasuryAccount, "40602810700000000025", "first_digit"),
        (TreasuryAccount, "03100A43000000018500", "characters"),
        (TreasuryAccount, "0310064300000001850", "length"),
    ],
)
def test_refuses_by_the_rule_that_fails(kind: type[Identifier], text: str, rule: str) -> None:
    """Every refusal names its rule."""
    assert rule_of(kind, text) == rule


@pytest.mark.parametrize("account, bik", PAIRS)
def test_key_fits(account: str, bik: str) -> None:
    """Right pairs pass, whether a bank or the Bank of Russia holds the account, with a letter or without."""
    AccountNumber(account).check(Bik(bik))

    assert AccountNumber(account).key_fits(Bik(bik))


@pytest.mark.parametrize("account, bik", PAIRS)
@pytest.mark.parametrize("step", range(1, 10))
def test_key_does_not_fit_a_changed_account(account: str, bik: str, step: int) -> None:
    """With another last digit the pair is refused, and the refusal shows no whole account."""
    changed = AccountNumber(f"{account[:-1]}{(int(account[-1]) + step) % 10}")

    with pytest.raises(InvalidValue, match="rule account_key") as caught:
        changed.check(Bik(bik))

    assert changed not in str(caught.value)
    assert not changed.key_fits(Bik(bik))


def test_key_does_not_fit_another_bank() -> None:
    """A right account of one bank is refused for another whose БИК ends otherwise."""
    assert not AccountNumber("40602810700000000025").key_fits(Bik("049805747"))


@given(biks)
def test_treasury_account_has_no_key(bik: Bik) -> None:
    """An account in the treasury is never refused by a key, whichever type it has."""
    account = AccountNumber("03100643000000018500")

    assert account.is_treasury
    assert account.key_fits(bik)
    account.check(bik)
    TreasuryAccount(account).check(bik)


@given(stems, biks)
def test_with_key_fits(stem: str, bik: Bik) -> None:
    """A completed account passes the check and differs from what was given in its ninth digit only."""
    account = AccountNumber.with_key(stem, bik)

    assert_type(account, AccountNumber)
    assert account.key_fits(bik)
    assert account[:8] + account[9:] == stem[:8] + stem[9:]
    assert account == AccountNumber.with_key(f"{stem[:8]}?{stem[9:]}", bik)


@given(stems, biks, st.integers(5, 19), st.integers(1, 9))
def test_one_wrong_digit_is_found(stem: str, bik: Bik, place: int, step: int) -> None:
    """One changed digit is always found, as long as it does not make the account one of another holder."""
    account = AccountNumber.with_key(f"{stem[:5]}8{stem[6:]}", bik)
    digit = (int(account[place]) + step) % 10

    assert not AccountNumber(f"{account[:place]}{digit}{account[place + 1 :]}").key_fits(bik)


@pytest.mark.parametrize(
    "stem, rule",
    [("03100643000000018500", "no_key"), ("4060281?0000000025", "length"), ("", "length"), ("4" * 21, "length")],
)
def test_with_key_needs_an_account(stem: str, rule: str) -> None:
    """Only an account that has a key gets one."""
    with pytest.raises(InvalidValue, match=f"rule {rule}"):
        AccountNumber.with_key(stem, Bik("044525225"))


def test_a_key_is_refused_in_words() -> None:
    """Word for word: what was expected, what came, masked, and the rule."""
    with pytest.raises(InvalidValue) as caught:
        AccountNumber("40602810700000000025").check(Bik("049805747"))
    assert str(caught.value) == (
        "AccountNumber: expected an account whose key, the ninth digit, fits the БИК of its bank, "
        "got 40…25 (rule account_key)."
    )

    with pytest.raises(InvalidValue) as caught:
        AccountNumber.with_key("03100643000000018500", Bik("049805747"))
    assert str(caught.value) == (
        "AccountNumber: expected an account outside the treasury: those in it have no key, got 03…00 (rule no_key)."
    )
