"""The server as a process: its command line, its pages, and what survives when it is killed."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from cabinet_sdk import Cabinet, ClientCredentials, RetryPolicy
from cabinet_sdk.charges import ChargeStatus, Payment, PaymentMethod
from cabinet_sdk.errors import CabinetError, ConnectionFailed, OutcomeUnknown
from cabinet_sdk.transports import HttpxTransport
from cabinet_sdk.types import Money
from reference_server import Profile, World
from reference_server.__main__ import main
from reference_server.serve import WorldServer, is_loopback
from reference_server.testing import credentials, serve
from tests.core.sample_area import add_file, sample_world
from tests.server.raw import token_for


@contextlib.contextmanager
def process(*arguments: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    """Run the server as its command does; the value is the process and its address."""
    server = subprocess.Popen(
        [sys.executable, "-m", "reference_server", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line.startswith("Serving on http://127.0.0.1:"), (line, server.poll())
        yield server, line.removeprefix("Serving on ").strip()
    finally:
        server.kill()
        server.communicate(timeout=60)


def get(url: str) -> httpx.Response:
    """Read a page without a proxy."""
    return httpx.get(url, trust_env=False, timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_and_stops_gracefully(stop: signal.Signals) -> None:
    """The first line says where it serves, `/healthz` answers, and a signal ends it with exit code 0."""
    with process() as (server, url):
        assert get(f"{url}/healthz").json() == {"status": "ok"}
        server.send_signal(stop)
        assert server.wait(timeout=60) == 0


STOPPED = """
import os, signal, sys
# Where the tests run in the background of a shell, it was told to ignore Ctrl+C.
signal.signal(signal.SIGINT, signal.default_int_handler)
from reference_server import World, __main__, serve
stop, moment = int(sys.argv[1]), sys.argv[2]
places = {"world": (World, "__init__"), "listen": (serve, "listen"), "server": (serve.WorldServer, "__init__")}
owner, name = places[moment]
whole = getattr(owner, name)
def stopped(*args, **kwargs):
    os.kill(os.getpid(), stop)
    return whole(*args, **kwargs)
