"""
A real browser for tests: Chromium, driven over a pipe with its own protocol (CDP), without any library.

Nothing polls: each command waits for its answer, and going somewhere for the page's load event.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import selectors
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from itertools import count
from pathlib import Path
from typing import Any, final

__all__ = ["EXECUTABLE", "Browser", "browser"]

EXECUTABLE = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""Where Chromium is; None where it is not installed."""

_SECONDS = 60

_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--remote-debugging-pipe",
)


@final
class Browser:
    """
    One page of a browser.

    Args:
        commands: Where commands are written.
        answers: Where answers and events come from.
    """

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = answers
        self._numbers = count(1)
        self._buffer = b""
        self._events: list[str] = []
        self._session: str | None = None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.send("Page.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:  # Any: JSON
        """Send a command and return its result."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            came = self._next()
            if came.get("id") == number:
                assert "error" not in came, came
                result: dict[str, Any] = came["result"]
                return result
            self._events.append(came.get("method", ""))

    def go(self, url: str) -> None:
        """Open an address and wait until the page is loaded."""
        with self.leaving():
            self.send("Page.navigate", url=url)

    @contextlib.contextmanager
    def leaving(self) -> Generator[None]:
        """Wait at the end until the page to which the body has led is loaded."""
        self._events.clear()
        yield
        while "Page.loadEventFired" not in self._events:
            self._events.append(self._next().get("method", ""))

    def run(self, script: str) -> Any:  # Any: whatever the script returns, as JSON
        """Run a script in the page as if from the console of the browser; return its value."""
        done = self.send("Runtime.evaluate", expression=script, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def fill(self, action: str, **fields: str) -> None:
        """Fill the fields of the form with that address, submit it as its button would, and wait for what comes."""
        with self.leaving():
            self.run(
                f"(() => {{ const form = document.querySelector('form[action$=\"{action}\"]');"
                f" for (const [name, value] of Object.entries({json.dumps(fields)})) form.elements[name].value = value;"
                " form.requestSubmit(); })()"
            )

    def resize(self, width: int, *, dark: bool = False) -> None:
        """Look through a window of that width."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.send("Emulation.setEmulatedMedia", features=scheme)

    def picture(self, file: Path) -> None:
        """Keep a picture of the whole page."""
        done = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(done["data"]))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            with selectors.DefaultSelector() as selector:
                selector.register(self._answers, selectors.EVENT_READ)
                assert selector.select(_SECONDS), "the browser says nothing"
            piece = os.read(self._answers, 1 << 16)
            assert piece, "the browser is gone"
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message


@contextlib.contextmanager
def browser() -> Generator[Browser]:
    """Run a browser; it ends with the context."""
    assert EXECUTABLE is not None
    from_us, to_it = os.pipe()
    from_it, to_us = os.pipe()
    with contextlib.ExitStack() as stack:
        for end in (to_it, from_it):
            stack.callback(os.close, end)
        home = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        # The protocol's pipes are file descriptors 3 and 4, whatever ours are; the shell puts them there.
        process = subprocess.Popen(
            ["/bin/sh", "-c", f'exec "$@" 3<&{from_us} 4>&{to_us}', "sh", EXECUTABLE, *_OPTIONS, f"--user-data-dir={home}"],
            pass_fds=(from_us, to_us),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(from_us)
        os.close(to_us)
        stack.callback(process.wait, 30)
        stack.callback(process.kill)
        yield Browser(to_it, from_it)
