"""How connections are made: trust, client certificates, proxies."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, final

import attrs

from cabinet_sdk.errors import UsageError

__all__ = ["Proxy", "Tls"]


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


def _without_user(_: object, attribute: attrs.Attribute[str], value: str) -> None:
    if "@" in value.partition("://")[2].partition("/")[0]:
        msg = f"Proxy.{attribute.name} is shown in logs: give the user and the password as `username` and `password`"
        raise UsageError(msg)


@final
@attrs.frozen(kw_only=True)
class Proxy:
    """
    A proxy to go through.

    Attributes:
        url: Such as ``http://proxy.example:3128``.
        username: Where the proxy asks for one.
        password: Hidden in every repr.
    """

    url: str = attrs.field(validator=_without_user)
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
