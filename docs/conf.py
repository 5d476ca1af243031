"""How Sphinx builds the documentation: ``make docs``."""

from __future__ import annotations

import sys
from pathlib import Path

from cabinet_sdk import __version__

# The extension stands beside this file, and the samples of what travels in `tests`.
sys.path.insert(0, str(Path(__file__).parents[1]))

project = "cabinet_sdk"
author = "The cabinet-sdk contributors"
project_copyright = f"{author}, Apache-2.0"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "docs.extension"]
exclude_patterns = ["extension", "static"]

# A name in single backticks is one of ours wherever it can be; the extension says which are not.
default_role = "py:obj"
nitpicky = True
# Headers of HTTP that docstrings speak of.
nitpick_ignore = [
    ("py:obj", name) for name in ("Allow", "Authorization", "Date", "Host", "If-Match", "Link", "Location", "Range")
]

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
add_module_names = False
toc_object_entries_show_parents = "hide"

myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]

html_theme = "furo"
html_title = f"cabinet_sdk {version}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_favicon = "static/icon.svg"
html_search_language = "en-ru"
html_show_sourcelink = False
html_copy_source = False
# The same sources give the same bytes.
html_last_updated_fmt = None
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
html_theme_options = {"navigation_with_keys": True}
