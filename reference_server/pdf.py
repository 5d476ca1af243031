"""
How papers look: documents, and tables of any length.

Rule: nothing here depends on the moment, so that the same content makes the same bytes.
"""

from __future__ import annotations

import datetime as dt
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import accumulate
from typing import BinaryIO, TypeVar, final

import attrs
import segno

from cabinet_sdk.types import Money
from reference_server.papers import Cell, Document, Section, Sheet, shown_day
from reference_server.pdf_file import FONTS, Font, PdfFile, hexadecimal

__all__ = ["document", "table"]

T = TypeVar("T")

_REGULAR, _BOLD = FONTS
_FOREIGN = re.compile(f"[^{re.escape(''.join(_REGULAR.widths.keys() & _BOLD.widths.keys()))}]")
_UNBROKEN = re.compile(r"(?:\S|[\u00a0\u2007\u202f])+")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_REPLACED = f"{_REPLACEMENT} стоит вместо каждого знака, которого нет в шрифте."

_NO_AUTHORITY = "Составлено учебным сервером cabinet-sdk. Юридической силы не имеет."
_MM = 72 / 25.4
_A4 = 210 * _MM, 297 * _MM
_BOTTOM, _FOOT = 14 * _MM, 11 * _MM
# Between columns, and above a part.
_GAP, _ABOVE = 7, 10
_QR_SIDE = 52 * _MM
_QR_CAPTION = "Отсканируйте код в приложении банка: реквизиты и сумма заполнятся сами (ГОСТ Р 56042-2014)."
# A row of so many lines stands on one page; a longer one goes on on the next.
_ROW_LINES = 30


@final
@attrs.frozen
class _Style:
    """
    How text looks.

    Attributes:
        font: Its font.
        size: In points.
        leading: From line to line.
        below: Free below it, in a row above the rule.
        gray: From 0, black, to 1.
    """

    font: Font
    size: float
    leading: float
    below: float = 0
    gray: float = 0


_TITLE = _Style(_BOLD, 15, 18, 1)
_HEADING = _Style(_BOLD, 11, 14, 3)
_TEXT = _Style(_REGULAR, 9.5, 12.5, 5)
_LABEL = attrs.evolve(_TEXT, gray=0.33)
_LIST_TITLE = _Style(_BOLD, 13, 15, 4)
_CELL = _Style(_REGULAR, 7.5, 9, 7)
_HEAD = attrs.evolve(_CELL, font=_BOLD)
_SMALL = attrs.evolve(_CELL, gray=0.4)


@final
@attrs.frozen
class _Column:
    """Where text stands, and how; on the right, its lines end there."""

    left: float
    width: float
    style: _Style
    right: bool = False

    def lines(self, text: str) -> list[str]:
        """Return a text in lines that are not wider; a word that is gets broken."""
        widths, limit = self.style.font.widths, self.width * 1000 / self.style.size
        space = widths[" "]
        lines: list[str] = []
        line, room = "", limit
        for word in self._words(_printable(text), limit):
            width = self.style.font.width(word)
            if line and space + width <= room:
                line, room = f"{line} {word}", room - space - width
                continue
            if line:
                lines.append(line)
            if width <= limit:
                line, room = word, limit - width
                continue
            line, room = "", limit
            for character in word:
                if line and widths[character] > room:
                    lines.append(line)
                    line, room = "", limit
                line, room = line + character, room - widths[character]
        return [*lines, line]

    def _words(self, text: str, limit: float) -> Iterator[str]:
        """Return what stands in one line each; a no-break space holds as long as what it holds together fits."""
        for word in _UNBROKEN.findall(text):
            yield from [word] if self.style.font.width(word) <= limit else word.split()


