"""The bill of materials that ``make sbom`` writes."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.package.building import ROOT, run
from tools.sbom import bill_of_materials

# Any: JSON.

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PURL = re.compile(r"pkg:pypi/[a-z0-9-]+@[0-9A-Za-z.%]+")


def components(bill: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the components by name."""
    return {canonicalize_name(each["name"]): each for each in bill["components"]}


@pytest.mark.parametrize("extras", [(), ("server",)])
def test_the_bill_has_the_shape_of_cyclonedx(extras: tuple[str, ...]) -> None:
    """Header, components and the graph of needs are as the standard wants them, and refer to one another."""
    bill = bill_of_materials(extras)
    listed = [bill["metadata"]["component"], *bill["components"]]
    refs = [each["bom-ref"] for each in listed]

    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bill["serialNumber"])
    assert len(set(refs)) == len(refs)
    for each in listed:
        assert each["type"] == "library"
        assert PURL.fullmatch(each["purl"])
        assert each["version"] == version(each["name"])
        assert all(set(licence) in ({"expression"}, {"license"}) for licence in each["licenses"])
        assert all(address["url"].startswith("http") for address in each.get("externalReferences", []))
    assert sorted(each["ref"] for each in bill["dependencies"]) == sorted(refs)
    assert {ref for each in bill["dependencies"] for ref in each["dependsOn"]} == {*refs[1:]}


def test_the_bill_lists_what_installing_brings() -> None:
    """All that the library needs and what that needs, and nothing of what the server or developers use."""
    listed = components(bill_of_materials())
    direct = {canonicalize_name(Requirement(each).name) for each in PROJECT["dependencies"]}
    server = {canonicalize_name(Requirement(each).name) for each in PROJECT["optional-dependencies"]["server"]}

    assert {*direct, "anyio", "certifi", "httpcore", "idna"} <= listed.keys()
    assert not listed.keys() & {*server, "pytest", "hatchling", "mypy"}
    assert server <= {*components(bill_of_materials(["server"]))}


def test_the_program_writes_the_same_bill_each_time(tmp_path: Path) -> None:
    """The file is JSON with a newline at its end, and the same to the byte in the same environment."""
    written: list[str] = []
    for name in ("first", "second"):
        done = run(sys.executable, ROOT / "tools" / "sbom.py", tmp_path / name / "bill.json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        written.append((tmp_path / name / "bill.json").read_text(encoding="utf-8"))

    assert written[0] == written[1]
    assert json.loads(written[0]) == bill_of_materials()
    assert written[0].endswith("}\n")
