"""The journal in a file: its rights, its versions, its workers, and what it does when it cannot be written."""

from __future__ import annotations

import datetime as dt
import errno
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, final

import attrs
import pytest

from cabinet_sdk import JournalEntry, SqliteJournal
from cabinet_sdk._core.sqlite_files import connect as connect_file
from cabinet_sdk.errors import JournalFailed, StillRunning

pytestmark = pytest.mark.feature("EX-01", "SE-06")

ENTRY = JournalEntry(
    base_url="https://cabinet.example/v1",
    client_id="prf_1",
    operation_id="invoice-1",
    operation="charges.pay",
    path="/charges/chg_personal/payments",
    body=b'{"method":"personal"}',
    created_at=dt.datetime(2026, 11, 16, 9, 0, tzinfo=dt.UTC),
)

WORKER = """
import datetime as dt, sys
from cabinet_sdk import JournalEntry, SqliteJournal
journal = SqliteJournal(sys.argv[1])
entry = journal.open_entries()[0]
print("claimed" if journal.claim(entry) else "refused", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "journal.db"


@contextmanager
def worker(path: Path) -> Generator[subprocess.Popen[str]]:
    """Start a process that claims the first entry and then waits."""
    command = [sys.executable, "-c", WORKER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    """Return what a worker says of its claim."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_entries_come_back_as_they_were_kept(path: Path) -> None:
    """What was kept is there for another object and process, the oldest first, until it is settled."""
    second = attrs.evolve(ENTRY, operation_id="invoice-0", body=bytes(range(256)), path="/п?a=b&c=d")
    with SqliteJournal(path) as journal:
        assert journal.begin(ENTRY) is None
        assert journal.begin(second) is None
    with SqliteJournal(path) as journal:
        assert journal.open_entries() == [ENTRY, second]
        assert [entry.created_at for entry in journal.open_entries()] == [ENTRY.created_at] * 2
        assert journal.claim(ENTRY)
        journal.settle(ENTRY)
        journal.settle(ENTRY)
        assert journal.open_entries() == [second]


def test_a_key_belongs_to_one_request_of_a_client(path: Path) -> None:
    """Beginning again returns what stands there, unchanged; other clients and services have keys of their own."""
    journal = SqliteJournal(path)
    journal.begin(ENTRY)
    journal.release(ENTRY)
    later = attrs.evolve(ENTRY, created_at=dt.datetime(2027, 1, 1, tzinfo=dt.UTC))

    assert journal.begin(later) == ENTRY
    assert journal.begin(attrs.evolve(ENTRY, body=b"{}")) == ENTRY
    assert journal.open_entries()[0].created_at == ENTRY.created_at
    assert journal.begin(attrs.evolve(ENTRY, client_id="prf_2")) is None
    assert journal.begin(attrs.evolve(ENTRY, base_url="https://other.example/v1")) is None
    assert len(journal.open_entries()) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_only_the_owner_may_read_it(path: Path) -> None:
    """The journal and the files beside it are for their owner alone, whatever the umask."""
    before = os.umask(0)
    try:
        journal = SqliteJournal(path)
        journal.begin(ENTRY)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)

    assert len(modes) == 4
    assert set(modes.values()) == {0o600}


def test_nothing_personal_stays_behind(path: Path) -> None:
    """Once an entry is settled and the journal closed, no byte of its request is in the file, and no other file is."""
    with SqliteJournal(path) as journal:
        entries = [attrs.evolve(ENTRY, operation_id=f"k-{number}") for number in range(50)]
        for entry in entries:
            journal.begin(entry)
        for entry in entries:
            journal.settle(entry)

    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert b"personal" not in path.read_bytes()
    assert b"invoice" not in path.read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_a_file_that_others_could_read_becomes_its_owners(path: Path) -> None:
    """One that was there before, with its log, is for its owner alone as soon as it is a journal."""
    first = SqliteJournal(path)
    first.begin(ENTRY)
    for file in path.parent.glob(f"{path.name}*"):
        file.chmod(0o664)

    second = SqliteJournal(path)
    second.begin(attrs.evolve(ENTRY, operation_id="k-2"))

    beside = [path, *path.parent.glob(f"{path.name}-[ws][ah][lm]")]
    assert [stat.S_IMODE(file.stat().st_mode) for file in beside] == [0o600] * 3


