"""Every row of the contract, and all that is made from it elsewhere."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from cabinet_sdk._core.area import Area, Endpoint, Sync
from cabinet_sdk._core.operation import Call
from cabinet_sdk.charges.flows import wait_for_payment
from cabinet_sdk.charges.models import Charge, ChargeId
from cabinet_sdk.charges.operations import (
    GET_CHARGE,
    GET_PAYMENT,
    LIST_CHARGES,
    OPERATIONS,
    READ_CHARGES,
    GetCharge,
)
from cabinet_sdk.client import AsyncCabinet, Cabinet
from cabinet_sdk.contract import CONTRACT, Contract, Row
from cabinet_sdk.errors import NotFound, Problem, catalogue
from reference_server import World, routing
from reference_server.routing import handles
from tests.house.rooms import sdk_areas
from tests.house.rows import (
    handler_breaches,
    method_breaches,
    openapi_breaches,
    row_breaches,
    undocumented_problems,
)

ROOT = Path(__file__).parents[2]
AREAS = sorted(sdk_areas(ROOT))
OPENAPI = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))


def changed(row: Row, **changes: object) -> Row:
    """Return a copy of a row with other attributes, past the checks that rows make themselves."""
    other = copy.copy(row)
    for name, value in changes.items():
        object.__setattr__(other, name, value)
    return other


def rows_of(area: str) -> list[Row]:
    """Return an area's rows."""
    return [row for row in CONTRACT if row.area == area]


def handlers() -> dict[str, Any]:  # Any: functions of whatever types
    """Return every handler there is, by the row's id."""
    World().close()  # It brings every area's handlers.
    return dict(vars(routing)["_HANDLERS"])


def own_problems() -> list[type[Problem]]:
    """Return the problems of the library, without those that tests declare."""
    return [problem for problem in catalogue() if problem.__module__.startswith("cabinet_sdk.")]


def test_every_row_is_whole() -> None:
    """Ids and addresses are unique, an id begins with its area, placeholders are fields, each argument is explained."""
    assert row_breaches(CONTRACT) == []


@attrs.frozen
class Unexplained:
    """read one charge"""  # noqa: D400, D415  # that is what is wrong with it

    charge_id: ChargeId


@attrs.frozen
class Misexplained:
    """
    Read one charge.

    Args:
        charge: Which.
    """

    charge_id: ChargeId


Misexplained.__module__ = Unexplained.__module__ = "cabinet_sdk.charges.operations"


class Elsewhere(NotFound):
    """Of another module, and none of the library's."""


@pytest.mark.parametrize(
    "rows, breach",
    [
        ([GET_CHARGE, GET_CHARGE], "charges.get: several rows have this id"),
        (
            [GET_CHARGE, changed(GET_CHARGE, id="charges.read", path="/charges/{id}")],
            "GET /charges/{}: several rows have this address",
        ),
        ([changed(GET_CHARGE, id="Charges get")], "Charges get: an id is the area, a dot and a name, in lower case"),
        (
            [changed(GET_CHARGE, id="payments.get")],
            (
                "payments.get: its request class stands in cabinet_sdk.charges.operations, "
                "not in cabinet_sdk.payments.operations"
            ),
        ),
        ([changed(GET_CHARGE, path="/charges/{id}")], "charges.get: the path needs id, which GetCharge does not have"),
        (
            [changed(GET_CHARGE, request=Unexplained)],
            "charges.get: the docstring of Unexplained does not begin with a sentence",
        ),
        (
            [changed(GET_CHARGE, request=Misexplained)],
            "charges.get: Misexplained explains the arguments ['charge'] and has the fields ['charge_id']",
        ),
        ([changed(GET_CHARGE, errors=(Elsewhere, Elsewhere))], "charges.get: an error is named twice"),
    ],
)
def test_a_row_out_of_order_is_found(rows: list[Row], breach: str) -> None:
    """Each thing that can be wrong with a row is reported."""
    assert breach in row_breaches(rows)


def test_the_contract_refuses_two_rows_of_one_id_or_address() -> None:
    """Two rows that could not both be asked for stop the program where they are gathered."""
    with pytest.raises(ValueError, match="cannot both stand"):
        Contract([GET_CHARGE, changed(GET_PAYMENT, id="charges.get")])
    with pytest.raises(ValueError, match="cannot both stand"):
        Contract([GET_CHARGE, changed(GET_CHARGE, id="charges.read", path="/charges/{id}")])


def test_a_row_refuses_a_placeholder_that_is_no_field() -> None:
    """A row whose path cannot be filled in stops the program where it is declared."""
    with pytest.raises(TypeError, match=r"\['id'\]"):
        Call("charges.get", "GET", "/charges/{id}", GetCharge, Charge, permission=READ_CHARGES)


@pytest.mark.parametrize("area", AREAS)
@pytest.mark.parametrize("client", [Cabinet, AsyncCabinet])
def test_every_row_is_one_method_that_says_what_it_does(client: type[Cabinet | AsyncCabinet], area: str) -> None:
    """Each row is one endpoint, and under each endpoint stands the first sentence of what it is made of."""
    methods = area_class(client, area)
    source = (ROOT / "src" / "cabinet_sdk" / area / "client.py").read_text(encoding="utf-8")

    assert method_breaches(rows_of(area), methods, source) == []


def area_class(client: type[Cabinet | AsyncCabinet], area: str) -> type[Area[Any]]:
    """Return the class whose instance a client has under the name of an area."""
    instance: Area[Any] = getattr(client("http://cabinet.example/v1"), area)
    return type(instance)


