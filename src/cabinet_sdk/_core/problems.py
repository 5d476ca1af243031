"""
Problem documents (RFC 9457), both ways: an error to a document, an answer to an error.

Rule: an answer of another media type is no such document, whatever its body. Only `status` and `code`, or else the
`type` that names one, decide the class; `detail` is for people and never parsed. Members of a wrong type are ignored,
as the RFC asks. Where no code is known, the challenge of a 401 says whether the token was refused.
"""

from __future__ import annotations

import json
import re
from typing import Any, cast

from cabinet_sdk._core.redaction import printable, shown_text
from cabinet_sdk._core.wire import Response, media_type_of
from cabinet_sdk.errors import (
    CallerError,
    FieldError,
    Problem,
    RightsError,
    ServiceError,
    StateError,
    TokenInvalid,
    UnreadableAnswer,
    catalogue,
)

__all__ = ["MEDIA_TYPE", "object_in", "problem_of", "to_document"]

MEDIA_TYPE = "application/problem+json"

_ELSEWHERE = "Check the base URL, its base path included, and what stands between you and the service."
_TLS_WANTED = "The service speaks TLS there: try a base URL with https://."
# How servers and gateways answer http:// where they speak TLS: nginx and Go, Apache.
_SAYS_TLS = re.compile(rb"(?i)http request (?:was sent )?to (?:an )?https|speaking plain http to an ssl")

# RFC 6750 3.1. Two, since one for both would begin anew at each of many schemes.
_BEARER = re.compile(r"(?i)\bbearer\b")
_TOKEN_REFUSED = re.compile(r'(?i)\berror="?invalid_token\b')

# Of what says why there is no result. Its values take up to thirty times as much room as their text.
_LARGEST_DOCUMENT = 1024 * 1024

# The type of each code is its page (RFC 9457 3.1.1), wherever the service keeps those.
_TYPE = re.compile(r"(?:.*/)?problems/([a-z0-9_]+\.[a-z0-9_.]+)", re.DOTALL)

_KNOWN_MEMBERS = frozenset({"type", "title", "status", "detail", "instance", "code", "request_id", "errors"})


def to_document(error: Problem) -> dict[str, object]:
    """Return the document of an error."""
    document: dict[str, object] = {
        # Relative, as RFC 9457 3.1.1 allows: a service that has many names would repeat whichever a caller claims.
        "type": f"/problems/{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
        "request_id": error.request_id,
        **error.members,
    }
    if error.errors:
        document["errors"] = [
            {"field": field.field, "code": field.code, "message": field.message} for field in error.errors
        ]
    return document


def problem_of(response: Response, operation: str, retry_after: float | None) -> Problem:
    """Return the error that an answer with a status of 300 and more stands for; it never raises."""
    request_id = response.request_id
    if 300 <= response.status < 400:
        return UnreadableAnswer(
            f"The service redirects with status {response.status}; redirects are not followed, so that no token "
            "reaches another host.",
            status=response.status,
            request_id=request_id,
            operation=operation,
        )
    media_type = media_type_of(response)
    # Gateways answer in JSON of their own too, with codes that mean nothing here.
    document = object_in(response.content) if media_type == MEDIA_TYPE else None
    if document is None:
        return _class_for(response)(
            f"Status {response.status} without a problem document "
            f"({shown_text(media_type) or 'no content type'}, {len(response.content)} bytes). "
            + (_TLS_WANTED if _SAYS_TLS.search(response.content) else _ELSEWHERE),
            # It says where a file ends, whoever answers (RFC 9110 15.5.17).
            members={"content_range": response.headers.get("content-range") or ""} if response.status == 416 else {},
            status=response.status,
            retry_after=retry_after,
            request_id=request_id,
            operation=operation,
        )
    known = {each.code: each for each in catalogue()}
    code = _text(document, "code")
    # Gateways have pages for their problems too: one that is unknown is not taken for the service's word.
    if code is None and (named := _TYPE.fullmatch(_text(document, "type") or "")) and named.group(1) in known:
        code = named.group(1)
    cls = known.get(code or "", _class_for(response))
    return cls(
        _text(document, "detail") or _text(document, "title"),
        errors=_field_errors(document.get("errors")),
        members={
            name: value for name, value in document.items() if isinstance(value, str) and name not in _KNOWN_MEMBERS
        },
        retry_after=retry_after,
        code=code,
        status=response.status,
        request_id=request_id or shown_text(_text(document, "request_id") or "") or None,
        operation=operation,
    )


def object_in(content: bytes) -> dict[str, Any] | None:  # Any: members of any type come, each is checked where read
    """Return the JSON object that a short body is, None where it is none."""
    if len(content) > _LARGEST_DOCUMENT:
        return None
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", document) if isinstance(document, dict) else None


def _class_for(response: Response) -> type[Problem]:
    status = response.status
    if status == 401 and _refuses_token(response.headers.get("www-authenticate") or ""):
        return TokenInvalid
    if status in {401, 403}:
        return RightsError
    if status in {409, 410, 412, 423, 428}:
        return StateError
    if status >= 500 or status == 429:
        return ServiceError
    return CallerError


def _refuses_token(challenge: str) -> bool:
    bearer = _BEARER.search(challenge)
    return bearer is not None and _TOKEN_REFUSED.search(challenge, bearer.end()) is not None


def _text(document: dict[str, Any], name: str) -> str | None:
    value = document.get(name)
    return printable(value) if isinstance(value, str) else None


def _field_errors(value: object) -> tuple[FieldError, ...]:
    if not isinstance(value, list):
        return ()
    entries = [cast("dict[str, Any]", entry) for entry in cast("list[object]", value) if isinstance(entry, dict)]
    return tuple(
        FieldError(_text(entry, "field") or "", _text(entry, "code") or "", _text(entry, "message") or "")
        for entry in entries
    )
