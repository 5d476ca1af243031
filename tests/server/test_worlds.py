"""Worlds are values: isolated, repeatable, kept in a file when asked."""

from __future__ import annotations

import datetime as dt
import logging
import pickle
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from cabinet_sdk import Cabinet, RetryPolicy
from cabinet_sdk.charges import Charge, ChargeKind, ChargeStatus, PaymentMethod, RefundMethod
from cabinet_sdk.errors import InternalError, UsageError
from cabinet_sdk.types import Inn, Kpp, Money, Ogrn, Ogrnip
from reference_server import DatabaseRefused, ManualClock, Profile, ProfileKind, RateLimit, SystemClock, World
from reference_server.__main__ import main
from reference_server.testing import connect, credentials, serve
from tests.server.raw import Raw, document


def story(world: World) -> list[bytes]:
    """Do the same things in a world; return what it answered."""
    answers: list[bytes] = []
    respond = world.respond

    def recording(request: object) -> object:
        response = respond(request)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        answers.append(response.content)
        return response

    world.respond = recording  # type: ignore[method-assign,assignment]  # pyright: ignore[reportAttributeAccessIssue]
    person = world.profiles.all()[0]
    with connect(world, person) as cabinet:
        charge = next(iter(cabinet.charges.list(status=ChargeStatus.NOT_PAID)))
        payment = cabinet.charges.pay(charge.id, method=PaymentMethod.SBP)
        cabinet.charges.wait_for_payment(payment.id)
        list(cabinet.charges.history(charge.id))
    return answers


def test_the_same_seed_and_calls_give_the_same_bytes() -> None:
    """Two worlds in memory with one seed answer byte for byte alike, tokens included; another seed does not."""
    assert story(World.seeded(seed=7)) == story(World.seeded(seed=7))
    assert story(World.seeded(seed=7)) != story(World.seeded(seed=8))


def test_worlds_do_not_see_one_another() -> None:
    """What happens in one world is not in another."""
    one, other = World(), World()
    person = one.profiles.add("Иванова")
    one.charges.add(person, Money("1.00"))

    assert other.profiles.all() == []
    assert len(one.profiles.all()) == 1


def test_a_world_takes_nothing_over_from_one_that_was_closed() -> None:
    """However many worlds were made, changed and closed before, the next one is as fresh; a closed one is gone."""
    fresh = World.seeded().checkpoint().image
    closed = [World.seeded() for _ in range(6)]
    for world in closed:
        rows = world.database.each("SELECT id FROM charges")
        next(rows)
        with suppress(UsageError), world.work():
            world.charges.add(world.profiles.all()[0], Money("5.00"))
            world.close()
        with pytest.raises(sqlite3.ProgrammingError):
            next(rows)
        world.close()
        with pytest.raises(UsageError, match=r"^the world is closed$"):
            world.profiles.all()

    assert [World.seeded().checkpoint().image for _ in range(6)] == [fresh] * 6


def test_a_client_of_a_closed_world_is_told(person: Profile, world: World, caplog: pytest.LogCaptureFixture) -> None:
    """In process it is a mistake of the caller's, at the first attempt; over HTTP the server says it in one line."""
    charge = world.charges.add(person, Money("1.00"))
    cabinet = connect(world, person)
    who, once = credentials(world, person), RetryPolicy(attempts=1)
    with serve(world) as url, Cabinet(url, who, retry=once) as remote:
        assert remote.charges.get(charge.id) == cabinet.charges.get(charge.id)
        world.close()
        caplog.clear()
        with pytest.raises(UsageError, match=r"^the world is closed$"):
            cabinet.charges.get(charge.id)
        with pytest.raises(UsageError, match=r"^the world is closed$"):
            cabinet.charges.pay(charge.id, method=PaymentMethod.SBP)
        with pytest.raises(InternalError):
            remote.charges.get(charge.id)
    told = [record for record in caplog.records if record.levelno >= logging.WARNING and "server" in record.name]

    assert [(each.exc_info, each.getMessage().partition(", ")[0]) for each in told] == [
        (None, "charges.get failed: the world is closed")
    ]