def test_nothing_personal_stays_behind_after_a_crash(path: Path, tmp_path: Path) -> None:
    """What was settled and lies in the log of a program that was killed goes when the journal is opened again."""
    journal = SqliteJournal(path)
    journal.begin(ENTRY)
    journal.settle(ENTRY)
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for file in (path, path.with_name(f"{path.name}-wal")):
        shutil.copy(file, crashed)
    assert any(b"personal" in file.read_bytes() for file in crashed.iterdir())

    again = SqliteJournal(crashed / path.name)

    assert not any(b"personal" in file.read_bytes() for file in crashed.iterdir())
    assert again.open_entries() == []


def test_a_newer_file_is_refused(path: Path) -> None:
    """A journal of a version to come is neither read nor touched."""
    with SqliteJournal(path) as journal:
        journal.begin(ENTRY)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")
    before = path.read_bytes()

    with pytest.raises(JournalFailed, match="version 2 and this SDK reads version 1"):
        SqliteJournal(path)

    assert path.read_bytes() == before


def test_a_damaged_entry_is_named(path: Path) -> None:
    """What is no moment is the journal's failure, and says which entry it is."""
    journal = SqliteJournal(path)
    journal.begin(ENTRY)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE entries SET created_at = 'yesterday'")
        connection.commit()

    with pytest.raises(JournalFailed, match="under the key invoice-1 is damaged"):
        journal.open_entries()


def test_a_file_of_something_else_is_refused(path: Path) -> None:
    """Another program's database, and a file that is none, are neither read nor touched."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (id)")
    before = path.read_bytes()
    with pytest.raises(JournalFailed, match=r"another program and no journal\. Name another file\.$"):
        SqliteJournal(path)
    assert path.read_bytes() == before

    path.write_bytes(b"a letter to my grandmother, rather long" * 100)
    with pytest.raises(JournalFailed, match="not a database"):
        SqliteJournal(path)
    assert path.read_bytes().startswith(b"a letter")


@pytest.mark.parametrize(
    "place, told",
    [
        ("missing/journal.db", r"journal.db has no place: there is no folder .*missing\. Make the folder, or name"),
        (".", r"test_a_place.* is a folder or a device and no file\. Name a file\.$"),
    ],
    ids=["no folder", "a folder"],
)
def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, place: str, told: str) -> None:
    """A folder that is not there, or is one, is told at once, with its path and what to do."""
    with pytest.raises(JournalFailed, match=told):
        SqliteJournal(tmp_path / place)


def test_a_file_that_the_system_does_not_make_says_why(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system says of a new file is told, as that the process has too many open, and not that SQLite cannot."""

    def make(path: Path) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))

    monkeypatch.setattr("cabinet_sdk._core.sqlite_files.make", make)
    with pytest.raises(JournalFailed, match=r"open files: .*journal\.db'\. Make room"):
        SqliteJournal(path)


def test_a_journal_that_may_not_be_written_says_so(path: Path) -> None:
    """A file that became read-only refuses a new entry, and can be read all the same."""
    journal = SqliteJournal(path)
    journal.begin(ENTRY)
    journal._open.connection().execute("PRAGMA query_only = ON")  # pyright: ignore[reportPrivateUsage]  # what the system would do

    with pytest.raises(JournalFailed, match="readonly"):
        journal.begin(attrs.evolve(ENTRY, operation_id="k-2"))

    assert journal.open_entries() == [ENTRY]


def test_another_process_that_writes_is_waited_for_and_not_for_ever(path: Path) -> None:
    """Within the timeout a lock of somebody else is waited for; after it the call fails."""
    journal = SqliteJournal(path, timeout=0.05)
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalFailed, match=r"locked\. Others write to it: .* SqliteJournal\(timeout=…\)\.$"):
            journal.begin(ENTRY)
        other.execute("COMMIT")
        patient = SqliteJournal(path, timeout=60)
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.05, other.execute, ["COMMIT"])
        release.start()
        assert patient.begin(ENTRY) is None
        release.join()


