"""The night's run: every part has its turn and its bound, and the last line says how each ended."""

from __future__ import annotations

import pytest

from tools.nightly import PARTS, ROOT, SKIPPED, Part, main

NIGHT = (
    Part("good", 1, ("-c", "pass")),
    Part("lacking", 1, ("-c", f"raise SystemExit({SKIPPED})")),
    Part("bad", 1, ("-c", "raise SystemExit(3)")),
    Part("hanging", 0.001, ("-c", "import time; time.sleep(600)")),
    Part("often", 1, ("-c", "import sys; sys.exit(len(sys.argv) > 1)"), ("small",), times=2),
)


def test_a_failure_keeps_nothing_from_running(capfd: pytest.CaptureFixture[str]) -> None:
    """A part that fails, hangs or lacks a tool is named; the others run; the exit code counts the failures."""
    assert main([], NIGHT) == 2

    last = capfd.readouterr().out.splitlines()[-1]
    assert last.startswith(
        "nightly: passed: good, often 1, often 2; skipped: lacking;"
        " failed: bad (exit code 3), hanging (not done after 0.001 minutes); "
    )


def test_parts_and_small_sizes_can_be_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    """One part alone, in a small size and once; a part that is none is a mistake."""
    assert main(["--quick", "often"], NIGHT) == 1
    assert "failed: often (exit code 1)" in capfd.readouterr().out
    with pytest.raises(SystemExit):
        main(["nothing"], NIGHT)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_every_part_is_there(part: Part) -> None:
    """What the night runs exists."""
    assert part.command[0] == "-m" or (ROOT / part.command[0]).is_file()
