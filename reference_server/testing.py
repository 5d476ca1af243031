"""
Clients for a world: straight into it, or over HTTP.

Rule: the one module of the server that imports the client's side; the rest of it must not know that there is one.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cabinet_sdk import AsyncCabinet, Cabinet, ClientCredentials, Journal
from cabinet_sdk._core.arguments import checking
from cabinet_sdk.transports import AsyncInProcessTransport, InProcessTransport
from reference_server.profiles import Profile
from reference_server.world import World

if TYPE_CHECKING:
    from reference_server.serve import WorldServer

__all__ = ["BASE_URL", "connect", "connect_async", "credentials", "in_process", "in_process_async", "serve"]

BASE_URL = "http://cabinet.example/v1"
"""Under which a world in process is addressed; nothing is ever sent there."""


@checking("credentials()")
def credentials(world: World, profile: Profile) -> ClientCredentials:
    """Return what a client signs in with to act as a profile."""
    return ClientCredentials(profile.id, world.client_secret(profile.id))


@checking("in_process()")
def in_process(world: World) -> InProcessTransport:
    """Return the way straight into a world, for a `Cabinet` of one's own making; its pauses move the world's clock."""
    return InProcessTransport(world.respond, sleep=world.clock.sleep, now=world.clock.monotonic)


@checking("in_process_async()")
def in_process_async(world: World) -> AsyncInProcessTransport:
    """Return the same for an `AsyncCabinet`."""
    return AsyncInProcessTransport(world.respond, sleep=world.clock.sleep, now=world.clock.monotonic)


@checking("connect()")
def connect(world: World, profile: Profile, *, journal: Journal | None = None) -> Cabinet:
    """Return a client straight into a world, signed in as a profile; its pauses move the world's clock."""
    return Cabinet(BASE_URL, credentials(world, profile), transport=in_process(world), journal=journal)


@checking("connect_async()")
def connect_async(world: World, profile: Profile, *, journal: Journal | None = None) -> AsyncCabinet:
    """Return an async client straight into a world, signed in as a profile; its pauses move the world's clock."""
    return AsyncCabinet(BASE_URL, credentials(world, profile), transport=in_process_async(world), journal=journal)


@checking("serve()")
@contextmanager
def serve(world: World, *, sandbox: bool = True) -> Generator[str]:
    """
    Serve a world on a free port of this machine in a thread; the value is the base URL.

    The pauses of its clients are real, and move no `ManualClock`: a test that waits for a payment moves the clock
    first, or serves a world of the system's, ``World(clock=SystemClock())``.

    Args:
        world: What to serve.
        sandbox: Whether the pages show credentials and let a visitor decide in the authorities' place.

    Raises:
        ModuleNotFoundError: The extra `server` is not installed.
    """
    # Here and not above: whoever stays in memory needs neither Starlette nor uvicorn.
    from reference_server.serve import WorldServer, listen  # noqa: PLC0415

    ready = threading.Event()
    listener = listen("127.0.0.1", 0)
    server: WorldServer = WorldServer(world, listener, ready=lambda _: ready.set(), sandbox=sandbox)
    thread = threading.Thread(target=server.serve_forever, name="reference-server", daemon=True)
    thread.start()
    if not ready.wait(timeout=30):
        msg = "the reference server did not start within 30 s"
        raise RuntimeError(msg)
    try:
        yield f"{server.url}/v1"
    finally:
        server.stop()
        thread.join(timeout=30)
