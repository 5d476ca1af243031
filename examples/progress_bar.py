"""A progress bar for downloads and uploads, in any terminal; hand it over as ``progress``."""

from __future__ import annotations

import sys
from typing import TextIO, final

__all__ = ["ProgressBar"]

_WIDTH = 30


@final
class ProgressBar:
    """
    Shows how much is done, on one line.

    Where nobody looks (a file, a pipe) it prints the end alone.

    Args:
        label: Before the bar.
        output: Where it is drawn; standard output where it is left out.
    """

    def __init__(self, label: str, output: TextIO | None = None) -> None:
        self._label = label
        self._output = sys.stdout if output is None else output

    def __call__(self, done: int, whole: int | None) -> None:
        """Draw the bar anew: so many bytes of so many are done."""
        finished = done == whole
        if not finished and not self._output.isatty():
            return
        filled = _WIDTH * done // whole if whole else 0
        bar = "█" * filled + "·" * (_WIDTH - filled)
        share = f"{100 * done // whole} %" if whole else ""
        line = f"{self._label} {bar} {share:>5} {done / 1024:,.0f} KiB".replace(",", " ")
        self._output.write(("\r" if self._output.isatty() else "") + line + ("\n" if finished else ""))
        self._output.flush()
