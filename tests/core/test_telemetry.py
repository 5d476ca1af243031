"""Spans of OpenTelemetry: one for each call, one for each attempt, and nothing in them that must not be told."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import pytest
from opentelemetry import baggage, context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    NonRecordingSpan,
    NoOpTracerProvider,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    get_current_span,
    use_span,
)

from cabinet_sdk import AsyncCabinet, ClientCredentials, Credentials, RetryPolicy, SqliteJournal
from cabinet_sdk.charges import PaymentMethod
from cabinet_sdk.errors import ConnectionLost, OutcomeUnknown, Problem, UnreadableAnswer
from cabinet_sdk.telemetry import Tracing
from cabinet_sdk.transports import Request, Response
from cabinet_sdk.types import Money
from reference_server import Profile, World
from tests.conftest import Connect
from tests.core.conftest import TOKEN, Play
from tests.core.sample_area import add_file, sample_world
from tests.core.scripted import CHANGE, READ, Script, Step, html, ok, problem, thing, token
from tests.core.wires import Wire, noise, through

pytestmark = pytest.mark.feature("EX-01", "EX-07")

COMMON = frozenset({"server.address", "server.port", "http.request.header.x-request-id", "error.type"})
ATTEMPT = COMMON | {"http.request.method", "http.request.resend_count", "http.response.status_code"}
"""All that a span may hold."""


class Traced(Protocol):
    """Makes a client of the test's mode that is traced."""

    def __call__(self, script: Script, credentials: Credentials = ...) -> AsyncCabinet: ...


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """Keep the spans of the test."""
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    """Give the tracers of the test."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


@pytest.fixture
def tracing(provider: TracerProvider) -> Tracing:
    """Trace into the exporter."""
    return Tracing(provider)


@pytest.fixture
def traced(play: Play, tracing: Tracing) -> Traced:
    """Make traced clients whose requests go to a script."""

    def make(script: Script, credentials: Credentials = TOKEN) -> AsyncCabinet:
        return play(script, credentials, around_call=tracing.around_call, around_attempt=tracing.around_attempt)

    return make


def attributes(span: ReadableSpan) -> Mapping[str, object]:
    """Return what a span holds, but the request id."""
    held = dict(span.attributes or {})
    assert set(held) <= ATTEMPT
    assert held.pop("http.request.header.x-request-id")
    return held


def place_of(span: ReadableSpan) -> SpanContext:
    """Return where a span stands in its trace."""
    place = span.get_span_context()
    assert place is not None
    return place


def parent_of(span: ReadableSpan) -> int | None:
    """Return the id of the span that a span is below."""
    return None if span.parent is None else span.parent.span_id


def traceparent(span: ReadableSpan) -> str:
    """Return what tells the service of a span (W3C Trace Context)."""
    place = place_of(span)
    return f"00-{place.trace_id:032x}-{place.span_id:016x}-{place.trace_flags:02x}"


async def test_a_call_is_a_span_with_one_below_for_each_attempt(
    traced: Traced, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """Names, attributes and parents are those of the conventions, and each attempt tells the service of its own."""
    script = Script(problem(503), ConnectionLost("cut"), thing())

    with provider.get_tracer("program").start_as_current_span("page"):
        await traced(script).answer(READ)

    *attempts, call, page = exporter.get_finished_spans()
    assert [(each.name, each.kind) for each in (call, *attempts)] == [
        ("things.read", SpanKind.CLIENT),
        *[("GET things.read", SpanKind.CLIENT)] * 3,
    ]
    assert parent_of(call) == place_of(page).span_id
    assert {parent_of(each) for each in attempts} == {place_of(call).span_id}
    server = {"server.address": "cabinet.example", "server.port": 443}
    sent = {**server, "http.request.method": "GET"}
    assert attributes(call) == server
    assert [attributes(each) for each in attempts] == [
        {**sent, "http.response.status_code": 503, "error.type": "503"},
        {**sent, "http.request.resend_count": 1, "error.type": "cabinet_sdk.errors.ConnectionLost"},
        {**sent, "http.request.resend_count": 2, "http.response.status_code": 200},
    ]
    assert [each.status.status_code for each in (*attempts, call)] == [
        StatusCode.ERROR,
        StatusCode.ERROR,
        StatusCode.UNSET,
        StatusCode.UNSET,
    ]
    assert [request.headers["traceparent"] for request in script.requests] == [traceparent(each) for each in attempts]
    ids = {str((span.attributes or {})["http.request.header.x-request-id"]) for span in (call, *attempts)}
    assert ids == {str((script.requests[0].headers["x-request-id"],))}


def interrupt(_: Request) -> Response:
    """Break a call off as somebody at a keyboard does."""
    raise KeyboardInterrupt


def cancel(_: Request) -> Response:
    """Break a call off as the end of a task does."""
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    "step, of_call, of_attempt",
    [
        (problem(409, "things.secret", detail="7707083893"), "cabinet_sdk.errors.StateError", "409"),
        (html(404), "cabinet_sdk.errors.CallerError", "404"),
        (ok({"name": 7707083893}), "cabinet_sdk.errors.UnreadableAnswer", None),
        (UnreadableAnswer("coded 7707083893", status=200), *["cabinet_sdk.errors.UnreadableAnswer"] * 2),
        (interrupt, *["builtins.KeyboardInterrupt"] * 2),
        (cancel, *["asyncio.exceptions.CancelledError"] * 2),
    ],
)
async def test_an_error_is_its_type_alone(
    traced: Traced, exporter: InMemorySpanExporter, step: Step, of_call: str, of_attempt: str | None
) -> None:
    """Both spans end as failed, without the text of the error, its traceback, or an event."""
    with pytest.raises((Problem, KeyboardInterrupt, asyncio.CancelledError)):
        await traced(Script(step)).answer(READ)

    attempt, call = exporter.get_finished_spans()
    assert [attributes(each).get("error.type") for each in (call, attempt)] == [of_call, of_attempt]
    assert (call.status.status_code, call.status.description) == (StatusCode.ERROR, None)
    assert (attempt.status.status_code is StatusCode.ERROR) == (of_attempt is not None)
    assert [(each.status.description, each.events) for each in (call, attempt)] == [(None, ())] * 2
    assert "7707083893" not in call.to_json() + attempt.to_json()


async def test_a_token_is_fetched_inside_the_call(traced: Traced, exporter: InMemorySpanExporter) -> None:
    """Attempts for a token lie below the call, and what is sent again with a new one is counted as sent again."""
    refused = problem(401, "sign_in.token_invalid")
    script = Script(thing(), refused, thing(), tokens=[token("one"), token("two")])
    client = traced(script, ClientCredentials("client", "secret"))

    await client.answer(READ)
    exporter.clear()
    await client.answer(READ)

    *attempts, call = exporter.get_finished_spans()
    assert [(each.name, attributes(each).get("http.request.resend_count")) for each in attempts] == [
        ("GET things.read", None),
        ("POST sign_in.token", None),
        ("GET things.read", 1),
    ]
    assert {parent_of(each) for each in attempts} == {place_of(call).span_id}
    assert script.token_requests[1].headers["traceparent"] == traceparent(attempts[1])


async def test_each_page_is_a_call(
    connect: Connect, world: World, person: Profile, tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    """A listing has a span for each page, and between two items nothing of it is current."""
    for _ in range(3):
        world.charges.add(person, Money("10.00"))
    client = connect(person, around_call=tracing.around_call, around_attempt=tracing.around_attempt)

    async for _ in client.with_options(page_size=1).charges.list():
        assert not get_current_span().get_span_context().is_valid

    calls = [span for span in exporter.get_finished_spans() if span.name == "charges.list"]
    assert len(calls) == len({place_of(span).trace_id for span in calls}) == 3
    assert {key for span in calls for key in attributes(span)} == {"server.address", "server.port"}


async def test_each_request_for_a_file_is_a_call(
    connect: Connect, world: World, tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    """A download that breaks off has a span for its beginning and one for the rest, ended while it is read."""
    wire = Wire(1000)
    hooks = {"around_call": tracing.around_call, "around_attempt": tracing.around_attempt}
    samples = through(partial(connect, **hooks), sample_world(world), wire)

    async with await samples.download(add_file(noise(1, 5000))) as file:
        assert [span.name for span in exporter.get_finished_spans()][-1] == "samples.download"
        assert len(await file.read()) == 5000

    spans = [span for span in exporter.get_finished_spans() if span.name.endswith("samples.download")]
    assert [(span.name, attributes(span).get("http.response.status_code")) for span in spans] == [
        ("GET samples.download", 200),
        ("samples.download", None),
        ("GET samples.download", 206),
        ("samples.download", None),
    ]
    told = [request.headers["traceparent"] for request in wire.requests]
    assert told == [traceparent(spans[0]), traceparent(spans[2])]


async def test_an_operation_of_the_journal_is_one_call(
    connect: Connect, world: World, person: Profile, tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    """What is kept, and later resumed, has a span each time it is tried, under the name of its operation."""
    charge = world.charges.add(person, Money("10.00"))
    world.faults.lose_answer("charges.pay")
    with TemporaryDirectory() as folder, SqliteJournal(Path(folder, "operations.journal")) as journal:
        hooks = {"around_call": tracing.around_call, "around_attempt": tracing.around_attempt}
        client = connect(person, retry=RetryPolicy(attempts=1), journal=journal, **hooks)
        with pytest.raises(OutcomeUnknown):
            await client.charges.pay(charge.id, method=PaymentMethod.BANK_CARD)
        assert [resumed.error async for resumed in client.resume()] == [None]

    calls = [span for span in exporter.get_finished_spans() if span.name == "charges.pay"]
    assert [attributes(span).get("error.type") for span in calls] == ["cabinet_sdk.errors.OutcomeUnknown", None]


async def test_the_attempt_takes_the_place_of_the_caller_and_baggage_stays_at_home(
    traced: Traced, exporter: InMemorySpanExporter
) -> None:
    """One `traceparent` is sent, that of the attempt; what the program keeps as baggage is not."""
    script = Script(thing())
    token_of_context = context.attach(baggage.set_baggage("person", "7707083893"))
    try:
        await traced(script).with_options(headers={"traceparent": "00-1-2-01"}).answer(READ)
    finally:
        context.detach(token_of_context)

    [request] = script.requests
    sent = [pair for pair in request.headers.pairs() if pair[0] in {"traceparent", "tracestate", "baggage"}]
    assert sent == [("traceparent", traceparent(exporter.get_finished_spans()[0]))]


async def test_without_a_tracer_the_trace_is_passed_on(play: Play) -> None:
    """A program that only hands traces through has its own told to the service, and without one nothing is."""
    tracing = Tracing(NoOpTracerProvider())
    script = Script(thing())
    client = play(script, around_call=tracing.around_call, around_attempt=tracing.around_attempt)
    foreign = SpanContext(0xAF, 0xB7, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    await client.answer(READ)
    with use_span(NonRecordingSpan(foreign)):
        await client.answer(CHANGE)

    assert [request.headers.get("traceparent") for request in script.requests] == [
        None,
        f"00-{0xAF:032x}-{0xB7:016x}-01",
    ]


def test_the_extra_is_named_where_it_is_missing() -> None:
    """Without OpenTelemetry, the module says what to install."""
    program = "import sys; sys.modules['opentelemetry'] = None; import cabinet_sdk.telemetry"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, text=True)

    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: tracing needs an extra: pip install 'cabinet-sdk[otel]'"
    )
