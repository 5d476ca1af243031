"""The header `Content-Disposition`: the name of a file in an answer (RFC 6266) or in a form (RFC 7578)."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

from cabinet_sdk.types.files import safe_name

__all__ = ["attachment", "name_of", "parameters_of"]

_PARAMETER = re.compile(r';\s*([\w!#$&+.^`|~-]+\*?)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))', re.ASCII)
# What RFC 8187 lets stand as it is; letters, digits and `_.-~` do so anyway.
_ATTR_CHARS = "!#$&+^`|"


def attachment(name: str) -> str:
    """Return the header that gives a download its name: in ASCII for old readers, in UTF-8 for all others."""
    name = safe_name(name)
    plain = "".join(each if each.isascii() and each.isprintable() and each not in '"\\' else "_" for each in name)
    header = f'attachment; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe=_ATTR_CHARS)}"


def name_of(header: str | None, default: str = "file") -> str:
    """Return a safe name from the header: that of ``filename*`` if there is one that can be read."""
    if header is None:
        return default
    parameters = parameters_of(header)
    extended = _extended(parameters.get("filename*", ""))
    return safe_name(_utf8(parameters.get("filename", "")) if extended is None else extended, default)


def parameters_of(header: str) -> dict[str, str]:
    """Return the parameters by their names in lower case, the first of those with one name."""
    parameters: dict[str, str] = {}
    for name, quoted, plain in _PARAMETER.findall(header):
        # Only these two are escaped by anybody; a backslash before another character is one of a path.
        parameters.setdefault(name.lower(), re.sub(r'\\(["\\])', r"\1", quoted) if quoted else plain)
    return parameters


def _extended(value: str) -> str | None:
    charset, _, rest = value.partition("'")
    _, quote_mark, encoded = rest.partition("'")
    if not quote_mark or charset.lower() not in {"utf-8", "iso-8859-1"}:
        return None
    try:
        return unquote_to_bytes(encoded).decode(charset)
    except UnicodeDecodeError:
        return None


def _utf8(value: str) -> str:
    """Read as UTF-8 what some servers send so, where headers are read as Latin-1."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value
