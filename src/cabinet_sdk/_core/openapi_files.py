"""What the OpenAPI document says of operations that move files, as the reference server does it."""

from __future__ import annotations

from typing import Any

from cabinet_sdk._core.operation import Download, Upload
from cabinet_sdk._core.schema import FILE, Schema

__all__ = ["CONTENT_RANGE", "DIGEST_PARAMETER", "RANGE_PARAMETERS", "file_answers", "form"]

_TEXT: Schema = {"type": "string"}
_DIGEST = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
_ETAG = '"e3b0c44298fc1c149afbf4c8996fb924"'

CONTENT_RANGE: Schema = {
    "Content-Range": {
        "description": "Which bytes of how many these are; with 416, how many there are.",
        "required": True,
        "schema": _TEXT | {"examples": ["bytes 0-99/2560", "bytes */2560"]},
    },
}

_FILE_HEADERS: Schema = {
    "ETag": {
        "description": "Strong: equal for equal bytes.",
        "required": True,
        "schema": _TEXT | {"examples": [_ETAG]},
    },
    "Accept-Ranges": {
        "description": "Parts may be asked for.",
        "required": True,
        "schema": _TEXT | {"enum": ["bytes"]},
    },
    "Content-Disposition": {
        "description": "The name of the file, as RFC 6266 has it.",
        "required": True,
        "schema": _TEXT | {"examples": ["attachment; filename=\"_.pdf\"; filename*=UTF-8''%D0%90.pdf"]},
    },
    "Repr-Digest": {
        "description": "The SHA-256 of the whole file, of a part too (RFC 9530).",
        "required": True,
        "schema": _TEXT | {"examples": [_DIGEST]},
    },
}

RANGE_PARAMETERS: list[Schema] = [
    {
        "name": "Range",
        "in": "header",
        "description": "One part of the file, such as `bytes=100-`; a few that do not overlap are left out of account.",
        "schema": _TEXT | {"examples": ["bytes=0-99"]},
    },
    {
        "name": "If-Range",
        "in": "header",
        "description": "The `ETag` of the file whose part is wanted; of another one the whole comes.",
        "schema": _TEXT | {"examples": [_ETAG]},
    },
    {
        "name": "If-Match",
        "in": "header",
        "description": "The `ETag` of the only file that is wanted.",
        "schema": _TEXT | {"examples": [_ETAG]},
    },
    {
        "name": "If-None-Match",
        "in": "header",
        "description": "The `ETag` of the file that the caller has.",
        "schema": _TEXT | {"examples": [_ETAG]},
    },
]

DIGEST_PARAMETER: Schema = {
    "name": "Content-Digest",
    "in": "header",
    "description": "The SHA-256 of the body (RFC 9530); a body with another one is refused.",
    "schema": _TEXT | {"examples": [_DIGEST]},
}


def form(row: Upload[..., Any, Any], schema: Schema) -> Schema:  # Any: any row
    """Return the body of an upload."""
    return {
        "required": True,
        "description": (
            f"A form (RFC 7578): a part for each field as text, an object as JSON, a list as several parts; and the "
            f"file, of at most {row.max_bytes} bytes, with its name."
        ),
        "content": {
            "multipart/form-data": {"schema": schema, "encoding": {row.file_field: {"contentType": "*/*"}}},
        },
    }


def file_answers(row: Download[..., Any], headers: Schema) -> Schema:  # Any: any request class
    """Return the good answers of a download; `headers` are those that any answer has."""
    content: Schema = {media_type: {"schema": FILE} for media_type in row.media_types}
    whole = headers | _FILE_HEADERS
    return {
        "200": {"description": "The file.", "headers": whole, "content": content},
        "206": {"description": "The part asked for.", "headers": whole | CONTENT_RANGE, "content": content},
        "304": {"description": "The caller has this file already.", "headers": {"ETag": _FILE_HEADERS["ETag"]}},
    }
