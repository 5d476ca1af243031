"""
Papers for people: documents as PDF, lists as CSV, XLSX and PDF.

An area says what stands in them; here they are made, without the world's lock. The same content makes the same bytes,
so that a download that broke is resumed. What PDF and XLSX take is in the extra `server`, and is loaded with the first
of them.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, BinaryIO, Generic, TypeAlias, TypeVar, final

import attrs

from cabinet_sdk.errors import InternalError
from cabinet_sdk.types import Money
from reference_server.files import Spool, StoredFile

__all__ = [
    "Cell",
    "Column",
    "Document",
    "Section",
    "Sheet",
    "as_csv",
    "as_pdf",
    "as_xlsx",
    "print_document",
    "safe_cell",
    "shown_day",
]

T = TypeVar("T")

Cell: TypeAlias = str | Money | dt.date | None

# OWASP ASVS 5.0, 1.2.10; with what a spreadsheet takes for the same signs.
_FORMULA = re.compile("[=+\\-@\t\r\n\0＝＋－＠]")
# The most that a cell of XLSX holds, in units of UTF-16.
_LONGEST_CELL = 32767
# Spreadsheets show 15 digits of a number: an amount of more kopecks is exact as text alone.
_LONGEST_AMOUNT = 10**15
# Days of XLSX begin with 1900.
_FIRST_YEAR = 1900
_XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@final
@attrs.frozen(kw_only=True)
class Section:
    """
    A part of a document.

    Attributes:
        heading: Above it.
        fields: Labels and values.
        qr: Text of a QR code below them.
    """

    heading: str
    fields: tuple[tuple[str, str], ...]
    qr: str | None = None


@final
@attrs.frozen(kw_only=True)
class Document:
    """
    A document of some sections.

    Attributes:
        title: At its head, and the file's name.
        about: Below the title.
        sections: In their order.
    """

    title: str
    about: str
    sections: tuple[Section, ...]


@final
@attrs.frozen
class Column(Generic[T]):
    """
    A column of a list.

    Attributes:
        title: At its head.
        read: Takes its cell from an item.
        width: In characters of a spreadsheet.
        printed: Whether paper has it too, which is narrower than a screen.
        amount: Whether its cells are amounts: they stand on the right, and paper has their sum.
    """

    title: str
    read: Callable[[T], Cell]
    width: int = 14
    printed: bool = attrs.field(default=False, kw_only=True)
    amount: bool = attrs.field(default=False, kw_only=True)


@final
@attrs.frozen(kw_only=True)
class Sheet(Generic[T]):
    """
    A list as a file.

    Attributes:
        title: At its head.
        about: Whose it is and what was asked for; on paper alone, since a program reads the other formats.
        name: Of the file, without a suffix.
        columns: In their order.
    """

    title: str
    about: str
    name: str
    columns: tuple[Column[T], ...]


def print_document(document: Document) -> StoredFile:
    """Return a document as PDF."""
    return StoredFile(
        content=lambda: _pdf().document(document), name=f"{document.title}.pdf", media_type="application/pdf"
    )


def as_csv(sheet: Sheet[T], items: Iterable[T]) -> StoredFile:
    """Return a list as a Russian Excel opens it by itself: byte order mark, semicolons, decimal commas."""
    return _made(_write_csv, sheet, items, "csv", "text/csv; charset=utf-8")


def as_xlsx(sheet: Sheet[T], items: Iterable[T]) -> StoredFile:
    """Return a list as a workbook of one sheet: amounts are numbers below ten trillion roubles, days are dates."""
    return _made(_write_xlsx, sheet, items, "xlsx", _XLSX_TYPE)


def as_pdf(sheet: Sheet[T], items: Iterable[T]) -> StoredFile:
    """Return a list as a table on paper, with its sums."""
    return _made(_write_pdf, sheet, items, "pdf", "application/pdf")


def _made(
    write: Callable[[Sheet[T], Iterable[T], BinaryIO], None],
    sheet: Sheet[T],
    items: Iterable[T],
    suffix: str,
    media_type: str,
) -> StoredFile:
    def make() -> Spool:
        spool = Spool()
        write(sheet, items, spool.file)
        return spool

    return StoredFile(content=make, name=f"{sheet.name}.{suffix}", media_type=media_type)


def shown_day(day: dt.date) -> str:
    """Return a day as Russians write it, with four digits of the year, which `strftime` does not write everywhere."""
    return f"{day:%d.%m.}{day.year:04d}"


def safe_cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: a single quote stands before what could be one."""
    return f"'{text}" if _FORMULA.match(text) else text


