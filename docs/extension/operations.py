"""
The directives of the reference.

``.. operations::`` lists every row of the contract, ``.. area:: charges`` shows the methods of an area with all that
their rows say, and ``.. catalogue:: MODULE`` documents what a module exports: all of it, or what ``:only:`` names, or
all that ``:without:`` does not name.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any, NewType, cast, get_args, get_type_hints

import attrs
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.inspect import stringify_signature

from cabinet_sdk._core.area import Area, Endpoint, is_asynchronous
from cabinet_sdk._core.downloads import AsyncFileStream, FileStream
from cabinet_sdk._core.openapi import problems_of
from cabinet_sdk._core.operation import Download, Job, Listing, Repeat, Upload
from cabinet_sdk._core.schema import read_documentation
from cabinet_sdk.contract import CONTRACT, Row
from cabinet_sdk.errors import Problem
from cabinet_sdk.types import Code
from docs.extension.fields import entries, field_table, one_line, sections, table, type_text
from docs.extension.names import ROOT, comment_on, exports

__all__ = ["setup"]

# Any: rows, classes and annotations are of whatever kind.

BASE_PATH = "/v1"

REPEAT = {
    Repeat.SAFE: "safe: it changes nothing and is repeated freely",
    Repeat.KEYED: "keyed: once for each ``Idempotency-Key``, repeated with the same key",
    Repeat.NEVER: "never: repeated only where nothing of it was sent",
}


class _Written(SphinxDirective):
    """A directive that writes reStructuredText."""

    def text(self) -> str:
        """Return what stands in its place."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Read what was written."""
        return self.parse_text_to_nodes(self.text(), allow_section_headings=True)


class Operations(_Written):
    """Every operation of every area."""

    def text(self) -> str:
        """Write a table for each area."""
        return "\n\n".join(self._area(area) for area in dict.fromkeys(row.area for row in CONTRACT))

    def _area(self, area: str) -> str:
        rows = [
            (f":op:`{row.id}`", f"{row.method} ``{row.path}``", row.summary) for row in CONTRACT if row.area == area
        ]
        title = f"``cabinet.{area}``"
        return f"{_heading(title, '-')}\n\n:doc:`The page of this area <{area}>`\n\n" + table(
            ("operation", "method and path", "what it does"), rows
        )


class AreaReference(_Written):
    """An area: its methods, what travels and what can go wrong."""

    required_arguments = 1

    def text(self) -> str:
        """Write the page."""
        area = self.arguments[0]
        for sample in (ROOT / "tests" / "wire" / area).glob("*.json"):
            self.env.note_dependency(str(sample))
        module = f"cabinet_sdk.{area}"
        classes = _area_classes(module)
        parts = [f".. py:currentmodule:: {module}"]
        parts += [_entry(module, cls.__name__, cls) for cls in classes]
        parts.append(_heading("Methods", "-"))
        parts += [_method(module, name, endpoint, classes) for name, endpoint in _endpoints(classes[0])]
        parts += _groups(module, {cls.__name__ for cls in classes})
        return "\n\n".join(parts)


class Catalogue(_Written):
    """What a module exports."""

    required_arguments = 1
    option_spec = {  # noqa: RUF012  # as the parent declares it
        "only": directives.unchanged,
        "without": directives.unchanged,
    }

    def text(self) -> str:
        """Write an entry for each name."""
        module = self.arguments[0]
        found = exports(module)
        without = set(self.options.get("without", "").split())
        only = self.options.get("only", "").split() or [name for name in found if name not in without]
        parts = [f".. py:currentmodule:: {module}", *(_entry(module, name, found[name]) for name in only)]
        return "\n\n".join(parts)


def _heading(title: str, underline: str) -> str:
    return f"{title}\n{underline * len(title)}"


def _indented(text: str, by: str = "   ") -> str:
    return "\n".join(f"{by}{line}" if line else "" for line in text.splitlines())


def _folded(title: str, text: str) -> str:
    opening = f".. raw:: html\n\n   <details><summary>{title}</summary>"
    return f"{opening}\n\n{text}\n\n.. raw:: html\n\n   </details>"


def _area_classes(module: str) -> tuple[type[Area[Any]], ...]:
    """Return the two classes of an area, the sync one first."""
    classes: list[type[Area[Any]]] = [
        value for value in exports(module).values() if inspect.isclass(value) and issubclass(value, Area)
    ]
    return tuple(sorted(classes, key=is_asynchronous))


def _endpoints(cls: type[Area[Any]]) -> Iterator[tuple[str, Endpoint[..., Any, Any]]]:
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if isinstance(value, Endpoint):
                yield name, cast("Endpoint[..., Any, Any]", value)


