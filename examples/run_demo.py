"""
Run the quickstart against a reference server of its own, over real HTTP.

The server is a separate process on a free port of this machine, with its data in memory; nothing of it stays but the
papers in build/demo.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent
READY = "Serving on "
PATIENCE = 30.0
"""Seconds that the server has to start, and again to stop."""


def main() -> int:
    """Start the server, run the quickstart, stop the server; return what the quickstart returned."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        # A file and not a pipe: a pipe that nobody empties would stop the server once it is full.
        with log.open("wb") as output:
            server = subprocess.Popen(
                [sys.executable, "-m", "reference_server", "--port", "0"], cwd=ROOT, stdout=output, stderr=output
            )
        try:
            url = wait_until_ready(server, log)
            papers = ROOT / "build" / "demo"
            papers.mkdir(parents=True, exist_ok=True)
            quickstart = [sys.executable, "-m", "examples.quickstart", url, str(papers.relative_to(ROOT))]
            return subprocess.run(quickstart, cwd=ROOT, env=without_proxy(), check=False).returncode
        except TimeoutError as error:
            print(error, log.read_text(encoding="utf-8", errors="replace"), sep="\n", file=sys.stderr)
            return 1
        finally:
            stop(server)


def wait_until_ready(server: subprocess.Popen[bytes], log: Path) -> str:
    """Read the server's address from its first line, and wait until it answers there."""
    end = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < end:
        first, newline, _ = log.read_text(encoding="utf-8", errors="replace").partition("\n")
        if newline and first.startswith(READY):
            url = first.removeprefix(READY).strip()
            try:
                if httpx.get(f"{url}/healthz", trust_env=False).is_success:
                    return url
            except httpx.TransportError:
                pass  # It announced itself a moment too early.
        time.sleep(0.05)
    msg = "The reference server did not start. It wrote:"
    raise TimeoutError(msg)


def stop(server: subprocess.Popen[bytes]) -> None:
    """Ask the server to finish, and insist if it does not."""
    server.terminate()
    try:
        server.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def without_proxy() -> dict[str, str]:
    """Exempt this machine from a proxy of the environment, which could not reach the server."""
    return os.environ | dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")


if __name__ == "__main__":
    sys.exit(main())
