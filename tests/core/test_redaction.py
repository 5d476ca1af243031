"""Canaries: nothing personal or secret is in a text, a repr, a pickle or a log."""

from __future__ import annotations

import io
import json
import logging
import pickle
import traceback
from collections.abc import Iterator
from contextlib import aclosing, closing

import httpx
import pytest

from cabinet_sdk import BearerToken, Cabinet, ClientCredentials, RetryPolicy
from cabinet_sdk._core.context import Options
from cabinet_sdk._core.redaction import shown_url
from cabinet_sdk.charges import ChargeId, PaymentMethod
from cabinet_sdk.errors import CabinetError, ConnectionLost, InvalidValue, UsageError
from cabinet_sdk.transports import AsyncHttpxTransport, Headers, HttpxTransport, Proxy, Request, Response, Tls
from cabinet_sdk.types import Inn
from tests.core.conftest import Dial, Play
from tests.core.raw_server import RawServer, http
from tests.core.scripted import CHANGE, READ, Script, Step, answer, html, ok, problem, thing, token

pytestmark = pytest.mark.feature("SE-01")

TOKEN = "canary-token-4711"
SECRET = "canary-secret-0815"
KEY = "canary-key-2342"
INN = "7707083893"
CURSOR = "canary-cursor-1234"
BODY = "canary-body-5678"
HEADER = "canary-header-9012"
CANARIES = (TOKEN, SECRET, INN, CURSOR, BODY, HEADER)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that any logger says at DEBUG."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.setLevel(level)
    root.removeHandler(handler)


def told(error: BaseException) -> str:
    """Return all that an error tells: its text, its repr, its pickle and its traceback."""
    pickled = pickle.dumps(error).decode("latin-1")
    return "\n".join([str(error), repr(error), pickled, *traceback.format_exception(error)])


def kept(error: BaseException) -> str:
    """Return besides what stands behind an error, also where a traceback leaves it out."""
    chain = [error]
    for one in chain:
        chain += [each for each in (one.__cause__, one.__context__) if each is not None and each not in chain]
    return told(error) + "".join(map(repr, chain))


def assert_no_canary(text: str, *more: str) -> None:
    """Fail when one of the canaries sings."""
    assert [canary for canary in (*CANARIES, *more) if canary in text] == []


