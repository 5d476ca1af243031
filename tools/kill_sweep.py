"""
Kill a program at each of its writes to the disk, and look at what it left: ``python tools/kill_sweep.py``.

A write is a system call that changes a file or says that it is changed for good; strace sends SIGKILL when it begins.
The programs: ``pay`` opens a world in a file and pays two charges; ``make`` makes a new file; ``open`` opens a file of
the first version, which brings it up to date; ``seed`` fills a new file; ``pay-encrypted`` pays in an encrypted world;
``encrypt`` puts a world under a key.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import final

import attrs

from cabinet_sdk.charges import PaymentMethod
from cabinet_sdk.types import Money
from reference_server import DatabaseRefused, World
from reference_server.encryption import rewrite
from reference_server.testing import connect
from tools.nightly import SKIPPED

__all__ = ["PROGRAMS", "KillReport", "expect", "expect_sound_journal", "kill_sweep", "whole_payments"]

# What changes a file, or says that it is changed for good.
_WRITES = "pwrite64,write,fdatasync,fsync,ftruncate,rename,unlink"
_PAYMENTS = 2
_KEY = bytes(range(32))


@final
@attrs.frozen(kw_only=True)
class KillReport:
    """
    What came of killing a program at its writes.

    Attributes:
        program: Which.
        kills: How often it was killed.
        acknowledged: What it had been told done before, over all kills.
    """

    program: str
    kills: int
    acknowledged: int


def _pay(file: Path, *, key: bytes | None = None) -> None:
    """Pay charges under fixed keys, and say so after each answer."""
    with closing(World(file=file, key=key)) as world:
        person = world.profiles.all()[0]
        with connect(world, person) as cabinet:
            for number, charge in enumerate(sorted(cabinet.charges.list(), key=lambda each: each.id)):
                view = cabinet.with_options(idempotency_key=f"key-{number}")
                payment = view.charges.pay(charge.id, method=PaymentMethod.BANK_TRANSFER)
                print(payment.id, flush=True)


def _open(file: Path) -> None:
    """Open a file, which makes a new one and brings an old one up to date."""
    World(file=file).close()
    print("opened", flush=True)


def _seed(file: Path) -> None:
    """Make a file with a believable world."""
    World.seeded(file=file).close()
    print("seeded", flush=True)


def _encrypt(file: Path) -> None:
    """Put a file in clear under a key."""
    rewrite(file, None, _KEY)
    print("encrypted", flush=True)


def _prepare_pay(file: Path, *, key: bytes | None = None) -> None:
    with closing(World(file=file, key=key)) as world:
        person = world.profiles.add("Иванова")
        for _ in range(_PAYMENTS):
            world.charges.add(person, Money("10.00"))


def _prepare_open(file: Path) -> None:
    schema = Path(__file__).parents[1] / "tests" / "server" / "schemas" / "version_1.sql"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(schema.read_text(encoding="utf-8"))
        connection.executescript(
            "PRAGMA application_id = 1130455635; PRAGMA user_version = 1; PRAGMA journal_mode = WAL"
        )
        connection.execute("INSERT INTO settings VALUES ('kept', 'yes')")
        connection.commit()


def _check_pay(file: Path, acknowledged: Sequence[str], *, key: bytes | None = None) -> None:
    """Look for all that was acknowledged, each effect with its key and its entry; a retry ends as exactly one."""
    with closing(World(file=file, key=key)) as world:
        whole = whole_payments(world)
        expect(set(acknowledged) <= whole, f"acknowledged {acknowledged}, kept {whole}")
        person = world.profiles.all()[0]
        with connect(world, person) as cabinet:
            for number, charge in enumerate(sorted(cabinet.charges.list(), key=lambda each: each.id)):
                view = cabinet.with_options(idempotency_key=f"key-{number}")
                view.charges.pay(charge.id, method=PaymentMethod.BANK_TRANSFER)
        expect(len(whole_payments(world)) == _PAYMENTS, "a retry did not end as exactly one payment")
        world.charges.check_books()
        expect(world.audit.check() is None, "the journal is not as it was written")
    if key is None:
        expect_sound_journal(file)


def _check_encrypt(file: Path, acknowledged: Sequence[str]) -> None:
    """Look for the old file or the new one, whole; it is the new one once that was said."""
    encrypted = not file.read_bytes().startswith(b"SQLite format 3")
    expect(encrypted or not acknowledged, "what was encrypted is in clear")
    _check_pay(file, (), key=_KEY if encrypted else None)


def whole_payments(world: World) -> set[str]:
    """
    Return the ids of all payments in a world.

    Raises:
        AssertionError: One has no idempotency key or not one entry in the journal, or there is one of those too many.
    """
    payments = {row["id"] for row in world.database.all("SELECT id FROM payments")}
    keys = {row["location"].rpartition("/")[2] for row in world.database.all("SELECT location FROM idempotency_keys")}
    paid = [entry.subject for entry in world.audit.entries() if entry.action == "charges.pay"]
    told = {(subject or "").rpartition("/")[2] for subject in paid}
    expect(payments == keys == told, f"payments {payments}, keys {keys}, journal {told}")
    expect(len(paid) == len(told), f"a payment has two entries: {paid}")
    return payments


def _check_make(file: Path, _: Sequence[str]) -> None:
    """Start once more: whatever is there of the file, it can be served."""
    World(file=file).close()
    expect_sound_journal(file)


def _check_open(file: Path, _: Sequence[str]) -> None:
    """Start once more: the file is brought up to date, with what was in it."""
    with closing(World(file=file)) as world:
        kept = world.database.one("SELECT value FROM settings WHERE name = 'kept'")
        expect(kept is not None and kept["value"] == "yes", "the migration lost what was there")
    expect_sound_journal(file)


def _check_seed(file: Path, _: Sequence[str]) -> None:
    """Start once more: nothing is there, or all of it."""
    with closing(World.seeded(file=file)) as world:
        expect(len(world.profiles.all()) == 7, "the world is half seeded")
        world.charges.check_books()


def expect_sound_journal(file: Path) -> None:
    """Run the verifier over the journal of a file."""
    command = [sys.executable, "-m", "reference_server", "audit", "verify", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own program
    expect(done.returncode == 0, done.stdout + done.stderr)


_Program = tuple[Callable[[Path], None], Callable[[Path], None], Callable[[Path, Sequence[str]], None]]

PROGRAMS: dict[str, _Program] = {
    "pay": (_pay, _prepare_pay, _check_pay),
    "make": (_open, lambda _: None, _check_make),
    "open": (_open, _prepare_open, _check_open),
    "seed": (_seed, lambda _: None, _check_seed),
    "pay-encrypted": (partial(_pay, key=_KEY), partial(_prepare_pay, key=_KEY), partial(_check_pay, key=_KEY)),
    "encrypt": (_encrypt, _prepare_pay, _check_encrypt),
}

# Seeding writes a thousand times, much the same each time.
_STRIDES = {"seed": 10}


def kill_sweep(program: str, folder: Path, *, first: int = 1, every: int = 1, most: int | None = None) -> KillReport:
    """
    Kill a program with SIGKILL at a write, look at what it left, and go on to the next write until it ends by itself.

    Args:
        program: Which of `PROGRAMS`.
        folder: An empty folder to work in.
        first: The write to begin with.
        every: How many writes to go on by.
        most: At most so many kills; as many as there are writes where it is left out.

    Raises:
        AssertionError: Something was lost, or is there by half.
    """
    _, prepare, check = PROGRAMS[program]
    template, trial, log = folder / "template", folder / "trial", folder / "log"
    template.mkdir()
    prepare(template / "world.db")
    shutil.copytree(template, trial)
    _run(program, trial / "world.db", "-o", str(log))
    shutil.rmtree(trial)
    # strace counts each kind of call for itself: a place among all writes is one among those of its kind.
    calls = [line.partition("(")[0] for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    points = [(call, calls[: place + 1].count(call)) for place, call in enumerate(calls)][first - 1 :: every][:most]
    kills = acknowledged = 0
    for call, number in points:
        shutil.copytree(template, trial)
        inject = f"inject={call}:signal=KILL:when={number}"
        done = _run(program, trial / "world.db", "-o", os.devnull, "-e", inject)
        told = done.stdout.split()
        try:
            check(trial / "world.db", told)
        except (AssertionError, DatabaseRefused) as error:
            msg = f"{program} killed at {call} {number}: {error}"
            raise AssertionError(msg) from error
        shutil.rmtree(trial)
        if done.returncode == 0:
            break
        expect(done.returncode in {-signal.SIGKILL, 128 + signal.SIGKILL}, done.stderr)
        kills += 1
        acknowledged += len(told)
    return KillReport(program=program, kills=kills, acknowledged=acknowledged)


def _run(program: str, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    tracer = ["strace", "-qq", "-e", "signal=none", "-e", f"trace={_WRITES}", *options]
    command = [*tracer, sys.executable, __file__, "--program", program, str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own


def expect(truth: bool, otherwise: str) -> None:  # noqa: FBT001  # like assert, which optimised Python leaves out
    """Raise `AssertionError` unless something is true."""
    if not truth:
        raise AssertionError(otherwise)


def main(arguments: Sequence[str] | None = None) -> int:
    """Sweep every program, or be one of them; return the exit code."""
    parser = argparse.ArgumentParser(description="Kill a program at each of its writes, and look at what it left.")
    parser.add_argument("--every", type=int, help="of the writes, how many to go on by (default: 1; seeding 10)")
    parser.add_argument("--program", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.program is not None:
        PROGRAMS[options.program[0]][0](Path(options.program[1]))
        return 0
    if shutil.which("strace") is None:
        print("kills: skipped, strace is not installed")
        return SKIPPED
    for program in PROGRAMS:
        with tempfile.TemporaryDirectory() as folder:
            report = kill_sweep(program, Path(folder), every=options.every or _STRIDES.get(program, 1))
        print(
            f"kills: {program}: {report.kills} kills, {report.acknowledged} acknowledged before, none lost", flush=True
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
