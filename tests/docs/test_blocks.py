"""Every block of the documentation runs."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from cabinet_sdk import ClientCredentials
from reference_server import Profile, ProfileKind, World
from reference_server.testing import connect, connect_async, credentials
from tests.docs.blocks import ROOT, Block, blocks_of, execute, pages

pytest_plugins = ["pytester"]


def file_name(block: Block) -> str:
    """Return the name under which a reader is to save the block, empty where it need not be saved."""
    return block.mark.removeprefix("file ").partition(",")[0] if block.mark.startswith("file ") else ""


BLOCKS = [
    block for page in pages() for block in blocks_of(page.read_text(encoding="utf-8"), str(page.relative_to(ROOT)))
]
PYTHON = [block for block in BLOCKS if block.language == "python"]
CONSOLE = [block for block in BLOCKS if block.language == "console"]

IN_MEMORY = [block for block in PYTHON if not block.mark]
FILES = [block for block in PYTHON if block.mark.startswith("file ")]
SERVED = [block for block in PYTHON if block.mark.removeprefix(f"file {file_name(block)}, ") == "served"]
MODULES = [block for block in PYTHON if block.mark == "pytest"]
EXCERPTS = [block for block in PYTHON if block.mark.startswith("from ")]


def person_of(world: World) -> Profile:
    """Return somebody who can pay in every way."""
    return next(each for each in world.profiles.all() if each.kind == ProfileKind.PERSON and each.linked)


def with_client(text: str, url: str, client: ClientCredentials) -> str:
    """Put a real address and real credentials in the place of those that a reader puts there."""
    replaced = text.replace("http://127.0.0.1:8080", url)
    return replaced.replace("CLIENT_ID", client.client_id).replace("CLIENT_SECRET", client.client_secret)


def is_excerpt(block: Block) -> bool:
    """Say whether the block stands in the file that its mark names, at whatever depth."""
    source = (ROOT / block.mark.removeprefix("from ")).read_text(encoding="utf-8").splitlines()
    wanted = block.text.rstrip().splitlines()
    depth = next((line.index(wanted[0]) for line in source if line.strip() == wanted[0].strip()), 0)
    indented = [f"{' ' * depth}{line}" if line else "" for line in wanted]
    return any(source[start : start + len(indented)] == indented for start in range(len(source)))


def commands(block: Block) -> list[list[str]]:
    """Return the commands of a block of the shell as lists of words, without comments."""
    return [words for line in block.text.splitlines() if (words := shlex.split(line, comments=True))]


def exists(words: list[str]) -> bool:
    """Say whether a command is one that a reader has after the setup."""
    match words:
        case ["make", *targets]:
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            names = [target for target in targets if "=" not in target]
            return all(re.search(rf"^{re.escape(name)}:", makefile, re.MULTILINE) for name in names)
        case ["python" | ".venv/bin/python", "-m", module, *_]:
            return importlib.util.find_spec(module) is not None
        case ["python" | ".venv/bin/python", script, *_]:
            return (ROOT / script).is_file()
        case ["pip", "install", package, *_]:
            return package.partition("[")[0] == project()["name"]
        case [command, *_]:
            scripts = project()["scripts"]
            return command in {"git", "curl"} or (isinstance(scripts, dict) and command in scripts)
        case _:
            return False


def project() -> dict[str, object]:
    """Return what the project says of itself."""
    found: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


@pytest.mark.parametrize("block", IN_MEMORY, ids=str)
def test_block_runs_in_memory(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block without a mark runs by itself, or with a client of a made-up world, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    world = World.seeded()
    person = person_of(world)
    names = {
        "world": world,
        "profile": person,
        "cabinet": connect(world, person),
        "async_cabinet": connect_async(world, person),
        "folder": tmp_path,
    }

    execute(block, block.text, names)

    world.charges.check_books()


@pytest.mark.parametrize("block", SERVED, ids=str)
def test_block_runs_against_a_server(
    block: Block, seeded_world: World, served_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A served block runs as a reader would paste it in an empty folder, with an address and credentials that exist."""
    monkeypatch.chdir(tmp_path)
    client = credentials(seeded_world, person_of(seeded_world))

    printed = execute(block, with_client(block.text, served_url, client), {})

    assert printed


@pytest.mark.parametrize("block", MODULES, ids=str)
def test_block_runs_under_pytest(block: Block, pytester: pytest.Pytester) -> None:
    """A block of tests passes in a project with the files of its page, and a conftest.py that has the one line."""
    files = {file_name(each): each.text for each in FILES if each.page == block.page}
    files.setdefault("conftest.py", 'pytest_plugins = ["reference_server.pytest_fixtures"]\n')
    for name, text in files.items():
        (pytester.path / name).write_text(text, encoding="utf-8")
    pytester.makepyfile(test_block=block.text)

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error")

    assert result.ret == pytest.ExitCode.OK, str(block)


@pytest.mark.parametrize("block", EXCERPTS, ids=str)
def test_block_stands_in_its_file(block: Block) -> None:
    """An excerpt is what the file says today; the file runs in other tests. If not, copy it into the page anew."""
    assert is_excerpt(block)


@pytest.mark.parametrize("block", CONSOLE, ids=str)
def test_commands_exist(block: Block) -> None:
    """Each command of the shell that a page names is there."""
    assert [words for words in commands(block) if not exists(words)] == []


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    """A block is Python with a known mark, commands, or one of the languages in which nothing can run."""
    imported = [block for block in FILES if any(tests.page == block.page for tests in MODULES)]
    tested = {id(block) for block in (*IN_MEMORY, *SERVED, *MODULES, *EXCERPTS, *CONSOLE, *imported)}
    others = [block for block in BLOCKS if id(block) not in tested]

    assert [
        str(block) for block in others if block.language not in {"http", "json", "text", "{toctree}", "{include}"}
    ] == []


def test_pages_have_blocks() -> None:
    """The collection finds the kinds that the pages are known to have, so that an empty list is no success."""
    assert all((IN_MEMORY, SERVED, FILES, MODULES, EXCERPTS, CONSOLE))


BROKEN = """
A page.

```python
assert 1 + 1 == 2
```

<!-- served -->
```python
print(
    1 / 0,
)
```

<!-- from src/cabinet_sdk/__init__.py -->
```python
__version__ = "0.0.0"
```

```console
make coffee
```
"""


def test_broken_block_is_found() -> None:
    """A block that fails raises, and the traceback names the line of the page."""
    good, bad, *_ = blocks_of(BROKEN, "page.md")

    execute(good, good.text, {})
    with pytest.raises(ZeroDivisionError) as caught:
        execute(bad, bad.text, {})

    assert (good.mark, bad.mark) == ("", "served")
    assert (caught.traceback[-1].path, caught.traceback[-1].lineno) == ("page.md", 10)
    assert BROKEN.splitlines()[10].strip() == "1 / 0,"


def test_stale_excerpt_and_missing_command_are_found() -> None:
    """An excerpt that its file does not hold, and a command that nobody has, are told from good ones."""
    *_, excerpt, console = blocks_of(BROKEN, "page.md")

    assert not is_excerpt(excerpt)
    assert not exists(commands(console)[0])


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file, and a heading where it names one."""
    lost: list[str] = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        name, _, heading = target.partition("#")
        if name.startswith(("https:", "http:")):
            continue
        file = page.parent / name if name else page
        if not file.exists() or (heading and heading not in headings(file.read_text(encoding="utf-8"))):
            lost.append(target)

    assert lost == []


def headings(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}