ENDS: dict[str, Step] = {
    "good": thing(BODY, ("Link", f"<?cursor={CURSOR}&payee_inn={INN}>; rel=next"), ("Set-Cookie", HEADER)),
    "problem": problem(400, "request.invalid", ("X-Secret", HEADER), secret={"a": BODY}),
    "rejected token": problem(401, "sign_in.token_invalid", ("WWW-Authenticate", HEADER)),
    "HTML": answer(502, f"<html>{BODY}{INN}</html>".encode(), "text/html"),
    "HTML 200": answer(200, f"<html>{BODY}{INN}</html>".encode(), "text/html"),
    "wrong type": ok({"name": {"a": BODY}, "inn": INN}),
    "cut": answer(200, f'{{"name": "{BODY}'.encode(), "application/json"),
    "redirect": answer(302, b"", None, [("Location", f"https://evil.example/?token={CURSOR}")]),
    "lost": ConnectionLost("cut"),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
async def test_no_canary_in_errors_and_logs(play: Play, log: io.StringIO, end: Step) -> None:
    """Whatever a call ends with, its error and the log at DEBUG hold no token, secret, query or body."""
    script = Script(end, tokens=[token(TOKEN)])
    client = play(script, ClientCredentials("client", SECRET)).with_options(headers={"X-Secret": HEADER})
    texts: list[str] = []

    for row in (READ, CHANGE):
        try:
            texts.append(repr(await client.with_options(idempotency_key=KEY).answer(row, payee_inn=INN)))
        except CabinetError as error:
            texts.append(told(error))
    texts += [repr(one) for one in (*script.requests, *script.token_requests, client)]

    assert_no_canary("\n".join([*texts, log.getvalue()]))
    assert KEY not in log.getvalue() + "".join(map(repr, script.requests))
    assert "things.read attempt 1: GET https://cabinet.example/v1/things?payee_inn=hidden" in log.getvalue()


@pytest.mark.parametrize("end", [problem(404, "request.not_found"), ConnectionLost("cut")], ids=["refused", "lost"])
async def test_no_token_in_what_a_tool_shows_of_frames(play: Play, end: Step) -> None:
    """Tools that show the locals of each frame of a traceback show neither the token nor the client's secret."""
    client = play(Script(end, tokens=[token(TOKEN)]), ClientCredentials("client", SECRET))
    with pytest.raises(CabinetError) as caught:
        await client.answer(CHANGE)

    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "authorization" in shown
    assert [each for each in (TOKEN, SECRET) if each in shown] == []


async def test_no_canary_when_signing_in_fails(play: Play, log: io.StringIO) -> None:
    """A refused sign-in shows neither the secret nor what the endpoint said besides its code and text."""
    refused = answer(401, f'{{"error": "invalid_client", "trace": "{BODY}"}}'.encode(), "application/json")

    for outcome in (refused, html(403), html(200), ConnectionLost("cut")):
        with pytest.raises(CabinetError) as caught:
            await play(Script(thing(), tokens=[outcome]), ClientCredentials("client", SECRET)).answer(READ)
        assert_no_canary(told(caught.value), "Basic ")

    assert_no_canary(log.getvalue(), "Basic ")


@pytest.mark.parametrize("status", [200, 302, 404, 500])
async def test_what_headers_say_is_short_and_one_line(play: Play, status: int) -> None:
    """A request id, a media type and a coding of any content make no long text and no second line."""
    said = "a\x85root: b\x9b2J"
    for odd in (said, "x" * 90_000):
        response = answer(status, b"<html>", f"text/{odd}", [("x-request-id", odd)])

        with pytest.raises(CabinetError) as caught:
            await play(Script(response), retry=RetryPolicy(attempts=1)).answer(READ)

        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 500
        assert caught.value.request_id is not None
        assert "root" not in caught.value.request_id


async def test_a_coding_of_any_name_is_short_and_one_line(dial: Dial) -> None:
    """So is what a transport says of an answer that it cannot read."""
    for odd in ("gz\x85ip", "x" * 20_000):
        coded = http("200 OK", b"", f"Content-Encoding: {odd}", f"X-Request-Id: {odd}")
        with RawServer.answering(coded) as server, pytest.raises(CabinetError) as caught:
            await dial(server.url).answer(READ)

        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 500


async def test_a_service_writes_no_lines_into_a_log(play: Play) -> None:
    """What a service says of a problem or a sign-in is one line of text that can be printed."""
    said = "a\nroot: b\x1b[2J\u202e\ud800"
    problems = problem(400, said, title=said, detail=said, errors=[{"field": said, "code": said, "message": said}])
    refused = answer(
        401, json.dumps({"error": "invalid_client", "error_description": said}).encode(), "application/json"
    )

    for client in (
        play(Script(problems)),
        play(Script(thing(), tokens=[refused]), ClientCredentials("client", SECRET)),
    ):
        with pytest.raises(CabinetError) as caught:
            await client.answer(READ)
        assert "a root: b [2J" in str(caught.value)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("value", [f"{HEADER} ", f"\t{HEADER}", f"{HEADER}\x00", f"{HEADER} Ж"])
async def test_no_header_that_cannot_be_sent_is_shown(value: str) -> None:
    """What HTTP cannot carry in a header is our error, without the value, also where nobody has looked at it before."""
    with RawServer.answering(http("200 OK", b"{}")) as server:
        request = Request(method="GET", url=server.url, headers=Headers([("x-secret", value)]))
        with closing(HttpxTransport(environment=False)) as sync, pytest.raises(UsageError) as one:
            sync.send(request)
        async with aclosing(AsyncHttpxTransport(environment=False)) as asynchronous:
            with pytest.raises(UsageError) as other:
                await asynchronous.send(request)

    for caught in (one.value, other.value):
        assert str(caught).startswith("the request cannot be sent: ")
        assert_no_canary(str(caught) + repr(caught) + "".join(traceback.format_exception(caught)))


async def test_no_canary_over_a_socket(dial: Dial, log: io.StringIO) -> None:
    """With every logger at DEBUG, those of the HTTP library too, no secret of a request is logged."""
    link = f'Link: </v1/things?payee_inn={INN}&cursor={CURSOR}>; rel="next"'
    said = http(
        "200 OK", b'{"name":"' + BODY.encode() + b'"}', "Content-Type: application/json", "Connection: close", link
    )
    with RawServer.answering(said) as server:
        client = dial(server.url).with_options(headers={"X-Secret": HEADER}, idempotency_key=KEY)
        await client.answer(READ, payee_inn=INN)
        await client.answer(CHANGE, payee_inn=INN)

    assert_no_canary(log.getvalue(), KEY, "token-of-tests")


BROKEN = {
    "header": f"HTTP/1.1 200 OK\r\nLink : <?payee_inn={INN}>\r\n\r\n",
    "status": f"HTTP/1.1 {TOKEN}\r\n\r\n",
    "chunk": f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{BODY}\r\n",
}


@pytest.mark.parametrize("said", BROKEN.values(), ids=BROKEN.keys())
async def test_no_canary_of_an_answer_that_breaks_http(dial: Dial, log: io.StringIO, said: str) -> None:
    """What cannot be read as HTTP stands in no text, traceback or log, of an answer and of a stream."""
    with RawServer.answering(said.encode()) as server:
        client = dial(server.url)
        with pytest.raises(CabinetError, match="broke: illegal") as caught:
            await client.answer(READ)

    assert_no_canary(told(caught.value) + log.getvalue())


async def test_other_users_of_the_http_library_keep_their_log(log: io.StringIO) -> None:
    """Only exchanges of this library are hushed."""
    with RawServer.answering(http("200 OK", b"", "X-Mine: seen")) as server:
        async with httpx.AsyncClient(trust_env=False) as foreign:
            await foreign.get(server.url)

    assert "seen" in log.getvalue()


async def test_a_path_is_shown_and_a_key_is_told_on_purpose(play: Play, log: io.StringIO) -> None:
    """The log shows the path with its id; an unknown outcome tells the operation id that reconciling needs."""
    client = play(Script(ConnectionLost("cut"))).with_options(idempotency_key=KEY)

    with pytest.raises(CabinetError) as caught:
        await client.charges.pay(ChargeId("chg_1"), method=PaymentMethod.SBP)

    assert "/v1/charges/chg_1/payments" in log.getvalue()
    assert KEY in str(caught.value)
    assert KEY not in log.getvalue()


def test_requests_and_answers_show_what_is_allowed() -> None:
    """The reprs of the wire's values show method, path, allowed headers and sizes, and hide the rest."""
    headers = Headers([("Authorization", TOKEN), ("Content-Type", "application/json"), ("X-New", HEADER)])
    request = Request(
        method="GET",
        url=f"https://u:{SECRET}@h/v1/x?kind=tax&inn={INN}#{CURSOR}",
        headers=headers,
        content=BODY.encode(),
    )
    response = Response(status=200, headers=headers, content=BODY.encode())

    shown = f"{request!r} {response!r} {headers!r} {BearerToken(TOKEN)!r} {ClientCredentials('c', SECRET)!r}"

    assert_no_canary(shown)
    assert "GET https://h/v1/x?kind=tax&inn=hidden" in shown
    assert "'content-type': 'application/json'" in shown


PROXIES = [
    f"http://user:{SECRET}/x@127.0.0.1:9",
    f"http://user:{SECRET}?x@127.0.0.1:9",
    f"http://user:{SECRET}#x@127.0.0.1:9",
    f"http://user:4711/{SECRET}@127.0.0.1:9",
    f"http://user:pass {SECRET}@127.0.0.1:port",
    f"http://user:{SECRET}@127.0.0.1:99999",
    f"http://user:{SECRET}@[::1",
    f"http://user:[{SECRET}@127.0.0.1:9",
    f"http://user:{SECRET}@:9",
    f"http://user:{SECRET}@{'é' * 80}:9",
    f"http://user:{SECRET}\n@127.0.0.1:9",
    f" http://user:{SECRET}@127.0.0.1:9",
    f"http:/user:{SECRET}@127.0.0.1:9",
    f"user:{SECRET}/x@127.0.0.1:9",
    f"user:{SECRET}://127.0.0.1:9",
    f"ftp://user:{SECRET}@127.0.0.1:9",
    f"socks5://user:{SECRET}@127.0.0.1:9",
]


@pytest.mark.parametrize("url", PROXIES)
async def test_no_canary_of_a_proxy(dial: Dial, log: io.StringIO, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """An address of a proxy that cannot be used shows no piece of its password, of the environment or given."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name.lower(), url)
    monkeypatch.setenv("NO_PROXY", f"user:{SECRET}@[::1,*.example:port")

    for scheme in ("http", "https"):
        with pytest.raises(UsageError, match="proxy") as caught:
            await dial(f"{scheme}://cabinet.example/v1", environment=True).answer(READ)
        assert_no_canary(kept(caught.value) + log.getvalue())
    with pytest.raises(UsageError, match="Proxy") as caught:
        Proxy(url=url)
    assert_no_canary(kept(caught.value))


@pytest.mark.parametrize("place", [f"user:{SECRET}@[::1", f"user:{SECRET}", f"[{SECRET}", f"u:{SECRET}@h"])
async def test_no_canary_of_an_address(play: Play, place: str) -> None:
    """A base URL and a next page that are no addresses show no piece of what stands in place of one."""
    with pytest.raises(UsageError) as refused:
        Cabinet(f"https://{place}/v1")
    with pytest.raises(CabinetError) as caught:
        _ = [one async for one in play(Script(ok([], ("Link", f"<https://{place}/>; rel=next")))).charges.list()]

    assert_no_canary(kept(refused.value) + kept(caught.value))


def test_headers_of_a_caller_are_hidden() -> None:
    """What a tool that shows locals makes of the options of a view holds no value of a header."""
    assert_no_canary(repr(Options(headers=(("x-secret", HEADER),))))


def test_secrets_of_the_connection_are_hidden() -> None:
    """The passwords of a key and of a proxy are in no repr."""
    assert_no_canary(f"{Tls(key_password=SECRET)!r} {Proxy(url='http://p:1', username='u', password=SECRET)!r}")


@pytest.mark.parametrize("url", ["", "//", "https://[::1]:1/a?b", "https://h/%zz?%zz=%zz", "a?b=c&b=d&&=", "?"])
def test_any_address_can_be_shown(url: str) -> None:
    """An address of any form is shown without failing, its values hidden."""
    assert "c&" not in shown_url(url)


def test_a_whole_value_stays_in_the_process() -> None:
    """A wrong identifier is masked in the text, whole as an attribute, and not in a pickle."""
    wrong = INN[:-1] + "4"

    with pytest.raises(InvalidValue) as caught:
        Inn(wrong)

    assert caught.value.value == wrong
    assert wrong not in told(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).value is None  # noqa: S301  # our own bytes
