"""Write docs/openapi.json anew, after a change to the contract: ``python tools/openapi.py``."""

from __future__ import annotations

import json
from pathlib import Path

from cabinet_sdk._core.openapi import document
from cabinet_sdk.contract import CONTRACT

__all__ = ["SNAPSHOT", "snapshot"]

SNAPSHOT = Path(__file__).parents[1] / "docs" / "openapi.json"


def snapshot() -> str:
    """Return what the file must hold."""
    return json.dumps(document(CONTRACT), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SNAPSHOT.write_text(snapshot(), encoding="utf-8")
    print(f"{SNAPSHOT} is current.")
