"""
Whatever a parameter holds is a value and never a statement (experiment 95).

Classic payloads in every parameter of every operation, and stored ones that come back through filters, sorting,
exports and papers. `tools/injection.py` has sqlmap try the same over HTTP.
"""

from __future__ import annotations

import copy
import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from html.parser import HTMLParser
from typing import Any, cast
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import attrs
import httpx
import pytest

from cabinet_sdk import AsyncCabinet
from cabinet_sdk._core.operation import Download, Listing
from cabinet_sdk.charges import ChargeOrder, ExportFormat, PaymentMethod, RefundMethod
from cabinet_sdk.contract import CONTRACT, Row
from cabinet_sdk.transports import Request
from cabinet_sdk.types import Money
from reference_server import Profile, World
from reference_server.papers import safe_cell
from reference_server.testing import BASE_URL
from tests.charges.reading import rows_of_csv, rows_of_workbook, text_of
from tests.conftest import Connect
from tests.server.raw import Raw, document
from tests.server.tables import kept
from tests.wire.before import before

PAYLOADS = (
    *("'", '"', "`", "\\", "''", "' --", "' #", "/*", "*/", ";", "%", "_", "%27", "0x27", "''''", "ʼ", "＇"),
    "' OR '1'='1",
    "' OR 1=1 --",
    '" OR "1"="1',
    "1 OR 1=1",
    "1) OR (1=1",
    "') OR ('1'='1",
    "' AND 1=0 UNION SELECT client_secret FROM profiles --",
    "' UNION ALL SELECT NULL,NULL,NULL --",
    "'; DROP TABLE charges; --",
    "'; UPDATE charges SET paid = amount; --",
    "1; ATTACH DATABASE 'other.db' AS other; --",
    "' || (SELECT client_secret FROM profiles) || '",
    "' AND randomblob(900000000) IS NOT NULL --",
    "' AND load_extension('x') --",
    "(SELECT CASE WHEN 1=1 THEN 1 ELSE abs(-9223372036854775808) END)",
    "id; --",
    "id DESC, (SELECT 1)",
    "' COLLATE NOCASE --",
    "' GLOB '*",
    "' LIKE '%",
    "x' ORDER BY 99 --",
    "?",
    ":id",
    "@a",
    "{0}",
    "{{7*7}}",
    "${7*7}",
    "%s",
)

Asked = tuple[str, str, bytes]
"""The name of a parameter, and path and body with a payload in it."""


def with_payload(row: Row, request: Request, payload: str) -> Iterator[Asked]:
    """Go through a request with the payload in place of each parameter, and after it."""
    parts = urlsplit(request.url.removeprefix(BASE_URL))
    content = request.content if isinstance(request.content, bytes) else b""
    query = dict(parse_qsl(parts.query))
    names = {field.name for field in attrs.fields(row.request_class)} - set(row.path_fields)
    if isinstance(row, Listing):
        names |= {"limit", "cursor"}
    for name in names if row.method == "GET" else ():
        for value in {payload, query.get(name, "") + payload}:
            yield name, f"{parts.path}?{urlencode({**query, name: value})}", content
    steps = parts.path.split("/")
    for place, name in enumerate(row.path.split("/")):
        if name.startswith("{"):
            for value in (payload, steps[place] + payload):
                path = "/".join([*steps[:place], quote(value, safe=""), *steps[place + 1 :]])
                yield name, path + (f"?{parts.query}" if parts.query else ""), content
    for name, body in _bodies(json.loads(content), payload) if content else ():
        yield name, request.url.removeprefix(BASE_URL), json.dumps(body).encode()


def _bodies(body: Any, payload: str) -> Iterator[tuple[str, Any]]:  # Any: JSON
    """Go through a body with the payload in place of each text, and after it."""
    for place, value in _members(body):
        changes = [(str(place), value + payload), (str(place), payload)] if isinstance(value, str) else ()
        for name, change in changes or _bodies(value, payload):
            other = copy.copy(body)
            other[place] = change
            yield name, other


