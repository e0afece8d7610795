from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from umbel import signals
from umbel.log import ColorFormatter, Logging, LogStream, TaskFormatter, get_task_logger, parse_level
from umbel.settings import Configuration


@pytest.fixture
def loggers() -> Iterator[None]:
    """Put every logger that is set up here back as it was."""
    touched = [logging.getLogger(name) for name in ("", "umbel", "umbel.task", "umbel.redirected")]
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in touched]
    yield
    for logger, (handlers, level, propagate) in zip(touched, before, strict=True):
        for handler in logger.handlers:
            if handler not in handlers and isinstance(handler, logging.FileHandler):
                handler.close()
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def app(**settings: Any) -> Any:
    conf = Configuration()
    conf.update(settings)
    return cast("Any", SimpleNamespace(conf=conf))


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


@pytest.mark.parametrize("level", ["info", "INFO", "20", 20])
def test_levels_by_name_and_number(level: str | int) -> None:
    assert parse_level(level) == logging.INFO


def test_an_unknown_level_names_the_known() -> None:
    with pytest.raises(ValueError, match="got 'LOUD'; known are DEBUG, INFO"):
        parse_level("LOUD")


@pytest.mark.parametrize("message", ["é", b"\xff\xfe raw", Broken(), 42, None, "100% %s"])
@pytest.mark.parametrize("color", [True, False])
def test_any_message_can_be_formatted(message: object, color: bool) -> None:
    """[B1105] [B1106] [B1107]"""
    record = logging.LogRecord("x", logging.ERROR, "f", 1, message, None, None)
    text = ColorFormatter("%(levelname)s %(message)s", use_color=color).format(record)
    assert "ERROR" in text
    assert text.startswith("\x1b[") == color


def test_arguments_that_do_not_fit_do_not_raise() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "%d", ("text",), None)
    assert "unrepresentable" in ColorFormatter("%(message)s").format(record)
    record = logging.LogRecord("x", logging.INFO, "f", 1, "%s", (Broken(),), None)
    assert "RuntimeError" in ColorFormatter("%(message)s").format(record)


def test_outside_of_tasks_the_task_is_unknown() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "hello", None, None)
    assert TaskFormatter("%(task_name)s[%(task_id)s]: %(message)s").format(record) == "???[???]: hello"


def test_task_loggers_hang_below_the_tasks_logger() -> None:
    assert get_task_logger("some.tasks.module.d").parent is logging.getLogger("umbel.task")
    with pytest.raises(RuntimeError, match="Umbel's own"):
        get_task_logger("umbel")


def test_what_is_printed_becomes_lines(caplog: pytest.LogCaptureFixture) -> None:
    """[B1104] text, unicode, lone surrogates and bytes"""
    stream = LogStream(logging.getLogger("umbel.redirected"), logging.WARNING)
    with caplog.at_level(logging.WARNING):
        assert stream.write("hällo\n") == 6
        stream.write("\n")
        stream.write("\udcff lone\n")
        stream.buffer.write(b"\xff\x00bytes\n")
        stream.writelines(["a\nb\n", "c"])
        stream.flush()
    assert caplog.messages == ["hällo", "\\udcff lone", "\\xff\x00bytes", "a\nb", "c"]
    assert not stream.isatty()
    with pytest.raises(OSError, match="no file descriptor"):
        stream.fileno()
    stream.close()
    assert stream.write("x") == 0


def test_what_is_printed_in_pieces_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    stream: Any = LogStream(logging.getLogger("umbel.redirected"), logging.WARNING)
    with caplog.at_level(logging.WARNING):
        print("a", 1, file=stream)
        print("of the", end=" ", file=stream)
        other = threading.Thread(target=print, args=("another", "thread"), kwargs={"file": stream})
        other.start()
        other.join()
        print("main", end="", file=stream)
        assert caplog.messages == ["a 1", "another thread"]
        stream.close()
        assert caplog.messages[2:] == ["of the main"]


def test_what_never_ends_is_logged_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    stream = LogStream(logging.getLogger("umbel.redirected"), logging.WARNING)
    with caplog.at_level(logging.WARNING):
        for _ in range(100):
            stream.write("." * 100)
    assert [len(message) for message in caplog.messages] == [8200]


def test_a_logger_that_prints_does_not_loop() -> None:
    """[B1109]"""
    logger = logging.getLogger("umbel.test.loop")
    logger.propagate = False
    stream = LogStream(logger, logging.WARNING)
    seen: list[str] = []

    class Printing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())
            stream.write("again\n")

    handler = Printing()
    logger.addHandler(handler)
    try:
        stream.write("once\n")
    finally:
        logger.removeHandler(handler)
    assert seen == ["once"]


@pytest.mark.usefixtures("loggers")
def test_the_log_file_is_opened_anew_when_it_was_moved(tmp_path: Path) -> None:
    """[B1123]"""
    path = tmp_path / "w.log"
    log = Logging(app(), logging.INFO, str(path))
    log.setup(redirect_stdouts=False)
    logging.getLogger("umbel.x").info("one \udcff")
    path.rename(tmp_path / "w.log.1")
    logging.getLogger("umbel.x").info("two")
    assert "one \\udcff" in (tmp_path / "w.log.1").read_text()
    assert "two" in path.read_text()
    log.reopen(str(tmp_path / "other.log"))
    logging.getLogger("umbel.x").info("three")
    assert "three" in (tmp_path / "other.log").read_text()


@pytest.mark.usefixtures("loggers")
def test_standard_output_is_redirected_and_given_back(tmp_path: Path) -> None:
    before = sys.stdout
    path = tmp_path / "w.log"
    log = Logging(app(), logging.INFO, str(path))
    log.setup()
    try:
        print("from a task: é")
    finally:
        log.restore_stdouts()
    assert sys.stdout is before
    assert "WARNING" in path.read_text()
    assert "from a task: é" in path.read_text()


@pytest.mark.usefixtures("loggers")
def test_the_users_own_handlers_stay_when_the_root_is_not_hijacked(tmp_path: Path) -> None:
    stream = io.StringIO()
    mine = logging.StreamHandler(stream)
    root = logging.getLogger()
    root.addHandler(mine)
    Logging(app(worker_hijack_root_logger=False), logging.INFO, str(tmp_path / "w.log")).setup(redirect_stdouts=False)
    assert mine in root.handlers
    logging.getLogger("umbel.x").info("ours")
    assert "ours" not in stream.getvalue()
    assert (tmp_path / "w.log").read_text().count("ours") == 1


@pytest.mark.usefixtures("loggers")
def test_a_receiver_takes_logging_over(tmp_path: Path) -> None:
    told: dict[str, Any] = {}

    def receiver(**named: Any) -> None:
        told.update(named)

    signals.setup_logging.connect(receiver)
    try:
        before = logging.getLogger().handlers[:]
        assert not Logging(app(), logging.INFO, str(tmp_path / "no.log")).setup()
        assert logging.getLogger().handlers == before
    finally:
        signals.setup_logging.disconnect(receiver)
    assert told["loglevel"] == logging.INFO
    assert not (tmp_path / "no.log").exists()


def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    """[B1108] an object without isatty() in the place of standard error is tolerated"""
    monkeypatch.setattr(sys, "stderr", object())
    assert not Logging(app(), logging.INFO).wants_color()
    assert Logging(app(worker_log_color=True), logging.INFO).wants_color()
    assert not Logging(app(worker_log_color=True), logging.INFO, color=False).wants_color()
    assert not Logging(app(worker_log_color=True), logging.INFO, logfile="x").wants_color()
