"""What editors show of the installed wheel: Jedi and pyright's language server, for every method in both modes."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final
from urllib.parse import unquote, urlsplit

import pytest

from tests.package.language_server import LanguageServer, pyright
from tests.package.methods import METHODS, Method, each_method

pytestmark = pytest.mark.slow

# Any: JSON, and Jedi's own values, whose types it does not tell.


def program(*lines: str) -> str:
    """Return a program that has a client of each mode."""
    clients = "cabinet: Cabinet, async_cabinet: AsyncCabinet"
    return "\n".join(
        [
            "from cabinet_sdk import AsyncCabinet, Cabinet",
            f"async def main({clients}) -> None:",
            *(f"    {line}" for line in lines),
            "",
        ]
    )


def place(method: Method) -> str:
    """Return a method as the program names it."""
    return f"{'async_cabinet' if method.asynchronous else 'cabinet'}.{method.area}.{method.name}"


def pyright_signature(method: Method) -> str:
    """Return a signature as pyright writes it."""
    result = f"CoroutineType[Any, Any, {method.result}]" if method.awaited else method.result
    parameters = re.sub(r"([0-9])[.]0\b", r"\1", method.parameters)  # It writes 60.0 as 60.
    return f"{parameters} -> {result}"


def jedi_signature(method: Method) -> str:
    """Return a signature as Jedi writes it."""
    return f"{method.name}{method.parameters.replace(' = ', '=')} -> {method.result}"


@pytest.fixture(scope="module")
def server(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageServer]:
    """Return pyright's language server with a program in which each method is called."""
    folder = tmp_path_factory.mktemp("editor")
    places = {"venvPath": str(installed.parents[2]), "venv": installed.parents[1].name}
    (folder / "pyrightconfig.json").write_text(json.dumps(places), encoding="utf-8")
    with pyright(folder / "program.py", program(*(f"{place(each)}()" for each in METHODS))) as server:
        yield server


@each_method
def test_pyright_shows_a_method_on_hover(server: LanguageServer, method: Method) -> None:
    """Under the pointer appear the parameters one by one, the result, and the whole docstring."""
    shown = server.at("hover", f"    {place(method)}()", after=method.name)["contents"]["value"]

    head, _, documentation = shown.partition("\n\n")
    # A signature of several parameters stands on several lines.
    line = " ".join(head.split()).replace("( ", "(").replace(" )", ")")
    assert line == f"(method) def {method.name}{pyright_signature(method)}"
    assert documentation == method.documentation


@each_method
def test_pyright_helps_with_the_arguments(server: LanguageServer, method: Method) -> None:
    """After the parenthesis, the editor shows signature and docstring."""
    shown = server.at("signatureHelp", f"    {place(method)}()", after="(")

    (signature,) = shown["signatures"]
    assert signature["label"] == pyright_signature(method)
    assert signature["documentation"]["value"] == method.documentation


@each_method
def test_pyright_goes_to_the_definition(server: LanguageServer, installed: Path, method: Method) -> None:
    """Going to the definition opens the stub of the installed wheel at the method."""
    (shown,) = server.at("definition", f"    {place(method)}()", after=method.name)

    path = Path(unquote(urlsplit(str(shown["uri"])).path))
    line = path.read_text(encoding="utf-8").splitlines()[int(shown["range"]["start"]["line"])]
    assert path.is_relative_to(installed.parents[1])
    assert f"def {method.name}(" in line


@final
class Jedi:
    """Jedi, looking at the packages of another Python than the one it runs in."""

    def __init__(self, python: Path, folder: Path) -> None:
        self._jedi: Any = importlib.import_module("jedi")
        self._about = {
            "environment": self._jedi.create_environment(str(python), safe=False),
            "project": self._jedi.Project(str(folder)),
        }

    def at_the_end(self, *lines: str) -> Any:
        """Return a program and the place after its last line."""
        return self._jedi.Script(program(*lines).rstrip("\n"), **self._about)


@pytest.fixture(scope="module")
def jedi(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jedi]:
    """Return Jedi for the environment of the wheel."""
    folder = tmp_path_factory.mktemp("jedi")
    with pytest.MonkeyPatch.context() as patch:
        # Two workers of pytest-xdist must not write the cache that Jedi keeps for a user.
        patch.setattr("jedi.settings.cache_directory", str(folder / "cache"))
        yield Jedi(installed, folder)


@each_method
def test_jedi_completes_a_method(jedi: Jedi, method: Method) -> None:
    """A method is offered by its first letters, with its signature and the first sentence of its docstring."""
    offered = jedi.at_the_end(place(method)[:-1]).complete()

    (found,) = [each for each in offered if each.name == method.name]
    assert found.type == "function"
    assert found.docstring() == f"{jedi_signature(method)}\n\n{method.summary}"


@each_method
def test_jedi_shows_signature_and_result(jedi: Jedi, method: Method) -> None:
    """After the parenthesis appear the parameters and the result; what is called, and awaited, has its type."""
    (signature,) = jedi.at_the_end(f"{place(method)}(").get_signatures()
    call = f"{'await ' if method.awaited else ''}{place(method)}()"
    inferred = jedi.at_the_end(f"result = {call}", "result").infer()

    assert signature.to_string() == jedi_signature(method)
    assert [each.name for each in inferred] == [method.result.partition("[")[0]]
