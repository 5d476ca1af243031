"""
Experiments 1, 2, 10, 11 and 14: a process is killed at any point of a payment, and another one comes up after it.

The world is served in this process, which lives; what is killed are real processes with a real journal in a file.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypedDict

import attrs
import pytest

from cabinet_sdk.types import Money
from reference_server import Profile, World
from reference_server.testing import connect, serve

pytestmark = [
    pytest.mark.slow,
    pytest.mark.feature("EX-01", "SE-06", "CH-05"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork"),
]

PROGRAM = Path(__file__).with_name("crashing.py")


class End(TypedDict):
    """How a process ended; one that was killed tells nothing more."""

    killed: bool
    failed: bool
    outcomes: list[str]
    left: int


@attrs.frozen
class Stage:
    """Where programs pay, are killed and come up again."""

    world: World
    person: Profile
    url: str
    folder: Path
    encrypted: bool

    def charges(self, number: int) -> list[str]:
        """Add that many charges, of which each is to be paid in part: paying twice would be possible."""
        return [self.world.charges.add(self.person, Money("500.00")).id for _ in range(number)]

    def run(
        self,
        charges: list[str],
        *,
        resume: bool,
        points: list[float] | None = None,
        own_key: bool = False,
        journal: str | None = None,
    ) -> list[End]:
        """Start one process a charge; tell how each ended."""
        jobs = [
            {
                "url": self.url,
                "client_id": self.person.id,
                "client_secret": self.world.client_secret(self.person.id),
                "folder": str(self.folder),
                "journal": journal or charge,
                "charge": charge,
                "key": f"invoice-{number}" if own_key else None,
                "point": points[number] if points else None,
                "resume": resume,
                "encrypted": self.encrypted,
            }
            for number, charge in enumerate(charges)
        ]
        done = subprocess.run(
            [sys.executable, str(PROGRAM)], input=json.dumps(jobs), capture_output=True, check=False, text=True
        )
        assert done.returncode == 0, done.stderr
        ends: list[End] = json.loads(done.stdout)
        assert not any(end["failed"] for end in ends), done.stderr
        return ends

    def payments(self) -> Counter[str]:
        """Return how many payments there are towards each charge."""
        with connect(self.world, self.person) as cabinet:
            self.world.charges.check_books()
            return Counter(item.charge_id for payment in cabinet.charges.payments() for item in payment.items)


@pytest.fixture
def stage(request: pytest.FixtureRequest, world: World, person: Profile, tmp_path: Path) -> Iterator[Stage]:
    """Serve the world; the journals are encrypted where the test asks for that."""
    with serve(world) as url:
        yield Stage(world, person, url, tmp_path, encrypted=getattr(request, "param", False))


BOTH_WAYS = pytest.mark.parametrize("stage", [False, True], ids=["in clear", "encrypted"], indirect=True)


# Token, journal, payment, journal: a boundary before and after each. With answers that are lost, four payments.
GOOD, LOSSY = 8, 14


@pytest.mark.parametrize("hours", [0, 25])
@pytest.mark.parametrize("lossy", [False, True], ids=["answers come", "answers are lost"])
def test_killed_at_every_boundary_and_resumed(stage: Stage, hours: int, lossy: bool) -> None:
    """Once an operation is in the journal there is exactly one payment in the end; before that there is none."""
    count = LOSSY if lossy else GOOD
    charges = stage.charges(count + 1)
    if lossy:
        stage.world.faults.lose_answer("charges.pay", times=10_000)
    points = [float(number) for number in range(1, count + 2)]

    killed = stage.run(charges, resume=False, points=points)
    stage.world.faults.clear()
    stage.world.clock.sleep(hours * 3600)
    resumed = stage.run(charges, resume=True)
    again = stage.run(charges, resume=True)

    assert [end["killed"] for end in killed] == [True] * count + [False]
    # Nothing had been begun at the first point, which is that before the journal.
    assert stage.payments() == dict.fromkeys(charges[1:], 1)
    assert [end["left"] for end in resumed] == [0] * len(charges)
    told = [len(end["outcomes"]) for end in resumed]
    # The last two were settled, or are unknown where answers are lost.
    assert told == [0, *[1] * (count - 2), *([1, 1] if lossy else [0, 0])]
    assert [end["outcomes"] for end in again] == [[]] * len(charges)


@pytest.mark.parametrize("hours", [0, 25])
def test_killed_at_every_boundary_with_a_key_of_the_program(stage: Stage, hours: int) -> None:
    """A program that repeats its call under its own key has exactly one payment wherever it was killed."""
    charges = stage.charges(GOOD + 1)
    points = [float(number) for number in range(1, GOOD + 2)]

    killed = stage.run(charges, resume=False, points=points, own_key=True)
    stage.world.clock.sleep(hours * 3600)
    stage.run(charges, resume=True, own_key=True)

    assert [end["killed"] for end in killed] == [True] * GOOD + [False]
    assert stage.payments() == dict.fromkeys(charges, 1)


def test_killed_while_it_resumes(stage: Stage) -> None:
    """A process that is killed at any boundary of resuming leaves it to the next one."""
    count = 10
    charges = stage.charges(count)
    stage.world.faults.lose_answer("charges.pay", times=4 * count)
    stage.run(charges, resume=False)

    killed = stage.run(charges, resume=True, points=[float(number) for number in range(1, count + 1)])
    stage.run(charges, resume=True)

    assert [end["killed"] for end in killed].count(True) >= 8
    assert stage.payments() == dict.fromkeys(charges, 1)


@BOTH_WAYS
def test_killed_at_any_moment(stage: Stage) -> None:
    """Killed from outside, at moments that a printed seed gives: whole or nothing, and never twice."""
    seed = secrets.randbits(32)
    sys.stderr.write(f"seed {seed}\n")
    generator = random.Random(seed)  # noqa: S311  # moments are no secrets
    charges = stage.charges(30)

    stage.run(charges, resume=False, points=[generator.uniform(0.001, 0.12) for _ in charges], own_key=True)
    begun = stage.payments()
    resumed = stage.run(charges, resume=True, own_key=False)
    assert set(stage.payments().values()) <= {1}
    assert begun.keys() <= stage.payments().keys()
    assert [end["left"] for end in resumed] == [0] * len(charges)
    stage.run(charges, resume=True, own_key=True)

    assert stage.payments() == dict.fromkeys(charges, 1)


@BOTH_WAYS
def test_processes_that_resume_at_once_share_the_work(stage: Stage) -> None:
    """Several processes with one journal bring each operation to its outcome once, none of them twice."""
    charges = stage.charges(12)
    stage.world.faults.lose_answer("charges.pay", times=4 * len(charges))
    stage.run(charges, resume=False, journal="shared")
    before = len(stage.world.requests)

    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(stage.run, ["any"], resume=True, journal="shared") for _ in range(4)]
        told = [outcome for run in runs for outcome in run.result()[0]["outcomes"]]

    assert len(told) == len(set(told)) == len(charges)
    assert stage.payments() == dict.fromkeys(charges, 1)
    sent = [request for request in stage.world.requests[before:] if request.operation == "charges.pay"]
    assert len(sent) == len(charges)
    assert all(request.replayed for request in sent)
