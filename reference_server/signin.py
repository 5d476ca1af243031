"""The token endpoint (RFC 6749 4.4, client credentials) and the check of bearer tokens (RFC 6750)."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hmac
import json
from typing import final
from urllib.parse import parse_qsl, unquote

import attrs

from cabinet_sdk._core.wire import Body, Headers
from cabinet_sdk.errors import SignInRequired, TokenInvalid
from reference_server.audit import DONE
from reference_server.clock import from_micros, to_micros
from reference_server.database import Database
from reference_server.limits import whole
from reference_server.profiles import Profile, digest, profile_by_client, profile_by_id
from reference_server.session import Reply, Work

__all__ = ["SCHEMA", "TOKEN", "TOKEN_LIFETIME", "Bearer", "authenticate", "grant"]

SCHEMA = """
CREATE TABLE tokens (
    digest TEXT PRIMARY KEY,
    profile_id TEXT NOT NULL REFERENCES profiles (id),
    permissions TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tokens_by_expiry ON tokens (expires_at);
"""

TOKEN = "sign_in.token"  # noqa: S105  # a name, no token
"""What log and journal call the token endpoint."""

TOKEN_LIFETIME = dt.timedelta(hours=1)

_JSON = ("content-type", "application/json")
# Ours are shorter; what is looked up is remembered for a while, also what strangers made up.
_LONGEST_TOKEN = 256


@final
@attrs.frozen
class Bearer:
    """
    Whom a token stands for.

    Attributes:
        profile: As whom it acts.
        permissions: Codes of what it allows.
    """

    profile: Profile
    permissions: frozenset[str]


def authenticate(database: Database, headers: Headers, now: dt.datetime) -> Bearer:
    """
    Return whom the request's token stands for.

    Raises:
        SignInRequired: There is no token.
        TokenInvalid: It is unknown or expired.
    """
    value = headers.get("authorization")
    if value is None:
        raise SignInRequired
    scheme, _, token = value.partition(" ")
    if scheme.lower() != "bearer" or not 0 < len(token) <= _LONGEST_TOKEN:
        raise TokenInvalid
    found = database.remembered(("bearer", token), lambda _: _bearer(database, digest(token)))
    if found is None or found[1] <= now:
        raise TokenInvalid
    return found[0]


def _bearer(database: Database, kept: str) -> tuple[Bearer, dt.datetime] | None:
    """Return whom a token stands for, and until when."""
    row = database.one("SELECT * FROM tokens WHERE digest = ?", (kept,))
    profile = None if row is None else profile_by_id(database, row["profile_id"])
    if row is None or profile is None:
        return None
    # What the profile has lost since, the token has lost too (ASVS 8.3.2).
    permissions = frozenset(row["permissions"].split()) & profile.permissions
    return Bearer(profile, permissions), from_micros(row["expires_at"])


def grant(  # noqa: PLR0911  # one return for each of RFC 6749's refusals
    work: Work, method: str, headers: Headers, content: bytes | Body, *, request_id: str, sender: str | None
) -> Reply:
    """Answer a request for a token, in the transaction that the caller has open, with an entry in the journal."""
    if method != "POST":
        return Reply(405, [_JSON, ("allow", "POST")], _error("invalid_request", "use POST"))
    media_type = (headers.get("content-type") or "").partition(";")[0].strip().lower()
    try:
        pairs = parse_qsl(whole(content).decode(), keep_blank_values=False, max_num_fields=20)
    except ValueError:
        pairs = []
        media_type = ""
    form = dict(pairs)
    if media_type != "application/x-www-form-urlencoded" or len(form) != len(pairs):
        return _refused("invalid_request", "Send each parameter once, form-encoded.")
    client = _client(headers, form)
    if client is None:
        return _refused("invalid_request", "Name the client once, in the Authorization header or in the form.")
    found = profile_by_client(work.database, client[0])

    def take_down(outcome: str) -> None:
        who = None if found is None else found[0].id
        work.journal.record(
            work, TOKEN, outcome=outcome, actor=who, profile_id=who, request_id=request_id, sender=sender
        )

    expected = digest("") if found is None else found[1]
    if not hmac.compare_digest(digest(client[1]), expected) or found is None:
        take_down("invalid_client")
        return _refused("invalid_client", "The client is unknown or its secret is wrong.", status=401)
    if "grant_type" not in form:
        return _refused("invalid_request", "Name the grant_type: client_credentials.")
    if form["grant_type"] != "client_credentials":
        return _refused("unsupported_grant_type", "Only client_credentials is offered.")
    profile = found[0]
    asked = frozenset(form.get("scope", "").split()) or profile.permissions
    if not asked <= profile.permissions:
        take_down("invalid_scope")
        return _refused("invalid_scope", "The client may not have one of these permissions.")
    token = work.ids.secret()
    work.database.execute("DELETE FROM tokens WHERE expires_at <= ?", (to_micros(work.now),))
    work.database.execute(
        "INSERT INTO tokens VALUES (?, ?, ?, ?)",
        (digest(token), profile.id, " ".join(sorted(asked)), to_micros(work.now + TOKEN_LIFETIME)),
    )
    take_down(DONE)
    document = {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": int(TOKEN_LIFETIME.total_seconds()),
        "scope": " ".join(sorted(asked)),
    }
    return Reply(200, [_JSON], json.dumps(document).encode())


def _client(headers: Headers, form: dict[str, str]) -> tuple[str, str] | None:
    header = headers.get("authorization")
    in_form = "client_id" in form or "client_secret" in form
    if header is None:
        return (form.get("client_id", ""), form.get("client_secret", "")) if in_form else None
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic" or in_form:
        return None
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return unquote(client_id), unquote(secret)


def _refused(error: str, description: str, *, status: int = 400) -> Reply:
    headers: list[tuple[str, str]] = [_JSON]
    if status == 401:
        headers.append(("www-authenticate", 'Basic realm="cabinet"'))
    return Reply(status, headers, _error(error, description))


def _error(error: str, description: str) -> bytes:
    return json.dumps({"error": error, "error_description": description}).encode()