def _method(module: str, name: str, endpoint: Endpoint[..., Any, Any], classes: tuple[type[Area[Any]], ...]) -> str:
    source = endpoint.source
    row = cast("Row", source) if not inspect.isfunction(source) else None
    parts = [_heading(name, "~"), *([f".. operation:: {row.id}"] if row is not None else [])]
    # The sync method and the async one, and then what is true of both.
    parts += [_signature(module, cls, name) for cls in classes]
    if row is None:
        function: Any = getattr(classes[0], name)
        parts.append(_flow_text(function))
        return "\n\n".join(parts)
    said = read_documentation(row.request_class)
    parts += [said.summary, said.description, _facts(row), _parameters(row, said.fields), _result(row)]
    parts += [_errors(row), _sample(row)]
    return "\n\n".join(part for part in parts if part)


def _signature(module: str, cls: type[Area[Any]], name: str) -> str:
    method = getattr(cls, name)
    signature = inspect.signature(method)
    parameters = list(signature.parameters.values())[1:]
    text = stringify_signature(signature.replace(parameters=parameters), unqualified_typehints=True)
    lines = [f".. py:method:: {cls.__name__}.{name}{text}", f"   :module: {module}"]
    if inspect.iscoroutinefunction(method):
        lines.append("   :async:")
    return "\n".join(lines)


def _flow_text(function: Any) -> str:
    """Return the docstring of a method that takes several calls; its sections become tables like those of a row."""
    hints = function.__annotations__
    parts: list[str] = []
    for head, section in sections((inspect.getdoc(function) or "").splitlines()):
        if head == "Args":
            rows = [(f"``{name}``", type_text(hints[name]), text) for name, text in entries(section)]
            parts.append(table(("parameter", "type", "meaning"), rows))
        elif head == "Raises":
            parts.append(table(("error", "when"), [(f":py:exc:`{name}`", text) for name, text in entries(section)]))
        else:
            parts.append("\n".join(section))
    return "\n\n".join(parts)


def _facts(row: Row) -> str:
    kind = type(row)
    facts = [
        ("operation", f"``{row.id}``, a {kind.__name__.lower()}: {_first_sentence(kind)}"),
        ("HTTP", f"``{row.method} {BASE_PATH}{row.path}``, answered with {row.success_status}"),
        ("permission", f"``{row.permission.code}`` «{row.permission.label}»"),
        ("repeating", REPEAT[row.repeat]),
    ]
    if row.created is not None:
        facts.append(("creates", f"what :op:`{row.created.id}` reads; ``Location`` names it"))
    if isinstance(row, Upload):
        facts.append(("largest file", f"{row.max_bytes // 1024 // 1024} MiB"))
    return table((), facts)


def _first_sentence(kind: type[Any]) -> str:
    text = one_line((inspect.getdoc(kind) or "").partition("\n\n")[0])
    return text[:1].lower() + text[1:].removesuffix(".")


def _parameters(row: Row, meanings: dict[str, str]) -> str:
    fields = attrs.fields(row.request_class)
    if not fields:
        return ""
    hints = get_type_hints(row.request_class)
    rows = [
        (f"``{field.name}``", type_text(hints[field.name]), _travels(row, field.name), meanings.get(field.name, ""))
        for field in fields
    ]
    return table(("parameter", "type", "travels in", "meaning"), rows)


def _travels(row: Row, name: str) -> str:
    if name in row.path_fields:
        return "path"
    if isinstance(row, Upload):
        return "form"
    return "query" if row.method in {"GET", "DELETE"} else "body"


def _result(row: Row) -> str:
    if isinstance(row, Download):
        return f"**Result:** the file, as a {type_text(FileStream)}, or an {type_text(AsyncFileStream)} in async mode."
    if isinstance(row, Listing):
        item: Any = cast("Any", row).item
        told = f"**Result:** an iterable of {type_text(item)}, whose pages are fetched as you go."
    else:
        item = row.response
        told = f"**Result:** {type_text(item)}."
    if isinstance(row, Job):
        told += " It is not final yet: wait for it, or read it again."
    if not (inspect.isclass(item) and attrs.has(item)):
        return told
    return f"{told}\n\n{_folded(f'Fields of <code>{item.__name__}</code>', field_table(item))}"


def _errors(row: Row) -> str:
    always = len(set(problems_of(row)) - set(row.errors))
    rest = f"{always} problems that :doc:`many operations </guides/errors>` share"
    if not row.errors:
        return f"**Errors:** none of its own; {rest}."
    rows = [_error(error) for error in row.errors]
    return f"**Errors**, besides {rest}:\n\n{table(('error', 'code, status', 'what to do'), rows)}"


