"""The controls of a world say what they take."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest

from cabinet_sdk import AsyncCabinet
from cabinet_sdk.charges import ChargeKind, ChargeNotFound, ExportFormat, PaymentMethod, RefundMethod
from cabinet_sdk.errors import InvalidValue, ServiceUnavailable, UsageError
from cabinet_sdk.types import Inn, Money
from reference_server import Outcome, Profile, ProfileKind, World
from reference_server.testing import connect, connect_async, credentials, serve

# Any: the arguments are wrong, and type checkers say so of each.
MISTAKES: list[tuple[Callable[[Any, Profile], object], str]] = [
    (
        lambda world, person: world.charges.add(person, 500),
        "world.charges.add(): amount: expected Money, got int: Money('500.00') makes one",
    ),
    (
        lambda world, person: world.charges.add(person.id, Money(500)),
        "world.charges.add(): profile: expected Profile, got str 'pr…",
    ),
    (
        lambda world, person: world.charges.add(person, Money(500), kind="fine"),
        "world.charges.add(): kind: expected ChargeKind, got str 'f…e': write ChargeKind.FINE",
    ),
    (
        lambda world, _: world.charges.script(Outcome.SUCCEED, "decline"),
        "world.charges.script(): outcomes[1]: expected Outcome, got str 'd…e': write Outcome.DECLINE",
    ),
    (
        lambda world, _: world.charges.confirm(None),
        "world.charges.confirm(): payment_id: expected PaymentId (str), got None",
    ),
    (
        lambda world, person: world.charges.receive_transfer(person, Money(1), purpose="Штраф"),
        "world.charges.receive_transfer(): payer_inn: expected Inn, got Profile: Inn(text) makes one",
    ),
    (
        lambda world, _: world.profiles.add("Орлова Вера", "500100732259"),
        "world.profiles.add(): inn: expected Inn, got str '50…59': Inn(text) makes one",
    ),
    (
        lambda world, _: world.profiles.add("Орлова Вера", registration="1"),
        "world.profiles.add(): registration: expected Ogrn or Ogrnip, got str '…'",
    ),
    (
        lambda world, _: world.profiles.add("Орлова Вера", permissions=["charges.read"]),
        "world.profiles.add(): permissions: expected frozenset of str, got list",
    ),
    (
        lambda world, person: world.audit.entries(person),
        "world.audit.entries(): profile_id: expected str, got Profile",
    ),
    (
        lambda world, person: world.audit.erase(person),
        "world.audit.erase(): profile_id: expected str, got Profile",
    ),
    (
        lambda world, person: world.client_secret(person),
        "world.client_secret(): client_id: expected str, got Profile",
    ),
    (
        lambda world, _: world.restore("checkpoint"),
        "world.restore(): checkpoint: expected Checkpoint, got str",
    ),
    (
        lambda world, _: type(world)(rate_limit=600),
        "World(): rate_limit: expected RateLimit, got int",
    ),
    (
        lambda world, _: type(world)(clock=dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        "World(): clock: expected Clock, got datetime",
    ),
    (
        lambda world, _: type(world)(file=5),
        "World(): file: expected str or Path, got int",
    ),
    (
        lambda world, _: world.seeded(seed="1"),
        "World.seeded(): seed: expected int, got str '…'",
    ),
    (
        lambda _, person: serve(person),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a mistake
        "serve(): world: expected World, got Profile",
    ),
    (
        lambda world, _: type(world.clock)("2026-01-01"),
        "ManualClock(): start: expected datetime, got str '20…01': datetime.datetime(year, month, day, tzinfo=",
    ),
]


@pytest.mark.parametrize("name", ["", " ", "\t\n"])
def test_nobody_is_without_a_name(world: World, name: str) -> None:
    """A blank name is refused, and nobody is added."""
    with pytest.raises(ValueError, match="name: a profile has one, not"):
        world.profiles.add(name)

    assert world.profiles.all() == []


@pytest.mark.parametrize("seconds", [math.nan, -math.inf, -1.0])
def test_a_clock_sleeps_for_a_number_from_0_on(world: World, seconds: float) -> None:
    """What is none is refused in the clock's words, and time stands still."""
    before = world.clock.now()
    with pytest.raises(ValueError, match=f"^seconds: a clock moves forward only, not by {seconds}$"):
        world.clock.sleep(seconds)
    with pytest.raises(OverflowError, match="a clock goes to"):
        world.clock.sleep(math.inf)

    assert world.clock.now() == before


