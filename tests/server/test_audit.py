"""The audit journal: what it holds, what it survives, and that nobody changes it unseen (experiments 76, 77, 79)."""

from __future__ import annotations

import datetime as dt
import errno
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from cabinet_sdk import AsyncCabinet
from cabinet_sdk._core.operation import Download
from cabinet_sdk.charges import (
    Charge,
    ChargeId,
    ChargeNotFound,
    NothingDue,
    Payment,
    PaymentId,
    PaymentMethod,
    Refund,
    RefundMethod,
)
from cabinet_sdk.contract import CONTRACT, Row
from cabinet_sdk.types import Money
from reference_server import DatabaseRefused, Outcome, Profile, World
from reference_server.__main__ import main
from reference_server.audit import Anchor, AuditEntry, Breach, check
from reference_server.charges import ChargesControl
from reference_server.database import Database
from reference_server.testing import BASE_URL, connect, serve
from reference_server.world import ProfilesControl
from tests.conftest import Connect
from tests.core.sample_area import add_file, sample_world
from tests.server.raw import Raw, token_for
from tests.server.tables import kept
from tests.wire.before import before


def by_others(world: World) -> list[AuditEntry]:
    """Return the entries of what was not done by a control of the world."""
    return [entry for entry in world.audit.entries() if not entry.action.startswith("sandbox.")]


def told(world: World) -> list[tuple[str, str, str | None, str | None]]:
    """Return action, outcome, for whom and what, of each of these."""
    return [(each.action, each.outcome, each.profile_id, each.subject) for each in by_others(world)]


async def test_79_every_change_says_who_what_when_and_from(client: AsyncCabinet, world: World, person: Profile) -> None:
    """A sign-in and a payment are an entry each, what the clock does too, and reading one's own is none."""
    charge = world.charges.add(person, Money("10.00"))
    started = world.clock.now()

    payment = await client.charges.pay(charge.id, method=PaymentMethod.SBP)
    await client.charges.wait_for_payment(payment.id)
    await client.charges.get(charge.id)

    assert told(world) == [
        ("sign_in.token", "done", person.id, None),
        ("charges.pay", "done", person.id, f"/payments/{payment.id}"),
        ("clock.payment", "done", person.id, f"/payments/{payment.id}"),
        ("clock.payment", "done", person.id, f"/payments/{payment.id}"),
    ]
    entries = world.audit.entries(person.id)[2:]
    paid = next(request for request in world.requests if request.operation == "charges.pay")
    assert [entry.number for entry in entries] == [3, 4, 5, 6]
    assert [entry.actor for entry in entries] == [person.id, person.id, None, None]
    assert (entries[1].at, entries[1].request_id) == (started, paid.request_id)
    assert entries[1].at.utcoffset() == dt.timedelta(0)
    assert world.audit.check() is None


async def test_79_a_request_over_the_network_has_its_address(connect: Connect, world: World, mode: str) -> None:
    """The entry tells the address that a request came from; what a header claims is not believed."""
    person = world.profiles.add("Петров")
    client = connect(person).with_options(headers={"X-Forwarded-For": "10.9.8.7"})
    with pytest.raises(ChargeNotFound):
        await client.charges.get(ChargeId("chg_none"))

    assert [entry.sender for entry in by_others(world)] == ["127.0.0.1" if mode.endswith("http") else None] * 2


def test_79_denied_attempts(world: World, person: Profile) -> None:
    """A wrong secret, a wrong token, a missing right and another's charge are entries, each with its reason."""
    theirs = world.charges.add(world.profiles.add("Петров"), Money("1.00"))
    raw = Raw(world, person, scope="charges.read")
    form = f"grant_type=client_credentials&client_id={person.id}&client_secret=wrong"
    form_type = {"content-type": "application/x-www-form-urlencoded", "authorization": None}
    raw.send("POST", "/oauth/token", content=form.encode(), headers=form_type)
    raw.send("GET", "/charges", headers={"authorization": "Bearer nonsense"})
    raw.send("GET", "/charges", headers={"authorization": None})
    raw.send("POST", "/payments", {}, key="k")
    raw.send("GET", f"/charges/{theirs.id}")
    raw.send("GET", "/nowhere")
    raw.send("GET", "/charges?limit=0")

    assert told(world)[1:] == [
        ("sign_in.token", "invalid_client", person.id, None),
        ("charges.list", "sign_in.token_invalid", None, "/charges"),
        ("charges.list", "sign_in.required", None, "/charges"),
        ("charges.pay_several", "permission.missing", person.id, "/payments"),
        ("charges.get", "charges.charge_not_found", person.id, f"/charges/{theirs.id}"),
    ]


