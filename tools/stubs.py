"""
Write the type stubs of the areas' clients: each method in full, in both modes.

mypy and pyright read the methods off the rows. Other engines, Jedi's among them, resolve no overloads on ``self`` and
would show no parameters, so the wheel carries stubs beside the source. The build makes them with this program, by
importing the package and asking its methods, which tell the truth while the program runs; the repository holds none.

Run ``python tools/stubs.py FOLDER`` to look at them.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import math
import sys
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, final

import attrs

import cabinet_sdk
from cabinet_sdk._core.area import Area, Async, Endpoint, Sync, is_asynchronous

__all__ = ["Unwritable", "stub", "write_stubs"]

# Any: annotations, defaults and areas are of whatever types.

_WIDTH = 120
_INDENT = "    "


@final
class Unwritable(TypeError):
    """A client says something that no stub can say."""


def write_stubs(folder: Path) -> list[Path]:
    """Write the stubs of all areas below a folder as they lie in the wheel; return their paths in it."""
    written: list[Path] = []
    home = Path(next(iter(cabinet_sdk.__path__)))
    for source in sorted(home.glob("*/client.py")):
        path = Path(home.name, source.parent.name, "client.pyi")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        module = importlib.import_module(f"{home.name}.{source.parent.name}.client")
        (folder / path).write_text(stub(module), encoding="utf-8", newline="\n")
        written.append(path)
    return written


def stub(module: types.ModuleType) -> str:
    """
    Return the stub of an area's client.

    Raises:
        Unwritable: The module makes something public that is no area of endpoints.
    """
    classes = [_area_class(module, name) for name in sorted(module.__all__, key=[*vars(module)].index)]
    methods = {cls: _methods(cls) for cls in classes}
    names = _Names({name for cls in classes for name in (cls.__name__, *methods[cls])})
    bodies = [_class(cls, methods[cls], names) for cls in classes]
    exports = ", ".join(f'"{name}"' for name in module.__all__)
    head = [f'"""{module.__doc__}"""', "\n".join(names.imports()), f"__all__ = [{exports}]"]
    return "\n\n".join([*head, *bodies]) + "\n"


def _area_class(module: types.ModuleType, name: str) -> type[Area[Any]]:
    public: object = getattr(module, name)
    if not (isinstance(public, type) and Area in public.__mro__):
        msg = f"{module.__name__}.{name} is public and no area, so its stub cannot be made from rows"
        raise Unwritable(msg)
    area: type[Area[Any]] = getattr(module, name)
    return area


def _methods(cls: type[Area[Any]]) -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {}
    for base in reversed(cls.__mro__[: cls.__mro__.index(Area)]):
        for name, value in vars(base).items():
            if isinstance(value, Endpoint):
                found[name] = getattr(cls, name)
            elif not name.startswith("_"):
                msg = f"{base.__module__}.{base.__name__}.{name} is public and no Endpoint"
                raise Unwritable(msg)
    return found


def _class(cls: type[Area[Any]], methods: dict[str, Callable[..., Any]], names: _Names) -> str:
    final_mark = f"@{names.of('typing', 'final')}\n" if getattr(cls, "__final__", False) else ""
    area = f"{names.text(Area)}[{names.text(Async if is_asynchronous(cls) else Sync)}]"
    parts = [
        _docstring(cls.__doc__ or "", _INDENT),
        *(_method(name, method, names) for name, method in methods.items()),
    ]
    return f"{final_mark}class {cls.__name__}({area}):\n" + "\n\n".join(parts)


def _method(name: str, method: Callable[..., Any], names: _Names) -> str:
    signature = inspect.signature(method)
    parameters = list(_parameters(signature, names))
    opening = f"{_INDENT}{'async ' if inspect.iscoroutinefunction(method) else ''}def {name}("
    closing = f") -> {names.text(signature.return_annotation)}:"
    line = opening + ", ".join(parameters) + closing
    if len(line) > _WIDTH:
        inner = "".join(f"{_INDENT * 2}{parameter},\n" for parameter in parameters)
        line = f"{opening}\n{inner}{_INDENT}{closing}"
    return f"{line}\n{_docstring(inspect.getdoc(method) or '', _INDENT * 2)}"


def _parameters(signature: inspect.Signature, names: _Names) -> Iterator[str]:
    starred = False
    for parameter in signature.parameters.values():
        if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
            msg = f"a method takes {parameter}, which is {parameter.kind.description}"
            raise Unwritable(msg)
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        text = parameter.name
        if parameter.annotation is not parameter.empty:
            text += f": {names.text(parameter.annotation)}"
        if parameter.default is not parameter.empty:
            text += f" = {names.value(parameter.default)}"
        yield text


def _docstring(text: str, indent: str) -> str:
    text = inspect.cleandoc(text).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    if "\n" not in text:
        return f'{indent}"""{text}"""'
    lines = "".join(f"{indent}{line}".rstrip() + "\n" for line in text.splitlines())
    return f'{indent}"""\n{lines}{indent}"""'


@final
class _Names:
    """The names that a stub uses, and where they are imported from; those of its own methods hide them."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken
        self._imported: dict[tuple[str, str], str] = {}

    def imports(self) -> Iterator[str]:
        """Return the statements, the standard library's first."""
        homes: dict[str, list[str]] = {}
        for (module, name), alias in sorted(self._imported.items()):
            homes.setdefault(module, []).append(name if alias == name else f"{name} as {alias}")
        for own in (False, True):
            lines = [
                each for each in homes.items() if (each[0].partition(".")[0] not in sys.stdlib_module_names) is own
            ]
            if own and lines and len(lines) < len(homes):
                yield ""
            for module, each in lines:
                line = f"from {module} import {', '.join(each)}"
                if len(line) > _WIDTH:
                    inner = "".join(f"{_INDENT}{name},\n" for name in each)
                    line = f"from {module} import (\n{inner})"
                yield line

    def of(self, module: str, name: str) -> str:
        """Return the name under which something is to be used, and import it."""
        if module == "builtins" and name not in self._taken:
            return name
        alias = self._imported.get((module, name))
        if alias is None:
            alias = name
            while alias in self._taken:
                alias = f"_{alias}"
            self._taken.add(alias)
            self._imported[module, name] = alias
        return alias

    def text(self, annotation: Any) -> str:
        """Return an annotation as source."""
        if annotation in {None, types.NoneType, ...}:
            return "..." if annotation is ... else "None"
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin in {types.UnionType, typing.Union}:
            return " | ".join(self.text(each) for each in arguments)
        if origin is typing.Literal:
            return f"{self.of('typing', 'Literal')}[{', '.join(self.value(each) for each in arguments)}]"
        if origin is Callable and arguments:
            parameters, result = arguments
            taken = "..." if parameters is ... else f"[{', '.join(self.text(each) for each in parameters)}]"
            return f"{self.text(origin)}[{taken}, {self.text(result)}]"
        if origin is not None:
            inner = ", ".join(self.text(each) for each in arguments) or "()"
            return f"{self.text(origin)}[{inner}]"
        return self._named(annotation)

    def value(self, value: Any) -> str:
        """Return a default as source; an ellipsis where it is made anew at each call or has no name."""
        if value is attrs.NOTHING or (isinstance(value, float) and not math.isfinite(value)):
            return "..."
        if value is None or type(value) in {bool, int, float, str, bytes}:
            return repr(value) if not isinstance(value, str) else _quoted(value)
        if value == ():
            return "()"
        kind = value.__class__
        name = (
            value.name if isinstance(value, enum.Enum) else next((n for n, v in vars(kind).items() if v is value), None)
        )
        return "..." if name is None else f"{self._named(kind)}.{name}"

    def _named(self, thing: Any) -> str:
        name, module = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None), thing.__module__
        if not name or "<" in name or isinstance(thing, typing.TypeVar | typing.ParamSpec):
            msg = f"{thing!r} has no name that a stub could import"
            raise Unwritable(msg)
        # Newer Pythons keep some of their classes in private modules: pathlib._local.
        if not module.startswith(f"{cabinet_sdk.__name__}."):
            module = module.partition("._")[0]
        first, dot, rest = name.partition(".")
        return f"{self.of(module, first)}{dot}{rest}"


def _quoted(text: str) -> str:
    return repr(text) if '"' in text else f'"{repr(text)[1:-1]}"'


if __name__ == "__main__":
    target = Path(sys.argv[1])
    for stub_path in write_stubs(target):
        print(stub_path.as_posix())
