"""The guide to errors says what the code does."""

from __future__ import annotations

import pytest

from cabinet_sdk.contract import CONTRACT
from tools.errors_page import PAGE, page


def test_page_is_current() -> None:
    """The tables and the catalogue are those of the code; ``python tools/errors_page.py`` writes them anew."""
    text = PAGE.read_text(encoding="utf-8")

    assert text == page(text)


def test_every_problem_of_the_contract_is_explained() -> None:
    """Each problem that a row may answer has its entry."""
    text = PAGE.read_text(encoding="utf-8")

    assert [error.code for row in CONTRACT for error in row.errors if f"### `{error.code}`" not in text] == []


def test_stale_page_is_found() -> None:
    """A figure that was changed by hand is put right."""
    text = PAGE.read_text(encoding="utf-8")
    stale = text.replace("| 2 | random, 0 to 0.5 s |", "| 2 | random, 0 to 5 s |")

    assert stale != text
    assert page(stale) == page(text)


def test_page_without_a_marker_is_refused() -> None:
    """A generated part whose marker was lost is an error, and not left out in silence."""
    text = PAGE.read_text(encoding="utf-8").replace("<!-- delays: made", "<!-- made")

    with pytest.raises(ValueError, match="'delays' once, and has them 0 times"):
        page(text)
