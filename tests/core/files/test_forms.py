"""Forms as any client may send them: what RFC 7578 allows is read, anything else is refused with its place."""

from __future__ import annotations

import base64
import hashlib
import sys
from typing import Any

import pytest

from cabinet_sdk.errors import MalformedRequest
from cabinet_sdk.transports import Response
from reference_server import Profile, World
from tests.core.sample_area import MAX_BYTES, UPLOADED, UploadSample
from tests.server.raw import Raw, document

FILE = b'Content-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nabc'


@pytest.fixture
def raw(world: World, person: Profile) -> Raw:
    """Sends requests into the world as they are written."""
    return Raw(world, person)


def form(*parts: bytes) -> bytes:
    """Frame parts."""
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


def field(name: str, value: bytes) -> bytes:
    """Return a part with text."""
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value


def post(raw: Raw, content: bytes, content_type: str = "multipart/form-data; boundary=b", **headers: str) -> Response:
    """Send a form."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    key = f"key-{len(raw.world.requests)}"
    return raw.send("POST", "/samples", content=content, headers={"content-type": content_type, **named}, key=key)


def last() -> UploadSample:
    """Return what the handler got."""
    upload = UPLOADED[-1]
    assert isinstance(upload, UploadSample)
    return upload


def errors(response: Response) -> list[tuple[str, str]]:
    """Return the fields that were refused and the rules they break."""
    assert response.status == 400, response.content
    found: list[dict[str, Any]] = document(response).get("errors", [])  # Any: JSON
    return [(error["field"], error["code"]) for error in found]


def test_a_form_in_any_order(raw: Raw) -> None:
    """Parts come in any order, repeated fields are a list, a quoted boundary and an unknown header are fine."""
    content = form(FILE, field("tags", b"a"), field("note", "Ж".encode()), field("tags", b"b"))

    response = post(raw, content, 'Multipart/Form-Data; charset=utf-8; Boundary="b"')

    assert response.status == 201, response.content
    assert response.headers["location"].startswith("/v1/samples/smp_")
    assert (last().tags, last().note) == (("a", "b"), "Ж")


@pytest.mark.parametrize(
    "filename,name",
    [
        ('"../../etc/passwd"', "passwd"),
        ('"C:\\dir\\a.txt"', "a.txt"),
        ('"a%22b.txt"', "a_b.txt"),
        ('"a\\"b.txt"', "a_b.txt"),
        ('"Договор.txt"', "Договор.txt"),
        ('""', "file"),
        ("token.txt", "token.txt"),
        ('"CON"', "_CON"),
        ("\"a.txt\"; filename*=UTF-8''b.txt", "a.txt"),
    ],
)
def test_names_are_made_safe(raw: Raw, filename: str, name: str) -> None:
    """A path in a name plays no part, and `filename*`, which forms must not have, plays none either."""
    part = f'Content-Disposition: form-data; name="file"; filename={filename}\r\n\r\nx'.encode()

    response = post(raw, form(part))

    assert response.status == 201, response.content
    assert last().file.name == name


@pytest.mark.parametrize(
    "parts,expected",
    [
        ((), [("file", "required")]),
        ((field("note", b"x"),), [("file", "required")]),
        ((FILE, FILE), [("file", "repeated")]),
        ((field("file", b"text"),), [("file", "type")]),
        ((FILE, field("colour", b"red")), [("colour", "unknown_field")]),
        ((FILE, FILE.replace(b'"file"', b'"other"')), [("other", "unknown_field")]),
        ((FILE, FILE.replace(b'"file"', b'"note"')), [("note", "type")]),
        ((FILE, field("note", b"a"), field("note", b"b")), [("note", "repeated")]),
        ((FILE, field("note", b"\xff")), [("note", "encoding")]),
        ((FILE, field("note", b"a\0b")), [("note", "characters")]),
        ((FILE, field("pages", b"many")), [("pages", "type")]),
        ((FILE, field("total", b"1,5")), [("total", "form")]),
        ((FILE, field("origin", b"Tver")), [("origin", "type")]),
        ((FILE, field("origin", b'{"city": 1}')), [("origin.city", "type")]),
        ((FILE.replace(b"text/plain", b"no type"),), [("file", "media_type")]),
    ],
)
def test_fields_that_break_the_contract(raw: Raw, parts: tuple[bytes, ...], expected: list[tuple[str, str]]) -> None:
    """Missing, unknown, repeated and wrong parts are named."""
    assert expected[0] in errors(post(raw, form(*parts)))


@pytest.mark.parametrize(
    "content,content_type",
    [
        (b"", "multipart/form-data; boundary=b"),
        (b"nothing like a form", "multipart/form-data; boundary=b"),
        (form(FILE)[:-20], "multipart/form-data; boundary=b"),
        (form(FILE), "multipart/form-data"),
        (form(FILE), "multipart/form-data; boundary="),
        (form(FILE), f"multipart/form-data; boundary={'b' * 71}"),
        (form(FILE), "multipart/form-data; boundary=other"),
        (form(b"\r\nno name"), "multipart/form-data; boundary=b"),
        (form(b"Content-Disposition: attachment; name=file\r\n\r\nx"), "multipart/form-data; boundary=b"),
        (
            form(FILE.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n")),
            "multipart/form-data; boundary=b",
        ),
        (form(FILE, *[field("tags", b"x")] * 200), "multipart/form-data; boundary=b"),
        (form(b"X: " + b"x" * 5000 + b"\r\n" + FILE), "multipart/form-data; boundary=b"),
    ],
)
def test_what_is_no_form(raw: Raw, content: bytes, content_type: str) -> None:
    """A body without a form in it is refused as a whole, and no handler sees it."""
    before = len(UPLOADED)

    response = post(raw, content, content_type)

    assert response.status == 400
    assert document(response)["code"] == MalformedRequest.code
    assert "a whole multipart form" in MalformedRequest.remedy
    assert len(UPLOADED) == before


@pytest.mark.parametrize("content_type", ["application/json", "multipart/mixed; boundary=b", "text/plain"])
def test_other_formats_are_refused(raw: Raw, content_type: str) -> None:
    """An upload is a form and nothing else."""
    response = post(raw, form(FILE), content_type)

    assert response.status == 415
    assert "multipart/form-data" in document(response)["detail"]


def test_limits(raw: Raw) -> None:
    """A file above the row's limit and fields above a megabyte are 413."""
    large = FILE[:-3] + bytes(MAX_BYTES + 1)
    assert post(raw, form(large)).status == 413
    assert post(raw, form(FILE, *[field("tags", b"x" * 20_000)] * 60)).status == 413
    assert post(raw, form(FILE[:-3] + bytes(MAX_BYTES))).status == 201


