"""
Write a bill of materials of the library: what installing it installs, as CycloneDX 1.6.

Run ``python tools/sbom.py FILE [EXTRA ...]``. It says what is installed beside it, from the metadata of the
distributions: in the environment of developers, the versions of constraints.txt. The same environment gives the same
bytes, so there is no time of making in it, and the serial number follows from the content.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageMetadata, distribution
from pathlib import Path
from typing import Any
from urllib.parse import quote

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["bill_of_materials"]

# Any: JSON.

_NAME = "cabinet-sdk"
_LICENCE = "License :: OSI Approved :: "
_NO_TEXT = 100  # Some distributions give the whole text of their licence where its name belongs.


def bill_of_materials(extras: Iterable[str] = ()) -> dict[str, Any]:
    """
    Return the bill of materials.

    Args:
        extras: Of the library, to be counted among its needs.
    """
    needs = _needs(frozenset(extras))
    refs = {name: _ref(name) for name in needs}
    bill: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"lifecycles": [{"phase": "build"}], "component": _component(_NAME)},
        "components": [_component(name) for name in sorted(needs) if name != _NAME],
        "dependencies": [
            {"ref": refs[name], "dependsOn": sorted(refs[other] for other in needs[name])} for name in sorted(needs)
        ],
    }
    content = json.dumps(bill, sort_keys=True)
    return {**bill, "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}"}


def _needs(extras: frozenset[str]) -> dict[str, set[str]]:
    """Return what each distribution that comes with the library needs, the library's own needs among them."""
    needs: dict[str, set[str]] = {}
    done: set[tuple[str, frozenset[str]]] = set()
    asked: list[tuple[str, frozenset[str]]] = [(_NAME, extras)]
    while asked:
        each = asked.pop()
        if each in done:
            continue
        done.add(each)
        name, chosen = each
        found = needs.setdefault(name, set())
        for requirement in map(Requirement, distribution(name).requires or ()):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in chosen or {""}):
                needed = canonicalize_name(requirement.name)
                found.add(needed)
                asked.append((needed, frozenset(requirement.extras)))
    return needs


def _ref(name: str) -> str:
    return f"pkg:pypi/{name}@{quote(distribution(name).version, safe='')}"


def _component(name: str) -> dict[str, Any]:
    found: Distribution = distribution(name)
    metadata = found.metadata
    component = {
        "type": "library",
        "bom-ref": _ref(name),
        "name": metadata["Name"],
        "version": found.version,
        "purl": _ref(name),
        "licenses": _licences(metadata),
        "externalReferences": _addresses(metadata),
    }
    return {key: value for key, value in component.items() if value}


def _licences(metadata: PackageMetadata) -> list[dict[str, Any]]:
    if "License-Expression" in metadata:
        return [{"expression": metadata["License-Expression"]}]
    names = [each.removeprefix(_LICENCE) for each in metadata.get_all("Classifier", []) if each.startswith(_LICENCE)]
    if not names and "License" in metadata and len(metadata["License"]) < _NO_TEXT:
        names = [metadata["License"]]
    return [{"license": {"name": name}} for name in names]


def _addresses(metadata: PackageMetadata) -> list[dict[str, str]]:
    kinds = {"homepage": "website", "documentation": "documentation", "source": "vcs", "repository": "vcs"}
    found: list[dict[str, str]] = []
    for line in metadata.get_all("Project-URL", []):
        label, _, address = line.partition(", ")
        if label.lower() in kinds:
            found.append({"type": kinds[label.lower()], "url": address})
    return sorted(found, key=lambda each: (each["type"], each["url"]))


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(bill_of_materials(sys.argv[2:]), indent=2, ensure_ascii=False)
    target.write_text(f"{text}\n", encoding="utf-8")
    print(f"{target} is written.")
