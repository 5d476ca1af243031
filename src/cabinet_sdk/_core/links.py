"""The header `Link` (RFC 8288): where the next page is."""

from __future__ import annotations

import re
from urllib.parse import urljoin

__all__ = ["linked"]

_NAME = r"[!#$%&'*+.^`|~\w-]+"
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_PARAMETER = re.compile(rf'\s*;\s*({_NAME})(?:\s*=\s*(?:{_QUOTED}|([^\s",;]*)))?', re.ASCII)
# The repetition is possessive (``*+``): a header made to be slow is refused as fast as any other.
_LINK = re.compile(rf"<([^<>]*)>((?:{_PARAMETER.pattern})*+)\s*(?:,|$)", re.ASCII)


def linked(header: str, relation: str, base: str) -> str | None:
    """
    Return the absolute target of the first link of that relation, None where there is none; `base` resolves it.

    Raises:
        ValueError: There is one, but its target is no address.
    """
    for link in _LINK.finditer(header):
        for parameter in _PARAMETER.finditer(link.group(2)):
            name, quoted, bare = parameter.groups()
            if name.lower() == "rel":
                if relation in (quoted or bare or "").lower().split():
                    target: str = link.group(1)
                    return urljoin(base, target)
                # Only the first `rel` of a link counts (RFC 8288 3.3); it may name several relations.
                break
    return None