@final
class Clock:
    """Time that passes in pauses alone, and what happens after so many of them."""

    def __init__(self, happens: Callable[[], object], after: int) -> None:
        self.pauses: list[float] = []
        self._happens, self._after = happens, after

    def monotonic(self) -> float:
        return sum(self.pauses)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if len(self.pauses) == self._after:
            self._happens()


@pytest.mark.parametrize("opened", [False, True], ids=["opening", "open"])
def test_whoever_waits_long_looks_as_often(path: Path, monkeypatch: pytest.MonkeyPatch, *, opened: bool) -> None:
    """However long a file is locked, no pause grows: others that are quick would have it at each later look."""
    journals = [SqliteJournal(path, timeout=10)] if opened else []
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        clock = Clock(lambda: other.execute("COMMIT"), after=1000)
        monkeypatch.setattr("cabinet_sdk._core.sqlite_journal.time", clock)
        monkeypatch.setattr("cabinet_sdk._core.sqlite_files.time", clock)
        journal = journals[0] if opened else SqliteJournal(path, timeout=10)

        assert journal.begin(ENTRY) is None

    assert len(clock.pauses) == 1000
    assert max(clock.pauses) <= 0.004
    assert len({*clock.pauses}) > 1, "two that wait are not in step"


@pytest.mark.parametrize("key", [None, bytes(32)], ids=["clear", "keyed"])
def test_whoever_only_reads_waits_for_nobody(path: Path, key: bytes | None) -> None:
    """A journal that is there is opened and read while another process writes, however long that takes."""
    with SqliteJournal(path, key=key) as journal:
        journal.begin(ENTRY)
    with closing(connect_file(path, key, timeout=0)) as other:
        other.execute("BEGIN IMMEDIATE")
        with SqliteJournal(path, timeout=0, key=key) as reader:
            assert reader.open_entries() == [ENTRY]


