"""One process owns a file; what stands in its way is told, and nothing is left half done (experiments 66, 69, 72)."""

from __future__ import annotations

import datetime as dt
import errno
import io
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pytest

from cabinet_sdk._core.sqlite_files import connect as connect_file
from cabinet_sdk.transports import Response
from cabinet_sdk.types import Money
from reference_server import DatabaseRefused, Profile, World, audit
from reference_server.__main__ import main
from reference_server.database import Database, Value, cannot_serve
from reference_server.profiles import digest
from reference_server.testing import connect, serve
from reference_server.world import MIGRATIONS
from tests.core.sample_area import sample_world
from tests.server.raw import Raw, document, token_for

OLD = Path(__file__).parent / "schemas" / "version_1.sql"

HOLD = """
import sys
from pathlib import Path
from reference_server import World
world = World(file=Path(sys.argv[1]), key=bytes.fromhex(sys.argv[2]) or None)
print("owned", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a world is to be."""
    return tmp_path / "world.db"


@pytest.fixture(params=[None, bytes(range(32))], ids=["in clear", "encrypted"])
def key(request: pytest.FixtureRequest) -> bytes | None:
    """Under what that file is encrypted: all that holds of a file holds of an encrypted one."""
    value: bytes | None = request.param
    return value


@pytest.fixture
def kept(file: Path, key: bytes | None) -> Iterator[World]:
    """A world in that file."""
    with closing(World(file=file, key=key)) as world:
        yield world


def made_by_version_1(file: Path, key: bytes | None) -> None:
    """Make a file as the first version did, with somebody in it."""
    with closing(connect_file(file, key, timeout=5)) as connection:
        connection.executescript(OLD.read_text(encoding="utf-8"))
        connection.executescript(
            "PRAGMA application_id = 1130455635; PRAGMA user_version = 1; PRAGMA journal_mode = WAL"
        )
        connection.execute(
            "INSERT INTO profiles VALUES ('prf_1', 'person', 'Иванова', '500100732259', NULL, NULL, '', '', '')"
        )


