"""The OpenAPI document is valid, whole, current, and says what the server does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import typing
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import attrs
import pytest
from jsonschema_rs import Draft202012Validator
from openapi_spec_validator import validate

from cabinet_sdk._core import openapi_frame, operation
from cabinet_sdk._core.openapi import document, problems_of
from cabinet_sdk._core.schema import Schema, Schemas, Side, read_documentation
from cabinet_sdk._core.wire import Headers
from cabinet_sdk.contract import CONTRACT, Row
from cabinet_sdk.errors import InvalidRequest
from cabinet_sdk.types import Money
from reference_server import idempotency, paging
from tools.openapi import SNAPSHOT, snapshot

ROOT = SNAPSHOT.parents[1]
DOCUMENT = document(CONTRACT)
ROWS = [pytest.param(row, id=row.id) for row in CONTRACT]


def operation_of(row: Row) -> Schema:
    """Return what the document says about a row."""
    operation: Schema = DOCUMENT["paths"][row.path][row.method.lower()]
    return operation


def resolved(value: Schema) -> Schema:
    """Follow a reference."""
    if "$ref" not in value:
        return value
    _, _, kind, name = value["$ref"].split("/")
    found: Schema = DOCUMENT["components"][kind][name]
    return found


def examples() -> Iterator[tuple[str, Schema, Any]]:  # Any: JSON
    """Find every example in the document with the schema it is of, and where it stands."""
    parts: list[tuple[str, object]] = [("", DOCUMENT)]
    while parts:
        place, part = parts.pop()
        if isinstance(part, list):
            parts += [(f"{place}/{index}", inner) for index, inner in enumerate(typing.cast("list[object]", part))]
        if not isinstance(part, dict):
            continue
        schema = typing.cast("Schema", part)
        if "schema" in schema and "example" in schema:
            yield place, schema["schema"], schema["example"]
        if "schema" in schema and "examples" in schema:
            for name, example in schema["examples"].items():
                yield f"{place}/{name}", schema["schema"], example["value"]
        if "type" in schema and isinstance(schema.get("examples"), list):
            for example in schema["examples"]:
                yield place, schema, example
        parts += [(f"{place}/{name}", inner) for name, inner in schema.items() if name not in {"example", "examples"}]


def test_document_is_valid() -> None:
    """The validator of OpenAPI 3.1 finds nothing wrong."""
    validate(DOCUMENT)


def test_examples_are_valid() -> None:
    """Every example, of a schema, a request, an answer or a problem, is what its schema describes."""
    wrong: list[str] = []
    count = 0
    for place, schema, example in examples():
        count += 1
        validator = Draft202012Validator({**schema, "components": DOCUMENT["components"]}, validate_formats=True)
        wrong += [f"{place}: {error.message}" for error in validator.iter_errors(example)]

    assert wrong == []
    assert count > 5 * len(CONTRACT)


def test_snapshot_is_current() -> None:
    """docs/openapi.json holds what the rows make; refresh it with ``python tools/openapi.py``."""
    assert snapshot() == SNAPSHOT.read_text(encoding="utf-8")


@pytest.mark.parametrize("row", ROWS)
def test_row_stands_in_document(row: Row) -> None:
    """A row stands in the document under its id, with its permission, its fields and its good answer."""
    operation = operation_of(row)
    fields = {parameter["name"] for parameter in map(resolved, operation["parameters"]) if parameter["in"] != "header"}
    if "requestBody" in operation:
        fields |= set(resolved(operation["requestBody"]["content"]["application/json"]["schema"])["properties"])

    assert row.id == operation["operationId"]
    assert [row.permission.code] == operation["security"][0]["oauth2"]
    assert set(attrs.fields_dict(row.request_class)) == fields - {"limit", "cursor"}
    assert str(row.success_status) in operation["responses"]


@pytest.mark.parametrize("row", ROWS)
def test_row_has_every_problem(row: Row) -> None:
    """Each problem that the row or the machinery may answer stands under its status with its code."""
    responses = operation_of(row)["responses"]

    for problem in (*problems_of(row), *row.errors):
        answer = resolved(responses[str(problem.status)])
        assert problem.code in answer["content"]["application/problem+json"]["examples"]
        assert f"`{problem.code}`" in answer["description"]


@pytest.mark.parametrize("row", ROWS)
def test_row_has_what_any_request_may_get(row: Row) -> None:
    """A body that is too large, also where none is taken, and a foreign name of the host stand at every operation."""
    assert {"413", "421"} <= operation_of(row)["responses"].keys()


def test_requests_are_closed() -> None:
    """No object in a request takes a field that is not described, and none in an answer refuses one."""
    for name, schema in DOCUMENT["components"]["schemas"].items():
        if schema["type"] == "object":
            assert name.endswith("Request") == (schema.get("additionalProperties") is False), name


def test_codes_are_closed_in_requests_and_open_in_answers() -> None:
    """A request takes the known codes alone, an answer may hold any."""
    schemas = DOCUMENT["components"]["schemas"]

    assert schemas["KnownPaymentMethod"]["enum"] == schemas["PaymentMethod"]["x-extensible-enum"]
    assert "enum" not in schemas["PaymentMethod"]
    assert "`sbp` (СБП)" in schemas["PaymentMethod"]["description"]


def test_links_lead_to_operations() -> None:
    """Every link names an operation and a parameter that it has; paying leads to the payment."""
    paying = operation_of(CONTRACT["charges.pay"])["responses"]
    found = {
        link["operationId"]: link["parameters"]
        for row in CONTRACT
        for answer in operation_of(row)["responses"].values()
        for link in answer.get("links", {}).values()
    }

    assert paying["201"]["links"]["charges.payment"]["parameters"] == {"payment_id": "$response.body#/id"}
    for operation_id, parameters in found.items():
        assert set(parameters) <= set(CONTRACT[operation_id].path_fields)


def test_limits_are_those_of_the_server() -> None:
    """What the document says of pages is what the reference server enforces."""
    assert (paging.DEFAULT_LIMIT, paging.MAX_LIMIT) == (openapi_frame.DEFAULT_LIMIT, operation.MAX_LIMIT)


@pytest.mark.parametrize("key", ['"a-1"', "a-1", '""', "a_1", '"a', "a" * 255, "a" * 256])
def test_key_pattern_is_that_of_the_server(key: str) -> None:
    """The document and the reference server take the same idempotency keys."""
    described = Draft202012Validator({"type": "string", "pattern": openapi_frame.KEY_PATTERN}).is_valid(key)

    with nullcontext() if described else pytest.raises(InvalidRequest):
        idempotency.key_of(Headers([("Idempotency-Key", key)]))


def test_type_without_schema_is_refused() -> None:
    """A float has no place in the contract, so it gets no schema."""
    with pytest.raises(TypeError, match="float"):
        Schemas().of(float, Side.ANSWER)


def test_two_types_of_one_name_are_refused() -> None:
    """A component stands for one type only."""
    schemas = Schemas()
    schemas.of(Money, Side.ANSWER)

    with pytest.raises(TypeError, match="Money would stand for both"):
        schemas.named("Money", object(), dict)


@attrs.frozen
class Tree:
    """
    A node.

    It may hold others.

    Attributes:
        children: Below it, each of them
            a node too.
        name: Of the node.

    Raises:
        Nothing: Ever.
    """

    children: tuple[Tree, ...] = ()
    name: str | None = None


def test_docstring_is_read() -> None:
    """Summary, description and the texts of fields come from a docstring, its other sections do not."""
    said = read_documentation(Tree)

    assert (said.summary, said.description) == ("A node.", "It may hold others.")
    assert said.fields == {"children": "Below it, each of them a node too.", "name": "Of the node."}


def test_recursive_class_has_schema() -> None:
    """A class that holds itself is described by a reference to itself."""
    schemas = Schemas()
    schemas.of(Tree, Side.ANSWER)

    tree = schemas.components["Tree"]
    assert tree["properties"]["children"]["items"] == {"$ref": "#/components/schemas/Tree"}
    assert tree["properties"]["name"]["anyOf"] == [{"type": "string"}, {"type": "null"}]
    assert "required" not in tree


def linter() -> str | None:
    """Find the linter where `.ci/run` puts it, or where the system has it."""
    local = ROOT / ".tools" / "node_modules" / ".bin" / "redocly"
    return str(local) if local.exists() else shutil.which("redocly")


@pytest.mark.slow
def test_linter_finds_nothing(tmp_path: Path) -> None:
    """Redocly's recommended rules, all of them, find neither an error nor a warning."""
    redocly = linter()
    if redocly is None:
        pytest.skip("redocly is not installed: npm install --prefix .tools @redocly/cli@2.77.0")

    run = subprocess.run(
        [redocly, "lint", str(SNAPSHOT), "--extends", "recommended", "--format", "json"],
        cwd=tmp_path,
        # It lints, and asks nobody whether there is something newer.
        env={**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert json.loads(run.stdout)["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}
