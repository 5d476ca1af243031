"""TLS: whom the transports trust, and who they are; certificates are made by the `openssl` program."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

import attrs
import pytest

from cabinet_sdk import AsyncCabinet
from cabinet_sdk.errors import (
    CabinetError,
    CallerError,
    ConnectionFailed,
    ConnectionLost,
    DeadlineExceeded,
    NetworkError,
    UsageError,
)
from cabinet_sdk.transports import Proxy, Tls
from tests.core.conftest import Dial
from tests.core.raw_server import Connection, RawServer, http, json_answer, out_of_time
from tests.core.scripted import CHANGE, CHANGE_ONCE, READ

OPENSSL = shutil.which("openssl")

ResultT = TypeVar("ResultT")

pytestmark = [
    pytest.mark.feature("SE-01"),
    pytest.mark.skipif(OPENSSL is None, reason="the program openssl makes the certificates"),
]


@attrs.frozen
class Certificates:
    """PEM files of an authority and of what it issued."""

    folder: Path

    def file(self, name: str) -> Path:
        """Return a certificate or, with ``.key``, its private key."""
        return self.folder / name

    def context(self, name: str) -> ssl.SSLContext:
        """Return what a server of that certificate speaks TLS with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file(f"{name}.pem"), self.file(f"{name}.key"))
        return context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Make an authority, servers of the right and of a wrong name, an expired one, and a client."""
    folder = tmp_path_factory.mktemp("certificates")

    def run(*arguments: str) -> None:
        subprocess.run([OPENSSL or "openssl", *arguments], cwd=folder, check=True, capture_output=True)

    def key(name: str) -> tuple[str, ...]:
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key")

    for name, subject in (("ca", "/CN=Test CA"), ("self", "/CN=127.0.0.1")):
        run(
            *("req", "-x509", *key(name), "-out", f"{name}.pem", "-days", "2", "-subj", subject),
            *(("-addext", "subjectAltName=IP:127.0.0.1") if name == "self" else ()),
            *(("-addext", "keyUsage=critical,keyCertSign") if name == "ca" else ()),
        )
    names = {"right": "IP:127.0.0.1", "wrong": "DNS:other.example", "expired": "IP:127.0.0.1", "client": "DNS:client"}
    for name, alternative in names.items():
        (folder / f"{name}.ext").write_text(
            f"subjectAltName={alternative}\nauthorityKeyIdentifier=keyid\nkeyUsage=digitalSignature\n", encoding="ascii"
        )
        run("req", *key(name), "-out", f"{name}.csr", "-subj", f"/CN={name}")
        run(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-out", f"{name}.pem", "-extfile", f"{name}.ext", "-days", "-1" if name == "expired" else "2"),
        )
    # A name in the subject alone, as before RFC 2818.
    run("req", *key("subject"), "-out", "subject.csr", "-subj", "/CN=localhost")
    run(
        *("x509", "-req", "-in", "subject.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
        *("-out", "subject.pem", "-days", "2"),
    )
    run("ec", "-in", "client.key", "-aes256", "-passout", "pass:open sesame", "-out", "locked.key")
    return Certificates(folder)


async def test_ones_own_authority_is_trusted(dial: Dial, certificates: Certificates) -> None:
    """With a corporate CA in `Tls` its servers are trusted."""
    with serving(certificates, "right") as server:
        client = dial(server.url, tls=Tls(ca_file=certificates.file("ca.pem")))

        assert (await client.answer(READ)).value.name == "a thing"

    assert server.failures == []


def serving(certificates: Certificates, name: str, **options: object) -> RawServer:
    """Return a server that answers over TLS with that certificate."""
    context = certificates.context(name)
    version = options.pop("version", None)
    if isinstance(version, ssl.TLSVersion):
        # What is that old has no cipher that OpenSSL takes for safe.
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
    for option, value in options.items():
        setattr(context, option, value)
    if options.get("verify_mode"):
        context.load_verify_locations(certificates.file("ca.pem"))
    peers: list[str] = []

    def serve(connection: Connection) -> None:
        assert isinstance(connection.socket, ssl.SSLSocket)
        while request := connection.read():
            server.requests.append(request)
            peers.append(str((connection.socket.getpeercert() or {}).get("subject")))
            connection.write(json_answer(b'{"name":"%s"}' % (b"client" if "client" in peers[-1] else b"a thing")))

    server = RawServer(serve, tls=context)
    return server


UNTRUSTED: dict[str, tuple[str, str | None]] = {
    "self-signed": ("self", "ca.pem"),
    "authority unknown": ("right", None),
    "wrong name": ("wrong", "ca.pem"),
    "expired": ("expired", "ca.pem"),
}


@pytest.mark.parametrize("name, ca", UNTRUSTED.values(), ids=UNTRUSTED.keys())
async def test_who_is_not_trusted_gets_nothing(
    dial: Dial, certificates: Certificates, name: str, ca: str | None
) -> None:
    """
    Experiment 48: self-signed, unknown, misnamed and expired servers are refused before a byte of the request.

    Where it is the authority that nobody knows, the error names the setting for it.
    """
    with serving(certificates, name) as server:
        client = dial(server.url, tls=Tls(ca_file=certificates.file(ca)) if ca else None)
        for row in (READ, CHANGE):
            with pytest.raises(ConnectionFailed, match=r"(?i)certificate") as caught:
                await client.answer(row)
            assert ("Tls(ca_file=…)" in str(caught.value)) is (name in {"self", "right"})

    assert server.requests == []


async def test_a_name_in_the_subject_alone_is_none(dial: Dial, certificates: Certificates) -> None:
    """A certificate is whose its `subjectAltName` says (RFC 9525 6.3); without one it is nobody's."""
    with serving(certificates, "subject") as server:
        client = dial(server.url.replace("127.0.0.1", "localhost"), tls=Tls(ca_file=certificates.file("ca.pem")))
        with pytest.raises(ConnectionFailed, match=r"(?i)certificate"):
            await client.answer(READ)

    assert server.requests == []


