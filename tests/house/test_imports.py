"""Who may import whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house.imports import circular_imports, foreign_imports
from tests.house.trees import build

ROOT = Path(__file__).parents[2]

SDK = "src/cabinet_sdk"
SERVER = "reference_server"


def test_every_import_is_one_that_the_table_allows() -> None:
    """Every module of both packages and of the examples imports only what stands in its row of the table."""
    assert foreign_imports(ROOT) == []


def test_the_modules_of_an_area_import_each_other_in_no_circle() -> None:
    """What a module of an area stands on does not stand on it."""
    assert circular_imports(ROOT) == []


def test_the_small_house_is_in_order(tmp_path: Path) -> None:
    """The house that the other tests break has nothing wrong with it before that."""
    assert foreign_imports(build(tmp_path)) == []
    assert circular_imports(build(tmp_path)) == []


def test_a_module_that_continues_a_room_is_imported_like_the_room(tmp_path: Path) -> None:
    """Modules of one room may import each other, and the rooms above import each of them."""
    further = {
        f"{SERVER}/charges/store_refunds.py": "from reference_server.charges import store",
        f"{SERVER}/charges/rules_refunds.py": "from reference_server.charges import rules, store_refunds",
        f"{SERVER}/charges/handlers.py": "from reference_server.charges import rules_refunds",
        f"{SERVER}/documents/rules.py": "from reference_server.charges import rules_refunds",
    }

    assert foreign_imports(build(tmp_path, further)) == []
    assert circular_imports(build(tmp_path, further)) == []


def test_a_circle_is_found(tmp_path: Path) -> None:
    """Two modules of a room that import each other are reported."""
    circle = {
        f"{SERVER}/charges/rules_refunds.py": "from reference_server.charges import rules",
        f"{SERVER}/charges/rules.py": "def late():\n    from reference_server.charges.rules_refunds import refuse",
    }

    (breach,) = circular_imports(build(tmp_path, circle))
    assert set(breach.split(" <- ")) == {"reference_server.charges.rules", "reference_server.charges.rules_refunds"}


@pytest.mark.parametrize(
    "path, text, wrong",
    [
        (f"{SDK}/types/money.py", "import cabinet_sdk._core.flow", "cabinet_sdk._core.flow"),
        (f"{SDK}/errors.py", "from cabinet_sdk.types import Money", "cabinet_sdk.types"),
        (f"{SDK}/errors.py", "from .types import Money", "cabinet_sdk.types"),
        (f"{SDK}/_core/flow.py", "from cabinet_sdk.charges.models import Charge", "cabinet_sdk.charges.models"),
        (f"{SDK}/_core/flow.py", "from ..charges import models", "cabinet_sdk.charges.models"),
        (f"{SDK}/_core/flow.py", "import httpx", "httpx"),
        (f"{SDK}/_core/flow.py", "from httpx import Client", "httpx"),
        (f"{SDK}/_core/flow.py", "def late():\n    import httpx._models", "httpx"),
        (f"{SDK}/_core/flow.py", "import importlib\nimportlib.import_module('httpx')", "httpx"),
        (f"{SDK}/_core/flow.py", "import requests", "requests"),
        (f"{SDK}/_core/flow.py", "from cabinet_sdk.contract import CONTRACT", "cabinet_sdk.contract"),
        (f"{SDK}/client.py", "from cabinet_sdk.contract import CONTRACT", "cabinet_sdk.contract"),
        (f"{SDK}/client.py", "from cabinet_sdk import contract", "cabinet_sdk.contract"),
        (f"{SDK}/charges/models.py", "from cabinet_sdk.charges.errors import Refused", "cabinet_sdk.charges.errors"),
        (f"{SDK}/charges/models.py", "from cabinet_sdk.charges import client", "cabinet_sdk.charges.client"),
        (f"{SDK}/charges/operations.py", "from cabinet_sdk.charges import flows", "cabinet_sdk.charges.flows"),
        (f"{SDK}/charges/flows.py", "from cabinet_sdk.charges.client import Area", "cabinet_sdk.charges.client"),
        (f"{SDK}/charges/operations.py", "from cabinet_sdk.documents.errors import X", "cabinet_sdk.documents.errors"),
        (f"{SDK}/charges/flows.py", "from cabinet_sdk.documents import operations", "cabinet_sdk.documents.operations"),
        (f"{SDK}/charges/flows.py", "from cabinet_sdk.documents import Document", "cabinet_sdk.documents"),
        (f"{SDK}/charges/flows.py", "from reference_server.world import World", "reference_server.world"),
        (
            f"{SDK}/charges/models.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from cabinet_sdk.client import Cabinet",
            "cabinet_sdk.client",
        ),
        (f"{SERVER}/world.py", "from cabinet_sdk.client import Cabinet", "cabinet_sdk.client"),
        (f"{SERVER}/world.py", "from cabinet_sdk import Cabinet", "cabinet_sdk"),
        (f"{SERVER}/world.py", "from cabinet_sdk.transports import Request", "cabinet_sdk.transports"),
        (f"{SERVER}/world.py", "from cabinet_sdk._core.flow import Flow", "cabinet_sdk._core.flow"),
        (f"{SERVER}/world.py", "from reference_server.testing import connect", "reference_server.testing"),
        (f"{SERVER}/world.py", "import uvicorn", "uvicorn"),
        (f"{SERVER}/database.py", "import httpx", "httpx"),
        (f"{SERVER}/database.py", "from reference_server import charges", "reference_server.charges"),
        (f"{SERVER}/charges/rules.py", "from cabinet_sdk.charges import Charge", "cabinet_sdk.charges"),
        (f"{SERVER}/charges/rules.py", "from cabinet_sdk.charges import flows", "cabinet_sdk.charges.flows"),
        (f"{SERVER}/charges/rules.py", "from cabinet_sdk.charges.client import Area", "cabinet_sdk.charges.client"),
        (f"{SERVER}/charges/store.py", "from reference_server.charges import rules", "reference_server.charges.rules"),
        (f"{SERVER}/charges/rules.py", "import reference_server.documents.store", "reference_server.documents.store"),
        (
            f"{SERVER}/charges/store_refunds.py",
            "from reference_server.charges import rules",
            "reference_server.charges.rules",
        ),
        ("examples/pay.py", "from cabinet_sdk._core.flow import Flow", "cabinet_sdk._core.flow"),
    ],
)
def test_a_wrong_import_is_found(tmp_path: Path, path: str, text: str, wrong: str) -> None:
    """One import against the rule, in whatever form and place, is reported with its file."""
    breaches = foreign_imports(build(tmp_path, {path: text}))

    assert len(breaches) == 1
    assert breaches[0].startswith(f"{path}:")
    assert breaches[0].endswith(f"must not import {wrong}")


def test_a_module_without_a_row_is_found(tmp_path: Path) -> None:
    """A module that the table does not know is reported, so that nothing grows beside the rooms."""
    breaches = foreign_imports(build(tmp_path, {f"{SDK}/helpers.py": "", f"{SDK}/charges/utils.py": ""}))

    assert breaches == [
        "cabinet_sdk.charges.utils stands in no row of the table",
        "cabinet_sdk.helpers stands in no row of the table",
    ]
