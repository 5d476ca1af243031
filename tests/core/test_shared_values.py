"""Equal identifiers, codes and amounts of answers are one object: of the right kind, and never at a service's mercy."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, final

import attrs
import pytest

from cabinet_sdk import Cabinet
from cabinet_sdk._core.operation import Call
from cabinet_sdk.errors import UnreadableAnswer
from cabinet_sdk.types import Code, Inn, Money, OrganisationInn, Period, code
from tests.core.scripted import BASE_URL, READ, Ask, Script, Scripted, ok

pytestmark = pytest.mark.feature("EX-01")

T = TypeVar("T")

INN = "7707083893"


@final
class Shade(Code):
    """What it looks like."""

    LIGHT = code("Светлый")


@final
@attrs.frozen(kw_only=True)
class Holding:
    """One value of each kind that travels as text."""

    inn: Inn
    payer_inn: OrganisationInn
    shade: Shade
    amount: Money
    period: Period
    note: Money | None = None


GOOD: dict[str, object] = {
    "inn": INN,
    "payer_inn": INN,
    "shade": "light",
    "amount": "12.30",
    "period": "2026-01-01/2026-03-31",
}


def read(kind: type[T], *answers: object) -> list[T]:
    """Read answers of a kind by one client."""
    row = Call("things.read", "GET", "/things", Ask, kind, permission=READ.permission)
    with Cabinet(BASE_URL, None, transport=Scripted(Script(*map(ok, answers)))) as cabinet:
        return [cabinet.answer(row).value for _ in answers]


def test_equal_texts_are_one_value_of_each_kind() -> None:
    """Where the same text stands for two kinds, one of them the other's parent, each field has its own kind."""
    first, second = read(Holding, GOOD, GOOD)

    assert first.inn is second.inn
    assert first.payer_inn is second.payer_inn
    assert first.amount is second.amount
    assert first.period is second.period
    assert second.shade is Shade.LIGHT
    assert (type(first.inn), type(first.payer_inn)) == (Inn, OrganisationInn)


def test_a_kind_that_is_declared_late_has_its_own_values() -> None:
    """An identifier and a code declared after others were read are their own, also below a kind that was read."""
    read(Holding, GOOD)

    class LateInn(Inn):
        __slots__ = ()

    class LateShade(Code):
        LIGHT = code("Светлый")

    @final
    @attrs.frozen
    class Late:
        inn: LateInn
        shade: LateShade

    Late.__annotations__ = {"inn": LateInn, "shade": LateShade}  # Names of this function are not found from outside.

    [late] = read(Late, {"inn": INN, "shade": "light"})

    assert type(late.inn) is LateInn
    assert late.shade is LateShade.LIGHT


def test_an_unknown_code_is_kept_each_time() -> None:
    """A code that this version does not know is itself, again and again, and no other kind's."""
    first, second = read(Holding, {**GOOD, "shade": "brand_new"}, {**GOOD, "shade": "brand_new"})

    assert first.shade == second.shade == Shade("brand_new")
    assert type(second.shade) is Shade
    assert not second.shade.known


@pytest.mark.parametrize("wrong", [None, True, 1, 1.5, [], ["12.30"], {}, {"a": 1}], ids=repr)
@pytest.mark.parametrize("field", GOOD)
def test_what_is_no_text_is_an_error_with_its_place(field: str, wrong: object) -> None:
    """Whatever JSON stands in a text's place, after good answers too, the error says where and what was expected."""
    with pytest.raises(UnreadableAnswer) as caught:
        read(list[Holding], [GOOD], [GOOD, {**GOOD, field: wrong}])

    assert caught.value.path == f"$[1].{field}"
    assert "Expected `str`, got `" in str(caught.value)


def test_a_missing_amount_is_no_zero() -> None:
    """Null where null may stand is None, and no value of the kind."""
    [holding] = read(Holding, {**GOOD, "note": None})

    assert holding.note is None


def kept_by(work: Callable[[], object]) -> int:
    """Return the bytes that are still there when a piece of work is done."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind, text", [(Shade, "a{:06}"), (Inn, "{:010}"), (Money, "{}.00")])
def test_many_different_values_are_not_kept(kind: type[Any], text: str) -> None:
    """A list of very many different values leaves nothing behind but the last few hundred."""
    many = [text.format(number) for number in range(20_000)]
    lists: Any = list.__class_getitem__(kind)  # Any: made while this runs
    read(lists, many[:1])

    assert kept_by(lambda: read(lists, many)) < 500_000


@pytest.mark.parametrize("kind", [Shade, Inn])
def test_long_texts_are_not_kept(kind: type[Any]) -> None:
    """Codes and identifiers of absurd length are read and leave nothing behind."""
    long = [f"{number:0100000}" for number in range(50)]
    lists: Any = list.__class_getitem__(kind)  # Any: as above
    read(lists, long[:1])

    assert kept_by(lambda: read(lists, long)) < 500_000


def test_threads_read_their_own_values() -> None:
    """Threads that read different and equal values at once, more than are kept, get what stands in their answers."""

    def reads_right(first: int) -> bool:
        texts = [f"{number}.{number % 100:02}" for number in range(first, first + 1000)]
        return all(list(map(str, amounts)) == texts for amounts in read(list[Money], *[texts] * 20))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(reads_right, range(0, 4000, 500)))
