"""The same rooms in every area."""

from __future__ import annotations

from pathlib import Path

import pytest

from cabinet_sdk import AsyncCabinet, Cabinet
from tests.house.rooms import missing_rooms, sdk_areas
from tests.house.trees import build

ROOT = Path(__file__).parents[2]


def test_every_area_has_the_same_rooms() -> None:
    """Each area has all its rooms in SDK and server and none besides, tests, typing tests and wire samples."""
    assert missing_rooms(ROOT) == []


@pytest.mark.parametrize("client", [Cabinet, AsyncCabinet])
def test_every_area_is_an_attribute_of_both_clients(client: type) -> None:
    """Whatever area there is stands on both clients, with a docstring."""
    assert sdk_areas(ROOT)
    assert [area for area in sdk_areas(ROOT) if not getattr(client, area).__doc__] == []


def test_the_small_house_is_in_order(tmp_path: Path) -> None:
    """The house that the other test breaks has nothing wrong with it before that."""
    assert missing_rooms(build(tmp_path)) == []


@pytest.mark.parametrize(
    "path", ["reference_server/charges/rules_refunds.py", "src/cabinet_sdk/charges/models_payments.py"]
)
def test_a_room_may_go_on_in_further_modules(tmp_path: Path, path: str) -> None:
    """A module whose name adds a noun to a room's continues the room, in one area alone too."""
    assert missing_rooms(build(tmp_path, {path: ""})) == []


@pytest.mark.parametrize(
    "path, text, breach",
    [
        ("src/cabinet_sdk/charges/flows.py", None, "src/cabinet_sdk/charges lacks the room flows"),
        ("src/cabinet_sdk/charges/utils.py", "", "src/cabinet_sdk/charges has the room utils, which no other area has"),
        ("src/cabinet_sdk/forms/__init__.py", "", "the server has no area forms"),
        ("reference_server/charges/seed.py", None, "reference_server/charges lacks the room seed"),
        ("reference_server/charges/x/a.py", "", "reference_server/charges has the room x, which no other area has"),
        (
            "reference_server/charges/common_refunds.py",
            "",
            "reference_server/charges has the room common_refunds, which no other area has",
        ),
        (
            "reference_server/charges/flows_refunds.py",
            "",
            "reference_server/charges has the room flows_refunds, which no other area has",
        ),
        (
            "reference_server/charges/rules_refunds_cards.py",
            "",
            "reference_server/charges has the room rules_refunds_cards, which no other area has",
        ),
        (
            "reference_server/charges/rules_refunds/a.py",
            "",
            "reference_server/charges has the room rules_refunds, which no other area has",
        ),
        ("reference_server/forms/__init__.py", "", "the SDK has no area forms"),
        ("tests/charges/test_rules.py", None, "tests/charges holds no tests"),
        ("tests/typing/charges.py", None, "tests/typing/charges.py is missing"),
        ("tests/wire/charges/charges.get.json", None, "tests/wire/charges is missing"),
    ],
)
def test_a_house_out_of_order_is_found(tmp_path: Path, path: str, text: str | None, breach: str) -> None:
    """A room missing, a room too many, half an area and an area without tests are each reported."""
    assert breach in missing_rooms(build(tmp_path, {path: text}))
