"""A world's file under a key: nothing in it can be read, and whatever does not fit says what was expected."""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cabinet_sdk._core.sqlite_files import connect as connect_file
from cabinet_sdk.charges import ChargeId
from cabinet_sdk.types import Money
from reference_server import DatabaseRefused, Profile, World
from reference_server.__main__ import main
from reference_server.encryption import read_key
from reference_server.testing import connect
from tests.leaks import Canaries
from tests.server.raw import Raw, document

pytestmark = pytest.mark.feature("SE-02", "SE-05")

ROOT = Path(__file__).parents[2]

PAGE = 4096

NAME = "Канарейкина Пелагея Ивановна"


@pytest.fixture
def key(canaries: Canaries) -> bytes:
    """A key, which nobody may say."""
    made = secrets.token_bytes(32)
    canaries.watch(made.hex(), made, made.hex().upper())
    return made


@pytest.fixture
def key_file(tmp_path: Path, key: bytes) -> Path:
    """The file where that key is kept."""
    return kept(tmp_path / "world.key", key)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a world is to be, alone in a folder."""
    folder = tmp_path / "worlds"
    folder.mkdir()
    return folder / "world.db"


@pytest.fixture
def world(file: Path, key: bytes) -> Iterator[World]:
    """An encrypted world in that file."""
    with closing(World(file=file, key=key)) as world:
        yield world


def kept(key_file: Path, key: bytes) -> Path:
    """Keep a key in a file as a person would."""
    key_file.write_text(f"{key.hex()}\n", encoding="ascii")
    key_file.chmod(0o600)
    return key_file


def names_in(file: Path) -> list[str]:
    """Return who is in a world that is in clear."""
    with closing(World(file=file)) as world:
        return [profile.name for profile in world.profiles.all()]


def test_a_world_is_there_again_under_its_key(file: Path, key: bytes) -> None:
    """What is paid in an encrypted world is paid after it was opened anew, and its journal is sound."""
    with closing(World(file=file, key=key)) as world:
        person = world.profiles.add(NAME)
        charge = world.charges.add(person, Money("10.00"))
        assert (
            Raw(world, person).send("POST", f"/charges/{charge.id}/payments", {"method": "sbp"}, key="k").status == 201
        )
    with closing(World(file=file, key=key)) as world:
        [again] = world.profiles.all()
        answer = Raw(world, again).send("POST", f"/charges/{charge.id}/payments", {"method": "sbp"}, key="k")
        assert (answer.status, answer.headers["idempotency-replayed"]) == (201, "true")
        assert again == person
        world.charges.check_books()
        assert world.audit.check() is None


def test_a_seeded_world_of_a_file_may_be_encrypted(file: Path, key: bytes) -> None:
    """The made-up people are found under the key too."""
    with closing(World.seeded(file=file, key=key)) as world:
        people = world.profiles.all()
    with closing(World.seeded(file=file, key=key)) as world:
        assert world.profiles.all() == people != []


def test_a_copy_opens_with_the_key_only(file: Path, world: World, key: bytes, tmp_path: Path) -> None:
    """A backup is encrypted as the file is, and is the world for whoever has the key."""
    world.profiles.add(NAME)
    world.close()
    copy = tmp_path / "copy.db"
    copy.write_bytes(file.read_bytes())
    with pytest.raises(DatabaseRefused, match="needs its key"):
        World(file=copy)
    with closing(World(file=copy, key=key)) as restored:
        assert [profile.name for profile in restored.profiles.all()] == [NAME]


def test_what_does_not_fit_says_what_was_expected(file: Path, key: bytes) -> None:
    """Another key, no key, a key for a file in clear, and for none: each its own sentence, and no key in it."""
    World(file=file, key=key).close()
    clear = file.with_name("clear.db")
    World(file=clear).close()
    letter = file.with_name("letter.db")
    letter.write_bytes(b"a letter to my grandmother, rather long" * 500)
    other = secrets.token_bytes(32)
    before = {path: path.read_bytes() for path in (file, clear, letter)}
    told: list[str] = []
    for where, which in ((file, other), (file, None), (clear, key), (letter, key), (letter, None)):
        with pytest.raises(DatabaseRefused) as caught:
            World(file=where, key=which)
        told.append("\n".join([str(caught.value), *traceback.format_exception(caught.value)]))
    with pytest.raises(ValueError, match="a key has 32 bytes, not 31"):
        World(file=file, key=key[1:])
    for make in (World, World.seeded):
        with pytest.raises(ValueError, match="a world in memory has none"):
            make(key=key)

    words = [
        "key is not the one",
        "encrypted and needs its key",
        "not encrypted; open it without",
        "no database",
        "not an SQLite",
    ]
    assert [word in text for word, text in zip(words, told, strict=True)] == [True] * 5
    assert all(str(where) in text for where, text in zip((file, file, clear, letter, letter), told, strict=True))
    assert not any(each in "".join(told) for each in (key.hex(), repr(key), other.hex(), repr(other)))
    assert {path: path.read_bytes() for path in before} == before
    World(file=file, key=key).close()


def test_the_key_is_in_no_trace_of_statements(world: World, key: bytes) -> None:
    """What traces the statements of an open world never sees its key; nor does a repr."""
    said: list[str] = []
    connection = world.database._connection  # pyright: ignore[reportPrivateUsage]  # what a debugger would trace
    connection.set_trace_callback(said.append)
    world.profiles.add(NAME)

    assert any(NAME in each for each in said)
    said += [repr(vars(world)), repr(vars(world.database)), repr(connection)]
    assert key.hex() not in "".join(said)
    assert repr(key) not in "".join(said)


def test_errors_are_those_of_the_standard_library(world: World) -> None:
    """Whoever catches errors of `sqlite3` catches those of an encrypted file, with their codes, also of reading on."""
    database = world.database
    with pytest.raises(sqlite3.OperationalError, match="syntax") as wrong:
        database.all("SELEKT")
    database.execute("INSERT INTO settings VALUES ('twice', '')")
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE") as twice:
        database.execute("INSERT INTO settings VALUES ('twice', '')")
    overflow = "WITH n(x) AS (VALUES (1), (-9223372036854775808)) SELECT abs(x) FROM n"
    with pytest.raises(sqlite3.OperationalError, match="overflow"):
        list(database.each(overflow))
    with pytest.raises(sqlite3.OperationalError, match="overflow"):
        database.all(overflow)

    assert (wrong.value.sqlite_errorcode, wrong.value.sqlite_errorname) == (sqlite3.SQLITE_ERROR, "SQLITE_ERROR")
    assert twice.value.sqlite_errorname == "SQLITE_CONSTRAINT_PRIMARYKEY"


def test_what_is_erased_is_not_in_the_log_either(file: Path, world: World) -> None:
    """Erasing a person empties the log of an encrypted file too."""
    person = world.profiles.add(NAME)
    log = file.with_name(f"{file.name}-wal")
    assert log.stat().st_size > 0
    world.audit.erase(person.id)
    assert log.stat().st_size == 0


FULL = """
import resource, sys
from pathlib import Path
from cabinet_sdk.types import Money
from reference_server import World
from tests.server.raw import Raw

