"""
The parts of the OpenAPI document that no row decides: what it says of itself, of headers, of parameters and statuses.

Rule: what stands here is what the machinery of the reference server enforces; tests compare the two.
"""

from __future__ import annotations

from cabinet_sdk._core.operation import MAX_LIMIT
from cabinet_sdk._core.schema import Schema

__all__ = ["DEFAULT_LIMIT", "HEADERS", "INFO", "KEY_PATTERN", "PARAMETERS", "STATUSES", "VERSION"]

VERSION = "1.0.0"
"""Of the contract, not of the package."""

DEFAULT_LIMIT = 100
KEY_PATTERN = '^("[A-Za-z0-9-]{1,255}"|[A-Za-z0-9-]{1,255})$'

# Names of our own: those of `http.HTTPStatus` change between versions of Python.
STATUSES = {
    400: ("BadRequest", "The request is wrong."),
    401: ("Unauthorized", "The caller is not known."),
    403: ("Forbidden", "The caller may not do this."),
    404: ("NotFound", "There is no such thing in this profile."),
    406: ("NotAcceptable", "The service has no such format."),
    409: ("Conflict", "The state of the thing or a rule forbids this now."),
    412: ("PreconditionFailed", "The file is another one than the caller names."),
    413: ("ContentTooLarge", "The request is too large."),
    415: ("UnsupportedMediaType", "The request has a format that the operation does not take."),
    416: ("RangeNotSatisfiable", "The file has no such part."),
    421: ("MisdirectedRequest", "The request came under a name that is not the service's."),
    422: ("UnprocessableContent", "The idempotency key belongs to another request."),
    429: ("TooManyRequests", "The caller asks too often."),
    500: ("InternalServerError", "The service has a fault."),
    503: ("ServiceUnavailable", "The service cannot serve now and did nothing."),
}

INFO = {
    "title": "Personal cabinet",
    "version": VERSION,
    "summary": "What a person, an entrepreneur or an organisation does in the personal cabinet.",
    "description": (
        "The contract that `cabinet_sdk` and its reference server share. It is this project's own: no authority "
        "publishes or endorses it, and no public service is known to answer it.\n\n"
        "Requests are strict: an unknown field, parameter or code is refused. Answers are open: expect new fields and "
        "new codes, and `null` or nothing where a field is not required. Identifiers have formats of their own (`inn`, "
        "`uin`, …), as their check digits follow from the others, which no pattern can say. A change is sent with an "
        "`Idempotency-Key`, and again with the same one when its answer was lost: it happens once."
    ),
    "contact": {"name": "The cabinet-sdk contributors"},
    "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
}

HEADERS: dict[str, Schema] = {
    "X-Request-Id": {
        "description": "Id of the request: the caller's, or one that the service made.",
        "required": True,
        "schema": {"type": "string", "examples": ["req-1"]},
    },
    "Link": {
        "description": "The next page, as RFC 8288 has it; absent on the last one.",
        "schema": {"type": "string", "examples": ['</v1/charges?cursor=c2VhbGVk>; rel="next"']},
    },
    "Location": {
        "description": "Address of what was created.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference", "examples": ["/v1/payments/payment-1"]},
    },
    "Retry-After": {
        "description": "Seconds after which asking again makes sense.",
        "schema": {"type": "integer", "minimum": 0, "examples": [1]},
    },
    "Idempotency-Replayed": {
        "description": "`true` where the key was known: this is what the first request did.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "RateLimit-Policy": {
        "description": "The allowance: requests in a window of so many seconds.",
        "schema": {"type": "string", "examples": ['"default";q=100;w=10']},
    },
    "RateLimit": {
        "description": "What is left of the allowance, and the seconds until it is whole again.",
        "schema": {"type": "string", "examples": ['"default";r=50;t=3']},
    },
    "WWW-Authenticate": {
        "description": "What the caller lacks, as RFC 6750 has it.",
        "required": True,
        "schema": {"type": "string", "examples": ["Bearer"]},
    },
}

PARAMETERS: dict[str, Schema] = {
    "limit": {
        "name": "limit",
        "in": "query",
        "description": "At most so many items in a page.",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT, "examples": [100]},
    },
    "cursor": {
        "name": "cursor",
        "in": "query",
        "description": (
            "Where the page starts: from the `Link` of the page before, with the same parameters otherwise. "
            "Left out, the list begins."
        ),
        "schema": {"type": "string", "format": "cursor", "minLength": 1},
    },
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "description": (
            "Made by the caller once for each change and the same for each repetition: quoted as a structured field, "
            "or bare. A key is kept for ever, its answer for 24 hours; after that it gets the current state."
        ),
        "schema": {"type": "string", "pattern": KEY_PATTERN, "examples": ['"8e03978e-40d5-43dd-bc93-6894a57f9324"']},
    },
    "X-Request-Id": {
        "name": "X-Request-Id",
        "in": "header",
        "description": (
            "Id of the request in logs and answers: 1 to 128 Latin letters, digits, and any of `_.:-`. Anything else "
            "is replaced by an id of the service's own."
        ),
        "schema": {"type": "string", "examples": ["req-1"]},
    },
}
