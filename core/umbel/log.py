"""Logging: how a worker's log is set up, and the loggers that tasks use.

``get_task_logger(__name__)`` gives a logger whose lines carry the running task's name and id. The worker calls
:func:`setup_logging` once; a receiver of the signal ``setup_logging`` takes the whole matter over.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
import threading
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any, Final, TextIO

from umbel import signals
from umbel.context import top_frame
from umbel.suggestions import suggest

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = [
    "LEVELS",
    "ColorFormatter",
    "LogStream",
    "Logging",
    "TaskFormatter",
    "get_logger",
    "get_task_logger",
    "parse_level",
    "setup_logging",
]

#: The names that ``--loglevel`` takes (B675).
LEVELS: Final[dict[str, int]] = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARNING": logging.WARNING,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
    "CRITICAL": logging.CRITICAL,
    "FATAL": logging.CRITICAL,
}

_COLORS: Final = {logging.DEBUG: "34", logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "35"}
_TASK_LOGGER: Final = "umbel.task"


def parse_level(level: str | int) -> int:
    """Return a log level by its name, in any case, or by its number. Raises ``ValueError`` with the known names."""
    if isinstance(level, int):
        return level
    if level.isdigit():
        return int(level)
    try:
        return LEVELS[level.upper()]
    except KeyError:
        nearest = suggest(level.upper(), LEVELS)
        raise ValueError(f"expected a log level, got {level!r}{nearest}; known are {', '.join(LEVELS)}") from None


def get_logger(name: str) -> logging.Logger:
    """Return the logger *name*, below Umbel's own when it stands alone."""
    return logging.getLogger(name)


def get_task_logger(name: str) -> logging.Logger:
    """Return the logger of a module of tasks: its lines carry the name and id of the task that runs (C015)."""
    if name in {"umbel", _TASK_LOGGER}:
        raise RuntimeError(f"logger name {name!r} is Umbel's own; pass __name__")
    logger = logging.getLogger(name)
    if logger.parent is logging.root:
        logger.parent = logging.getLogger(_TASK_LOGGER)
    return logger


# -- formats ----------------------------------------------------------------------------------------------------------