def test_79_a_download_is_taken_down(world: World) -> None:
    """What leaves as a file is an entry, and so is the attempt to get one that is not there."""
    raw = Raw(world, sample_world(world))
    sample_id = add_file(b"content")
    raw.send("GET", f"/samples/{sample_id}/content")
    raw.send("GET", "/samples/none/content")

    assert [(action, outcome, what) for action, outcome, _, what in told(world)[1:]] == [
        ("samples.download", "done", f"/samples/{sample_id}/content"),
        ("samples.download", "charges.charge_not_found", "/samples/none/content"),
    ]


DOWNLOADS = [pytest.param(row, id=row.id) for row in CONTRACT if isinstance(row, Download)]


@pytest.mark.parametrize("row", DOWNLOADS)
def test_79_every_file_that_leaves_is_taken_down(world: World, person: Profile, row: Row) -> None:
    """Whatever file the contract has, whole, in part or denied: who got it for whom, which, when and where to."""
    path = before(world, row).url.removeprefix(BASE_URL)
    good, narrow = token_for(world, person), token_for(world, person, "charges.pay")
    started = world.clock.now()
    earlier = len(world.audit.entries())
    with serve(world) as url, httpx.Client(trust_env=False, timeout=60) as client:

        def fetch(token: str, **headers: str) -> httpx.Response:
            return client.get(url + path, headers={"authorization": f"Bearer {token}", **headers})

        answers = [fetch(good), fetch(good, range="bytes=0-9"), fetch(narrow)]

    assert [answer.status_code for answer in answers] == [200, 206, 403]
    entries = world.audit.entries()[earlier:]
    assert [entry.outcome for entry in entries] == ["done", "done", "permission.missing"]
    assert [entry.request_id for entry in entries] == [answer.headers["x-request-id"] for answer in answers]
    for entry in entries:
        assert (entry.action, entry.subject) == (row.id, path.partition("?")[0])
        assert (entry.actor, entry.profile_id) == (person.id, person.id)
        assert (entry.at, entry.at.utcoffset()) == (started, dt.timedelta(0))
        assert entry.sender == "127.0.0.1"


@pytest.mark.parametrize("row", DOWNLOADS)
def test_79_a_file_that_does_not_leave_is_not_taken_down(world: World, person: Profile, row: Row) -> None:
    """What is refused once the file is there, a part that it lacks or another file, is no entry; nor is a crash."""
    path = before(world, row).url.removeprefix(BASE_URL)
    raw = Raw(world, person)
    raw.send("GET", path)
    earlier = len(world.audit.entries())

    world.faults.crash(row.id)
    refused = [
        raw.send("GET", path).status,
        raw.send("GET", path, headers={"if-match": '"another"'}).status,
        raw.send("GET", path, headers={"range": "bytes=99999999-"}).status,
    ]

    assert refused == [500, 412, 416]
    assert len(world.audit.entries()) == earlier


async def test_77_one_effect_is_one_entry(client: AsyncCabinet, world: World, person: Profile) -> None:
    """A repeat that is replayed, a crash before the commit and a refusal by a rule add nothing."""
    charge = world.charges.add(person, Money("10.00"))
    world.faults.crash("charges.pay")
    world.faults.lose_answer("charges.pay")

    await client.charges.pay(charge.id, method=PaymentMethod.SBP)
    with pytest.raises(NothingDue):
        await client.charges.pay(charge.id, method=PaymentMethod.SBP)

    assert len([request for request in world.requests if request.operation == "charges.pay"]) == 4
    assert [entry.action for entry in world.audit.entries()].count("charges.pay") == 1


async def test_77_what_the_clock_does_to_a_refund(client: AsyncCabinet, world: World, person: Profile) -> None:
    """That a refund was ordered and carried out is an entry each, by no client."""
    charge = world.charges.add(person, Money("10.00"))
    world.charges.credit(person, charge, Money("20.00"))
    refund = await client.charges.request_refund(charge.id, method=RefundMethod.COMPENSATION)
    await client.charges.wait_for_refund(refund.id)

    entries = [entry for entry in by_others(world) if entry.subject == f"/refunds/{refund.id}"]
    assert [(entry.action, entry.outcome, entry.actor) for entry in entries] == [
        ("charges.request_refund", "done", person.id),
        ("clock.refund", "done", None),
        ("clock.refund", "done", None),
    ]
    assert {entry.profile_id for entry in entries} == {person.id}


