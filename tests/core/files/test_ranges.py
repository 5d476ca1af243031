"""Downloads as any client asks for them: ranges, conditions and HEAD by RFC 9110, digests by RFC 9530."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from cabinet_sdk.transports import Response
from reference_server import Profile, World
from tests.core.sample_area import SampleId, add_file
from tests.server.raw import Raw, document

CONTENT = bytes(range(256)) * 10


@pytest.fixture
def raw(world: World, person: Profile) -> Raw:
    """Sends requests into the world as they are written."""
    return Raw(world, person)


@pytest.fixture(params=["bytes", "path"])
def sample_id(request: pytest.FixtureRequest, tmp_path: Path) -> SampleId:
    """A file, from memory and from a disk."""
    if request.param == "bytes":
        return add_file(CONTENT, "Отчёт.txt", "text/plain")
    path = tmp_path / "stored"
    path.write_bytes(CONTENT)
    return add_file(path, "Отчёт.txt", "text/plain")


def get(raw: Raw, sample_id: SampleId, method: str = "GET", **headers: str) -> Response:
    """Ask for the file."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return raw.send(method, f"/samples/{sample_id}/content", headers=named)


def body(response: Response) -> bytes:
    """Return what the answer brings."""
    return response.content if response.stream is None else b"".join(response.stream)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_the_whole_file(raw: Raw, sample_id: SampleId) -> None:
    """An answer names the file in both ways, its length, its digest and its validator."""
    response = get(raw, sample_id)

    assert response.status == 200
    assert body(response) == CONTENT
    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    assert response.headers["repr-digest"] == f"sha-256=:{digest}:"
    assert response.headers["content-length"] == "2560"
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["content-type"] == "text/plain"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-disposition"] == (
        "attachment; filename=\"_____.txt\"; filename*=UTF-8''%D0%9E%D1%82%D1%87%D1%91%D1%82.txt"
    )
    assert response.headers["etag"].startswith('"')


@pytest.mark.parametrize(
    "header,start,end",
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=2500-", 2500, 2560),
        ("bytes=2500-99999", 2500, 2560),
        ("bytes=-10", 2550, 2560),
        ("bytes=-99999", 0, 2560),
        ("BYTES=5-6", 5, 7),
    ],
)
def test_a_part(raw: Raw, sample_id: SampleId, header: str, start: int, end: int) -> None:
    """One range is answered with 206 and exactly its bytes; the digest is that of the whole."""
    response = get(raw, sample_id, range=header)

    assert response.status == 206
    assert body(response) == CONTENT[start:end]
    assert response.headers["content-range"] == f"bytes {start}-{end - 1}/2560"
    assert response.headers["content-length"] == str(end - start)
    assert response.headers["repr-digest"] == get(raw, sample_id).headers["repr-digest"]


@pytest.mark.parametrize(
    "header",
    ["bytes=2560-", "bytes=-0", "bytes=" + ",".join(f"{n}-{n}" for n in range(9)), "bytes=0-9,5-20", "bytes=0-,0-,0-"],
)
def test_a_part_that_is_not_there(raw: Raw, sample_id: SampleId, header: str) -> None:
    """Behind the end, and for many or overlapping ranges, the answer is 416 with the length."""
    response = get(raw, sample_id, range=header)

    assert response.status == 416
    assert response.headers["content-range"] == "bytes */2560"
    assert document(response)["code"] == "request.range_not_satisfiable"


@pytest.mark.parametrize(
    "header",
    [
        *("bytes=0-9,100-109", "bytes=9-0", "bytes=x", "lines=1-2", "bytes=", "bytes=0-9,z"),
        # Read more than once each, these blanks would take an hour.
        pytest.param(f"bytes={' ' * 1_000_000}x", id="blanks"),
    ],
)
def test_ranges_that_do_not_count(raw: Raw, sample_id: SampleId, header: str) -> None:
    """A few ranges apart, unknown units and what is no range leave the whole file."""
    response = get(raw, sample_id, range=header)

    assert response.status == 200
    assert body(response) == CONTENT


def test_conditions(raw: Raw, sample_id: SampleId) -> None:
    """`If-Range` compares strongly and falls back to the whole; `If-None-Match` compares weakly and answers 304."""
    etag = get(raw, sample_id).headers["etag"]

    assert get(raw, sample_id, range="bytes=1-2", if_range=etag).status == 206
    for other in ('"other"', f"W/{etag}", "Mon, 16 Nov 2026 09:00:00 GMT"):
        assert get(raw, sample_id, range="bytes=1-2", if_range=other).status == 200
    for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        unchanged = get(raw, sample_id, if_none_match=known)
        assert (unchanged.status, unchanged.content, unchanged.headers["etag"]) == (304, b"", etag)
        assert unchanged.stream is None
    assert get(raw, sample_id, if_none_match='"other"').status == 200


def test_the_head_alone(raw: Raw, sample_id: SampleId) -> None:
    """HEAD has the headers of GET and no body; a range plays no part in it."""
    whole, head = get(raw, sample_id), get(raw, sample_id, "HEAD", range="bytes=0-1")

    assert (head.status, head.content, head.stream) == (200, b"", None)
    assert {**head.headers, "x-request-id": ""} == {**whole.headers, "x-request-id": ""}


def test_any_format_is_accepted(raw: Raw, sample_id: SampleId) -> None:
    """A file has one format, so whatever a client accepts, it comes."""
    assert get(raw, sample_id, accept="application/json").status == 200


def test_another_file_than_the_one_that_is_meant(raw: Raw, sample_id: SampleId) -> None:
    """By `If-Match` nothing of another file comes, neither whole nor in part; a weak tag means no file for certain."""
    etag = get(raw, sample_id).headers["etag"]

    for same in (etag, f'"x", {etag}', "*"):
        assert get(raw, sample_id, if_match=same).status == 200, same
    assert get(raw, sample_id, if_match=etag, range="bytes=0-9").status == 206
    for other in ('"x"', f"W/{etag}", '"x", "y"', "", "x"):
        for headers in ({"range": "bytes=0-9"}, {"if_none_match": etag}, {}):
            refused = get(raw, sample_id, if_match=other, **headers)
            assert (refused.status, document(refused)["code"]) == (412, "download.file_changed"), other