world = World(file=Path(sys.argv[1]), key=bytes(32))
person = world.profiles.add("Иванова")
charge = world.charges.add(person, Money("10.00"))
raw = Raw(world, person)
raw.send("GET", "/charges")
pay = lambda: raw.send("POST", f"/charges/{charge.id}/payments", {"method": "sbp"}, key="k")
was = resource.getrlimit(resource.RLIMIT_FSIZE)
# Room for the anchor beside the file, and none for its log.
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, was[1]))
refused, read = pay(), raw.send("GET", f"/charges/{charge.id}")
resource.setrlimit(resource.RLIMIT_FSIZE, was)
print(refused.status, read.status, pay().status)
world.close()
"""


@pytest.mark.skipif(os.name != "posix", reason="the system has no such limit")
def test_66_a_full_disk_under_an_encrypted_file(file: Path) -> None:
    """A real write that fails is 503 here too, reads go on, and with room again all is well."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(file)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.stdout == "503 200 201\n", done.stderr


@pytest.fixture
def charge(world: World) -> ChargeId:
    """One of twenty charges in that world."""
    person = world.profiles.add(NAME)
    charges = [world.charges.add(person, Money("10.00")) for _ in range(20)]
    return charges[-1].id


@pytest.mark.usefixtures("charge")
def test_one_bit_that_was_changed_is_found_in_any_page(file: Path, world: World, key: bytes) -> None:
    """A bit that flips anywhere in the file is an error of who reads that page, and never other data."""
    world.close()
    whole = file.read_bytes()
    found: list[str] = []
    for page in range(len(whole) // PAGE):
        file.write_bytes(changed(whole, page))
        try:
            with closing(connect_file(file, key, timeout=0)) as connection:
                connection.execute("PRAGMA integrity_check").fetchall()
                for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
                    connection.execute(f"SELECT * FROM {row['name']}").fetchall()
        except sqlite3.DatabaseError as error:
            found.append(error.sqlite_errorname)

    assert len(found) == len(whole) // PAGE
    assert set(found) == {"SQLITE_NOTADB", "SQLITE_CORRUPT"}


def test_what_was_changed_is_a_fault_and_no_answer(
    file: Path, world: World, key: bytes, charge: ChargeId, capfd: pytest.CaptureFixture[str]
) -> None:
    """A request that meets a changed page is answered with 500; others go on, and stderr is left alone."""
    [person] = world.profiles.all()
    world.close()
    with closing(connect_file(file, key, timeout=0)) as connection:
        root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'charge_events'").fetchone()[0]
    file.write_bytes(changed(file.read_bytes(), root - 1))
    with closing(World(file=file, key=key)) as damaged:
        raw = Raw(damaged, person)
        assert raw.send("GET", f"/charges/{charge}").status == 200
        answer = raw.send("GET", f"/charges/{charge}/history")

    assert (answer.status, document(answer)["code"]) == (500, "service.internal_error")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "table, command",
    [("settings", ["--db", "{file}"]), ("audit_entries", ["audit", "verify", "{file}"])],
)
def test_a_command_that_meets_what_was_changed_says_so(
    file: Path, key_file: Path, capsys: pytest.CaptureFixture[str], table: str, command: list[str]
) -> None:
    """A start, and the verifier of the journal, name the damaged file instead of a traceback."""
    World(file=file, key=read_key(key_file)).close()
    with closing(connect_file(file, read_key(key_file), timeout=0)) as connection:
        root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]
    file.write_bytes(changed(file.read_bytes(), root - 1))
    assert run(*(each.format(file=file) for each in command), "--key-file", key_file) == 1
    assert f"{file} is damaged" in capsys.readouterr().err