def test_another_process_that_reads_is_waited_for_too(path: Path) -> None:
    """A file that has no log yet gets one when nobody reads it any more, within the timeout."""
    SqliteJournal(path).close()
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN")
        other.execute("SELECT * FROM entries").fetchall()
        with pytest.raises(JournalFailed, match="locked"):
            SqliteJournal(path, timeout=0.05)
        release = threading.Timer(0.05, other.execute, ["COMMIT"])
        release.start()
        assert SqliteJournal(path, timeout=10).begin(ENTRY) is None
        release.join()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_full_disk_is_told_before_anything_is_sent() -> None:
    """A real write that fails for want of room: the call is refused, nothing is sent, and it works with room again."""
    program = """
import json, resource, sys, tempfile
from pathlib import Path
from cabinet_sdk import Cabinet, RetryPolicy, SqliteJournal
from cabinet_sdk.charges import PaymentMethod
from cabinet_sdk.errors import JournalFailed
from cabinet_sdk.transports import InProcessTransport
from cabinet_sdk.types import Money
from reference_server import World
from reference_server.testing import BASE_URL, credentials

world = World()
person = world.profiles.add("Иванова Мария Петровна")
charge = world.charges.add(person, Money("10.00"))
with tempfile.TemporaryDirectory() as folder:
    journal = SqliteJournal(Path(folder) / "journal.db")
    transport = InProcessTransport(world.respond, sleep=world.clock.sleep, now=world.clock.monotonic)
    cabinet = Cabinet(BASE_URL, credentials(world, person), transport=transport, journal=journal)
    was = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, was[1]))
    try:
        cabinet.charges.pay(charge.id, method=PaymentMethod.BANK_CARD)
    except JournalFailed as error:
        told = str(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, was)
    requests = len(world.requests)
    payment = cabinet.charges.pay(charge.id, method=PaymentMethod.BANK_CARD)
    left = len(journal.open_entries())
    journal.close()
print(json.dumps({"told": told, "requests": requests, "paid": str(payment.amount), "left": left}))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", program], capture_output=True, check=True, text=True
    )

    result = json.loads(done.stdout)
    assert "Make room" in result["told"]
    assert (result["requests"], result["paid"], result["left"]) == (0, "10.00", 0)


def test_a_closed_journal_says_so(path: Path) -> None:
    """Nothing is kept by a journal that was closed; closing twice is no mistake."""
    journal = SqliteJournal(path)
    journal.close()
    journal.close()

    with pytest.raises(JournalFailed, match=r"closed\. Close it after the last call\.$"):
        journal.begin(ENTRY)
    assert repr(journal) == "<SqliteJournal journal.db>"


def test_an_entry_has_one_worker(path: Path) -> None:
    """Of many threads with journals of their own that claim an entry at once, one gets it; a release gives it back."""
    journals = [SqliteJournal(path) for _ in range(8)]
    journals[0].begin(ENTRY)
    assert [journal.claim(ENTRY) for journal in journals] == [False] * 8
    journals[1].release(ENTRY)
    assert not journals[1].claim(ENTRY)
    journals[0].release(ENTRY)
    together = threading.Barrier(8)

    def claim(journal: SqliteJournal) -> bool:
        together.wait(60)
        return journal.claim(ENTRY)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(claim, journals)) == [False] * 7 + [True]
    assert not journals[0].claim(attrs.evolve(ENTRY, operation_id="never begun"))


def test_another_request_under_its_key_is_not_claimed(path: Path) -> None:
    """A refusal frees a key: what was read before it is not what stands there now, and stays untaken."""
    first, second = SqliteJournal(path), SqliteJournal(path)
    first.begin(ENTRY)
    [read] = second.open_entries()
    first.settle(ENTRY)
    corrected = attrs.evolve(ENTRY, body=b"{}")
    first.begin(corrected)
    first.release(corrected)

    assert not second.claim(read)
    assert second.claim(attrs.evolve(corrected))


@pytest.mark.parametrize("same", [True, False], ids=["one journal", "two journals"])
def test_what_another_is_at_is_neither_taken_nor_forgotten(path: Path, *, same: bool) -> None:
    """A call that was never sent does not erase what another with its key may be sending."""
    first = SqliteJournal(path)
    second = first if same else SqliteJournal(path)
    first.begin(ENTRY)
    again = attrs.evolve(ENTRY)

    with pytest.raises(StillRunning, match="invoice-1 is on its way"):
        second.begin(again)
    second.settle(again)
    second.release(again)

    assert second.open_entries() == [ENTRY]
    assert not second.claim(again)
    first.release(ENTRY)
    assert second.begin(again) == ENTRY
    first.settle(ENTRY)
    assert second.open_entries() == [ENTRY]
    second.settle(again)
    assert first.open_entries() == []


def test_what_the_dead_took_over_stays_open(path: Path) -> None:
    """Around a fork an entry looks left alone: whoever takes it over then may have sent it before it died."""
    first, second = SqliteJournal(path), SqliteJournal(path)
    first.begin(ENTRY)
    first.before_fork()
    assert second.begin(attrs.evolve(ENTRY)) == ENTRY
    first.after_fork(child=False)
    second.close()

    first.settle(ENTRY)

    assert first.open_entries() == [ENTRY]
    assert first.claim(attrs.evolve(ENTRY))


def test_after_a_fork_it_is_open_before_others_get_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread that forks gets this journal when nothing is to be done here any more: neither waits for both."""
    journal = SqliteJournal(path)
    journal.begin(ENTRY)
    opened: list[bool] = []

    class Watched:
        """Notes, when the lock is let go of, whether the worker's is held."""

        def __init__(self, lock: Any) -> None:  # Any: that of the journal has no name in `threading`
            self._lock = lock

        def acquire(self, *args: Any, **kwargs: Any) -> bool:
            taken: bool = self._lock.acquire(*args, **kwargs)
            return taken

        def release(self) -> None:
            opened.append(bool(list(path.parent.glob("*-worker-*"))))
            self._lock.release()

    journal.before_fork()
    monkeypatch.setattr(journal, "_lock", Watched(journal._lock))  # pyright: ignore[reportPrivateUsage]  # what a fork holds
    journal.after_fork(child=False)

    assert opened == [True, True]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_journal_that_is_made_during_a_fork_locks_no_other(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was not there when the fork began has nothing to be let go of, and those that were are let go of."""
    journals = [SqliteJournal(path.with_name(f"before-{number}")) for number in range(3)]
    made: list[SqliteJournal] = []
    before_fork = SqliteJournal.before_fork

    def make_another(journal: SqliteJournal) -> None:
        made.append(SqliteJournal(path.with_name(f"during-{len(made)}")))
        before_fork(journal)

    monkeypatch.setattr(SqliteJournal, "before_fork", make_another)
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)

    assert len(made) >= 3
    with ThreadPoolExecutor(1) as other_thread:
        for journal in journals + made:
            assert other_thread.submit(journal.begin, ENTRY, 0.0).result() is None


@pytest.mark.parametrize("key", [None, bytes(32)], ids=["clear", "keyed"])
def test_what_a_fork_inherits_is_opened_anew(path: Path, key: bytes | None) -> None:
    """A child opens the same file under the same key, works at nothing, and waits as long for others."""
    journal = SqliteJournal(path, timeout=0.0, key=key)
    journal.begin(ENTRY)
    before = sorted(path.parent.iterdir())
    journal.before_fork()
    journal.after_fork(child=True)

    assert journal.open_entries() == [ENTRY]
    assert journal.claim(attrs.evolve(ENTRY)), "the worker of before is gone"
    assert sorted(path.parent.iterdir()) != before, "a lock of its own"
    with closing(connect_file(path, key, timeout=0)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalFailed, match="locked"):
            journal.begin(attrs.evolve(ENTRY, operation_id="later"))


def test_a_call_that_is_no_more_works_at_nothing(path: Path) -> None:
    """An entry whose call was dropped half-way, as with an event loop that was stopped, is the next one's."""
    journal = SqliteJournal(path)
    dropped = attrs.evolve(ENTRY)
    journal.begin(dropped)
    del dropped

    assert journal.claim(ENTRY)


def test_who_begins_the_same_again_works_at_it(path: Path) -> None:
    """An equal request takes an entry over that nobody works at; another request under its key leaves it free."""
    second, third = SqliteJournal(path), SqliteJournal(path)
    with SqliteJournal(path) as first:
        first.begin(ENTRY)

    second.begin(attrs.evolve(ENTRY, body=b"{}"))
    assert third.claim(ENTRY)
    third.close()
    second.begin(ENTRY)
    assert not SqliteJournal(path).claim(ENTRY)


def test_a_closed_journal_leaves_its_entries_to_others(path: Path) -> None:
    """A journal that was closed works at nothing any more, even where its files were cleared away before."""
    with SqliteJournal(path) as first:
        first.begin(ENTRY)
    with SqliteJournal(path) as second:
        assert second.claim(ENTRY)
        for file in path.parent.glob("*-worker-*"):
            file.unlink()

    assert SqliteJournal(path).claim(ENTRY)


def test_a_live_process_keeps_its_entry_and_a_dead_one_does_not(path: Path) -> None:
    """While the process of a worker lives nobody takes over; killed, it leaves the entry to the next at once."""
    journal = SqliteJournal(path)
    journal.begin(ENTRY)
    journal.release(ENTRY)
    with worker(path) as first, worker(path) as second:
        claims = {said(first), said(second)}
        assert claims == {"claimed", "refused"}
        assert not journal.claim(ENTRY)
        first.kill()
        second.kill()
        first.wait(60)
        second.wait(60)

        assert journal.claim(ENTRY)
    assert SqliteJournal(path).open_entries() == [ENTRY]


def test_the_files_of_dead_workers_are_cleared_away(path: Path) -> None:
    """What killed processes leave beside the journal goes with the next worker; that of living ones stays."""
    journal = SqliteJournal(path)
    journal.begin(ENTRY)
    journal.release(ENTRY)
    for _ in range(2):
        with worker(path) as process:
            assert said(process) == "claimed"
    assert len(list(path.parent.glob("*-worker-*"))) == 2

    fresh = SqliteJournal(path)
    fresh.begin(attrs.evolve(ENTRY, operation_id="k-2"))

    assert len(list(path.parent.glob("*-worker-*"))) == 2
    assert not journal.claim(attrs.evolve(ENTRY, operation_id="k-2"))


def test_a_file_of_two_names_is_refused(path: Path) -> None:
    """By a hard link another process would not see what is open, so neither name is taken."""
    SqliteJournal(path).close()
    link = path.with_name("link.db")
    os.link(path, link)

    for name in (path, link):
        with pytest.raises(JournalFailed, match=rf"{name.name} has another name \(a hard link\)"):
            SqliteJournal(name)
    assert not list(path.parent.glob("link.db-*"))
    link.unlink()
    SqliteJournal(path).close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no open file")
@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced"])
def test_a_file_that_is_gone_keeps_nothing(path: Path, *, replaced: bool) -> None:
    """What would be written into a file without a name is refused; a journal that is opened anew works."""
    journal = SqliteJournal(path)
    journal.begin(ENTRY)
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    if replaced:
        SqliteJournal(path).close()

    with pytest.raises(JournalFailed, match="removed or replaced"):
        journal.begin(attrs.evolve(ENTRY, operation_id="k-2"))
    with pytest.raises(JournalFailed, match="removed or replaced"):
        journal.open_entries()
    journal.close()
    assert SqliteJournal(path).begin(ENTRY) is None


def test_a_link_to_it_is_the_same_journal(path: Path, tmp_path: Path) -> None:
    """Whoever comes to the file by another name sees who is at work."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "link.db").symlink_to(path)
    journal, linked = SqliteJournal(path), SqliteJournal(folder / "link.db")

    journal.begin(ENTRY)

    assert linked.open_entries() == [ENTRY]
    assert not linked.claim(ENTRY)


@final
class Interrupted(sqlite3.Connection):
    """Has something happen as soon as a statement that begins so is done."""

    pending: ClassVar[list[tuple[str, Callable[[], None]]]] = []

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:  # Any: as there
        cursor = super().execute(sql, parameters)
        if self.pending and sql.startswith(self.pending[0][0]):
            _, happen = self.pending.pop()
            happen()
        return cursor


@pytest.fixture
def pending(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Callable[[], None]]]:
    """Make the connections of a journal such ones; return where to put what happens."""
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Interrupted))
    Interrupted.pending.clear()
    return Interrupted.pending


@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "INSERT", "COMMIT"])
def test_an_interrupt_leaves_nothing_locked(
    path: Path, pending: list[tuple[str, Callable[[], None]]], statement: str
) -> None:
    """Ctrl+C that comes while SQLite waits or writes ends the transaction, for this process and for all others."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    journal, other = SqliteJournal(path), SqliteJournal(path, timeout=0)
    pending.append((statement, interrupt))

    with pytest.raises(KeyboardInterrupt):
        journal.begin(ENTRY)

    assert len(other.open_entries()) == (statement == "COMMIT")
    other.begin(attrs.evolve(ENTRY, operation_id="k-2"))
    journal.release(ENTRY)
    journal.begin(attrs.evolve(ENTRY, operation_id="k-3"))


@pytest.mark.parametrize("act", [SqliteJournal.open_entries, SqliteJournal.close], ids=["read", "close"])
@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "INSERT"])
def test_a_signal_that_comes_back_to_it_waits_for_nobody(
    path: Path, pending: list[tuple[str, Callable[[], None]]], statement: str, act: Callable[[SqliteJournal], object]
) -> None:
    """The handler of a signal, or a finalizer, that uses the journal its own thread is at is refused or ends it."""
    told: list[Exception] = []

    def call(function: Callable[[], object]) -> None:
        try:
            function()
        except JournalFailed as error:
            told.append(error)

    journal = SqliteJournal(path)
    pending.append((statement, lambda: call(lambda: act(journal))))
    thread = threading.Thread(target=call, args=(lambda: journal.begin(ENTRY),), daemon=True)
    thread.start()
    thread.join(10)

    assert not thread.is_alive()
    [error] = told
    kept = act is SqliteJournal.open_entries
    assert ("at work" if kept else "closed") in str(error)
    assert len(SqliteJournal(path).open_entries()) == kept


