"""
Idempotency keys: a change is done once for each key, whatever is lost on the way.

Rule: a key is kept in the same transaction as the effect, so neither is ever there without the other. Only what was
committed is kept: a refusal frees the key. The key stays with its effect for ever; the answer is replayed for
`ANSWER_KEPT`, after which the same key gets the current state of what it created.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import final

import attrs

from cabinet_sdk._core.wire import Headers, Response
from cabinet_sdk.errors import FieldError, InvalidRequest, KeyMissing, KeyReused, StillRunning
from reference_server.clock import to_micros
from reference_server.session import Work

__all__ = ["ANSWER_KEPT", "SCHEMA", "Kept", "Running", "keep", "key_of", "look_up"]

SCHEMA = """
CREATE TABLE idempotency_keys (
    profile_id TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    kept_at INTEGER NOT NULL,
    status INTEGER NOT NULL,
    headers TEXT NOT NULL,
    content BLOB,
    PRIMARY KEY (profile_id, key)
) WITHOUT ROWID;
"""

ANSWER_KEPT = dt.timedelta(hours=24)

_KEY = re.compile(r'"([A-Za-z0-9-]{1,255})"|([A-Za-z0-9-]{1,255})', re.ASCII)


@final
@attrs.frozen
class Kept:
    """
    What is known of a key.

    Attributes:
        response: The answer; None once it is no longer kept.
        location: Where the thing is that the key created.
    """

    response: Response | None
    location: str | None


@final
class Running:
    """The keys whose first request is being carried out; one process owns a world, so a set in memory is enough."""

    def __init__(self) -> None:
        self._keys: set[tuple[str, str]] = set()

    @contextmanager
    def claim(self, profile_id: str, key: str) -> Generator[None]:
        """
        Hold the key while its request is carried out.

        Raises:
            StillRunning: Another request holds it.
        """
        entry = profile_id, key
        if entry in self._keys:
            raise StillRunning(retry_after=1)
        self._keys.add(entry)
        try:
            yield
        finally:
            self._keys.discard(entry)


def key_of(headers: Headers) -> str:
    """
    Return the request's key, given as a structured field string or bare.

    Raises:
        KeyMissing: There is none.
        InvalidRequest: It has another form.
    """
    value = headers.get("idempotency-key")
    if value is None:
        raise KeyMissing
    match = _KEY.fullmatch(value.strip())
    if match is None:
        message = "expected 1 to 255 Latin letters, digits and hyphens, quoted or bare"
        raise InvalidRequest(errors=(FieldError("Idempotency-Key", "form", message),))
    return match.group(1) or match.group(2)


def look_up(work: Work, profile_id: str, key: str, fingerprint: bytes) -> Kept | None:
    """
    Return what is known of a key, None where it is new.

    Raises:
        KeyReused: It belongs to another request.
    """
    row = work.database.one(
        "SELECT * FROM idempotency_keys WHERE profile_id = ? AND key = ?",
        (profile_id, key),
    )
    if row is None:
        return None
    if row["fingerprint"] != hashlib.sha256(fingerprint).digest():
        raise KeyReused
    pairs: list[tuple[str, str]] = json.loads(row["headers"])
    headers = Headers((name, value) for name, value in pairs)
    expired = row["kept_at"] + ANSWER_KEPT // dt.timedelta(microseconds=1) <= to_micros(work.now)
    location = headers.get("location")
    if row["content"] is None or (expired and location is not None):
        return Kept(None, location)
    response = Response(status=row["status"], headers=headers, content=row["content"])
    return Kept(response, location)


def keep(work: Work, profile_id: str, key: str, fingerprint: bytes, response: Response) -> None:
    """Keep a key with its answer, and let go of the answers whose time is over."""
    now = to_micros(work.now)
    work.database.execute(
        "INSERT INTO idempotency_keys VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            profile_id,
            key,
            hashlib.sha256(fingerprint).digest(),
            now,
            response.status,
            json.dumps(response.headers.pairs()),
            response.content,
        ),
    )
