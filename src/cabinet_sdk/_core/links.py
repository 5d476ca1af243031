"""The header `Link` (RFC 8288): where the next page is."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

from cabinet_sdk._core.wire import origin_of

__all__ = ["linked"]

# As Appendix B reads them: a parameter may be empty, and a value without quotes ends with ``;`` or ``,`` alone.
# Repetitions are possessive (``*+``): a header made to be slow is refused as fast as any other.
_QUOTED = r'"((?:[^"\\]|\\.)*+)"'
_PARAMETER = re.compile(rf'\s*+;\s*+([^\s"=;,]*+)\s*+(?:=\s*+(?:{_QUOTED}|(?!")([^;,]*+)))?', re.ASCII)
_LINK = re.compile(rf"[\s,]*+<([^<>]*+)>((?:{_PARAMETER.pattern})*+)\s*+(?=,|\Z)", re.ASCII)
_ESCAPED = re.compile(r"\\(.)")
# Wider than the RFC has it: what a service calls its other links is no reason to end a list with an error. Quotes of
# another kind are, around what may be the relation.
_RELATION = re.compile("[^'\"`]+")


def linked(header: str, relation: str, base: str) -> str | None:
    """
    Return the absolute target of the first link from `base` of that relation; None where the header names none.

    Raises:
        ValueError: There may be one, since the header cannot be read to its end, or its target is no address.
    """
    position, readable = 0, True
    while link := _LINK.match(header, position):
        position = link.end()
        target: str = link.group(1)
        parameters = _parameters(link.group(2))
        relations = parameters.get("rel", "").lower().split()
        if relation in relations and _is_of(base, parameters.get("anchor", "")):
            return urljoin(base, target)
        readable = readable and all(_RELATION.fullmatch(each) for each in relations)
    if not readable or header[position:].strip(" \t,"):
        msg = f"the header may name the relation {relation!r}, but breaks RFC 8288"
        raise ValueError(msg)
    return None


def _parameters(text: str) -> dict[str, str]:
    """Return the parameters of a link; only the first of a name counts (RFC 8288 3.3)."""
    parameters: dict[str, str] = {}
    for parameter in _PARAMETER.finditer(text):
        name, quoted, bare = parameter.groups()
        value = (bare or "").strip() if quoted is None else _ESCAPED.sub(r"\1", quoted)
        parameters.setdefault(name.lower(), value)
    return parameters


def _is_of(base: str, anchor: str) -> bool:
    """Say whether a link leads from `base` and not from another resource (RFC 8288 3.2), whatever the query."""
    origin = urljoin(base, anchor)
    return (origin_of(origin), urlsplit(origin).path) == (origin_of(base), urlsplit(base).path)
