"""
Measure and say what came of it; with all rows measured, docs/benchmarks.md is written anew.

    python -m benchmarks [--quick] [--write] [name …]

A name chooses every row that begins with it.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib
import json
import os
import platform
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, cast

import attrs

from benchmarks.harness import ROWS, Figure, Row, Spread, settings

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"

# Modules and not a scan of the folder, so that the table has an order.
for _name in ("importing", "calls", "fakes", "serving", "streams", "growth"):
    importlib.import_module(f"benchmarks.{_name}")


def main() -> None:
    """Measure the chosen rows, each in a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"one of {', '.join(ROWS)}, or how it begins")
    parser.add_argument("--quick", action="store_true", help="a tenth of the time, for the order of magnitude")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}; takes all rows")
    parser.add_argument("--one", metavar="name", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.quick:
        settings.rounds, settings.seconds, settings.quick = 9, 0.01, True
    if given.one:
        print(json.dumps(attrs.asdict(ROWS[given.one].measure())))
        return
    if given.write and (given.names or given.quick):
        parser.error("--write needs every row, and none of them quick")
    names = given.names or [""]
    chosen = [each for each in ROWS.values() if any(each.name.startswith(name) for name in names)]
    if not chosen:
        parser.error(f"no row begins with {' or '.join(names)}")
    measured: list[tuple[Row, Figure]] = []
    for each in chosen:
        figure = _measured(each, quick=given.quick)
        measured.append((each, figure))
        print(_line(each, figure), flush=True)
    if given.write:
        PAGE.write_text(_page(measured), encoding="utf-8")
        print(f"Wrote {PAGE}")


def _measured(each: Row, *, quick: bool) -> Figure:
    command = [sys.executable, "-m", "benchmarks", "--one", each.name, *(["--quick"] if quick else [])]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])  # Any: JSON
    peers = {name: value if isinstance(value, str) else Spread(**value) for name, value in found["peers"].items()}
    return Figure(Spread(**found["value"]), cast("str", found["detail"]), peers)


def _goal(each: Row) -> str:
    return "" if each.goal is None else f"{'≥' if each.at_least else '≤'} {each.goal:g} {each.unit}"


def _verdict(each: Row, figure: Figure) -> str:
    return "" if each.goal is None else "reached" if each.reached(figure) else "not reached"


def _line(each: Row, figure: Figure) -> str:
    peers = "".join(f"\n{'':24}  {name}: {value}" for name, value in figure.peers.items())
    verdict = f"{_goal(each)}, {_verdict(each, figure)}" if each.goal is not None else ""
    return f"{each.name:24}  {figure.value} {each.unit}  {verdict}  [{figure.detail}]{peers}"


_INTRODUCTION = """\
# Benchmarks

What the library and its fake cost beside others, and what was promised. `make bench` measures it all anew and writes
this page.

A figure with × is a ratio: both sides do the same in turns, in one run, and their CPU time is compared. The first
number is the median of all rounds; half of them lie between the two in brackets. Figures of different lines were not
measured together and cannot be compared. On another machine the times differ, and the ratios much less.

{machine}

| what | figure | goal | |
|---|---|---|---|
"""


def _page(measured: list[tuple[Row, Figure]]) -> str:
    day = dt.datetime.now(dt.UTC).date()
    machine = f"Measured on {day} with {platform.python_implementation()} {platform.python_version()}, "
    machine += f"{os.cpu_count()} CPUs, {platform.system()}."
    table = "".join(
        f"| {each.what} | {figure.value} {each.unit} | {_goal(each)} | {_verdict(each, figure)} |\n"
        for each, figure in measured
    )
    notes = "\n## Beside others, and in detail\n"
    for each, figure in measured:
        reason = "" if each.reached(figure) else each.why
        if figure.detail or figure.peers:
            notes += f"\n**{each.what}**\n"
            notes += "".join(f"\n{textwrap.fill(text, 120)}\n" for text in (figure.detail, reason) if text)
            notes += "\n" if figure.peers else ""
            notes += "".join(f"- {name}: {value}\n" for name, value in figure.peers.items())
    return _INTRODUCTION.format(machine=machine) + table + notes


if __name__ == "__main__":
    main()
