"""Docstrings of classes, with what the classes say themselves: types of fields, codes and their Russian labels."""

from __future__ import annotations

import datetime as dt
import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any, get_type_hints

import attrs
from sphinx.application import Sphinx
from sphinx.util.inspect import signature as signature_of
from sphinx.util.inspect import stringify_signature
from sphinx.util.typing import restify

from cabinet_sdk._core.area import Area
from cabinet_sdk._core.downloads import AsyncFileStream, FileStream
from cabinet_sdk._core.paging import AsyncPages, Pages
from cabinet_sdk._core.schema import read_documentation
from cabinet_sdk.errors import Problem
from cabinet_sdk.types import Code

__all__ = ["entries", "field_table", "one_line", "sections", "setup", "table", "type_text"]

# Any: classes and annotations are of whatever kind.

FIELDS = {"Args": "param", "Attributes": "ivar", "Raises": "raises"}
"""The sections of a docstring in this house, and what Sphinx calls their entries."""


# What means something to a type checker alone: the parameters of whichever callable, and defaults that say "as it was".
_UNREADABLE = (
    (r"(\*\*?\w+): ~typing\.~\w+", r"\1"),
    (r"([\[ ])~([A-Z]\w*)([\],])", r"\1\2\3"),
    (r" \| ~?[\w.]*\._[A-Z]\w*", ""),
    (r"<[\w.]+ object>", "..."),
    (r"<built-in function (\w+)>", r"\1"),
)


def type_text(annotation: Any) -> str:
    """Return a type as reStructuredText, each name a link."""
    return "None" if annotation is None else restify(annotation, "smart")


def one_line(text: str) -> str:
    """Return a text without its line breaks."""
    return " ".join(text.split())


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table as reStructuredText, without a head where that is empty."""
    heads = [head] if head else []
    lines = [".. list-table::", f"   :header-rows: {len(heads)}", "   :widths: auto", ""]
    for row in (*heads, *rows):
        for number, cell in enumerate(row):
            lines.append(f"   {'* - ' if number == 0 else '  - '}{one_line(cell)}".rstrip())
    return "\n".join(lines)


def field_table(cls: type[Any]) -> str:
    """Return the fields of an attrs class as a table; what each means is said by the docstring of the class."""
    meanings = read_documentation(cls).fields
    # Some modules import it for type checkers alone.
    hints = get_type_hints(cls, localns={"dt": dt})
    rows = [
        (f"``{field.alias}``", type_text(hints[field.name]), meanings.get(field.alias or "", ""))
        for field in attrs.fields(cls)
        if field.init or field.name in meanings
    ]
    return table(("field", "type", "meaning"), rows)


def sections(lines: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Part a docstring by its sections; what stands outside of them has an empty head."""
    head, section = "", list[str]()
    for line in lines:
        begins = line.endswith(":") and line[:-1] in FIELDS
        if begins or (head and line and not line.startswith(" ")):
            yield head, section
            head, section = line[:-1] if begins else "", []
            if begins:
                continue
        section.append(line)
    yield head, section


def entries(section: Iterable[str]) -> list[tuple[str, str]]:
    """Read the entries of a section, each a name, a colon and a text of one or more lines."""
    found: list[tuple[str, str]] = []
    for line in section:
        if line.startswith("     ") and found:
            name, text = found[-1]
            found[-1] = name, f"{text} {line.strip()}"
        elif line.strip():
            name, _, text = line.strip().partition(": ")
            found.append((name, text))
    return found


def _code_table(cls: type[Code]) -> str:
    rows = [(f"``{cls.__name__}.{each.upper()}``", f"``{each}``", each.label) for each in cls.members()]
    return table(("constant", "on the wire", "label"), rows)


def _complete(_app: Sphinx, what: str, _name: str, value: object, _options: object, lines: list[str]) -> None:
    """Put tables in the place of what a docstring cannot know."""
    cls: type[Any] | None = value if what in {"class", "exception"} and inspect.isclass(value) else None
    text: list[str] = []
    for head, section in sections(lines):
        if head == "Attributes" and cls is not None and attrs.has(cls):
            text += ["", *field_table(cls).splitlines(), ""]
        elif head:
            text += ["", *(f":{FIELDS[head]} {name}: {meaning}" for name, meaning in entries(section)), ""]
        else:
            text += section
    if cls is not None and issubclass(cls, Problem) and "code" in vars(cls):
        text += ["", f"Code ``{cls.code}``, status {cls.status}. *What to do:* {cls.remedy}", ""]
    if cls is not None and issubclass(cls, Code) and cls.members():
        text += ["", *_code_table(cls).splitlines(), ""]
    lines[:] = text


def _shorten(
    _app: Sphinx, what: str, _name: str, value: Any, _options: object, signature: str | None, returns: str | None
) -> tuple[str | None, str | None] | None:
    """Leave out the signature of what no program makes itself, and of codes: their tables say all of it."""
    if signature is None:
        return None
    if what == "exception" and "__init__" not in vars(value):
        return "", None
    if what == "class" and inspect.isclass(value):
        protocol = getattr(value, "_is_protocol", False)
        made_by_the_service = attrs.has(value) and value.__module__.endswith(".models")
        made_by_the_client = issubclass(value, Area | Pages | AsyncPages | FileStream | AsyncFileStream)
        if protocol or made_by_the_service or made_by_the_client or (issubclass(value, Code) and value is not Code):
            return "", None
        if attrs.has(value):
            told = stringify_signature(signature_of(value), show_return_annotation=False, unqualified_typehints=True)
            # A default that is made anew each time.
            return told.replace("NOTHING", "..."), None
    for found, written in _UNREADABLE:
        signature, returns = (text and re.sub(found, written, text) for text in (signature, returns))
    return signature, returns


def setup(app: Sphinx) -> None:
    """Have docstrings and signatures completed."""
    app.connect("autodoc-process-docstring", _complete)
    app.connect("autodoc-process-signature", _shorten)