def test_77_fifty_writers_leave_no_gap(tmp_path: Path) -> None:
    """Fifty threads that pay at once, half of them twice: numbers without gaps, one entry for each payment."""
    with closing(World(file=tmp_path / "world.db")) as world:
        person = world.profiles.add("Иванова")
        charges = [world.charges.add(person, Money("10.00")) for _ in range(50)]
        raw = Raw(world, person)

        def pay(number: int) -> str | None:
            path = f"/charges/{charges[number % 50].id}/payments"
            return raw.send("POST", path, {"method": "sbp"}, key=f"key-{number % 50}").headers.get("location")

        with ThreadPoolExecutor(50) as threads:
            locations = {where for where in threads.map(pay, range(75)) if where is not None}

        entries = world.audit.entries()
        paid = [f"/v1{entry.subject}" for entry in entries if entry.action == "charges.pay"]
        assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
        assert sorted(paid) == sorted(locations)
        assert len(paid) == 50
        assert world.audit.check() is None


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file whose journal has ten entries: somebody is added, signs in, and asks eight times for what is not there."""
    return written(tmp_path / "world.db")


def written(path: Path) -> Path:
    """Make a file whose journal has ten entries."""
    with closing(World(file=path)) as world:
        person = world.profiles.add("Иванова")
        with connect(world, person) as cabinet:
            for number in range(8):
                with pytest.raises(ChargeNotFound):
                    cabinet.charges.get(ChargeId(f"chg_{number}"))
    return path


TAMPERED = {
    "edit": ("UPDATE audit_entries SET subject = '/charges/chg_x' WHERE number = 4", 4),
    "edit of a moment": ("UPDATE audit_entries SET at = at + 1 WHERE number = 7", 7),
    "edit of an actor": ("UPDATE audit_entries SET actor = NULL WHERE number = 2", 2),
    "edit of an action": ("UPDATE audit_entries SET action = 'charges.list' WHERE number = 8", 8),
    "a denial turned into an act": ("UPDATE audit_entries SET outcome = 'done' WHERE number = 6", 6),
    "edit of for whom": ("UPDATE audit_entries SET profile_id = 'prf_x' WHERE number = 5", 5),
    "edit of a request id": ("UPDATE audit_entries SET request_id = 'req-x' WHERE number = 9", 9),
    "edit of a personal value": ("UPDATE audit_entries SET personal = x'00' WHERE number = 3", 3),
    "edit of a hash": ("UPDATE audit_entries SET hash = zeroblob(32) WHERE number = 10", 10),
    "a value of another type": ("UPDATE audit_entries SET subject = CAST(subject AS BLOB) WHERE number = 5", 5),
    "delete": ("DELETE FROM audit_entries WHERE number = 5", 5),
    "delete of the first": ("DELETE FROM audit_entries WHERE number = 1", 1),
    "delete, the rest moved up": (
        "DELETE FROM audit_entries WHERE number = 5; UPDATE audit_entries SET number = number - 1 WHERE number > 5",
        5,
    ),
    "reorder": (
        (
            "UPDATE audit_entries SET number = 99 WHERE number = 3;"
            "UPDATE audit_entries SET number = 3 WHERE number = 6;"
            "UPDATE audit_entries SET number = 6 WHERE number = 99"
        ),
        3,
    ),
    "insert": (
        (
            "UPDATE audit_entries SET number = -number WHERE number > 4;"
            "UPDATE audit_entries SET number = 1 - number WHERE number < 0;"
            "INSERT INTO audit_entries SELECT 5, at, action, outcome, actor, profile_id, subject, request_id,"
            " personal, hash FROM audit_entries WHERE number = 4"
        ),
        5,
    ),
    "insert before the first": (
        (
            "INSERT INTO audit_entries SELECT 0, at, action, outcome, actor, profile_id, subject, request_id,"
            " personal, hash FROM audit_entries WHERE number = 4"
        ),
        1,
    ),
    "insert at the end": (
        (
            "INSERT INTO audit_entries SELECT 11, at, action, outcome, actor, profile_id, subject, request_id,"
            " personal, hash FROM audit_entries WHERE number = 10"
        ),
        11,
    ),
    "a text that is none": ("UPDATE audit_entries SET action = CAST(x'ff41' AS TEXT) WHERE number = 5", 5),
    "a personal value that is a text": ("UPDATE audit_entries SET personal = 'abc' WHERE number = 5", 5),
    "a personal value that is a number": ("UPDATE audit_entries SET personal = 5 WHERE number = 6", 6),
    "a hash that is a text": ("UPDATE audit_entries SET hash = 'abc' WHERE number = 10", 10),
    "a moment without end": ("UPDATE audit_entries SET at = 9e999 WHERE number = 4", 4),
    "an identity that is none": ("UPDATE settings SET value = 'zz' WHERE name = 'audit_journal'", 1),
    "an identity of another type": ("UPDATE settings SET value = x'ff' WHERE name = 'audit_journal'", 1),
    "no identity": ("DELETE FROM settings WHERE name = 'audit_journal'", 1),
    "a column dropped": ("ALTER TABLE audit_entries DROP COLUMN personal", 1),
    "a column renamed": ("ALTER TABLE audit_entries RENAME COLUMN outcome TO result", 1),
    "cut tail": ("DELETE FROM audit_entries WHERE number > 8", 9),
    "cut to nothing": ("DELETE FROM audit_entries", 1),
}


def tamper(file: Path, statements: str) -> None:
    """Do to a journal what nobody may."""
    with closing(sqlite3.connect(file)) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        connection.executescript("".join(f"DROP TRIGGER {name};" for (name,) in triggers) + statements)
        connection.commit()


@pytest.mark.parametrize("how", TAMPERED)
def test_76_the_verifier_names_the_first_bad_entry(file: Path, capsys: pytest.CaptureFixture[str], how: str) -> None:
    """Whatever was done to a journal, the command names the first entry that is not as it was written."""
    statements, first = TAMPERED[how]
    assert main(["audit", "verify", str(file)]) == 0
    tamper(file, statements)

    assert main(["audit", "verify", str(file)]) == 1
    printed = capsys.readouterr().out
    assert "10 entries, each as it was written" in printed
    assert f"entry {first} is bad" in printed


@pytest.mark.parametrize("how", ["a hash that is a text", "an identity that is none", "no identity"])
def test_76_a_journal_that_was_tampered_with_has_no_anchor(
    file: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    """What has no shape of an anchor is not printed as one."""
    tamper(file, TAMPERED[how][0])

    assert main(["audit", "anchor", str(file)]) == 1
    assert "was tampered with: `audit verify` names the entry" in capsys.readouterr().err


KEYS_GONE = {
    "deleted": "DELETE FROM audit_keys",
    "overwritten": "UPDATE audit_keys SET key = zeroblob(32)",
    "too short": "UPDATE audit_keys SET key = x'00'",
    "a text": "UPDATE audit_keys SET key = 'abc'",
    "table dropped": "DROP TABLE audit_keys",
}


@pytest.mark.parametrize("how", KEYS_GONE)
def test_76_keys_that_are_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str) -> None:
    """An address that nobody can read any more is a breach, unless its person was erased after it, and not before."""
    file = tmp_path / "world.db"
    with closing(World(file=file)) as world:
        erased, stays = world.profiles.add("Иванова"), world.profiles.add("Петров")
        act(world, erased)
        world.audit.erase(erased.id)
        act(world, erased)
        world.audit.erase(erased.id)
        act(world, stays)
    assert main(["audit", "verify", str(file)]) == 0
    tamper(file, KEYS_GONE[how])

    assert main(["audit", "verify", str(file)]) == 1
    assert f"entry {3 if how == 'table dropped' else 7} is bad" in capsys.readouterr().out


def test_76_a_key_that_went_after_its_person_came_back(world: World, person: Profile) -> None:
    """An erasure explains what stands before it only."""
    world.audit.erase(person.id)
    act(world, person)
    assert world.audit.check() is None
    world.database.execute("DELETE FROM audit_keys")

    breach = world.audit.check()

    assert breach is not None
    assert breach.number == len(world.audit.entries())


def act(world: World, person: Profile) -> None:
    """Have somebody do something over the network."""
    with world.work() as work:
        work.journal.record(work, "charges.pay", actor=person.id, profile_id=person.id, sender="192.0.2.7")


def test_76_two_files_that_changed_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each of two sound journals in the place of the other is found, and the server starts on neither."""
    one, other = written(tmp_path / "one.db"), written(tmp_path / "other.db")
    one.rename(tmp_path / "between")
    other.rename(one)
    (tmp_path / "between").rename(other)

    for file in (one, other):
        assert main(["audit", "verify", str(file)]) == 1
        assert "entry 1 is bad: the anchor is of another journal" in capsys.readouterr().out
        with pytest.raises(DatabaseRefused, match="does not hold entry 10"):
            World(file=file)


