"""
Pages of the repository that the site shows too: links to them lead to the page of the site.

In the repository they lie above the folder of the documentation, which is where a link must lead for whoever reads the
files; Sphinx knows nothing above that folder.
"""

from __future__ import annotations

import re

from sphinx.application import Sphinx

__all__ = ["setup"]

# Each has a page of its name in small letters, which includes it.
_LINK = re.compile(r"\]\((?:\.\./)+(?P<name>CHANGELOG|SECURITY)\.md")


def _rewrite(_app: Sphinx, _page: str, content: list[str]) -> None:
    content[0] = _LINK.sub(lambda link: f"](/{link['name'].lower()}.md", content[0])


def setup(app: Sphinx) -> None:
    """Have the source of pages rewritten before it is read."""
    app.connect("source-read", _rewrite)
