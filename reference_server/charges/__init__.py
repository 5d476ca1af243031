"""Charges on the server's side."""

from __future__ import annotations

from reference_server.charges import handlers
from reference_server.charges.control import ChargesControl
from reference_server.charges.rules import step
from reference_server.charges.seed import seed
from reference_server.charges.store import SCHEMA, has_step

__all__ = ["SCHEMA", "ChargesControl", "handlers", "has_step", "seed", "step"]
