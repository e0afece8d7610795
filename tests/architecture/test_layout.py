"""What stands where, and what it is called."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.architecture.conftest import House

ROOM_NAMES = {"util", "utils", "common", "helper", "helpers", "manager", "managers", "base", "misc"}


def test_a_kinds_folder_holds_only_packages_and_a_readme(house: House) -> None:
    found = [
        str(entry.relative_to(house.root))
        for folder in sorted((house.root / "plugins").iterdir())
        if folder.is_dir()
        for entry in folder.iterdir()
        if entry.name != "README.md"
        and not entry.name.startswith((".", "__"))  # caches of tools
        and not (entry.is_dir() and entry.name.startswith("umbel_") and (entry / "__init__.py").is_file())
    ]
    assert found == []


def test_a_plugins_name_says_its_kind(house: House, kind_folders: dict[str, str]) -> None:
    kinds = {folder: kind for kind, folder in kind_folders.items()}
    found = [
        f"plugins/{folder}/{package}"
        for package, (folder, _) in house.plugins.items()
        if folder not in kinds or not package.startswith(f"umbel_{kinds[folder]}_")
    ]
    assert found == []


def test_a_librarys_name_says_so(house: House) -> None:
    assert [package for package in house.libraries if not package.startswith("umbel_library_")] == []


def test_every_folder_has_an_entry_point_and_every_entry_point_a_folder(house: House) -> None:
    folders = {(folder, package) for package, (folder, _) in house.plugins.items()}
    targets = {(folder, target.partition(".")[0]) for folder, _, target in house.entry_points()}
    assert sorted(targets - folders) == [], "entry points without a folder"
    assert sorted(folders - targets) == [], "folders without an entry point"


def test_an_entry_point_names_a_module(house: House) -> None:
    assert [target for _, _, target in house.entry_points() if not re.fullmatch(r"umbel_\w+(\.\w+)?", target)] == []


def test_the_lists_of_roots_agree(house: House) -> None:
    tool = house.pyproject["tool"]
    roots = ["core", *(f"plugins/{folder.name}" for folder in (house.root / "plugins").iterdir() if folder.is_dir())]
    lists = {
        "tool.hatch.build.dev-mode-dirs": tool["hatch"]["build"]["dev-mode-dirs"],
        "tool.hatch.build.targets.wheel.sources": tool["hatch"]["build"]["targets"]["wheel"]["sources"],
        "tool.mypy.mypy_path": tool["mypy"]["mypy_path"],
        "tool.pyright.extraPaths": tool["pyright"]["extraPaths"],
        "tool.ruff.src": tool["ruff"]["src"],
    }
    assert {name: sorted(paths) for name, paths in lists.items()} == dict.fromkeys(lists, sorted(roots))


def test_each_package_is_typed(house: House) -> None:
    parts = {**house.plugins, **house.libraries}
    folders = [house.root / "plugins" / folder / name for name, (folder, _) in parts.items()]
    packages = [house.root / "core/umbel", *folders]
    assert [str(package) for package in packages if not (package / "py.typed").is_file()] == []


def test_no_room_is_called_after_nothing(house: House) -> None:
    found = [name for name in house.sources if set(name.split(".")) & ROOM_NAMES]
    assert found == []


def test_tests_are_no_packages(house: House) -> None:
    """Same-named test files live beside each other only in the import mode that needs none (pyproject)."""
    assert sorted((house.root / "tests").rglob("__init__.py")) == []


def test_every_file_begins_with_the_annotations_import(house: House) -> None:
    found = [
        name
        for name, path in house.sources.items()
        if house.has_code(name) and "from __future__ import annotations" not in path.read_text(encoding="utf-8")
    ]
    assert found == []


def test_each_kind_has_a_readme(house: House) -> None:
    found = [
        folder.name
        for folder in sorted((house.root / "plugins").iterdir())
        if folder.is_dir() and not (folder / "README.md").is_file()
    ]
    assert found == []
