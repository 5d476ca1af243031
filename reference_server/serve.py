"""Serving a world: a uvicorn server that says where it listens."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable
from typing import final

import uvicorn

from reference_server.asgi import App
from reference_server.connections import Connection
from reference_server.world import World

__all__ = ["WorldServer", "is_loopback", "listen"]

# How long requests that are being answered may take to finish after a stop was asked for.
_GRACE_SECONDS = 10


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """
    Return a socket that listens; port 0 takes a free one.

    Raises:
        OSError: The address is not this machine's, or taken.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        # Now and not when uvicorn starts: whoever is told the address may connect at once.
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    listener.set_inheritable(True)
    return listener


@final
class WorldServer(uvicorn.Server):
    """
    Serves a world until it is told to stop.

    Args:
        world: What it serves.
        listener: Where, from `listen`.
        ready: Called once it answers, with its address.
        sandbox: Whether visitors see credentials and may decide in the authorities' place.
        log_level: As uvicorn names it.
    """

    def __init__(
        self,
        world: World,
        listener: socket.socket,
        *,
        ready: Callable[[str], None] | None = None,
        sandbox: bool = True,
        log_level: str = "warning",
    ) -> None:
        self._app = App(world, sandbox=sandbox)
        config = uvicorn.Config(
            self._app,
            http=Connection,
            ws="none",
            log_level=log_level,
            # uvicorn's own would show whole addresses, with what personal data stands in them; `respond` logs instead.
            access_log=False,
            server_header=False,
            # An address that a header claims is anybody's claim: the journal has the one that the connection is from.
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            lifespan="off",
        )
        super().__init__(config)
        self._listener = listener
        self._ready = ready
        self._wake: Callable[[], object] | None = None
        host, port = listener.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def stop(self) -> None:
        """Ask for a stop, from any thread."""
        self.should_exit = True
        if self._wake is not None:
            # It may have ended meanwhile.
            with contextlib.suppress(RuntimeError):
                self._wake()

    def serve_forever(self) -> None:
        """Serve in this thread until a stop is asked for; what is being answered is finished first."""
        self.run(sockets=[self._listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        if self.started and self._ready is not None:
            self._ready(self.url)

    async def main_loop(self) -> None:
        """Serve until a stop is asked for: uvicorn looks for one ten times a second, and `stop` waits for no look."""
        loop, ticking = asyncio.get_running_loop(), asyncio.ensure_future(super().main_loop())
        self._wake = lambda: loop.call_soon_threadsafe(ticking.cancel)
        await asyncio.wait({ticking})
        if not ticking.cancelled():
            ticking.result()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish what is being answered, for a while; what waits for its turn or its body is refused at once."""
        self._app.stop()
        await super().shutdown(sockets)
        if tasks := set(self.server_state.tasks):
            # They were cancelled; the end of the loop would cancel them once more, in the middle of their last word.
            await asyncio.wait(tasks, timeout=1)
