"""Digests of bodies and files in headers (RFC 9530): SHA-256, the one algorithm that everybody has."""

from __future__ import annotations

import base64
import binascii
import re

__all__ = ["digest_header", "digest_in"]

_MEMBER = re.compile(r"(?:^|,)\s*sha-256\s*=\s*:([A-Za-z0-9+/=]*):\s*(?:;[^,]*)?(?=,|$)", re.ASCII)


def digest_header(sha256: bytes) -> str:
    """Return the value of `Content-Digest` or `Repr-Digest`."""
    return f"sha-256=:{base64.b64encode(sha256).decode()}:"


def digest_in(header: str | None) -> bytes | None:
    """Return the SHA-256 that a header names, None where it names none that can be read."""
    found = _MEMBER.search(header or "")
    if found is None:
        return None
    try:
        digest = base64.b64decode(found.group(1), validate=True)
    except binascii.Error:
        return None
    return digest if len(digest) == 32 else None
