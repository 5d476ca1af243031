"""A small house that is in order, to be broken in one place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["IN_ORDER", "build"]

_SDK = {
    "__init__": "from cabinet_sdk.{0}.client import Area",
    "models": "import attrs\nfrom cabinet_sdk.types import Money",
    "errors": "from cabinet_sdk.errors import Problem",
    "operations": "from cabinet_sdk._core.operation import Call\nfrom cabinet_sdk.{0}.models import Thing",
    "flows": "from cabinet_sdk._core.flow import Flow\nfrom cabinet_sdk.{0}.operations import GET_THING",
    "client": "from cabinet_sdk._core.area import Area\nfrom cabinet_sdk.{0} import flows",
}
_SERVER = {
    "__init__": "from reference_server.{0} import handlers",
    "handlers": "from cabinet_sdk.{0}.operations import GET_THING\nfrom reference_server.{0} import papers, rules",
    "papers": "from reference_server.{0} import store",
    "rules": "from cabinet_sdk.{0}.models import Thing\nfrom reference_server.{0} import store",
    "store": "import sqlite3\nfrom reference_server.database import Database",
    "seed": "from reference_server.{0}.control import Control",
    "control": "from reference_server.{0} import rules, store",
}
_AREAS = ("charges", "documents")

IN_ORDER: Mapping[str, str] = {
    "src/cabinet_sdk/__init__.py": "from cabinet_sdk.client import Cabinet",
    "src/cabinet_sdk/client.py": "def charges():\n    from cabinet_sdk.charges.client import Charges",
    "src/cabinet_sdk/contract.py": "from cabinet_sdk.charges import operations",
    "src/cabinet_sdk/errors.py": "import attrs",
    "src/cabinet_sdk/transports.py": "from cabinet_sdk._core import httpx_transport",
    "src/cabinet_sdk/types/__init__.py": "from cabinet_sdk.types.money import Money",
    "src/cabinet_sdk/types/money.py": "from cabinet_sdk.errors import InvalidValue",
    "src/cabinet_sdk/_core/__init__.py": "",
    "src/cabinet_sdk/_core/area.py": "from cabinet_sdk._core.flow import Flow",
    "src/cabinet_sdk/_core/flow.py": "from collections.abc import Generator",
    "src/cabinet_sdk/_core/httpx_transport.py": "import httpx",
    "src/cabinet_sdk/_core/operation.py": "from cabinet_sdk.errors import Problem",
    **{f"src/cabinet_sdk/{area}/{room}.py": text.format(area) for area in _AREAS for room, text in _SDK.items()},
    "reference_server/__init__.py": "from reference_server.world import World",
    "reference_server/database.py": "import sqlite3",
    "reference_server/testing.py": "from cabinet_sdk import Cabinet\nfrom cabinet_sdk.transports import Request",
    "reference_server/world.py": "from cabinet_sdk.contract import CONTRACT\nfrom reference_server import charges",
    **{f"reference_server/{area}/{room}.py": text.format(area) for area in _AREAS for room, text in _SERVER.items()},
    **{f"tests/{area}/test_rules.py": "" for area in _AREAS},
    **{f"tests/typing/{area}.py": "" for area in _AREAS},
    **{f"tests/wire/{area}/{area}.get.json": "{}" for area in _AREAS},
}


def build(root: Path, changes: Mapping[str, str | None] = {}) -> Path:
    """Write the house with changes: other text for a file, a further file, or None for one that is to be missing."""
    for path, text in {**IN_ORDER, **changes}.items():
        if text is not None:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
    return root
