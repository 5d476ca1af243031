"""The console for people: its overview, profiles and charges, over HTTP."""

from __future__ import annotations

import datetime as dt
import io
import re
from html import escape, unescape

import httpx
import pytest

from cabinet_sdk.charges import ChargeKind, PaymentMethod
from cabinet_sdk.contract import CONTRACT
from cabinet_sdk.types import Money
from reference_server import Profile, SystemClock, World
from reference_server.testing import connect, serve
from tests.server.console import sent, shown, snippets


def test_the_overview_shows_what_there_is(console: httpx.Client, world: World, person: Profile) -> None:
    """The first page names the world's time, people with their credentials, counts, and what to try with them."""
    world.charges.add(person, Money("10.00"))
    world.faults.crash("charges.pay")
    console.get("/v1/charge")

    page = console.get("/")

    text = shown(page)
    assert "16.11.2026 12:00:00" in text
    assert "1 refused" in text
    assert f'ClientCredentials("{person.id}", "{world.client_secret(person.id)}")' in text
    assert f"curl -s -u {person.id}:{world.client_secret(person.id)}" in text
    assert all(row.id in text for row in CONTRACT)
    assert "script-src" not in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text
    assert page.headers["cache-control"] == "no-store"


def test_an_empty_world_says_so(console: httpx.Client) -> None:
    """Where there is nobody, the first page says what to do about it."""
    text = shown(console.get("/"))

    assert "Nobody yet" in text
    assert "Add a profile first" in text


@pytest.mark.parametrize("kind", ["person", "entrepreneur", "organisation"])
def test_a_profile_is_added(console: httpx.Client, world: World, kind: str) -> None:
    """The form on the first page adds a profile that can sign in at once."""
    page = sent(console, "/profiles", name="Петров Пётр", kind=kind, inn="", linked="yes")

    (profile,) = world.profiles.all()
    assert (profile.name, profile.kind) == ("Петров Пётр", kind)
    assert PaymentMethod.LINKED_CARD in profile.linked
    assert page.url.path == f"/profiles/{profile.id}"
    assert list(connect(world, profile).charges.list()) == []


@pytest.mark.parametrize(
    "typed, message",
    [
        (("", ""), "Fill this in."),
        (("я" * 201, ""), "At most 200 characters, not 201."),
        (("Иван\nов", ""), "One line"),
        (("Иванов", "123"), "Expected"),
        (("Иванов", "{taken}"), "Another profile has this ИНН."),
    ],
)
def test_a_wrong_profile_is_refused(
    console: httpx.Client, world: World, person: Profile, typed: tuple[str, str], message: str
) -> None:
    """An error stands at its field, what was typed is kept, and nobody is added."""
    name, inn = typed
    page = console.post("/profiles", data={"name": name, "kind": "person", "inn": inn.format(taken=person.inn)})

    assert page.status_code == 422
    assert message in shown(page)
    assert escape(name) in page.text
    assert "<details open>" in page.text
    assert world.profiles.all() == [person]


def test_filters_narrow_the_charges(console: httpx.Client, world: World, person: Profile) -> None:
    """Kind, status and overdue narrow what a profile's page lists, and the choice stays in the form."""
    past = dt.date(2026, 1, 10)
    world.charges.add(person, Money("1.00"), kind=ChargeKind.FINE, purpose="Новый штраф")
    world.charges.add(person, Money("2.00"), kind=ChargeKind.TAX, accrued_on=past, due_on=past, purpose="Старый налог")
    paid = world.charges.add(person, Money("3.00"), kind=ChargeKind.DUTY, purpose="Уплаченная пошлина")
    world.charges.credit(person, paid, Money("3.00"))

    def listed(query: str) -> list[str]:
        text = console.get(f"/profiles/{person.id}?{query}").text
        return [name for name in ("Новый штраф", "Старый налог", "Уплаченная пошлина") if f">{name}</a>" in text]

    assert listed("") == ["Новый штраф", "Старый налог", "Уплаченная пошлина"]
    assert listed("kind=tax") == ["Старый налог"]
    assert listed("status=paid") == ["Уплаченная пошлина"]
    assert listed("overdue=yes") == ["Старый налог"]
    assert listed("overdue=no&status=not_paid") == ["Новый штраф"]
    assert listed("cursor=broken") == ["Новый штраф", "Старый налог", "Уплаченная пошлина"]
    assert '<option value="tax" selected>' in console.get(f"/profiles/{person.id}?kind=tax").text


@pytest.mark.parametrize("field", ["kind", "status", "overdue", "order"])
def test_a_filter_that_is_none_is_refused(console: httpx.Client, person: Profile, field: str) -> None:
    """A filter that does not exist is said to be wrong, and no charge is said to be like that."""
    page = console.get(f"/profiles/{person.id}?{field}=no-such")

    assert page.status_code == 422
    assert f"{field}: Choose one of the list." in shown(page)
    assert "like that" not in shown(page)


