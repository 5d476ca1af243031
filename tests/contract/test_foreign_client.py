"""A client that a foreign generator makes from the document works against the served reference server."""

from __future__ import annotations

import datetime as dt
import importlib
import subprocess
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest

from cabinet_sdk.charges.models import ChargeKind
from cabinet_sdk.types import Money
from reference_server import Profile, World
from reference_server.testing import serve

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"
PACKAGE = "foreign_cabinet"


@pytest.fixture(scope="module")
def _generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have openapi-python-client write its package, and let it be imported."""
    folder = tmp_path_factory.mktemp("generated")
    # Its formatters would only make the code prettier. Files are bytes to it only where it is told so.
    (folder / "config.yml").write_text(
        "post_hooks: []\ncontent_type_overrides:\n"
        "  application/pdf: application/octet-stream\n"
        "  application/vnd.openxmlformats-officedocument.spreadsheetml.sheet: application/octet-stream\n",
        encoding="utf-8",
    )
    subprocess.run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning", "--meta", "none"),
            *("--path", str(DOCUMENT), "--config", "config.yml", "--output-path", PACKAGE),
        ],
        cwd=folder,
        check=True,
    )
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture
def served() -> Iterator[tuple[World, Profile, str]]:
    """Return a world with one person, the person, and the base URL under which it is served."""
    world = World()
    profile = world.profiles.add("Иванова Мария Петровна")
    with serve(world) as url:
        yield world, profile, url
    world.close()


def module(name: str) -> Any:  # Any: the module is written while the test runs, so no checker has seen it
    """Import a part of the generated package."""
    return importlib.import_module(f"{PACKAGE}.{name}")


def sign_in(world: World, profile: Profile, url: str) -> Any:  # Any: as above
    """Return a generated client with a token from the token endpoint."""
    answer = httpx.post(
        f"{url}/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=(profile.id, world.client_secret(profile.id)),
    )
    return module("client").AuthenticatedClient(base_url=url, token=answer.json()["access_token"])


@pytest.mark.slow
@pytest.mark.usefixtures("_generated")
@pytest.mark.feature("EX-01", "CH-01", "CH-05")
def test_foreign_client_lists_and_pays(served: tuple[World, Profile, str]) -> None:
    """It lists charges, pays one in part, and gets the same payment for the same key."""
    world, profile, url = served
    fine = world.charges.add(profile, Money("1500.00"), due_on=dt.date(2026, 12, 1))
    world.charges.add(profile, Money("400.00"), kind=ChargeKind.DUTY)
    models, charges = module("models"), "api.charges"

    with sign_in(world, profile, url) as client:
        listed = module(f"{charges}.charges_list").sync(client=client, kind=models.KnownChargeKind.FINE)
        paying = {
            "charge_id": listed[0].id,
            "body": models.PayChargeRequest(method=models.KnownPaymentMethod.SBP, amount="1000.00"),
            "idempotency_key": '"5a1f"',
            "client": client,
        }
        first = module(f"{charges}.charges_pay").sync_detailed(**paying)
        again = module(f"{charges}.charges_pay").sync_detailed(**paying)
        read = module(f"{charges}.charges_get").sync(fine.id, client=client)

    assert [type(charge) for charge in listed] == [models.Charge]
    assert (listed[0].id, listed[0].status, listed[0].amount) == (fine.id, "not_paid", "1500.00")
    assert (listed[0].due_on, listed[0].tax_period) == (dt.date(2026, 12, 1), None)
    assert (first.status_code, type(first.parsed)) == (HTTPStatus.CREATED, models.Payment)
    assert [(item.charge_id, item.amount) for item in first.parsed.items] == [(fine.id, "1000.00")]
    assert first.parsed.created_at == world.clock.now()
    assert again.parsed == first.parsed
    assert (read.pending, read.due) == ("1000.00", "500.00")


@pytest.mark.slow
@pytest.mark.usefixtures("_generated")
@pytest.mark.feature("CH-05")
def test_foreign_client_pays_several(served: tuple[World, Profile, str]) -> None:
    """It pays two charges with one payment, reads it, and is told by a typed problem that nothing is left."""
    world, profile, url = served
    owed = [world.charges.add(profile, Money("100.00")), world.charges.add(profile, Money("20.50"))]
    models, charges = module("models"), "api.charges"
    body = models.PayChargesRequest(
        items=[models.ItemToPayRequest(charge_id=charge.id) for charge in owed],
        method=models.KnownPaymentMethod.BANK_CARD,
    )

    with sign_in(world, profile, url) as client:
        pay = module(f"{charges}.charges_pay_several").sync
        payment = pay(body=body, idempotency_key="first", client=client)
        refusal = pay(body=body, idempotency_key="second", client=client)
        read = module(f"{charges}.charges_payment").sync(payment.id, client=client)

    assert payment.amount == "120.50"
    assert read == payment
    assert (type(refusal), refusal.code) == (models.ProblemDocument, "charges.nothing_due")
