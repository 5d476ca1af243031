"""
Have sqlmap try every query, path and body parameter of every operation of a served world.

    python tools/injection.py [--sqlmap PROGRAM] [--level N] [--only ROW]

What is asked is what the stories of the samples ask (`tests/wire`), and the next page of each list. A service that does
have a hole is tried first, with the same options: where sqlmap does not find that one, nothing it says counts.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import final
from urllib.parse import parse_qs, urlsplit

import attrs

from cabinet_sdk import Cabinet
from cabinet_sdk.contract import CONTRACT
from cabinet_sdk.transports import InProcessTransport, Request
from reference_server import World
from reference_server.testing import BASE_URL, credentials, serve
from tests.server.raw import token_for
from tests.wire.record import Recorder, story_of
from tools.kill_sweep import expect
from tools.nightly import SKIPPED

# Each request is a new one: a key that was used would have the payloads refused before they are looked at.
_NEW_KEY = "import uuid;_locals['auxHeaders']['Idempotency-Key']=str(uuid.uuid4())"
_TRIED = re.compile(r"(?:WARNING\] |INFO\] )(.*parameter '[^']*') (?:does not seem to be|is .*) injectable")
_ANSWERS = re.compile(r"- (\d+) times")


@final
@attrs.frozen
class Target:
    """A request whose parameters are tried."""

    row: str
    request: Request

    def text(self, host: str, token: str) -> str:
        """Return it as sqlmap reads it; what of the path is a parameter is marked by an asterisk."""
        parts = urlsplit(self.request.url.removeprefix(BASE_URL))
        template = CONTRACT[self.row].path.split("/")
        steps = (
            f"{step}*" if name.startswith("{") else step
            for name, step in zip(template, parts.path.split("/"), strict=True)
        )
        path = "/v1" + "/".join(steps) + (f"?{parts.query}" if parts.query else "")
        body = self.request.content if isinstance(self.request.content, bytes) else b""
        head = [f"{self.request.method} {path} HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {token}"]
        if body:
            head += ["Content-Type: application/json", "Idempotency-Key: one"]
        return "\r\n".join([*head, "", body.decode()])


def targets(world: World) -> Iterator[Target]:
    """Tell every story in a world, and go through what is asked: a request of each row, the next page of lists."""
    person = world.profiles.add("Иванова Мария Петровна")
    recorder = Recorder(InProcessTransport(world.respond, sleep=world.clock.sleep, now=world.clock.monotonic))
    with Cabinet(BASE_URL, credentials(world, person), transport=recorder) as cabinet:
        for area in sorted({row.area for row in CONTRACT}):
            for row in story_of(area)(world, cabinet):
                request, response = recorder.seen[-1]
                yield Target(row.id, request)
                link = response.headers.get("link")
                if link is not None:
                    path = link[len("<") : link.index(">")].removeprefix(urlsplit(BASE_URL).path)
                    yield Target(row.id, attrs.evolve(request, url=f"{BASE_URL}{path}"))


def sqlmap(program: str, options: Sequence[str], folder: Path) -> tuple[bool, set[str], str]:
    """Run sqlmap; return whether it found something, which parameters it tried, and what it said."""
    command = [program, "--batch", "--disable-coloring", "--flush-session", "--dbms=sqlite", "--ignore-code=*"]
    # Older ones take what is no terminal for a list of targets, in place of the request.
    command.append("--ignore-stdin")
    command += [f"--output-dir={folder / 'out'}", "--threads=2", *options]
    # The program is the one that the caller names.
    done = subprocess.run(  # noqa: S603
        command,
        env=os.environ | {"SQLMAP_UNSAFE_EVAL": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    found = "identified the following injection point" in said
    expect(found or "all tested parameters do not appear to be injectable" in said, said[-2000:])
    return found, set(_TRIED.findall(said)), said


@contextmanager
def hole() -> Generator[str]:
    """Serve a table by a statement that is put together from what comes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # its name is the base class's
            asked = parse_qs(urlsplit(self.path).query).get("kind", [""])[0]
            with closing(sqlite3.connect(":memory:")) as connection:
                connection.execute("CREATE TABLE charges AS SELECT 'fine' AS kind, 100 AS amount")
                try:
                    # The hole is what this is for.
                    rows = connection.execute(f"SELECT amount FROM charges WHERE kind = '{asked}'").fetchall()  # noqa: S608
                    status = 200
                except sqlite3.Error:
                    rows, status = [], 500
            content = repr(rows).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name is the base class's
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/charges?kind=fine"
        finally:
            server.shutdown()
            thread.join()


def main(arguments: Sequence[str] | None = None) -> int:
    """Try all of it; return how many requests have a hole."""
    parser = argparse.ArgumentParser(description="Have sqlmap try every parameter of a served world.")
    parser.add_argument("--sqlmap", default="sqlmap", help="the program, where it is not on the path")
    parser.add_argument("--level", type=int, default=3)
    parser.add_argument("--only", choices=[row.id for row in CONTRACT])
    options = parser.parse_args(arguments)
    if shutil.which(options.sqlmap) is None:
        print("injection: skipped, sqlmap is not installed (pip install sqlmap)")
        return SKIPPED
    with tempfile.TemporaryDirectory() as name, closing(World()) as world:
        folder = Path(name)
        level = [f"--level={options.level}", "--risk=1"]
        with hole() as url:
            found, _, said = sqlmap(options.sqlmap, ["-u", url, "--technique=BEU", *level], folder)
            expect(found, f"sqlmap does not find the hole that is there: {said[-2000:]}")
        asked = [each for each in targets(world) if options.only in {None, each.row}]
        token = token_for(world, world.profiles.all()[0])
        started = time.monotonic()
        holes = parameters = refused = 0
        with serve(world) as url:
            for target in asked:
                file = folder / "request.txt"
                file.write_bytes(target.text(urlsplit(url).netloc, token).encode())
                keys = [] if target.request.method == "GET" else [f"--eval={_NEW_KEY}"]
                found, tried, said = sqlmap(options.sqlmap, ["-r", str(file), *level, *keys], folder)
                print(f"{target.row}: {'INJECTABLE' if found else 'nothing'} in {', '.join(sorted(tried))}", flush=True)
                if found:
                    print(said)
                holes, parameters = holes + found, parameters + len(tried)
                refused += sum(map(int, _ANSWERS.findall(said)))
    seconds = time.monotonic() - started
    print(
        f"injection: {len(asked)} requests, {parameters} parameters, {refused} refusals, {holes} holes, {seconds:.0f} s"
    )
    return holes


if __name__ == "__main__":
    sys.exit(main())
