"""Experiment 118: many clients opened and closed, forks after use, and an interpreter that forgives nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.feature("EX-01"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="it looks into /proc, or forks"),
]

BEGINNING = """
import asyncio, gc, os, sys, threading
from pathlib import Path
from cabinet_sdk import AsyncCabinet, Cabinet
from cabinet_sdk.charges import PaymentMethod
from cabinet_sdk.types import Money
from reference_server import World
from reference_server.testing import credentials, serve

world = World()
person = world.profiles.add("Иванова Мария Петровна")
charge = world.charges.add(person, Money("500.00"))
who = credentials(world, person)
"""

MANY = """
def held():
    gc.collect()
    return threading.active_count(), len(os.listdir("/proc/self/fd"))

def use(url):
    with Cabinet(url, who) as cabinet:
        assert cabinet.charges.get(charge.id).due == Money("500.00")

async def use_async(url):
    # A busy machine is no warning.
    asyncio.get_running_loop().slow_callback_duration = 60
    async with AsyncCabinet(url, who) as cabinet:
        assert (await cabinet.charges.get(charge.id)).due == Money("500.00")

async def many(url):
    for _ in range(100):
        await use_async(url)

with serve(world) as url:
    use(url)
    asyncio.run(use_async(url))
    before = held()
    for _ in range(100):
        use(url)
    asyncio.run(many(url))
    for _ in range(200):
        if held() <= before:
            break
        # The server closes its ends a moment after the clients.
        threading.Event().wait(0.01)
    assert held() <= before, (before, held())
"""

FORKED = """
if len(sys.argv) == 1:
    # The served world and its threads live in the parent, the clients in a child that forks again.
    with serve(world) as url:
        import subprocess
        code = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "error", __file__, url, who.client_id, who.client_secret]
        ).returncode
    world.charges.check_books()
    sys.exit(code)

from cabinet_sdk import ClientCredentials
url = sys.argv[1]
who = ClientCredentials(sys.argv[2], sys.argv[3])
cabinet = Cabinet(url, who)
names = {charge.id for charge in cabinet.charges.list()}

def work(client):
    # Bytes of two processes on one connection would be seen at once.
    for _ in range(20):
        for name in names:
            assert client.charges.get(name).id == name

children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work(cabinet)
            cabinet.close()
            status = 0
        finally:
            os._exit(status)
    children.append(child)
work(cabinet)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
work(cabinet)
cabinet.close()
"""


FORKED_WHILE_SIGNING_IN = """
import os, threading, time, warnings
from cabinet_sdk import Cabinet, ClientCredentials
from cabinet_sdk.transports import Headers, Request, Response
from tests.core.scripted import READ, thing, token

inside, go = threading.Event(), threading.Event()
parent = os.getpid()

class Slow:
    now, sleep = staticmethod(time.monotonic), staticmethod(time.sleep)

    def send(self, request):
        if not request.url.endswith("/oauth/token"):
            return thing()
        if os.getpid() == parent:
            inside.set()
            assert go.wait(30)
        return token()

    def close(self):
        pass

cabinet = Cabinet("https://cabinet.example/v1", ClientCredentials("a", "b"), transport=Slow(), deadline=20)
thread = threading.Thread(target=cabinet.answer, args=(READ,))
thread.start()
assert inside.wait(30)
# Newer versions of Python warn of threads that a fork leaves behind.
warnings.simplefilter("ignore", DeprecationWarning)
child = os.fork()
if child == 0:
    status = 1
    try:
        cabinet.with_options(deadline=2).answer(READ)
        status = 0
    finally:
        os._exit(status)
assert os.waitpid(child, 0)[1] == 0
go.set()
thread.join()
"""


def run(program: str, *, file: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program in development mode, with warnings as errors."""
    what = ["-c", program] if file is None else [file]
    command = [sys.executable, "-X", "dev", "-W", "error", *what]
    return subprocess.run(command, capture_output=True, check=False, text=True, timeout=120)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it counts in /proc")
def test_clients_leave_nothing_behind() -> None:
    """A hundred clients of each mode, opened, used and closed: no warning, no thread, no open file is left."""
    done = run(BEGINNING + MANY)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_client_may_be_used_on_both_sides_of_a_fork(tmp_path: object) -> None:
    """A client that has been used serves its process and the children of a fork, each over connections of its own."""
    file = f"{tmp_path}/forked.py"
    with open(file, "w", encoding="utf-8") as program:  # noqa: PTH123  # one line
        program.write(BEGINNING + FORKED)

    done = run("", file=file)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fork_does_not_inherit_a_sign_in_that_is_under_way() -> None:
    """A child gets its own token where another thread of the parent was fetching one, and does not wait for that."""
    done = run(FORKED_WHILE_SIGNING_IN)

    assert (done.returncode, done.stderr) == (0, "")
