"""Operations that move files in the OpenAPI document."""

from __future__ import annotations

from openapi_spec_validator import validate

from cabinet_sdk._core.openapi import document
from cabinet_sdk._core.schema import Schema
from tests.core.sample_area import ROWS

DOCUMENT = document(ROWS)


def operation(path: str, method: str) -> Schema:
    """Return what the document says of an operation."""
    found: Schema = DOCUMENT["paths"][path][method]
    return found


def test_the_document_is_valid() -> None:
    """Uploads and downloads leave the document a valid one."""
    validate(DOCUMENT)


def test_an_upload_is_a_form() -> None:
    """The body is multipart, its file is binary, and the largest file is told."""
    upload = operation("/samples", "post")

    body = upload["requestBody"]
    assert list(body["content"]) == ["multipart/form-data"]
    assert body["content"]["multipart/form-data"]["encoding"] == {"file": {"contentType": "*/*"}}
    schema = DOCUMENT["components"]["schemas"]["UploadSampleRequest"]
    assert schema["properties"]["file"]["format"] == "binary"
    assert schema["required"] == ["file"]
    assert "1048576 bytes" in body["description"]
    assert {"201", "413", "415"} <= set(upload["responses"])


def test_a_download_is_bytes_with_headers() -> None:
    """Whole, in part, unchanged and unsatisfiable: each answer is there with its headers."""
    download = operation("/samples/{sample_id}/content", "get")

    answers = download["responses"]
    assert {"200", "206", "304", "404", "416"} <= set(answers)
    assert answers["200"]["content"]["*/*"]["schema"]["format"] == "binary"
    assert {"ETag", "Accept-Ranges", "Content-Disposition", "Repr-Digest"} < set(answers["200"]["headers"])
    assert "Content-Range" in answers["206"]["headers"]
    assert "Content-Range" in answers["416"]["headers"]
    assert {"Range", "If-Range", "If-None-Match"} <= {each.get("name") for each in download["parameters"]}
