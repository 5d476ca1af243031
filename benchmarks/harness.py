"""
How anything is measured here: what is compared is done in turns in one run, and its CPU time is taken.

A figure is a ratio, with the median of all rounds and the middle half of them: whatever else the machine does hits both
sides. Each row runs in a process of its own.
"""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import final

import attrs

__all__ = [
    "ROWS",
    "Figure",
    "Row",
    "Spread",
    "compare",
    "compare_code",
    "compare_costs",
    "cpu_of",
    "measure",
    "row",
    "settings",
]

Task = Callable[[], object]


@final
@attrs.define
class Settings:
    """How much time a row may take: `--quick` takes a tenth of it and shows the order of magnitude."""

    rounds: int = 21
    seconds: float = 0.03
    quick: bool = False


settings = Settings()


@final
@attrs.frozen
class Spread:
    """The median of a measurement, and the quartiles between which half of its rounds lie."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Return what many rounds come to."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    def __str__(self) -> str:
        return _shown(self.median) if self.low == self.high else f"{_shown(self.median)} ({_span(self)})"


def _shown(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _span(spread: Spread) -> str:
    return f"{_shown(spread.low)} to {_shown(spread.high)}"


@final
@attrs.frozen
class Figure:
    """
    What a row came to.

    Attributes:
        value: In the unit of the row.
        detail: What else there is to know: the absolute cost, a reason.
        peers: The same of others; a text says why there is none.
    """

    value: Spread
    detail: str = ""
    peers: Mapping[str, Spread | str] = {}


@final
@attrs.frozen(kw_only=True)
class Row:
    """
    One thing that is measured.

    Attributes:
        name: To choose it by.
        what: For the table.
        goal: What is to be reached, None where nothing is promised.
        at_least: Whether more is better.
        unit: Of the figure: ``×`` is a ratio.
        why: What stands in the way of the goal, for the day when it is not reached.
        measure: Does it.
    """

    name: str
    what: str
    goal: float | None
    at_least: bool
    unit: str
    why: str
    measure: Callable[[], Figure]

    def reached(self, figure: Figure) -> bool:
        """Say whether the median keeps to the goal."""
        if self.goal is None:
            return True
        return figure.value.median >= self.goal if self.at_least else figure.value.median <= self.goal


ROWS: dict[str, Row] = {}


def row(
    name: str, what: str, *, goal: float | None, at_least: bool = False, unit: str = "×", why: str = ""
) -> Callable[[Callable[[], Figure]], Callable[[], Figure]]:
    """Declare a row: the function measures it."""

    def declare(measure: Callable[[], Figure]) -> Callable[[], Figure]:
        ROWS[name] = Row(name=name, what=what, goal=goal, at_least=at_least, unit=unit, why=why, measure=measure)
        return measure

    return declare


def _times(task: Task) -> int:
    """Return how often a task is done in a round, so that a round takes long enough to be measured."""
    task()
    times = 1
    while (spent := cpu_of(task, times)) < settings.seconds / 4:
        times *= 4
    return max(1, round(times * settings.seconds / spent))


def cpu_of(task: Task, times: int = 1) -> float:
    """Return the CPU seconds of this process for doing a task that many times."""
    started = time.process_time()
    for _ in range(times):
        task()
    return time.process_time() - started


def compare(ours: Task, base: Task) -> tuple[Spread, float]:
    """Return how many times more CPU time our task takes than the base, and ours in microseconds."""
    times, base_times = _times(ours), _times(base)
    return compare_costs(lambda: cpu_of(ours, times) / times, lambda: cpu_of(base, base_times) / base_times)


def measure(task: Task) -> Spread:
    """Return the CPU milliseconds of a task."""
    times = _times(task)
    return Spread.of([cpu_of(task, times) / times * 1000 for _ in range(settings.rounds)])


def compare_costs(
    ours: Callable[[], float], base: Callable[[], float], rounds: int | None = None
) -> tuple[Spread, float]:
    """Measure both in turns; return the ratio, and ours in microseconds."""
    ratios: list[float] = []
    costs: list[float] = []
    gc.collect()
    for number in range(rounds or settings.rounds):
        if number % 2:
            cost, beside = ours(), base()
        else:
            beside, cost = base(), ours()
        ratios.append(cost / beside)
        costs.append(cost)
    return Spread.of(ratios), statistics.median(costs) * 1e6


def compare_code(ours: str, base: str) -> tuple[Spread, float]:
    """Run two pieces of Python in fresh interpreters; their start does not count."""
    costs = [_fresh(ours), _fresh(base)]
    for cost in costs:
        cost()  # Compiled once, so that both find their bytecode.
    return compare_costs(costs[0], costs[1], rounds=7)


def _fresh(code: str) -> Callable[[], float]:
    program = f"import time; started = time.process_time()\n{code}\nprint(time.process_time() - started)"

    def cost() -> float:
        done = subprocess.run([sys.executable, "-I", "-c", program], check=True, capture_output=True, text=True)
        return float(done.stdout.split()[-1])

    return cost
