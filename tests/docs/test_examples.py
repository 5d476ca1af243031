"""The programs in `examples` do what they say."""

from __future__ import annotations

import io
import os
import site
import subprocess
import sys
from pathlib import Path

import pytest

from cabinet_sdk.charges import PaymentMethod
from cabinet_sdk.transports import AsyncTransport, Transport
from cabinet_sdk.types import Money
from examples import quickstart
from examples.losing_transport import AsyncLosingTransport, LosingTransport
from examples.progress_bar import ProgressBar
from reference_server import Profile, World
from tests.conftest import Connect
from tests.docs.blocks import ROOT


@pytest.mark.feature("CH-01", "CH-05")
def test_quickstart_pays_and_loses_nothing(
    seeded_world: World, served_url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It shows the debts as a table, pays in full and in part, the lost answer makes one payment, papers are saved."""
    quickstart.main(served_url, tmp_path)

    printed = capsys.readouterr().out
    assert "Answers lost: 1. Payments made: 1. Overpaid: 0,00" in printed
    assert "Nothing was paid twice." in printed
    assert printed.count("зачислен, платёжное поручение №") == 3
    assert "charges.xlsx ██████████████████████████████ 100 %" in printed
    assert (tmp_path / "receipt.pdf").read_bytes().startswith(b"%PDF-")
    assert (tmp_path / "charges.xlsx").exists()
    seeded_world.charges.check_books()
    pays = [request for request in seeded_world.requests if request.operation == "charges.pay"]
    assert [request.replayed for request in pays] == [False, False, False, True]
    assert pays[2].idempotency_key == pays[3].idempotency_key


def test_quickstart_aligns_its_table(served_url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Every row of a table has its purpose in the same column."""
    quickstart.main(served_url, tmp_path)

    head, *rows = capsys.readouterr().out.partition("Срок")[2].partition("\n\n")[0].splitlines()
    start = len("Срок") + head.index("За что")
    assert rows
    assert all(row[start - 2 : start] == "  " and row[start].isupper() for row in rows)


def test_quickstart_needs_a_person_it_knows(served_url: str) -> None:
    """A server without the person ends it with a sentence, no traceback."""
    with pytest.raises(SystemExit, match="does not know Никто"):
        quickstart.credentials_of("Никто", served_url)


def test_quickstart_without_an_address_says_how_it_is_used() -> None:
    """Started as it says but without an address, it prints how to start it and fails."""
    # Without what an editable installation adds to the path, as where the package is installed for real.
    path = os.pathsep.join([str(ROOT / "src"), *site.getsitepackages()])
    run = subprocess.run(
        [sys.executable, "-S", "-m", "examples.quickstart"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert run.returncode == 1
    assert "python -m examples.quickstart http://127.0.0.1:8080 ." in run.stderr


def test_a_progress_bar_draws_on_one_line() -> None:
    """In a terminal it is drawn over itself; elsewhere its end alone is printed; an unknown length is no share."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, file = Terminal(), io.StringIO()
    for output in (terminal, file):
        bar = ProgressBar("list.csv", output)
        bar(512, None)
        bar(1024, 4096)
        bar(4096, 4096)

    assert terminal.getvalue().split("\r")[1:] == [
        "list.csv ······························       0 KiB",
        "list.csv ███████·······················  25 % 1 KiB",
        "list.csv ██████████████████████████████ 100 % 4 KiB\n",
    ]
    assert file.getvalue() == "list.csv ██████████████████████████████ 100 % 4 KiB\n"


async def test_losing_transport_works_in_both_modes(connect: Connect, world: World, person: Profile) -> None:
    """The answer to the next POST is lost once, and the client gets the outcome under the same key."""
    charge = world.charges.add(person, Money("100.00"))
    made: list[LosingTransport | AsyncLosingTransport] = []

    def wrap(inner: Transport) -> Transport:
        losing = LosingTransport(inner)
        made.append(losing)
        return losing

    def wrap_async(inner: AsyncTransport) -> AsyncTransport:
        losing = AsyncLosingTransport(inner)
        made.append(losing)
        return losing

    client = connect(person, wrap=wrap, wrap_async=wrap_async)
    made[0].lose_next_answer_to("POST")
    payment = await client.charges.pay(charge.id, method=PaymentMethod.BANK_CARD)
    again = await client.charges.get(charge.id)

    assert made[0].lost == 1
    assert payment.amount == Money("100.00")
    assert (again.due, again.overpaid) == (Money.ZERO, Money.ZERO)
    assert [request.replayed for request in world.requests if request.operation == "charges.pay"] == [False, True]