def _members(body: Any) -> Iterable[tuple[Any, Any]]:  # Any: JSON
    if isinstance(body, dict):
        return cast("dict[str, Any]", body).items()
    return enumerate(cast("Sequence[Any]", body)) if isinstance(body, list) else ()


def state(world: World) -> dict[str, list[tuple[object, ...]]]:
    """Return all that is kept but the journal, which takes down each attempt at what is not there."""
    return {table: rows for table, rows in kept(world).items() if not table.startswith("audit_")}


@pytest.mark.parametrize("row", list(CONTRACT), ids=lambda row: row.id)
def test_95_no_parameter_is_a_statement(world: World, person: Profile, row: Row) -> None:
    """A payload is refused or finds nothing; no fault, nothing of others, and nothing is changed."""
    request = before(world, row)
    raw = Raw(world, person)
    untouched = state(world)
    asked = found_nothing = 0
    for payload in PAYLOADS:
        for name, path, content in with_payload(row, request, payload):
            asked += 1
            answer = raw.send(row.method, path, content=content or None, key="k" if content else None)
            if answer.status == 200:
                # Only a free text, and what may be an id, gets as far as the database; nothing has such a number or id.
                assert name == "order_number" or (name == "charge_id" and payload in {"_", "0x27"}), (name, payload)
                nothing = rows_of_csv(answer.content)[1:] if isinstance(row, Download) else json.loads(answer.content)
                assert nothing == [], (name, payload)
                found_nothing += 1
            else:
                assert answer.status in {400, 404}, (name, payload, answer.content)

    assert asked >= len(PAYLOADS)
    if row.id in {"charges.list", "charges.export"}:
        assert found_nothing == 2 * len(PAYLOADS)
    assert state(world) == untouched


@pytest.mark.feature("CH-01", "CH-08")
async def test_95_stored_payloads_come_back_as_text(client: AsyncCabinet, world: World, person: Profile) -> None:
    """Stored as purpose and order number, they are filtered, sorted, paged and exported as the text that they are."""
    for number, payload in enumerate(PAYLOADS):
        world.charges.add(
            person,
            Money.from_kopecks(100 + number),
            purpose=payload,
            order_number=payload,
            accrued_on=dt.date(2026, 9, 1) + dt.timedelta(days=number),
        )
        world.charges.receive_transfer(person.inn, Money("1.00"), purpose=payload, payment_order_number="1")
    untouched = state(world)

    for payload in PAYLOADS:
        same = [charge.requisites.purpose async for charge in client.charges.list(order_number=payload)]
        assert same == [payload]
    for order in ChargeOrder.members():
        by_page = client.with_options(page_size=7).charges.list(order=order)
        purposes = [charge.requisites.purpose async for charge in by_page]
        assert sorted(purposes) == sorted(PAYLOADS)
    assert sorted([each.purpose async for each in client.charges.bank_transfers()]) == sorted(PAYLOADS)

    async with await client.charges.export(ExportFormat.CSV, order=ChargeOrder.OLDEST) as file:
        head, *rows = rows_of_csv(await file.read())
    assert [row[head.index("Назначение")] for row in rows] == [safe_cell(payload) for payload in PAYLOADS]
    async with await client.charges.export(ExportFormat.XLSX, order=ChargeOrder.OLDEST) as file:
        _, *cells = rows_of_workbook(await file.read())
    assert [row[head.index("Номер документа")] for row in cells] == [safe_cell(payload) for payload in PAYLOADS]
    async with await client.charges.export(ExportFormat.PDF, order=ChargeOrder.OLDEST) as file:
        assert f"Всего строк: {len(PAYLOADS)}" in text_of(await file.read())
    after = state(world)
    assert {table for table in after if after[table] != untouched[table]} == {"tokens", "counters"}


