"""
The OpenAPI 3.1 document of the contract, made from its rows: operations, answers, errors, examples, links.

What the rows do not say, the machinery around them does: keys, cursors, rate limits and the errors any operation may
answer. That is written here and in `openapi_frame`, once, as the reference server enforces it.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable
from typing import Any, NewType, TypeAlias, final

import attrs

from cabinet_sdk._core.openapi_files import CONTENT_RANGE, DIGEST_PARAMETER, RANGE_PARAMETERS, file_answers, form
from cabinet_sdk._core.openapi_frame import HEADERS, INFO, PARAMETERS, STATUSES
from cabinet_sdk._core.operation import MAX_LIMIT, Download, Job, Listing, Operation, Repeat, Upload
from cabinet_sdk._core.problems import MEDIA_TYPE, to_document
from cabinet_sdk._core.request_codec import MAX_ERRORS
from cabinet_sdk._core.schema import Schema, Schemas, Side, example_of, read_documentation
from cabinet_sdk.errors import (
    FieldError,
    FileChanged,
    InternalError,
    InvalidRequest,
    KeyMissing,
    KeyReused,
    MalformedRequest,
    MisdirectedRequest,
    NotAcceptable,
    PermissionMissing,
    Problem,
    RangeNotSatisfiable,
    RateLimited,
    RequestTooLarge,
    ServiceUnavailable,
    SignInRequired,
    StillRunning,
    TokenInvalid,
    UnsupportedMediaType,
)

__all__ = ["document", "problems_of"]

_Row: TypeAlias = Operation[..., Any, Any]  # Any: rows of whatever types

_JSON = "application/json"

_EVERYWHERE = (
    InvalidRequest,
    MalformedRequest,
    SignInRequired,
    TokenInvalid,
    PermissionMissing,
    NotAcceptable,
    RequestTooLarge,
    UnsupportedMediaType,
    MisdirectedRequest,
    RateLimited,
    InternalError,
    ServiceUnavailable,
)
_WHERE_KEYED = (KeyMissing, StillRunning, KeyReused)


def document(rows: Iterable[_Row]) -> Schema:
    """
    Return the document of some rows, the same for the same rows.

    Raises:
        TypeError: A type in a row has no schema.
    """
    return _Document(tuple(rows)).build()


def problems_of(row: _Row) -> tuple[type[Problem], ...]:
    """Return every problem that an operation may answer, by status and code."""
    problems: set[type[Problem]] = {*_EVERYWHERE, *row.errors}
    if row.repeat is Repeat.KEYED:
        problems.update(_WHERE_KEYED)
    if isinstance(row, Download):
        problems.update((FileChanged, RangeNotSatisfiable))
    return tuple(sorted(problems, key=lambda problem: (problem.status, problem.code)))


@final
class _Document:
    def __init__(self, rows: tuple[_Row, ...]) -> None:
        self._rows = rows
        self._schemas = Schemas()
        self._responses: dict[str, Schema] = {}

    def build(self) -> Schema:
        paths: dict[str, Schema] = {}
        for row in self._rows:
            paths.setdefault(row.path, {})[row.method.lower()] = self._operation(row)
        return {
            "openapi": "3.1.0",
            "info": INFO,
            "servers": [{"url": "/v1", "description": "The server that this document came from."}],
            "tags": self._tags(),
            "paths": paths,
            "components": {
                "schemas": self._schemas.components,
                "responses": dict(sorted(self._responses.items())),
                "parameters": PARAMETERS,
                "headers": HEADERS,
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

    def _operation(self, row: _Row) -> Schema:
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

    def _parameters(self, row: _Row) -> list[Schema]:
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
        parameters += [{"$ref": f"#/components/parameters/{name}"} for name in machinery]
        if isinstance(row, Download):
            parameters += RANGE_PARAMETERS
        if isinstance(row, Upload):
            parameters.append(DIGEST_PARAMETER)
        return parameters

    def _parameter_names(self, row: _Row) -> tuple[str, ...]:
        return row.path_fields if _takes_body(row) else tuple(attrs.fields_dict(row.request_class))

    def _body(self, row: _Row) -> Schema:
        in_body = tuple(name for name in attrs.fields_dict(row.request_class) if name not in row.path_fields)
        schema = self._schemas.named(
            f"{row.request_class.__name__}Request",
            row.request_class,
            lambda: self._schemas.object_of(row.request_class, Side.REQUEST, in_body),
        )
        if isinstance(row, Upload):
            return form(row, schema)
        example = example_of(schema, self._schemas.components)
        return {"required": True, "content": {_JSON: {"schema": schema, "example": example}}}

    def _answers(self, row: _Row) -> Schema:
        answers: Schema = {}
        if isinstance(row, Download):
            names = ("X-Request-Id", "RateLimit-Policy", "RateLimit")
            return file_answers(row, {name: _header(name) for name in names}) | self._refusals(row)
        if row.created is not None:
            said = "The key came again after its answer was let go: what it created, as it is now."
            answers["200"] = self._success(row, said)
        created = {"Location": _header("Location")} if row.created is not None else {}
        answers[str(row.success_status)] = self._success(row, "Done." if row.created is None else "Created.", created)
        return answers | self._refusals(row)

    def _refusals(self, row: _Row) -> Schema:
        answers: Schema = {}
        by_status: dict[int, list[type[Problem]]] = {}
        for problem in problems_of(row):
            by_status.setdefault(problem.status, []).append(problem)
        for status, problems in by_status.items():
            answers[str(status)] = self._refusal(status, problems)
        return answers

    def _success(self, row: _Row, description: str, further: Schema | None = None) -> Schema:
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

    def _links(self, row: _Row) -> Schema:
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
        name, description = STATUSES[status]
        codes = "\n".join(f"- `{problem.code}`: {problem.title} {problem.remedy}".rstrip() for problem in problems)
        headers = {"X-Request-Id": _header("X-Request-Id")}
        if status == 401 or problems == [PermissionMissing]:
            headers["WWW-Authenticate"] = _header("WWW-Authenticate")
        if status in {429, 503} or StillRunning in problems:
            headers["Retry-After"] = _header("Retry-After")
        if status == 416:
            headers |= CONTENT_RANGE
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
        if not {*problems} <= {*_EVERYWHERE, *_WHERE_KEYED}:
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
                    "description": "The fields that are wrong, the first hundred of them.",
                    "maxItems": MAX_ERRORS,
                    "items": self._schemas.of(FieldError, Side.ANSWER),
                },
            },
            "required": ["type", "title", "status", "detail", "code", "request_id"],
        }


def _takes_body(row: _Row) -> bool:
    return row.method not in {"GET", "DELETE"}


def _path_kind(row: _Row, name: str) -> NewType | type[object]:
    kind: NewType | type[object] = typing.get_type_hints(row.request_class)[name]
    return kind


def _header(name: str) -> Schema:
    return {"$ref": f"#/components/headers/{name}"}


def _problem_example(problem: type[Problem]) -> Schema:
    errors = (FieldError("items[2].amount", "form", "expected roubles with two decimals"),)
    error = problem(errors=errors if issubclass(problem, InvalidRequest) else (), request_id="req-1")
    return {"summary": problem.title, "value": to_document(error)}
