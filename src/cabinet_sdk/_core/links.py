"""The header `Link` (RFC 8288): where the next page is."""

from __future__ import annotations

import re
from urllib.parse import urljoin

__all__ = ["linked"]

_LINK = re.compile(
    r'\s*<([^>]*)>((?:\s*;\s*[!#$%&\'*+.^`|~\w-]+\s*(?:=\s*(?:"(?:[^"\\]|\\.)*"|[^\s",;]*))?)*)\s*(?:,|$)', re.ASCII
)
_RELATION = re.compile(r';\s*rel\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",;]+))', re.ASCII | re.IGNORECASE)


def linked(header: str, relation: str, base: str) -> str | None:
    """Return the absolute target of the first link of that relation, None where there is none; `base` resolves it."""
    for link in _LINK.finditer(header):
        found = _RELATION.search(link.group(2))
        # Only the first `rel` of a link counts (RFC 8288 3.3); it may name several relations.
        if found and relation in (found.group(1) or found.group(2) or "").lower().split():
            target: str = link.group(1)
            return urljoin(base, target)
    return None
