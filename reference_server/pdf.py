"""
PDF: the fonts, how a document looks, and tables of any length.

Rule: nothing here depends on the moment, so that the same content makes the same bytes.
"""

from __future__ import annotations

import datetime as dt
import io
import os
import re
import threading
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast, final
from xml.sax.saxutils import escape

import pypdfium2  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
import segno
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from cabinet_sdk.types import Money
from reference_server.papers import Cell, Column, Document, Section, Sheet

__all__ = ["document", "table"]

T = TypeVar("T")

_REGULAR, _BOLD = "NotoSans-Regular", "NotoSans-Bold"
# Any, here and below: what the stubs leave open. Noto Sans, cut down to Latin and Russian; its licence is beside it.
_fonts: list[Any] = [TTFont(name, Path(__file__).parent / "fonts" / f"{name}.ttf") for name in (_REGULAR, _BOLD)]
for _font in _fonts:
    cast("Any", pdfmetrics).registerFont(_font)
_known = "".join(
    chr(number)
    for number, glyph in _fonts[0].face.charToGlyph.items()
    if glyph and number in _fonts[1].face.charToGlyph
)
_FOREIGN = re.compile(f"[^{re.escape(_known)}]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_REPLACED = f"{_REPLACEMENT} стоит вместо каждого знака, которого нет в шрифте."

_NO_AUTHORITY = "Составлено учебным сервером cabinet-sdk. Юридической силы не имеет."
_MARGIN = 18 * mm
_QR_SIDE = 52 * mm
_QR_CAPTION = "Отсканируйте код в приложении банка: реквизиты и сумма заполнятся сами (ГОСТ Р 56042-2014)."

_TITLE = ParagraphStyle("title", fontName=_BOLD, fontSize=15, leading=19)
_HEADING = ParagraphStyle(
    "heading", fontName=_BOLD, fontSize=11, leading=14, spaceBefore=10, spaceAfter=4, keepWithNext=1
)
_TEXT = ParagraphStyle("text", fontName=_REGULAR, fontSize=9.5, leading=12.5, splitLongWords=1)
_LABEL = ParagraphStyle("label", parent=_TEXT, textColor=colors.HexColor("#555555"))
_ALL = (0, 0), (-1, -1)
# The font is named here too: without it, the file would name one that it does not bring.
_PLAIN = [("FONTNAME", *_ALL, _REGULAR), ("LEFTPADDING", *_ALL, 0)]
_GRID = TableStyle(
    [
        *_PLAIN,
        ("LINEBELOW", *_ALL, 0.4, colors.HexColor("#cccccc")),
        ("VALIGN", *_ALL, "TOP"),
        ("TOPPADDING", *_ALL, 2.5),
        ("BOTTOMPADDING", *_ALL, 2.5),
    ]
)
_BESIDE = TableStyle([*_PLAIN, ("VALIGN", *_ALL, "MIDDLE")])


def document(content: Document) -> bytes:
    """Return a document."""
    file = io.BytesIO()
    template = SimpleDocTemplate(
        file,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN,
        title=content.title,
        author="cabinet-sdk",
        lang="ru-RU",
        invariant=1,
        initialFontName=_REGULAR,
    )
    story: list[Flowable] = [_paragraph(content.title, _TITLE), _paragraph(content.about, _LABEL)]
    for section in content.sections:
        # The frame keeps six points to itself on either side.
        story += _section(section, template.width - 12)
    if any(_REPLACEMENT in _printable(text) for text in _texts(content)):
        story += [Spacer(1, 4 * mm), _paragraph(_REPLACED, _LABEL)]
    template.build(story, onFirstPage=_foot, onLaterPages=_foot)
    return file.getvalue()


def _printable(text: str) -> str:
    """Return a text with a sign in the place of each character that the font lacks: nothing is lost unseen."""
    composed = unicodedata.normalize("NFC", text)
    return _FOREIGN.sub(lambda found: " " if found[0].isspace() else _REPLACEMENT, composed)


def _texts(content: Document) -> Iterator[str]:
    yield from (content.title, content.about)
    for section in content.sections:
        yield section.heading
        for field in section.fields:
            yield from field


def _paragraph(text: str, style: ParagraphStyle) -> Paragraph:
    return Paragraph(escape(_printable(text)), style)


def _section(section: Section, width: float) -> list[Flowable]:
    rows = [[_paragraph(label, _LABEL), _paragraph(value, _TEXT)] for label, value in section.fields]
    parts: list[Flowable] = [_paragraph(section.heading, _HEADING)]
    # A row that is longer than a page goes on on the next.
    table: Any = cast("type[Any]", Table)(
        rows, colWidths=(width * 0.32, width * 0.68), style=_GRID, hAlign="LEFT", splitInRow=1
    )
    parts.append(table)
    if section.qr is not None:
        code = [_Qr(section.qr), Paragraph(_QR_CAPTION, _TEXT)]
        beside = Table([code], colWidths=(_QR_SIDE + 6 * mm, None), style=_BESIDE, hAlign="LEFT")
        parts += [Spacer(1, 4 * mm), beside]
    # A code and what it pays stand on one page.
    return [KeepTogether(parts)]


@final
class _Qr(Flowable):
    """A QR code, drawn as squares, with error correction M."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.width = self.height = _QR_SIDE
        self._code = segno.make(text, error="m", micro=False, encoding="utf-8", boost_error=False)

    def draw(self) -> None:
        """Draw it with the quiet zone that scanners need."""
        matrix = list(self._code.matrix_iter(border=4))
        side = _QR_SIDE / len(matrix)
        canvas: Any = self.canv
        path = canvas.beginPath()
        for number, line in enumerate(matrix, start=1):
            for position, dark in enumerate(line):
                if dark:
                    path.rect(position * side, _QR_SIDE - number * side, side, side)
        canvas.drawPath(path, stroke=0, fill=1)


def _foot(canvas: Canvas, _template: Any) -> None:  # Any: the library hands it over, and it is not needed
    canvas.saveState()
    canvas.setFont(_REGULAR, 7.5)
    canvas.setFillGray(0.4)
    canvas.drawString(_MARGIN, 9 * mm, _NO_AUTHORITY)
    canvas.drawRightString(A4[0] - _MARGIN, 9 * mm, f"Стр. {canvas.getPageNumber()}")
    canvas.restoreState()


_WIDE = landscape(A4)
_SIDE, _TOP, _BOTTOM = 10 * mm, _WIDE[1] - 12 * mm, 14 * mm
_SIZE, _LINE, _GAP = 7.5, 9, 7
# A row of so many lines stands on one page; a longer one goes on on the next.
_ROW_LINES = 30
# PDFium, below pypdfium2, must not be called from two threads at once. Only it: a short list overtakes a long one.
_pdfium = threading.Lock()

# So many pages are made at once; those before them are compressed.
_PAGES_AT_ONCE = 50
_TRAILER = 512
_IDS = re.compile(rb"/ID\s*\[\s*<([0-9A-Fa-f]{32})>\s*<([0-9A-Fa-f]{32})>")


def table(sheet: Sheet[T], items: Iterable[T], file: BinaryIO) -> None:
    """Write a list as a table, with its head on every page and the sums of its amounts at the end."""
    writer = _Table(sheet)
    try:
        for item in items:
            writer.add(item)
        writer.finish(file)
    finally:
        writer.close()


@final
class _Table:
    """
    A table of any length.

    The library that draws keeps all pages as text until it is done. So it draws some, and the whole is put together of
    such parts, which takes a few kilobytes a page.
    """

    def __init__(self, sheet: Sheet[Any]) -> None:  # Any: of whatever items
        self._sheet = sheet
        self._columns: Sequence[Column[Any]] = [column for column in sheet.columns if column.printed]
        unit = (_WIDE[0] - 2 * _SIDE) / sum(column.width for column in self._columns)
        self._widths = [column.width * unit for column in self._columns]
        self._starts = [_SIDE + sum(self._widths[:index]) for index in range(len(self._columns))]
        # In kopecks: together they may be more than an amount can be.
        self._sums = [0] * len(self._columns)
        self._replaced = False
        self._number = 0
        self._page = 0
        self._whole: Any = None
        self._begin_part()
        self._begin_page()

    def add(self, item: object) -> None:
        """Add a row."""
        self._number += 1
        cells = [column.read(item) for column in self._columns]
        for index, cell in enumerate(cells):
            if isinstance(cell, Money):
                self._sums[index] += cell.kopecks
        self._row(cells, _REGULAR)

    def finish(self, file: BinaryIO) -> None:
        """Write the whole."""
        sums = [_total(each) if column.amount else "" for column, each in zip(self._columns, self._sums, strict=True)]
        sums[sums.index("")] = f"Всего строк: {self._number}"
        self._row(sums, _BOLD)
        if self._replaced:
            self._text.setFont(_REGULAR, _SIZE)
            self._text.setTextOrigin(_SIDE, self._y - _LINE)
            self._text.textOut(_REPLACED)
        self._end_page()
        self._end_part()
        with _pdfium:
            self._whole.save(file)
        _forget_moment(file)

    def close(self) -> None:
        """Give back what PDFium holds."""
        with _pdfium:
            if self._whole is not None:
                self._whole.close()

    def _row(self, cells: Sequence[Cell], font: str) -> None:
        printed = [_lines(_shown(cell), width - _GAP, font) for cell, width in zip(cells, self._widths, strict=True)]
        self._replaced = self._replaced or any(_REPLACEMENT in line for lines in printed for line in lines)
        longest = max(len(lines) for lines in printed)
        step = longest if longest <= _ROW_LINES else 1
        for first in range(0, longest, step):
            self._lines_of_row([lines[first : first + step] for lines in printed], font)
        self._y -= _GAP
        self._canvas.line(_SIDE, self._y, _WIDE[0] - _SIDE, self._y)

    def _lines_of_row(self, printed: Sequence[Sequence[str]], font: str) -> None:
        height = max(len(lines) for lines in printed) * _LINE
        if self._y - height - _GAP < _BOTTOM:
            self._end_page()
            if self._page % _PAGES_AT_ONCE == 0:
                self._end_part()
                self._begin_part()
            self._begin_page()
        self._text.setFont(font, _SIZE)
        for column, lines, start, width in zip(self._columns, printed, self._starts, self._widths, strict=True):
            for number, line in enumerate(lines, start=1):
                left = start + width - _GAP - _width(line, font) if column.amount else start
                self._text.setTextOrigin(left, self._y - number * _LINE)
                self._text.textOut(line)
        self._y -= height

    def _begin_page(self) -> None:
        self._page += 1
        self._y = _TOP
        canvas = self._canvas
        canvas.setStrokeGray(0.8)
        canvas.setLineWidth(0.4)
        canvas.setFont(_REGULAR, _SIZE)
        canvas.drawString(_SIDE, 8 * mm, _NO_AUTHORITY)
        canvas.drawRightString(_WIDE[0] - _SIDE, 8 * mm, f"Стр. {self._page}")
        if self._page == 1:
            canvas.setFont(_BOLD, 13)
            canvas.drawString(_SIDE, self._y - 8, self._sheet.title)
            canvas.setFont(_REGULAR, _SIZE)
            self._y -= 18
            for line in _lines(self._sheet.about, _WIDE[0] - 2 * _SIDE, _REGULAR):
                self._y -= _LINE
                canvas.drawString(_SIDE, self._y, line)
            self._y -= _LINE
        # One for the whole page: each of its own would say the font again.
        self._text = canvas.beginText()
        self._row([column.title for column in self._columns], _BOLD)

    def _end_page(self) -> None:
        self._canvas.drawText(self._text)
        self._canvas.showPage()

    def _begin_part(self) -> None:
        self._part = io.BytesIO()
        self._canvas = cast("type[Any]", Canvas)(
            self._part, pagesize=_WIDE, invariant=1, pageCompression=1, initialFontName=_REGULAR, lang="ru-RU"
        )
        self._canvas.setTitle(self._sheet.title)
        self._canvas.setAuthor("cabinet-sdk")

    def _end_part(self) -> None:
        self._canvas.save()
        with _pdfium:
            part: Any = pypdfium2.PdfDocument(self._part.getvalue())
            if self._whole is None:
                # The first part is what the others are added to, so that the whole has its title and no date of today.
                self._whole = part
            else:
                self._whole.import_pages(part)
                part.close()


def _forget_moment(file: BinaryIO) -> None:
    """Make both ids of a file the one of its first part: PDFium makes up the second each time it saves."""
    file.seek(-_TRAILER, os.SEEK_END)
    tail = file.read()
    found = _IDS.search(tail)
    if found is not None:
        file.seek(found.start(2) - _TRAILER, os.SEEK_END)
        file.write(found.group(1))


def _total(kopecks: int) -> str:
    """Return a sum as an amount is shown; it may be too large to be one."""
    grouped = f"{Decimal(kopecks) / 100:,.2f} ₽"
    return grouped.translate({ord(","): "\u00a0", ord("."): ",", ord(" "): "\u00a0", ord("-"): "\u2212"})


def _shown(cell: Cell) -> str:
    if isinstance(cell, Money):
        return cell.formatted
    return f"{cell:%d.%m.%Y}" if isinstance(cell, dt.date) else (cell or "")


@lru_cache(maxsize=4096)
def _lines(text: str, width: float, font: str) -> tuple[str, ...]:
    """Return a text in lines that are not wider; a word that is gets broken."""
    lines = [""]
    for word in _printable(text).split():
        longer = f"{lines[-1]} {word}".strip()
        if _width(longer, font) <= width:
            lines[-1] = longer
            continue
        rest = word
        if lines[-1]:
            lines.append("")
        for character in rest:
            if lines[-1] and _width(lines[-1] + character, font) > width:
                lines.append("")
            lines[-1] += character
    return tuple(lines)


@lru_cache(maxsize=4096)
def _width(text: str, font: str) -> float:
    width: float = pdfmetrics.stringWidth(text, font, _SIZE)
    return width