def test_what_is_settled_does_not_wait_for_another_call(
    path: Path, pending: list[tuple[str, Callable[[], None]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that has its outcome leaves its entry behind where another is at the file for long; the next erases it."""
    monkeypatch.setattr("cabinet_sdk._core.sqlite_journal._PATIENCE", 0.01)
    journal = SqliteJournal(path)
    journal.begin(ENTRY)
    inside, go = threading.Event(), threading.Event()

    def hold() -> None:
        inside.set()
        go.wait(10)

    pending.append(("BEGIN IMMEDIATE", hold))
    other = threading.Thread(target=journal.begin, args=(attrs.evolve(ENTRY, operation_id="k-2"),))
    other.start()
    inside.wait(10)
    with pytest.raises(JournalFailed, match=r"at work for other calls\. Others write to it"):
        journal.settle(ENTRY)
    go.set()
    other.join()

    assert not journal.claim(attrs.evolve(ENTRY))
    assert [entry.operation_id for entry in journal.open_entries()] == ["k-2"]


@pytest.mark.parametrize("leave", [SqliteJournal.settle, SqliteJournal.release], ids=["settled", "released"])
def test_what_could_not_be_left_is_left_with_the_next_call(
    path: Path, monkeypatch: pytest.MonkeyPatch, leave: Callable[[SqliteJournal, JournalEntry], None]
) -> None:
    """Where the file is locked as a call ends, the next call of its process ends it for all others as well."""
    monkeypatch.setattr("cabinet_sdk._core.sqlite_journal._PATIENCE", 0)
    journal, other = SqliteJournal(path), SqliteJournal(path)
    journal.begin(ENTRY)
    with closing(sqlite3.connect(path, isolation_level=None)) as locking:
        locking.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalFailed, match="locked"):
            leave(journal, ENTRY)
    assert not other.claim(attrs.evolve(ENTRY))

    journal.begin(attrs.evolve(ENTRY, operation_id="k-2"))

    released = leave is SqliteJournal.release
    assert (ENTRY in other.open_entries()) == released
    assert other.claim(ENTRY) == released


def test_who_begins_anew_is_not_left_with_the_call_before(
    path: Path, pending: list[tuple[str, Callable[[], None]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry that was begun under the id of one that could not be erased stays, interrupted as it may be."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cabinet_sdk._core.sqlite_journal._PATIENCE", 0)
    journal = SqliteJournal(path)
    journal.begin(ENTRY)
    with closing(sqlite3.connect(path, isolation_level=None)) as locking:
        locking.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalFailed, match="locked"):
            journal.settle(ENTRY)
    corrected = attrs.evolve(ENTRY, body=b"{}")
    pending.append(("COMMIT", interrupt))
    with pytest.raises(KeyboardInterrupt):
        journal.begin(corrected)
    del corrected

    journal.begin(attrs.evolve(ENTRY, operation_id="k-2"))

    assert [entry.body for entry in journal.open_entries()] == [b"{}", ENTRY.body]


@pytest.mark.slow
def test_many_processes_may_make_it_at_once(path: Path) -> None:
    """Processes that start together on a file that is not there yet all get the one journal."""
    program = """
import sys, datetime as dt
from cabinet_sdk import JournalEntry, SqliteJournal
sys.stdin.readline()
journal = SqliteJournal(sys.argv[1], timeout=120)
for number in range(5):
    journal.begin(JournalEntry(base_url="https://c.example", client_id=sys.argv[2], operation_id=str(number),
        operation="charges.pay", path="/", body=b"{}", created_at=dt.datetime.now(dt.UTC)))
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(path), str(number)], stdin=subprocess.PIPE)
        for number in range(6)
    ]
    for process in processes:
        process.communicate(b"go\n", timeout=300)

    assert [process.returncode for process in processes] == [0] * 6
    assert len(SqliteJournal(path).open_entries()) == 30


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
# Newer versions of Python warn where there are threads, such as those of pytest-xdist; the child starts none.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_is_a_worker_of_its_own(path: Path) -> None:
    """What the parent is at stays with it from the moment of the fork; what the child began is free at its end."""
    journal, other = SqliteJournal(path), SqliteJournal(path)
    journal.begin(ENTRY)
    theirs = attrs.evolve(ENTRY, operation_id="k-child")
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        right = False
        try:
            signal.alarm(10)
            os.read(reading, 1)  # the parent goes on
            right = not journal.claim(ENTRY) and not other.claim(ENTRY) and journal.begin(theirs) is None
            right = right and not other.claim(theirs) and len(journal.open_entries()) == 2
        finally:
            os._exit(0 if right else 1)
    os.write(writing, b"x")

    assert os.waitpid(child, 0)[1] == 0
    assert not other.claim(ENTRY)
    assert other.claim(theirs)
    os.close(reading)
    os.close(writing)


