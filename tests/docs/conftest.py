"""What the tests of documentation and examples share."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import final

import attrs
import pytest

from reference_server import World
from reference_server.testing import serve
from tests.docs.blocks import ROOT
from tests.docs.browser import Browser, chromium
from tests.docs.clocks import LeapingClock


@pytest.fixture
def seeded_world() -> Iterator[World]:
    """Return a world of made-up people whose clock leaps."""
    world = World.seeded(clock=LeapingClock())
    yield world
    world.close()


@pytest.fixture
def served_url(seeded_world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the address of that world on a socket, without the base path."""
    # A proxy of the environment could not reach this machine.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve(seeded_world) as url:
        yield url.removesuffix("/v1")


@final
@attrs.frozen
class Site:
    """
    The site as it was built for this run.

    Attributes:
        folder: Where its pages are.
        warnings: What Sphinx had to say.
        succeeded: Whether it was built.
    """

    folder: Path
    warnings: str
    succeeded: bool


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Build the site as ``make docs`` does, in a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    options = ["-W", "--keep-going", "-n", "-q", "-b", "html", "-d", str(folder / "doctrees")]
    run = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, "docs", str(folder / "html")],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return Site(folder / "html", run.stderr, run.returncode == 0)


@final
class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the parent's name
        """Say nothing."""


@pytest.fixture(scope="session")
def site_url(site: Site) -> Iterator[str]:
    """Return the address under which the site is served on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site.folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Return a browser with one page."""
    program = chromium()
    if program is None:
        pytest.skip("there is no Chromium on this machine")
    with Browser(program, tmp_path_factory.mktemp("chromium")) as opened:
        yield opened