@final
class _Paper:
    """
    Pages that are filled from the top; each is written when the next begins.

    Attributes:
        width: Between the margins.
        y: Where the next thing begins, from the bottom of the page.
        head: The row above each page from the second on.
        replaced: Whether the font lacked a character.
    """

    def __init__(self, file: BinaryIO, title: str, size: tuple[float, float], margin: float) -> None:
        self._pdf = PdfFile(file, title=title, width=size[0], height=size[1])
        self._left, self._top = margin, size[1] - margin
        self._page = 0
        self._style: _Style | None = None
        self.width = size[0] - 2 * margin
        self.head: tuple[Sequence[_Column], Sequence[Sequence[str]]] | None = None
        self.replaced = False
        self._begin_page()

    def column(self, start: float, width: float, style: _Style, *, right: bool = False) -> _Column:
        """Return a column that starts so far from the margin."""
        return _Column(self._left + start, width, style, right)

    def make_room(self, height: float) -> None:
        """Begin a page if so much does not fit below what stands on this one."""
        if self.y - height < _BOTTOM and self.y < self._fresh:
            self._end_page()
            self._begin_page()

    def text(self, text: str, style: _Style) -> None:
        """Write a text from margin to margin."""
        column = self.column(0, self.width, style)
        self._side_by_side([column], [column.lines(text)])

    def row(self, columns: Sequence[_Column], cells: Sequence[Sequence[str]]) -> None:
        """Write the lines of cells beside each other, with a rule below."""
        self._side_by_side(columns, cells)
        self._drawn.append(f"{self._left:.2f} {self.y:.2f} m {self._left + self.width:.2f} {self.y:.2f} l S")

    def _side_by_side(self, columns: Sequence[_Column], cells: Sequence[Sequence[str]]) -> None:
        style = columns[0].style
        longest = max(map(len, cells))
        step = longest if longest <= _ROW_LINES else 1
        for first in range(0, longest, step):
            self.make_room(step * style.leading + style.below)
            for column, lines in zip(columns, cells, strict=True):
                self.write(column, lines[first : first + step], self.y)
            self.y -= step * style.leading
        self.y -= style.below

    def write(self, column: _Column, lines: Sequence[str], y: float) -> None:
        """Write lines below a height."""
        style = column.style
        if style is not self._style:
            self._style = style
            self._drawn.append(f"/{style.font.name} {style.size:g} Tf {style.gray:g} g")
        left = column.left
        for line in lines:
            y -= style.leading
            if column.right:
                left = column.left + column.width - style.font.width(line) * style.size / 1000
            self.replaced = self.replaced or _REPLACEMENT in line
            self._drawn.append(f"BT {left:.2f} {y:.2f} Td {hexadecimal(line)} Tj ET")

    def squares(self, matrix: Sequence[Iterable[int]], side: float) -> None:
        """Draw the dark fields of a square at the left margin."""
        scale = side / len(matrix)
        dark = (f"{x} {y} 1 1 re" for y, line in enumerate(matrix) for x, field in enumerate(line) if field)
        self._drawn.append(f"q 0 g {scale:.5f} 0 0 -{scale:.5f} {self._left:.2f} {self.y:.2f} cm {' '.join(dark)} f Q")

    def finish(self) -> None:
        """Write the last page, and what leads to all."""
        if self.replaced:
            self.y -= _TEXT.leading
            self.text(_REPLACED, _SMALL)
        self._end_page()
        self._pdf.finish()

    def _begin_page(self) -> None:
        self._page += 1
        self._drawn = ["0.8 G 0.4 w"]
        self._style = None
        foot = self.column(0, self.width, _SMALL)
        self.write(foot, [_NO_AUTHORITY], _FOOT)
        self.write(attrs.evolve(foot, right=True), [f"Стр. {self._page}"], _FOOT)
        self.y = self._fresh = self._top
        if self.head is not None:
            self.row(*self.head)
            self._fresh = self.y

    def _end_page(self) -> None:
        self._pdf.add_page("\n".join(self._drawn).encode())


@lru_cache(maxsize=8)
def document(content: Document) -> bytes:
    """Return a document; the latest are kept, since they are asked for in parts, and a hundred codes take seconds."""
    file = io.BytesIO()
    paper = _Paper(file, content.title, _A4, 18 * _MM)
    paper.text(content.title, _TITLE)
    paper.text(content.about, _LABEL)
    for section in content.sections:
        _section(paper, section)
    paper.finish()
    return file.getvalue()