def test_the_seed_is_believable() -> None:
    """Two people, three entrepreneurs and two organisations, right identifiers, every kind of charge in every state."""
    world = World.seeded()
    people = world.profiles.all()

    assert sorted(str(profile.kind) for profile in people) == [
        *["entrepreneur"] * 3,
        *["organisation"] * 2,
        *["person"] * 2,
    ]
    for profile in people:
        assert Inn(str(profile.inn)).is_person == (profile.kind != ProfileKind.ORGANISATION)
        if profile.kind == ProfileKind.ORGANISATION:
            assert profile.kpp is not None
            assert Kpp(str(profile.kpp))
            assert Ogrn(str(profile.registration))
        if profile.kind == ProfileKind.ENTREPRENEUR:
            assert Ogrnip(str(profile.registration))
        assert_every_state(world, profile)
    world.charges.check_books()


def assert_every_state(world: World, profile: Profile) -> None:
    """Assert that the profile has charges of all sorts."""
    with connect(world, profile) as cabinet:
        charges = list(cabinet.charges.list())
    kinds = {charge.kind for charge in charges}
    assert {ChargeKind.TAX, ChargeKind.DUTY, ChargeKind.FINE, ChargeKind.PENALTY} <= kinds
    assert (ChargeKind.CONTRIBUTION in kinds) == (profile.kind != ProfileKind.PERSON)
    for kind in (ChargeKind.FINE, ChargeKind.TAX):
        assert {charge.status for charge in charges if charge.kind == kind} == set(ChargeStatus.members())
    for state in (is_overpaid, is_overdue, is_to_come):
        assert any(state(charge) for charge in charges)


def is_overpaid(charge: Charge) -> bool:
    """Whether more is credited than was charged."""
    return bool(charge.overpaid)


def is_overdue(charge: Charge) -> bool:
    """Whether the term is over."""
    return charge.overdue


def is_to_come(charge: Charge) -> bool:
    """Whether it waits for its payer, «ожидает оплаты»."""
    return not charge.overdue and charge.status == ChargeStatus.NOT_PAID


@pytest.mark.parametrize("seed", [105649, 385030])
def test_two_of_a_seed_have_each_a_number(seed: int) -> None:
    """Where the seed gives one ИНН twice, the second draws again."""
    assert len({profile.inn for profile in World.seeded(seed=seed).profiles.all()}) == 7


@pytest.mark.parametrize("start", [dt.datetime(101, 1, 1, tzinfo=dt.UTC), dt.datetime(9899, 1, 1, tzinfo=dt.UTC)])
def test_a_world_lives_at_either_end_of_its_clock(start: dt.datetime) -> None:
    """Each term that counts from there is a day that there is; beyond, no clock goes."""
    world = World.seeded(clock=ManualClock(start))
    world.faults.lose_request("charges.pay", seconds=100 * 365 * 24 * 3600)
    person = world.profiles.all()[0]
    with connect(world, person) as cabinet:
        charge = next(each for each in cabinet.charges.list() if each.due)
        world.charges.credit(person, charge, charge.amount + charge.amount)
        refund = cabinet.charges.request_refund(charge.id, method=RefundMethod.COMPENSATION)

    assert world.audit.check() is None
    assert not refund.status.final


def test_a_clock_has_ends() -> None:
    """Neither a start nor a step beyond what a world can count with is taken."""
    for year in (1, 100, 9900, 9999):
        with pytest.raises(ValueError, match=r"a clock starts from 0101-01-01 .* to 9899-01-01 .*, not at"):
            ManualClock(dt.datetime(year, 6, 1, tzinfo=dt.UTC))
    clock = ManualClock(dt.datetime(9898, 12, 31, tzinfo=dt.UTC))
    clock.sleep(24 * 3600)
    with pytest.raises(OverflowError, match="a clock goes to 9899-01-01 00:00:00"):
        clock.sleep(1)
    with pytest.raises(OverflowError, match="a clock goes to 9899-01-01 00:00:00"):
        clock.advance(dt.timedelta.max)
    assert clock.now() == dt.datetime(9899, 1, 1, tzinfo=dt.UTC)


