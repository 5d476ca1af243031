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
    "only the first anchor counts": (f'<?cursor=2>; anchor="{BASE}"; anchor="/other"; rel=next', f"{BASE}?cursor=2"),
    "empty parameter at the end": ('<?cursor=2>; rel="next";', f"{BASE}?cursor=2"),
    "empty parameters": ('<?cursor=2>;; ; title="x" ; ;rel="next"', f"{BASE}?cursor=2"),
    "empty elements": (', ,<?cursor=0>; rel="first",, <?cursor=2>; rel="next",', f"{BASE}?cursor=2"),
    "only empty elements": (" , ,", None),
    "spaces": ('\t<?cursor=2> \t; REL = "\tNext  last " , ', f"{BASE}?cursor=2"),
    "slash without quotes": ('<?cursor=2>; page=1/2; rel="next"', f"{BASE}?cursor=2"),
    "quote in the midst": ('<?cursor=2>; x=a"b; rel="next"', f"{BASE}?cursor=2"),
    "letters of any kind": ('<?cursor=2>; title=Страница; rel="next"', f"{BASE}?cursor=2"),
    "escapes": (r'<?cursor=2>; rel="n\ext"', f"{BASE}?cursor=2"),
    "relation that is an address": ('<?cursor=9>; rel="https://rel.example/next"', None),
    "relation that is none": ('<?cursor=9>; rel="prev_page %"', None),
    "anchored here": ('<?cursor=2>; anchor="https://Cabinet.Example:443/v1/charges"; rel=next', f"{BASE}?cursor=2"),
    "anchored at this page": ('<?cursor=2>; rel=next; anchor="?cursor=1&limit=5"', f"{BASE}?cursor=2"),
    "anchored elsewhere": ('<?cursor=9>; rel=next; anchor="/v1/payments"', None),
    "anchored at another host": (
        '<?cursor=9>; rel=next; anchor="//other.example/v1/charges", <?cursor=2>; rel=next',
        f"{BASE}?cursor=2",
    ),
    "read before it breaks": ('<?cursor=2>; rel="next", <', f"{BASE}?cursor=2"),
    "empty": ("", None),
}


@pytest.mark.parametrize("header, target", FORMS.values(), ids=FORMS.keys())
def test_forms_of_a_link(header: str, target: str | None) -> None:
    """Every form of RFC 8288 is read: relative targets, quoted commas, several relations."""
    assert linked(header, "next", BASE) == target


UNREADABLE = {
    "no link": "next",
    "relation in other quotes": "<?cursor=2>; rel='next'",
    "open address": '<?cursor=2; rel="next"',
    "open quote": '<?cursor=2>; rel="next',
    "open quote before": '<?cursor=2>; title="a; rel=next',
    "text after a quote": '<?cursor=2>; rel="next" foo',
    "text after a name": "<?cursor=2>; crossorigin yes; rel=next",
    "text after a link": "<?cursor=2> rel=next",
    "text before a link": "foo, <?cursor=2>; rel=next",
    "broken second link": '<?cursor=1>; rel="prev", ?cursor=2; rel="next"',
    "anchor that is no address": '<?cursor=2>; rel="next"; anchor="https://["',
}


@pytest.mark.parametrize("header", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_a_link_that_cannot_be_read_ends_no_list(play: Play, header: str) -> None:
    """Where a header breaks RFC 8288 before a next page is found, the list may go on: that is an error, not its end."""
    script = Script(ok([], ("Link", header)))

    with pytest.raises(UnreadableAnswer, match="The link to the next page cannot be read"):
        _ = [charge async for charge in play(script).charges.list()]


SPACE = st.sampled_from(["", " ", "\t "])
RELATIONS = st.lists(st.sampled_from(["next", "NeXt", "prev", "P3Pv1", "dns-prefetch", "https://rel.example/next"]))
ANCHORS = st.sampled_from([None, "", "/v1/charges", BASE, "/v1/payments", "https://other.example/v1/charges"])
TEXT = st.text(alphabet='<>;=,"\\ \tnextЖ', max_size=10)


@st.composite
def links(draw: st.DrawFn) -> tuple[str, bool]:
    """Return a link as RFC 8288 lets it be written, and whether it leads to the next page."""
    relations, anchor = draw(RELATIONS), draw(ANCHORS)
    given_values = [("rel", " ".join(relations)), *([] if anchor is None else [("anchor", anchor)])]
    values = draw(st.permutations([*given_values, *draw(st.lists(st.tuples(st.just("title"), TEXT), max_size=2))]))
    written = ""
    for name, value in values:
        written += draw(st.sampled_from([";", ";;", "; crossorigin ;"])) + draw(SPACE)
        written += draw(st.sampled_from([name, name.upper()])) + draw(SPACE) + "=" + draw(SPACE)
        bare = draw(st.booleans()) and not set(value) & set(';,"')
        written += value if bare else '"' + value.replace("\\", "\\\\").replace('"', r"\"") + '"'
        written += draw(SPACE)
    is_next = "next" in [each.lower() for each in relations] and anchor in {None, "", "/v1/charges", BASE}
    return written + draw(st.sampled_from(["", ";"])) + draw(SPACE), is_next


@given(st.lists(links(), max_size=4), st.sampled_from([",", ", ", " ,, "]))
def test_whatever_may_be_written_is_read(written: list[tuple[str, bool]], between: str) -> None:
    """Of any links that RFC 8288 allows, the first from here to the next page is found, or none is."""
    header = between.join(f"<?cursor={number}>{text}" for number, (text, _) in enumerate(written))
    first = next((number for number, (_, is_next) in enumerate(written) if is_next), None)

    assert linked(header, "next", BASE) == (None if first is None else f"{BASE}?cursor={first}")


@given(st.text(alphabet='<>;=,"\\ \trelnextabc/?:[]@%é\x00', max_size=80) | st.text(max_size=80))
def test_no_link_breaks_the_client(header: str) -> None:
    """Whatever the header holds, there is a target, none, or a `ValueError` where it cannot be read."""
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
        "<a>," * 250_000 + "<",
        "<a>;" + " " * 1_000_000 + '"',
        "<a>;a=" + " " * 1_000_000 + '"',
        " " * 1_000_000 + '"',
    ],
    ids=["spaces", "no values", "open", "quotes", "escapes", "links", "no name", "no value", "blank"],
)
def test_a_link_made_to_be_slow_is_read_fast(header: str) -> None:
    """A header of 1 MB takes linear time, whatever it holds: a fraction of a second, and minutes were it quadratic."""
    started = time.thread_time()

    with pytest.raises(ValueError, match="breaks RFC 8288"):
        linked(header, "next", BASE)

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
