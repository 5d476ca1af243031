"""Open sets of codes: named, labelled, and ready for a code that comes later."""

import copy
import json
import pickle
from typing import Any, assert_type, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabinet_sdk.errors import InvalidValue
from cabinet_sdk.types import Code, code


class Weather(Code):
    """What it is like outside."""

    FAIR = code("Ясно")
    LIGHT_RAIN_2 = code("Небольшой дождь")
    SNOW = code("Снег")


class Mood(Code):
    """How one feels about it."""

    FAIR = code("Неплохо")


def test_constants_are_codes_of_their_class() -> None:
    """A constant is an instance of its class, for the type checkers and in fact, and a plain string beside."""
    assert_type(Weather.FAIR, Weather)

    assert type(Weather.FAIR) is Weather
    assert Weather.FAIR == "fair"
    assert Weather.LIGHT_RAIN_2 == "light_rain_2"


def test_label() -> None:
    """A known code has its Russian label, an unknown one shows itself."""
    assert Weather.LIGHT_RAIN_2.label == "Небольшой дождь"
    assert Weather("hail").label == "hail"


def test_classes_keep_apart() -> None:
    """Each class has its own labels and members."""
    assert Weather.FAIR.label == "Ясно"
    assert Mood.FAIR.label == "Неплохо"
    assert "snow" not in Mood.members()


def test_members_in_order_of_declaration() -> None:
    """The members come as they were declared."""
    members = Weather.members()

    assert_type(members, tuple[Weather, ...])
    assert members == (Weather.FAIR, Weather.LIGHT_RAIN_2, Weather.SNOW)


def test_known_text_gives_the_constant() -> None:
    """Whichever way a known code is made, it is the constant itself."""
    assert Weather("snow") is Weather.parse("snow") is Weather.trusted("snow") is Weather.SNOW
    assert Weather.SNOW.known


def test_unknown_code_survives() -> None:
    """A code of later days is kept, compared and written like any other."""
    later = Weather("hail")

    assert type(later) is type(Weather.trusted("hail")) is Weather
    assert "hail" == later == Weather.trusted("hail")
    assert not later.known
    assert json.dumps(later) == '"hail"'


@pytest.mark.parametrize("text", ["", "Snow", "SNOW", "2snow", "_snow", "sn-ow", "sn ow", "snow\n", "снег", "snow٣"])
def test_a_code_is_snake_case(text: str) -> None:
    """What could be no code is refused; decoding alone takes it as it is."""
    with pytest.raises(InvalidValue) as caught:
        Weather(text)

    assert (caught.value.kind, caught.value.rule) == ("Weather", "form")
    assert text == Weather.trusted(text)


@pytest.mark.parametrize("text", ["hail", "Snow", " snow", ""])
def test_parse_takes_known_codes_only(text: str) -> None:
    """Where a person or a program gives a code it must be known, and the refusal lists those that are."""
    with pytest.raises(InvalidValue, match="one of fair, light_rain_2, snow") as caught:
        Weather.parse(text)

    assert (caught.value.kind, caught.value.rule) == ("Weather", "unknown_code")


@given(st.from_regex("[a-z][a-z0-9_]*", fullmatch=True))
def test_round_trips(text: str) -> None:
    """Any code keeps its class and text through JSON, a pickle and copies."""
    value = Weather(text)
    for again in (pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):  # noqa: S301 - our own
        assert (Weather, text) == (type(again), again)

    assert text == json.loads(json.dumps(value)) == str(value) == f"{value}"
    assert hash(text) == hash(value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_gives_the_constant(protocol: int) -> None:
    """A known code comes out of a pickle as the constant; one sent past all checks comes out at all."""
    assert pickle.loads(pickle.dumps(Weather.SNOW, protocol)) is Weather.SNOW  # noqa: S301 - our own
    assert pickle.loads(pickle.dumps(Weather.trusted("Not A Code"), protocol)) == "Not A Code"  # noqa: S301 - our own


def test_shows_the_plain_code() -> None:
    """A person reading a page or a log sees the code, not the class."""
    assert "snow" == str(Weather.SNOW) == f"{Weather.SNOW}" == "%s" % Weather.SNOW  # noqa: UP031 - one of the ways
    assert type(str(Weather.SNOW)) is str
    assert json.dumps({Weather.SNOW: Weather.SNOW}) == '{"snow": "snow"}'


def test_repr_says_what_to_write() -> None:
    """A representation is the expression that gives the code."""
    assert repr(Weather.LIGHT_RAIN_2) == "Weather.LIGHT_RAIN_2"
    assert repr(Weather("hail")) == "Weather('hail')"


@pytest.mark.parametrize("text, expected", [("snow", "cold"), ("fair", "warm"), ("hail", "unheard of")])
def test_matches(text: str, expected: str) -> None:
    """Constants serve as patterns, also for plain text."""

    def feel(value: str) -> str:
        match value:
            case Weather.SNOW:
                return "cold"
            case Weather.FAIR:
                return "warm"
            case _:
                return "unheard of"

    assert expected == feel(Weather(text)) == feel(text)


def test_a_set_with_codes_is_not_extended() -> None:
    """A subclass of a set with members would own none of them, so there can be none."""
    with pytest.raises(TypeError, match="has codes already"):
        type("Climate", (Weather,), {})


def test_a_set_without_codes_may_be_a_base() -> None:
    """A class that only adds behaviour may stand between."""

    class Shouting(Code):
        """A set that can shout."""

        @property
        def loud(self) -> str:
            """The label, louder."""
            return f"{self.label}!"

    class Alarm(Shouting):
        """What one shouts."""

        FIRE = code("Пожар")

    assert Alarm.FIRE.loud == "Пожар!"


@pytest.mark.parametrize("name", ["fair", "Fair", "ЯСНО", "_FAIR"])
def test_constants_are_named_in_upper_case(name: str) -> None:
    """The code on the wire is the name in lower case, so the name has one form."""
    with pytest.raises(TypeError, match="UPPER_CASE"):
        type("Weather", (Code,), {name: code("Ясно")})


def test_declarations_belong_into_a_set() -> None:
    """A code declared in another class is a mistake that tells itself."""

    class Elsewhere:
        """No set of codes."""

        FAIR = code("Ясно")

    with pytest.raises(TypeError, match="subclass of Code"):
        _ = cast("Any", Elsewhere).FAIR  # Any: what the types forbid