def _error(error: type[Problem]) -> tuple[str, str, str]:
    return f":py:exc:`{error.__name__}`", f"``{error.code}``, {error.status}", error.remedy


def _sample(row: Row) -> str:
    path = ROOT / "tests" / "wire" / row.area / f"{row.id}.json"
    if not path.exists():
        return ""
    sample = json.loads(path.read_text(encoding="utf-8"))
    request, answer = sample["request"], sample["answer"]
    first = f"{request['method']} {BASE_PATH}{request['path']} HTTP/1.1"
    told = _message(first, request["headers"], request["body"])
    came = _message(f"HTTP/1.1 {answer['status']}", answer["headers"], answer["body"])
    return _folded("On the wire", f"{told}\n\n{came}")


def _message(first: str, headers: dict[str, str], body: object) -> str:
    head = "\n".join([first, *(f"{name}: {value}" for name, value in headers.items())])
    # Whoever looks for a word wants to read about it, and not each sample that it happens to stand in.
    block = f".. code-block:: text\n   :class: no-search\n\n{_indented(head)}"
    if body is None:
        return block
    if isinstance(body, str):
        return f"{block}\n\n.. code-block:: text\n   :class: no-search\n\n{_indented(body)}"
    shown = json.dumps(body, ensure_ascii=False, indent=2)
    return f"{block}\n\n.. code-block:: json\n   :class: no-search\n\n{_indented(shown)}"


def _groups(module: str, done: set[str]) -> Iterator[str]:
    """Yield the rest of what an area exports, by what it is."""
    found = {name: value for name, value in exports(module).items() if name not in done}
    groups = {
        "What travels": [name for name, value in found.items() if attrs.has(value)],
        "Codes": [name for name, value in found.items() if inspect.isclass(value) and issubclass(value, Code)],
        "Ids": [name for name, value in found.items() if isinstance(value, NewType)],
        "Errors": [name for name, value in found.items() if inspect.isclass(value) and issubclass(value, Problem)],
    }
    grouped = {name for names in groups.values() for name in names}
    groups["More"] = [name for name in found if name not in grouped]
    for title, names in groups.items():
        if names:
            yield _heading(title, "-")
            yield from (_entry(module, name, found[name]) for name in names)


def _entry(module: str, name: str, value: object) -> str:
    """Return the directive that documents one public thing."""
    if inspect.isclass(value):
        return _class_entry(module, name, value)
    if inspect.isroutine(value):
        return f".. autofunction:: {module}.{name}"
    if type(value).__name__ == "FixtureFunctionDefinition":
        return (
            f".. py:function:: {name}()\n   :module: {module}\n\n   A fixture: {one_line(inspect.getdoc(value) or '')}"
        )
    text = comment_on(name, value)
    if isinstance(value, NewType):
        base = type_text(value.__supertype__)
        told = f"{text} A {base} of its own kind."
        return f".. py:type:: {name}\n   :module: {module}\n   :canonical: str\n\n{_indented(told)}"
    if isinstance(value, str):
        return f".. py:data:: {name}\n   :module: {module}\n   :value: {value!r}\n\n{_indented(text)}"
    described = f"{text}\n\nStands for {type_text(value)}." if get_args(value) else text
    return f".. py:data:: {name}\n   :module: {module}\n\n{_indented(described)}"


def _class_entry(module: str, name: str, cls: type[Any]) -> str:
    home = next((each for each in ("cabinet_sdk.errors",) if module != each and name in exports(each)), None)
    if home is not None and exports(home)[name] is cls:
        text = f"The same as :py:exc:`{home}.{name}`."
        return f".. py:exception:: {name}\n   :module: {module}\n   :no-index-entry:\n\n   {text}"
    if issubclass(cls, BaseException):
        told_above = "\n   :exclude-members: remedy" if "code" in vars(cls) else ""
        return f".. autoexception:: {module}.{name}\n   :members:\n   :show-inheritance:{told_above}"
    lines = [f".. autoclass:: {module}.{name}"]
    if issubclass(cls, Area):
        return lines[0]
    lines.append("   :members:")
    bases = cls.__mro__[1:]
    if any(base.__name__.startswith("_") for base in bases):
        public = [base.__name__ for base in bases if not base.__name__.startswith("_")]
        lines.append(f"   :inherited-members: {', '.join(public)}")
    return "\n".join(lines)


def setup(app: Sphinx) -> None:
    """Add the directives, and operations as something to link to: ``:op:`charges.pay```."""
    app.add_crossref_type("operation", "op", "operation; %s")
    app.add_directive("operations", Operations)
    app.add_directive("area", AreaReference)
    app.add_directive("catalogue", Catalogue)