async def test_a_certificate_may_be_trusted_itself(dial: Dial, certificates: Certificates) -> None:
    """A self-signed certificate is trusted where it is named as the authority."""
    with serving(certificates, "self") as server:
        client = dial(server.url, tls=Tls(ca_file=str(certificates.file("self.pem"))))

        assert (await client.answer(READ)).value.name == "a thing"


@pytest.mark.parametrize("key", ["client.key", "locked.key"])
async def test_the_client_shows_its_certificate(dial: Dial, certificates: Certificates, key: str) -> None:
    """A service that asks for a client's certificate gets the one in `Tls`, its key locked or not."""
    with serving(certificates, "right", verify_mode=ssl.CERT_REQUIRED) as server:
        tls = Tls(
            ca_file=certificates.file("ca.pem"),
            certificate=certificates.file("client.pem"),
            key=certificates.file(key),
            key_password="open sesame" if key == "locked.key" else None,
        )

        assert (await dial(server.url, tls=tls).answer(READ)).value.name == "client"


@pytest.mark.parametrize("minimum", ["1.3", "1.2"])
async def test_a_client_without_its_certificate_is_refused(
    dial: Dial, certificates: Certificates, minimum: Literal["1.2", "1.3"]
) -> None:
    """A service that gets no certificate breaks the connection: a network error of ours, which names the setting."""
    version = None if minimum == "1.3" else ssl.TLSVersion.TLSv1_2
    options = {} if version is None else {"maximum_version": version}
    tls = Tls(ca_file=certificates.file("ca.pem"), minimum_version=minimum)
    refusing = serving(certificates, "right", verify_mode=ssl.CERT_REQUIRED, **options)
    with refusing as server, pytest.raises(NetworkError, match=r"Tls\(certificate=…\)"):
        await dial(server.url, tls=tls).answer(READ)

    assert server.requests == []


async def test_a_connection_that_breaks_off_may_have_wanted_a_certificate(
    dial: Dial, certificates: Certificates
) -> None:
    """Some services say nothing to a client without a certificate; one that shows its own is told nothing of it."""

    def serve(connection: Connection) -> None:
        connection.read()

    own = Tls(ca_file=certificates.file("ca.pem"))
    with RawServer(serve, tls=certificates.context("right")) as server:
        with pytest.raises(ConnectionLost, match=r"may do this: Tls\(certificate=…\)"):
            await dial(server.url, tls=own).answer(READ)
        shown = attrs.evolve(own, certificate=certificates.file("client.pem"), key=certificates.file("client.key"))
        with pytest.raises(ConnectionLost) as caught:
            await dial(server.url, tls=shown).answer(READ)

    assert "Tls" not in str(caught.value)


@pytest.mark.parametrize("minimum, works", [("1.3", False), ("1.2", True)])
async def test_old_protocols_are_refused(
    dial: Dial,
    certificates: Certificates,
    minimum: Literal["1.2", "1.3"],
    works: bool,
) -> None:
    """A service that speaks TLS 1.2 only is refused unless `Tls` allows it."""
    with serving(certificates, "right", maximum_version=ssl.TLSVersion.TLSv1_2) as server:
        client = dial(server.url, tls=Tls(ca_file=certificates.file("ca.pem"), minimum_version=minimum))
        if works:
            assert (await client.answer(READ)).value.name == "a thing"
        else:
            with pytest.raises(ConnectionFailed):
                await client.answer(READ)


