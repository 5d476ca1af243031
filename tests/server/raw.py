"""Requests as they travel, for tests that say what a client would not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cabinet_sdk.transports import Headers, Request, Response
from reference_server import Profile, World
from reference_server.testing import BASE_URL

__all__ = ["Raw", "document", "token_for"]


def token_for(world: World, profile: Profile, scope: str | None = None) -> str:
    """Return a token for a profile."""
    form = f"grant_type=client_credentials&client_id={profile.id}&client_secret={world.client_secret(profile.id)}"
    if scope is not None:
        form += f"&scope={scope}"
    response = world.respond(
        Request(
            method="POST",
            url=f"{BASE_URL}/oauth/token",
            headers=Headers((("content-type", "application/x-www-form-urlencoded"),)),
            content=form.encode(),
        ),
    )
    assert response.status == 200, response.content
    token: str = json.loads(response.content)["access_token"]
    return token


def document(response: Response) -> dict[str, Any]:  # Any: a JSON object
    """Return the answer's JSON."""
    value: dict[str, Any] = json.loads(response.content)
    return value


class Raw:
    """Sends requests into a world, signed in as a profile unless the headers say otherwise."""

    def __init__(self, world: World, profile: Profile, *, scope: str | None = None) -> None:
        self.world = world
        self.token = token_for(world, profile, scope)

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str | None] | None = None,
        content: bytes | None = None,
        key: str | None = None,
    ) -> Response:
        """Send a request."""
        return self.world.respond(self.request(method, path, body, headers=headers, content=content, key=key))

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str | None] | None = None,
        content: bytes | None = None,
        key: str | None = None,
    ) -> Request:
        """Return a request; a header that is None is left out."""
        pairs: dict[str, str | None] = {"authorization": f"Bearer {self.token}"}
        if body is not None or content is not None:
            pairs["content-type"] = "application/json"
        if key is not None:
            pairs["idempotency-key"] = key
        pairs |= headers or {}
        if content is None:
            content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        fields = Headers((name, value) for name, value in pairs.items() if value is not None)
        return Request(method=method, url=f"{BASE_URL}{path}", headers=fields, content=content)
