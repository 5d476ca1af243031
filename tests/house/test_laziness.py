"""What is loaded when."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import cast

import pytest

HEAVY = frozenset(
    {"attr", "attrs", "cattrs", "httpx", "msgspec", "opentelemetry", "sqlite3", "ssl", "asyncio", "cabinet_sdk.charges"}
)
"""Modules that cost, by what `import cabinet_sdk` alone must not load."""

NOT_FOR_A_FAKE = frozenset(
    {
        "certifi",
        "fontTools",
        "httpcore",
        "httpx",
        "jinja2",
        "opentelemetry",
        "python_multipart",
        "segno",
        "sqlcipher3",
        "starlette",
        "uvicorn",
        "xlsxwriter",
    }
)
"""Modules that a client straight into a world in memory has no use for."""

NO_TLS = """
import ssl

def refuse(*_, **__):
    raise AssertionError("a TLS context is built")

ssl.SSLContext.__new__ = refuse
ssl.create_default_context = refuse
"""

REPORT = """
import json, sys
print(json.dumps(sorted(sys.modules)))
"""


def loaded_by(program: str) -> set[str]:
    """Run a program in an interpreter of its own and return the modules that are loaded at its end."""
    done = subprocess.run([sys.executable, "-c", program + REPORT], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    return set(cast("list[str]", json.loads(done.stdout)))


def test_the_root_costs_next_to_nothing() -> None:
    """`import cabinet_sdk` loads no library, no area and none of the machinery."""
    loaded = loaded_by("import cabinet_sdk")

    assert loaded & HEAVY == set()
    assert {name for name in loaded if name.startswith("cabinet_sdk.")} == set()


@pytest.mark.parametrize(
    "program", ["import httpx", "import cattrs", "import cabinet_sdk.charges", "cabinet_sdk.SqliteJournal"]
)
def test_what_is_loaded_is_seen(program: str) -> None:
    """The test before this one sees what a program loads."""
    assert loaded_by(f"import cabinet_sdk\n{program}") & HEAVY != set()


@pytest.mark.parametrize(
    "program",
    [
        "from cabinet_sdk import Cabinet",
        "from cabinet_sdk import CabinetError, ClientCredentials, Pages, RetryPolicy",
        "import cabinet_sdk.errors",
        "import cabinet_sdk.types",
        "import cabinet_sdk.transports",
    ],
)
def test_the_clients_alone_load_no_area_and_no_http_library(program: str) -> None:
    """An area is loaded with its first use, httpx with the first client that has no transport, SQLite by a journal."""
    assert loaded_by(program) & {"httpx", "sqlite3", "cabinet_sdk.charges"} == set()


@pytest.mark.slow
@pytest.mark.parametrize("connect", ["connect", "connect_async"])
def test_a_client_with_its_own_transport_needs_no_http_and_no_tls(connect: str) -> None:
    """From the first call to the last, a client with an explicit transport loads no httpx and builds no TLS context."""
    program = f"""
{NO_TLS}
import asyncio
from reference_server import World
from reference_server.testing import {connect} as connect
from cabinet_sdk.types import Money

world = World()
person = world.profiles.add("Иванова Мария Петровна")
world.charges.add(person, Money("10.00"))
cabinet = connect(world, person)

async def main():
    return [charge async for charge in cabinet.charges.list()]

charges = list(cabinet.charges.list()) if "{connect}" == "connect" else asyncio.run(main())
assert len(charges) == 1
"""
    assert loaded_by(program) & NOT_FOR_A_FAKE == set()


def test_a_tls_context_would_be_seen() -> None:
    """The test before this one sees when a client builds a TLS context."""
    program = f"""
{NO_TLS}
from cabinet_sdk import Cabinet
try:
    Cabinet("https://cabinet.example/v1").charges.list().__iter__().__next__()
except AssertionError as error:
    assert str(error) == "a TLS context is built"
else:
    raise SystemExit("no TLS context")
"""
    assert "httpx" in loaded_by(program)