def test_a_file_keeps_the_world(tmp_path: Path) -> None:
    """A world in a file is there again after a restart, with its payments under way, keys, secrets and ids."""
    file = tmp_path / "world.db"
    clock = ManualClock(dt.datetime(2026, 11, 16, 9, tzinfo=dt.UTC))
    world = World(file=file, clock=clock)
    person = world.profiles.add("Иванова")
    charge = world.charges.add(person, Money("10.00"))
    with connect(world, person) as cabinet:
        payment = cabinet.with_options(idempotency_key="k").charges.pay(charge.id, method=PaymentMethod.SBP)
    world.close()

    again = World(file=file, clock=clock)
    with connect(again, person) as cabinet:
        assert cabinet.with_options(idempotency_key="k").charges.pay(charge.id, method=PaymentMethod.SBP) == payment
        assert cabinet.charges.wait_for_payment(payment.id).settled_at is not None
        assert cabinet.charges.get(charge.id).status == ChargeStatus.PAID
        assert again.charges.add(person, Money("1.00")).id != charge.id
    again.charges.check_books()
    again.close()


def test_a_world_becomes_what_it_was_at_a_checkpoint() -> None:
    """Data, ids, clock, faults, rate windows and log are as they were, as often as wanted; the same follows."""
    world = World(rate_limit=RateLimit(quota=9, window=60))
    person = world.profiles.add("Иванова")
    charge = world.charges.add(person, Money("10.00"))
    world.faults.refuse("charges.get", times=2)
    cabinet = connect(world, person)
    cabinet.charges.get(charge.id)
    before, anchor = world.checkpoint(), world.audit.anchor()

    told: list[tuple[object, ...]] = []
    for _ in range(2):
        world.faults.refuse("charges.pay", times=1)
        cabinet.charges.get(charge.id)
        payment = connect(world, person).charges.pay(charge.id, method=PaymentMethod.SBP)
        world.charges.confirm(payment.id)
        told.append((payment.id, payment.number, world.charges.add(person, Money("1.00")), len(world.requests)))
        assert world.faults.all()[0].times == 0
        assert "charges.pay" in {entry.action for entry in world.audit.entries()}

        world.restore(before)
        assert (world.audit.anchor(), world.audit.check()) == (anchor, None)
        assert "charges.pay" not in {entry.action for entry in world.audit.entries()}
        assert world.clock.now() == before.now
        assert [(fault.operation, fault.times) for fault in world.faults.all()] == [("charges.get", 0)]
        assert [request.operation for request in world.requests] == ["sign_in.token"] + ["charges.get"] * 3
        # The token is of before, so that it holds; the window counts on.
        assert cabinet.charges.get(charge.id) == charge
        world.restore(before)
    assert told[0] == told[1]
    world.charges.check_books()


def test_a_fault_goes_on_where_a_checkpoint_is_restored() -> None:
    """Whoever asked for a fault sees how often it struck, also after going back, before it was set too, and on."""
    with closing(World()) as world, closing(World()) as other:
        person = world.profiles.add("Иванова")
        charge = world.charges.add(person, Money("10.00"))
        empty = world.checkpoint()
        fault = world.faults.refuse("charges.get", times=2)
        before = pickle.loads(pickle.dumps(world.checkpoint()))  # noqa: S301  # made here
        for _ in range(2):
            world.restore(before)
            assert (fault.times, fault.hits) == (2, 0)
            connect(world, person).charges.get(charge.id)
            assert (fault.times, fault.hits) == (0, 2)
            world.restore(empty)
        world.restore(before)
        other.restore(before)
        connect(other, person).charges.get(charge.id)

        assert world.faults.all() == (fault,)
        assert fault.hits == 0
        assert other.faults.all()[0].hits == 2


def test_a_checkpoint_outlives_its_world() -> None:
    """Another world can become it; what is then asked with a token of later is asked with a new one."""
    world = World(seed=7)
    person = world.profiles.add("Иванова")
    before = world.checkpoint()
    cabinet = connect(world, person)
    assert list(cabinet.charges.list()) == []
    charge = world.charges.add(person, Money("10.00"))
    world.restore(before)
    assert list(cabinet.charges.list()) == []
    world.close()

    other = World(seed=8)
    other.restore(before)
    assert other.profiles.all() == [person]
    assert list(connect(other, person).charges.list()) == []
    assert other.client_secret(person.id) == world.client_secret(person.id)
    # The journal goes on where that of the checkpoint was, under its identity.
    assert [entry.action for entry in other.audit.entries()] == ["sandbox.profiles.add", "sign_in.token"]
    assert other.audit.check() is None
    assert other.charges.add(person, Money("10.00")) == charge
    assert person.name not in repr(before)


