"""Who may import whom: the table of the house, and the check that the code keeps to it."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.house.rooms import CONTINUATION, PACKAGES, sdk_areas, server_areas

__all__ = ["MAY_IMPORT", "circular_imports", "foreign_imports", "imports_of", "modules"]

# How the table is read. A module keeps to the first row that fits it, and to no other. `.*` stands for the module
# itself and all below it, `<area>` for any area, and in the right column for the very same one; `<other>` is any other
# area. The standard library is open to everybody, and so is the module itself; every other library is named. A room of
# an area stands for the modules that continue it too, which may import each other as long as that forms no circle.

WORDS = ("cabinet_sdk.types", "cabinet_sdk.errors")
"""What every area shares."""

MACHINERY = (*WORDS, "cabinet_sdk._core.*", "attrs")
"""What an area stands on."""

WITHOUT_NETWORK = tuple(
    f"cabinet_sdk._core.{name}"
    for name in (
        "answer_codec",
        "arguments",
        "digests",
        "disposition",
        "links",
        "multipart",
        "openapi",
        "operation",
        "problems",
        "redaction",
        "request_codec",
        "request_hooks",
        "schema",
        "sqlcipher",
        "sqlite_files",
        "wire",
    )
)
"""The machinery that client and server have in common; the rest of `_core` is the client's alone."""

SERVER_HEART = tuple(
    f"reference_server.{name}"
    for name in (
        "audit",
        "clock",
        "database",
        "encryption",
        "faults",
        "files",
        "idempotency",
        "ids",
        "limits",
        "paging",
        "papers",
        "profiles",
        "respond",
        "routing",
        "session",
        "signin",
        "uploads",
        "working_days",
        "world",
    )
)
"""The machinery around the server's areas."""

SERVER = (*WORDS, "cabinet_sdk.types.*", *WITHOUT_NETWORK, "cabinet_sdk.contract", *SERVER_HEART, "attrs")
"""What the server's machinery stands on."""

SERVER_AREA = (
    *WORDS,
    *WITHOUT_NETWORK,
    "cabinet_sdk.<area>.models",
    "cabinet_sdk.<area>.operations",
    "cabinet_sdk.<area>.errors",
    "cabinet_sdk.<other>.models",
    "cabinet_sdk.<other>.errors",
    "reference_server.<other>.rules",
    *SERVER_HEART,
    "attrs",
)
"""What a room of a server's area stands on. `cabinet_sdk.<area>` itself is not there: it brings the client."""

