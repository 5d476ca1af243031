"""Part of the build of the wheel: the stubs of the clients, which the repository does not hold."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, final

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

__all__ = ["Stubs"]


@final
class Stubs(BuildHookInterface[BuilderConfig]):
    """Puts into the wheel what tools/stubs.py writes."""

    _folder: TemporaryDirectory[str] | None = None

    # Any: hatchling's own word for what a hook may change.
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the stubs before the wheel is packed; an editable one shows the source as it is."""
        if version == "editable":
            return
        self._folder = TemporaryDirectory(prefix="cabinet-sdk-stubs-")
        root = Path(self.root)
        # The package of this tree, whatever else is installed, and not in this process, which may know another one.
        path = os.pathsep.join(filter(None, (str(root / "src"), os.environ.get("PYTHONPATH"))))
        done = subprocess.run(  # noqa: S603  # our own program
            [sys.executable, "-B", str(root / "tools" / "stubs.py"), self._folder.name],
            check=True,
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in done.stdout.splitlines():
            build_data["force_include"][str(Path(self._folder.name, line))] = line

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002  # the interface's
        """Remove what is packed now."""
        if self._folder is not None:
            self._folder.cleanup()
