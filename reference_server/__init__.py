"""
A reference server of the cabinet's contract: in memory as a fake for tests, or on a socket.

It is no authority's: it plays them, by the contract's rules and with made-up data.
"""

from __future__ import annotations

from reference_server.audit import Anchor, AuditEntry, Breach
from reference_server.charges.rules import Outcome
from reference_server.clock import Clock, ManualClock, SystemClock
from reference_server.database import DatabaseRefused
from reference_server.faults import Fault, FaultKind
from reference_server.limits import RateLimit
from reference_server.profiles import Profile, ProfileKind
from reference_server.respond import LoggedRequest
from reference_server.world import Checkpoint, World

__all__ = [
    "Anchor",
    "AuditEntry",
    "Breach",
    "Checkpoint",
    "Clock",
    "DatabaseRefused",
    "Fault",
    "FaultKind",
    "LoggedRequest",
    "ManualClock",
    "Outcome",
    "Profile",
    "ProfileKind",
    "RateLimit",
    "SystemClock",
    "World",
]
