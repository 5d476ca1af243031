"""The table of repeats: what stands in the documentation of `retry` is what both clients do."""

from __future__ import annotations

import re

import attrs
import pytest

from cabinet_sdk import AsyncCabinet
from cabinet_sdk._core import retry
from cabinet_sdk._core.operation import Repeat
from cabinet_sdk.errors import (
    CallerError,
    ConnectionFailed,
    ConnectionLost,
    OutcomeUnknown,
    RightsError,
    ServiceError,
    StateError,
    StillRunning,
    TimedOut,
    UnreadableAnswer,
)
from tests.core.conftest import Play
from tests.core.scripted import ROWS, Script, Step, html, problem, thing

STILL_RUNNING = "409 idempotency.still_running"
GATEWAY = "503 without a problem document"
REDIRECTS: dict[str, Step] = {
    **{f"redirect {status}": html(status) for status in (300, 302, 303, 307, 308)},
    "redirect with a problem document": problem(301),
}
PAGES = {f"page {status}": html(status) for status in (402, 406, 409, 410, 418, 422, 428, 430, 451, 460, 499, 507, 510)}
NOT_HANDED_ON = [
    int(status)
    for status in re.findall(
        r"\b\d{3}\b", (retry.__doc__ or "").partition("or a redirect")[2].partition("with these")[0]
    )
]
OUTCOMES: dict[str, Step] = {
    "ConnectionFailed": ConnectionFailed("refused"),
    "ConnectionLost": ConnectionLost("cut"),
    "TimedOut": TimedOut("silence"),
    STILL_RUNNING: problem(409, "idempotency.still_running"),
    GATEWAY: html(503),
    **{
        str(status): problem(status)
        for status in (
            400,
            401,
            403,
            404,
            408,
            409,
            410,
            412,
            413,
            415,
            418,
            422,
            425,
            428,
            429,
            500,
            501,
            502,
            503,
            504,
            509,
            511,
            512,
        )
    },
    **REDIRECTS,
    **PAGES,
    **{f"page {status} of what is not handed on": html(status) for status in NOT_HANDED_ON},
}
CLASSES: dict[str, type[Exception]] = {
    "ConnectionFailed": ConnectionFailed,
    "ConnectionLost": ConnectionLost,
    "TimedOut": TimedOut,
    STILL_RUNNING: StillRunning,
    **dict.fromkeys(REDIRECTS, UnreadableAnswer),
    **dict.fromkeys(("page 401 of what is not handed on", "page 403 of what is not handed on"), RightsError),
    **dict.fromkeys(("page 409", "page 410", "page 428"), StateError),
    **dict.fromkeys((name for name in OUTCOMES if name.startswith("page 5")), ServiceError),
    "401": RightsError,
    "403": RightsError,
    **dict.fromkeys(("409", "410", "412", "428"), StateError),
    **dict.fromkeys(("429", "500", "501", "502", "503", "504", "509", "511", "512", GATEWAY), ServiceError),
}


@attrs.frozen
class Published:
    """A cell of the table: whether to send again, and whether the end is `OutcomeUnknown`."""

    again: bool
    unknown: bool


def published() -> dict[tuple[str, Repeat], Published]:
    """Read the table out of the module's documentation."""
    text = retry.__doc__ or ""
    border = next(line for line in text.splitlines() if line.startswith("==="))
    columns = [found.span() for found in re.finditer("=+", border)]
    lines = text[text.index(border) :].split(border)[2].strip().splitlines()
    table: dict[tuple[str, Repeat], Published] = {}
    for line in lines:
        first, *cells = (line[start:end].strip() for start, end in columns)
        listed = re.findall(r"`(\w+)`|\b(\d{3})\b", first)
        names = [STILL_RUNNING] if "still_running" in first else [name or status for name, status in listed]
        names = [GATEWAY] if "without" in first else names
        if "page" in first:
            names = [*REDIRECTS, *PAGES]
        if first == "any other status":
            names = [name for name in OUTCOMES if (name, Repeat.SAFE) not in table]
        changed = any(word in first for word in ("ConnectionLost", "502", "without", "still_running"))
        for name in names:
            for repeat, cell in zip(Repeat, cells, strict=True):
                assert re.match("again$|the error|`OutcomeUnknown`$", cell), cell
                table[name, repeat] = Published(
                    cell == "again",
                    cell == "`OutcomeUnknown`" or (cell == "again" and repeat is Repeat.KEYED and changed),
                )
    return table


TABLE = published()


def test_table_names_every_outcome() -> None:
    """Each outcome that is tried below stands in the table, for each kind of row."""
    assert len(NOT_HANDED_ON) == 17
    assert set(TABLE) == {(name, repeat) for name in OUTCOMES for repeat in Repeat}


async def ended(client: AsyncCabinet, repeat: Repeat) -> Exception:
    """Return what a call of a row ends with."""
    with pytest.raises(Exception) as caught:  # noqa: PT011  # which one is what the callers ask
        await client.answer(ROWS[repeat])
    return caught.value


@pytest.mark.feature("EX-01", "SE-06")
@pytest.mark.parametrize(
    "repeat, keyed", [*((repeat, False) for repeat in Repeat), (Repeat.SAFE, True), (Repeat.KEYED, True)]
)
@pytest.mark.parametrize("name", OUTCOMES)
async def test_attempts_and_error_are_the_published_ones(play: Play, name: str, repeat: Repeat, keyed: bool) -> None:
    """Experiment 15: an outcome that goes on ends after the attempts and with the error of the table."""
    script = Script(OUTCOMES[name])
    client = play(script)
    if keyed:
        client = client.with_options(idempotency_key="callers-key")

    error = await ended(client, repeat)

    expected = TABLE[name, repeat]
    assert len(script.requests) == (4 if expected.again else 1)
    wanted = OutcomeUnknown if expected.unknown else CLASSES.get(name, CallerError)
    assert isinstance(error, wanted), repr(error)
    assert isinstance(error, OutcomeUnknown) == expected.unknown
    key = '"callers-key"' if keyed else script.keys[0]
    assert set(script.keys) == {key if repeat is Repeat.KEYED else None}


@pytest.mark.parametrize("repeat", Repeat)
@pytest.mark.parametrize("name", OUTCOMES)
async def test_second_attempt_succeeds_where_the_table_allows_it(play: Play, name: str, repeat: Repeat) -> None:
    """An outcome that passes is no error where the table says again; the answer counts the attempts."""
    script = Script(OUTCOMES[name], thing())
    client = play(script)

    if TABLE[name, repeat].again:
        answer = await client.answer(ROWS[repeat])
        assert (answer.value.name, answer.attempts) == ("a thing", 2)
    else:
        await ended(client, repeat)
        assert len(script.requests) == 1


@pytest.mark.parametrize("outcome", [problem(503), ConnectionFailed("refused")], ids=["503", "refused"])
async def test_one_attempt_is_no_repeating(play: Play, outcome: Step) -> None:
    """A policy of one attempt sends once and never pauses."""
    script = Script(outcome)

    await ended(play(script, retry=retry.RetryPolicy(attempts=1)), Repeat.SAFE)

    assert len(script.requests) == 1
    assert script.pauses == []