def _write_csv(sheet: Sheet[T], items: Iterable[T], file: BinaryIO) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="", write_through=True)
    writer = csv.writer(text, delimiter=";")
    writer.writerow(column.title for column in sheet.columns)
    for item in items:
        writer.writerow(_plain(column.read(item)) for column in sheet.columns)
    # The file goes on when the writer is gone.
    text.detach()


def _write_pdf(sheet: Sheet[T], items: Iterable[T], file: BinaryIO) -> None:
    _pdf().table(sheet, items, file)


def _plain(cell: Cell) -> str:
    if isinstance(cell, Money):
        return str(cell).replace(".", ",")
    if isinstance(cell, dt.date):
        return shown_day(cell)
    return safe_cell(cell or "")


def _write_xlsx(sheet: Sheet[T], items: Iterable[T], file: BinaryIO) -> None:
    try:
        import xlsxwriter  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]  # noqa: PLC0415  # see the module's docstring
    except ModuleNotFoundError as error:
        raise _needs_extra("XLSX") from error
    # One row is in memory at a time; no text is looked at for what else it could be.
    workbook: Any = xlsxwriter.Workbook(  # Any: the library has no types
        file,
        {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_numbers": False,
            "strings_to_urls": False,
        },
    )
    # The day that the archive's parts have as well: the same list makes the same bytes.
    workbook.set_properties({"title": sheet.title, "created": dt.datetime(1980, 1, 1)})  # noqa: DTZ001  # as it takes it
    worksheet = workbook.add_worksheet(sheet.title[:31])
    head = workbook.add_format({"bold": True, "bottom": 1})
    amount_head = workbook.add_format({"bold": True, "bottom": 1, "align": "right"})
    day = workbook.add_format({"num_format": "dd.mm.yyyy"})
    amount = workbook.add_format({"num_format": "#,##0.00", "align": "right"})
    worksheet.freeze_panes(1, 0)
    for index, column in enumerate(sheet.columns):
        worksheet.set_column(index, index, column.width)
        worksheet.write_string(0, index, column.title, amount_head if column.amount else head)
    last = 0
    for last, item in enumerate(items, start=1):
        for index, column in enumerate(sheet.columns):
            cell = column.read(item)
            if isinstance(cell, Money):
                if abs(cell.kopecks) < _LONGEST_AMOUNT:
                    worksheet.write_number(last, index, cell.kopecks / 100, amount)
                else:
                    worksheet.write_string(last, index, _plain(cell), amount)
            elif isinstance(cell, dt.date) and cell.year >= _FIRST_YEAR:
                worksheet.write_datetime(last, index, cell, day)
            elif isinstance(cell, dt.date):
                worksheet.write_string(last, index, _plain(cell), day)
            elif cell:
                worksheet.write_string(last, index, _fitting(safe_cell(cell)))
    worksheet.autofilter(0, 0, last, len(sheet.columns) - 1)
    workbook.close()


def _fitting(text: str) -> str:
    """Return as much of a text as a cell holds; where it was cut, an ellipsis says so."""
    encoded = text.encode("utf-16-le")
    if len(encoded) <= 2 * _LONGEST_CELL:
        return text
    return encoded[: 2 * (_LONGEST_CELL - 1)].decode("utf-16-le", errors="ignore") + "…"


def _pdf() -> ModuleType:
    try:
        from reference_server import pdf  # noqa: PLC0415  # see the module's docstring
    except ModuleNotFoundError as error:
        raise _needs_extra("PDF") from error
    return pdf


def _needs_extra(kind: str) -> InternalError:
    return InternalError(f"To make {kind}, the server needs its extra: pip install 'cabinet-sdk[server]'.")
