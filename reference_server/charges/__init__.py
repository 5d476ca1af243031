"""Charges on the server's side."""

from __future__ import annotations

from reference_server.charges import (
    handlers,
    store,
    store_ledger,
    store_payments,
    store_refunds,
    store_steps,
    store_transfers,
)
from reference_server.charges.control import ChargesControl
from reference_server.charges.rules_payments import LINKED
from reference_server.charges.rules_steps import step
from reference_server.charges.seed import seed
from reference_server.charges.store_steps import has_step

__all__ = ["LINKED", "SCHEMA", "ChargesControl", "handlers", "has_step", "seed", "step"]

SCHEMA = (
    store.SCHEMA
    + store_payments.SCHEMA
    + store_transfers.SCHEMA
    + store_refunds.SCHEMA
    + store_steps.SCHEMA
    + store_ledger.SCHEMA
)
"""The tables of every part of the store."""