def schema_of(file: Path, key: bytes | None) -> set[tuple[str, str]]:
    """Return every table, index and trigger with its statement, blanks aside."""
    with closing(connect_file(file, key, timeout=5)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    return {(name, re.sub(r"\s*([(),])\s*", r"\1", " ".join(sql.split()))) for name, sql in rows}


@pytest.mark.slow
def test_a_file_has_one_owner_until_it_is_dead(file: Path, tmp_path: Path, key: bytes | None) -> None:
    """A second process is refused by name; after `kill -9` of the first it is welcome."""
    digits = (key or b"").hex()
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file), digits], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "owned\n"
        second = subprocess.run(
            [sys.executable, "-m", "reference_server", "--port", "0", "--db", str(file), *key_option(tmp_path, key)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert second.returncode == 1
        assert second.stderr.strip() == (
            f"cabinet-reference-server: {file} is served by another process; stop that one first, or use another file"
        )
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait(timeout=60)
        World(file=file, key=key).close()
    finally:
        owner.kill()
        owner.communicate(timeout=60)


def key_option(folder: Path, key: bytes | None) -> list[str]:
    """Return the option that names the key, where there is one."""
    if key is None:
        return []
    key_file = folder / "world.key"
    key_file.write_text(key.hex(), encoding="ascii")
    key_file.chmod(0o600)
    return ["--key-file", str(key_file)]


FORKED = """
import os, sys
from pathlib import Path
from cabinet_sdk.charges import PaymentMethod
from cabinet_sdk.errors import UsageError
from cabinet_sdk.types import Money
from reference_server import DatabaseRefused, World
from reference_server.testing import connect
kept, free = World(file=Path(sys.argv[1]), key=bytes.fromhex(sys.argv[2]) or None), World()
person = kept.profiles.add("Иванова")
charge = kept.charges.add(person, Money(2))
cabinet = connect(kept, person)
list(cabinet.charges.list())
free.profiles.add("Иванова")
child = os.fork()
if not child:
    for use in (
        kept.profiles.all,
        lambda: kept.charges.add(person, Money(1)),
        lambda: list(cabinet.charges.list()),
        lambda: cabinet.charges.pay(charge.id, method=PaymentMethod.SBP),
    ):
        try:
            use()
        except (DatabaseRefused, UsageError) as error:
            print(type(error).__name__, error)
    kept.close()
    print(free.profiles.add("Петров").name)
    sys.exit()
os.waitpid(child, 0)
kept.charges.add(person, Money(3))
print(kept.audit.check(), sorted(str(each.amount) for each in cabinet.charges.list()))
kept.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no forks")
@pytest.mark.slow
def test_a_fork_does_not_share_a_file(file: Path, key: bytes | None) -> None:
    """The child is refused in words wherever it begins, and takes nothing from its parent; memory is its own copy."""
    done = subprocess.run(
        [sys.executable, "-c", FORKED, str(file), (key or b"").hex()],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1"},
        timeout=60,
        check=False,
    )

    refused = f"{file} belongs to the process that opened it, and this one was forked from that; open it after the fork"
    by_controls, by_clients = f"DatabaseRefused {refused}", f"UsageError {refused}"
    assert done.stderr == ""
    assert done.stdout.splitlines()[:-1] == [*[by_controls] * 2, *[by_clients] * 2, "Петров"]
    assert done.stdout.splitlines()[-1] == "None ['2.00', '3.00']"
    with closing(World(file=file, key=key)) as world:
        assert world.audit.check() is None


def test_a_file_has_one_owner_in_one_process_too(file: Path, kept: World, key: bytes | None) -> None:
    """Two worlds of one process do not share a file either; closing the first lets the second in."""
    beside = {path.name.removeprefix("world.db") for path in file.parent.iterdir()}
    assert beside == {"", "-wal", "-shm", "-owner", "-anchor"}
    with pytest.raises(DatabaseRefused, match="served by another process"):
        World(file=file, key=key)
    kept.close()
    World(file=file, key=key).close()


def test_a_link_to_a_file_is_no_second_one(file: Path, kept: World, key: bytes | None) -> None:
    """Through a link a served file is refused too, and its journal is held to the anchor of the real name."""
    link = file.with_name("link.db")
    link.symlink_to(file)
    with pytest.raises(DatabaseRefused, match="served by another process"):
        World(file=link, key=key)
    kept.profiles.add("Иванова")
    kept.close()

    World(file=link, key=key).close()

    assert {path.name for path in file.parent.iterdir()} >= {f"{file.name}-owner", f"{file.name}-anchor"}
    assert not list(file.parent.glob("link.db-*"))


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
def test_a_new_file_is_its_owners_alone(tmp_path: Path, key: bytes | None) -> None:
    """Every client's secret follows from what is in it, so others may read neither it nor what lies beside it."""
    linked = tmp_path / "linked.db"
    linked.symlink_to(tmp_path / "far.db")
    before = os.umask(0)
    try:
        with closing(World(file=tmp_path / "new.db", key=key)), closing(World(file=linked, key=key)):
            modes = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()}
    finally:
        os.umask(before)

    assert modes == dict.fromkeys(modes, 0o600)
    beside = ("", "-wal", "-shm", "-owner", "-anchor")
    assert set(modes) == {"linked.db", *(f"{name}.db{part}" for name in ("new", "far") for part in beside)}


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
def test_a_file_keeps_the_mode_that_it_has(file: Path) -> None:
    """What somebody has opened to others on purpose stays so."""
    World(file=file).close()
    file.chmod(0o640)
    World(file=file).close()

    assert file.stat().st_mode & 0o777 == 0o640


def test_a_file_of_two_names_is_refused(file: Path) -> None:
    """By a hard link a second process would not see the first, so neither name is taken, and nothing lies beside."""
    World(file=file).close()
    link = file.with_name("link.db")
    os.link(file, link)

    for name in (file, link):
        with pytest.raises(DatabaseRefused, match=rf"{name.name} has another name \(a hard link\)"):
            World(file=name)
    assert not list(file.parent.glob("link.db-*"))
    link.unlink()
    World(file=file).close()


def test_a_closed_file_is_whole_without_its_log(file: Path, tmp_path: Path, key: bytes | None) -> None:
    """Whoever reads it while its owner closes it, such as a check of the journal, keeps nothing out of the file."""
    world = World(file=file, key=key)
    person = world.profiles.add("Иванова")
    with closing(audit.of_file(file, key)):
        world.close()
    copy = tmp_path / "copy.db"
    copy.write_bytes(file.read_bytes())

    with closing(World(file=copy, key=key)) as again:
        assert again.profiles.all() == [person]


@contextmanager
def locked(file: Path, key: bytes | None) -> Generator[None]:
    """Have another program lock a file."""
    with closing(connect_file(file, key, timeout=5)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def test_69_a_locked_file_is_503_until_it_is_free(file: Path, kept: World, key: bytes | None) -> None:
    """While another program holds the file, changes are 503 and reads go on; afterwards all is well."""
    person = kept.profiles.add("Иванова")
    charge = kept.charges.add(person, Money("10.00"))
    raw = Raw(kept, person)
    path = f"/charges/{charge.id}/payments"
    with locked(file, key):
        refused = raw.send("POST", path, {"method": "sbp"}, key="k")
        read = raw.send("GET", f"/charges/{charge.id}")
        denied = raw.send("GET", "/charges/none")
    paid = raw.send("POST", path, {"method": "sbp"}, key="k")

    assert (refused.status, document(refused)["code"]) == (503, "service.unavailable")
    assert refused.headers["retry-after"] == "1"
    assert (read.status, denied.status, paid.status) == (200, 404, 201)
    assert paid.headers.get("idempotency-replayed") is None


SPOILT = {
    "a secret that is none": "UPDATE settings SET value = 'zz' WHERE name = 'root_secret'",
    "an empty secret": "UPDATE settings SET value = '' WHERE name = 'root_secret'",
    "a secret of bytes": "UPDATE settings SET value = x'ff' WHERE name = 'root_secret'",
    "a table gone": "PRAGMA foreign_keys = OFF; DROP TABLE tokens",
    "a column gone": "ALTER TABLE audit_entries DROP COLUMN personal",
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_file_is_refused(
    file: Path, tmp_path: Path, key: bytes | None, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    """A start says in one sentence what is wrong with the file, and lets go of it."""
    World(file=file, key=key).close()
    with closing(connect_file(file, key, timeout=5)) as connection:
        connection.executescript(SPOILT[how])

    for _ in range(2):
        with pytest.raises(DatabaseRefused, match=r"world\.db is damaged \((its setting root_secret|it has no )"):
            World(file=file, key=key)
    assert main(["--db", str(file), *key_option(tmp_path, key)]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_file_that_was_cut_is_damaged(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is called neither encrypted nor somebody else's."""
    World(file=file).close()
    os.truncate(file, file.stat().st_size // 2)

    assert main(["--db", str(file)]) == 1
    assert f"{file} is damaged (database disk image is malformed)" in capsys.readouterr().err
    assert main(["audit", "verify", str(file)]) == 1
    assert f"{file} is damaged (database disk image is malformed)" in capsys.readouterr().err


def test_69_many_changes_do_not_wait_one_after_another(
    file: Path, kept: World, key: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a change has waited in vain none does for a second, so that reads go on; the next one waits again."""
    now = 100.0
    monkeypatch.setattr("reference_server.database.monotonic", lambda: now)
    person = kept.profiles.add("Иванова")
    charge = kept.charges.add(person, Money("10.00"))
    raw = Raw(kept, person)

    def pay_at(moment: float) -> tuple[int, int]:
        """Return the status, and how many milliseconds the next one would wait."""
        nonlocal now
        now = moment
        return pay(raw, charge.id).status, kept.database.all("PRAGMA busy_timeout")[0][0]

    with locked(file, key):
        refused = [pay_at(moment) for moment in (100.0, 100.5, 100.9)]
    taken = [pay_at(moment)[1] for moment in (100.95, 101.0)]
    with locked(file, key):
        again = pay_at(101.1)

    assert refused == [(503, 0)] * 3
    assert taken == [0, 200]
    assert again == (503, 0)


def test_69_the_console_of_a_locked_file(file: Path, kept: World, key: bytes | None) -> None:
    """Pages are read on; a form is refused as any change is, with a sentence, and taken once the file is free."""
    person = kept.profiles.add("Иванова")
    charge = kept.charges.add(person, Money("10.00"))
    with serve(kept) as url:
        payment = document(pay(Raw(kept, person), charge.id))["id"]
        base = url.removesuffix("/v1")
        page, profile = f"{base}/pay/{payment}", f"{base}/profiles/{person.id}"
        with locked(file, key):
            pages = (f"{base}/", profile, f"{profile}/charges/{charge.id}", page, f"{base}/refunds/none")
            read = [httpx.get(each, trust_env=False, timeout=60).status_code for each in pages]
            refused = httpx.post(f"{page}/confirm", trust_env=False, timeout=60)
        taken = httpx.post(f"{page}/confirm", trust_env=False, timeout=60)

    assert read == [200, 200, 200, 200, 404]
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert "locked" in refused.text
    assert taken.status_code == 303


@pytest.mark.parametrize("exists", [True, False])
def test_69_a_locked_file_is_refused_at_the_start(
    file: Path, tmp_path: Path, key: bytes | None, capsys: pytest.CaptureFixture[str], exists: bool
) -> None:
    """A server that finds its file locked says who has to let go of it, whether the file is a world or new."""
    if exists:
        World(file=file, key=key).close()
    with locked(file, key):
        assert main(["--db", str(file), *key_option(tmp_path, key)]) == 1

    assert "another program has locked it" in capsys.readouterr().err
    World(file=file, key=key).close()


def test_72_a_file_of_the_first_version_is_brought_up_to_date(file: Path, tmp_path: Path, key: bytes | None) -> None:
    """An older file gets the tables that a new one has and keeps what is in it; its debts are found as debts."""
    made_by_version_1(file, key)
    with closing(World(file=tmp_path / "new.db")) as new:
        day = dt.date(2026, 1, 1)
        charge = new.charges.add(new.profiles.add("Петров"), Money(10), accrued_on=day, due_on=day)
        (row,) = new.database.all("SELECT * FROM charges")
    kept = {name: row[name] for name in row.keys() if name not in {"status", "standing", "late"}}  # noqa: SIM118  # a row
    kept["profile_id"] = "prf_1"
    with closing(connect_file(file, key, timeout=5)) as old:
        marks = ", ".join("?" * len(kept))
        old.execute(f"INSERT INTO charges ({', '.join(kept)}) VALUES ({marks})", tuple(kept.values()))
        old.execute("UPDATE profiles SET permissions = 'charges.read'")
    with closing(World(file=file, key=key)) as world:
        (person,) = world.profiles.all()
        assert person.name == "Иванова"
        assert world.audit.check() is None
        world.database.execute("UPDATE profiles SET client_secret = ?", (digest(world.client_secret(person.id)),))
        with connect(world, person) as cabinet:
            assert [each.id for each in cabinet.charges.list(overdue=True)] == [charge.id]

    assert schema_of(file, key) == schema_of(tmp_path / "new.db", None)


@pytest.mark.parametrize("where", range(len(MIGRATIONS)))
def test_72_a_migration_that_is_cut_short_has_not_begun(
    file: Path, tmp_path: Path, key: bytes | None, monkeypatch: pytest.MonkeyPatch, where: int
) -> None:
    """What fails in any of the migrations leaves the old file, which the next start brings up to date."""
    made_by_version_1(file, key)
    before = schema_of(file, key)
    broken = f"{MIGRATIONS[where]}CREATE TABLE one (x);\nCREATE TABLE one (x);\n"
    with monkeypatch.context() as patch:
        patch.setattr("reference_server.world.MIGRATIONS", (*MIGRATIONS[:where], broken, *MIGRATIONS[where + 1 :]))
        with pytest.raises(DatabaseRefused, match="table one already exists"):
            World(file=file, key=key)
    assert schema_of(file, key) == before

    World(file=file, key=key).close()
    World(file=tmp_path / "new.db").close()
    assert schema_of(file, key) == schema_of(tmp_path / "new.db", None) != before


class FullDisk:
    """Stands in for a world's connection; from the n-th statement on the disk is full."""

    def __init__(self, world: World, error: sqlite3.OperationalError, statement: str) -> None:
        self._inner = world.database._connection  # pyright: ignore[reportPrivateUsage]  # where a disk fails
        self._error = error
        self._statement = statement

    def execute(self, sql: str, parameters: object = ()) -> sqlite3.Cursor:
        if sql.startswith(self._statement):
            raise self._error
        return self._inner.execute(sql, parameters)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


def full(code: int, message: str) -> sqlite3.OperationalError:
    """Return an error as SQLite raises it."""
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize("statement", ["INSERT INTO payments", "INSERT INTO audit_entries", "COMMIT", "BEGIN"])
@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_READONLY])
def test_66_a_full_disk_is_503_wherever_it_strikes(
    world: World, person: Profile, monkeypatch: pytest.MonkeyPatch, statement: str, code: int
) -> None:
    """Whichever statement finds the disk full, the change is refused whole, reads go on, and space is all it takes."""
    charge = world.charges.add(person, Money("10.00"))
    raw = Raw(world, person)
    path = f"/charges/{charge.id}/payments"
    with monkeypatch.context() as patch:
        broken = FullDisk(world, full(code, "database or disk is full"), statement)
        patch.setattr(world.database, "_connection", broken)
        refused = raw.send("POST", path, {"method": "sbp"}, key="k")
        read = raw.send("GET", f"/charges/{charge.id}")

    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert read.status == 200
    assert document(read)["pending"] == "0.00"
    paid = raw.send("POST", path, {"method": "sbp"}, key="k")
    assert (paid.status, paid.headers.get("idempotency-replayed")) == (201, None)
    assert [entry.action for entry in world.audit.entries()][2:] == ["sign_in.token", "charges.pay"]
    world.charges.check_books()


@pytest.mark.parametrize("table", ["settings", "charges"])
def test_66_a_disk_that_is_full_at_the_first_start(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], table: str
) -> None:
    """Whatever finds no room while a world is made, the command says so in a line; with room the next start has all."""
    execute = Database.execute

    def without_room(database: Database, sql: str, parameters: Sequence[Value] = ()) -> int:
        if sql.startswith(f"INSERT INTO {table}"):
            raise full(sqlite3.SQLITE_FULL, "database or disk is full")
        return execute(database, sql, parameters)

    with monkeypatch.context() as patch:
        patch.setattr(Database, "execute", without_room)
        assert main(["--db", str(file)]) == 1
    message = f"cabinet-reference-server: {file} cannot be used: database or disk is full"
    assert capsys.readouterr().err.splitlines() == [message]

    with closing(World.seeded(file=file)) as world:
        assert len(world.profiles.all()) == 7


def test_66_a_file_that_may_not_grow(file: Path, kept: World) -> None:
    """SQLite's own word that there is no room: 503 until there is, nothing half done, and no restart."""
    person = kept.profiles.add("Иванова")
    charges = [kept.charges.add(person, Money("10.00")) for _ in range(40)]
    raw = Raw(kept, person)
    pages = kept.database.one("PRAGMA page_count")
    assert pages is not None
    kept.database.all(f"PRAGMA max_page_count = {pages[0] + 4}")
    statuses = [pay(raw, charge.id).status for charge in charges]
    read = raw.send("GET", "/charges")
    kept.database.all("PRAGMA max_page_count = 1000000")
    after = [pay(raw, charge.id).status for charge in charges]

    assert statuses[-1] == 503
    assert set(statuses) == {201, 503}
    assert (read.status, after) == (200, [201] * 40)
    assert len({entry.subject for entry in kept.audit.entries() if entry.action == "charges.pay"}) == 40
    assert kept.audit.check() is None
    kept.charges.check_books()
    assert file.exists()


def pay(raw: Raw, charge_id: str) -> Response:
    """Pay a charge, always under the same key."""
    return raw.send("POST", f"/charges/{charge_id}/payments", {"method": "sbp"}, key=charge_id.replace("_", "-"))


class FullSpool(io.BytesIO):
    """A temporary file on a disk without room."""

    def __init__(self, max_size: int) -> None:
        super().__init__()
        self._max_size = max_size

    def write(self, data: Any) -> int:  # Any: whatever has bytes
        if self.tell() + len(data) > self._max_size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


@pytest.mark.parametrize("where", ["asgi", "uploads"])
def test_66_no_room_for_an_upload(world: World, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """An upload for which the disk has no room is 503, whoever finds it; with room it is taken."""
    person = sample_world(world)
    form = (
        b"--b\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n"
        + bytes(3 * 1024 * 1024)
        + b"\r\n--b--\r\n"
    )
    headers = {
        "authorization": f"Bearer {token_for(world, person)}",
        "content-type": "multipart/form-data; boundary=b",
        "idempotency-key": "k",
    }
    with serve(world) as url:
        with monkeypatch.context() as patch:
            patch.setattr(f"reference_server.{where}.SpooledTemporaryFile", FullSpool)
            refused = httpx.post(f"{url}/large-samples", content=form, headers=headers, trust_env=False, timeout=60)
        taken = httpx.post(f"{url}/large-samples", content=form, headers=headers, trust_env=False, timeout=60)

    assert (refused.status_code, refused.json()["code"]) == (503, "service.unavailable")
    assert refused.headers["retry-after"] == "1"
    assert taken.status_code == 200


def test_66_reads_go_on_though_the_clock_cannot_act(
    world: World, person: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the clock has made due waits for the disk; a read is answered as things stand, a change is refused."""
    charge = world.charges.add(person, Money("10.00"))
    raw = Raw(world, person)
    raw.send("POST", f"/charges/{charge.id}/payments", {"method": "sbp"}, key="k")
    world.clock.sleep(60)
    with monkeypatch.context() as patch:
        broken = FullDisk(world, full(sqlite3.SQLITE_FULL, "database or disk is full"), "UPDATE payments")
        patch.setattr(world.database, "_connection", broken)
        meanwhile = raw.send("GET", f"/charges/{charge.id}")
        refused = raw.send("POST", f"/charges/{charge.id}/payments", {"method": "sbp"}, key="k2")

    assert (meanwhile.status, document(meanwhile)["status"], refused.status) == (200, "not_paid", 503)
    assert document(raw.send("GET", f"/charges/{charge.id}"))["status"] == "paid"


def test_a_disk_that_does_not_answer_is_no_refusal() -> None:
    """Where the disk fails to say whether it has what it was given, nobody knows: that is no 503."""
    assert cannot_serve(full(sqlite3.SQLITE_FULL, "full"))
    assert cannot_serve(full(sqlite3.SQLITE_CANTOPEN, "unable to open database file"))
    assert cannot_serve(OSError(errno.ENOSPC, "No space left on device"))
    assert cannot_serve(OSError(errno.ENOMEM, "Cannot allocate memory"))
    assert not cannot_serve(full(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error"))
    assert not cannot_serve(full(sqlite3.SQLITE_ERROR, "no such table"))
    assert not cannot_serve(OSError(errno.EACCES, "Permission denied"))
    assert not cannot_serve(ValueError("x"))


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE])
def test_66_whoever_needs_a_file_that_the_system_has_not_is_asked_to_come_back(
    world: World, person: Profile, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Without a free descriptor a paper and a page are 503, as on a full disk, and made once there is one."""

    def none(*_: object, **__: object) -> NoReturn:
        raise OSError(code, "Too many open files")

    token = token_for(world, person)
    with serve(world) as url, httpx.Client(trust_env=False, timeout=60) as client:

        def asked() -> list[httpx.Response]:
            headers = {"authorization": f"Bearer {token}"}
            page = client.get(f"{url.removesuffix('/v1')}/profiles/{person.id}")
            return [client.get(f"{url}/exports/charges?format=csv", headers=headers), page]

        with monkeypatch.context() as patch:
            patch.setattr("reference_server.papers.Spool", none)
            patch.setattr("reference_server.pages.rendering._environment", none)
            refused = asked()
        taken = asked()

    assert [(each.status_code, each.headers["retry-after"]) for each in refused] == [(503, "1")] * 2
    assert [each.status_code for each in taken] == [200, 200]


def test_66_a_world_that_cannot_keep_its_anchor_lets_go_of_its_file(
    file: Path, key: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing says that the disk is full, and the file is free for the next all the same; closing again is no error."""
    world = World(file=file, key=key)
    person = world.profiles.add("Иванова")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", no_room)
        with pytest.raises(OSError, match="No space left"):
            world.close()

    with closing(World(file=file, key=key)) as again:
        assert again.profiles.all() == [person]
    world.close()


def no_room(*_: object) -> int:
    """Stand in for a write to a disk without room."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_thread_that_waits_for_the_file_ends(file: Path, kept: World, key: bytes | None) -> None:
    """Twenty changes while the file is locked are all refused within seconds: nobody waits for the others' patience."""
    person = kept.profiles.add("Иванова")
    charge = kept.charges.add(person, Money("10.00"))
    raw = Raw(kept, person)
    statuses: list[int] = []

    def pay(number: int) -> None:
        path = f"/charges/{charge.id}/payments"
        statuses.append(raw.send("POST", path, {"method": "sbp"}, key=f"k{number}").status)

    with locked(file, key):
        threads = [threading.Thread(target=pay, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)

    assert statuses == [503] * 20
