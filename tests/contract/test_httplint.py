"""A linter of HTTP that nobody here wrote looks at every answer that the server gives (experiment 90)."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import pytest
from httplint import HttpRequestLinter, HttpResponseLinter
from httplint.note import levels

from cabinet_sdk import Cabinet
from cabinet_sdk.contract import CONTRACT
from cabinet_sdk.transports import Headers, HttpxTransport, Request, Response
from cabinet_sdk.types import Money
from reference_server import Profile, RateLimit, World
from reference_server.limits import MAX_BODY, RateLimiter
from reference_server.testing import credentials, serve
from tests.conftest import OnClock
from tests.core.sample_area import add_file, sample_world
from tests.server.raw import token_for
from tests.wire.record import Recorder, story_of

NAMED = {
    "STATUS_BAD_REQUEST": "that is what was asked for",
}
"""What the linter warns of and may, with the reason; of what is BAD there is nothing."""

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


class Wire(Recorder):
    """A way to the server over HTTP that remembers every exchange."""

    def __init__(self, world: World) -> None:
        super().__init__(OnClock(HttpxTransport(environment=False), world.clock))

    def ask(self, method: str, url: str, headers: dict[str, str] | None = None, content: bytes = b"") -> Response:
        """Send what a client would not."""
        fields = Headers((headers or {}).items())
        return self.send(Request(method=method, url=url, headers=fields, content=content))


@pytest.fixture
def served(world: World) -> Iterator[tuple[str, Wire]]:
    """The world over HTTP: where it is, and a way there."""
    with serve(world) as url:
        wire = Wire(world)
        yield url, wire
        wire.close()


def findings(request: Request, response: Response) -> list[str]:
    """Return what the linter has against an exchange."""
    asked, answered = HttpRequestLinter(), None
    asked.process_request_topline(request.method.encode(), request.url.encode(), b"HTTP/1.1")
    # What the transport adds to each request, and a test that passes by it does not see.
    agent = () if "user-agent" in request.headers else ((b"user-agent", b"test"),)
    asked.process_headers([*agent, *_raw(request.headers)])
    asked.finish_content(complete=True)
    answered = HttpResponseLinter(_related=asked, no_content=request.method == "HEAD")
    answered.process_response_topline(b"HTTP/1.1", str(response.status).encode(), b"")
    answered.process_headers(_raw(response.headers))
    answered.feed_content(response.content)
    answered.finish_content(complete=True)
    return [
        f"{note.level.value} {type(note).__name__}: {request.method} {request.url} {response.status}: {note.summary}"
        for note in (*asked.notes, *answered.notes)
        if note.level is levels.BAD or (note.level is levels.WARN and type(note).__name__ not in NAMED)
    ]


def _raw(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.pairs()]


@pytest.mark.feature("EX-01")
@pytest.mark.parametrize("area", sorted({row.area for row in CONTRACT}))
def test_90_every_row(world: World, person: Profile, served: tuple[str, Wire], area: str) -> None:
    """The linter has nothing against one call of each row, in request and answer."""
    url, wire = served
    with Cabinet(url, credentials(world, person), transport=wire) as cabinet:
        told = {row.id for row in story_of(area)(world, cabinet)}

    assert told == {row.id for row in CONTRACT if row.area == area}
    assert [finding for exchange in wire.seen for finding in findings(*exchange)] == []


@pytest.mark.feature("EX-01")
def test_90_every_kind_of_problem(world: World, person: Profile, served: tuple[str, Wire]) -> None:
    """The linter has nothing against a refusal of any status."""
    url, wire = served
    world.limiter = RateLimiter(RateLimit(quota=100, window=60))
    charge = world.charges.add(person, Money("10.00"))
    signed = {"authorization": f"Bearer {token_for(world, person)}"}
    reading = {"authorization": f"Bearer {token_for(world, person, 'charges.read')}"}
    payments = f"{url}/charges/{charge.id}/payments"

    def pay(key: str, method: str = "sbp") -> Response:
        headers = {**signed, **JSON, "idempotency-key": f'"{key}"'}
        return wire.ask("POST", payments, headers, f'{{"method": "{method}"}}'.encode())

    wire.ask("GET", f"{url}/charges?colour=red", signed)
    wire.ask("POST", payments, {**signed, **JSON}, b"{")
    wire.ask("GET", f"{url}/charges")
    wire.ask("GET", f"{url}/charges", {"authorization": "Bearer nobody"})
    wire.ask("POST", payments, {**reading, **JSON, "idempotency-key": '"a"'}, b'{"method": "sbp"}')
    wire.ask("GET", f"{url}/charges/chg_none", signed)
    wire.ask("GET", f"{url}/nothing", signed)
    wire.ask("PUT", f"{url}/charges", signed)
    wire.ask("OPTIONS", f"{url}/charges", signed)
    wire.ask("GET", f"{url}/charges", {**signed, "accept": "text/html"})
    wire.ask("POST", payments, {**signed, "content-type": "text/plain"}, b"all")
    wire.ask("POST", payments, {**signed, **JSON}, b" " * (MAX_BODY + 1))
    world.faults.crash("charges.pay")
    pay("crashes")
    pay("pays")
    pay("pays")
    pay("pays", method="bank_card")
    pay("nothing-due")
    world.faults.refuse("charges.list", retry_after=3)
    wire.ask("GET", f"{url}/charges", signed)
    wire.ask("POST", f"{url}/oauth/token", FORM, b"grant_type=password")
    wire.ask("POST", f"{url}/oauth/token", FORM, b"grant_type=client_credentials&client_id=a&client_secret=b")
    wire.ask("GET", f"{url}/oauth/token")
    while wire.ask("GET", f"{url}/charges", signed).status != 429:
        pass

    statuses = {response.status for _, response in wire.seen}
    assert statuses == {200, 201, 400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 429, 500, 503}
    assert [finding for exchange in wire.seen for finding in findings(*exchange)] == []


@pytest.mark.feature("EX-01")
def test_90_files(world: World, served: tuple[str, Wire]) -> None:
    """The linter has nothing against a download, whole, in part, known already, and without a body."""
    person = sample_world(world)
    signed = {"authorization": f"Bearer {token_for(world, person)}"}
    url, wire = served
    content = f"{url}/samples/{add_file(b'0123456789', 'файл.txt', 'text/plain; charset=utf-8')}/content"

    whole = wire.ask("GET", content, signed)
    for method in ("GET", "HEAD"):
        for asked in (
            {},
            {"range": "bytes=2-5"},
            {"range": "bytes=2-5", "if-range": whole.headers["etag"]},
            {"range": "bytes=99-"},
            {"if-none-match": whole.headers["etag"]},
        ):
            wire.ask(method, content, {**signed, **asked})

    assert {response.status for _, response in wire.seen} == {200, 206, 304, 416}
    assert [finding for exchange in wire.seen for finding in findings(*exchange)] == []


@pytest.mark.feature("EX-01")
def test_90_pages(world: World, person: Profile, served: tuple[str, Wire]) -> None:
    """The linter has nothing against the pages for people, and HEAD brings the headers of GET."""
    url, wire = served
    root = url.removesuffix("/v1")
    world.charges.add(person, Money("10.00"))

    for path in (
        *("/", "/style.css", "/healthz", "/openapi.json", "/problems", "/problems/charges.nothing_due"),
        *("/problems/nothing", "/clock", "/faults", "/requests", f"/profiles/{person.id}", "/nothing"),
    ):
        got, head = (wire.ask(method, f"{root}{path}") for method in ("GET", "HEAD"))
        assert (head.status, head.headers["content-length"]) == (got.status, got.headers["content-length"]), path
        wire.ask("OPTIONS", f"{root}{path}")
        wire.ask("DELETE", f"{root}{path}")

    assert {response.status for _, response in wire.seen} == {200, 404, 405}
    assert [finding for exchange in wire.seen for finding in findings(*exchange)] == []


def test_the_linter_sees_what_is_wrong(served: tuple[str, Wire]) -> None:
    """An answer that is not as long as it says, and a header that cannot be read, are found."""
    url, wire = served
    response = wire.ask("GET", f"{url}/nothing")
    wrong = Headers((("content-length", "1"), ("cache-control", "max-age=x")))

    assert len(findings(wire.seen[0][0], attrs.evolve(response, headers=wrong))) > 1
