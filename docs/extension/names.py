"""
Where a public name is documented, whatever it is called in a signature, a docstring or a page.

Signatures name the module that a class was written in, which is often private; users import it from a catalogue. And a
page that writes a public name in code letters gets a link to it without asking.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NewType

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

from cabinet_sdk.contract import CONTRACT

__all__ = ["CATALOGUES", "comment_on", "exports", "setup"]

# Any: public things are of every kind.

ROOT = Path(__file__).parents[2]

CATALOGUES = (
    "cabinet_sdk",
    *sorted({f"cabinet_sdk.{row.area}" for row in CONTRACT}),
    "cabinet_sdk.errors",
    "cabinet_sdk.telemetry",
    "cabinet_sdk.transports",
    "cabinet_sdk.types",
    "reference_server",
    "reference_server.pytest_fixtures",
    "reference_server.testing",
)
"""The modules that users import from."""

_PACKAGES = (ROOT / "src" / "cabinet_sdk", ROOT / "reference_server")
# Documented elsewhere, and not here. `dt` is how this house imports `datetime`, in places for type checkers alone.
_FOREIGN = frozenset(sys.stdlib_module_names) | {"attr", "attrs", "dt", "opentelemetry", "pytest"}


def exports(module: str) -> dict[str, Any]:
    """Return what a catalogue exports, by name."""
    found: ModuleType = importlib.import_module(module)
    names: list[str] = found.__all__
    return {name: getattr(found, name) for name in names}


@cache
def _homes() -> dict[str, str]:
    """Return the public full name of everything public, by each name under which it may be met."""
    homes: dict[str, str] = {}
    # The catalogue of the whole SDK last: what it repeats has its home in another one.
    for module in sorted(CATALOGUES, key=lambda name: name == "cabinet_sdk"):
        for name, value in exports(module).items():
            public = f"{module}.{name}"
            if inspect.isclass(value) or inspect.isfunction(value) or isinstance(value, NewType):
                homes.setdefault(f"{value.__module__}.{value.__name__}", public)
            homes.setdefault(name, public)
    return homes


@cache
def _comments() -> dict[str, list[tuple[str, str]]]:
    """Return what stands under the variables of all modules, by name: the module and its text."""
    found: dict[str, list[tuple[str, str]]] = {}
    for module, path in _modules():
        for (owner, name), lines in ModuleAnalyzer.for_file(path, module).find_attr_docs().items():
            if not owner:
                found.setdefault(name, []).append((module, "\n".join(lines)))
    return found


def comment_on(name: str, value: object) -> str:
    """Return the text under a variable, an alias or an id in the module that declares it; empty where there is none."""
    for module, text in _comments().get(name, []):
        if getattr(importlib.import_module(module), name, None) is value:
            return text
    return ""


def _modules() -> Iterator[tuple[str, Path]]:
    for package in _PACKAGES:
        for path in sorted(package.rglob("*.py")):
            if path.name != "__main__.py":
                parts = path.relative_to(package.parent).with_suffix("").parts
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


@cache
def _identifiers() -> frozenset[str]:
    """Return each word that is the name of something in the source, so that a docstring may speak of it."""
    words: set[str] = set(dir(builtins))
    for module, path in _modules():
        words.update(module.split("."))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    words.add(name)
                case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.alias(name=name):
                    words.add(name)
                case _:
                    pass
    return frozenset(words)


def _public(target: str) -> Iterator[str]:
    """Yield the public full names that a target may mean, the likeliest first."""
    homes = _homes()
    yield target
    head, _, rest = target, "", ""
    while head:
        if head in homes:
            yield f"{homes[head]}.{rest}" if rest else homes[head]
        head, _, last = head.rpartition(".")
        rest = f"{last}.{rest}" if rest else last


def _is_foreign(target: str) -> bool:
    head = target.partition(".")[0]
    private = re.match(r"(cabinet_sdk|reference_server)\.", target) is not None
    return head in _FOREIGN or hasattr(builtins, head) or private or re.fullmatch("[A-Z]", head) is not None


def _resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.reference | nodes.TextElement | None:
    """Find what Sphinx did not find; a name that nobody has stays a warning."""
    if node.get("refdomain") != "py":
        return None
    target = str(node["reftarget"])
    found = _place(env, target)
    if found is not None:
        page, anchor = found
        return make_refnode(app.builder, str(node["refdoc"]), page, anchor, content, target)
    if _is_foreign(target):
        return content
    if node["reftype"] == "obj":
        # Single backticks in prose: headers and the like, or an attribute of what is being spoken of.
        words = target.split(".")
        if not all(word.isidentifier() for word in words) or _identifiers().issuperset(words):
            return content
    return None


def _place(env: BuildEnvironment, target: str) -> tuple[str, str] | None:
    objects = env.domains.python_domain.objects
    for name in _public(target):
        if name in objects:
            return objects[name].docname, objects[name].node_id
    return None


class LinkNames(SphinxPostTransform):
    """Link what a page writes in code letters and is a public name or an operation."""

    default_priority = 5

    def run(self, **_: Any) -> None:
        """Go through the page."""
        for literal in list(self.document.findall(nodes.literal)):
            parent = literal.parent
            if isinstance(parent, nodes.reference | nodes.title | pending_xref):
                continue
            place = self._place_of(literal.astext())
            if place is None or place[0] == self.env.current_document.docname:
                continue
            page, anchor = place
            link = make_refnode(self.app.builder, self.env.current_document.docname, page, anchor, literal.deepcopy())
            parent.replace(literal, link)

    def _place_of(self, text: str) -> tuple[str, str] | None:
        name = text.removesuffix("()")
        operation = self.env.domains.standard_domain.objects.get(("operation", name))
        if operation is not None:
            return operation
        # A plain word such as `code` may mean anything; a class, or a name with dots, does not.
        if "." in name or (name in _homes() and name[:1].isupper()):
            return _place(self.env, name)
        return None


def setup(app: Sphinx) -> None:
    """Have names looked for."""
    app.connect("missing-reference", _resolve)
    app.add_post_transform(LinkNames)