MAY_IMPORT: Mapping[str, tuple[str, ...]] = {
    # The library, each room only what stands above it.
    "cabinet_sdk.errors": ("attrs",),
    "cabinet_sdk.types.*": ("cabinet_sdk.types.*", "cabinet_sdk.errors", "attrs"),
    # The one module that knows httpx, and the network below it. It tells services the version of the library.
    "cabinet_sdk._core.httpx_transport": (*MACHINERY, "cabinet_sdk", "httpx"),
    "cabinet_sdk._core.network": ("cabinet_sdk._core.per_process", "httpcore"),
    # The one module that knows SQLCipher; loaded only where there is a key.
    "cabinet_sdk._core.sqlcipher": ("sqlcipher3",),
    "cabinet_sdk._core.*": (*MACHINERY, "cabinet_sdk.types.*", "cattrs", "msgspec"),
    # An area: models, errors <- operations <- flows <- client.
    "cabinet_sdk.<area>.models": (*MACHINERY, "cabinet_sdk.<other>.models", "cabinet_sdk.<area>.models"),
    "cabinet_sdk.<area>.errors": (
        *MACHINERY,
        "cabinet_sdk.<other>.models",
        "cabinet_sdk.<area>.models",
        "cabinet_sdk.<area>.errors",
    ),
    "cabinet_sdk.<area>.operations": (
        *MACHINERY,
        "cabinet_sdk.<other>.models",
        "cabinet_sdk.<area>.models",
        "cabinet_sdk.<area>.errors",
        "cabinet_sdk.<area>.operations",
    ),
    "cabinet_sdk.<area>.flows": (
        *MACHINERY,
        "cabinet_sdk.<other>.models",
        "cabinet_sdk.<area>.models",
        "cabinet_sdk.<area>.errors",
        "cabinet_sdk.<area>.operations",
        "cabinet_sdk.<area>.flows",
    ),
    "cabinet_sdk.<area>.client": (
        *MACHINERY,
        "cabinet_sdk.<other>.models",
        "cabinet_sdk.<area>.models",
        "cabinet_sdk.<area>.errors",
        "cabinet_sdk.<area>.operations",
        "cabinet_sdk.<area>.flows",
        "cabinet_sdk.<area>.client",
    ),
    "cabinet_sdk.<area>": ("cabinet_sdk.<area>.*",),
    # What gathers the areas. The contract is for server, docs and tests: nothing of the library imports it.
    "cabinet_sdk.contract": ("cabinet_sdk._core.operation", "cabinet_sdk.<area>.operations"),
    "cabinet_sdk.client": (*MACHINERY, "cabinet_sdk.<area>.client"),
    "cabinet_sdk.transports": ("cabinet_sdk._core.*",),
    # The one module that knows OpenTelemetry; nothing of the library imports it.
    "cabinet_sdk.telemetry": ("cabinet_sdk", "cabinet_sdk._core.context", "cabinet_sdk._core.wire", "opentelemetry"),
    "cabinet_sdk": ("cabinet_sdk._core.*", "cabinet_sdk.client", "cabinet_sdk.errors"),
    # The server's side for those who test: the only modules that know that there is a client.
    "reference_server.testing": (
        "cabinet_sdk",
        "cabinet_sdk.transports",
        "cabinet_sdk._core.arguments",
        *SERVER_HEART,
        "reference_server.serve",
    ),
    "reference_server.pytest_fixtures": ("cabinet_sdk", "reference_server", "reference_server.testing", "pytest"),
    # The server on a socket: the only modules that need more than the SDK does.
    "reference_server.pages.*": (
        *SERVER,
        "cabinet_sdk.<area>.models",
        "cabinet_sdk.<area>.operations",
        "reference_server.<area>.*",
        "reference_server.pages.*",
        "starlette",
        "jinja2",
    ),
    "reference_server.asgi": (*SERVER, "reference_server.pages", "reference_server.turns", "starlette"),
    "reference_server.connections": (*SERVER, "reference_server.asgi", "httptools", "uvicorn"),
    "reference_server.serve": (*SERVER, "reference_server.asgi", "reference_server.connections", "uvicorn"),
    "reference_server.__main__": (*SERVER, "reference_server.serve"),
    # The one module that encrypts single values.
    "reference_server.audit": (*SERVER, "cryptography"),
    # The one module that takes forms apart.
    "reference_server.uploads": (*SERVER, "python_multipart"),
    # The modules that make files for people, with what each of them takes.
    "reference_server.papers": (*SERVER, "reference_server.pdf", "xlsxwriter"),
    "reference_server.pdf": (*SERVER, "reference_server.pdf_file", "segno"),
    "reference_server.pdf_file": (*SERVER, "fontTools"),
    # The server's areas: store <- rules <- papers <- handlers, rules <- control <- seed.
    "reference_server.<area>.store": (*SERVER_AREA, "reference_server.<area>.store"),
    "reference_server.<area>.rules": (
        *SERVER_AREA,
        "reference_server.<area>.store",
        "reference_server.<area>.rules",
    ),
    "reference_server.<area>.papers": (
        *SERVER_AREA,
        "reference_server.<area>.store",
        "reference_server.<area>.rules",
        "reference_server.<area>.papers",
    ),
    "reference_server.<area>.handlers": (
        *SERVER_AREA,
        "reference_server.<area>.store",
        "reference_server.<area>.rules",
        "reference_server.<area>.papers",
        "reference_server.<area>.handlers",
    ),
    "reference_server.<area>.control": (
        *SERVER_AREA,
        "reference_server.<area>.store",
        "reference_server.<area>.rules",
        "reference_server.<area>.control",
    ),
    "reference_server.<area>.seed": (
        *SERVER_AREA,
        "reference_server.<area>.control",
        "reference_server.<area>.seed",
    ),
    "reference_server.<area>": ("reference_server.<area>.*",),
    # What gathers the server's areas; the rest of the machinery knows none of them.
    "reference_server.world": (*SERVER, "reference_server.<area>", "reference_server.seed"),
    "reference_server.seed": (*SERVER, "reference_server.<area>", "cabinet_sdk.<area>.models"),
    "reference_server": (*SERVER_HEART, "reference_server.<area>.*"),
    "reference_server.*": SERVER,
    # Examples show what everybody has: public names, and httpx to ask whether a server is up.
    "examples.*": (
        "examples.*",
        "cabinet_sdk",
        *WORDS,
        "cabinet_sdk.transports",
        "cabinet_sdk.<area>",
        "reference_server",
        "reference_server.testing",
        "httpx",
    ),
}


