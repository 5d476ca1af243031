"""
The OpenAPI 3.1 document of the contract, made from its rows: operations, answers, errors, examples, links.

What the rows do not say, the machinery around them does: keys, cursors, rate limits and the errors any operation may
answer. That is written here, once, as the reference server enforces it.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable
from typing import Any, NewType, TypeAlias, final

import attrs

from cabinet_sdk._core.operation import Download, Job, Listing, Operation, Repeat, Upload
from cabinet_sdk._core.problems import MEDIA_TYPE, to_document
from cabinet_sdk._core.schema import Schema, Schemas, Side, example_of, read_documentation
from cabinet_sdk.errors import (
    FieldError,
    InternalError,
    InvalidRequest,
    KeyMissing,
    KeyReused,
    MalformedRequest,
    NotAcceptable,
    PermissionMissing,
    Problem,
    RateLimited,
    RequestTooLarge,
    ServiceUnavailable,
    SignInRequired,
    StillRunning,
    TokenInvalid,
    UnsupportedMediaType,
)

__all__ = ["DEFAULT_LIMIT", "KEY_PATTERN", "MAX_LIMIT", "VERSION", "document", "problems_of"]

Row: TypeAlias = Operation[..., Any, Any]  # Any: rows of whatever types

VERSION = "1.0.0"
"""Of the contract, not of the package."""

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
KEY_PATTERN = '^("[A-Za-z0-9-]{1,255}"|[A-Za-z0-9-]{1,255})$'

_HELP_URL = "https://cabinet.example/problems"
_JSON = "application/json"

_EVERYWHERE = (
    InvalidRequest,
    MalformedRequest,
    SignInRequired,
    TokenInvalid,
    PermissionMissing,
    NotAcceptable,
    UnsupportedMediaType,
    RateLimited,
    InternalError,
    ServiceUnavailable,
)
_WHERE_KEYED = (KeyMissing, StillRunning, KeyReused)

# Names of our own: those of `http.HTTPStatus` change between versions of Python.
_STATUSES = {
    400: ("BadRequest", "The request is wrong."),
    401: ("Unauthorized", "The caller is not known."),
    403: ("Forbidden", "The caller may not do this."),
    404: ("NotFound", "There is no such thing in this profile."),
    406: ("NotAcceptable", "The service has no such format."),
    409: ("Conflict", "The state of the thing or a rule forbids this now."),
    413: ("ContentTooLarge", "The request is too large."),
    415: ("UnsupportedMediaType", "The request has a format that the operation does not take."),
    422: ("UnprocessableContent", "The idempotency key belongs to another request."),
    429: ("TooManyRequests", "The caller asks too often."),
    500: ("InternalServerError", "The service has a fault."),
    503: ("ServiceUnavailable", "The service cannot serve now and did nothing."),
}

_INFO = {
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

_HEADERS: dict[str, Schema] = {
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

_PARAMETERS: dict[str, Schema] = {
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


def document(rows: Iterable[Row]) -> Schema:
    """
    Return the document of some rows, the same for the same rows.

    Raises:
        TypeError: A type in a row has no schema, or an operation moves files, which this module cannot describe.
    """
    return _Document(tuple(rows)).build()


def problems_of(row: Row) -> tuple[type[Problem], ...]:
    """Return every problem that an operation may answer, by status and code."""
    problems: set[type[Problem]] = {*_EVERYWHERE, *row.errors}
    if row.repeat is Repeat.KEYED:
        problems.update(_WHERE_KEYED)
    if _takes_body(row):
        problems.add(RequestTooLarge)
    return tuple(sorted(problems, key=lambda problem: (problem.status, problem.code)))


@final
class _Document:
    def __init__(self, rows: tuple[Row, ...]) -> None:
        self._rows = rows
        self._schemas = Schemas()
        self._responses: dict[str, Schema] = {}

    def build(self) -> Schema:
        paths: dict[str, Schema] = {}
        for row in self._rows:
            if isinstance(row, Upload | Download):
                msg = f"{row!r} moves a file, which the document cannot describe yet"
                raise TypeError(msg)
            paths.setdefault(row.path, {})[row.method.lower()] = self._operation(row)
        return {
            "openapi": "3.1.0",
            "info": _INFO,
            "servers": [{"url": "/v1", "description": "The server that this document came from."}],
            "tags": self._tags(),
            "paths": paths,
            "components": {
                "schemas": self._schemas.components,
                "responses": dict(sorted(self._responses.items())),
                "parameters": _PARAMETERS,
                "headers": _HEADERS,
                "securitySchemes": self._security(),
            },
        }

    def _tags(self) -> list[Schema]:
        areas = dict.fromkeys(row.area for row in self._rows)
        return [{"name": area, "description": f"Operations of the area `{area}`."} for area in areas]

    def _security(self) -> dict[str, Schema]:
        permissions = {row.permission.code: row.permission.label for row in self._rows}
        return {
            "oauth2": {
                "type": "oauth2",
                "description": "A bearer token that acts as one profile (RFC 6749, section 4.4).",
                "flows": {"clientCredentials": {"tokenUrl": "/v1/oauth/token", "scopes": permissions}},
            },
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "The same token, for tools that do not fetch one themselves.",
            },
        }

    def _operation(self, row: Row) -> Schema:
        said = read_documentation(row.request_class)
        operation: Schema = {"operationId": row.id, "tags": [row.area], "summary": said.summary}
        if said.description:
            operation["description"] = said.description
        operation["security"] = [{"oauth2": [row.permission.code]}, {"bearer": []}]
        operation["parameters"] = self._parameters(row)
        if _takes_body(row):
            operation["requestBody"] = self._body(row)
        operation["responses"] = self._answers(row)
        return operation

    def _parameters(self, row: Row) -> list[Schema]:
        fields = attrs.fields_dict(row.request_class)
        parameters: list[Schema] = []
        for name, described in self._schemas.fields_of(
            row.request_class, Side.REQUEST, self._parameter_names(row)
        ).items():
            in_path = name in row.path_fields
            parameters.append(
                {
                    "name": name,
                    "in": "path" if in_path else "query",
                    "required": in_path or fields[name].default is attrs.NOTHING,
                    "description": described.pop("description", ""),
                    "schema": described,
                },
            )
        machinery = ["X-Request-Id"]
        if isinstance(row, Listing):
            machinery += ["limit", "cursor"]
        if row.repeat is Repeat.KEYED:
            machinery.append("Idempotency-Key")
        return parameters + [{"$ref": f"#/components/parameters/{name}"} for name in machinery]

    def _parameter_names(self, row: Row) -> tuple[str, ...]:
        return row.path_fields if _takes_body(row) else tuple(attrs.fields_dict(row.request_class))

    def _body(self, row: Row) -> Schema:
        in_body = tuple(name for name in attrs.fields_dict(row.request_class) if name not in row.path_fields)
        schema = self._schemas.named(
            f"{row.request_class.__name__}Request",
            row.request_class,
            lambda: self._schemas.object_of(row.request_class, Side.REQUEST, in_body),
        )
        example = example_of(schema, self._schemas.components)
        return {"required": True, "content": {_JSON: {"schema": schema, "example": example}}}

    def _answers(self, row: Row) -> Schema:
        answers: Schema = {}
        if row.created is not None:
            said = "The key came again after its answer was let go: what it created, as it is now."
            answers["200"] = self._success(row, said)
        created = {"Location": _header("Location")} if row.created is not None else {}
        answers[str(row.success_status)] = self._success(row, "Done." if row.created is None else "Created.", created)
        by_status: dict[int, list[type[Problem]]] = {}
        for problem in problems_of(row):
            by_status.setdefault(problem.status, []).append(problem)
        for status, problems in by_status.items():
            answers[str(status)] = self._refusal(status, problems)
        return answers

    def _success(self, row: Row, description: str, further: Schema | None = None) -> Schema:
        links = self._links(row)
        headers = {"X-Request-Id": _header("X-Request-Id"), **(further or {})}
        schema = self._schemas.of(row.response, Side.ANSWER)
        if isinstance(row, Listing):
            schema["maxItems"] = MAX_LIMIT
            headers["Link"] = _header("Link")
        if isinstance(row, Job) or any(other.created is row for other in self._rows):
            headers["Retry-After"] = _header("Retry-After")
        if row.repeat is Repeat.KEYED:
            headers["Idempotency-Replayed"] = _header("Idempotency-Replayed")
        headers |= {name: _header(name) for name in ("RateLimit-Policy", "RateLimit")}
        example = example_of(schema, self._schemas.components)
        answer: Schema = {
            "description": description,
            "headers": headers,
            "content": {_JSON: {"schema": schema, "example": example}},
        }
        return answer | ({"links": links} if links else {})

    def _links(self, row: Row) -> Schema:
        """Lead from the id in an answer to the operations on the thing that has it."""
        items: tuple[type[object], ...] = typing.get_args(row.response)
        kind = typing.get_type_hints(items[0] if items else row.response).get("id")
        pointer = "$response.body#/0/id" if items else "$response.body#/id"
        links: Schema = {}
        for other in self._rows:
            if other is row or kind is None or [_path_kind(other, name) for name in other.path_fields] != [kind]:
                continue
            links[other.id] = {
                "operationId": other.id,
                "description": other.summary,
                "parameters": {other.path_fields[0]: pointer},
            }
        return links

    def _refusal(self, status: int, problems: list[type[Problem]]) -> Schema:
        name, description = _STATUSES[status]
        codes = "\n".join(f"- `{problem.code}`: {problem.title} {problem.remedy}".rstrip() for problem in problems)
        headers = {"X-Request-Id": _header("X-Request-Id")}
        if status == 401 or problems == [PermissionMissing]:
            headers["WWW-Authenticate"] = _header("WWW-Authenticate")
        if status in {429, 503} or StillRunning in problems:
            headers["Retry-After"] = _header("Retry-After")
        if status == 429:
            headers |= {each: _header(each) for each in ("RateLimit-Policy", "RateLimit")}
        answer: Schema = {
            "description": f"{description}\n\n{codes}",
            "headers": headers,
            "content": {
                MEDIA_TYPE: {
                    "schema": self._schemas.named("ProblemDocument", Problem, self._problem_schema),
                    "examples": {problem.code: _problem_example(problem) for problem in problems},
                },
            },
        }
        if not {*problems} <= {*_EVERYWHERE, *_WHERE_KEYED, RequestTooLarge}:
            return answer
        if {*problems} & {*_WHERE_KEYED}:
            name += "Keyed"
        self._responses[name] = answer
        return {"$ref": f"#/components/responses/{name}"}

    def _problem_schema(self) -> Schema:
        return {
            "type": "object",
            "description": "Why the service will not (RFC 9457). Only `status` and `code` decide; expect more members.",
            "properties": {
                "type": {"type": "string", "format": "uri-reference", "description": "A page about the code."},
                "title": {"type": "string", "description": "The code in words."},
                "status": {"type": "integer", "minimum": 400, "maximum": 599, "description": "The HTTP status."},
                "detail": {"type": "string", "description": "What happened this time, for a person."},
                "code": {"type": "string", "pattern": r"^[a-z0-9_.]+$", "description": "The reason, stable."},
                "request_id": {"type": "string", "description": "To quote to the service's support."},
                "errors": {
                    "type": "array",
                    "description": "The fields that are wrong.",
                    "items": self._schemas.of(FieldError, Side.ANSWER),
                },
            },
            "required": ["type", "title", "status", "detail", "code", "request_id"],
        }


def _takes_body(row: Row) -> bool:
    return row.method not in {"GET", "DELETE"}


def _path_kind(row: Row, name: str) -> NewType | type[object]:
    kind: NewType | type[object] = typing.get_type_hints(row.request_class)[name]
    return kind


def _header(name: str) -> Schema:
    return {"$ref": f"#/components/headers/{name}"}


def _problem_example(problem: type[Problem]) -> Schema:
    errors = (FieldError("items[2].amount", "form", "expected roubles with two decimals"),)
    error = problem(errors=errors if problem is InvalidRequest else (), request_id="req-1")
    return {"summary": problem.title, "value": to_document(error, _HELP_URL)}
