"""The installed wheel, as somebody has it who installed nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import textwrap
import tomllib
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cabinet_sdk import __version__
from tests.package.building import ROOT, pip, run, wheel_in

pytestmark = pytest.mark.slow

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
INSTALL = "pip install 'cabinet-sdk[server]'"


def said(python: Path, program: str, cwd: Path, **variables: str) -> str:
    """Run a program that must succeed, its warnings being errors; return what it prints."""
    done = run(python, "-W", "error", "-c", textwrap.dedent(program), cwd=cwd, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    return done.stdout.strip()


def test_it_brings_what_the_library_needs_and_no_server(installed: Path, tmp_path: Path) -> None:
    """Without the extra, nothing comes that only the server needs, and pip finds all that is there consistent."""
    listed = json.loads(pip(tmp_path, "--python", installed, "list", "--format", "json"))
    names = {canonicalize_name(each["name"]) for each in listed}

    wanted = {canonicalize_name(Requirement(each).name) for each in PROJECT["dependencies"]}
    server = {canonicalize_name(Requirement(each).name) for each in PROJECT["optional-dependencies"]["server"]}
    assert {"cabinet-sdk", *wanted} <= names
    assert not names & server
    pip(tmp_path, "--python", installed, "check")


def test_the_library_imports(installed: Path, tmp_path: Path) -> None:
    """What is imported is the installed package, and each of its modules can be, but those that are for extras."""
    program = """
        import importlib, pkgutil, cabinet_sdk
        for module in pkgutil.walk_packages(cabinet_sdk.__path__, "cabinet_sdk."):
            if module.name not in {"cabinet_sdk.telemetry", "cabinet_sdk._core.sqlcipher"}:
                importlib.import_module(module.name)
        print(cabinet_sdk.__version__, cabinet_sdk.__file__)
    """
    version, file = said(installed, program, tmp_path).split()

    assert version == __version__
    assert Path(file).is_relative_to(installed.parents[1])


WORLD = """
    import asyncio, sys
    from cabinet_sdk.charges import PaymentMethod
    from cabinet_sdk.types import Money
    from reference_server import World
    from reference_server.testing import connect, connect_async

    async def pay(world, person, charge_id):
        async with connect_async(world, person) as cabinet:
            payment = await cabinet.charges.pay(charge_id, method=PaymentMethod.SBP)
            return await cabinet.charges.wait_for_payment(payment.id)

    world = World()
    person = world.profiles.add("Иванова Мария Петровна")
    world.charges.add(person, amount=Money("1500.00"))
    with connect(world, person) as cabinet:
        [charge] = cabinet.charges.list()
    print(charge.due, asyncio.run(pay(world, person, charge.id)).status)
    world.close()
"""


def test_a_world_in_memory_needs_no_extra(installed: Path, tmp_path: Path) -> None:
    """Without the extra, a test's world answers both clients, and nothing of a web server is loaded."""
    program = f"{WORLD}\n    print(sorted({{'httpx', 'starlette', 'uvicorn', 'jinja2'}} & {{*sys.modules}}))"

    assert said(installed, program, tmp_path).splitlines() == ["1500.00 succeeded", "[]"]


def test_the_fixtures_need_no_extra(installed: Path, folder_of_pytest: Path, tmp_path: Path) -> None:
    """Without the extra, one line in a conftest.py and pytest itself are all that a test in memory takes."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["reference_server.pytest_fixtures"]\n', encoding="utf-8")
    test = """
        import asyncio
        from cabinet_sdk.types import Money

        def test_sync(cabinet, cabinet_world, cabinet_profile):
            cabinet_world.charges.add(cabinet_profile, amount=Money("1.00"))
            assert [charge.due for charge in cabinet.charges.list()] == [Money("1.00")]

        def test_async(async_cabinet):
            async def listed():
                return [charge async for charge in async_cabinet.charges.list()]
            assert asyncio.run(listed()) == []
    """
    (tmp_path / "test_charges.py").write_text(textwrap.dedent(test), encoding="utf-8")
    done = run(
        *(installed, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path),
        cwd=tmp_path,
        PYTHONPATH=str(folder_of_pytest),
    )

    assert "2 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("arguments, code", [(("--help",), 0), ((), 1)])
def test_the_program_says_what_it_needs(installed: Path, tmp_path: Path, arguments: tuple[str, ...], code: int) -> None:
    """Without the extra, the reference server says what to install, in its help and instead of serving."""
    done = run(installed.with_name("cabinet-reference-server"), *arguments, cwd=tmp_path, COLUMNS="200")

    assert done.returncode == code
    assert INSTALL in (done.stdout if code == 0 else done.stderr)
    assert "Traceback" not in done.stderr


def test_the_server_serves(installed_with_server: Path, tmp_path: Path) -> None:
    """With the extra, the program serves its pages and its contract until it is told to stop, and ends well."""
    program = installed_with_server.with_name("cabinet-reference-server")
    command = [str(program), "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            url = re.search(r"http://\S+", ready)
            assert url is not None, ready
            assert "charges.pay" in httpx.get(f"{url[0]}/openapi.json").text
            assert "</html>" in httpx.get(url[0]).text
            process.terminate()
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()


def test_the_server_has_all_that_its_modules_import(
    installed_with_server: Path, folder_of_pytest: Path, tmp_path: Path
) -> None:
    """With the extra and pytest, each module of the reference server can be imported."""
    program = """
        import importlib, pkgutil, reference_server
        names = [each.name for each in pkgutil.walk_packages(reference_server.__path__, "reference_server.")]
        for name in names:
            importlib.import_module(name)
        print(len(names))
    """

    assert int(said(installed_with_server, program, tmp_path, PYTHONPATH=str(folder_of_pytest))) > 20


def test_tracing_has_all_that_it_imports(installed_with_server: Path, tmp_path: Path) -> None:
    """With its extra, calls can be traced; no tracer comes along, since a program brings its own."""
    program = """
        import importlib.util
        from cabinet_sdk.telemetry import Tracing
        print(Tracing().around_call.__name__, importlib.util.find_spec("opentelemetry.sdk"))
    """

    assert said(installed_with_server, program, tmp_path) == "around_call None"


def test_encryption_has_all_that_it_imports(installed_with_server: Path, tmp_path: Path) -> None:
    """With its extra, a journal can be encrypted."""
    program = """
        from pathlib import Path
        from cabinet_sdk import SqliteJournal
        SqliteJournal("journal", key=bytes(32)).close()
        print(Path("journal").read_bytes().startswith(b"SQLite"))
    """

    assert said(installed_with_server, program, tmp_path) == "False"


@pytest.mark.parametrize("release", ["3.12", "3.13"])
def test_other_pythons_take_it(distributions: Path, tmp_path: Path, release: str) -> None:
    """On each other Python of the classifiers that this machine has, the wheel is installed and a payment is made."""
    assert f"Programming Language :: Python :: {release}" in PROJECT["classifiers"]
    python = shutil.which(f"python{release}")
    # A version manager may have the name without the Python.
    if python is None or run(python, "--version", cwd=tmp_path).returncode != 0:
        pytest.skip(f"Python {release} is not installed")
    made = run(python, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    other = tmp_path / "venv" / "bin" / "python"
    pip(tmp_path, "--python", other, "install", wheel_in(distributions))

    assert said(other, WORLD, tmp_path) == "1500.00 succeeded"