def modules(root: Path) -> dict[str, Path]:
    """Return every module of the two packages and the examples, by its name."""
    found: dict[str, Path] = {}
    for package in (*PACKAGES, "examples"):
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root / package).with_suffix("").parts
            if parts[-1] == "__init__":
                parts = parts[:-1]
            found[".".join((Path(package).name, *parts))] = path
    return found


def imports_of(name: str, path: Path, known: Mapping[str, Path]) -> Iterator[tuple[int, str]]:
    """
    Return the lines and names of the modules that a module imports, wherever in it.

    What only a type checker imports is a dependency as well: the reader has to know both modules.
    """
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import():
                for alias in node.names:
                    yield node.lineno, alias.name
            case ast.ImportFrom():
                base = node.module or ""
                if node.level:
                    above = package.split(".")[: len(package.split(".")) - node.level + 1]
                    base = ".".join((*above, *filter(None, (node.module,))))
                for alias in node.names:
                    submodule = f"{base}.{alias.name}"
                    yield node.lineno, submodule if submodule in known else base
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module" | "__import__"),
                args=[ast.Constant(value=str(target)), *_],
            ):
                yield node.lineno, target
            case _:
                pass


def foreign_imports(root: Path) -> list[str]:
    """Return each import that the table does not allow, and each module that has no row in it."""
    known = modules(root)
    areas = sdk_areas(root) | server_areas(root)
    breaches: list[str] = []
    for name, path in known.items():
        row = _row(name, areas)
        if row is None:
            breaches.append(f"{name} stands in no row of the table")
            continue
        allowed = [_pattern(each, areas, row[1]) for each in MAY_IMPORT[row[0]]]
        for line, target in imports_of(name, path, known):
            ours = target.partition(".")[0] in {"cabinet_sdk", "reference_server", "examples"}
            asked = target if ours else target.partition(".")[0]
            if asked in {name, "__future__"} or asked in sys.stdlib_module_names:
                continue
            if not any(pattern.fullmatch(asked) for pattern in allowed):
                breaches.append(f"{path.relative_to(root)}:{line}: {name} must not import {asked}")
    return breaches


def circular_imports(root: Path) -> list[str]:
    """Return each circle in which modules of one area import each other; its `__init__`, which gathers them, aside."""
    known = modules(root)
    breaches: list[str] = []
    for package, areas in (("cabinet_sdk", sdk_areas(root)), ("reference_server", server_areas(root))):
        for area in sorted(areas):
            inside = {name for name in known if name.startswith(f"{package}.{area}.")}
            graph = {
                name: {target for _, target in imports_of(name, known[name], known)} & inside - {name}
                for name in sorted(inside)
            }
            try:
                TopologicalSorter(graph).prepare()
            except CycleError as error:
                breaches.append(" <- ".join(error.args[1]))
    return breaches


def _row(name: str, areas: set[str]) -> tuple[str, str | None] | None:
    """Return the pattern of the module's row, and the area that it belongs to."""
    for row in MAY_IMPORT:
        found = _pattern(row, areas, None).fullmatch(name)
        if found is not None:
            return row, found.groupdict().get("area")
    return None


def _pattern(text: str, areas: set[str], area: str | None) -> re.Pattern[str]:
    """Read an entry of the table; `area` is the one of the module that imports, None where it has none."""
    pattern = re.escape(text)
    if re.fullmatch(r"\w+\.<(?:area|other)>\.\w+", text):
        pattern += f"(?:{CONTINUATION})?"
    others = "|".join(sorted(areas - {area} if area else areas))
    pattern = pattern.replace("<other>", f"(?:{others or '(?!)'})")
    same = area or "|".join(sorted(areas)) or "(?!)"
    pattern = pattern.replace("<area>", f"(?P<area>{same})")
    return re.compile(re.sub(r"\\\.\\\*$", r"(?:\\..+)?", pattern))