@pytest.mark.parametrize("call, message", MISTAKES)
def test_a_wrong_kind_is_refused(
    world: World, person: Profile, call: Callable[[Any, Profile], object], message: str
) -> None:
    """What was expected and what came is told, and nothing happens."""
    with pytest.raises(UsageError) as caught:
        call(world, person)

    assert str(caught.value).startswith(message)
    assert world.profiles.all() == [person]


def test_a_wrong_name_is_refused(world: World, person: Profile) -> None:
    """A slip in a name is named with what was meant."""
    add: Any = world.charges.add

    with pytest.raises(TypeError, match=r"^world\.charges\.add\(\) got an .* 'due_to'; did you mean 'due_on'\?$"):
        add(person, Money(500), due_to=None)


def test_a_number_is_nobodys_twice(world: World, person: Profile) -> None:
    """Two profiles of one ИНН are refused in words, without the number."""
    with pytest.raises(ValueError, match=r"^another profile has this ИНН$"):
        world.profiles.add("Орлова Вера", person.inn)


def test_thousands_of_organisations_have_each_a_number(world: World) -> None:
    """However many profiles there are, one more gets an ИНН that nobody has."""
    for _ in range(7000):
        world.profiles.add("ООО «Ромашка»", kind=ProfileKind.ORGANISATION)

    assert len({profile.inn for profile in world.profiles.all()}) == 7000


def test_a_uin_that_a_charge_has_is_not_made_up() -> None:
    """A charge gets a УИН that no other has, also where a test has given one the very УИН that would be next."""
    there, here = World(), World()
    payer, other = there.profiles.add("Орлова Вера"), here.profiles.add("Орлова Вера")
    there.charges.add(payer, Money("1.00"), kind=ChargeKind.TAX)
    made_up = there.charges.add(payer, Money("1.00")).uin
    here.charges.add(other, Money("1.00"), uin=made_up)

    assert here.charges.add(other, Money("1.00")).uin not in {None, made_up}


