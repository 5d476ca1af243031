"""
A real browser for tests: headless Chromium, driven through a pair of pipes by the DevTools protocol.

No driver and no port: what is needed is a Chromium on this machine.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

__all__ = ["Browser", "chromium"]

# Any: what travels is JSON of the protocol.

_PATIENCE = 30.0
# The browser reads from descriptor 3 and writes to 4; this puts the two that it inherits there and becomes the browser.
_START = "import os, sys; i, o, *c = sys.argv[1:]; os.dup2(int(i), 3); os.dup2(int(o), 4); os.execv(c[0], c)"
_SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


def chromium() -> str | None:
    """Return where Chromium is, None where this machine has none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@final
class Browser:
    """
    One page in a browser of its own; ``with`` ends it.

    Args:
        program: Where Chromium is.
        profile: An empty folder for what it keeps.
    """

    def __init__(self, program: str, profile: Path) -> None:
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        # High numbers, so that neither end lies where the other is to go.
        inherited = [_moved(to_browser), _moved(from_browser)]
        command = [
            sys.executable,
            "-c",
            _START,
            *map(str, inherited),
            program,
            *_SWITCHES,
            f"--user-data-dir={profile}",
        ]
        with (profile / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(command, pass_fds=inherited, stdout=log, stderr=log)
        for end in inherited:
            os.close(end)
        self._received = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._ask(f"{domain}.enable")

    def size(self, width: int, height: int, *, mobile: bool = False) -> None:
        """Set the size of the window."""
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def dark(self) -> None:
        """Prefer dark colours from now on."""
        self._ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])

    def open(self, url: str) -> None:
        """Open a page and wait until it has loaded."""
        self.events.clear()
        # Where only the fragment changes, nothing is loaded.
        if "loaderId" in self._ask("Page.navigate", url=url):
            self._wait_for("Page.loadEventFired")

    def click(self, text: str) -> None:
        """Click the first link in the article with this text, and wait until the page behind it has loaded."""
        self.events.clear()
        # After the answer, since the page that gives it is left.
        found = self.run(
            "(() => { const link = [...document.querySelectorAll('article a')]"
            f".find(each => each.innerText === {json.dumps(text)});"
            " if (link) setTimeout(() => link.click()); return !!link; })()"
        )
        assert found, f"no link says {text}"
        self._wait_for("Page.loadEventFired")

    def submit(self, action: str, **fields: str) -> None:
        """Fill the form whose address ends so, submit it as its button would, and wait for the page behind it."""
        self.events.clear()
        selector = json.dumps(f'form[action$="{action}"]')
        # After the answer, since the page that gives it is left.
        self.run(
            f"(() => {{ const form = document.querySelector({selector});"
            f" for (const [name, value] of Object.entries({json.dumps(fields)})) form.elements[name].value = value;"
            " setTimeout(() => form.requestSubmit()); })()"
        )
        self._wait_for("Page.loadEventFired")

    def run(self, script: str) -> Any:
        """Evaluate JavaScript in the page and return its value; a promise is waited for."""
        answer = self._ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def wait_until(self, condition: str) -> None:
        """Wait until a JavaScript expression is true."""
        found = self.run(
            f"new Promise(done => {{ const started = Date.now(); const look = () => {{ if ({condition}) done(true);"
            " else if (Date.now() - started > 20000) done(false); else setTimeout(look, 50); }; look(); })"
        )
        assert found, f"not within 20 s: {condition}"

    def picture(self, path: Path) -> None:
        """Take a picture of what the window shows."""
        path.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"]))

    def addresses(self) -> list[str]:
        """Return what the page has asked for."""
        sent = [event for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in sent]

    def complaints(self) -> list[str]:
        """Return the exceptions of the page, and what the browser had to say about it."""
        told = [event for event in self.events if event["method"] in {"Runtime.exceptionThrown", "Log.entryAdded"}]
        return [json.dumps(event["params"], ensure_ascii=False) for event in told]

    def close(self) -> None:
        """End the browser."""
        self._session = None
        if self._process.poll() is None:
            self._send("Browser.close", {})
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        os.close(self._write)
        os.close(self._read)

    def _ask(self, method: str, **params: Any) -> Any:
        number = self._send(method, params)
        while True:
            message = self._receive()
            if message.get("id") == number:
                if "error" in message:
                    raise AssertionError((method, message["error"]))
                return message["result"]
            if "method" in message:
                self.events.append(message)

    def _wait_for(self, method: str) -> None:
        while not any(event["method"] == method for event in self.events):
            message = self._receive()
            if "method" in message:
                self.events.append(message)

    def _send(self, method: str, params: dict[str, Any]) -> int:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        return self._number

    def _receive(self) -> dict[str, Any]:
        ends_at = time.monotonic() + _PATIENCE
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._read], [], [], max(0.0, ends_at - time.monotonic()))
            chunk = os.read(self._read, 1 << 20) if ready else b""
            if not chunk:
                raise AssertionError("the browser said nothing" if not ready else "the browser has ended")
            self._received += chunk
        message, _, self._received = self._received.partition(b"\0")
        decoded: dict[str, Any] = json.loads(message)
        return decoded

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _moved(descriptor: int) -> int:
    """Return the same end under a number above ten."""
    import fcntl  # noqa: PLC0415  # not there on Windows, where these tests are skipped

    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD, 10)
    os.close(descriptor)
    return moved
