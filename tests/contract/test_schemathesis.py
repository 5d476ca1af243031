"""Schemathesis attacks the served reference server with requests that it makes from the document."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cabinet_sdk.charges import PaymentMethod, RefundMethod
from cabinet_sdk.contract import CONTRACT
from cabinet_sdk.types import Money
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


def ids_of(world: World, owner: Profile) -> dict[str, list[str]]:
    """Return what exists and can be asked for, by its kind; what does not exist is answered with 404 alone."""
    with connect(world, owner) as client:
        debt = next(iter(client.charges.list(overdue=True)))
        overpaid = next(each.charge_id for each in client.charges.overpayments() if each.refundable > Money(1))
        kopeck = Money("0.01")
        paid = [client.charges.pay(debt.id, method=PaymentMethod.SBP, amount=kopeck) for _ in range(80)]
        refunded = [
            client.charges.request_refund(overpaid, method=RefundMethod.COMPENSATION, amount=kopeck) for _ in range(80)
        ]
        for payment in paid:
            client.charges.wait_for_payment(payment.id)
        return {
            "charges": [charge.id for charge in client.charges.list()],
            "payments": [payment.id for payment in paid],
            "refunds": [refund.id for refund in refunded],
        }


def tries(report: Path) -> Counter[str]:
    """Return how many requests each operation has had."""
    cases: Counter[str] = Counter()
    for line in report.read_text(encoding="utf-8").splitlines():
        event: dict[str, Any] = json.loads(line)  # Any: JSON
        scenario: dict[str, Any] = event.get("ScenarioFinished") or {}
        recorder: dict[str, Any] = scenario.get("recorder", {})
        made: dict[str, Any] = recorder.get("cases", {})
        for case in made.values():
            cases[f"{case['value']['method']} {case['value']['path']}"] += 1
    return cases


@pytest.mark.slow
@pytest.mark.feature("EX-01")
def test_server_keeps_its_document(world: World, tmp_path: Path) -> None:
    """No request of schemathesis gets the server to break the document or a check, 50 and more an operation."""
    owner, stranger, *_ = world.profiles.all()
    shutil.copy(HERE / "schemathesis.toml", tmp_path)
    shutil.copy(HERE / "schemathesis_hooks.py", tmp_path)
    for name, ids in ids_of(world, owner).items():
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
                *("--report", "ndjson", "--report-ndjson-path", "report.ndjson"),
            ],
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    assert run.returncode == 0, run.stdout + run.stderr
    tried = tries(tmp_path / "report.ndjson")
    wanted = [f"{row.method} {row.path}" for row in CONTRACT]
    assert {operation: tried[operation] for operation in wanted if tried[operation] < 50} == {}
