"""Papers as others read them: a PDF's text and QR codes, a workbook's cells, the rows of a CSV."""

from __future__ import annotations

import csv
import io
from typing import Any

import openpyxl
import pypdfium2  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
import zxingcpp

__all__ = ["codes_of", "facts_of", "rows_of_csv", "rows_of_workbook", "text_of", "texts_of"]

# Any: the PDF library has no types.


def text_of(pdf: bytes) -> str:
    """Return the text of all pages, its spaces and line ends made one."""
    return " ".join(" ".join(texts_of(pdf)).split())


def texts_of(pdf: bytes) -> list[str]:
    """Return the text of each page."""
    document: Any = pypdfium2.PdfDocument(pdf)
    texts = [page.get_textpage().get_text_bounded() for page in document]
    document.close()
    return texts


def facts_of(pdf: bytes) -> dict[str, str]:
    """Return what is said of the whole."""
    document: Any = pypdfium2.PdfDocument(pdf)
    facts: dict[str, str] = document.get_metadata_dict(skip_empty=True)
    document.close()
    return facts


def codes_of(pdf: bytes) -> list[str]:
    """Return what the QR codes on the pages say, as a scanner sees them on paper of 150 dots an inch."""
    document: Any = pypdfium2.PdfDocument(pdf)
    found = [code.text for page in document for code in zxingcpp.read_barcodes(page.render(scale=150 / 72).to_pil())]
    document.close()
    return found


def rows_of_workbook(content: bytes) -> list[tuple[object, ...]]:
    """Return the cells of the only sheet."""
    workbook = openpyxl.load_workbook(io.BytesIO(content))
    (sheet,) = workbook.worksheets
    return [tuple(row) for row in sheet.iter_rows(values_only=True)]


def rows_of_csv(content: bytes) -> list[list[str]]:
    """Return the fields as a Russian Excel takes them apart."""
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=";"))
