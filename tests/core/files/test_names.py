"""Names of files on their way through headers onto a disk: always one file in the folder that was chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from cabinet_sdk._core.disposition import attachment, name_of
from cabinet_sdk.types import safe_name
from reference_server.files import StoredFile
from tests.core.sample_area import FILES, AsyncSamples, add_file
from tests.core.wires import contents_of

HOSTILE = {
    "a\r\nSet-Cookie: x.txt": "aSet-Cookie_ x.txt",
    'say "hi".txt': "say _hi_.txt",
    "../../etc/passwd": "passwd",
    "..": "file",
    "C:\\Windows\\system.ini": "system.ini",
    "\u202egnp.exe": "gnp.exe",
    "CON": "_CON",
    "nul.tar.gz": "_nul.tar.gz",
    "com¹": "_com¹",
    "nul .txt": "_nul.txt",
    "con\u00a0.pdf": "_con.pdf",
    "aux . .tar .gz": "_aux . .tar.gz",
    "lpt1 ..": "_lpt1",
    ".bashrc": "_bashrc",
    "a\0b": "ab",
    "": "file",
    "Справка о доходах № 1.pdf": "Справка о доходах № 1.pdf",
    "x" * 300 + ".pdf": "x" * 196 + ".pdf",
    "Я" * 300 + ".pdf": "Я" * 98 + ".pdf",
    "100%41.txt": "100_41.txt",
}


async def test_hostile_names_stay_in_the_folder(samples: AsyncSamples, tmp_path: Path) -> None:
    """Whatever the service calls a file, it is saved under one safe name in the folder that was chosen."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for hostile, safe in HOSTILE.items():
        stored = StoredFile(content=b"x", name="placeholder")
        sample_id = add_file(b"x")
        object.__setattr__(stored, "name", hostile)
        FILES[sample_id] = stored
        async with await samples.download(sample_id) as file:
            assert file.name == safe
            saved = await file.save(folder)
        assert saved == folder / safe
        saved.unlink()
    assert contents_of(tmp_path) == {"folder": None}


@pytest.mark.parametrize(
    "header,name",
    [
        ("attachment; filename=\"plain.txt\"; filename*=UTF-8''%D0%90.txt", "А.txt"),
        ("attachment; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("attachment; filename*=iso-8859-1'en'%A3.txt", "£.txt"),
        ("attachment; filename*=UTF-8''%FF; filename=fallback.txt", "fallback.txt"),
        ('attachment; filename="..\\\\..\\\\x.txt"', "x.txt"),
        ('attachment; filename="a\\"b.txt"', "a_b.txt"),
        ("attachment; filename=token.txt", "token.txt"),
        ('inline; FILENAME="' + "Ж.txt".encode().decode("latin-1") + '"', "Ж.txt"),
        ("attachment", "file"),
        ("", "file"),
    ],
)
def test_names_in_headers(header: str, name: str) -> None:
    """The extended name wins if it can be read, paths are cut off, and there is always a name."""
    assert name_of(header) == name


@pytest.mark.parametrize("hostile,safe", HOSTILE.items())
def test_headers_hold_no_surprises(hostile: str, safe: str) -> None:
    """A header made from any name is printable ASCII, ends no line and no quotes, and gives the safe name back."""
    header = attachment(hostile)

    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
    assert name_of(header) == safe == safe_name(safe)
