"""Experiment 118: many clients opened and closed, forks after use, and an interpreter that forgives nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cabinet_sdk.types import Money
from reference_server import Profile, World
from reference_server.testing import credentials, serve

pytestmark = [
    pytest.mark.slow,
    pytest.mark.feature("EX-01"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="it looks into /proc, or forks"),
]

# What is served, with its threads and connections, lives in the process of the test.
BEGINNING = """
import asyncio, gc, os, sys, threading
from cabinet_sdk import AsyncCabinet, Cabinet, ClientCredentials

url, who = sys.argv[1], ClientCredentials(sys.argv[2], sys.argv[3])
"""

MANY = """
def held():
    gc.collect()
    return {"threads": threading.active_count(), "files": len(os.listdir("/proc/self/fd"))}

def use():
    with Cabinet(url, who) as cabinet:
        assert len(list(cabinet.charges.list())) == 1

async def use_async():
    # A busy machine is no warning.
    asyncio.get_running_loop().slow_callback_duration = 600
    async with AsyncCabinet(url, who) as cabinet:
        assert len([charge async for charge in cabinet.charges.list()]) == 1

async def many():
    for _ in range(100):
        await use_async()

use()
asyncio.run(use_async())
before = held()
for _ in range(100):
    use()
asyncio.run(many())
assert held() == before, (before, held())
"""

FORKED = """
cabinet = Cabinet(url, who, deadline=300)
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
import time, warnings
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


FORKED_WHILE_LOCKED = """
import itertools, signal, time, warnings
from tests.core.scripted import ok, problem

class Limiting:
    now, sleep = staticmethod(time.monotonic), staticmethod(time.sleep)

    def send(self, request):
        # Each is refused now and then, so that its repeats are paid for too.
        limits = ("ratelimit-policy", '"d";q=100000000;w=10'), ("ratelimit", '"d";r=90000000;t=9')
        refusal = problem(503, "service.unavailable", ("retry-after", "0"), *limits)
        return refusal if next(turns) % 2 else ok([], *limits)

    def close(self):
        pass

turns = itertools.count()
made = []
new = threading.RLock

class Told:
    # A lock that tells when it is taken, and is held until the fork is over.
    def __init__(self):
        self._lock = new()
        made.append(self)
        self.hold = False

    def __enter__(self):
        self._lock.acquire()
        if self.hold and os.getpid() == parent and threading.current_thread() is not threading.main_thread():
            taken.release()
            assert go.wait(30)

    def __exit__(self, *_):
        self._lock.release()

parent = os.getpid()
threading.RLock = Told
cabinet = Cabinet("https://cabinet.example/v1", transport=Limiting())
list(cabinet.charges.list())
list(cabinet.charges.list())
threading.RLock = new
warnings.simplefilter("ignore", DeprecationWarning)
assert len(made) == 2, made
for lock in made:
    taken, go = threading.Semaphore(0), threading.Event()
    lock.hold = True
    threads = [threading.Thread(target=lambda: list(cabinet.charges.list())) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert taken.acquire(timeout=30)
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        list(cabinet.charges.list())
        list(cabinet.charges.list())
        os._exit(0)
    lock.hold = False
    go.set()
    assert os.waitpid(child, 0)[1] == 0
    for thread in threads:
        thread.join()
"""


FORKED_WHILE_LOADING = """
import signal, warnings

loading, forking = threading.Event(), threading.Event()

class Slow:
    # Asked where a module is; it says so when somebody forks.
    def find_spec(self, name, path, target=None):
        if name == "cabinet_sdk.charges.client":
            loading.set()
            assert forking.wait(30)

sys.meta_path.insert(0, Slow())
cabinet = Cabinet(url, who)
os.register_at_fork(before=forking.set)
thread = threading.Thread(target=lambda: cabinet.charges)
thread.start()
assert loading.wait(30)
warnings.simplefilter("ignore", DeprecationWarning)
child = os.fork()
if child == 0:
    signal.alarm(20)
    cabinet.charges
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
thread.join()
cabinet.close()
"""


def run(program: str, world: World, person: Profile) -> subprocess.CompletedProcess[str]:
    """Run a program in development mode, with warnings as errors, while the world is served."""
    world.charges.add(person, Money("500.00"))
    who = credentials(world, person)
    with serve(world) as url:
        command = [sys.executable, "-X", "dev", "-W", "error", "-c", BEGINNING + program]
        command += [url, who.client_id, who.client_secret]
        return subprocess.run(command, capture_output=True, check=False, text=True, timeout=600)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it counts in /proc")
def test_clients_leave_nothing_behind(world: World, person: Profile) -> None:
    """A hundred clients of each mode, opened, used and closed: no warning, no thread, no open file is left."""
    done = run(MANY, world, person)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_client_may_be_used_on_both_sides_of_a_fork(world: World, person: Profile) -> None:
    """A client that has been used serves its process and the children of a fork, each over connections of its own."""
    done = run(FORKED, world, person)

    assert (done.returncode, done.stderr) == (0, "")
    world.charges.check_books()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fork_does_not_inherit_a_sign_in_that_is_under_way(world: World, person: Profile) -> None:
    """A child gets its own token where another thread of the parent was fetching one, and does not wait for that."""
    done = run(FORKED_WHILE_SIGNING_IN, world, person)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fork_does_not_inherit_a_lock_that_is_held(world: World, person: Profile) -> None:
    """A child goes on where another thread of its parent was counting what the service allows, or the repeats."""
    done = run(FORKED_WHILE_LOCKED, world, person)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fork_waits_for_an_area_that_is_loaded(world: World, person: Profile) -> None:
    """A child has the areas that another thread of its parent was about to use first."""
    done = run(FORKED_WHILE_LOADING, world, person)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
