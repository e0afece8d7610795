"""The pages that the code writes are as the code is now: hooks with their arguments, capability tables."""

from __future__ import annotations

import importlib.util
import inspect
import pathlib
from types import ModuleType

import pytest

from umbel import hookspecs

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "tools/reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "page", ["docs/reference/celery-names.md", "docs/reference/hooks.md", "docs/reference/plugins.md"]
)
def test_the_page_is_as_the_code_is(reference: ModuleType, page: str) -> None:
    assert (ROOT / page).read_text(encoding="utf-8") == reference.PAGES[page](), "run: python tools/reference.py"


def test_every_hook_has_a_heading_with_its_exact_arguments() -> None:
    headings = (ROOT / "docs/reference/hooks.md").read_text(encoding="utf-8").splitlines()
    missing = [
        heading
        for name, hook in vars(hookspecs).items()
        if name.startswith("umbel_")
        and (heading := f"### {name}({', '.join(inspect.signature(hook).parameters)})") not in headings
    ]
    assert missing == []


def test_every_hook_says_what_it_is_for() -> None:
    assert [name for name, hook in vars(hookspecs).items() if name.startswith("umbel_") and not hook.__doc__] == []
