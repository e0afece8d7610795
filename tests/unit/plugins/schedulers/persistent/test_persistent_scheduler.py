"""The file of last run times."""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from umbel import Umbel
from umbel.exceptions import ImproperlyConfigured
from umbel.spi import Scheduler


def open_scheduler(path: Path, **entries: Any) -> Scheduler:
    app = Umbel("beat", set_as_current=False)
    options = {
        "beat_schedule": {name: {"task": name, "schedule": every} for name, every in entries.items()},
        "schedule_filename": str(path),
    }
    return app.host.scheduler(app, "persistent", options)


def test_times_outlive_the_program(tmp_path: Path) -> None:
    """[A310]"""
    first = open_scheduler(tmp_path / "times", a=100, b=100)
    sent_at = time.time() - 50
    (entry,) = [entry for entry in first.entries() if entry.name == "a"]
    first.sent(entry, sent_at)
    first.close()
    second = open_scheduler(tmp_path / "times", a=100, c=100)
    by_name = {entry.name: entry for entry in second.entries()}
    assert sorted(by_name) == ["a", "c"]
    assert by_name["a"].last_run_at == dt.datetime.fromtimestamp(sent_at, dt.UTC)
    assert by_name["a"].total_run_count == 1
    assert [entry.name for entry in second.due(time.time() + 60)[0]] == ["a"]
    second.close()


def test_a_second_beat_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    """[A292]"""
    first = open_scheduler(tmp_path / "times", a=100)
    with pytest.raises(ImproperlyConfigured, match=r"another beat uses the schedule file .*times: exactly one may run"):
        open_scheduler(tmp_path / "times", a=100)
    first.close()
    open_scheduler(tmp_path / "times", a=100).close()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"entries": 5}', '{"entries": {"a": {}}}', "\x00\x01"])
def test_a_damaged_file_is_set_aside(content: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "times"
    path.write_text(content)
    scheduler = open_scheduler(path, a=100)
    assert list(scheduler.due(time.time())[0]) == []
    scheduler.close()
    assert "cannot be read" in caplog.text
    assert (tmp_path / "times.damaged").read_text() == content
    assert list(json.loads(path.read_text())["entries"]) == ["a"]


def test_a_time_in_the_future_does_not_stop_an_entry(tmp_path: Path) -> None:
    path = tmp_path / "times"
    later = (dt.datetime.now(dt.UTC) + dt.timedelta(days=3650)).isoformat()
    path.write_text(json.dumps({"entries": {"a": {"last_run_at": later, "total_run_count": 1}}}))
    scheduler = open_scheduler(path, a=100)
    assert [entry.name for entry in scheduler.due(time.time() + 101)[0]] == ["a"]
    scheduler.close()


def test_a_place_that_cannot_be_written_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="choose one with --schedule or beat_schedule_filename"):
        open_scheduler(tmp_path / "missing" / "times", a=100)


def test_the_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "times"
    scheduler = open_scheduler(path, a=100)
    before = os.stat(path).st_ino
    scheduler.sent(scheduler.entries()[0], time.time())
    scheduler.sync()
    assert os.stat(path).st_ino != before
    scheduler.close()
