"""Tests are tied to the rows of docs/features.md."""

from pathlib import Path

import pytest

from tools.features import read_features

pytest_plugins = ["pytester"]

PAGE = """
| id | feature |
|---|---|
| CH-01 | Charges are listed |
| CH-02 | Debts are listed |
| CH-03 | Overpayments are listed |
"""

TESTS = """
import pytest

@pytest.mark.feature("CH-01", "CH-03")
@pytest.mark.parametrize("number", [1, 2])
def test_passes(number): ...

@pytest.mark.feature("CH-02")
def test_fails(): assert False

def test_not_marked(): assert False
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """Give a project with three features and one module of tests."""
    pytester.makeini("[pytest]\nmarkers = feature")
    pytester.mkdir("docs").joinpath("features.md").write_text(PAGE, encoding="utf-8")
    pytester.makepyfile(TESTS)
    return pytester


def run(project: pytest.Pytester, *args: str) -> pytest.RunResult:
    """Run the project's tests with the plugin."""
    return project.runpytest_inprocess("-p", "tools.features", "-p", "no:randomly", *args)


@pytest.mark.parametrize("workers", ["0", "1"])
def test_table_shows_the_passing_tests_of_each_row(project: pytest.Pytester, workers: str) -> None:
    """A row has the tests that passed, a failing test proves nothing, and tests without a marker do not run."""
    result = run(project, "--features", "-n", workers)

    result.assert_outcomes(passed=2, failed=1, deselected=1 if workers == "0" else 0)
    result.stdout.fnmatch_lines(
        [
            "CH-01  Charges are listed",
            "       *::test_passes (2 cases)",
            "CH-03  Overpayments are listed",
            "       *::test_passes (2 cases)",
            "",
            "Without a passing test:",
            "CH-02  Debts are listed",
            "",
            "2 of 3 features have passing tests.",
        ],
        consecutive=True,
    )


@pytest.mark.parametrize("workers", ["0", "1"])
def test_marker_of_an_unknown_row_is_an_error(project: pytest.Pytester, workers: str) -> None:
    """A test does not run while its marker names a row that does not exist, and the message says which."""
    project.makepyfile('import pytest\n\n@pytest.mark.feature("CH-01", "CH-99")\ndef test_other(): ...\n')

    result = run(project, "--features", "-n", workers)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["docs/features.md has no row 'CH-99'"])


def test_row_that_occurs_twice_is_an_error(tmp_path: Path) -> None:
    """An id names one row."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/features.md").write_text(PAGE + "| CH-01 | Charges are sorted |\n", encoding="utf-8")

    with pytest.raises(pytest.UsageError, match="two rows CH-01"):
        read_features(tmp_path)


def test_page_numbers_the_rows_of_an_area_without_gaps(pytestconfig: pytest.Config) -> None:
    """The real page counts each area from 01 on, so that a row that gets lost is noticed."""
    numbers: dict[str, list[int]] = {}
    for name in read_features(pytestconfig.rootpath):
        area, number = name.split("-")
        numbers.setdefault(area, []).append(int(number))

    assert {area: list(range(1, len(found) + 1)) for area, found in numbers.items()} == numbers
