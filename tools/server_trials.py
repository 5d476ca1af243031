"""
Trials of the reference server that take long; each prints its figures in one line.

    python tools/server_trials.py stops [--times N]      SIGTERM under load
    python tools/server_trials.py soak [--requests N]    memory, descriptors, threads and log over many requests
    python tools/server_trials.py slow [--connections N] [--seconds N]    clients that never end or never read
    python tools/server_trials.py full                   a disk of 8 MB
    python tools/server_trials.py large [--megabytes N]  a file of 1 GB up: memory of both sides, and early refusals

`slow` needs slowhttptest, `full` needs to be root.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.client
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, final

from cabinet_sdk import Cabinet
from cabinet_sdk.charges import PaymentMethod
from cabinet_sdk.errors import CabinetError, Problem, RequestTooLarge
from cabinet_sdk.types import File, Money
from reference_server import Profile, World
from reference_server.serve import WorldServer, listen
from reference_server.testing import credentials
from tests.core.sample_area import MAX_BYTES, Samples, sample_world
from tests.server.raw import token_for
from tools.kill_sweep import expect, expect_sound_journal, whole_payments
from tools.nightly import SKIPPED

__all__ = ["stop_under_load"]


@contextlib.contextmanager
def _server(*arguments: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    """Run a server; the value is the process and its base URL."""
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)  # noqa: S603  # ours
    try:
        line = "" if process.stdout is None else process.stdout.readline()
        expect(line.startswith("Serving on "), f"the server said {line!r}")
        yield process, f"{line.removeprefix('Serving on ').strip()}/v1"
    finally:
        process.kill()
        process.communicate()


def stop_under_load(folder: Path, *, after: float, threads: int = 8) -> tuple[int, int]:
    """
    Stop a server with SIGTERM while many pay; return how many payments were acknowledged and how many requests cut.

    Raises:
        AssertionError: The exit code is not 0, an acknowledged payment is lost, or an answer was a fault of the server.
    """
    file = folder / "world.db"
    with closing(World(file=file)) as world:
        people = [world.profiles.add(f"Плательщик {number}") for number in range(threads)]
        charges = {person.id: [world.charges.add(person, Money("1.00")) for _ in range(200)] for person in people}
        who = {person.id: credentials(world, person) for person in people}
    acknowledged: list[str] = []
    cut: Counter[str] = Counter()

    def pay(person: Profile, url: str) -> None:
        with Cabinet(url, who[person.id], deadline=1.0) as cabinet:
            for charge in charges[person.id]:
                try:
                    acknowledged.append(cabinet.charges.pay(charge.id, method=PaymentMethod.BANK_TRANSFER).id)
                except CabinetError as error:
                    cut[_answered(error)] += 1
                    return

    with _server("-m", "reference_server", "--port", "0", "--db", str(file)) as (process, url):
        payers = [threading.Thread(target=pay, args=(person, url)) for person in people]
        for payer in payers:
            payer.start()
        time.sleep(after)
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=30)
        for payer in payers:
            payer.join()
    expect(code == 0, f"exit code {code}")
    expect(set(cut) <= {"nothing"}, f"answers were {cut}")
    with closing(World(file=file)) as world:
        kept = whole_payments(world)
        expect(set(acknowledged) <= kept, "an acknowledged payment is lost")
        world.charges.check_books()
    expect_sound_journal(file)
    return len(acknowledged), cut.total()


def _answered(error: BaseException | None) -> str:
    """Return the code of the problem that a call got at last, ``nothing`` where no answer came."""
    while error is not None:
        if isinstance(error, Problem):
            return error.code
        error = error.__cause__
    return "nothing"


def _serve(file: Path, *, samples: bool = False) -> None:
    """Serve a file without a rate limit; with the area of the tests whose operations move files, where it is asked."""
    # Like the command itself: being told to stop is a good end.
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    with closing(World(file=file)) as world:
        if samples:
            sample_world(world)
        server = WorldServer(world, listen("127.0.0.1", 0), ready=lambda url: print(f"Serving on {url}", flush=True))
        server.serve_forever()


@final
class _Caller:
    """One connection that asks as fast as it is answered."""

    def __init__(self, url: str, token: str) -> None:
        self._connection = http.client.HTTPConnection(url.split("/")[2], timeout=60)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: object = None, key: str | None = None) -> tuple[int, Any]:  # Any: JSON
        headers = self._headers | ({} if key is None else {"Idempotency-Key": key})
        content = None if body is None else json.dumps(body)
        self._connection.request(method, f"/v1{path}", body=content, headers=headers)
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())


def _soak(requests: int, folder: Path) -> str:
    """Ask a server on a file, one request in ten a payment, and look at its process now and then."""
    file = folder / "world.db"
    with closing(World(file=file)) as world:
        person = world.profiles.add("Иванова")
        charges = [world.charges.add(person, Money("100000.00")).id for _ in range(100)]
    rounds, callers = 20, 4
    with closing(World(file=file)) as world:
        token = token_for(world, person)
    samples: list[tuple[int, int, int, int, int]] = []
    started = time.monotonic()
    with _server(__file__, "serve", str(file)) as (process, url):

        def call(number: int) -> None:
            caller = _Caller(url, token)
            for turn in range(requests // rounds // callers):
                charge = charges[(number + turn) % len(charges)]
                if turn % 10 == 0:
                    key = f"{number}-{turn}-{time.monotonic_ns()}"
                    status, answer = caller.ask(
                        "POST", f"/charges/{charge}/payments", {"method": "bank_transfer", "amount": "0.01"}, key
                    )
                else:
                    status, answer = caller.ask("GET", f"/charges/{charge}")
                expect(status in {200, 201}, f"{status}: {answer}")

        for number in range(rounds):
            _in_threads([partial(call, number * callers + each) for each in range(callers)])
            samples.append(_sample(process.pid, (number + 1) * (requests // rounds), file))
        process.send_signal(signal.SIGTERM)
        expect(process.wait(timeout=30) == 0, "the server did not end well")
    expect_sound_journal(file)
    half = samples[len(samples) // 2 :]
    slope = statistics.linear_regression([each[0] for each in half], [each[1] for each in half]).slope * 10_000
    log = max(each[4] for each in samples)
    expect(slope < 1024, f"resident memory grows by {slope:.0f} KB in 10 000 requests: {samples}")
    expect(len({each[2] for each in half}) <= 2, f"descriptors: {samples}")
    # The workers of the event loop: they are made as they are needed, up to as many.
    expect(max(each[3] for each in samples) <= (os.cpu_count() or 1) + 6, f"threads: {samples}")
    expect(log < 64 * 1024 * 1024, f"the log of the file has {log} bytes")
    seconds = time.monotonic() - started
    return (
        f"soak: {requests} requests in {seconds:.0f} s, memory {samples[0][1]} to {samples[-1][1]} KB,"
        f" slope of the second half {slope:.0f} KB in 10 000,"
        f" {half[-1][2]} descriptors, {half[-1][3]} threads, log at most {log // 1024} KB"
    )


def _in_threads(tasks: Sequence[Callable[[], None]]) -> None:
    failures: list[BaseException] = []

    def guarded(task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001  # raised again where it is seen
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _sample(pid: int, requests: int, file: Path) -> tuple[int, int, int, int, int]:
    """Return requests so far, resident memory in KB, descriptors, threads, and bytes of the log of the file."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    log = file.with_name(f"{file.name}-wal")
    return (
        requests,
        int(status["VmRSS"].split()[0]),
        len(list(Path(f"/proc/{pid}/fd").iterdir())),
        int(status["Threads"]),
        log.stat().st_size if log.exists() else 0,
    )