def test_many_charges_come_in_pages(console: httpx.Client, world: World, person: Profile) -> None:
    """Following the link to the next page shows each charge once, filters kept."""
    for number in range(60):
        world.charges.add(person, Money(number + 1), purpose=f"Штраф № {number}")
    address = f"/profiles/{person.id}?kind=fine"
    seen: list[str] = []
    pages = 0
    while address:
        page = console.get(address)
        seen += re.findall(r">(Штраф № \d+)</a>", page.text)
        found = re.search(r'rel="next" href="([^"]+)"', page.text)
        address = unescape(found[1]) if found else ""
        assert not address or "kind=fine" in address
        pages += 1

    assert sorted(seen) == sorted(f"Штраф № {number}" for number in range(60))
    assert pages == 3
    assert "60 charges" in shown(console.get(f"/profiles/{person.id}"))


def test_a_charge_is_added(console: httpx.Client, world: World, person: Profile) -> None:
    """The form charges the profile, with an amount as Russians write it, and leads to the charge's card."""
    page = sent(
        console,
        f"/profiles/{person.id}/charges",
        kind="duty",
        amount="1 234,5",
        due_on="2026-12-31",
        purpose="Госпошлина за регистрацию",
    )

    (charge,) = connect(world, person).charges.list()
    assert (charge.kind, charge.amount) == (ChargeKind.DUTY, Money("1234.50"))
    assert (charge.due_on, charge.purpose) == (dt.date(2026, 12, 31), "Госпошлина за регистрацию")
    assert page.url.path == f"/profiles/{person.id}/charges/{charge.id}"
    assert "The charge is added." in shown(page)


def test_a_charge_of_the_past_is_overdue(console: httpx.Client, world: World, person: Profile) -> None:
    """A day that is over makes a debt, which was accrued before it."""
    sent(console, f"/profiles/{person.id}/charges", kind="tax", amount="5", due_on="01.10.2026", purpose="")

    (charge,) = connect(world, person).charges.list(overdue=True)
    assert charge.due_on == dt.date(2026, 10, 1)
    assert charge.purpose == "Налог"


@pytest.mark.parametrize(
    "typo, message",
    [
        (("kind", "bribe"), "Choose one of the list."),
        (("amount", ""), "Roubles with at most two decimals"),
        (("amount", "12.345"), "Roubles with at most two decimals"),
        (("amount", "-5"), "Roubles with at most two decimals"),
        (("amount", "0.00"), "An amount above zero."),
        (("amount", "9" * 40), "Roubles with at most two decimals"),
        (("due_on", "2026-02-30"), "A day such as"),
        (("due_on", "0001-01-01"), "A day from 1990"),
        (("purpose", "п" * 211), "At most 210 characters, not 211."),
    ],
)
def test_a_wrong_charge_is_refused(
    console: httpx.Client, world: World, person: Profile, typo: tuple[str, str], message: str
) -> None:
    """The error stands at its field, tied to it for screen readers; all that was typed is kept; nothing is added."""
    field, value = typo
    typed = {"kind": "fine", "amount": "77.10", "due_on": "2026-12-31", "purpose": "Особая цель"} | {field: value}
    page = console.post(f"/profiles/{person.id}/charges", data=typed)

    assert page.status_code == 422
    assert message in shown(page)
    wrong = re.findall(r'<(?:input|select) id="charge-(\w+)"[^>]*aria-invalid="true"', page.text)
    assert wrong == [field]
    assert f'aria-describedby="charge-{field}-error' in page.text
    assert f'id="charge-{field}-error"' in page.text
    for name, text in typed.items():
        assert name == "kind" or f'value="{text}"' in page.text
    assert list(connect(world, person).charges.list()) == []


def test_what_the_pages_show_in_python_runs(
    console: httpx.Client, world: World, person: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands on a page to be pasted into Python runs as it stands, with the names that a test has."""
    # A proxy of the environment could not reach this machine.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    charge = world.charges.add(person, Money("10.00"))
    paths = ["/", f"/profiles/{person.id}", f"/profiles/{person.id}/charges/{charge.id}", "/clock", "/faults"]
    paths += ["/requests", "/problems/request.invalid", "/problems/charges.nothing_due"]
    found = [each for path in paths for each in snippets(console.get(path))]
    with serve(World(clock=SystemClock())) as url, httpx.Client(trust_env=False, timeout=60) as other:
        found += snippets(other.get(f"{url.removesuffix('/v1')}/clock"))
    cabinet = connect(world, person)
    for snippet in found:
        exec(snippet, {"world": World(), "cabinet": cabinet})  # noqa: S102  # the pages are our own

    assert len(found) == 7
    (payment,) = cabinet.charges.payments()
    assert payment.items[0].charge_id == charge.id
