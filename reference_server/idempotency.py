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
import threading
from typing import TypeAlias, final

import attrs

from cabinet_sdk._core.wire import Headers
from cabinet_sdk.errors import FieldError, InvalidRequest, KeyMissing, KeyReused, StillRunning
from reference_server.clock import to_micros
from reference_server.session import Reply, Work

__all__ = ["ANSWER_KEPT", "SCHEMA", "Claim", "Kept", "Running", "keep", "key_of", "look_up"]

SCHEMA = """
CREATE TABLE idempotency_keys (
    profile_id TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    kept_at INTEGER NOT NULL,
    location TEXT,
    status INTEGER NOT NULL,
    headers TEXT NOT NULL,
    content BLOB,
    PRIMARY KEY (profile_id, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_answers_by_age ON idempotency_keys (kept_at)
    WHERE content IS NOT NULL AND location IS NOT NULL;
"""

Claim: TypeAlias = tuple[str, str]
"""A token and a key."""

ANSWER_KEPT = dt.timedelta(hours=24)

_KEY = re.compile(r'"([A-Za-z0-9-]{1,255})"|([A-Za-z0-9-]{1,255})', re.ASCII)


@final
@attrs.frozen
class Kept:
    """
    What is known of a key.

    Attributes:
        answer: The answer; None once it is no longer kept.
        location: Where the thing is that the key created.
    """

    answer: Reply | None
    location: str | None


@final
class Running:
    """
    The keys whose first request is being carried out; one process owns a world, so a set in memory is enough.

    Asked before the world's lock is waited for: a second request learns at once that the first is still running. Two
    tokens of one profile are two entries here; the lock then lets one wait for the other, and it gets the same answer.
    """

    def __init__(self) -> None:
        self._claims: set[Claim] = set()
        self._lock = threading.Lock()

    def claim(self, headers: Headers) -> Claim | None:
        """
        Claim the request's key, if it has one, until it is released.

        Raises:
            StillRunning: Another request holds it.
        """
        key = headers.get("idempotency-key")
        if key is None:
            return None
        claim = headers.get("authorization") or "", key
        with self._lock:
            if claim in self._claims:
                raise StillRunning(retry_after=1)
            self._claims.add(claim)
        return claim

    def release(self, claim: Claim) -> None:
        """Let go of a key whose request has been carried out."""
        with self._lock:
            self._claims.discard(claim)


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
        "SELECT fingerprint, kept_at, location, status, headers, content FROM idempotency_keys"
        " WHERE profile_id = ? AND key = ?",
        (profile_id, key),
    )
    if row is None:
        return None
    digest, kept_at, location, status, headers, content = row
    if digest != hashlib.sha256(fingerprint).digest():
        raise KeyReused
    # Let go of already, whatever a clock says that was set back.
    if location is not None and (content is None or kept_at <= to_micros(work.now - ANSWER_KEPT)):
        return Kept(None, location)
    return Kept(Reply(status, [(name, value) for name, value in json.loads(headers)], content), location)


def keep(work: Work, profile_id: str, key: str, fingerprint: bytes, answer: Reply) -> None:
    """Keep a key with its answer, and let go of the answers that are not replayed any more."""
    work.database.execute(
        "UPDATE idempotency_keys SET content = NULL"
        " WHERE kept_at <= ? AND content IS NOT NULL AND location IS NOT NULL",
        (to_micros(work.now - ANSWER_KEPT),),
    )
    work.database.execute(
        "INSERT INTO idempotency_keys VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            profile_id,
            key,
            hashlib.sha256(fingerprint).digest(),
            to_micros(work.now),
            dict(answer.headers).get("location"),
            answer.status,
            json.dumps(answer.headers),
            answer.content,
        ),
    )
