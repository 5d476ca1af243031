"""
Record what travels: one request and one answer of every row, as files to read and to compare with.

After a change to the contract that is meant, write the samples anew and read the difference::

    .venv/bin/python -m tests.wire.record
"""

from __future__ import annotations

import importlib
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias, cast, final

import attrs

from cabinet_sdk import Cabinet
from cabinet_sdk.contract import CONTRACT, Row
from cabinet_sdk.transports import ByteStream, InProcessTransport, Request, Response, Transport
from reference_server import World
from reference_server.testing import BASE_URL, credentials

__all__ = [
    "FOLDER",
    "HOW",
    "Exchange",
    "Recorder",
    "Sample",
    "Story",
    "exchanges",
    "path_of",
    "read",
    "record",
    "shown",
    "story_of",
    "write_all",
]

FOLDER = Path(__file__).parent
HOW = "write it with: .venv/bin/python -m tests.wire.record"

Sample: TypeAlias = dict[str, Any]
"""One exchange as JSON. Any: bodies are whatever the row says."""

Exchange: TypeAlias = tuple[Request, Response]

Story: TypeAlias = Callable[[World, Cabinet], Iterator[Row]]
"""Makes one call of each row of an area, and yields the row after it."""

_REQUEST_HEADERS = ("accept", "content-type", "idempotency-key")
_ANSWER_HEADERS = ("content-disposition", "content-type", "link", "location", "retry-after")


class Recorder:
    """A transport over another one that remembers every exchange."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.sleep, self.now, self.close = inner.sleep, inner.now, inner.close
        self.seen: list[Exchange] = []

    def send(self, request: Request) -> Response:
        """Answer the request."""
        response = self._inner.send(request)
        if response.stream is None:
            self.seen.append((request, response))
            return response
        whole = _Whole(b"".join(cast("ByteStream", response.stream)))
        self.seen.append((request, attrs.evolve(response, content=whole.content, stream=None)))
        return attrs.evolve(response, stream=whole)


@final
class _Whole:
    """A file that has come already."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self.content

    def close(self) -> None:
        """Nothing is held."""


def story_of(area: str) -> Story:
    """Return an area's story."""
    story: Story = importlib.import_module(f"tests.wire.{area}.story").story
    return story


def exchanges(area: str, *, seed: int = 1) -> tuple[list[Exchange], dict[str, Exchange]]:
    """Tell an area's story in a world of its own; return all that travelled, and by its id what each row's call was."""
    world = World(seed=seed)
    person = world.profiles.add("Иванова Мария Петровна")
    recorder = Recorder(InProcessTransport(world.respond, sleep=world.clock.sleep, now=world.clock.monotonic))
    numbers = itertools.count(1)
    of_rows: dict[str, Exchange] = {}
    new_id: Callable[[], str] = lambda: f"00000000-0000-4000-8000-{next(numbers):012}"  # noqa: E731
    with Cabinet(BASE_URL, credentials(world, person), transport=recorder, new_id=new_id) as cabinet:
        for row in story_of(area)(world, cabinet):
            of_rows[row.id] = recorder.seen[-1]
    world.close()
    return recorder.seen, of_rows


def record(area: str) -> dict[str, Sample]:
    """Tell an area's story and return what travelled, by the row's id."""
    _, of_rows = exchanges(area)
    return {row_id: _sample(*exchange) for row_id, exchange in of_rows.items()}


def _sample(request: Request, response: Response) -> Sample:
    return {
        "request": {
            "method": request.method,
            "path": request.url.removeprefix(BASE_URL),
            "headers": {name: request.headers[name] for name in _REQUEST_HEADERS if name in request.headers},
            "body": json.loads(request.content) if isinstance(request.content, bytes) and request.content else None,
        },
        "answer": {
            "status": response.status,
            "headers": {name: response.headers[name] for name in _ANSWER_HEADERS if name in response.headers},
            "body": _body(response),
        },
    }


def _body(response: Response) -> Any:
    """Return JSON as what it is and a text as its lines; of other files the bytes say nothing to a reader."""
    media_type = response.headers["content-type"].partition(";")[0]
    if media_type == "application/json":
        return json.loads(response.content)
    return response.content.decode().splitlines() if media_type.startswith("text/") else None


def path_of(row: Row) -> Path:
    """Return where a row's sample is kept."""
    return FOLDER / row.area / f"{row.id}.json"


def shown(sample: Sample) -> str:
    """Return a sample as it stands in its file."""
    return json.dumps(sample, ensure_ascii=False, indent=2) + "\n"


def read(row: Row) -> Sample:
    """Return the sample of a row."""
    sample: Sample = json.loads(path_of(row).read_text(encoding="utf-8"))
    return sample


def write_all() -> None:
    """Write every sample anew, and remove those of rows that are gone."""
    for area in sorted({row.area for row in CONTRACT}):
        (FOLDER / area).mkdir(exist_ok=True)
        for stale in (FOLDER / area).glob("*.json"):
            stale.unlink()
        for row_id, sample in record(area).items():
            path_of(CONTRACT[row_id]).write_text(shown(sample), encoding="utf-8")


if __name__ == "__main__":
    write_all()
