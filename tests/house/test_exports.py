"""What modules export."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

import cabinet_sdk
import cabinet_sdk.telemetry
import cabinet_sdk.transports
import cabinet_sdk.types
import reference_server
from tests.house.exports import catalogue_breaches, export_breaches, lazy_breaches, sorted_names
from tests.house.rooms import sdk_areas
from tests.house.trees import build

ROOT = Path(__file__).parents[2]

CATALOGUES = [
    cabinet_sdk,
    cabinet_sdk.types,
    cabinet_sdk.telemetry,
    cabinet_sdk.transports,
    *(importlib.import_module(f"cabinet_sdk.{area}") for area in sorted(sdk_areas(ROOT))),
    reference_server,
]


def test_every_list_of_exports_is_sorted_and_complete() -> None:
    """Each `__all__` of both packages is sorted and names exactly the public names that the module has."""
    assert export_breaches(ROOT) == []


@pytest.mark.parametrize(
    "text, breach",
    [
        ("__all__ = ['b', 'a']\ndef a(): ...\ndef b(): ...", "is not sorted"),
        ("__all__ = ['a', 'A', 'B_B']\nclass A: ...\nB_B = 1\ndef a(): ...", "is not sorted"),
        ("__all__ = ['a', 'a']\ndef a(): ...", "names something twice"),
        ("__all__ = ['a']\ndef a(): ...\nclass New: ...", "New is not in __all__"),
        ("__all__ = ['a']\ndef a(): ...\nLIMIT: int = 3", "LIMIT is not in __all__"),
        ("__all__ = ['a']\ndef a(): ...\nasync def b(): ...", "b is not in __all__"),
        ("__all__ = ['a', 'b']\ndef a(): ...", "b is in __all__ and nowhere else"),
        ("from attrs import define\n__all__ = ['define']", "define is in __all__ and nowhere else"),
    ],
)
def test_a_wrong_list_of_exports_is_found(tmp_path: Path, text: str, breach: str) -> None:
    """A list out of order, a name left out and a name of nothing are each reported."""
    breaches = export_breaches(build(tmp_path, {"src/cabinet_sdk/_core/flow.py": text}))

    assert [each for each in breaches if each.startswith("cabinet_sdk._core.flow: ") and each.endswith(breach)]


def test_a_right_list_of_exports_is_left_alone(tmp_path: Path) -> None:
    """Private names, type variables and loggers need not stand in the list; modules without one are left alone."""
    text = "__all__ = ['LIMIT', 'Flow', 'run']\nT = TypeVar('T')\nlogger = logging.getLogger('x')\n"
    text += "_own = 1\nLIMIT = 1\nclass Flow: ...\ndef run(): ...\n"

    assert export_breaches(build(tmp_path, {"src/cabinet_sdk/_core/flow.py": text})) == []


def test_names_are_sorted_as_the_linter_wants_them() -> None:
    """Constants come first, then classes, then the rest, with numbers by their value."""
    names = ["a10", "a9", "Code", "MOSCOW", "Inn", "code", "LIST_CHARGES", "LIST_CHARGE_EVENTS"]

    assert sorted_names(names) == ["LIST_CHARGES", "LIST_CHARGE_EVENTS", "MOSCOW", "Code", "Inn", "a9", "a10", "code"]


def test_every_catalogue_has_what_it_names_and_shares_nothing() -> None:
    """Each name resolves, also where it is loaded on first use; completion sees it; it is exported in one place."""
    assert catalogue_breaches(CATALOGUES) == []


def test_a_wrong_catalogue_is_found() -> None:
    """A name of nothing, one that completion does not show and a thing exported twice are each reported."""
    first, second = ModuleType("first"), ModuleType("second")
    first.__dict__.update(__all__=["Path", "missing"], Path=Path)
    second.__dict__.update(__all__=["Route", "hidden"], Route=Path, hidden=1, __dir__=lambda: ["Route"])

    assert catalogue_breaches([first, second]) == [
        "first: missing does not resolve",
        "first: dir() does not show missing",
        "second: dir() does not show hidden",
        "second.Route is first.Path already",
    ]


def test_the_root_loads_what_type_checkers_are_told() -> None:
    """Each name that is loaded on first use comes from the module that its import for type checkers names."""
    source = Path(cabinet_sdk.__file__).read_text(encoding="utf-8")

    homes: dict[str, str] = vars(cabinet_sdk)["_HOMES"]
    assert {*homes} == {*cabinet_sdk.__all__} - {"__version__"}
    assert lazy_breaches(cabinet_sdk, homes, source) == []


def test_a_wrong_home_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that comes from elsewhere than type checkers are told is reported."""
    lazy, home = ModuleType("lazy"), ModuleType("lazy.home")
    lazy.__dict__.update(Right=1, Wrong=2)
    home.__dict__.update(Right=1, Wrong=3)
    monkeypatch.setitem(sys.modules, "lazy", lazy)
    monkeypatch.setitem(sys.modules, "lazy.home", home)

    told = "from lazy.home import Right\nfrom lazy.other import Wrong"

    breaches = lazy_breaches(lazy, {"Right": "home", "Wrong": "home"}, told)

    assert breaches == [
        "Wrong comes from lazy.home, type checkers take it from lazy.other",
        "Wrong is not what lazy.home has under this name",
    ]


def test_dir_of_the_root_is_its_catalogue() -> None:
    """Completion after `cabinet_sdk.` shows what is there for everybody and nothing else."""
    assert dir(cabinet_sdk) == sorted(cabinet_sdk.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A lazy module answers for an unknown name as any module does."""
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        getattr(cabinet_sdk, "nothing")  # noqa: B009  # type checkers refuse the attribute
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        getattr(cabinet_sdk.transports, "nothing")  # noqa: B009  # the same