setattr(owner, name, stopped)
sys.exit(__main__.main(["--port", "0"]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", ["world", "listen", "server"])
def test_a_signal_during_the_start_ends_it(stop: signal.Signals, moment: str) -> None:
    """Told to stop before it serves, the command ends with exit code 0 and without a word, like afterwards."""
    command = [sys.executable, "-c", STOPPED, str(int(stop)), moment]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.slow
@pytest.mark.parametrize("key", [None, bytes(range(32))], ids=["in clear", "encrypted"])
def test_11_an_acknowledged_payment_survives_kill_9(tmp_path: Path, key: bytes | None) -> None:
    """Killed after the commit and before the answer, and started again on its file, the server replays the payment."""
    file = tmp_path / "world.db"
    options = ["--db", str(file)]
    if key is not None:
        key_file = tmp_path / "world.key"
        key_file.write_text(key.hex(), encoding="ascii")
        key_file.chmod(0o600)
        options += ["--key-file", str(key_file)]
    world = World.seeded(file=file, key=key)
    person = world.profiles.all()[0]
    charge = world.charges.add(person, Money("10.00"))
    who = credentials(world, person)
    world.close()

    with process(*options) as (server, url):
        with Cabinet(f"{url}/v1", who, transport=HttpxTransport(environment=False)) as cabinet:
            first = cabinet.with_options(idempotency_key="before-the-kill")
            payment = first.charges.pay(charge.id, method=PaymentMethod.BANK_TRANSFER)
        os.kill(server.pid, signal.SIGKILL)
        server.wait(timeout=60)
    with process(*options) as (_, url), Cabinet(f"{url}/v1", who) as cabinet:
        again = cabinet.with_options(idempotency_key="before-the-kill")
        assert again.charges.pay(charge.id, method=PaymentMethod.BANK_TRANSFER) == payment
        assert cabinet.charges.get(charge.id).pending == Money("10.00")


@pytest.mark.slow
def test_11_a_kill_at_any_moment_leaves_whole_payments(tmp_path: Path) -> None:
    """Killed under load five times, the server has every acknowledged payment, and each retry ends as exactly one."""
    file = tmp_path / "world.db"
    world = World(file=file)
    person = world.profiles.add("Иванова")
    charges = [world.charges.add(person, Money("10.00")) for _ in range(400)]
    who = credentials(world, person)
    world.close()
    acknowledged: dict[str, Payment] = {}
    for life in range(5):
        with process("--db", str(file)) as (server, url):
            timer = threading.Timer(0.15 + 0.07 * life, server.kill)
            timer.start()
            with Cabinet(f"{url}/v1", who) as cabinet:
                for number, charge in enumerate(charges):
                    key = f"key-{number}"
                    if key in acknowledged:
                        continue
                    try:
                        view = cabinet.with_options(idempotency_key=key, deadline=0.3)
                        acknowledged[key] = view.charges.pay(charge.id, method=PaymentMethod.BANK_TRANSFER)
                    except CabinetError:
                        break
            timer.join()

    world = World(file=file)
    world.charges.check_books()
    kept = {row["id"] for row in world.database.all("SELECT id FROM payments")}
    keys = world.database.one("SELECT count(*) AS count FROM idempotency_keys")
    world.close()
    assert {payment.id for payment in acknowledged.values()} <= kept
    assert keys is not None
    assert keys["count"] == len(kept)
    assert acknowledged


def test_the_command_refuses_what_cannot_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of something else and a port that is taken end with a sentence and exit code 1."""
    text = tmp_path / "notes.txt"
    text.write_text("нет " * 500)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        assert main(["--db", str(text)]) == 1
        assert main(["--port", str(port)]) == 1

    errors = capsys.readouterr().err
    assert "not an SQLite database" in errors
    assert "cabinet-reference-server:" in errors


def test_pages_for_people() -> None:
    """The pages say what this is, that it is no authority's, what to try, and what each problem means."""
    world = World.seeded()
    with serve(world) as base:
        url = base.removesuffix("/v1")
        index = get(url)
        problems = get(f"{url}/problems")
        problem = get(f"{url}/problems/charges.nothing_due")
        missing = get(f"{url}/problems/no.such")
        openapi = get(f"{url}/openapi.json")

    assert "belongs to no authority" in index.text
    assert "не принадлежит ни одному государственному органу" in index.text
    for profile in world.profiles.all():
        assert world.client_secret(profile.id) in index.text
    assert "charges.pay_several" in index.text
    assert "default-src 'none'" in index.headers["content-security-policy"]
    assert "charges.amount_exceeds_due" in problems.text
    assert "NothingDue" in problem.text
    assert missing.status_code == 404
    assert json.loads(openapi.text)["openapi"].startswith("3.1")


def test_a_payer_confirms_or_declines_on_a_page(world: World, person: Profile) -> None:
    """The page that a payment's confirmation names shows the payment; its buttons credit or decline it."""
    charge = world.charges.add(person, Money("1234.50"))
    with serve(world) as url, Cabinet(url, credentials(world, person)) as cabinet:
        payment = cabinet.charges.pay(charge.id, method=PaymentMethod.BANK_CARD, amount=Money("1000.00"))
        world.clock.sleep(1)
        confirmation = cabinet.charges.payment(payment.id).confirmation
        assert confirmation is not None
        page = get(confirmation.url)
        after = httpx.post(f"{confirmation.url}/confirm", trust_env=False, timeout=60, follow_redirects=True)
        second = cabinet.charges.pay(charge.id, method=PaymentMethod.BANK_CARD)
        httpx.post(f"{url.removesuffix('/v1')}/pay/{second.id}/decline", trust_env=False, timeout=60)

        assert "1\N{NO-BREAK SPACE}000,00\N{NO-BREAK SPACE}₽" in page.text
        assert "Зачислен" in after.text
        assert cabinet.charges.get(charge.id).status == ChargeStatus.PARTLY_PAID
        assert cabinet.charges.payment(second.id).decline_reason is not None


def test_beyond_this_machine_the_pages_keep_secrets() -> None:
    """Without the sandbox no page shows a secret, and nobody decides in the payer's place."""
    world = World.seeded()
    with serve(world, sandbox=False) as base:
        url = base.removesuffix("/v1")
        text = get(f"{url}/").text
        decided = httpx.post(f"{url}/pay/pay_x/confirm", trust_env=False, timeout=60)

    assert not any(world.client_secret(profile.id) in text for profile in world.profiles.all())
    assert decided.status_code == 404
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "example.org")] == [  # noqa: S104
        True,
        True,
        True,
        False,
        False,
    ]


