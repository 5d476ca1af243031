"""
A typed SDK for the personal cabinet of a person, an entrepreneur and an organisation.

`Cabinet` and `AsyncCabinet` are the clients; what travels stands in the areas (`cabinet_sdk.charges`), the values they
share in `cabinet_sdk.types`, what can go wrong in `cabinet_sdk.errors`, and other ways to carry requests in
`cabinet_sdk.transports`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cabinet_sdk._core.context import AroundAttempt, AroundCall, Attempt, CallScope, Drift, OnDrift
    from cabinet_sdk._core.downloads import AsyncFileStream, FileStream
    from cabinet_sdk._core.journal import Journal, JournalEntry
    from cabinet_sdk._core.paging import AsyncPages, Page, Pages
    from cabinet_sdk._core.resuming import Resumed
    from cabinet_sdk._core.retry import RetryPolicy
    from cabinet_sdk._core.signin import BearerToken, ClientCredentials, Credentials
    from cabinet_sdk._core.sqlite_journal import SqliteJournal
    from cabinet_sdk._core.wire import Answer
    from cabinet_sdk.client import AsyncCabinet, Cabinet
    from cabinet_sdk.errors import CabinetError

__all__ = [
    "Answer",
    "AroundAttempt",
    "AroundCall",
    "AsyncCabinet",
    "AsyncFileStream",
    "AsyncPages",
    "Attempt",
    "BearerToken",
    "Cabinet",
    "CabinetError",
    "CallScope",
    "ClientCredentials",
    "Credentials",
    "Drift",
    "FileStream",
    "Journal",
    "JournalEntry",
    "OnDrift",
    "Page",
    "Pages",
    "Resumed",
    "RetryPolicy",
    "SqliteJournal",
    "__version__",
]

__version__ = "0.1.0"

# Loaded on first use: `import cabinet_sdk` alone costs next to nothing.
_HOMES = {
    "Answer": "_core.wire",
    "AroundAttempt": "_core.context",
    "AroundCall": "_core.context",
    "AsyncCabinet": "client",
    "AsyncFileStream": "_core.downloads",
    "AsyncPages": "_core.paging",
    "Attempt": "_core.context",
    "BearerToken": "_core.signin",
    "Cabinet": "client",
    "CabinetError": "errors",
    "CallScope": "_core.context",
    "ClientCredentials": "_core.signin",
    "Credentials": "_core.signin",
    "Drift": "_core.context",
    "FileStream": "_core.downloads",
    "Journal": "_core.journal",
    "JournalEntry": "_core.journal",
    "OnDrift": "_core.context",
    "Page": "_core.paging",
    "Pages": "_core.paging",
    "Resumed": "_core.resuming",
    "RetryPolicy": "_core.retry",
    "SqliteJournal": "_core.sqlite_journal",
}


if not TYPE_CHECKING:  # Type checkers would take any name for one that the module has.

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        value: object = getattr(import_module(f"{__name__}.{home}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
