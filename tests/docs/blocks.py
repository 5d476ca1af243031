"""
The fenced blocks of the documentation, and how each is run.

A comment in the line above a block says how: ``<!-- served -->`` against a world on a socket, ``<!-- pytest -->`` as a
module of tests, ``<!-- file NAME -->`` as a file beside the tests of its page, ``<!-- from PATH -->`` as a part of that
file. Without one it runs in memory.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import final

import attrs
from sybil import Document
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

__all__ = ["ROOT", "Block", "blocks_of", "execute", "pages"]

ROOT = Path(__file__).parents[2]

_LEXER = FencedCodeBlockLexer(r"\S*")
_MARK = re.compile(r"<!-- (.+) -->\n\Z")


@final
@attrs.frozen(kw_only=True)
class Block:
    """
    One fenced block.

    Attributes:
        page: The file that it stands in.
        line: The number of its first line, from 1.
        language: As the fence names it, empty where it names none.
        mark: What the comment in the line above says, empty where there is none.
        text: What stands between the fences, not indented.
    """

    page: str
    line: int
    language: str
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Return every page of the documentation."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(text: str, page: str) -> Iterator[Block]:
    """Find the fenced blocks of a page."""
    for region in _LEXER(Document(text, page)):
        before = text[: region.start]
        mark = _MARK.search(before)
        yield Block(
            page=page,
            line=before.count("\n") + 2,
            language=str(region.lexemes["language"]),
            mark="" if mark is None else mark[1],
            text=str(region.lexemes["source"]),
        )


def execute(block: Block, text: str, names: Mapping[str, object]) -> str:
    """Run Python in a namespace of its own; return what it prints. Tracebacks show the line of the page."""
    program = compile("\n" * (block.line - 1) + text, block.page, "exec", dont_inherit=True)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(program, {"__name__": "__main__", **names})  # noqa: S102  # the documentation is our own
    return printed.getvalue()
