"""The fragments of the changelog are named so that a release can collect them."""

from __future__ import annotations

import pathlib
import re

FRAGMENTS = pathlib.Path(__file__).resolve().parents[2] / "docs/changelog.d"
NAME = re.compile(r"\d+\.[a-z0-9-]+\.(breaking|feature|bugfix|doc|removal)\.md")


def test_fragments_are_named_issue_part_kind() -> None:
    assert [
        path.name for path in FRAGMENTS.iterdir() if path.name != "README.md" and not NAME.fullmatch(path.name)
    ] == []


def test_fragments_are_sentences() -> None:
    found = [
        path.name
        for path in FRAGMENTS.iterdir()
        if path.name != "README.md" and not path.read_text(encoding="utf-8").strip().endswith((".", "```"))
    ]
    assert found == []
