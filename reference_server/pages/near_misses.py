"""
What a refused request was nearly meant to be.

Methods and paths are compared with those of the contract, step by step: the operation whose path takes the least
mending is named, with what differs. Where nothing is near, nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher, get_close_matches
from functools import cache
from typing import final

import attrs

from cabinet_sdk.contract import Row
from cabinet_sdk.errors import FieldError

__all__ = ["Address", "NearMiss", "addresses", "nearest", "suggestion"]

_FAR = 1.8
_OTHER_METHOD = 0.5
_LEFT_OUT = 1.0
_ANYTHING = 0.1
_WORD_AS_ID = 0.6
_EMPTY_STEP = 0.2
_UNLIKE = 2.0
_LIKE = 0.65
_LONGER = 4


@final
@attrs.frozen
class Address:
    """
    Where an operation answers.

    Attributes:
        operation: Its id.
        method: The HTTP method.
        path: The template of its path, from the root.
    """

    operation: str
    method: str
    path: str

    @property
    def steps(self) -> list[str]:
        """The parts of the path between its slashes."""
        return self.path.split("/")[1:]


@final
@attrs.frozen
class NearMiss:
    """
    An operation that was nearly meant.

    Attributes:
        address: Of the operation.
        differences: What to mend, one sentence each, in the order of the path.
    """

    address: Address
    differences: tuple[str, ...]


def addresses(rows: Iterable[Row], base_path: str) -> tuple[Address, ...]:
    """Return where the operations answer, and the one that the contract's table leaves out: signing in."""
    found = [Address(row.id, row.method, f"{base_path}{row.path}") for row in rows]
    return (*found, Address("sign_in.token", "POST", f"{base_path}/oauth/token"))


def nearest(known: Sequence[Address], method: str, path: str) -> NearMiss | None:
    """Return the operation that takes the least mending, unless all of them are far; the path is without its query."""
    words = frozenset(step for address in known for step in address.steps if not step.startswith("{"))
    # What every path begins with tells nothing apart.
    telling = {word for word in words if any(word not in address.steps for address in known)}
    given = path.split("/")[1:]
    best: tuple[float, NearMiss] | None = None
    for address in known:
        # What is sent may have thousands of steps: one that cannot come near is not compared.
        if abs(len(given) - len(address.steps)) * _EMPTY_STEP > _FAR:
            continue
        way = _compare(given, address.steps, words)
        if way.kept.isdisjoint(telling):
            continue
        cost, differences = way.cost, way.differences
        if method != address.method and not (method == "HEAD" and address.method == "GET"):
            cost += _OTHER_METHOD
            differences = (f"The method is {address.method}, not {method}.", *differences)
        if cost <= _FAR and (best is None or cost < best[0]):
            best = cost, NearMiss(address, differences)
    return None if best is None else best[1]


@final
@attrs.frozen
class _Way:
    """
    How to come from one path, or from its end, to another.

    Attributes:
        cost: Of all that has to be mended.
        differences: What that is.
        kept: Words of the other path that were recognised.
    """

    cost: float = 0.0
    differences: tuple[str, ...] = ()
    kept: frozenset[str] = frozenset()

    def after(self, step: _Way) -> _Way:
        """Return this way with a step before it."""
        return _Way(self.cost + step.cost, step.differences + self.differences, self.kept | step.kept)


def _compare(given: Sequence[str], wanted: Sequence[str], words: frozenset[str]) -> _Way:
    """Align the steps of two paths; return the cheapest way."""

    @cache
    def rest(at: int, to: int) -> _Way:
        ways: list[_Way] = []
        if at < len(given) and to < len(wanted):
            ways.append(rest(at + 1, to + 1).after(_replace(given[at], wanted[to], words)))
        if at < len(given):
            ways.append(rest(at + 1, to).after(_drop(given[at], last=at == len(given) - 1)))
        if to < len(wanted):
            ways.append(rest(at, to + 1).after(_Way(_LEFT_OUT, (f"“/{wanted[to]}” is missing.",))))
        return min(ways, key=lambda way: way.cost, default=_Way())

    return rest(0, 0)


def _replace(given: str, wanted: str, words: frozenset[str]) -> _Way:
    if wanted.startswith("{"):
        if not given:
            return _Way(_LEFT_OUT, (f"“{wanted}” is empty.",))
        # A word of the contract where an id is expected is rather a word in the wrong place.
        return _Way(_WORD_AS_ID if given in words else _ANYTHING)
    if given == wanted:
        return _Way(kept=frozenset({wanted}))
    said = (f"“{given}” should be “{wanted}”.",)
    if len(given) > _LONGER * len(wanted):
        # However much of it is right, less than half is; comparing every letter of it takes long.
        return _Way(_UNLIKE, said)
    alike = SequenceMatcher(None, given.lower(), wanted).ratio()
    begun = len(given) >= 3 and wanted.startswith(given.lower())
    other_version = len(given) == len(wanted) and given[:-1] == wanted[:-1]
    if alike >= _LIKE or begun or other_version:
        return _Way(1.01 - alike, said, frozenset({wanted}))
    return _Way(_UNLIKE, said)


def _drop(given: str, *, last: bool) -> _Way:
    if not given:
        return _Way(_EMPTY_STEP, ("The slash at the end is too much." if last else "A slash is doubled.",))
    return _Way(_LEFT_OUT, (f"“/{given}” is too much.",))


def suggestion(row: Row, error: FieldError) -> str | None:
    """Return the field of the operation that an unknown one was nearly meant to be."""
    if error.code != "unknown_field":
        return None
    names = [field.name for field in attrs.fields(row.request_class) if field.name not in row.path_fields]
    close = get_close_matches(error.field.rpartition(".")[2], names, n=1)
    return close[0] if close else None