def test_a_lost_answer_breaks_the_connection(world: World, person: Profile) -> None:
    """Over HTTP a lost answer is a broken connection; a caller without retries learns that nobody can know."""
    from cabinet_sdk import RetryPolicy  # noqa: PLC0415

    charge = world.charges.add(person, Money("1.00"))
    world.faults.lose_answer("charges.pay")
    with serve(world) as url:
        who = ClientCredentials(person.id, world.client_secret(person.id))
        with Cabinet(url, who, retry=RetryPolicy(attempts=1)) as cabinet, pytest.raises(OutcomeUnknown):
            cabinet.charges.pay(charge.id, method=PaymentMethod.SBP)


def test_what_a_fault_asks_for_is_no_error_of_the_server(
    world: World, person: Profile, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Connections that break and a crash, each on request, leave nothing on stderr and no warning in the log."""
    charge = world.charges.add(person, Money("1.00"))
    for fault in (world.faults.lose_request, world.faults.lose_answer, world.faults.crash):
        fault("charges.pay")
        fault("charges.get")
    with serve(world) as url, Cabinet(url, credentials(world, person)) as cabinet:
        assert cabinet.charges.pay(charge.id, method=PaymentMethod.SBP).amount == charge.amount
        assert cabinet.charges.get(charge.id).id == charge.id

    assert [fault.hits for fault in world.faults.all()] == [1] * 6
    assert capfd.readouterr().err == ""
    loud = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert [message for message in loud if "a fault asked for" in message] == []


def test_a_stop_waits_for_no_tick(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stops a server in its own process does not wait until that looks for it again."""

    async def never(*_: object) -> bool:
        return False

    monkeypatch.setattr(WorldServer, "on_tick", never)
    with serve(world) as url:
        assert get(f"{url.removesuffix('/v1')}/healthz").status_code == 200

    assert [each.name for each in threading.enumerate() if each.name == "reference-server"] == []


def test_a_stopped_server_is_a_failed_connection(world: World, person: Profile) -> None:
    """Nothing listens any more: the error says that nothing was sent."""
    with serve(world) as url:
        pass
    once = RetryPolicy(attempts=1)
    with Cabinet(url, credentials(world, person), retry=once) as cabinet, pytest.raises(ConnectionFailed):
        list(cabinet.charges.list())


@pytest.mark.parametrize("declared", [True, False])
def test_a_large_body_is_refused_before_it_is_read(world: World, person: Profile, declared: bool) -> None:
    """A body beyond the limit is 413, whether its length is declared or not."""
    head = f"POST /v1/payments HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token_for(world, person)}\r\n"
    head += "Content-Type: application/json\r\n"
    with serve(world) as base:
        port = int(base.rpartition(":")[2].partition("/")[0])
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            size = 64 * 1024 * 1024
            framing = f"Content-Length: {size}" if declared else "Transfer-Encoding: chunked"
            connection.sendall(f"{head}{framing}\r\n\r\n".encode())
            if not declared:
                block = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
                with contextlib.suppress(OSError):
                    for _ in range(40):
                        connection.sendall(block)
            answer = b""
            # Head and body may come apart.
            while b"request.too_large" not in answer and (more := connection.recv(65536)):
                answer += more

    assert answer.startswith(b"HTTP/1.1 413")
    assert b"request.too_large" in answer


def test_86_a_cut_request_does_nothing(world: World, person: Profile) -> None:
    """A request whose body ends too soon has no effect, and the server goes on."""
    charge = world.charges.add(person, Money("1.00"))
    with serve(world) as base:
        port = int(base.rpartition(":")[2].partition("/")[0])
        token = token_for(world, person)
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            head = f"POST /v1/charges/{charge.id}/payments HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
            head += f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\n\r\n"
            connection.sendall(head.encode() + b'{"method": ')
        with Cabinet(base, credentials(world, person)) as cabinet:
            assert cabinet.charges.get(charge.id).pending == Money.ZERO


@pytest.mark.parametrize("host", ["a..b", "ы" * 64], ids=["empty label", "long label"])
def test_a_host_that_is_none_is_refused(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that cannot be one is told like one that nobody has."""
    assert main(["--host", host]) == 1
    assert f"cannot listen on {host} port 8080" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["99999", "-1", "http"])
def test_a_port_that_is_none_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A number beyond 65535 is not cut to another port but refused by name."""
    with pytest.raises(SystemExit):
        main([f"--port={port}"])

    assert "a port is 0 to 65535" in capsys.readouterr().err


@pytest.mark.slow
def test_the_most_that_can_be_logged_shows_nothing_personal(capsys: pytest.CaptureFixture[str]) -> None:
    """At DEBUG stderr has nothing of what is personal in an address; what would show it cannot be asked for."""
    with process("--log-level", "debug") as (server, url):
        get(f"{url}/v1/charges?uin=18810726643434618899&payee_inn=7707083893")
        get(f"{url}/profiles/prf_somebody")
        server.send_signal(signal.SIGTERM)
        _, errors = server.communicate(timeout=60)
    with pytest.raises(SystemExit):
        main(["--log-level", "trace"])

    assert "-> 401" in errors
    assert [shown for shown in ("18810726643434618899", "7707083893", "prf_somebody") if shown in errors] == []
    assert "invalid choice: 'trace'" in capsys.readouterr().err


def test_a_file_in_no_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that cannot be opened is named in one line."""
    assert main(["--db", str(tmp_path / "nowhere" / "world.db")]) == 1
    assert "world.db cannot be opened" in capsys.readouterr().err


def test_a_slow_file_holds_up_nobody(world: World) -> None:
    """While a file is being made, others are answered, also by a world in memory."""
    person = sample_world(world)
    charge = world.charges.add(reader := world.profiles.add("Читатель"), Money("1.00"))
    going_on, asked = threading.Event(), threading.Event()

    def make() -> bytes:
        going_on.set()
        assert asked.wait(60)
        return b"made"

    sample_id = add_file(make)
    headers = {"authorization": f"Bearer {token_for(world, person)}"}
    with serve(world) as url, ThreadPoolExecutor(1) as threads:
        slow = threads.submit(
            httpx.get, f"{url}/samples/{sample_id}/content", headers=headers, trust_env=False, timeout=60
        )
        assert going_on.wait(60)
        with Cabinet(url, credentials(world, reader)) as cabinet:
            assert cabinet.charges.get(charge.id) == charge
        asked.set()
        assert slow.result().content == b"made"


def test_who_waits_for_the_world_does_not_hold_the_loop(world: World, person: Profile) -> None:
    """While a test has the world in its hands, the server still answers what needs no world."""
    with serve(world) as url, ThreadPoolExecutor(1) as threads:
        with world.lock:
            waiting = threads.submit(get, f"{url}/charges")
            refused = get(f"{url.removesuffix('/v1')}/style.css")
        assert waiting.result().status_code == 401
    assert refused.status_code == 200
    assert person.id