def test_numbers_that_run_short_come_once_each(world: World, person: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as there is a number that no payment or refund has, the next one gets it."""
    monkeypatch.setattr("reference_server.charges.rules_payments._PAYMENT_NUMBER_LENGTH", 1)
    monkeypatch.setattr("reference_server.charges.rules_refunds._REFUND_NUMBER_LENGTH", 1)
    client = connect(world, person)
    for _ in range(9):
        client.charges.pay(world.charges.add(person, Money("1.00")).id, method=PaymentMethod.SBP)
        overpaid = world.charges.add(person, Money("1.00"))
        world.charges.credit(person, overpaid, Money("2.00"))
        client.charges.request_refund(overpaid.id, method=RefundMethod.COMPENSATION)

    assert {payment.number for payment in client.charges.payments()} == set("123456789")
    assert {refund.number for refund in client.charges.refunds()} == set("123456789")


@pytest.mark.parametrize("how", [{"times": 0}, {"times": -1}, {"seconds": 0}, {"seconds": -1.0}, {"seconds": math.nan}])
def test_a_fault_strikes_at_least_once(world: World, how: dict[str, Any]) -> None:  # Any: numbers of either kind
    """A fault that never strikes would let a test pass that tests nothing."""
    with pytest.raises(ValueError, match=r"strikes once or more often|lasts for more than 0"):
        world.faults.lose_answer("charges.pay", **how)


@pytest.mark.parametrize("how", [{"times": True}, {"times": "1"}, {"seconds": "60"}, {"retry_after": "2"}])
def test_a_fault_says_what_it_takes(world: World, how: dict[str, Any]) -> None:  # Any: what does not belong there
    """A value of another kind is named when the fault is asked for, and not when it strikes."""
    (name,) = how
    with pytest.raises(UsageError, match=rf"^world.faults.refuse\(\): {name}: expected"):
        world.faults.refuse("charges.pay", **how)


def test_a_fault_is_for_a_time_or_counted(world: World) -> None:
    """Both at once, a wait before now, a status that is no outage, and a century too much are refused."""
    wrong: list[dict[str, Any]] = [  # Any: numbers of either kind
        {"times": 1, "seconds": 1.0},
        {"retry_after": -2.0},
        {"status": 500},
        {"seconds": 1e12},
    ]
    for how in wrong:
        with pytest.raises(ValueError, match="not"):
            world.faults.refuse("charges.pay", **how)
    assert not world.faults.set


async def test_an_outage_strikes_everything_for_its_time(client: AsyncCabinet, world: World, person: Profile) -> None:
    """A service that is down for a minute refuses tokens and operations alike, and works again after it."""
    charge = world.charges.add(person, Money("10.00"))
    outage = world.faults.refuse("*", seconds=60)

    with pytest.raises(ServiceUnavailable):
        await client.charges.get(charge.id)

    assert outage.hits == 4
    assert {each.operation for each in world.requests} == {"sign_in.token"}
    world.clock.sleep(60)
    assert (await client.charges.get(charge.id)).amount == Money("10.00")
    assert outage.hits == 4


async def test_a_refusal_may_be_any_problem(client: AsyncCabinet, world: World, person: Profile) -> None:
    """A test may ask for the problem that it is about, once."""
    charge = world.charges.add(person, Money("10.00"))
    world.faults.refuse("charges.get", problem=ChargeNotFound())

    with pytest.raises(ChargeNotFound):
        await client.charges.get(charge.id)

    assert (await client.charges.get(charge.id)).id == charge.id


@pytest.mark.parametrize("operation", ["sign_in.token", "charges.list", "charges.get", "charges.export"])
async def test_a_read_crashes_like_a_change(
    client: AsyncCabinet, world: World, person: Profile, operation: str
) -> None:
    """A crash that is asked for strikes reads, files and tokens too: 500, and the call is repeated."""
    charge = world.charges.add(person, Money("10.00"))
    crash = world.faults.crash(operation)

    assert [each.id async for each in client.charges.list()] == [charge.id]
    assert (await client.charges.get(charge.id)).id == charge.id
    async with await client.charges.export(ExportFormat.CSV) as file:
        assert await file.read()

    assert crash.hits == 1
    assert [each.status for each in world.requests if each.operation == operation][:2] == [500, 200]


def test_a_slip_in_a_permission_or_a_method_is_refused(world: World) -> None:
    """Whoever may do nothing by a slip would make a test pass that is about what is not allowed."""
    with pytest.raises(ValueError, match=r"no permission 'charges.red'; there are charges\."):
        world.profiles.add("Орлова Вера", permissions=frozenset({"charges.red"}))
    with pytest.raises(
        ValueError, match="no method that needs something linked 'card'; there are linked_account, linked_card"
    ):
        world.profiles.add("Орлова Вера", linked=frozenset({"card"}))
    assert world.profiles.all() == []


def test_a_slip_in_an_outcome_or_a_kind_is_refused(world: World) -> None:
    """An outcome that there is not would let the payment succeed, which was to be declined."""
    with pytest.raises(InvalidValue, match=r"Outcome: expected one of succeed, decline, hold, got .* unknown_code"):
        world.charges.script(Outcome.SUCCEED, Outcome("declined"))
    with pytest.raises(InvalidValue, match="Outcome: expected one of"):
        world.charges.script_refunds(Outcome("declined"))
    with pytest.raises(InvalidValue, match="ProfileKind: expected one of person, entrepreneur, organisation"):
        world.profiles.add("Орлова Вера", kind=ProfileKind("human"))
    assert world.audit.entries() == []


@pytest.mark.parametrize(
    "inn, kind",
    [
        (Inn("7707083893"), ProfileKind.PERSON),
        (Inn("7707083893"), ProfileKind.ENTREPRENEUR),
        (Inn("500100732259"), ProfileKind.ORGANISATION),
    ],
)
def test_a_number_is_of_its_kind(world: World, inn: Inn, kind: ProfileKind) -> None:
    """People and entrepreneurs have an ИНН of 12 digits, organisations of 10."""
    with pytest.raises(ValueError, match=rf"ИНН of this kind, {kind.label}, has \d+ digits, not {len(inn)}"):
        world.profiles.add("Орлова Вера", inn, kind=kind)


def test_what_is_of_another_world_is_refused(world: World, person: Profile) -> None:
    """Neither its profile nor its charge is credited, and nobody is erased who never was here."""
    other = World(seed=2)
    stranger = other.profiles.add("Чужая")
    theirs, ours = other.charges.add(stranger, Money("10.00")), world.charges.add(person, Money("10.00"))

    with pytest.raises(ValueError, match=f"the world has no charge {theirs.id}"):
        world.charges.credit(person, theirs, Money("10.00"))
    with pytest.raises(ValueError, match=f"the world has no profile {stranger.id}"):
        world.charges.credit(stranger, ours, Money("10.00"))
    with pytest.raises(ValueError, match=f"the world has no profile {stranger.id}"):
        world.audit.erase(stranger.id)
    assert connect(world, person).charges.get(ours.id).paid == Money.ZERO


def test_a_charge_on_the_last_of_days_needs_its_term(world: World, person: Profile) -> None:
    """Sixty days after it there is none, which is told in words."""
    with pytest.raises(ValueError, match="60 days after 9999-12-31 there is no day: name the last day to pay, due_on"):
        world.charges.add(person, Money("1.00"), accrued_on=dt.date.max)

    assert world.charges.add(person, Money("1.00"), accrued_on=dt.date.max, due_on=dt.date.max).due_on == dt.date.max


HALF = "Иван\ud800"

# Any: as above.
UNSENDABLE: list[tuple[Callable[[Any, Profile], object], str]] = [
    (lambda world, _: world.profiles.add(HALF), "name"),
    (lambda world, _: world.profiles.get(HALF), "profile_id"),
    (lambda world, _: world.client_secret(HALF), "client_id"),
    (lambda world, _: world.audit.entries(HALF), "profile_id"),
    (lambda world, person: world.charges.add(person, Money(1), purpose=HALF), "purpose"),
    (lambda world, person: world.charges.add(attrs.evolve(person, id=HALF), Money(1)), "profile.id"),
    (lambda world, _: world.charges.confirm(HALF), "payment_id"),
    (lambda world, person: world.charges.receive_transfer(person.inn, Money(1), purpose=HALF), "purpose"),
]


@pytest.mark.parametrize("call, argument", UNSENDABLE)
def test_half_a_pair_is_told_by_its_argument(
    world: World, person: Profile, call: Callable[[Any, Profile], object], argument: str
) -> None:
    """A text that there are no bytes for is named and not shown, whatever control it is given to."""
    entries = world.audit.entries()

    with pytest.raises(InvalidValue, match=rf"^{re.escape(argument)}: expected text without halves") as caught:
        call(world, person)

    assert HALF not in str(caught.value)
    assert caught.value.__context__ is None
    assert world.audit.entries() == entries


def test_a_file_may_be_named_by_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text is a path, as for the journal of a client, also where SQLite would take it for something else."""
    monkeypatch.chdir(tmp_path)
    for name in (str(tmp_path / "world.db"), "file:world.db?mode=memory"):
        with closing(World(file=name)) as world:
            added = world.profiles.add("Орлова Вера")
        with closing(World.seeded(file=Path(name))) as world:
            assert world.profiles.all() == [added]


def test_a_clock_says_what_it_takes(world: World) -> None:
    """A number of seconds where a duration belongs is named."""
    with pytest.raises(UsageError, match=r"^world.clock.advance\(\): by: expected timedelta, got int"):
        # Checkers know of a `Clock` that cannot be moved by a duration; who has none tries a number.
        world.clock.advance(60)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


@pytest.mark.parametrize("function", [connect, connect_async, credentials])
def test_clients_for_a_world_say_what_they_take(world: World, person: Profile, function: Any) -> None:
    """World and profile in the wrong order, or an id for a profile, are named."""
    name = function.__name__
    with pytest.raises(UsageError, match=rf"^{name}\(\): world: expected World, got Profile$"):
        function(person, world)
    with pytest.raises(UsageError, match=rf"^{name}\(\): profile: expected Profile, got str 'pr"):
        function(world, person.id)


def test_a_profile_is_found_by_its_id(world: World, person: Profile) -> None:
    """What is right goes through: `world.profiles.get()` gives who `add()` gave."""
    charge = world.charges.add(person, Money(500), kind=ChargeKind.DUTY)

    assert world.profiles.get(person.id) == person
    assert world.profiles.get("prf_nobody") is None
    assert charge.amount == Money("500.00")
