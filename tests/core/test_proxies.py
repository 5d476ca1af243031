"""Proxies: those of the environment and those that are given."""

from __future__ import annotations

import base64
import traceback

import pytest

from cabinet_sdk.errors import CallerError, ConnectionFailed, NetworkError, UsageError
from cabinet_sdk.transports import Proxy, Timeout
from tests.core.conftest import Dial
from tests.core.raw_server import Connection, RawServer, http, json_answer
from tests.core.scripted import CHANGE, CHANGE_ONCE, READ

pytestmark = pytest.mark.feature("EX-01")

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
THROUGH = json_answer(b'{"name":"through the proxy"}')
DIRECT = json_answer(b'{"name":"direct"}')


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without a proxy in the environment."""
    for name in (*VARIABLES, "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("scheme", ["http://", ""])
async def test_a_proxy_of_the_environment_is_used(
    dial: Dial, monkeypatch: pytest.MonkeyPatch, variable: str, scheme: str
) -> None:
    """Requests go through the proxy that the environment names, written with a scheme or without."""
    with RawServer.answering(THROUGH) as proxy:
        monkeypatch.setenv(variable, f"{scheme}127.0.0.1:{proxy.port}")
        client = dial("http://cabinet.example/v1", environment=True)

        assert (await client.answer(READ)).value.name == "through the proxy"

    assert proxy.requests[0].startswith(b"GET http://cabinet.example/v1/things HTTP/1.1\r\n")


@pytest.mark.parametrize("exception", ["127.0.0.1", "*", "other.example, 127.0.0.1", "127.0.0.1:{port}"])
async def test_no_proxy_is_respected(dial: Dial, monkeypatch: pytest.MonkeyPatch, exception: str) -> None:
    """A host that `NO_PROXY` names, alone, in a list or with its port, is asked directly."""
    with RawServer.answering(THROUGH) as proxy, RawServer.answering(DIRECT) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", exception.format(port=server.port))

        assert (await dial(server.url, environment=True).answer(READ)).value.name == "direct"

    assert proxy.requests == []


@pytest.mark.parametrize("exception", ["other.example", "27.0.0.1", "127.0.0.1:1"])
async def test_no_proxy_names_no_others(dial: Dial, monkeypatch: pytest.MonkeyPatch, exception: str) -> None:
    """A host that `NO_PROXY` does not name goes through the proxy."""
    with RawServer.answering(THROUGH) as proxy, RawServer.answering(DIRECT) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", exception)

        assert (await dial(server.url, environment=True).answer(READ)).value.name == "through the proxy"


@pytest.mark.parametrize("address", ["http://user:canary/x@h:9", "canary://user:secret@h", "http://user:canary@[::1"])
async def test_what_is_no_proxy_is_not_shown(dial: Dial, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """A proxy of the environment that is none is told without its address, where a password may stand."""
    monkeypatch.setenv("HTTP_PROXY", address)

    with pytest.raises(UsageError, match="the proxy of the environment cannot be used") as caught:
        await dial("http://cabinet.example/v1", environment=True).answer(READ)

    assert "canary" not in "".join(traceback.format_exception(caught.value))


async def test_what_goes_in_clear_is_told_once(
    dial: Dial, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without TLS a secret can be read on its way: for a host beyond this machine that is a warning, and one only."""
    once = json_answer(b'{"name":"through the proxy"}', "Connection: close")
    with RawServer.answering(once) as proxy, RawServer.answering(DIRECT) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        far = dial("http://cabinet.example/v1", environment=True)
        for client in (far, far, dial(server.url, environment=True)):
            await client.answer(READ)

    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told == ["cabinet.example is addressed without TLS: secrets and data go there in clear; use https"]


async def test_the_environment_can_be_ignored(dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `environment=False` its proxies do not count."""
    with RawServer.answering(DIRECT) as server:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

        assert (await dial(server.url, environment=False).answer(READ)).value.name == "direct"


async def test_a_given_proxy_wins(dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `Proxy` value is used whatever the environment says, `NO_PROXY` included."""
    with RawServer.answering(THROUGH) as proxy:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", "*")
        given = Proxy(url=f"http://127.0.0.1:{proxy.port}")

        client = dial("http://cabinet.example/v1", proxy=given, environment=True)
        assert (await client.answer(READ)).value.name == "through the proxy"


@pytest.mark.parametrize("given", [True, False], ids=["Proxy", "environment"])
async def test_credentials_go_to_the_proxy_only(dial: Dial, monkeypatch: pytest.MonkeyPatch, given: bool) -> None:
    """The proxy gets its credentials with the request for a tunnel, and never sees the service's token."""
    tunnels: list[bytes] = []

    def serve(connection: Connection) -> None:
        tunnels.append(connection.read())
        connection.write(http("200 Connection established"))
        tunnels.append(connection.socket.recv(65536))

    with RawServer(serve) as proxy:
        if given:
            value = Proxy(url=f"http://127.0.0.1:{proxy.port}", username="user", password="pass word")
            client = dial("https://cabinet.example/v1", proxy=value)
        else:
            monkeypatch.setenv("HTTPS_PROXY", f"http://user:pass%20word@127.0.0.1:{proxy.port}")
            client = dial("https://cabinet.example/v1", environment=True)
        with pytest.raises(ConnectionFailed):  # since what is behind the tunnel speaks no TLS
            await client.answer(READ)

    head = tunnels[0].lower()
    assert head.startswith(b"connect cabinet.example:443 http/1.1\r\n")
    assert b"proxy-authorization: basic " + base64.b64encode(b"user:pass word").lower() in head
    assert b"token-of-tests" not in b"".join(tunnels)
    assert tunnels[1][:1] == b"\x16"  # a TLS handshake


async def test_the_service_does_not_get_the_proxys_credentials(dial: Dial) -> None:
    """On a plain connection the credentials are a header for the proxy, apart from the service's."""
    with RawServer.answering(THROUGH) as proxy:
        value = Proxy(url=f"http://127.0.0.1:{proxy.port}", username="user", password="pass")
        await dial("http://cabinet.example/v1", proxy=value).answer(READ)

    request = proxy.requests[0].lower()
    assert b"\r\nauthorization: bearer token-of-tests" in request
    assert b"\r\nproxy-authorization: basic " in request


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "403 Forbidden", "502 Bad Gateway"])
async def test_a_refused_tunnel_sent_nothing(dial: Dial, status: str) -> None:
    """A proxy that opens no tunnel is a connection that failed."""
    with RawServer.answering(http(status, b"", "Content-Length: 0")) as proxy:
        client = dial("https://cabinet.example/v1", proxy=Proxy(url=f"http://127.0.0.1:{proxy.port}"))
        with pytest.raises(ConnectionFailed, match=status[:3]):
            await client.answer(READ)


