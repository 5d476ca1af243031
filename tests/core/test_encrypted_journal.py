"""The client's journal under a key: nothing in its files can be read, and all that holds of a journal holds."""

from __future__ import annotations

import os
import secrets
import stat
import subprocess
import sys
import threading
import traceback
from contextlib import closing
from pathlib import Path

import attrs
import pytest

from cabinet_sdk import SqliteJournal
from cabinet_sdk._core.sqlite_files import connect as connect_file
from cabinet_sdk.errors import JournalFailed
from tests.core.test_sqlite_journal import ENTRY, FORK
from tests.leaks import Canaries

pytestmark = pytest.mark.feature("SE-02")

CANARIES = (
    ENTRY.base_url,
    ENTRY.client_id,
    ENTRY.operation_id,
    ENTRY.operation,
    ENTRY.path,
    ENTRY.body.decode(),
    "entries",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "journal.db"


@pytest.fixture
def key(canaries: Canaries) -> bytes:
    """A key, which nobody may say."""
    made = secrets.token_bytes(32)
    canaries.watch(made.hex(), made)
    return made


def test_entries_come_back_under_the_key(path: Path, key: bytes) -> None:
    """What was kept is there for another object with the key, until it is settled."""
    second = attrs.evolve(ENTRY, operation_id="k-2", body=bytes(range(256)))
    with SqliteJournal(path, key=key) as journal:
        assert (journal.begin(ENTRY), journal.begin(second), journal.begin(second)) == (None, None, second)
    with SqliteJournal(path, key=key) as journal, SqliteJournal(path, key=key) as other:
        assert journal.open_entries() == [ENTRY, second]
        assert [each.claim(ENTRY) for each in (journal, other)] == [True, False]
        journal.settle(ENTRY)
        assert other.open_entries() == [second]


def test_nothing_of_it_can_be_read(path: Path, key: bytes) -> None:
    """While it is open and once it is closed, no file has a word of a request, nor of its tables; in clear they do."""
    with SqliteJournal(path.with_name("clear.db")) as clear, SqliteJournal(path, key=key) as journal:
        for each in (clear, journal):
            each.begin(ENTRY)
        readable = b"".join(file.read_bytes() for file in path.parent.glob("clear.db*"))
        assert [word for word in CANARIES if word.encode() not in readable] == []
        opened = {file.name: file.read_bytes() for file in path.parent.glob("journal.db*")}
        if sys.platform != "win32":
            assert {stat.S_IMODE((path.parent / name).stat().st_mode) for name in opened} == {0o600}
    closed = path.read_bytes()

    assert len(opened) == 4
    for content in (*opened.values(), closed):
        assert [word for word in (*CANARIES, key.hex()) if word.encode() in content] == []
        assert key not in content
    assert not closed.startswith(b"SQLite")


def test_what_does_not_fit_says_what_was_expected(path: Path, key: bytes) -> None:
    """Another key, no key, a key for a journal in clear, one of a wrong length: each its own sentence, no key in it."""
    clear = path.with_name("clear.db")
    SqliteJournal(clear).close()
    with SqliteJournal(path, key=key) as journal:
        journal.begin(ENTRY)
    before = {file: file.read_bytes() for file in (path, clear)}
    told: list[str] = []
    for where, which in ((path, secrets.token_bytes(32)), (path, None), (clear, key)):
        with pytest.raises(JournalFailed) as caught:
            SqliteJournal(where, key=which)
        told.append("\n".join([str(caught.value), *traceback.format_exception(caught.value)]))
    with pytest.raises(ValueError, match=r"a key has 32 bytes, not 64; of hex digits make them with bytes.fromhex"):
        SqliteJournal(path, key=key.hex().encode())

    words = ["key is not the one", "encrypted and needs its key", "not encrypted; open it without a key"]
    assert [word in text for word, text in zip(words, told, strict=True)] == [True] * 3
    assert key.hex() not in "".join(told)
    assert {file: file.read_bytes() for file in before} == before


def test_one_process_does_not_open_it_both_ways(path: Path, key: bytes) -> None:
    """Who has a journal open with its key cannot take its locks away by opening it without, and the other way round."""
    with SqliteJournal(path, key=key), pytest.raises(JournalFailed, match="open in this process already, with a key"):
        SqliteJournal(path)
    path.unlink()
    with SqliteJournal(path), pytest.raises(JournalFailed, match="open in this process already, without a key"):
        SqliteJournal(path, key=key)


def test_another_process_that_writes_is_waited_for_and_not_for_ever(path: Path, key: bytes) -> None:
    """Within the timeout a lock of somebody else is waited for; after it the call fails."""
    journal = SqliteJournal(path, timeout=0.05, key=key)
    with closing(connect_file(path, key, timeout=0)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalFailed, match="locked"):
            journal.begin(ENTRY)
        other.execute("COMMIT")
        patient = SqliteJournal(path, timeout=60, key=key)
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.05, other.execute, ["COMMIT"])
        release.start()
        assert patient.begin(ENTRY) is None
        release.join()


def test_a_bit_that_was_changed_is_told(path: Path, key: bytes) -> None:
    """A journal that somebody altered is an error, and never another request."""
    with SqliteJournal(path, key=key) as journal:
        journal.begin(ENTRY)
    content = bytearray(path.read_bytes())
    content[4096 + 100] ^= 1
    path.write_bytes(content)
    with SqliteJournal(path, key=key) as journal, pytest.raises(JournalFailed, match="malformed"):
        journal.open_entries()


MANY = """
import sys, datetime as dt
from cabinet_sdk import JournalEntry, SqliteJournal
sys.stdin.readline()
journal = SqliteJournal(sys.argv[1], timeout=120, key=bytes.fromhex(sys.argv[3]))
for number in range(5):
    journal.begin(JournalEntry(base_url="https://c.example", client_id=sys.argv[2], operation_id=str(number),
        operation="charges.pay", path="/", body=b"{}", created_at=dt.datetime.now(dt.UTC)))
"""


@pytest.mark.slow
def test_many_processes_may_make_it_at_once(path: Path, key: bytes) -> None:
    """Processes that start together on a file that is not there yet all get the one journal, encrypted once."""
    processes = [
        subprocess.Popen([sys.executable, "-c", MANY, str(path), str(number), key.hex()], stdin=subprocess.PIPE)
        for number in range(6)
    ]
    for process in processes:
        process.communicate(b"go\n", timeout=300)

    assert [process.returncode for process in processes] == [0] * 6
    assert len(SqliteJournal(path, key=key).open_entries()) == 30


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fork_makes_two_workers(path: Path, key: bytes) -> None:
    """After a fork both processes use the journal under its key, and neither takes what the other is at."""
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", FORK, str(path), key.hex()]
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=300)

    assert (done.returncode, done.stderr) == (0, "")
    with closing(connect_file(path, key, timeout=0)) as connection:
        assert connection.execute("PRAGMA cipher_integrity_check").fetchall() == []