def test_the_digest_is_checked(raw: Raw) -> None:
    """A body that is not what its `Content-Digest` says is refused; other algorithms are left out of account."""
    content = form(FILE)
    right = base64.b64encode(hashlib.sha256(content).digest()).decode()
    wrong = base64.b64encode(hashlib.sha256(b"").digest()).decode()

    assert post(raw, content, content_digest=f"sha-512=:AAAA:, sha-256=:{right}:").status == 201
    assert post(raw, content, content_digest="md5=:AAAA:").status == 201
    assert errors(post(raw, content, content_digest=f"sha-256=:{wrong}:")) == [("Content-Digest", "digest")]


def test_a_key_belongs_to_one_file(raw: Raw) -> None:
    """The same form again is replayed, framed otherwise too; another file under the same key is refused."""
    headers = {"content-type": "multipart/form-data; boundary=b"}
    first = raw.send("POST", "/samples", content=form(FILE), headers=headers, key="k")
    other_frame = {"content-type": "multipart/form-data; boundary=c"}

    again = raw.send("POST", "/samples", content=form(FILE).replace(b"--b", b"--c"), headers=other_frame, key="k")
    changed = raw.send("POST", "/samples", content=form(FILE + b"d"), headers=headers, key="k")

    assert first.status == 201
    assert (again.status, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert changed.status == 422


def test_a_world_without_the_parser_says_what_is_missing(
    raw: Raw, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where python-multipart is not installed, only uploads fail, and the log says what to install."""
    monkeypatch.setitem(sys.modules, "python_multipart.multipart", None)

    assert post(raw, form(FILE)).status == 500
    assert "pip install 'cabinet-sdk[server]'" in caplog.text