def _section(paper: _Paper, section: Section) -> None:
    middle = paper.width * 0.32
    columns = paper.column(0, middle - _GAP, _LABEL), paper.column(middle, paper.width - middle, _TEXT)
    rows = [[column.lines(text) for column, text in zip(columns, field, strict=True)] for field in section.fields]
    # A code and what it pays stand on one page.
    height = sum(max(map(len, row)) * _TEXT.leading + _TEXT.below for row in rows)
    height += _ABOVE + _HEADING.leading + _HEADING.below
    paper.make_room(height + (0 if section.qr is None else _ABOVE + _QR_SIDE))
    paper.y -= _ABOVE
    paper.text(section.heading, _HEADING)
    for row in rows:
        paper.row(columns, row)
    if section.qr is not None:
        code = segno.make(section.qr, error="m", micro=False, encoding="utf-8", boost_error=False)
        paper.y -= _ABOVE
        paper.make_room(_QR_SIDE)
        # With the quiet zone that scanners need.
        paper.squares(list(code.matrix_iter(border=4)), _QR_SIDE)
        beside = paper.column(_QR_SIDE + _ABOVE, paper.width - _QR_SIDE - _ABOVE, _TEXT)
        lines = beside.lines(_QR_CAPTION)
        paper.write(beside, lines, paper.y - (_QR_SIDE - len(lines) * _TEXT.leading) / 2)
        paper.y -= _QR_SIDE


def table(sheet: Sheet[T], items: Iterable[T], file: BinaryIO) -> None:
    """Write a list as a table, with its head on every page and the sums of its amounts at the end."""
    paper = _Paper(file, sheet.title, (_A4[1], _A4[0]), 10 * _MM)
    printed = [column for column in sheet.columns if column.printed]
    unit = paper.width / sum(column.width for column in printed)
    ends = accumulate(column.width * unit for column in printed)
    usual = [
        paper.column(end - column.width * unit, column.width * unit - _GAP, _CELL, right=column.amount)
        for column, end in zip(printed, ends, strict=True)
    ]
    bold = [attrs.evolve(column, style=_HEAD) for column in usual]
    head = [place.lines(column.title) for place, column in zip(bold, printed, strict=True)]
    paper.text(sheet.title, _LIST_TITLE)
    paper.text(sheet.about, _CELL)
    paper.head = bold, head
    paper.row(bold, head)
    # In kopecks: together they may be more than an amount can be.
    sums = [0] * len(printed)
    number = 0
    for number, item in enumerate(items, start=1):  # noqa: B007  # the last one counts all
        cells = [column.read(item) for column in printed]
        for index, cell in enumerate(cells):
            if isinstance(cell, Money):
                sums[index] += cell.kopecks
        paper.row(usual, [place.lines(_shown(cell)) for place, cell in zip(usual, cells, strict=True)])
    shown = [_total(each) if column.amount else "" for column, each in zip(printed, sums, strict=True)]
    shown[shown.index("")] = f"Всего строк: {number}"
    paper.row(bold, [place.lines(text) for place, text in zip(bold, shown, strict=True)])
    paper.finish()


def _printable(text: str) -> str:
    """Return a text with a sign in the place of each character that the font lacks: nothing is lost unseen."""
    composed = unicodedata.normalize("NFC", text)
    return _FOREIGN.sub(lambda found: " " if found[0].isspace() else _REPLACEMENT, composed)


def _total(kopecks: int) -> str:
    """Return a sum as an amount is shown; it may be too large to be one."""
    grouped = f"{Decimal(kopecks) / 100:,.2f} ₽"
    return grouped.translate({ord(","): "\u00a0", ord("."): ",", ord(" "): "\u00a0"})


def _shown(cell: Cell) -> str:
    if isinstance(cell, Money):
        return cell.formatted
    return shown_day(cell) if isinstance(cell, dt.date) else (cell or "")
