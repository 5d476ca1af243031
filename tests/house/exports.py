"""`__all__` of every module, and the catalogues that users import from."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

from tests.house.imports import modules

__all__ = ["catalogue_breaches", "export_breaches", "lazy_breaches", "sorted_names"]

_PARTS = re.compile(r"([0-9]+)")


def sorted_names(names: Iterable[str]) -> list[str]:
    """Sort as ruff's RUF022 wants it: constants, then classes, then the rest; numbers in names by their value."""

    def key(name: str) -> tuple[int, list[str | int]]:
        kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
        return kind, [int(part) if part.isdigit() else part for part in _PARTS.split(name)]

    return sorted(names, key=key)


def export_breaches(root: Path) -> list[str]:
    """
    Return what is wrong with the `__all__` of each module of both packages that has one.

    It is sorted, and holds every name without an underscore that the module defines and no other.
    """
    breaches: list[str] = []
    for name, path in modules(root).items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        exported = _exported(tree)
        if exported is None or name.startswith("examples"):
            continue
        if exported != sorted_names(exported):
            breaches.append(f"{name}: __all__ is not sorted")
        if len(set(exported)) != len(exported):
            breaches.append(f"{name}: __all__ names something twice")
        defined = set(_defined(tree))
        breaches += [f"{name}: {each} is not in __all__" for each in sorted(defined - set(exported))]
        gathers = path.name == "__init__.py" or name == "cabinet_sdk.transports"
        imported = set(_imported(tree)) if gathers else set[str]()
        breaches += [
            f"{name}: {each} is in __all__ and nowhere else"
            for each in exported
            if each not in defined | imported | {"__version__"}
        ]
    return breaches


def _exported(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return list(ast.literal_eval(value))
            case _:
                pass
    return None


def _defined(tree: ast.Module) -> Iterator[str]:
    """
    Yield the public names that a module defines.

    Type variables and loggers are nobody's to import: each module makes its own of the same name.
    """
    for node in tree.body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found = [name]
            case ast.Assign(value=ast.Call(func=ast.Name(id="TypeVar" | "ParamSpec"))):
                found = []
            case ast.Assign(value=ast.Call(func=ast.Attribute(attr="getLogger"))):
                found = []
            case ast.Assign(targets=targets):
                found = [target.id for target in targets if isinstance(target, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name)):
                found = [name]
            case _:
                found = []
        yield from (each for each in found if not each.startswith("_"))


def _imported(tree: ast.Module) -> Iterator[str]:
    """Yield what a catalogue takes from elsewhere, for type checkers alone where it is loaded on first use."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)


def catalogue_breaches(catalogues: Iterable[ModuleType]) -> list[str]:
    """Return the names that a catalogue does not have or does not show, and the things that two catalogues export."""
    homes: dict[int, str] = {}
    breaches: list[str] = []
    for module in catalogues:
        names: list[str] = module.__all__
        breaches += [f"{module.__name__}: {name} does not resolve" for name in names if not hasattr(module, name)]
        breaches += [f"{module.__name__}: dir() does not show {name}" for name in sorted({*names} - {*dir(module)})]
        for name in names:
            value = getattr(module, name, None)
            if value is None or isinstance(value, str):
                continue
            home = homes.setdefault(id(value), f"{module.__name__}.{name}")
            if home != f"{module.__name__}.{name}":
                breaches.append(f"{module.__name__}.{name} is {home} already")
    return breaches


def lazy_breaches(module: ModuleType, homes: Mapping[str, str], source: str) -> list[str]:
    """
    Return the names that a lazy module takes from elsewhere than type checkers are told.

    Args:
        module: That has them.
        homes: Where it takes each from, relative to itself.
        source: Its text, with the imports for type checkers.
    """
    told: dict[str, str] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{module.__name__}."):
            told.update({alias.name: node.module or "" for alias in node.names})
    taken = {name: f"{module.__name__}.{home}" for name, home in homes.items()}
    breaches = [
        f"{name} comes from {taken.get(name)}, type checkers take it from {told.get(name)}"
        for name in sorted(told.keys() | taken.keys())
        if told.get(name) != taken.get(name)
    ]
    for name, home in taken.items():
        if getattr(module, name, None) is not getattr(importlib.import_module(home), name, module):
            breaches.append(f"{name} is not what {home} has under this name")
    return breaches