# More than a server that nobody is connected to has open.
_OWN_DESCRIPTORS = 40


def _slow(connections: int, seconds: int, folder: Path) -> str:
    """Have slowhttptest hold connections in three ways, and ask beside it how long an answer takes."""
    lines: list[str] = []
    ways = {"heads": ["-H"], "bodies": ["-B"], "answers": ["-X"]}
    for way, options in ways.items():
        file = folder / f"{way}.db"
        with closing(World(file=file)) as world:
            person = world.profiles.add("Иванова")
            for _ in range(1000):
                world.charges.add(person, Money("1.00"))
            token = token_for(world, person)
        with _server(__file__, "serve", str(file)) as (process, url):
            command = ["slowhttptest", *options, "-c", str(connections), "-r", "200", "-l", str(seconds), "-i", "5"]
            command += ["-t", "POST" if way == "bodies" else "GET", "-p", "3"]
            target = f"{url}/charges?limit=1000" if way == "answers" else f"{url}/oauth/token"
            if way == "answers":
                command += ["-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "3"]
                command += ["-j", f"Authorization: Bearer {token}"]
            attack = subprocess.Popen(  # noqa: S603  # a tool that the one who runs this has installed
                [*command, "-u", target], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            started = time.monotonic()
            caller = _Caller(url, token)
            times: list[float] = []
            most = (0, 0)
            closed = 0.0
            while attack.poll() is None:
                begun = time.monotonic()
                status, _ = caller.ask("GET", "/charges?limit=10")
                times.append(time.monotonic() - begun)
                expect(status == 200, f"a healthy request got {status}")
                sample = _sample(process.pid, 0, file)
                most = (max(most[0], sample[1]), max(most[1], sample[2]))
                if sample[2] > _OWN_DESCRIPTORS:
                    closed = time.monotonic() - started
                time.sleep(0.05)
            threads = _sample(process.pid, 0, file)[3]
        p99 = statistics.quantiles(times, n=100)[98]
        # The tool opens two hundred a second.
        expect(0 < closed < connections / 200 + 30, f"{way}: slow connections were open for {closed:.0f} s")
        expect(p99 < 1, f"{way}: 99 of 100 healthy requests took up to {p99:.2f} s")
        lines.append(
            f"slow {way}: {connections} connections, all closed {closed:.0f} s after the first,"
            f" {len(times)} healthy requests beside them,"
            f" p99 {p99 * 1000:.0f} ms, max {max(times) * 1000:.0f} ms,"
            f" at most {most[0]} KB and {most[1]} descriptors, {threads} threads"
        )
    return "\n".join(lines)


def _full(folder: Path) -> str:
    """Fill a disk of 8 MB under a server, make room, and look at what is there."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], check=True)  # noqa: S603, S607  # root's
    try:
        file = disk / "world.db"
        with closing(World(file=file)) as world:
            person = world.profiles.add("Иванова")
            charges = [world.charges.add(person, Money("1.00")).id for _ in range(200)]
            token = token_for(world, person)
        with _server(__file__, "serve", str(file)) as (_, url):
            caller = _Caller(url, token)
            before = Counter(_pay_over(caller, charge) for charge in charges[:50])
            ballast = disk / "ballast"
            with ballast.open("wb", buffering=0) as filling, contextlib.suppress(OSError):
                while filling.write(bytes(4096)):
                    pass
            during = Counter(_pay_over(caller, charge) for charge in charges[50:])
            reads = Counter(caller.ask("GET", f"/charges/{charge}")[0] for charge in charges)
            ballast.unlink()
            after = Counter(_pay_over(caller, charge) for charge in charges)
        with closing(World(file=file)) as world:
            whole = len(whole_payments(world))
            world.charges.check_books()
        expect_sound_journal(file)
    finally:
        subprocess.run(["umount", str(disk)], check=True)  # noqa: S603, S607  # root's
    expect(set(during) == {201, 503} or set(during) == {503}, f"on a full disk: {during}")
    expect(reads == {200: 200}, f"reads on a full disk: {reads}")
    expect(after == {201: 200} and whole == 200, f"with room again: {after}, {whole} payments")
    return f"full: before {dict(before)}, full {dict(during)}, reads {dict(reads)}, with room again {dict(after)}"


def _pay_over(caller: _Caller, charge: str) -> int:
    return caller.ask("POST", f"/charges/{charge}/payments", {"method": "sbp"}, charge.replace("_", "-"))[0]


def _large(megabytes: int, folder: Path) -> str:
    """Send a large file, and look at the memory of both sides; then one to where it may not go."""
    file, small, large = folder / "world.db", folder / "small.bin", folder / "large.bin"
    with closing(World(file=file)) as world:
        who = credentials(world, sample_world(world))
    small.write_bytes(bytes(1024**2))
    digest = hashlib.sha256()
    with large.open("wb") as out:
        for _ in range(megabytes):
            # Not zeros throughout: a part that is missing or twice there is to be seen.
            block = os.urandom(1024) * 1024
            digest.update(block)
            out.write(block)
    told: list[str] = []
    with _server(__file__, "serve-samples", str(file)) as (process, url):
        with Cabinet(url, who, deadline=None) as cabinet:
            samples = Samples(vars(cabinet)["_context"])
            samples.upload_large(File.from_path(small))
            before = _peak(process.pid), _peak(os.getpid())
            for way in ("with its length", "in chunks"):
                content: Path | Generator[bytes] = large if way == "with its length" else _read(large, [0])
                got = samples.upload_large(File(content, name="large.bin"))
                expect((got.length, got.sha256) == (megabytes * 1024**2, digest.hexdigest()), f"arrived {way}: {got}")
            grown = _peak(process.pid) - before[0], _peak(os.getpid()) - before[1]
            sent = [0]
            try:
                samples.upload(File(_read(large, sent), name="large.bin"))
            except RequestTooLarge:
                told.append(
                    f"refused after {sent[0] // 1024**2} MB were read where {MAX_BYTES // 1024**2} MB are allowed"
                )
        process.send_signal(signal.SIGTERM)
        expect(process.wait(timeout=60) == 0, "the server did not end well")
    expect(len(told) == 1, "a file above the limit was taken")
    expect(sent[0] <= MAX_BYTES + 128 * 1024**2, f"{sent[0]} bytes were sent of a file that is refused")
    expect(max(grown) < 32 * 1024, f"memory grew by {grown} KB, server and client")
    return f"large: {megabytes} MB twice, memory of server and client grew by {grown[0]} and {grown[1]} KB; {told[0]}"


def _read(path: Path, sent: list[int]) -> Generator[bytes]:
    with path.open("rb") as file:
        while block := file.read(64 * 1024):
            sent[0] += len(block)
            yield block


def _peak(pid: int) -> int:
    """Return the most memory that a process has had so far, in KB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a trial; return the exit code."""
    parser = argparse.ArgumentParser(description="Trials of the reference server that take long.")
    parser.add_argument("trial", choices=["stops", "soak", "slow", "full", "large", "serve", "serve-samples"])
    parser.add_argument("file", nargs="?", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--times", type=int, default=20, help="how often to stop")
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=800)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args(arguments)
    if options.trial == "serve":
        _serve(options.file)
        return 0
    if options.trial == "serve-samples":
        _serve(options.file, samples=True)
        return 0
    missing = _missing(options.trial)
    if missing is not None:
        print(f"{options.trial}: skipped, {missing}")
        return SKIPPED
    trials: dict[str, Callable[[Path], str]] = {
        "stops": partial(_stops, options.times),
        "soak": partial(_soak, options.requests),
        "slow": partial(_slow, options.connections, options.seconds),
        "full": _full,
        "large": partial(_large, options.megabytes),
    }
    with tempfile.TemporaryDirectory() as folder:
        print(trials[options.trial](Path(folder)), flush=True)
    return 0


def _missing(trial: str) -> str | None:
    if trial == "slow" and shutil.which("slowhttptest") is None:
        return "slowhttptest is not installed"
    if trial == "full" and os.geteuid() != 0:
        return "a disk of its own is root's to make"
    return None


def _stops(times: int, folder: Path) -> str:
    seed = time.time_ns()
    chance = random.Random(seed)  # noqa: S311  # when to stop, which a seed repeats
    paid = cut = 0
    for number in range(times):
        one = folder / str(number)
        one.mkdir()
        counts = stop_under_load(one, after=chance.uniform(0.2, 1.5))
        paid, cut = paid + counts[0], cut + counts[1]
    return f"stops: {times} (seed {seed}), {paid} acknowledged, none lost, {cut} clients cut, exit code 0"


if __name__ == "__main__":
    sys.exit(main())
