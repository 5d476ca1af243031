"""What the httpx transports say of a connection that fails: where to, and whether one side speaks TLS alone."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from cabinet_sdk import AsyncCabinet, BearerToken
from cabinet_sdk.errors import CallerError, ConnectionFailed, ConnectionLost, NetworkError, TimedOut, UsageError
from cabinet_sdk.transports import Proxy, Timeout
from tests.core.conftest import Dial
from tests.core.raw_server import Connection, RawServer, http, json_answer
from tests.core.scripted import READ
from tests.core.test_tls import OPENSSL

pytestmark = pytest.mark.feature("SE-06")


@pytest.fixture
def own_certificate(tmp_path: Path) -> ssl.SSLContext:
    """Return what a server speaks TLS with that signed its certificate itself."""
    made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", "key.pem", "-out", "own.pem", "-days", "2", "-subj", "/CN=127.0.0.1"]
    subprocess.run([OPENSSL or "openssl", *made, *files], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own.pem", tmp_path / "key.pem")
    return context


def closed_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def test_a_refused_connection_names_host_and_port(dial: Dial) -> None:
    """Host, port and the system's own reason are told; path and query are not."""
    port = closed_port()

    with pytest.raises(ConnectionFailed) as caught:
        await dial(f"http://127.0.0.1:{port}/secret/v1").answer(READ, payee_inn="7707083893")

    assert f"No connection to 127.0.0.1:{port}: [Errno " in caught.value.message
    assert "secret" not in str(caught.value)
    assert "7707083893" not in str(caught.value)


@pytest.mark.parametrize(
    "url, place", [("http://cabinet.invalid/v1", "cabinet.invalid:80"), ("https://[::1]:9/v1", "[::1]:9")]
)
async def test_the_port_is_named_where_the_address_has_none(dial: Dial, url: str, place: str) -> None:
    """The usual port of the scheme is told, and an IPv6 address stands in brackets."""
    with pytest.raises(ConnectionFailed) as caught:
        await dial(url).answer(READ)

    assert caught.value.message.startswith(f"No connection to {place}: ")


@pytest.mark.parametrize("place", [f"{'a' * 64}.example", "a..example", "127.0.0.1:99999"])
async def test_an_address_that_cannot_be_is_a_mistake_of_the_program(dial: Dial, place: str) -> None:
    """A name or a port that no host can have is refused with words of ours."""
    with pytest.raises(UsageError, match=r"the (request|base URL) cannot be (sent|read): "):
        await dial(f"http://{place}/v1").answer(READ)


async def test_a_proxy_is_named_without_its_user(dial: Dial) -> None:
    """Where a proxy stands between, both are told, and neither user nor password."""
    port = closed_port()
    proxy = Proxy(url=f"http://127.0.0.1:{port}", username="robot", password="hidden")

    with pytest.raises(ConnectionFailed) as caught:
        await dial("http://cabinet.example/v1", proxy=proxy).answer(READ)

    assert f"No connection to cabinet.example:80 through the proxy 127.0.0.1:{port}: " in caught.value.message
    assert "robot" not in str(caught.value)
    assert "hidden" not in str(caught.value)


async def test_a_broken_connection_names_host_and_port(dial: Dial) -> None:
    """The same of a connection that broke, with a word on TLS where the server said nothing at all."""
    with RawServer.answering(b"") as server, pytest.raises(ConnectionLost) as caught:
        await dial(server.url).answer(READ)

    assert f"The connection to 127.0.0.1:{server.port} broke: " in caught.value.message
    assert "A service that speaks TLS may do this to http://" in caught.value.message


async def test_a_broken_answer_is_no_sign_of_tls(dial: Dial) -> None:
    """A server that began to answer speaks HTTP, so that nothing is said of TLS."""
    with (
        RawServer.answering(http("200 OK", b"[", "Content-Length: 9")) as server,
        pytest.raises(ConnectionLost) as lost,
    ):
        await dial(server.url).answer(READ)

    assert "TLS" not in lost.value.message