def test_a_world_in_a_file_has_no_checkpoints(tmp_path: Path) -> None:
    """It says what to do instead."""
    world = World(file=tmp_path / "world.db")
    with pytest.raises(RuntimeError, match="copy the file"):
        world.checkpoint()
    with pytest.raises(RuntimeError, match="copy the file"):
        world.restore(World().checkpoint())
    world.close()


def test_secrets_of_a_file_are_not_to_be_guessed(tmp_path: Path) -> None:
    """Two files with one seed have different secrets."""
    one, other = World(file=tmp_path / "a.db"), World(file=tmp_path / "b.db")

    assert one.client_secret("x") != other.client_secret("x")
    one.close()
    other.close()


def test_ids_are_not_to_be_guessed_where_others_may_come(tmp_path: Path) -> None:
    """In a file, and in a memory that others reach, no id follows from the seed: with it goes the page of a payment."""
    worlds = [World.seeded(), World.seeded(predictable=False), World.seeded(file=tmp_path / "world.db")]
    ids = [
        {row["id"] for table in ("profiles", "charges") for row in world.database.all(f"SELECT id FROM {table}")}
        for world in worlds
    ]

    assert not ids[0] & (ids[1] | ids[2])
    assert len(ids[0]) == len(ids[1]) == len(ids[2])
    for world in worlds:
        world.close()


def test_another_file_is_refused(tmp_path: Path) -> None:
    """A file of another program, of another version or of no database is refused and left as it was."""
    text = tmp_path / "notes.txt"
    text.write_text("Это не база данных. " * 100)
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    newer = tmp_path / "newer.db"
    World(file=newer).close()
    connection = sqlite3.connect(newer)
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    for file, message in ((text, "not an SQLite"), (foreign, "of another program"), (newer, "version 99")):
        before = file.read_bytes()
        with pytest.raises(DatabaseRefused, match=message):
            World(file=file)
        assert file.read_bytes() == before


@pytest.mark.parametrize("name", [":memory:", Path(":memory:"), "a\0b", "\ud800", Path("\ud800")])
def test_what_names_no_file_is_no_world(
    name: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What SQLite or the system would take for something else than a file is refused by name, and none is made."""
    monkeypatch.chdir(tmp_path)

    for make in (World, World.seeded):
        with pytest.raises(UsageError, match=r"^World\(\): file: expected the path of a file, got '"):
            make(file=name)
    assert main(["--db", str(name)]) == 1

    assert "World(): file: expected" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_faults_only_for_operations_that_exist(world: World) -> None:
    """A fault for an operation that is not there is refused, naming those that are."""
    with pytest.raises(ValueError, match=r"charges\.pay"):
        world.faults.lose_answer("charges.burn")
    with pytest.raises(ValueError, match="503"):
        world.faults.refuse("charges.pay", status=200)


def test_a_fault_strikes_often_and_keeps_nothing(world: World, raw: Raw) -> None:
    """Each refusal is a problem of its own: what was set holds neither a request that it struck nor its id."""
    fault = world.faults.refuse("charges.list", times=3)

    answers = [raw.send("GET", "/charges", headers={"x-request-id": f"r-{number}"}) for number in range(3)]

    assert [document(answer)["request_id"] for answer in answers] == ["r-0", "r-1", "r-2"]
    assert fault.problem is not None
    assert (fault.problem.request_id, fault.problem.__traceback__) == (None, None)


@pytest.mark.parametrize("quota, window", [(0, 60), (-3, 60), (60, 0), (60, -1)])
def test_an_allowance_of_nothing_is_refused(quota: int, window: int) -> None:
    """An allowance is of one request or more, in a window of one second or more."""
    with pytest.raises(ValueError, match=r"^an allowance has a quota and a window from 1 on, not "):
        RateLimit(quota=quota, window=window)
    with pytest.raises(UsageError, match=r"^RateLimit\(\): quota: expected int, got str"):
        RateLimit(quota="60", window=60)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a mistake


def test_clocks() -> None:
    """A manual clock moves forward only and knows its zone; the system's clock is in UTC."""
    clock = ManualClock(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    clock.advance(dt.timedelta(days=1))
    assert clock.now() == dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    assert clock.monotonic() == 86400
    with pytest.raises(ValueError, match="forward"):
        clock.advance(dt.timedelta(seconds=-1))
    with pytest.raises(ValueError, match="zone"):
        ManualClock(dt.datetime(2026, 1, 1))  # noqa: DTZ001

    assert SystemClock().now().tzinfo is dt.UTC
