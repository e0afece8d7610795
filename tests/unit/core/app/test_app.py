"""The application object: configuration, defaults, life, and what importing it costs."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from umbel import Umbel, current_app, use_app
from umbel.exceptions import ImproperlyConfigured


def make(**options: Any) -> Umbel:
    return Umbel("t", set_as_current=False, **options)


def run(code: str, *flags: str) -> str:
    done = subprocess.run([sys.executable, *flags, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


def test_importing_umbel_loads_no_driver_and_no_machinery() -> None:
    """What is not chosen cannot break or slow anything."""
    code = "import sys, umbel; umbel.Umbel('x'); print(' '.join(sys.modules))"
    loaded = {name.partition(".")[0] for name in run(code).split()}
    heavy = {
        "attr",
        "attrs",
        "pluggy",
        "stevedore",
        "asyncio",
        "click",
        "pytest",
        "orjson",
        "billiard",
        "kombu",
        "logging",
    }
    assert not loaded & heavy
    assert not [name for name in loaded if name.startswith("umbel_")]


def test_models_are_there_when_they_are_asked_for() -> None:
    import umbel

    assert umbel.Queue(name="q").exchange == umbel.Exchange(name="q")
    with pytest.raises(AttributeError, match="no attribute 'Quee'"):
        _ = umbel.Quee
    assert all(hasattr(umbel, name) for name in umbel.__all__)


@pytest.mark.parametrize(
    ("options", "broker", "backend"),
    [
        ({}, "sqlite://", "sqlite://"),
        ({"broker": "memory://"}, "memory://", "disabled://"),
        ({"broker": "memory://", "backend": "memory://"}, "memory://", "memory://"),
        ({"backend": "memory"}, "sqlite://", "memory://"),
        ({"broker": ["memory://a", "memory://b"]}, "memory://a", "disabled://"),
        ({"broker_write_url": "memory://w"}, "memory://w", "disabled://"),
    ],
)
def test_the_default_broker_is_embedded(options: dict[str, Any], broker: str, backend: str) -> None:
    """[C009]: results are off when a broker is configured and no backend is."""
    app = make(**options)
    assert (app.broker_url, app.backend_url) == (broker, backend)


def test_failover_takes_the_first_broker_that_answers() -> None:
    app = make(broker="filesystem:///proc/nowhere/at/all;memory://second")
    transport = app.open_transport()
    try:
        assert type(transport).__name__ == "MemoryTransport"
    finally:
        transport.close()


def test_settings_come_as_arguments_objects_and_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """[C012] [B405] [B406] [B407]"""
    app = make(task_default_queue="q1")
    assert app.conf.task_default_queue == "q1"
    (tmp_path / "umbel_conf_module.py").write_text("task_default_queue = 'q2'\nresult_expires = 60\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("MY_CONFIG", "umbel_conf_module")
    assert app.config_from_envvar("MY_CONFIG")
    assert app.conf.result_expires == 60
    with pytest.raises(ImproperlyConfigured, match="NO_SUCH_VARIABLE"):
        app.config_from_envvar("NO_SUCH_VARIABLE")
    assert not app.config_from_envvar("NO_SUCH_VARIABLE", silent=True)
    assert make(config_source={"result_expires": 5}).conf.result_expires == 5
    app.add_defaults({"task_default_priority": 3, "result_expires": 1})
    assert (app.conf.task_default_priority, app.conf.result_expires) == (3, 60)


def test_unknown_settings_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(ImproperlyConfigured, match="task_acks_late"):
        make(task_ack_late=True)


def test_the_last_application_made_is_current() -> None:
    """[B403]"""
    with use_app(make()) as inner:
        assert current_app() is inner
    code = "from umbel import *; a = Umbel('a'); b = Umbel('b'); Umbel('c', set_as_current=False); print(current_app().main)"
    assert run(code) == "b"


def test_hooks_of_configuration_and_finalizing_run_once() -> None:
    """[2.9 on_configure, on_after_configure, on_after_finalize, on_after_fork]"""
    app = make(broker="memory://")
    seen: list[str] = []

    def note(signal: Any, sender: Any, **_: Any) -> None:
        assert sender is app
        seen.append(signal.name)

    for signal in (app.on_configure, app.on_after_configure, app.on_after_finalize, app.on_after_fork):
        signal.connect(note)
    app.finalize()
    app.finalize()
    app.after_fork()
    assert seen == ["app.on_configure", "app.on_after_configure", "app.on_after_finalize", "app.on_after_fork"]
    assert {"celery.map", "celery.starmap"} <= set(app.tasks)
    # Shared tasks of modules that were imported before may be there too; ours are built in.
    assert not [name for name in app.tasks.regular() if name.startswith("celery.")]


def test_now_is_in_the_applications_zone() -> None:
    app = make(timezone="Asia/Tokyo")
    assert app.now().utcoffset() == dt.timedelta(hours=9)
    assert app.naive_zone is dt.UTC


def test_a_backend_is_opened_once_and_again_after_close() -> None:
    with make(broker="memory://", backend="memory://") as app:
        backend = app.backend
        assert app.backend is backend
        assert app.backend_for("memory://other") is not backend
    assert app.backend is not backend
    app.close()


def test_tasks_may_have_a_backend_of_their_own(umbel_app: Umbel) -> None:
    """[A150] [B439]"""

    @umbel_app.task(backend="memory://of-its-own")
    def own() -> None:
        return None

    assert own.backend is umbel_app.backend_for("memory://of-its-own")
    assert own.delay().backend is own.backend
    assert own.AsyncResult("i").backend is own.backend


def test_custom_task_classes_for_all_tasks() -> None:
    from umbel import Task

    class Loud(Task[..., Any]):
        abstract = True

        def shout(self) -> str:
            return self.name.upper()

    app = make(task_cls=Loud)

    @app.task(name="f")
    def f() -> None:
        return None

    assert f.shout() == "F"  # type: ignore[attr-defined]


def test_start_runs_the_program_with_this_application(tmp_path: Path) -> None:
    """[C001] [B417]"""
    (tmp_path / "prog.py").write_text(
        "from umbel import Umbel\n"
        "app = Umbel('prog', broker='memory://', result_backend='memory://prog')\n"
        "if __name__ == '__main__':\n    app.start(['config', '--json'])\n"
    )
    done = subprocess.run(
        [sys.executable, "prog.py"], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    assert "memory://prog" in done.stdout, done.stderr
    assert json.dumps("memory://prog") in done.stdout