@pytest.mark.filterwarnings("ignore:.*TLSv1.* is deprecated:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=["1.0", "1.1"])
async def test_tls_1_0_and_1_1_are_refused(dial: Dial, certificates: Certificates, version: ssl.TLSVersion) -> None:
    """Experiment 48: a service that speaks nothing newer than TLS 1.1 is refused, whatever may happen without it."""
    tls = Tls(ca_file=certificates.file("ca.pem"))
    with serving(certificates, "right", version=version) as server:
        # It does speak it, to whoever takes it.
        old = ssl.create_default_context(cafile=certificates.file("ca.pem"))
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = ssl.TLSVersion.TLSv1
        with (
            socket.create_connection(("127.0.0.1", server.port), timeout=60) as plain,
            old.wrap_socket(plain, server_hostname="127.0.0.1") as spoken,
        ):
            assert spoken.version() == {"TLSv1": "TLSv1", "TLSv1_1": "TLSv1.1"}[version.name]
        for row in (READ, CHANGE):
            with pytest.raises(ConnectionFailed, match=r"(?i)tls|protocol|ssl"):
                await dial(server.url, tls=tls).answer(row)

    assert server.requests == []
    assert len(server.failures) == 2


async def test_plain_http_is_no_fallback(dial: Dial, certificates: Certificates) -> None:
    """A server that answers an https address in the clear gets no request."""

    def serve(connection: Connection) -> None:
        server.requests.append(connection.socket.recv(65536))
        connection.write(json_answer())

    with RawServer(serve) as server:
        client = dial(server.url.replace("http:", "https:"), tls=Tls(ca_file=certificates.file("ca.pem")))
        with pytest.raises((ConnectionFailed, ConnectionLost)):
            await client.answer(READ)

    assert not any(b"/v1" in request for request in server.requests)


FILES: dict[str, tuple[dict[str, str], str]] = {
    "ca_file": ({"ca_file": "missing.pem"}, r"Tls\.ca_file cannot be used: .*No such file.*missing\.pem"),
    "ca_file that is none": ({"ca_file": "client.key"}, r"Tls\.ca_file cannot be used: "),
    "certificate": ({"certificate": "missing.pem"}, r"Tls\.certificate cannot be used: .*No such file.*missing\.pem"),
    "key": (
        {"certificate": "client.pem", "key": "missing.key"},
        r"Tls\.key cannot be used: .*No such file.*missing\.key",
    ),
    "key of another": (
        {"certificate": "client.pem", "key": "right.key"},
        r"Tls\.certificate with its key cannot be used",
    ),
    "key_password": (
        {"certificate": "client.pem", "key": "locked.key", "key_password": "wrong"},
        r"Tls\.certificate with its key cannot be used",
    ),
}


@pytest.mark.parametrize("files, message", FILES.values(), ids=FILES.keys())
async def test_files_that_cannot_be_used_are_a_mistake_of_the_program(
    dial: Dial, certificates: Certificates, files: dict[str, str], message: str
) -> None:
    """A file that is missing, or none of its kind, or a wrong password, is named as such and nothing is sent."""
    values: dict[str, Any] = {
        name: value if name == "key_password" else certificates.file(value) for name, value in files.items()
    }
    with pytest.raises(UsageError, match=message):
        await dial("https://127.0.0.1:9/v1", tls=Tls(**values)).answer(CHANGE)


async def test_a_bundle_of_the_environment_that_cannot_be_used_is_named(
    dial: Dial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no file of `Tls`."""
    # Another than in any other test: equal contexts are made once.
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))

    with pytest.raises(UsageError, match=r"^SSL_CERT_FILE cannot be used: .*No such file"):
        await dial("https://127.0.0.1:9/v1", tls=Tls(key_password="unused"), environment=True).answer(CHANGE)


@pytest.mark.parametrize("rounds", range(6))
async def test_a_connection_that_the_service_reset_is_not_used(
    dial: Dial, certificates: Certificates, rounds: int
) -> None:
    """However far the event loop has got with the news of it, a change goes by a connection of its own."""
    go, gone = threading.Event(), threading.Event()

    def serve(connection: Connection) -> None:
        connection.read()
        connection.write(json_answer())
        if connection.number == 0:
            go.wait(60)
            connection.reset()
            gone.set()

    with RawServer(serve, tls=certificates.context("right")) as server:
        client = dial(server.url, tls=Tls(ca_file=certificates.file("ca.pem")))
        await client.answer(READ)
        go.set()
        # In async mode the loop must see no more of it than it does in its rounds.
        gone.wait(60)
        for _ in range(rounds):
            await asyncio.sleep(0)

        assert (await client.answer(CHANGE_ONCE)).value.name == "a thing"

    assert len(server.connections) == 2


async def test_a_407_from_behind_a_tunnel_is_an_answer(dial: Dial, certificates: Certificates) -> None:
    """The service got the request: nobody says that it was not sent, and what must not be repeated is sent once."""
    requests: list[bytes] = []

    def serve(connection: Connection) -> None:
        connection.read()
        connection.write(http("200 Connection established"))
        connection.socket = certificates.context("right").wrap_socket(connection.socket, server_side=True)
        while request := connection.read():
            requests.append(request)
            connection.write(http("407 Proxy Authentication Required", b"", "Content-Length: 0"))

    with RawServer(serve) as proxy:
        client = dial(
            "https://127.0.0.1:1/v1",
            attempts=3,
            tls=Tls(ca_file=certificates.file("ca.pem")),
            proxy=Proxy(url=f"http://127.0.0.1:{proxy.port}"),
        )
        with pytest.raises(CallerError) as caught:
            await client.answer(CHANGE_ONCE)

    assert caught.value.status == 407
    assert len(requests) == 1


@pytest.mark.parametrize("proxied", [False, True], ids=["direct", "tunnel"])
async def test_a_call_that_connects_while_its_client_is_closed_sends_nothing(
    mode: str, dial: Dial, certificates: Certificates, proxied: bool
) -> None:
    """Once the client is closed, a connection that comes about only then is given nothing and closed."""
    loop = asyncio.get_running_loop()
    requests: list[bytes] = []
    ended = threading.Event()

    def serve(connection: Connection) -> None:
        if proxied:
            connection.read()
            connection.write(http("200 Connection established"))
        # What TLS begins with: the client has got that far, and waits.
        connection.socket.recv(1, socket.MSG_PEEK)
        closing = client.close()
        if mode == "async":
            asyncio.run_coroutine_threadsafe(closing, loop).result(60)
        connection.socket.settimeout(60)
        with suppress(OSError):
            connection.socket = certificates.context("right").wrap_socket(connection.socket, server_side=True)
            requests.append(connection.read())
        ended.set()

    with RawServer(serve) as server:
        proxy = Proxy(url=f"http://127.0.0.1:{server.port}") if proxied else None
        tls = Tls(ca_file=certificates.file("ca.pem"))
        client = dial(f"https://127.0.0.1:{server.port}/v1", tls=tls, proxy=proxy)
        with pytest.raises(UsageError, match="closed"):
            await client.answer(CHANGE_ONCE)

        assert await asyncio.to_thread(ended.wait, 60)
    assert not any(requests)


class TlsWithinTls:
    """The service's end of TLS that goes through a TLS connection: in place of a socket."""

    def __init__(self, outer: socket.socket, context: ssl.SSLContext) -> None:
        self._outer = outer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._do(self._tls.do_handshake)

    def _do(self, step: Callable[[], ResultT]) -> ResultT:
        while True:
            with suppress(ssl.SSLWantReadError):
                result = step()
                self._outer.sendall(self._outgoing.read())
                return result
            self._outer.sendall(self._outgoing.read())
            received = self._outer.recv(65536)
            self._incoming.write(received) if received else self._incoming.write_eof()

    def recv(self, size: int) -> bytes:
        """Return what comes, and nothing at the end."""
        with suppress(ssl.SSLEOFError):
            return self._do(lambda: self._tls.read(size))
        return b""

    def sendall(self, *contents: bytes) -> None:
        """Send each content as a record of its own, all of them at once."""
        for content in contents:
            self._tls.write(content)
        self._outer.sendall(self._outgoing.read())

    def shutdown(self, how: int) -> None:
        """End both."""
        self._outer.shutdown(how)

    def close(self) -> None:
        """Close both."""
        self._outer.close()


@pytest.fixture
def through_tls(certificates: Certificates) -> Callable[[Callable[[Connection], None]], RawServer]:
    """Return what serves behind a proxy that is spoken to over TLS."""

    def make(serve: Callable[[Connection], None]) -> RawServer:
        def tunnel(connection: Connection) -> None:
            connection.read()
            connection.write(http("200 Connection established"))
            inner: Any = TlsWithinTls(connection.socket, certificates.context("right"))  # Any: no whole socket
            connection.socket = inner
            connection.asked = False
            serve(connection)

        return RawServer(tunnel, tls=certificates.context("right"))

    return make


ThroughTls = Callable[[Callable[[Connection], None]], RawServer]


@pytest.fixture
def far(dial: Dial, certificates: Certificates) -> Callable[[RawServer], AsyncCabinet]:
    """Make clients that reach a service through such a proxy."""

    def make(server: RawServer) -> AsyncCabinet:
        tls = Tls(ca_file=certificates.file("ca.pem"))
        proxy = Proxy(url=f"https://127.0.0.1:{server.port}")
        return dial("https://127.0.0.1:1/v1", tls=tls, proxy=proxy, attempts=3)

    return make


Far = Callable[[RawServer], AsyncCabinet]


async def test_tls_through_a_proxy_over_tls(through_tls: ThroughTls, far: Far) -> None:
    """Calls go through both, one after another on one connection, however large what is sent and answered."""
    name = "я" * 200_000

    def serve(connection: Connection) -> None:
        while request := connection.read():
            server.requests.append(request)
            connection.write(json_answer(json.dumps({"name": name}).encode()))

    with through_tls(serve) as server:
        client = far(server)
        for row in (READ, CHANGE, READ):
            assert (await client.answer(row)).value.name == name

    assert len(server.connections) == 1
    assert len(server.requests) == 3


async def test_a_surplus_answer_through_a_proxy_over_tls_is_nobodys(through_tls: ThroughTls, far: Far) -> None:
    """What came with an answer, in a record of its own, is never taken for the answer to the next call."""

    def serve(connection: Connection) -> None:
        while connection.read():
            within: Any = connection.socket  # Any: it takes several records
            within.sendall(json_answer(b'{"name":"right"}'), json_answer(b'{"name":"surplus"}'))

    with through_tls(serve) as server:
        client = far(server)
        assert [(await client.answer(CHANGE)).value.name for _ in range(3)] == ["right"] * 3


@pytest.mark.parametrize("place", ["handshake", "answer"])
async def test_a_drip_through_a_proxy_over_tls_ends_with_the_deadline(
    certificates: Certificates, through_tls: ThroughTls, far: Far, place: str
) -> None:
    """A byte every 50 ms, of the handshake within or of an answer: the deadline of the call holds."""
    dripped: list[int] = []

    def drip_answer(connection: Connection) -> None:
        connection.read()
        connection.drip([b"x"] * 1200, 0.05)
        dripped.append(connection.number)

    def drip_handshake(connection: Connection) -> None:
        connection.read()
        connection.write(http("200 Connection established"))
        connection.socket.recv(65536)
        connection.asked = True
        # A record that is to be long, and so is never whole.
        connection.drip([b"\x16\x03\x03\x40\x00", *[b"x"] * 1200], 0.05)
        dripped.append(connection.number)

    if place == "answer":
        dripping = through_tls(drip_answer)
    else:
        dripping = RawServer(drip_handshake, tls=certificates.context("right"))
    with dripping as server:
        client = far(server)
        error, _ = await out_of_time(
            lambda seconds: client.with_options(deadline=seconds).answer(READ), CabinetError, server
        )
        assert not dripped

    assert isinstance(error, (DeadlineExceeded, NetworkError))


async def test_a_proxy_over_tls_that_ends_in_the_handshake_within_sent_nothing(
    certificates: Certificates, far: Far
) -> None:
    """It opens the tunnel and goes: nothing of the request was sent, so that a change too is tried again."""

    def serve(connection: Connection) -> None:
        connection.read()
        connection.write(http("200 Connection established"))
        connection.socket.recv(65536)

    with RawServer(serve, tls=certificates.context("right")) as server:
        for row in (READ, CHANGE_ONCE):
            with pytest.raises(ConnectionFailed, match=r"No connection to 127\.0\.0\.1:1 through the proxy") as caught:
                await far(server).answer(row)
            assert "argument" not in str(caught.value)

    assert len(server.connections) == 6


async def test_a_proxy_whose_tls_breaks_is_told_by_what_broke(certificates: Certificates, far: Far) -> None:
    """That TLS waited for more bytes is no reason."""

    def serve(connection: Connection) -> None:
        connection.read()
        connection.write(http("200 Connection established"))
        connection.socket.recv(65536)
        # Past its own TLS.
        with socket.socket(fileno=connection.socket.detach()) as bare:
            bare.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            bare.recv(65536)

    with RawServer(serve, tls=certificates.context("right")) as server, pytest.raises(ConnectionFailed) as caught:
        await far(server).answer(READ)

    assert "did not complete" not in str(caught.value)