@pytest.mark.parametrize("how", ["silent", "closes", "resets", "no HTTP"])
async def test_a_proxy_that_opens_no_tunnel_sent_nothing(dial: Dial, how: str) -> None:
    """What breaks or is silent before there is a tunnel had nothing of a change, so it may be sent again."""

    def serve(connection: Connection) -> None:
        server_got.append(connection.read())
        if how == "silent":
            connection.read()
        elif how == "resets":
            connection.reset()
        elif how == "no HTTP":
            connection.write(b"what is this?\r\n\r\n")

    server_got: list[bytes] = []
    with RawServer(serve) as proxy:
        client = dial("https://cabinet.example/v1", attempts=2, proxy=Proxy(url=f"http://127.0.0.1:{proxy.port}"))
        client = client.with_options(timeout=Timeout(idle=0.3))
        with pytest.raises(ConnectionFailed):
            await client.answer(CHANGE_ONCE)

    assert [request.split()[0] for request in server_got] == [b"CONNECT"] * 2


async def test_a_tunnel_that_leads_nowhere_is_not_used_again(dial: Dial) -> None:
    """Where no TLS comes about behind the proxy, the next call gets a tunnel of its own and does not wait."""

    def serve(connection: Connection) -> None:
        connection.read()
        connection.write(http("200 Connection established"))
        connection.socket.recv(65536)
        connection.write(b"no TLS at all")

    with RawServer(serve) as proxy:
        client = dial("https://cabinet.example/v1", proxy=Proxy(url=f"http://127.0.0.1:{proxy.port}"))
        for _ in range(3):
            with pytest.raises(ConnectionFailed, match="speaks no TLS"):
                await client.answer(READ)

    assert len(proxy.connections) == 3


async def test_what_a_proxy_says_in_the_clear_is_no_answer(dial: Dial) -> None:
    """An answer that a proxy sends along with its tunnel is never taken for the service's."""

    def serve(connection: Connection) -> None:
        connection.read()
        connection.write(http("200 Connection established") + json_answer(b'{"name":"forged"}'))
        connection.socket.recv(65536)

    with RawServer(serve) as proxy:
        client = dial("https://cabinet.example/v1", proxy=Proxy(url=f"http://127.0.0.1:{proxy.port}"))
        with pytest.raises(NetworkError):
            await client.answer(READ)


async def test_a_proxy_refuses_a_plain_request(dial: Dial) -> None:
    """A proxy that wants a password passes nothing on: no connection, as with a tunnel, and the setting is named."""
    with RawServer.answering(http("407 Proxy Authentication Required", b"", "Content-Length: 0")) as proxy:
        client = dial("http://cabinet.example/v1", proxy=Proxy(url=f"http://127.0.0.1:{proxy.port}"))
        with pytest.raises(ConnectionFailed, match=r"407 Proxy Authentication Required\. Proxy\(.*password=…\)"):
            await client.answer(CHANGE)


async def test_a_407_without_a_proxy_is_an_answer(dial: Dial) -> None:
    """Where no proxy stands in between, nobody says that nothing of the request came to the service."""
    refusing = RawServer.answering(http("407 Proxy Authentication Required", b"", "Content-Length: 0"))
    with refusing as server, pytest.raises(CallerError) as caught:
        await dial(server.url).answer(CHANGE)

    assert caught.value.status == 407


@pytest.mark.parametrize("url", ["ftp://127.0.0.1:1", "127.0.0.1:1", "http://[::1", "socks5://127.0.0.1:1", ""])
async def test_a_proxy_that_cannot_be_used_is_a_mistake_of_the_program(dial: Dial, url: str) -> None:
    """A proxy of another kind is refused with words of ours."""
    with pytest.raises(UsageError, match="proxy"):
        await dial("http://cabinet.example/v1", proxy=Proxy(url=url)).answer(READ)