class ColorFormatter(logging.Formatter):
    """Colours a line by its level; a message that cannot be turned into text becomes one that says so [B1105] [B1106]."""

    def __init__(self, fmt: str, datefmt: str | None = None, use_color: bool = False) -> None:
        super().__init__(fmt, datefmt)
        self.use_color = use_color

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. Never raises."""
        if isinstance(record.msg, bytes):
            record.msg = record.msg.decode("utf-8", "backslashreplace")
        try:
            text = super().format(record)
        except Exception as error:
            text = self._substitute(record, error)
        color = _COLORS.get(record.levelno) if self.use_color else None
        return text if color is None else f"\x1b[1;{color}m{text}\x1b[0m"

    def _substitute(self, record: logging.LogRecord, error: Exception) -> str:
        """Return a line for a record whose message or arguments cannot be shown."""
        kept = (record.msg, record.args, record.exc_info)
        kind = type(record.msg).__name__
        record.msg, record.args = (
            f"<unrepresentable log message of {record.name} ({kind}): {type(error).__name__}>",
            None,
        )
        record.exc_info = None
        try:
            return super().format(record)
        finally:
            record.msg, record.args, record.exc_info = kept


class TaskFormatter(ColorFormatter):
    """Adds ``task_name`` and ``task_id`` of the running task to a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; outside of tasks name and id are ``???``."""
        frame = top_frame()
        if frame is not None:
            record.__dict__.update(task_id=frame.request.id, task_name=frame.task.name)
        else:
            record.__dict__.setdefault("task_name", "???")
            record.__dict__.setdefault("task_id", "???")
        return super().format(record)


# -- redirection of standard output -----------------------------------------------------------------------------------


#: What is written without line ends is logged at this length, in characters.
_LONGEST_UNENDED = 8192


class _OfThread(threading.local):
    """What a :class:`LogStream` keeps for each thread: ``print(a, b)`` writes its pieces one by one."""

    is_logging = False
    unended = ""


class LogStream:
    """Stands in for ``sys.stdout`` and ``sys.stderr``: what is written becomes lines of a log.

    Takes text and bytes of any kind [B1104]; a logger that itself writes here does not loop [B1109].
    """

    encoding = "utf-8"
    errors = "backslashreplace"
    mode = "w"
    name = None
    newlines = None
    closed = False

    def __init__(self, logger: logging.Logger, level: int) -> None:
        self.logger = logger
        self.level = level
        self._own = _OfThread()

    def write(self, data: str | bytes) -> int:
        """Log the lines that *data* ends, and return its length; what has no line end yet waits for it.

        Lines that come together are one record. An empty line is none.
        """
        own = self._own
        if own.is_logging or self.closed:
            return 0
        text = data.decode("utf-8", "backslashreplace") if isinstance(data, bytes | bytearray) else str(data)
        text = own.unended + text
        lines, _, own.unended = text.rpartition("\n")
        if len(own.unended) > _LONGEST_UNENDED:
            lines, own.unended = text, ""
        self._log(lines)
        return len(data)

    def _log(self, text: str) -> None:
        line = text.rstrip("\r\n")
        if line.strip():
            self._own.is_logging = True
            try:
                self.logger.log(self.level, "%s", line.encode("utf-8", "backslashreplace").decode("utf-8"))
            finally:
                self._own.is_logging = False

    def writelines(self, lines: Any) -> None:
        """Log each of *lines*."""
        for line in lines:
            self.write(line)

    @property
    def buffer(self) -> LogStream:
        """The same, for those who write bytes."""
        return self

    def flush(self) -> None:
        """Log what this thread has written and not ended."""
        own = self._own
        if own.unended and not own.is_logging:
            text, own.unended = own.unended, ""
            self._log(text)

    def close(self) -> None:
        """Write no more."""
        self.flush()
        self.closed = True

    def isatty(self) -> bool:
        """A log is no terminal."""
        return False

    def fileno(self) -> int:
        """There is no file descriptor: what needs one says so."""
        raise OSError("standard output goes to the log and has no file descriptor")

    def readable(self) -> bool:
        """A log is not read from."""
        return False

    def writable(self) -> bool:
        """It is written to."""
        return True

    def seekable(self) -> bool:
        """It has no positions."""
        return False


# -- setting it up ----------------------------------------------------------------------------------------------------


class Logging:
    """The logging of one program: set up once, from settings and options. See :func:`setup_logging`."""

    def __init__(self, app: Umbel, level: int, logfile: str | None = None, color: bool | None = None) -> None:
        self._conf = app.conf
        self.level = level
        self.logfile = logfile
        self._color = color
        self._stdouts: tuple[TextIO, TextIO] | None = None

    def setup(self, redirect_stdouts: bool | None = None, redirect_level: str | int | None = None) -> bool:
        """Set up the root logger and the tasks' logger; say whether Umbel did it (and not a receiver or the user)."""
        conf = self._conf
        use_color = self.wants_color()
        told: Mapping[str, Any] = {
            "loglevel": self.level,
            "logfile": self.logfile,
            "format": conf.worker_log_format,
            "colorize": use_color,
        }
        answers = signals.setup_logging.send_robust(sender=None, **told)
        did_it = all(isinstance(answer, Exception) for _, answer in answers)
        if did_it:
            self._setup_root(use_color, told)
            self._setup_tasks(use_color, told)
        wanted = conf.worker_redirect_stdouts if redirect_stdouts is None else redirect_stdouts
        if wanted and did_it:
            self.redirect_stdouts(parse_level(redirect_level or conf.worker_redirect_stdouts_level))
        return did_it

    def wants_color(self) -> bool:
        """Say whether lines are coloured: never in a file; by the setting, else where standard error is a terminal."""
        if self.logfile:
            return False
        wanted = self._color if self._color is not None else self._conf.worker_log_color
        return _is_terminal(sys.stderr) if wanted is None else bool(wanted)

    def _setup_root(self, use_color: bool, told: Mapping[str, Any]) -> None:
        conf = self._conf
        root = logging.getLogger()
        own = logging.getLogger("umbel")
        if conf.worker_hijack_root_logger or not root.handlers:
            target = root
            if conf.worker_hijack_root_logger:
                root.handlers = []
        else:  # the user's own set-up stands; ours goes beside it, once
            target = own
            own.handlers = []
            own.propagate = False
        target.addHandler(self._handler(ColorFormatter(conf.worker_log_format, conf.worker_log_datefmt, use_color)))
        target.setLevel(self.level)
        own.setLevel(self.level)
        signals.after_setup_logger.send_robust(sender=None, logger=target, **told)

    def _setup_tasks(self, use_color: bool, told: Mapping[str, Any]) -> None:
        conf = self._conf
        logger = logging.getLogger(_TASK_LOGGER)
        logger.handlers = []
        logger.addHandler(
            self._handler(TaskFormatter(conf.worker_task_log_format, conf.worker_task_log_datefmt, use_color))
        )
        logger.setLevel(self.level)
        logger.propagate = False
        signals.after_setup_task_logger.send_robust(
            sender=None, logger=logger, **{**told, "format": conf.worker_task_log_format}
        )

    def _handler(self, formatter: logging.Formatter) -> logging.Handler:
        handler: logging.Handler
        if self.logfile:
            # Opens the file anew when logrotate has moved it [B1123].
            handler = logging.handlers.WatchedFileHandler(self.logfile, encoding="utf-8", errors="backslashreplace")
        else:
            handler = _StandardError()
        handler.setFormatter(formatter)
        return handler

    def reopen(self, logfile: str) -> None:
        """Write to another file from now on: what a pool process does whose number is part of the name."""
        self.logfile = logfile
        for logger in (logging.getLogger(), logging.getLogger("umbel"), logging.getLogger(_TASK_LOGGER)):
            for handler in list(logger.handlers):
                if isinstance(handler, logging.handlers.WatchedFileHandler):
                    replacement = self._handler(handler.formatter or logging.Formatter())
                    logger.removeHandler(handler)
                    logger.addHandler(replacement)
                    handler.close()

    def redirect_stdouts(self, level: int) -> None:
        """Send what is printed from now on to the log."""
        if self._stdouts is None:
            self._stdouts = (sys.stdout, sys.stderr)
        stream: Any = LogStream(logging.getLogger("umbel.redirected"), level)
        sys.stdout = sys.stderr = stream

    def restore_stdouts(self) -> None:
        """Give standard output and standard error back."""
        if self._stdouts is not None:
            sys.stdout, sys.stderr = self._stdouts
            self._stdouts = None


def setup_logging(
    app: Umbel,
    loglevel: str | int = "WARNING",
    logfile: str | None = None,
    color: bool | None = None,
    redirect_stdouts: bool | None = None,
) -> Logging:
    """Set up the log of a program as the settings of *app* say and return it.

    *logfile* ``None`` means standard error. Raises ``OSError`` when the file cannot be written.
    """
    log = Logging(app, parse_level(loglevel), logfile, color)
    log.setup(redirect_stdouts)
    return log


class _StandardError(logging.StreamHandler[IO[str]]):
    """Writes to the standard error of the program's start, whatever ``sys.stderr`` is by now."""

    def __init__(self) -> None:
        super().__init__(sys.__stderr__ or open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - lives as long as we

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
            stream = self.stream
            encoding = getattr(stream, "encoding", None) or "utf-8"
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + self.terminator)
            self.flush()
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)


def _is_terminal(stream: object) -> bool:
    """Say whether *stream* is a terminal; something else in its place may lack the method [B1108]."""
    try:
        return bool(stream.isatty())  # type: ignore[attr-defined]
    except Exception:
        return False
