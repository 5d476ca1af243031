"""
A plugin of pytest that ties tests to the rows of docs/features.md.

It always refuses a marker that names no row. With ``--features`` it runs the marked tests alone and prints every row
with the tests behind it.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from pathlib import Path

import pytest

__all__ = ["read_features", "table"]

ROW = re.compile(r"^\| (?P<id>[A-Z]{2}-\d{2}) \| (?P<text>.+) \|$", re.MULTILINE)
WIDTH = 100


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--features``."""
    parser.addoption("--features", action="store_true", help="run the tests of features and print what each row has")


def pytest_configure(config: pytest.Config) -> None:
    """Print the table where the results come together, which is not a worker of pytest-xdist."""
    if config.getoption("--features") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(FeatureReport(read_features(config.rootpath)))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let reports tell the rows of their tests, and keep the marked tests alone if those are wanted."""
    for item in items:
        # Properties travel with a report from a worker of pytest-xdist to the process that prints.
        item.user_properties += [("feature", name) for name in _marked(item)]
    if config.getoption("--features"):
        config.hook.pytest_deselected(items=[item for item in items if not _marked(item)])
        items[:] = [item for item in items if _marked(item)]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse a marker that names no row, before the test begins; an error of the collection would stop pytest-xdist."""
    for name in _marked(item):
        if name not in read_features(item.config.rootpath):
            pytest.fail(f"docs/features.md has no row {name!r}", pytrace=False)


class FeatureReport:
    """Gathers what passed, and prints it at the end."""

    def __init__(self, features: dict[str, str]) -> None:
        self.features = features
        self.passed: dict[str, Counter[str]] = {name: Counter() for name in features}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test that passed, all parameters of one function together."""
        if report.when == "call" and report.passed:
            for key, name in report.user_properties:
                if key == "feature":
                    self.passed[str(name)][report.nodeid.partition("[")[0]] += 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table."""
        terminalreporter.section("features")
        for line in table(self.features, self.passed):
            terminalreporter.write_line(line)


@functools.cache
def read_features(root: Path) -> dict[str, str]:
    """Read the rows of docs/features.md: text by id, in the order of the page."""
    page = (root / "docs" / "features.md").read_text(encoding="utf-8")
    features: dict[str, str] = {}
    for row in ROW.finditer(page):
        if features.setdefault(row["id"], row["text"]) != row["text"]:
            raise pytest.UsageError(f"docs/features.md has two rows {row['id']}")
    return features


def table(features: dict[str, str], passed: dict[str, Counter[str]]) -> list[str]:
    """Lay out the rows that have tests, those tests under each, and then the rows that have none."""
    proven = [name for name in features if passed[name]]
    lines: list[str] = []
    for name in proven:
        lines.append(f"{name}  {_short(features[name])}")
        for test, count in sorted(passed[name].items()):
            lines.append(f"       {test}" + (f" ({count} cases)" if count > 1 else ""))
    lines += ["", "Without a passing test:"]
    lines += [f"{name}  {_short(features[name])}" for name in features if not passed[name]]
    lines += ["", f"{len(proven)} of {len(features)} features have passing tests."]
    return lines


def _marked(item: pytest.Item) -> list[str]:
    return sorted({str(name) for mark in item.iter_markers("feature") for name in mark.args})


def _short(text: str) -> str:
    return text if len(text) <= WIDTH else text[:WIDTH].rpartition(" ")[0] + " …"
