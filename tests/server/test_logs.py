"""What the server writes down shows nobody's data."""

from __future__ import annotations

import logging

import pytest

from cabinet_sdk.charges import Charge
from cabinet_sdk.types import Money
from reference_server import Profile, World
from tests.server.raw import Raw


@pytest.mark.feature("SE-01")
def test_logs_hide_what_is_not_on_the_list(world: World, person: Profile, caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG neither УИН nor ИНН, token, secret or key stands in a log; status and operation do."""
    charge: Charge = world.charges.add(person, Money("10.00"), order_number="1881000077")
    with caplog.at_level(logging.DEBUG):
        raw = Raw(world, person)
        raw.send("GET", f"/charges?uin={charge.uin}&payee_inn=7707083893&order_number=1881000077&status=not_paid")
        raw.send("POST", f"/charges/{charge.id}/payments", {"method": "sbp", "amount": "1.00"}, key="secret-key")
        world.faults.crash("charges.pay")
        raw.send("POST", f"/charges/{charge.id}/payments", {"method": "sbp", "amount": "1.00"}, key="another")
    shown = caplog.text + repr(world.requests)

    for hidden in (str(charge.uin), "7707083893", "1881000077", raw.token, world.client_secret(person.id), person.name):
        assert hidden not in shown
    assert "status=not_paid" in shown
    assert "charges.pay failed" in shown