def test_an_async_client_serves_one_event_loop() -> None:
    """In another loop its connections would be dead; the error says what to do."""
    answer = json_answer(b'{"name":"a thing"}', "Connection: close")
    with RawServer.answering(answer) as server:
        client = AsyncCabinet(server.url, BearerToken("a-token"))

        async def ask() -> str:
            return (await client.answer(READ)).value.name

        assert asyncio.run(ask()) == "a thing"
        with pytest.raises(UsageError, match=r"serves one event loop: make another one inside each asyncio\.run\(\)"):
            asyncio.run(ask())


def test_an_async_client_is_closed_in_its_event_loop() -> None:
    """Where it cannot give back its connections it says what to do, and its own loop may still close it."""
    with RawServer.answering(json_answer(b'{"name":"a thing"}')) as server, asyncio.Runner() as runner:
        client = AsyncCabinet(server.url, BearerToken("a-token"))
        runner.run(client.answer(READ))

        with pytest.raises(UsageError, match=r"make another one inside each asyncio\.run\(\), and close it there$"):
            asyncio.run(client.close())
        runner.run(client.close())
        asyncio.run(client.close())


async def test_a_timeout_names_host_and_port(dial: Dial) -> None:
    """The same of an answer that does not come."""

    def serve(connection: Connection) -> None:
        connection.read()
        connection.read()

    with RawServer(serve) as server, pytest.raises(TimedOut) as caught:
        await dial(server.url).with_options(timeout=Timeout(idle=0.05)).answer(READ)

    assert f"The answer of 127.0.0.1:{server.port} did not come" in caught.value.message


async def test_https_to_a_plain_server_is_said_in_words(dial: Dial) -> None:
    """Who asks for TLS and gets plain HTTP is told to look at the base URL."""

    def serve(connection: Connection) -> None:
        connection.socket.recv(65536)
        connection.write(http("400 Bad Request"))

    with RawServer(serve) as server, pytest.raises(NetworkError) as caught:
        await dial(server.url.replace("http:", "https:")).answer(READ)

    assert "What answers there speaks no TLS, perhaps plain HTTP: check scheme and port" in caught.value.message


async def test_an_alert_of_tls_is_said_in_words(dial: Dial) -> None:
    """Who speaks plain HTTP and gets an alert of TLS is told that the base URL has https://."""
    with RawServer.answering(b"\x15\x03\x01\x00\x02\x02\x46") as server, pytest.raises(ConnectionLost) as caught:
        await dial(server.url).answer(READ)

    assert "A service that speaks TLS may do this to http://" in caught.value.message


@pytest.mark.parametrize(
    "page",
    [
        b"<center>The plain HTTP request was sent to HTTPS port</center>",
        b"Client sent an HTTP request to an HTTPS server.\n",
        b"Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
    ],
    ids=["nginx", "Go", "Apache"],
)
async def test_a_page_about_tls_is_said_in_words(dial: Dial, page: bytes) -> None:
    """Gateways that answer plain HTTP on a port of TLS say so in a page; the error repeats it."""
    answer = http("400 Bad Request", page, f"Content-Length: {len(page)}")
    with RawServer.answering(answer) as server, pytest.raises(CallerError, match=r"try a base URL with https://\."):
        await dial(server.url).answer(READ)


@pytest.mark.skipif(OPENSSL is None, reason="the program openssl makes the certificate")
async def test_http_to_a_real_server_of_tls(dial: Dial, own_certificate: ssl.SSLContext) -> None:
    """However a real TLS server ends the connection, the error speaks of TLS."""
    with (
        RawServer(lambda connection: connection.write(json_answer()), tls=own_certificate) as server,
        pytest.raises(NetworkError, match="speaks TLS"),
    ):
        await dial(server.url.replace("https:", "http:")).answer(READ)

    assert server.requests == []
