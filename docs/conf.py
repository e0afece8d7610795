"""Sphinx builds the manual: `make docs`."""

from __future__ import annotations

import tomllib
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "Umbel"
author = "The Umbel authors"
copyright = f"2026, {author}"  # noqa: A001 -- Sphinx's name for it
version = release = _PROJECT["version"]

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
exclude_patterns = ["_build", "changelog.d"]
nitpicky = True

html_theme = "furo"
html_title = f"Umbel {release}"
html_show_sourcelink = False