def test_76_an_anchor_kept_elsewhere(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who cuts the tail and the anchor beside the file is found by one that was out of reach."""
    assert main(["audit", "anchor", str(file)]) == 0
    kept = capsys.readouterr().out.strip()
    tamper(file, "DELETE FROM audit_entries WHERE number > 8")
    beside = file.with_name("world.db-anchor")
    main(["audit", "anchor", str(file)])
    beside.write_text(capsys.readouterr().out)

    assert main(["audit", "verify", str(file)]) == 0
    assert main(["audit", "verify", str(file), "--anchor", kept]) == 1
    assert "entry 9 is bad: the entry is missing: the journal had reached 10" in capsys.readouterr().out


def test_76_a_chain_that_was_made_anew(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who knows how to hash writes a sound chain; the anchor still names where it differs."""
    with closing(sqlite3.connect(file)) as connection:
        identity = connection.execute("SELECT value FROM settings WHERE name = 'audit_journal'").fetchone()[0]
    forged = tmp_path / "forged.db"
    World(file=forged).close()
    with closing(sqlite3.connect(forged)) as connection:
        connection.execute("UPDATE settings SET value = ? WHERE name = 'audit_journal'", (identity,))
        connection.commit()
    forged.with_name("forged.db-anchor").unlink()
    written(forged)
    forged.rename(file)

    assert main(["audit", "verify", str(file)]) == 1
    assert "entry 10 is bad: the entry is not the one that the anchor names" in capsys.readouterr().out


@pytest.mark.parametrize("statement", ["UPDATE audit_entries SET actor = NULL", "DELETE FROM audit_entries"])
def test_the_database_itself_refuses_to_change_the_journal(file: Path, statement: str) -> None:
    """An ordinary statement changes and removes nothing."""
    with (
        closing(sqlite3.connect(file)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="only ever added to"),
    ):
        connection.execute(statement)


def test_a_journal_that_was_cut_is_not_written_on(file: Path) -> None:
    """The server does not start where it would move the anchor of a journal that lost its end."""
    tamper(file, "DELETE FROM audit_entries WHERE number > 8")

    with pytest.raises(DatabaseRefused, match=r"restored from a copy on purpose, remove world\.db-anchor"):
        World(file=file)
    file.with_name("world.db-anchor").unlink()
    World(file=file).close()


def test_an_anchor_names_nothing_that_is_undone(tmp_path: Path) -> None:
    """Of a transaction with several entries that never ends the anchor knows nothing: the file opens as it was."""
    file, copy = tmp_path / "world.db", tmp_path / "copy.db"
    world = World(file=file)
    world.profiles.add("Иванова Мария Петровна")
    entries = world.audit.entries()

    def undone() -> None:
        with world.work() as work:
            for _ in range(3):
                work.journal.record(work, "sandbox.nothing")
            for suffix in ("", "-wal", "-anchor"):
                # As a process leaves it that is killed here.
                copy.with_name(f"copy.db{suffix}").write_bytes(file.with_name(f"world.db{suffix}").read_bytes())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        undone()
    world.close()

    for each in (copy, file):
        with closing(World(file=each)) as again:
            assert again.audit.entries() == entries


def test_a_new_file_in_the_place_of_a_removed_one(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A world that was thrown away leaves no anchor that the next one would have to keep."""
    file.unlink()
    World(file=file).close()

    assert main(["audit", "verify", str(file)]) == 0
    assert "0 entries" in capsys.readouterr().out


def test_a_start_that_was_cut_short_before_its_first_anchor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a full disk, or a kill, leaves of a new file can be started: an empty anchor names nothing."""
    file = tmp_path / "world.db"

    def no_room(_descriptor: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", no_room)
        with pytest.raises(DatabaseRefused, match=r"world.db-anchor cannot be written: No space left"):
            World(file=file)
    assert file.with_name("world.db-anchor").read_text() == ""
    assert main(["audit", "verify", str(file)]) == 1
    assert "world.db-anchor is missing or empty" in capsys.readouterr().err

    World(file=file).close()

    assert main(["audit", "verify", str(file)]) == 0


def test_the_verifier_reads_while_the_world_is_open(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A journal is verified up to what was committed, also while its owner writes on."""
    with closing(World(file=file)) as world:
        token_for(world, world.profiles.all()[0])

        assert main(["audit", "verify", str(file)]) == 0
        assert "11 entries" in capsys.readouterr().out


def test_the_verifier_leaves_nothing_beside(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that nobody serves is verified where nothing can be written, and nothing was."""
    before = {each.name: each.stat().st_mtime_ns for each in file.parent.iterdir()}
    assert main(["audit", "verify", str(file)]) == 0
    assert main(["audit", "anchor", str(file)]) == 0

    assert {each.name: each.stat().st_mtime_ns for each in file.parent.iterdir()} == before
    assert "10 entries" in capsys.readouterr().out


def test_a_file_that_is_opened_while_it_is_verified(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was read of two times is no breach: the verifier begins anew."""
    tries: list[Database] = []

    def overtaken(database: Database, anchor: Anchor) -> Breach | None:
        tries.append(database)
        if len(tries) > 1:
            return check(database, anchor)
        with closing(World(file=file)) as world:
            world.profiles.add("Ещё одна")
        return Breach(1, "of two times")

    monkeypatch.setattr("reference_server.audit.check", overtaken)

    assert main(["audit", "verify", str(file)]) == 0
    assert "11 entries, each as it was written" in capsys.readouterr().out


def test_what_cannot_be_verified(tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there, is no world, has no anchor, or one that cannot be read, ends with a sentence."""
    text = tmp_path / "notes.txt"
    text.write_text("нет " * 500)
    assert main(["audit", "verify", str(tmp_path / "none.db")]) == 1
    assert main(["audit", "verify", str(text)]) == 1
    file.with_name("world.db-anchor").write_text("nonsense")
    assert main(["audit", "verify", str(file)]) == 1
    file.with_name("world.db-anchor").unlink()
    assert main(["audit", "verify", str(file)]) == 1
    with pytest.raises(SystemExit):
        main(["audit", "verify", str(file), "--anchor", "nonsense"])

    errors = capsys.readouterr().err
    expected = ("none.db cannot be opened", "not an SQLite", "expected an anchor", "world.db-anchor is missing")
    assert [part in errors for part in expected] == [True] * 4


def test_an_anchor_that_cannot_be_read(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named by the check and by the start; who brings another anchor does not need it."""
    assert main(["audit", "anchor", str(file)]) == 0
    elsewhere = capsys.readouterr().out.strip()
    beside = file.with_name("world.db-anchor")
    beside.unlink()
    beside.mkdir()
    (long := file.with_name("l" * 253)).touch()
    (loop := file.with_name("loop.db")).symlink_to("loop.db")

    assert main(["audit", "verify", str(file)]) == 1
    assert main(["audit", "verify", str(long)]) == 1
    assert main(["audit", "anchor", str(long)]) == 1
    assert main(["audit", "verify", str(loop)]) == 1
    assert main(["--db", str(loop)]) == 1
    with pytest.raises(DatabaseRefused, match=r"world.db-anchor is no regular file"):
        World(file=file)
    assert main(["audit", "verify", str(file), "--anchor", elsewhere]) == 0

    errors = capsys.readouterr().err
    assert "world.db-anchor is no regular file" in errors
    assert "-anchor cannot be read: File name too long" in errors


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
def test_a_pipe_is_no_world(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody waits for what comes out of it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    for command in (["audit", "verify", str(pipe)], ["--db", str(pipe)]):
        assert main(command) == 1
        assert "pipe is no regular file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
def test_a_pipe_is_no_anchor(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither the check nor a start waits for what comes out of it."""
    beside = file.with_name("world.db-anchor")
    beside.unlink()
    os.mkfifo(beside)

    for command in (["audit", "verify", str(file)], ["--db", str(file)]):
        assert main(command) == 1
        assert "world.db-anchor is no regular file" in capsys.readouterr().err


def test_an_anchor_that_has_no_end(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No more of it is read than an anchor is long."""
    beside = file.with_name("world.db-anchor")
    with beside.open("r+b") as opened:
        opened.truncate(1 << 40)

    assert main(["audit", "verify", str(file)]) == 1
    assert "world.db-anchor cannot be read: expected an anchor" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["/{path}", "{folder}/./{name}"])
def test_a_file_may_be_named_in_any_way(file: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    """Slashes that say nothing are no part of a name."""
    assert main(["audit", "verify", form.format(path=file, folder=file.parent, name=file.name)]) == 0
    assert "10 entries" in capsys.readouterr().out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has it")
@pytest.mark.slow
@pytest.mark.parametrize("task", ["verify", "anchor"])
def test_66_no_room_for_what_the_verifier_says(file: Path, task: str) -> None:
    """A full disk in the place of its output ends it with a sentence."""
    with open("/dev/full", "wb") as full:  # noqa: PTH123  # no file of ours
        command = [sys.executable, "-m", "reference_server", "audit", task, str(file)]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)

    assert ended.returncode == 1
    assert ended.stderr == "cabinet-reference-server: [Errno 28] No space left on device\n"


@pytest.mark.slow
def test_nobody_reads_what_the_verifier_says(file: Path) -> None:
    """A closed pipe ends it without a traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [sys.executable, "-m", "reference_server", "audit", "verify", str(file)]
        ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False)
    finally:
        os.close(writing)

    assert (ended.returncode, ended.stderr) == (1, b"")


def test_an_erased_person_is_gone_and_the_chain_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Erasure destroys the key of what is personal, in every file of the world; the entries stay and are sound."""
    file = tmp_path / "world.db"
    with closing(World(file=file)) as world:
        gone, stays = world.profiles.add("Иванова"), world.profiles.add("Петров")
        for person in (gone, stays):
            with world.work() as work:
                work.journal.record(work, "charges.pay", actor=person.id, profile_id=person.id, sender="192.0.2.7")
        kept = world.database.one("SELECT key FROM audit_keys WHERE person = ?", (gone.id,))
        assert kept is not None

        world.audit.erase(gone.id)

        senders = [(entry.actor, entry.sender) for entry in by_others(world)]
        assert senders == [(gone.id, None), (stays.id, "192.0.2.7"), (None, None)]
        assert world.audit.check() is None
        files = [path for path in tmp_path.iterdir() if path.name in {"world.db", "world.db-wal"}]
        assert files
        assert not any(kept["key"] in path.read_bytes() for path in files)
        assert not any(b"192.0.2.7" in path.read_bytes() for path in files)
    assert main(["audit", "verify", str(file)]) == 0
    assert "5 entries" in capsys.readouterr().out


def test_who_reads_keeps_the_key_of_an_erased_person(tmp_path: Path) -> None:
    """While another reads the file the log keeps the key: that is said, and erasing again after it leaves nothing."""
    file = tmp_path / "world.db"
    with closing(World(file=file)) as world:
        gone = world.profiles.add("Иванова")
        with world.work() as work:
            work.journal.record(work, "charges.pay", actor=gone.id, profile_id=gone.id, sender="192.0.2.7")
        kept = world.database.one("SELECT key FROM audit_keys WHERE person = ?", (gone.id,))
        assert kept is not None

        def has_key() -> bool:
            return any(kept["key"] in path.read_bytes() for path in tmp_path.iterdir() if path.name != "world.db-shm")

        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM audit_keys").fetchall()
            with pytest.raises(RuntimeError, match="erase again"):
                world.audit.erase(gone.id)
            assert has_key()
        world.audit.erase(gone.id)

        assert not has_key()
        assert world.audit.check() is None


CONTROLS: dict[str, Callable[[World, Profile, Charge, Payment], object]] = {
    "profiles.add": lambda world, _, __, ___: world.profiles.add("Петров"),
    "charges.add": lambda world, person, _, __: world.charges.add(person, Money("1.00")),
    "charges.script": lambda world, _, __, ___: world.charges.script(Outcome.DECLINE),
    "charges.script_refunds": lambda world, _, __, ___: world.charges.script_refunds(Outcome.HOLD),
    "charges.confirm": lambda world, _, __, payment: world.charges.confirm(payment.id),
    "charges.decline": lambda world, _, __, payment: world.charges.decline(payment.id),
    "charges.credit": lambda world, person, charge, _: world.charges.credit(person, charge, Money("1.00")),
    "charges.receive_transfer": lambda world, person, _, __: world.charges.receive_transfer(
        person.inn, Money("1.00"), purpose="x"
    ),
    "charges.request_refund": lambda world, person, charge, _: refund_of(world, person, charge),
    "charges.choose_card": lambda world, person, charge, _: world.charges.choose_card(
        refund_of(world, person, charge).id
    ),
    "charges.order_refund": lambda world, person, charge, _: world.charges.order_refund(
        world.charges.choose_card(refund_of(world, person, charge).id).id
    ),
    "charges.complete_refund": lambda world, person, charge, _: world.charges.complete_refund(
        world.charges.choose_card(refund_of(world, person, charge).id).id
    ),
    "charges.refuse_refund": lambda world, person, charge, _: world.charges.refuse_refund(
        world.charges.choose_card(refund_of(world, person, charge).id).id
    ),
}
READING = {"profiles.all", "profiles.get", "charges.check_books"}


def refund_of(world: World, person: Profile, charge: Charge) -> Refund:
    """Overpay a charge, and ask for the money back."""
    world.charges.credit(person, charge, Money("20.00"))
    return world.charges.request_refund(person, charge, RefundMethod.BANK_CARD)


def test_every_control_has_its_case() -> None:
    """The table above and the controls of a world are the same."""
    controls = {
        f"{name}.{each}"
        for name, kind in (("profiles", ProfilesControl), ("charges", ChargesControl))
        for each in vars(kind)
        if not each.startswith("_")
    }

    assert controls == {*CONTROLS, *READING}


@pytest.mark.parametrize("control", CONTROLS)
def test_77_what_a_control_did_is_taken_down(world: World, person: Profile, control: str) -> None:
    """Each control leaves an entry in the transaction of its effect: who sees the one sees the other."""
    charge = world.charges.add(person, Money("10.00"))
    with connect(world, person) as cabinet:
        payment = cabinet.charges.pay(charge.id, method=PaymentMethod.SBP, amount=Money("5.00"))
    before = world.audit.anchor().number

    CONTROLS[control](world, person, charge, payment)

    last = world.audit.entries()[-1]
    assert last.number > before
    assert (last.action, last.outcome, last.actor) == (f"sandbox.{control}", "done", None)
    assert (last.profile_id is None) == (control in {"charges.script", "charges.script_refunds"}), last
    assert world.audit.check() is None


def test_77_a_control_that_is_refused_leaves_nothing(world: World, person: Profile) -> None:
    """What did not happen is no entry, and where the entry cannot be written nothing happens."""
    charge = world.charges.add(person, Money("10.00"))
    anchor, untouched = world.audit.anchor(), kept(world)
    with pytest.raises(ValueError, match="no pending payment"):
        world.charges.confirm(PaymentId("pay_none"))
    with world.work() as work:
        work.database.execute(
            "CREATE TEMP TRIGGER full BEFORE INSERT ON audit_entries BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    with pytest.raises(sqlite3.IntegrityError, match="full"):
        world.charges.credit(person, charge, Money("1.00"))

    assert (world.audit.anchor(), kept(world)) == (anchor, untouched)


def test_a_made_up_world_is_one_entry() -> None:
    """Hundreds of charges are seeded as one act, and the next one is an entry again."""
    with closing(World.seeded()) as world:
        assert [entry.action for entry in world.audit.entries()] == ["sandbox.seed"]
        world.profiles.add("Иванова")
        assert [entry.action for entry in world.audit.entries()] == ["sandbox.seed", "sandbox.profiles.add"]
        assert world.audit.check() is None


def test_the_console_takes_down_clock_and_faults(world: World, person: Profile) -> None:
    """What somebody did by the forms of the console is an entry, also where it changed no data."""
    with serve(world) as url, httpx.Client(base_url=url.removesuffix("/v1"), trust_env=False, timeout=60) as console:
        for address, form in {
            "/clock": {"number": "1", "unit": "days"},
            "/faults": {"operation": "charges.pay", "kind": "lose answer", "times": "1"},
            "/faults/clear": {},
            f"/profiles/{person.id}/charges": {"kind": "fine", "amount": "1", "purpose": "x"},
        }.items():
            assert console.post(address, data=form).status_code == 303, address
        refused = console.post("/clock", data={"number": "0", "unit": "days"})

    assert refused.status_code == 422
    assert [entry.action for entry in world.audit.entries()][1:] == [
        *("sandbox.clock.advance", "sandbox.faults.lose_answer", "sandbox.faults.clear", "sandbox.charges.add")
    ]
    assert {(entry.actor, entry.sender) for entry in world.audit.entries()[1:]} == {("console", "127.0.0.1")}
