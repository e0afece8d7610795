"""Sphinx builds the manual: `make docs`."""

from __future__ import annotations

import tomllib
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "Umbel"
author = "The Umbel authors"
copyright = f"2026, {author}"
version = release = _PROJECT["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
exclude_patterns = ["_build", "changelog.d"]
# Every reference to something of ours must lead somewhere; the standard library's names need not.
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!umbel).*")]
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}

html_theme = "furo"
html_title = f"Umbel {release}"
html_show_sourcelink = False
