"""Small runs of the trials that `make nightly` runs whole (experiments 11, 64, 71, 72, 77)."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from tools.kill_sweep import PROGRAMS, kill_sweep
from tools.server_trials import stop_under_load


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace sends the signal at the write")
@pytest.mark.parametrize("program", PROGRAMS)
def test_64_killed_at_a_write(tmp_path: Path, program: str) -> None:
    """Killed at a write, wherever it is, the server has lost nothing that it answered and left nothing by half."""
    first = random.randrange(1, 20)  # noqa: S311  # another one each time: in a month all of them
    report = kill_sweep(program, tmp_path, first=first, most=2, every=17)

    assert report.kills > 0


@pytest.mark.slow
def test_71_stopped_under_load(tmp_path: Path) -> None:
    """Told to stop while eight clients pay, the server finishes what it has begun and ends with exit code 0."""
    acknowledged, _ = stop_under_load(tmp_path, after=0.5)

    assert acknowledged > 0
