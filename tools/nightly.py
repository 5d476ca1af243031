"""
Run what is too slow for every change, one part after another, and sum up in the last line.

    .venv/bin/python tools/nightly.py [--quick] [PART …]

Each part is a process of its own with a bound of time. A part whose tool is not installed says so and is skipped; one
that fails does not keep the others from running. The suite is run again and again, each time in another order; a
failure is repeated with the number that its head names. `--quick` runs each part in a small size, to see that it runs.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import final

import attrs

__all__ = ["PARTS", "SKIPPED", "Part", "main", "run"]

ROOT = Path(__file__).parents[1]

SKIPPED = 77
"""The exit code of a part that lacks a tool; the number is that of Automake's tests."""


@final
@attrs.frozen
class Part:
    """
    A part of the night.

    Attributes:
        name: By which it can be asked for alone.
        minutes: After which it is ended, and has failed.
        command: For Python.
        quick: What is added for a small size; None where it has only one.
        times: How often it is run.
    """

    name: str
    minutes: float
    command: tuple[str, ...]
    quick: tuple[str, ...] | None = None
    times: int = 1


PARTS = (
    Part("kills", 60, ("tools/kill_sweep.py",), ("--every", "40")),
    Part("stops", 15, ("tools/server_trials.py", "stops"), ("--times", "2")),
    Part("full", 10, ("tools/server_trials.py", "full")),
    Part("slow", 15, ("tools/server_trials.py", "slow"), ("--connections", "100", "--seconds", "20")),
    Part("soak", 30, ("tools/server_trials.py", "soak"), ("--requests", "20000")),
    Part("large", 15, ("tools/server_trials.py", "large"), ("--megabytes", "64")),
    Part("injection", 30, ("tools/injection.py",), ("--only", "charges.list")),
    Part("model", 90, ("-m", "pytest", "-q", "-m", "nightly", "-n", "0", "-s"), ("--collect-only",)),
    Part("suite", 60, ("-m", "pytest", "-q", "-n", "2"), ("tests/types",), times=20),
)


def run(part: Part, *, quick: bool = False) -> str:
    """Run a part once; return ``passed``, ``skipped`` or what went wrong."""
    command = [sys.executable, *part.command, *(part.quick or () if quick else ())]
    print("$", *command[1:], flush=True)
    # A session of its own, so that what the part has started ends with it.
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)  # noqa: S603  # our own programs
    try:
        code = process.wait(part.minutes * 60)
    except subprocess.TimeoutExpired:
        return f"not done after {part.minutes:g} minutes"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return {0: "passed", SKIPPED: "skipped"}.get(code, f"exit code {code}")


def main(arguments: Sequence[str] | None = None, parts: Sequence[Part] = PARTS) -> int:
    """Run all of it, or what is asked for; return how many runs failed."""
    parser = argparse.ArgumentParser(description="Run what is too slow for every change.")
    parser.add_argument("--quick", action="store_true", help="in a small size, to see that everything runs")
    parser.add_argument("part", nargs="*", help=f"one of {', '.join(part.name for part in parts)}; all by default")
    options = parser.parse_args(arguments)
    unknown = {*options.part} - {part.name for part in parts}
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    ended: dict[str, list[str]] = {"passed": [], "skipped": [], "failed": []}
    started = time.monotonic()
    for part in parts:
        if options.part and part.name not in options.part:
            continue
        for number in range(1 if options.quick else part.times):
            name = part.name if part.times == 1 or options.quick else f"{part.name} {number + 1}"
            how = run(part, quick=options.quick)
            ended.get(how, ended["failed"]).append(name if how in ended else f"{name} ({how})")
    told = "; ".join(f"{how}: {', '.join(names) or 'none'}" for how, names in ended.items())
    print(f"nightly: {told}; {(time.monotonic() - started) / 60:.0f} minutes", flush=True)
    return len(ended["failed"])


if __name__ == "__main__":
    sys.exit(main())
