"""The console in a real browser."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cabinet_sdk.types import Money
from reference_server import World
from reference_server.testing import connect, serve
from tests.docs.browser import Browser, chromium
from tests.server.console import HOSTILE

PAGES = ("/", "/requests", "/faults", "/clock", "/problems", "/problems/request.invalid")


@pytest.mark.slow
@pytest.mark.skipif(chromium() is None, reason="Chromium is not installed")
def test_in_a_browser(world: World, tmp_path: Path) -> None:
    """In Chromium forms work without a script, another site's page moves nothing, and a phone needs no scrolling."""
    with (
        serve(world) as base,
        Browser(chromium() or "", tmp_path) as browser,
        other_site(f"{base.removesuffix('/v1')}/clock") as foreign,
    ):
        url = base.removesuffix("/v1")
        browser.size(390, 844)
        browser.open(f"{url}/")
        browser.submit("/profiles", name=HOSTILE, kind="person")
        (person,) = world.profiles.all()
        browser.submit("/charges", amount="много", purpose="Проверка")
        # The field to mend gets the focus a moment after the page is there.
        browser.wait_until("document.activeElement.name === 'amount'")
        kept = browser.run("document.activeElement.value")
        browser.submit("/charges", amount="1 500,50", purpose=HOSTILE)
        (charge,) = connect(world, person).charges.list()
        world.charges.add(person, Money("1.00"), purpose="Ш" * 210)
        card = browser.run("document.querySelector('h1').textContent")
        browser.submit("/credit", amount="500.50")

        before = world.clock.now()
        browser.open(foreign)
        browser.submit("/clock", number="9", unit="days")
        answer = browser.run("document.body.textContent")
        browser.open(f"{url}/clock")
        browser.submit("/clock", number="3", unit="days")

        pages = [*PAGES, f"/profiles/{person.id}", f"/profiles/{person.id}/charges/{charge.id}"]
        wide = [page for page in pages if too_wide(browser, f"{url}{page}")]
        clipped = [page for page in pages if is_clipped(browser, f"{url}{page}")]
        nameless = [page for page in pages if unlabelled(browser, f"{url}{page}")]

    assert clipped == []
    assert kept == "много"
    assert card == HOSTILE
    assert connect(world, person).charges.get(charge.id).paid == Money("500.50")
    assert "came from another site" in answer
    assert world.clock.now() - before == dt.timedelta(days=3)
    assert wide == []
    assert nameless == []


def too_wide(browser: Browser, url: str) -> bool:
    """Say whether a page is wider than a phone."""
    browser.open(url)
    wide: bool = browser.run("document.documentElement.scrollWidth > 390")
    return wide


def is_clipped(browser: Browser, url: str) -> bool:
    """Say whether a table of a page is wider than its place on a phone."""
    browser.open(url)
    found: bool = browser.run(
        "[...document.querySelectorAll('.scroll')].some(each => each.scrollWidth > each.clientWidth)"
    )
    return found


def unlabelled(browser: Browser, url: str) -> bool:
    """Say whether a field of a page has no name for a screen reader, or an id stands twice."""
    browser.open(url)
    found: bool = browser.run(
        "[...document.querySelectorAll('input:not([type=hidden]), select')].some(each => !each.labels.length)"
        " || new Set([...document.querySelectorAll('[id]')].map(each => each.id)).size"
        " < document.querySelectorAll('[id]').length"
        " || document.querySelectorAll('h1').length !== 1"
    )
    return found


@contextlib.contextmanager
def other_site(victim: str) -> Generator[str]:
    """Serve a page of another origin with a form that goes to the victim."""
    form = f'<form method="post" action="{victim}"><input name="number"><input name="unit"></form>'

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(form.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the base class's
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()
        thread.join()
