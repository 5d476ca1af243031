"""Schemathesis attacks the served reference server with requests that it makes from the document."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cabinet_sdk.charges import PaymentMethod
from reference_server import Profile, RateLimit, World
from reference_server.testing import connect, serve

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "openapi.json"


@pytest.fixture
def world() -> Iterator[World]:
    """Return a seeded world whose answers carry rate limits that nobody reaches."""
    world = World.seeded(rate_limit=RateLimit(quota=1_000_000, window=3600))
    yield world
    world.close()


def token(world: World, profile: Profile, url: str) -> str:
    """Sign in over HTTP."""
    answer = httpx.post(
        f"{url}/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=(profile.id, world.client_secret(profile.id)),
    )
    return str(answer.json()["access_token"])


@pytest.mark.slow
@pytest.mark.feature("EX-01")
def test_server_keeps_its_document(world: World, tmp_path: Path) -> None:
    """No request of schemathesis gets the server to break the document or one of the checks."""
    owner, stranger, *_ = world.profiles.all()
    with connect(world, owner) as client:
        charges = [charge.id for charge in client.charges.list()]
        paid = client.charges.pay(next(iter(client.charges.list(overdue=True))).id, method=PaymentMethod.SBP)
        payments = [client.charges.wait_for_payment(paid.id).id]
    shutil.copy(HERE / "schemathesis.toml", tmp_path)
    shutil.copy(HERE / "schemathesis_hooks.py", tmp_path)
    for name, ids in (("charges", charges), ("payments", payments)):
        (tmp_path / f"{name}.dict").write_text("".join(f'"{each}"\n' for each in ids), encoding="utf-8")

    with serve(world) as url:
        headers = {
            name: [{"name": "Authorization", "value": f"Bearer {token(world, profile, url)}"}]
            for name, profile in (("owner", owner), ("stranger", stranger))
        }
        users = [{"name": name, "fixedHeaders": fixed} for name, fixed in headers.items()]
        (tmp_path / "auth.json").write_text(json.dumps({"auth": users}), encoding="utf-8")
        run = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml"),
                *("run", str(DOCUMENT), "--url", url, "--no-color"),
            ],
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    assert run.returncode == 0, run.stdout + run.stderr
