"""How connections are made: trust, client certificates, proxies."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, final

import attrs

from cabinet_sdk._core.arguments import check_fields, check_text
from cabinet_sdk._core.wire import parts_of
from cabinet_sdk.errors import UsageError

__all__ = ["Proxy", "Tls", "is_proxy"]

# No SOCKS: the library below keeps no limit of time in its handshake, and tells of its errors by another library's.
_PROXY_SCHEMES = {"http", "https"}


@final
@attrs.frozen(kw_only=True)
class Tls:
    """
    Whom to trust, and who one is.

    Attributes:
        ca_file: PEM file of the authorities to trust instead of the usual ones, such as a corporate CA. By default the
            file that the environment variable ``SSL_CERT_FILE`` names, or else the bundle that comes with httpx.
        certificate: PEM file of the client's certificate with its chain, for services that ask for one.
        key: PEM file of its private key, where it is not in the same file.
        key_password: Of the private key; hidden in every repr.
        minimum_version: The oldest protocol to speak.
    """

    ca_file: str | Path | None = None
    certificate: str | Path | None = None
    key: str | Path | None = None
    key_password: str | None = attrs.field(default=None, repr=False)
    minimum_version: Literal["1.2", "1.3"] = "1.3"

    def __attrs_post_init__(self) -> None:
        check_fields("Tls()", self)


def is_proxy(url: str) -> bool:
    """Say whether it is the address of a proxy; where it is none, nobody knows which piece of it is the password."""
    parts = parts_of(url)
    if parts is None or parts.scheme not in _PROXY_SCHEMES or not parts.hostname or not url.isprintable():
        return False
    return parts.path in {"", "/"} and not parts.query and not parts.fragment


@final
@attrs.frozen(kw_only=True)
class Proxy:
    """
    A proxy to go through.

    Attributes:
        url: Such as ``http://proxy.example:3128``; ``https`` where the proxy itself speaks TLS. SOCKS is not spoken.
        username: Where the proxy asks for one.
        password: Hidden in every repr.
    """

    url: str
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        check_fields("Proxy()", self)
        for name in ("username", "password"):
            check_text(f"Proxy.{name}", getattr(self, name) or "")
        if "@" in self.url:
            msg = "Proxy.url is shown in logs: give the user and the password as `username` and `password`"
            raise UsageError(msg)
        if not is_proxy(self.url):
            msg = "Proxy.url is no address of an HTTP proxy such as http://proxy.example:3128"
            raise UsageError(msg)
