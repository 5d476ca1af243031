"""
What of a request or an answer may be shown.

Rule: an allow-list. A header or a parameter that nobody thought of stays hidden, and so does a name that may be data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

__all__ = [
    "HIDDEN",
    "SHOWN_HEADERS",
    "SHOWN_PARAMETERS",
    "Secret",
    "printable",
    "shown_headers",
    "shown_name",
    "shown_text",
    "shown_url",
]

HIDDEN = "hidden"

SHOWN_HEADERS = frozenset(
    {
        "accept",
        "allow",
        "cache-control",
        "content-length",
        "content-type",
        "date",
        "idempotency-replayed",
        "ratelimit",
        "ratelimit-policy",
        "retry-after",
        "server",
        "traceparent",
        "user-agent",
        "x-request-id",
    }
)

SHOWN_PARAMETERS = frozenset({"kind", "limit", "order", "overdue", "period", "status"})

_LONGEST_WORD = 100

# As the contract names fields. Four digits in a row may be part of somebody's number.
_SHOWN_NAME = re.compile(r"(?!.*[0-9]{4})[a-z][a-z0-9_]{0,63}", re.ASCII)


@final
class Secret(str):
    """A text that a tool which shows the locals of a traceback does not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return HIDDEN


def shown_headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the headers with the values that are not on the list hidden."""
    return {name: value if name in SHOWN_HEADERS else HIDDEN for name, value in pairs}


def printable(text: str) -> str:
    """Return a text of the service's as one line, so that it cannot begin another one in a log or steer a terminal."""
    return text if text.isprintable() else "".join(each if each.isprintable() else " " for each in text)


def shown_text(text: str) -> str:
    """Return what a service put in the place of a short word, as part of one line."""
    return printable(text[:_LONGEST_WORD])


def shown_name(name: str) -> str:
    """Return the name of a field that nobody knows; where it is none that a contract would have, it may be data."""
    return name if _SHOWN_NAME.fullmatch(name) else HIDDEN


def shown_url(url: str) -> str:
    """Return the address without user information, fragment and the parameters that are not on the list."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    shown = [
        (name, value if name in SHOWN_PARAMETERS else HIDDEN)
        for name, value in (parse_qsl(parts.query, keep_blank_values=True) if parts.query else ())
    ]
    query = urlencode(shown) if shown else ""
    return urlunsplit((parts.scheme, host, parts.path, query, ""))
