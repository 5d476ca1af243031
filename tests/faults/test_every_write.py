"""What holds of every operation that changes something, whatever its area (experiments 2, 5, 8, 9 and 55)."""

from __future__ import annotations

import importlib
import inspect
import json
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, cast, final
from urllib.parse import urljoin

import attrs
import httpx
import pytest

from cabinet_sdk.contract import Row
from reference_server import Profile, World
from reference_server.testing import BASE_URL, serve
from reference_server.testing import connect as connect_directly
from tests.conftest import Connect
from tests.house.wire import read_request
from tests.server.raw import Raw, document, token_for
from tests.server.tables import kept
from tests.wire.before import WRITES, before

Body = dict[str, Any]  # Any: JSON

each_write = pytest.mark.parametrize("row", WRITES, ids=lambda row: row.id)


def asked(world: World, row: Row) -> tuple[str, Body]:
    """Tell the row's story up to its call; return the path and the body that would be sent."""
    request = before(world, row)
    assert isinstance(request.content, bytes)
    body: Body = json.loads(request.content)
    return request.url.removeprefix(BASE_URL), body


def fields_of(row: Row, path: str, body: Body) -> dict[str, Any]:  # Any: of whatever types the row takes
    """Return the arguments of the call."""
    fields: dict[str, Any] = attrs.asdict(read_request(row, row.method, path, body), recurse=False)
    return fields


def effects(world: World) -> dict[str, int]:
    """Return how many rows each table has; only of requests over a socket the journal has a key."""
    return {table: len(rows) for table, rows in kept(world).items() if table != "audit_keys"}


@final
class BrokenOff:
    """Stands in for a world's connection: once, a statement that follows another one does not come to pass."""

    def __init__(self, world: World, statement: str, after: str = "") -> None:
        self._inner = world.database._connection  # pyright: ignore[reportPrivateUsage]  # where the work breaks off
        self._statement, self._after = statement, after
        self._begun = False
        self.hits = 0
        world.database._connection = self  # type: ignore[assignment]  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]  # the same

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:  # Any: as `sqlite3` takes them
        if self._begun and not self.hits and sql.startswith(self._statement):
            self.hits += 1
            msg = f"broken off before {self._statement}"
            raise RuntimeError(msg)
        self._begun = self._begun or sql.startswith(self._after)
        return self._inner.execute(sql, parameters)

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


_KEPT = "INSERT INTO idempotency_keys"

BREAK: dict[str, Callable[[World, str], Any]] = {  # Any: a fault, which counts its hits
    "the answer is lost": lambda world, row: world.faults.lose_answer(row),
    "the answer is garbled": lambda world, row: world.faults.garble_answer(row),
    "it crashes before the commit": lambda world, row: world.faults.crash(row),
    "it breaks off between the effect and its key": lambda world, _: BrokenOff(world, _KEPT),
    "it breaks off between the key and the commit": lambda world, _: BrokenOff(world, "COMMIT", after=_KEPT),
}


@pytest.mark.feature("EX-01")
@each_write
@pytest.mark.parametrize("how", BREAK)
async def test_2_one_call_has_one_effect(connect: Connect, world: World, person: Profile, row: Row, how: str) -> None:
    """One call whose first attempt is broken leaves what an undisturbed one leaves, and returns what is stored."""
    undisturbed = World()
    undisturbed.profiles.add(person.name)
    fields = fields_of(row, *asked(undisturbed, row))
    with connect_directly(undisturbed, undisturbed.profiles.all()[0]) as cabinet:
        cabinet.answer(row, **fields)
    assert fields_of(row, *asked(world, row)) == fields
    untouched = effects(world)
    client = connect(person)
    fault = BREAK[how](world, row.id)

    answer = await client.answer(row, **fields)

    assert fault.hits == 1
    assert untouched != effects(world) == effects(undisturbed)
    done = [entry for entry in world.audit.entries() if (entry.action, entry.outcome) == (row.id, "done")]
    assert [entry.subject for entry in done[-1:]] == [answer.headers["location"].removeprefix("/v1")]
    keys = [request.idempotency_key for request in world.requests if request.operation == row.id]
    assert keys.count(answer.operation_id) == 2
    stored = Raw(world, person).send("GET", answer.headers["location"].removeprefix("/v1"))
    assert document(stored)["id"] == answer.value.id
    world.charges.check_books()
    undisturbed.close()