BROKEN_CLIENT = '''
class _Broken:
    list = Endpoint(LIST_CHARGES)
    """Iterate over charges; the filters narrow each other."""

    get = Endpoint(GET_CHARGE)
    """Read any charge."""

    again = Endpoint(GET_CHARGE)
    """Read one charge."""

    wait = Endpoint(wait_for_payment)
    """Wait."""

    foreign = Endpoint(GET_PAYMENT)
    """Read one payment."""
'''


class _Broken(Area[Sync]):
    list = Endpoint(LIST_CHARGES)
    get = Endpoint(GET_CHARGE)
    again = Endpoint(GET_CHARGE)
    wait = Endpoint(wait_for_payment)
    foreign = Endpoint(GET_PAYMENT)


def test_methods_out_of_order_are_found() -> None:
    """A row without a method or with two, a wrong name, a foreign row and a wrong text are each reported."""
    rows = [row for row in OPERATIONS if row.id in {"charges.list", "charges.get", "charges.history"}]

    breaches = method_breaches(rows, _Broken, BROKEN_CLIENT)

    assert breaches == [
        "charges.get is 2 endpoints, not one",
        "charges.history is 0 endpoints, not one",
        "get says 'Read any charge.', what it is made of says 'Read one charge.'",
        "again is made of charges.get: the two names differ",
        (
            "wait says 'Wait.', what it is made of says 'Wait until a payment is credited or has failed, "
            "and return it: `Payment.status` says which.'"
        ),
        "foreign is made of charges.payment, which is none of the area's rows",
    ]


def test_every_row_has_one_handler() -> None:
    """The server answers each row, in the room of its area, and nothing else."""
    assert handler_breaches(CONTRACT, handlers()) == []


def test_handlers_out_of_order_are_found() -> None:
    """A row without a handler, a handler without a row, one in a wrong room and one for two rows are each reported."""
    broken = handlers()
    del broken["charges.list"]
    broken["charges.unknown"] = row_breaches
    broken["charges.payment"] = broken["charges.get"]
    broken["charges.pay"] = row_breaches

    assert {
        "charges.list has no handler",
        "row_breaches answers charges.unknown, which is no row",
        "charges.payment shares its handler get_charge with another row",
        "charges.pay is answered in tests.house.rows, not in reference_server.charges.handlers",
    } <= set(handler_breaches(CONTRACT, broken))


def test_a_second_handler_is_refused() -> None:
    """Two handlers of one row stop the program where the second is declared."""
    handler = handlers()["charges.get"]

    with pytest.raises(TypeError, match="has a handler already"):
        handles(GET_CHARGE)(handler)


def test_a_server_refuses_to_start_with_a_row_that_nothing_answers() -> None:
    """A row without a handler stops the server when it is made."""
    with pytest.raises(TypeError, match=r"no handler for charges\.unknown"):
        routing.Router(Contract([changed(GET_CHARGE, id="charges.unknown")]))


def test_every_row_stands_in_the_openapi_document() -> None:
    """The document in the repository shows each row under its id, method and path, and no other operation."""
    assert openapi_breaches(CONTRACT, OPENAPI) == []


def test_an_openapi_document_out_of_order_is_found() -> None:
    """A row that is missing, one at another address and an operation that is no row are each reported."""
    document = copy.deepcopy(OPENAPI)
    document["paths"]["/charge/{charge_id}"] = document["paths"].pop("/charges/{charge_id}")
    document["paths"]["/payments"]["post"]["operationId"] = "charges.pay_all"

    assert sorted(openapi_breaches(CONTRACT, document)) == [
        "charges.get is ('GET', '/charge/{charge_id}'), not ('GET', '/charges/{charge_id}')",
        "charges.pay_all is no row",
        "charges.pay_several is missing",
    ]


def test_every_problem_is_explained() -> None:
    """Each problem that the library can raise has its entry in docs/guides/errors.md."""
    page = (ROOT / "docs" / "guides" / "errors.md").read_text(encoding="utf-8")

    assert undocumented_problems(own_problems(), page) == []


def test_an_unexplained_problem_is_found() -> None:
    """A code that stands nowhere on the page is reported."""
    assert own_problems()
    page = "\n".join(f"## `{problem.code}`" for problem in own_problems()[1:])

    assert undocumented_problems(own_problems(), page) == [own_problems()[0].code]


def test_every_error_of_a_row_has_a_code_and_a_remedy() -> None:
    """What a row may answer is in the catalogue, under a code of its own."""
    declared = {error for row in CONTRACT for error in row.errors}

    assert declared <= set(catalogue())
    assert [error for error in own_problems() if not (error.__doc__ and error.title and error.remedy)] == []


def test_every_durable_row_can_be_resumed() -> None:
    """Both clients find each durable row again by the id that stands in a journal, and no other name leads anywhere."""
    durable = [row for row in CONTRACT if row.durable]
    assert durable
    for client in (Cabinet("https://cabinet.example"), AsyncCabinet("https://cabinet.example")):
        assert [client._row_of(row.id) for row in durable] == durable  # pyright: ignore[reportPrivateUsage]  # as resume
        for name in ("", "charges", "charges.pay_in_gold", "close.pay", "_context.pay", "charges.wait_for_payment"):
            assert client._row_of(name) is None  # pyright: ignore[reportPrivateUsage]  # the same
