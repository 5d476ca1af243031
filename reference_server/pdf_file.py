"""
The format of PDF (ISO 32000): fonts, and a file of which nothing is kept once a page is written.

The libraries for Python keep every page until the last; this keeps where each object is, in eight bytes.
"""

from __future__ import annotations

import hashlib
import sys
import zlib
from array import array
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO, final

from fontTools.ttLib import TTFont  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

__all__ = ["FONTS", "Font", "PdfFile", "hexadecimal"]

# The codes of a font are those of UTF-16, of which a line says no more than the last byte.
_UNICODE = """\
/CIDInit /ProcSet findresource begin
12 dict begin
begincmap
/CIDSystemInfo <</Registry(Adobe)/Ordering(UCS)/Supplement 0>> def
/CMapName /Adobe-Identity-UCS def
/CMapType 2 def
1 begincodespacerange
<0000> <FFFF>
endcodespacerange
{} beginbfrange
{}
endbfrange
endcmap
CMapName currentdict /CMap defineresource pop
end
end
"""
# So many pages hang on each branch of their tree.
_PAGES_A_BRANCH = 100


def hexadecimal(text: str) -> str:
    """Return how a text stands in a file."""
    return f"<{text.encode('utf-16-be').hex()}>"


@final
class Font:
    """
    A font, embedded whole: what a file says of it is always the same, and made once.

    Attributes:
        name: Of its file and its face.
        widths: Of its characters, in thousandths of the size.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        path = Path(__file__).parent / "fonts" / f"{name}.ttf"
        font: Any = TTFont(path)  # Any: the library has no types
        codes: dict[int, str] = font.getBestCmap()
        scale = 1000 / font["head"].unitsPerEm
        widths = {code: round(font["hmtx"][glyph][0] * scale) for code, glyph in sorted(codes.items())}
        self.widths = {chr(code): width for code, width in widths.items()}
        # Runs of codes without a gap, each with the widths of its characters.
        runs = (list(run) for _, run in groupby(enumerate(widths), lambda place: place[1] - place[0]))
        said = (f"{run[0][1]}[{' '.join(str(widths[code]) for _, code in run)}]" for run in runs)
        self._widths = " ".join(said)
        glyphs = array("H", bytes(2 * 0x10000))
        for code, glyph in codes.items():
            glyphs[code] = font.getGlyphID(glyph)
        if sys.byteorder == "little":
            glyphs.byteswap()
        rows = [f"<{high:02x}00> <{high:02x}ff> <{high:02x}00>" for high in sorted({code >> 8 for code in codes})]
        content = path.read_bytes()
        self._file = _stream(content, f"/Length1 {len(content)}")
        self._glyphs = _stream(glyphs.tobytes())
        self._unicode = _stream(_UNICODE.format(len(rows), "\n".join(rows)).encode())
        head, system = font["head"], font["OS/2"]
        box = (head.xMin, head.yMin, head.xMax, head.yMax)
        self._descriptor = (
            f"/Flags 4/FontBBox[{' '.join(str(round(each * scale)) for each in box)}]/ItalicAngle 0"
            f"/Ascent {round(font['hhea'].ascent * scale)}/Descent {round(font['hhea'].descent * scale)}"
            f"/CapHeight {round(system.sCapHeight * scale)}/StemV {50 + system.usWeightClass**2 // 65**2}"
        )

    def width(self, text: str) -> int:
        """Return the width of a text of its characters, in thousandths of the size."""
        return sum(map(self.widths.__getitem__, text))

    def objects(self, first: int) -> list[bytes]:
        """Return what a file says of the font, as objects with numbers from the first on."""
        inner, descriptor, file, glyphs, unicode = (f"{number} 0 R" for number in range(first + 1, first + 6))
        system = "/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>"
        base = f"/BaseFont/{self.name}"
        return [
            f"<</Type/Font/Subtype/Type0{base}/Encoding/Identity-H/DescendantFonts[{inner}]"
            f"/ToUnicode {unicode}>>".encode(),
            f"<</Type/Font/Subtype/CIDFontType2{base}{system}/FontDescriptor {descriptor}/CIDToGIDMap {glyphs}"
            f"/W[{self._widths}]>>".encode(),
            f"<</Type/FontDescriptor/FontName/{self.name}{self._descriptor}/FontFile2 {file}>>".encode(),
            self._file,
            self._glyphs,
            self._unicode,
        ]


@final
class PdfFile:
    """
    A file that is written page by page.

    Args:
        file: Where to, from its beginning.
        title: Of the document.
        width: Of each page, in points of 1/72 inch, as all lengths.
        height: The same.
    """

    def __init__(self, file: BinaryIO, *, title: str, width: float, height: float) -> None:
        self._file = file
        # All that is kept: where each object begins, by its number.
        self._places = array("Q")
        self._length = 0
        self._digest = hashlib.sha256()
        self._write(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
        self._pages = self._reserve()
        self._catalog = self._add(f"<</Type/Catalog/Pages {self._pages} 0 R/Lang(ru-RU)>>".encode())
        said = hexadecimal(f"\N{ZERO WIDTH NO-BREAK SPACE}{title}")
        self._about = self._add(f"<</Title {said}/Author(cabinet-sdk)/Producer(cabinet-sdk)>>".encode())
        fonts = ""
        for font in FONTS:
            first = len(self._places) + 1
            fonts += f"/{font.name} {first} 0 R"
            for each in font.objects(first):
                self._add(each)
        self._every_page = f"/MediaBox[0 0 {width:.2f} {height:.2f}]/Resources<</Font<<{fonts}>>>>"
        self._first_branch = len(self._places) + 1
        self._branch = self._count = 0

    def add_page(self, content: bytes) -> None:
        """Write a page."""
        if self._count % _PAGES_A_BRANCH == 0:
            self._end_branch()
            self._branch = self._reserve()
        self._count += 1
        drawn = self._add(_stream(content))
        self._add(f"<</Type/Page/Parent {self._branch} 0 R/Contents {drawn} 0 R>>".encode())

    def finish(self) -> None:
        """Write what leads to the pages."""
        self._end_branch()
        # From branch to branch, the numbers are one for itself and two for each of its pages.
        branches = range(self._first_branch, len(self._places) + 1, 1 + 2 * _PAGES_A_BRANCH)
        self._put(self._pages, f"<</Type/Pages{_kids(branches)}/Count {self._count}{self._every_page}>>".encode())
        start, size = self._length, len(self._places) + 1
        name = self._digest.hexdigest()[:32]
        self._write(f"xref\n0 {size}\n0000000000 65535 f \n".encode())
        self._file.writelines(b"%010d 00000 n \n" % place for place in self._places)
        self._write(
            f"trailer\n<</Size {size}/Root {self._catalog} 0 R/Info {self._about} 0 R/ID[<{name}><{name}>]>>\n"
            f"startxref\n{start}\n%%EOF\n".encode()
        )

    def _end_branch(self) -> None:
        if self._count == 0:
            return
        count = (self._count - 1) % _PAGES_A_BRANCH + 1
        kids = range(self._branch + 2, self._branch + 2 * count + 1, 2)
        self._put(self._branch, f"<</Type/Pages/Parent {self._pages} 0 R{_kids(kids)}/Count {count}>>".encode())

    def _reserve(self) -> int:
        """Return the number of an object to come."""
        self._places.append(0)
        return len(self._places)

    def _add(self, content: bytes) -> int:
        number = self._reserve()
        self._put(number, content)
        return number

    def _put(self, number: int, content: bytes) -> None:
        self._places[number - 1] = self._length
        self._write(b"%d 0 obj\n%b\nendobj\n" % (number, content))

    def _write(self, content: bytes) -> None:
        self._file.write(content)
        self._digest.update(content)
        self._length += len(content)


def _kids(numbers: range) -> str:
    return f"/Kids[{' '.join(f'{number} 0 R' for number in numbers)}]"


def _stream(content: bytes, more: str = "") -> bytes:
    """Return content as an object."""
    packed = zlib.compress(content)
    return f"<</Length {len(packed)}/Filter/FlateDecode{more}>>\nstream\n".encode() + packed + b"\nendstream"


# Noto Sans, cut down to Latin and the Cyrillic of the peoples of Russia; its licence is beside it.
FONTS = Font("NotoSans-Regular"), Font("NotoSans-Bold")