@each_write
def test_5_every_change_needs_a_key(world: World, person: Profile, row: Row) -> None:
    """Without a key each is 400 with a link to a page that explains it, and nothing is done."""
    path, body = asked(world, row)
    token = token_for(world, person)
    untouched = kept(world)
    with serve(world) as url, httpx.Client(trust_env=False, timeout=60) as client:
        refused = client.request(row.method, url + path, json=body, headers={"authorization": f"Bearer {token}"})
        page = client.get(urljoin(url, refused.json()["type"]))

    assert (refused.status_code, refused.json()["code"]) == (400, "idempotency.key_missing")
    assert page.status_code == 200
    assert "idempotency.key_missing" in page.text
    assert kept(world) == untouched


@each_write
def test_8_a_corrected_body_under_the_same_key(world: World, person: Profile, row: Row) -> None:
    """What was refused for its form leaves the key free for the corrected request, which then owns it."""
    path, body = asked(world, row)
    raw = Raw(world, person)
    refused = raw.send(row.method, path, {**body, "colour": "red"}, key="one")
    done = raw.send(row.method, path, body, key="one")
    again = raw.send(row.method, path, body, key="one")
    other = raw.send(row.method, path, {**body, "colour": "red"}, key="one")

    assert (refused.status, done.status, again.status) == (400, row.success_status, row.success_status)
    assert done.headers.get("idempotency-replayed") is None
    assert (again.content, again.headers["idempotency-replayed"]) == (done.content, "true")
    assert other.status == 400


def names_of_the_server(world: World, row: Row) -> set[str]:
    """Return every name that something has: the fields of the models of the row's area, the columns of all tables."""
    models = vars(importlib.import_module(f"cabinet_sdk.{row.area}.models")).values()
    fields = {
        field.name for each in models if inspect.isclass(each) and attrs.has(each) for field in attrs.fields(each)
    }
    columns = world.database.all(
        "SELECT c.name FROM sqlite_schema s, pragma_table_info(s.name) c WHERE s.type = 'table'"
    )
    return fields | {column["name"] for column in columns}


def places(body: Body, path: str = "") -> Iterator[tuple[str, Body, set[str]]]:
    """Go through the objects of a body: where each is, itself, and which names belong there."""
    yield path, body, set(body)
    for name, value in body.items():
        if isinstance(value, dict):
            yield from places(cast("Body", value), f"{path}{name}.")
        elif isinstance(value, list) and all(isinstance(item, dict) for item in cast("list[object]", value)):
            items = cast("list[Body]", value)
            yield f"{path}{name}[0].", items[0], {each for item in items for each in item}


@pytest.mark.feature("EX-01")
@each_write
def test_55_nobody_writes_what_is_the_servers(world: World, person: Profile, row: Row) -> None:
    """Each name that a model or a table has, added to body or query where it does not belong, is 400 and named."""
    path, body = asked(world, row)
    raw = Raw(world, person)
    names = names_of_the_server(world, row)
    untouched = kept(world)
    assert {"id", "status", "paid", "profile_id", "settled_at", "pending", "credited", "client_secret"} <= names

    for place, target, known in places(body):
        for name in sorted(names - known):
            for value in ("1.00", {"a": 1}):
                target[name] = value
                refused = raw.send(row.method, path, body, key="one")
                del target[name]
                errors = [(each["field"], each["code"]) for each in document(refused)["errors"]]
                assert (refused.status, errors) == (400, [(f"{place}{name}", "unknown_field")])
    for name in sorted(names):
        refused = raw.send(row.method, f"{path}?{name}=1", body, key="one")
        assert (refused.status, document(refused)["errors"][0]["field"]) == (400, name)

    assert kept(world) == untouched
    assert raw.send(row.method, path, body, key="one").status == row.success_status
