"""What the tests of the console share: sending its forms, reading its pages."""

from __future__ import annotations

import re
from html import unescape

import httpx

from reference_server import Profile, World

__all__ = ["HOSTILE", "bearer", "own", "sent", "shown", "snippets"]


HOSTILE = "<script>alert('1')</script> \"О'Нил\" & «Ко»"
"""A name that would do harm in a page that does not escape it."""


def sent(console: httpx.Client, address: str, **fields: str) -> httpx.Response:
    """Send a form and look at the page to which it leads."""
    return console.post(address, data=fields, follow_redirects=True)


def own(console: httpx.Client) -> str:
    """Return the origin of the console."""
    return str(console.base_url).rstrip("/")


def bearer(console: httpx.Client, world: World, person: Profile) -> dict[str, str]:
    """Sign in, and return the header that says so."""
    who = (person.id, world.client_secret(person.id))
    answer = console.post("/v1/oauth/token", data={"grant_type": "client_credentials"}, auth=who)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def shown(page: httpx.Response) -> str:
    """Return the text of a page without its tags."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page.text)))


def snippets(page: httpx.Response) -> list[str]:
    """Return what of a page is to be pasted into Python."""
    found = re.findall(r'<(?:pre tabindex="0"|code) class="whole">(.*?)</', page.text, re.DOTALL)
    return [unescape(each) for each in found if re.match(r"from |world\.|cabinet\.", each)]
