"""The header `Link`, and that nothing follows one, or a redirect, to where it must not."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabinet_sdk import ClientCredentials
from cabinet_sdk._core.links import linked
from cabinet_sdk.errors import OutcomeUnknown, UnreadableAnswer
from tests.core.conftest import Play
from tests.core.scripted import BASE_URL, CHANGE, READ, Script, answer, ok, token

BASE = f"{BASE_URL}/charges"

FORMS = {
    "absolute": (f'<{BASE}?cursor=2>; rel="next"', f"{BASE}?cursor=2"),
    "bare": ("</v1/charges?cursor=2>;rel=next", f"{BASE}?cursor=2"),
    "relative": ('<?cursor=2>; rel="next"', f"{BASE}?cursor=2"),
    "in any case": ("<?cursor=2>; REL=NEXT", f"{BASE}?cursor=2"),
    "several relations": ('<?cursor=2>; rel="last next"', f"{BASE}?cursor=2"),
    "second link": ('<?cursor=0>; rel=first, <?cursor=2>; rel="next"', f"{BASE}?cursor=2"),
    "quoted comma": ('<?cursor=2>; title="a, <?cursor=9>; b"; rel="next"', f"{BASE}?cursor=2"),
    "quoted relation": ('<?cursor=9>; title="; rel=next"; rel="last", <?cursor=2>; rel=next', f"{BASE}?cursor=2"),
    "quoted quote": (r'<?cursor=9>; title="\"; rel=next; \""; rel=last, <?cursor=2>; rel=next', f"{BASE}?cursor=2"),
    "comma in the address": ("<?cursor=a,b>; rel=next", f"{BASE}?cursor=a,b"),
    "parameter without value": ("<?cursor=2>; crossorigin; rel=next", f"{BASE}?cursor=2"),
    "only the first rel counts": ("<?cursor=9>; rel=last; rel=next", None),
    "no relation": ("<?cursor=9>", None),
    "part of a relation": ('<?cursor=9>; rel="next-archive"', None),
    "other parameter": ('<?cursor=9>; title="next"', None),
    "no link": ("next", None),
    "empty": ("", None),
}


@pytest.mark.parametrize("header, target", FORMS.values(), ids=FORMS.keys())
def test_forms_of_a_link(header: str, target: str | None) -> None:
    """Every form of RFC 8288 is read: relative targets, quoted commas, several relations."""
    assert linked(header, "next", BASE) == target


@given(st.text(alphabet='<>;=,"\\ \trelnextabc/?:[]@%é\x00', max_size=80) | st.text(max_size=80))
def test_no_link_breaks_the_client(header: str) -> None:
    """Whatever the header holds, there is a target, none, or a `ValueError` for a target that is no address."""
    try:
        target = linked(header, "next", BASE)
    except ValueError:
        return
    assert target is None or isinstance(target, str)


@pytest.mark.parametrize(
    "header",
    [
        "<a>" + "; a  " * 200_000 + '"',
        "<a>" + "; a=  " * 200_000 + '"',
        "<" * 1_000_000,
        '<a>;a="' * 150_000,
        '<a>;a="' + r"\a" * 500_000,
        " " * 1_000_000,
    ],
    ids=["spaces", "no values", "open", "quotes", "escapes", "blank"],
)
def test_a_link_made_to_be_slow_is_read_fast(header: str) -> None:
    """A header of 1 MB takes linear time, whatever it holds: a fraction of a second, and minutes were it quadratic."""
    started = time.thread_time()

    assert linked(header, "next", BASE) is None

    assert time.thread_time() - started < 20


FOREIGN = [
    "https://evil.example/v1/charges",
    "https://cabinet.example:8443/v1/charges",
    "http://cabinet.example/v1/charges",
    "//evil.example/v1/charges",
    "https://cabinet.example@evil.example/v1/charges",
    "https://cabinet.example.evil.example/v1/charges",
    "ftp://cabinet.example/v1/charges",
    "https://cabinet.example:port/v1/charges",
    "https://[cabinet.example/v1/charges",
]


@pytest.mark.feature("SE-01")
@pytest.mark.parametrize("target", FOREIGN)
async def test_a_next_page_elsewhere_is_not_asked(play: Play, target: str) -> None:
    """Experiment 47: `Link: next` to another host, port or scheme is an error of its own, and nothing goes there."""
    script = Script(ok([], ("Link", f'<{target}?cursor=2>; rel="next"')))

    with pytest.raises(UnreadableAnswer, match="page"):
        _ = [charge async for charge in play(script).charges.list()]

    assert len(script.requests) == 1


@pytest.mark.parametrize(
    "target",
    ["?cursor=2", "/v1/charges?cursor=2", f"{BASE}?cursor=2", "HTTPS://Cabinet.Example:443/v1/charges?cursor=2"],
)
async def test_a_next_page_here_is_asked(play: Play, target: str) -> None:
    """A next page of the same origin is asked by its cursor, however its address is written."""
    script = Script(ok([], ("Link", f'<{target}>; rel="next"')), ok([]))

    _ = [charge async for charge in play(script).charges.list()]

    assert [request.url for request in script.requests] == [BASE, f"{BASE}?cursor=2"]


@pytest.mark.feature("SE-01")
@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize("target", [*FOREIGN, BASE, "/v1/charges", ""])
async def test_no_redirect_is_followed(play: Play, status: int, target: str) -> None:
    """Experiment 47: after a redirect, to wherever, no token, key or body is sent, and the error says what came."""
    script = Script(answer(status, b"", None, [("Location", target)] if target else []))

    with pytest.raises(UnreadableAnswer, match="redirect") as read:
        await play(script).answer(READ)
    with pytest.raises((UnreadableAnswer, OutcomeUnknown)):
        await play(script).answer(CHANGE, payee_inn="7707083893")

    assert len(script.requests) == 2
    assert read.value.status == status
    assert read.value.request_id == script.requests[0].headers["x-request-id"]


@pytest.mark.feature("SE-01")
@pytest.mark.parametrize("status", [301, 307])
async def test_no_redirect_is_followed_with_a_secret(play: Play, status: int) -> None:
    """A token endpoint that redirects gets the client's secret once and nobody else gets it."""
    moved = answer(status, b"", None, [("Location", "https://evil.example/oauth/token")])
    script = Script(tokens=[moved, token()])

    with pytest.raises(UnreadableAnswer):
        await play(script, ClientCredentials("client", "secret")).answer(READ)

    assert [request.url for request in script.token_requests] == [f"{BASE_URL}/oauth/token"]
    assert script.requests == []
