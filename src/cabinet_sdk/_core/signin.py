"""
Signing in: what a client knows to get a token, and the flow that gets one.

One token is fetched at a time for all threads and tasks of a client and its views.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any, TypeAlias, cast, final
from urllib.parse import quote, urlencode

import attrs

from cabinet_sdk._core.arguments import check_text
from cabinet_sdk._core.flow import AsyncLock, Flow, Lock, acquire, release
from cabinet_sdk._core.per_process import PerProcess
from cabinet_sdk._core.problems import object_in, problem_of
from cabinet_sdk._core.redaction import Secret, printable
from cabinet_sdk._core.wire import Headers, Request, Response
from cabinet_sdk.errors import DeadlineExceeded, InvalidValue, SignInRefused, UnreadableAnswer

__all__ = ["BearerToken", "ClientCredentials", "Credentials", "Send", "SignIn"]

_TOKEN = re.compile(r"[!-~]+", re.ASCII)
# A token is renewed this long before it expires, so that it does not expire on the way.
_MARGIN = 30.0
# Beyond any lifetime that is meant.
_FOREVER = 1e12


def _masked(_: str) -> str:
    return "…"


def _token_form(_: object, attribute: attrs.Attribute[str], value: str) -> None:
    # RFC 6750 2.1. Anything else could not be sent, or would end the header and begin another. Of another
    # kind it is refused as below.
    if isinstance(value, str) and not _TOKEN.fullmatch(value):  # pyright: ignore[reportUnnecessaryIsInstance]  # no checker
        raise InvalidValue(f"BearerToken.{attribute.name}", "characters", "printable ASCII without spaces", value)


def _text(_: object, attribute: attrs.Attribute[Any], value: str | tuple[str, ...] | None) -> None:  # Any: its type
    # Of another kind it is refused by whoever takes the credentials.
    for text in value if isinstance(value, tuple) else (value,):
        if isinstance(text, str):
            check_text(f"credentials.{attribute.name}", text)


@final
@attrs.frozen
class ClientCredentials:
    """
    A client id and its secret (OAuth 2.0 client credentials, RFC 6749 4.4); the client fetches and renews the token.

    Attributes:
        client_id: As issued.
        client_secret: As issued; hidden in every repr.
        scope: Permission codes to ask for, such as ``charges.read``; empty asks for all that the client has.
    """

    client_id: str = attrs.field(validator=_text)
    client_secret: str = attrs.field(repr=_masked, validator=_text)
    scope: tuple[str, ...] = attrs.field(default=(), validator=_text)


@final
@attrs.frozen
class BearerToken:
    """
    A token that somebody else fetched; the client uses it as it is.

    Attributes:
        value: The token; hidden in every repr.
        client_id: Whose it is. A client with a journal needs it, since the token itself does not tell and another one
            will have taken its place by the time that an operation is resumed.
    """

    value: str = attrs.field(repr=_masked, validator=_token_form)
    client_id: str | None = attrs.field(default=None, validator=_text)


Credentials: TypeAlias = ClientCredentials | BearerToken
"""What a client signs in with."""

Send: TypeAlias = Callable[[Request], Flow[Response]]
"""Sends a request with retries, within the deadline of the call that needs the token."""


@final
class SignIn:
    """The token of one client, fetched when first needed."""

    def __init__(
        self, credentials: Credentials | None, token_url: str, new_lock: Callable[[], Lock | AsyncLock]
    ) -> None:
        self._credentials = credentials
        self._token_url = token_url
        self._lock = PerProcess(new_lock)
        self._authorization: str | None = None
        self._expires_at = float("inf")
        if isinstance(credentials, BearerToken):
            self._authorization = Secret(f"Bearer {credentials.value}")

    @property
    def client_id(self) -> str:
        """Whose token it is; empty without credentials."""
        return "" if self._credentials is None else self._credentials.client_id or ""

    def current(self, now: float) -> str | None:
        """Return the `Authorization` to send, None where a token has to be fetched first."""
        return self._authorization if now < self._expires_at else None

    @property
    def renewable(self) -> bool:
        """Whether a new token can be fetched."""
        return isinstance(self._credentials, ClientCredentials)

    def refused(self, authorization: str) -> None:
        """Forget a token that the service refused, unless another call has replaced it already."""
        if self.renewable and self._authorization == authorization:
            self._authorization = None

    def renew(
        self,
        send: Send,
        now: Callable[[], float],
        remaining: Callable[[], float | None],
    ) -> Flow[str | None]:
        """
        Fetch a token unless another call just has; return the `Authorization`, None without credentials.

        Raises:
            DeadlineExceeded: Another call has been fetching it for all that remained of this call's time.
        """
        if not isinstance(self._credentials, ClientCredentials):
            return self._authorization
        lock, taken = self._lock.get(), False
        try:
            taken = yield from acquire(lock, remaining())
            if not taken:
                message = "Another call is fetching the token and did not get it before this call's deadline."
                raise DeadlineExceeded(message)
            authorization = self.current(now())
            if authorization is None:
                asked_at = now()
                response = yield from send(self._token_request(self._credentials))
                token, lifetime = _token_of(response)
                authorization = self._authorization = Secret(f"Bearer {token}")
                # A token shorter-lived than twice the margin is used for half its life.
                self._expires_at = asked_at + max(lifetime - _MARGIN, lifetime / 2)
            return authorization
        finally:
            release(lock, taken=taken)

    def _token_request(self, credentials: ClientCredentials) -> Request:
        form = {"grant_type": "client_credentials"}
        if credentials.scope:
            form["scope"] = " ".join(credentials.scope)
        # RFC 6749 2.3.1: both are form-encoded before they are joined.
        pair = f"{quote(credentials.client_id, safe='')}:{quote(credentials.client_secret, safe='')}"
        authorization = Secret(f"Basic {base64.b64encode(pair.encode()).decode()}")
        return Request(
            method="POST",
            url=self._token_url,
            headers=Headers(
                (
                    ("accept", "application/json"),
                    ("authorization", authorization),
                    ("content-type", "application/x-www-form-urlencoded"),
                )
            ),
            content=urlencode(form).encode(),
        )


def _token_of(response: Response) -> tuple[str, float]:
    request_id = response.request_id
    document = object_in(response.content) or {}
    code = document.get("error")
    if response.status >= 400 and isinstance(code, str):
        description = document.get("error_description")
        raise SignInRefused(
            printable(description) if isinstance(description, str) else None,
            members={"error": code},
            status=response.status,
            request_id=request_id,
            operation="sign_in.token",
        )
    if response.status >= 400:
        raise problem_of(response, "sign_in.token", None)
    token, lifetime = document.get("access_token"), document.get("expires_in", 3600)
    if not _is_token(token) or type(lifetime) not in {int, float} or not 0 <= lifetime < _FOREVER:
        message = "The token endpoint answered without a usable access_token and expires_in."
        raise UnreadableAnswer(message, status=response.status, request_id=request_id, operation="sign_in.token")
    return cast("str", token), float(lifetime)


def _is_token(value: object) -> bool:
    # What a header can carry; RFC 6750 2.1 allows less, services send more.
    return isinstance(value, str) and value.isascii() and value.isprintable() and value.strip() == value != ""