FORK = """
import os, sys, datetime as dt
from cabinet_sdk import JournalEntry, SqliteJournal

def entry(name):
    return JournalEntry(base_url="https://c.example", client_id="c", operation_id=name, operation="charges.pay",
        path="/", body=b"{}", created_at=dt.datetime.now(dt.UTC))

journal = SqliteJournal(sys.argv[1], timeout=60, key=bytes.fromhex(sys.argv[2]) or None)
own = entry("parent")
journal.begin(own)
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    os.read(reading, 1)  # the parent goes on
    assert not journal.claim(entry("parent"))
    own = entry("child")
    journal.begin(own)
    grandchild = os.fork()
    if grandchild == 0:
        os.read(reading, 1)
        journal.begin(entry("grandchild"))
        assert not journal.claim(entry("child"))
        sys.exit(0)
    os.write(writing, b"x")
    assert os.waitpid(grandchild, 0)[1] == 0
    assert journal.claim(entry("grandchild"))
    sys.exit(0)
os.write(writing, b"x")
assert os.waitpid(child, 0)[1] == 0
assert journal.claim(entry("child"))
assert not journal.claim(entry("parent"))
journal.settle(own)
assert len(journal.open_entries()) == 2
journal.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fork_makes_two_workers(path: Path) -> None:
    """Experiment 118: after a fork both processes use the journal, and neither takes what the other is at."""
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", FORK, str(path), ""]
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=300)

    assert (done.returncode, done.stderr) == (0, "")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_what_is_left_at_the_end_of_a_program_makes_no_worker(path: Path) -> None:
    """A walk of `resume` that was left is closed by Python, late: there is nothing to release, log or leave behind."""
    program = """
import sys, datetime as dt
from cabinet_sdk import BearerToken, Cabinet, JournalEntry, SqliteJournal
from cabinet_sdk.transports import Headers, InProcessTransport, Response

def respond(request):
    return Response(status=409, headers=Headers({"content-type": "application/problem+json"}),
        content=b'{"code": "charges.nothing_due"}')

journal = SqliteJournal(sys.argv[1])
journal.begin(JournalEntry(base_url="https://c.example", client_id="c", operation_id="one", operation="charges.pay",
    path="/charges/c/payments", body=b"{}", created_at=dt.datetime.now(dt.UTC)))
journal.release(journal.open_entries()[0])
cabinet = Cabinet("https://c.example", BearerToken("t", "c"), transport=InProcessTransport(respond), journal=journal)
outcomes = cabinet.resume()
print(next(outcomes))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, check=False, text=True, timeout=300
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "<Resumed charges.pay one: settled, <NothingDue:" in done.stdout
    assert list(path.parent.glob("*-worker-*")) == []
    with SqliteJournal(path) as journal:
        assert [entry.operation_id for entry in journal.open_entries()] == ["one"]
        assert journal.claim(journal.open_entries()[0])
