"""What a refused request was nearly meant to be."""

from __future__ import annotations

import re

import httpx
import pytest

from cabinet_sdk.contract import CONTRACT
from cabinet_sdk.errors import FieldError
from reference_server import Profile, World
from reference_server.pages.near_misses import addresses, nearest, suggestion
from tests.server.raw import Raw

KNOWN = addresses(CONTRACT, "/v1")


@pytest.mark.parametrize(
    "method, path, operation, differences",
    [
        ("GET", "/v1/charge", "charges.list", ("“charge” should be “charges”.",)),
        ("GET", "/charges", "charges.list", ("“/v1” is missing.",)),
        ("GET", "/api/v1/charges", "charges.list", ("“/api” is too much.",)),
        ("GET", "/v2/charges/x", "charges.get", ("“v2” should be “v1”.",)),
        ("GET", "/v1/charges/", "charges.list", ("The slash at the end is too much.",)),
        ("GET", "/v1//charges", "charges.list", ("A slash is doubled.",)),
        ("PUT", "/v1/charges/x", "charges.get", ("The method is GET, not PUT.",)),
        ("HEAD", "/v1/Charges", "charges.list", ("“Charges” should be “charges”.",)),
        ("POST", "/v1/charges/x/pay", "charges.pay", ("“pay” should be “payments”.",)),
        ("POST", "/v1/charges/payments", "charges.pay", ("“/{charge_id}” is missing.",)),
        ("POST", "/v1/token", "sign_in.token", ("“/oauth” is missing.",)),
        (
            "POST",
            "/v1/charges/x/histroy",
            "charges.history",
            ("The method is GET, not POST.", "“histroy” should be “history”."),
        ),
    ],
)
def test_near_misses(method: str, path: str, operation: str, differences: tuple[str, ...]) -> None:
    """Of all operations the one that takes the least mending is named, with what differs."""
    found = nearest(KNOWN, method, path)

    assert found is not None
    assert (found.address.operation, found.differences) == (operation, differences)


@pytest.mark.parametrize("path", ["/", "/favicon.ico", "/v1/organization/requests", "/wp-admin/setup.php", "/a" * 40])
def test_what_is_far_is_not_guessed(path: str) -> None:
    """Nothing is named where nothing is near."""
    assert nearest(KNOWN, "GET", path) is None


@pytest.mark.parametrize("path", ["/a" * 5000, f"/a{'/' * 5000}", "/v1/charges" * 2000, f"/v1/{'charges' * 8000}"])
def test_a_path_without_end_is_far(console: httpx.Client, world: World, person: Profile, path: str) -> None:
    """An address of any length is not there, for the contract and for people, and the log that holds it is shown."""
    raw = Raw(world, person)

    assert raw.send("GET", path).status == 404
    assert console.get(path).status_code == 404
    assert console.get("/requests").status_code == 200


@pytest.mark.parametrize("operation", [row.id for row in CONTRACT])
def test_what_is_right_is_its_own_nearest(operation: str) -> None:
    """An operation's own method and path differ from it in nothing."""
    row = CONTRACT[operation]
    found = nearest(KNOWN, row.method, "/v1" + re.sub(r"{\w+}", "chg_1", row.path))

    assert found is not None
    assert (found.address.operation, found.differences) == (operation, ())


def test_unknown_fields_are_compared() -> None:
    """An unknown field is compared with those that the operation has, and with nothing else."""
    row = CONTRACT["charges.pay"]

    assert suggestion(row, FieldError("ammount", "unknown_field", "")) == "amount"
    assert suggestion(row, FieldError("charge_idd", "unknown_field", "")) is None
    assert suggestion(row, FieldError("ammount", "form", "")) is None


def test_a_page_that_is_not_there_helps(console: httpx.Client) -> None:
    """Who forgets the base path is told so, on a page."""
    page = console.get("/charges")

    assert page.status_code == 404
    assert "“/v1” is missing." in page.text
    assert console.get("/profiles/prf_none").status_code == 404
    assert console.delete("/clock").status_code == 405