async def test_95_a_name_is_text_on_every_paper(connect: Connect, world: World) -> None:
    """A payer whose name is a payload pays, and it stands on bill and receipt as text."""
    name = "Robert'); DROP TABLE payments; -- <b>&amp;</b> {{7*7}}"
    bobby = world.profiles.add(name)
    client = connect(bobby)
    charge = world.charges.add(bobby, Money("10.00"), purpose="' || (SELECT 1) || '")
    payment = await client.charges.pay(charge.id, method=PaymentMethod.SBP)
    await client.charges.wait_for_payment(payment.id)

    for paper in (client.charges.payment_document, client.charges.receipt):
        async with await paper(payment.id) as file:
            assert name in text_of(await file.read())
    assert [each.id async for each in client.charges.payments()] == [payment.id]
    world.charges.check_books()


class Forms(HTMLParser):
    """The forms of a page: where each goes, and what stands in its fields when it is shown."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str, dict[str, str]]] = []
        self._select: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a form, a field, and the first or chosen option of a list."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append((given.get("method", "get"), given["action"], {}))
        elif tag in {"input", "select"} and "name" in given:
            self._select = given["name"] if tag == "select" else None
            self.found[-1][2][given["name"]] = given.get("value", "")
        elif tag == "option" and self._select is not None:
            fields = self.found[-1][2]
            if "selected" in given or not fields[self._select]:
                fields[self._select] = given.get("value", "")


SOME = PAYLOADS[::6]

# What a person types where nothing is proposed.
TYPED = {"amount": "1.00", "name": "Иванова", "purpose": "Штраф", "payment_order_number": "1", "times": "1"}


@pytest.mark.slow
def test_95_no_field_of_the_console_is_a_statement(console: httpx.Client, world: World, person: Profile) -> None:
    """A payload in each field of each form, and in each step of its address, is text or refused; never a fault."""
    charge = world.charges.add(person, Money("100.00"))
    raw = Raw(world, person)
    payment = document(raw.send("POST", f"/charges/{charge.id}/payments", {"method": "sbp"}, key="k"))["id"]
    overpaid = world.charges.add(person, Money("1.00"))
    world.charges.credit(person, overpaid, Money("100.00"))
    refund = world.charges.request_refund(person, overpaid, RefundMethod.BANK_CARD, Money("10.00"))
    base = f"/profiles/{person.id}"
    pages = ["/", base, f"{base}/charges/{charge.id}", f"{base}/charges/{overpaid.id}", "/clock", "/faults"]
    pages += [f"/pay/{payment}", f"/refunds/{refund.id}"]
    forms = {
        (method, action): fields for page in pages for method, action, fields in Forms(console.get(page).text).found
    }
    tables = set(kept(world))
    stored: set[str] = set()
    tried = 0

    for (method, action), fields in forms.items():
        for name in fields:
            # What is chosen from a list gets no further than the list.
            for payload in PAYLOADS if name in TYPED else SOME:
                sent = {**fields, **{each: TYPED[each] for each in fields if each in TYPED}, name: payload}
                answer = console.request(
                    method,
                    action,
                    **({"params": sent} if method == "get" else {"data": sent}),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
                )
                tried += 1
                assert answer.status_code in {200, 303, 404, 409, 422}, (action, name, payload, answer.text)
                if answer.status_code == 303 and name in {"name", "purpose", "order_number"}:
                    stored.add(name)
        for place, step in enumerate(action.split("/")):
            if step.startswith(("prf_", "chg_", "pay_", "rfd_", "ref_")):
                for payload in SOME:
                    steps = action.split("/")
                    steps[place] = quote(payload, safe="")
                    assert console.request(method, "/".join(steps)).status_code in {303, 307, 404}, (action, payload)

    assert len(forms) >= 10
    assert tried > 8 * len(PAYLOADS)
    assert stored >= {"name", "purpose"}
    names = [each.name for each in world.profiles.all()]
    # Each stands there as it was typed.
    assert {*PAYLOADS} <= {*names}
    assert set(kept(world)) == tables
    world.charges.check_books()
    assert world.audit.check() is None
