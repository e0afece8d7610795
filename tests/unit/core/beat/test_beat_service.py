"""What beat sends, and what it does when it cannot."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from umbel import Umbel
from umbel.beat import BeatLazyFunc, Service
from umbel.exceptions import ImproperlyConfigured, OperationalError
from umbel.signals import beat_embedded_init, beat_init


class Recording(Umbel):
    """An application that keeps what it is asked to send."""

    def __init__(self, **settings: Any) -> None:
        super().__init__("beat", broker="memory://beat", set_as_current=False, **settings)
        self.sent: list[tuple[str, list[Any], dict[str, Any], dict[str, Any]]] = []
        self.failures: list[Exception] = []

    def send_task(self, name: str, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append((name, list(args or ()), dict(kwargs or {}), options))
        return None


def service_of(app: Umbel, tmp_path: Path, name: str = "persistent") -> Service:
    return Service(app, scheduler=name, schedule_filename=str(tmp_path / "times"))


def make_due(service: Service) -> None:
    for entry in service.scheduler.entries():
        entry.last_run_at = dt.datetime.now(dt.UTC) - dt.timedelta(days=2)


@pytest.fixture(params=["persistent", "memory"])
def scheduler(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_what_is_due_is_sent_with_its_arguments_and_options(tmp_path: Path, scheduler: str) -> None:
    """[A295] [A297] [A298] [A299]"""
    entry = {"task": "t.add", "schedule": 60, "args": (1,), "kwargs": {"y": 2}, "options": {"queue": "slow"}}
    app = Recording(beat_schedule={"a": entry, "b": {"task": "t.never", "schedule": dt.timedelta(days=9)}})
    service = service_of(app, tmp_path, scheduler)
    assert 0 < service.tick() <= 60
    assert app.sent == []
    make_due(service)
    assert service.tick() == 0.0
    assert app.sent == [("t.add", [1], {"y": 2}, {"queue": "slow"})]
    assert 0 < service.tick() <= 60
    assert len(app.sent) == 1
    service.scheduler.close()


def test_an_entry_that_cannot_be_sent_stays_due(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = Recording(beat_schedule={"a": {"task": "t.add", "schedule": 60}})
    app.failures = [OperationalError("no broker"), OperationalError("no broker")]
    service = service_of(app, tmp_path)
    make_due(service)
    assert (service.tick(), service.tick()) == (1.0, 2.0)
    assert service.tick() == 0.0
    assert len(app.sent) == 1
    assert "a could not be sent and will be tried again: no broker" in caplog.text
    service.scheduler.close()


def test_an_entry_that_is_wrong_does_not_stop_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    entries = {name: {"task": f"t.{name}", "schedule": 60} for name in ("bad", "good")}
    app = Recording(beat_schedule=entries)
    app.failures = [TypeError("no such argument")]
    service = service_of(app, tmp_path)
    make_due(service)
    service.tick()
    assert [name for name, *_ in app.sent] == ["t.good"]
    assert "bad cannot be sent" in caplog.text
    assert service.tick() > 0
    service.scheduler.close()


def test_lazy_arguments_are_made_at_each_sending(tmp_path: Path) -> None:
    made = iter(range(10))
    lazy = BeatLazyFunc(lambda step: next(made) * step, 10)
    entry = {"task": "t", "schedule": 60, "args": (lazy, "x"), "kwargs": {"at": BeatLazyFunc(str, 5)}}
    app = Recording(beat_schedule={"a": entry})
    service = service_of(app, tmp_path)
    for _ in range(2):
        make_due(service)
        service.tick()
    assert [(args, kwargs) for _, args, kwargs, _ in app.sent] == [([0, "x"], {"at": "5"}), ([10, "x"], {"at": "5"})]
    service.scheduler.close()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"schedule": 5}, "entry 'a': expected 'task', got none"),
        ({"task": "t"}, "entry 'a': expected 'schedule', got none"),
        ({"task": "t", "schedule": 5, "arg": (1,)}, "unknown field 'arg'; did you mean 'args'"),
        ({"task": "t", "schedule": -5}, "entry 'a': expected an interval"),
        ({"task": "t", "schedule": "daily"}, "expected the schedule to be seconds, a timedelta, a crontab or"),
        ("t", "expected a dict such as"),
    ],
)
def test_a_wrong_entry_is_refused_by_its_name(entry: Any, message: str, tmp_path: Path, scheduler: str) -> None:
    service = service_of(Recording(beat_schedule={"a": entry}), tmp_path, scheduler)
    with pytest.raises(ImproperlyConfigured, match=message):
        service.scheduler  # noqa: B018 - made on first use


def test_the_loop_tells_of_itself_and_ends_when_it_is_asked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """[A472] [A473]"""
    told: list[str] = []
    started = threading.Event()

    def on_init(sender: Any, **_: Any) -> None:
        told.append("init")

    def on_embedded(sender: Any, **_: Any) -> None:
        told.append("embedded")
        started.set()

    beat_init.connect(on_init)
    beat_embedded_init.connect(on_embedded)
    try:
        service = service_of(Recording(), tmp_path)
        with caplog.at_level(logging.INFO):
            thread = threading.Thread(target=service.start, kwargs={"embedded": True})
            thread.start()
            assert started.wait(10)
            service.stop(wait=True)
            thread.join(10)
    finally:
        beat_init.disconnect(on_init)
        beat_embedded_init.disconnect(on_embedded)
    assert told == ["init", "embedded"]
    assert "beat: stopped" in caplog.text