def changed(content: bytes, page: int) -> bytes:
    """Return the content of a file with one bit of a page changed."""
    place = page * PAGE + 1000
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def run(*arguments: object) -> int:
    """Run the command; return its exit code."""
    try:
        return main([str(each) for each in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


def test_a_key_is_made_once_and_for_its_owner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`key new` makes 64 hex digits that nobody else may read, different each time, and overwrites nothing."""
    one, other = tmp_path / "one.key", tmp_path / "other.key"
    assert (run("key", "new", one), run("key", "new", other)) == (0, 0)
    content = one.read_text(encoding="ascii")
    assert run("key", "new", one) == 1
    assert "never overwritten" in capsys.readouterr().err
    assert one.read_text(encoding="ascii") == content != other.read_text(encoding="ascii")
    assert len(bytes.fromhex(content)) == 32
    if os.name == "posix":
        assert stat.S_IMODE(one.stat().st_mode) == 0o600
    assert run("key", "new", tmp_path / "missing" / "a.key") == 1
    assert "cannot be written: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content, told",
    [
        (None, "cannot be read: No such file"),
        (b"", "expected 64 hex digits, got 0 bytes"),
        (b"00" * 31, "expected 64 hex digits, got 62 bytes"),
        (b"0g" * 32, "expected 64 hex digits, got 64 bytes"),
        (bytes(32), "expected 64 hex digits, got 32 bytes"),
    ],
)
def test_a_key_file_that_holds_none_is_refused(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, told: str
) -> None:
    """A key file that is missing, short or something else is named, with what was expected, and nothing is made."""
    key_file = tmp_path / "a.key"
    if content is not None:
        key_file.write_bytes(content)
        key_file.chmod(0o600)
    assert run("--db", file, "--key-file", key_file) == 2
    assert f"argument --key-file: the key file {key_file}" in (said := capsys.readouterr().err)
    assert told in said
    assert not file.exists()


@pytest.mark.skipif(os.name != "posix", reason="the system has no such modes")
@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_file_that_others_read_is_refused(
    file: Path, key_file: Path, capsys: pytest.CaptureFixture[str], mode: int
) -> None:
    """A key that the group or everybody may read is no key; what to do is said."""
    key_file.chmod(mode)
    assert run("--db", file, "--key-file", key_file) == 2
    assert f"chmod 600 {key_file}" in capsys.readouterr().err


def test_a_key_without_a_file_is_refused(key_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A world in memory has nothing to encrypt."""
    assert run("--key-file", key_file) == 2
    assert "--db" in capsys.readouterr().err


def test_the_journal_of_an_encrypted_file_is_verified_with_its_key(
    file: Path, world: World, key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`audit verify` and `audit anchor` take the key too, also while the world is open, and say where it is missing."""
    world.profiles.add(NAME)
    assert run("audit", "verify", file, "--key-file", key_file) == 0
    assert "1 entries, each as it was written" in capsys.readouterr().out
    assert run("audit", "anchor", file, "--key-file", key_file) == 0
    assert capsys.readouterr().out.strip() == str(world.audit.anchor())
    assert run("--key-file", key_file, "audit", "verify", file) == 0
    capsys.readouterr()
    world.close()
    assert run("audit", "verify", file) == 1
    assert "needs its key" in capsys.readouterr().err


def test_a_file_is_encrypted_gets_another_key_and_is_put_in_clear(
    tmp_path: Path, file: Path, key: bytes, key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each way round the world stays what it was, its journal and its version included, and only one key opens it."""
    new_file = kept(tmp_path / "new.key", secrets.token_bytes(32))
    with closing(World.seeded(file=file)) as world:
        person = world.profiles.all()[0]
        anchor = world.audit.anchor()
        with connect(world, person) as cabinet:
            charges = list(cabinet.charges.list())
    if os.name == "posix":
        file.chmod(0o640)

    assert run("key", "encrypt", file, "--key-file", key_file) == 0
    assert not readable(file, person)
    with closing(World(file=file, key=key)) as world, connect(world, person) as cabinet:
        assert list(cabinet.charges.list()) == charges
        assert world.audit.check(anchor) is None
        world.charges.check_books()
    assert run("key", "change", file, "--key-file", key_file, "--new-key-file", new_file) == 0
    assert run("audit", "verify", file, "--key-file", key_file) == 1
    assert run("audit", "verify", file, "--key-file", new_file) == 0
    assert run("key", "decrypt", file, "--key-file", key_file) == 1
    assert "stays as it was" in capsys.readouterr().err
    assert run("key", "decrypt", file, "--key-file", new_file) == 0

    assert person.name in names_in(file)
    assert {path.name.removeprefix("world.db") for path in file.parent.iterdir()} == {"", "-owner", "-anchor"}
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o640


def readable(file: Path, person: Profile) -> bool:
    """Say whether somebody is to be read in a world's files."""
    written = b"".join(path.read_bytes() for path in file.parent.iterdir())
    return person.name.encode() in written or str(person.inn).encode() in written


READ = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN")
connection.execute("SELECT count(*) FROM profiles").fetchone()
print("reading", flush=True)
sys.stdin.read()
connection.close()
"""


def test_a_file_that_somebody_has_is_not_rewritten(
    file: Path, key_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is served, read by another program, missing or another program's stays as it is, byte by byte."""
    with closing(World(file=file)):
        assert run("key", "encrypt", file, "--key-file", key_file) == 1
        assert "served by another process" in capsys.readouterr().err
    command = [sys.executable, "-c", READ, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
        assert run("key", "encrypt", file, "--key-file", key_file) == 1
        assert "another program has locked it" in capsys.readouterr().err
        reader.communicate()
    assert run("key", "encrypt", tmp_path / "none.db", "--key-file", key_file) == 1
    assert "is not there" in capsys.readouterr().err
    foreign = tmp_path / "foreign.db"
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE theirs (id)")
    before = foreign.read_bytes()
    assert run("key", "encrypt", foreign, "--key-file", key_file) == 1
    assert "another program" in capsys.readouterr().err
    assert foreign.read_bytes() == before
    assert names_in(file) == []


WITHOUT = """
import sys
sys.modules["sqlcipher3"] = None
from pathlib import Path
from cabinet_sdk import SqliteJournal
from cabinet_sdk.errors import JournalFailed
from reference_server import DatabaseRefused, World
from reference_server.__main__ import main
from reference_server.encryption import read_key
file = Path(sys.argv[1])
World(file=file).close()
SqliteJournal(file.with_name("journal")).close()
for make in (lambda: World(file=file, key=bytes(32)), lambda: SqliteJournal(file.with_name("journal"), key=bytes(32))):
    try:
        make()
    except (DatabaseRefused, JournalFailed) as error:
        assert "pip install 'cabinet-sdk[encryption]'" in str(error), error
    else:
        raise AssertionError
sys.exit(main(["key", "encrypt", sys.argv[1], "--key-file", sys.argv[2]]))
"""


def test_without_the_extra_a_key_says_what_to_install(file: Path, key_file: Path) -> None:
    """All works without a key; with one, the command that installs what is missing is named."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(file), str(key_file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "pip install 'cabinet-sdk[encryption]'" in done.stderr
    assert "Traceback" not in done.stderr
