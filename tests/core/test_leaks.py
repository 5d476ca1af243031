"""Every operation, told by all loggers at DEBUG, spans and what is left behind: no secret, and nobody's data (46)."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cabinet_sdk import Cabinet
from cabinet_sdk._core.operation import Listing
from cabinet_sdk._core.redaction import SHOWN_PARAMETERS
from cabinet_sdk.contract import CONTRACT, Row
from cabinet_sdk.errors import CabinetError
from cabinet_sdk.telemetry import Tracing
from cabinet_sdk.transports import HttpxTransport, InProcessTransport, Request, Response
from cabinet_sdk.types import Identifier
from reference_server import Profile, World
from reference_server.clock import ManualClock
from reference_server.testing import BASE_URL, credentials, serve
from reference_server.world import DEFAULT_START
from tests.conftest import OnClock
from tests.house.wire import requests
from tests.leaks import Canaries
from tests.wire.record import Recorder, story_of

pytestmark = pytest.mark.feature("SE-01", "SE-02")

# Others are about what is not there; these would answer that there is nothing.
ANSWERED = {row.id for row in CONTRACT if isinstance(row, Listing) or "{" not in row.path}
AREAS = sorted({row.area for row in CONTRACT})

# What of an answer says whose it is, or is money's way to somebody.
PERSONAL = frozenset(
    {
        *("access_token", "account", "correspondent_account", "order_number", "payee_inn", "payee_kpp", "payer_inn"),
        *("purpose", "uin", "comment", "explanation"),
    }
)


def canaries_in(request: Request, response: Response) -> Iterator[str]:
    """Return what of an exchange nobody else may see."""
    authorization = request.headers.get("authorization")
    if authorization is not None:
        yield authorization.partition(" ")[2]
    # The id of a thing is shown, since paths are; it says nothing to those who may not read the thing.
    query = parse_qsl(urlsplit(request.url).query)
    yield from (value for name, value in query if name not in SHOWN_PARAMETERS | {"charge_id"})
    key = request.headers.get("idempotency-key")
    if key is not None:
        yield key.strip('"')
    if response.headers.get("content-type") == "application/json":
        yield from _personal(json.loads(response.content))


def _personal(value: Any) -> Iterator[str]:  # Any: JSON
    if isinstance(value, list):
        for item in value:  # pyright: ignore[reportUnknownVariableType]  # mypy knows its type, pyright does not
            yield from _personal(item)
    elif isinstance(value, dict):
        for name, member in cast("dict[str, Any]", value).items():
            if name in PERSONAL and isinstance(member, str):
                yield member
            else:
                yield from _personal(member)


def hooks_into(exporter: InMemorySpanExporter) -> dict[str, Any]:  # Any: the two hooks of a client
    """Return the hooks that leave their spans there."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = Tracing(provider)
    return {"around_call": tracing.around_call, "around_attempt": tracing.around_attempt}


def told(error: BaseException) -> str:
    """Return all that an error tells: its text, its repr, its pickle and its traceback."""
    pickled = pickle.dumps(error).decode("latin-1")
    return "\n".join([str(error), repr(error), pickled, *traceback.format_exception(error)])


@pytest.mark.feature("SE-05")
@pytest.mark.parametrize("key", [None, bytes(range(32))], ids=["in clear", "encrypted"])
@pytest.mark.parametrize("area", AREAS)
def test_46_no_operation_tells_what_it_carries(
    area: str, key: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Over HTTP and on a file, no log, repr or span holds what travelled; no file a secret, and with a key nothing."""
    file = tmp_path / "world.sqlite"
    world = World(file=file, key=key, clock=ManualClock(DEFAULT_START))
    person = world.profiles.add("Канарейкина Пелагея Ивановна")
    with serve(world) as url, caplog.at_level(logging.DEBUG):
        recorder = Recorder(OnClock(HttpxTransport(environment=False), world.clock))
        spans = InMemorySpanExporter()
        who = credentials(world, person)
        with Cabinet(url, who, transport=recorder, **hooks_into(spans)) as cabinet:
            rows = list(story_of(area)(world, cabinet))
            shown = [repr(each) for exchange in recorder.seen for each in exchange]
            shown += [repr(each) for each in (cabinet, cabinet.charges, credentials(world, person), *rows)]
        traced = [span.to_json() for span in spans.get_finished_spans()]
        assert len(traced) > len(recorder.seen)
        shown += [*traced, repr(world.requests), repr(world.profiles.all()), caplog.text]

    secrets = {world.client_secret(person.id)}
    personal = {person.name, str(person.inn)}
    for exchange in recorder.seen:
        for canary in canaries_in(*exchange):
            (secrets if exchange[0].url.endswith("/oauth/token") else personal).add(canary)
    canaries = {each for each in secrets | personal if len(each) > 3}
    text = "\n".join(shown)
    assert len(canaries) > 20
    assert "receive_response_headers.complete" in text
    assert [each for each in canaries if each in text] == []

    (root,) = world.database.all("SELECT value FROM settings WHERE name = 'root_secret'")
    if key is not None:
        secrets |= {root["value"], key.hex()}
    hidden = secrets if key is None else canaries | secrets
    for beside in ({"", "-wal", "-shm", "-owner", "-anchor"}, {"", "-owner", "-anchor"}):
        written = {path.name.removeprefix(file.name): path.read_bytes() for path in tmp_path.iterdir()}
        assert written.keys() == beside
        everything = b"".join(written.values())
        assert (str(person.inn).encode() in everything) == (key is None)
        assert [each for each in hidden if each.encode() in everything] == []
        world.close()


@pytest.mark.parametrize("row", list(CONTRACT), ids=lambda row: row.id)
@given(data=st.data())
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_46_no_refusal_tells_what_was_asked(
    world: World, person: Profile, canaries: Canaries, row: Row, data: st.DataObject
) -> None:
    """Whatever is asked, the error's text, repr, pickle, traceback and spans hide it, and so does every logger."""
    request = data.draw(requests(row))
    fields: dict[str, Any] = attrs.asdict(request, recurse=False)  # Any: of whatever types the row takes
    asked = {str(value) for value in fields.values() if isinstance(value, Identifier)}
    asked |= {value for name, value in fields.items() if name == "order_number" and value and len(value) >= 8}
    canaries.watch(*asked)

    if row.id in ANSWERED:
        world.faults.refuse(row.id, retry_after=90_000)
    spans = InMemorySpanExporter()
    transport = InProcessTransport(world.respond, sleep=world.clock.sleep, now=world.clock.monotonic)
    who = credentials(world, person)
    with (
        Cabinet(BASE_URL, who, transport=transport, **hooks_into(spans)) as cabinet,
        pytest.raises(CabinetError) as caught,
    ):
        cabinet.answer(row, **fields)

    traced = "\n".join(span.to_json() for span in spans.get_finished_spans())
    assert "error.type" in traced
    assert [each for each in asked if each in told(caught.value) + traced] == []


def test_a_logger_that_sings_is_heard(world: World, person: Profile, canaries: Canaries) -> None:
    """The plugin of the suite hears a secret and a person, also in the traceback of what is logged."""
    logger = logging.getLogger("somebody.else")

    logger.debug("secret %s", world.client_secret(person.id))
    try:
        raise ValueError(str(person.inn))
    except ValueError:
        logger.exception("failed")

    assert len(canaries.heard) == 2
    canaries.heard.clear()
