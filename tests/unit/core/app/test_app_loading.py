"""What may stand after ``-A`` (C006), and discovery of task modules."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from umbel import Umbel
from umbel.app_loading import find_app
from umbel.exceptions import ImproperlyConfigured

APP = "from umbel import Umbel\n{name} = Umbel({main!r}, broker='memory://', set_as_current=False)\n"
_numbers = itertools.count()

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write modules under a package name of this test's own, and forget them afterwards."""
    root = f"proj_{next(_numbers)}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    sys.path_importer_cache.clear()

    def make(**modules: str) -> str:
        package = tmp_path / root
        package.mkdir(exist_ok=True)
        (package / "__init__.py").touch()
        for name, source in modules.items():
            (package / f"{name}.py").write_text(source)
        return root

    yield make
    for name in [name for name in sys.modules if name.partition(".")[0] == root]:
        del sys.modules[name]


def app(name: str = "app", main: str = "m") -> str:
    return APP.format(name=name, main=main)


@pytest.mark.parametrize("attribute", ["app", "umbel", "celery", "whatever"])
@pytest.mark.parametrize("module", ["__init__", "umbel", "celery"])
def test_a_package_is_searched_for_its_application(write: Write, tmp_path: Path, module: str, attribute: str) -> None:
    """[C006]"""
    root = write(**{module: app(attribute, f"{module}.{attribute}")})
    assert find_app(root, str(tmp_path)).main == f"{module}.{attribute}"


def test_the_usual_name_wins_over_others(write: Write, tmp_path: Path) -> None:
    root = write(__init__=app("other", "1") + app("app", "2"), umbel=app("app", "3"))
    assert find_app(root, str(tmp_path)).main == "2"


@pytest.mark.parametrize("spec", ["{0}.tasks:queue", "{0}.tasks.queue", "{0}.tasks", "{0}:tasks.queue", "{0}.tasks:"])
def test_modules_and_attributes_by_name(write: Write, tmp_path: Path, spec: str) -> None:
    """[C006]"""
    root = write(tasks=app("queue"), __init__="from . import tasks\n" if spec == "{0}:tasks.queue" else "")
    assert isinstance(find_app(spec.format(root), str(tmp_path)), Umbel)


def test_a_missing_module_is_named_with_the_nearest(write: Write, tmp_path: Path) -> None:
    root = write(tasks=app())
    with pytest.raises(ImproperlyConfigured, match=rf"no module named '{root}s'.*did you mean '{root}'"):
        find_app(f"{root}s:app", str(tmp_path))
    with pytest.raises(ImproperlyConfigured, match="no module named"):
        find_app(f"{root}.nothing:app", str(tmp_path))


def test_a_missing_attribute_is_named_with_the_nearest(write: Write, tmp_path: Path) -> None:
    root = write(tasks=app("queue"))
    with pytest.raises(ImproperlyConfigured, match="has no attribute 'queu'; did you mean 'queue'"):
        find_app(f"{root}.tasks:queu", str(tmp_path))
    write(tasks2=app() + "text = 'm'\n")
    with pytest.raises(ImproperlyConfigured, match=r"expected an application \(Umbel\(...\)\), got 'm'"):
        find_app(f"{root}.tasks2:text", str(tmp_path))


def test_a_module_without_application_says_what_is_expected(write: Write, tmp_path: Path) -> None:
    root = write(tasks="x = 1\n")
    with pytest.raises(ImproperlyConfigured, match="has no application: expected something like app = Umbel"):
        find_app(f"{root}.tasks", str(tmp_path))


@pytest.mark.parametrize(
    ("source", "error"), [("import no_such_module_here\n", ModuleNotFoundError), ("1 / 0\n", ZeroDivisionError)]
)
def test_errors_inside_the_users_module_get_out(
    write: Write, tmp_path: Path, source: str, error: type[Exception]
) -> None:
    """[B1121] [B1122]"""
    root = write(tasks=source + app())
    with pytest.raises(error):
        find_app(f"{root}.tasks", str(tmp_path))


def test_without_a_name_the_usual_modules_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from umbel.current import current_app, has_current_app, set_current

    before = current_app() if has_current_app() else None
    monkeypatch.setattr(sys, "path", list(sys.path))
    set_current(None)
    try:
        with pytest.raises(ImproperlyConfigured, match="no application named"):
            find_app(None, str(tmp_path))
        (tmp_path / "umbelapp.py").write_text(app(main="found"))
        sys.path_importer_cache.clear()
        assert find_app(None, str(tmp_path)).main == "found"
        current = Umbel("current", broker="memory://")
        assert find_app(None, str(tmp_path)) is current
    finally:
        set_current(before)
        sys.modules.pop("umbelapp", None)


def test_autodiscovery_imports_what_is_there(write: Write, tmp_path: Path) -> None:
    """[2.9 autodiscover_tasks] [B1122]"""
    sys.path.insert(0, str(tmp_path))
    task = "from umbel import shared_task\n@shared_task(name='disc.{0}')\ndef f(): pass\n"
    root = write(tasks=task.format("a"), jobs=task.format("b"), broken="import no_such_module_here\n")
    found = Umbel("d", broker="memory://", set_as_current=False)
    found.autodiscover_tasks([root])
    found.autodiscover_tasks(lambda: [root], related_name="jobs")
    found.autodiscover_tasks([root], related_name="absent")
    assert f"{root}.tasks" not in sys.modules
    found.import_modules()
    found.finalize()
    assert {"disc.a", "disc.b"} <= set(found.tasks)
    with pytest.raises(ModuleNotFoundError, match="no_such_module_here"):
        found.autodiscover_tasks([root], related_name="broken", force=True)
    with pytest.raises(ImproperlyConfigured, match="no module named"):
        found.autodiscover_tasks(["no_such_package_here"], force=True)


def test_include_and_imports_are_imported(write: Write, tmp_path: Path) -> None:
    """[C001] [A202]"""
    sys.path.insert(0, str(tmp_path))
    root = write(one="", two="")
    found = Umbel("i", broker="memory://", include=[f"{root}.one"], imports=(f"{root}.two",), set_as_current=False)
    found.import_modules()
    assert f"{root}.one" in sys.modules
    assert f"{root}.two" in sys.modules
    found.conf.include = (f"{root}.three",)
    with pytest.raises(ImproperlyConfigured, match="no module named"):
        found.import_modules()
