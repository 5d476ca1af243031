"""
What Sphinx cannot do by itself: the reference of operations from the contract table, and names that find their home.

Nothing that is made here is kept: each build reads the rows, the classes and the samples anew.
"""

from __future__ import annotations

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from docs.extension import fields, names, operations, outside, search

__all__ = ["setup"]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Tell Sphinx of the parts."""
    for part in (fields, names, operations, outside, search):
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
