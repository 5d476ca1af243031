"""Every method of every area in both modes, and what an editor should say of it."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, final

import attrs
import pytest

from cabinet_sdk import Cabinet
from cabinet_sdk._core.area import Area, is_asynchronous
from tests.house.rows import endpoints

__all__ = ["METHODS", "Method", "each_method"]

_MODULES = re.compile(r"\b(?:[a-z_][a-z0-9_]*\.)+(?=[A-Za-z])")
# As which Python keeps `Id | None` where `Id` is a `NewType`.
_OPTIONAL = re.compile(r"\bOptional\[(\w+)\]")


@final
@attrs.frozen
class Method:
    """A method of a client, and the words in which a tool that knows it speaks of it."""

    area: str
    name: str
    asynchronous: bool
    function: Callable[..., Any]  # Any: of whatever types.

    def __str__(self) -> str:
        return f"{self.client}.{self.area}.{self.name}"

    @property
    def client(self) -> str:
        """The client that has it."""
        return "AsyncCabinet" if self.asynchronous else "Cabinet"

    @property
    def awaited(self) -> bool:
        """Whether its result has to be awaited."""
        return inspect.iscoroutinefunction(self.function)

    @property
    def parameters(self) -> str:
        """Its parameters with types and defaults."""
        signature = inspect.signature(self.function)
        shown = signature.replace(
            parameters=list(signature.parameters.values())[1:],
            return_annotation=inspect.Signature.empty,
        )
        return _short(str(shown))

    @property
    def result(self) -> str:
        """What it returns, or what awaiting it gives."""
        return _short(inspect.formatannotation(inspect.signature(self.function).return_annotation))

    @property
    def documentation(self) -> str:
        """Its docstring."""
        return inspect.getdoc(self.function) or ""

    @property
    def summary(self) -> str:
        """The first sentence of its docstring."""
        return self.documentation.partition("\n")[0]


def _short(text: str) -> str:
    return _OPTIONAL.sub(r"\1 | None", _MODULES.sub("", text))


def _methods() -> Iterator[Method]:
    for area in (name for name, value in vars(Cabinet).items() if isinstance(value, property)):
        module = importlib.import_module(f"cabinet_sdk.{area}.client")
        classes: list[type[Area[Any]]] = [getattr(module, name) for name in module.__all__]
        for cls in classes:
            for name in endpoints(cls):
                yield Method(area, name, is_asynchronous(cls), getattr(cls, name))


METHODS = tuple(_methods())

each_method = pytest.mark.parametrize("method", METHODS, ids=str)
