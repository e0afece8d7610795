"""A worker as a program: process signals, and what each of them makes it do.

TERM and the first INT finish what runs; QUIT and a second INT cut it off; USR1 writes every thread's stack to the log;
HUP starts the program anew, unless it runs on a terminal.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from umbel import signals

if TYPE_CHECKING:
    from umbel.worker.worker import Worker

__all__ = ["EXIT_FAILURE", "EXIT_OK", "Program", "stack_dump"]

logger = logging.getLogger("umbel.worker")

EXIT_OK = 0
EXIT_FAILURE = 1


def stack_dump() -> str:
    """Return the stacks of all threads of this process, for ``kill -USR1``."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    parts = []
    for ident, frame in sys._current_frames().items():
        stack = "".join(traceback.format_stack(frame))
        parts.append(f"{names.get(ident, '?')} ({ident})\n{'=' * 60}\n{stack}")
    return "\n".join(parts)


class Program:
    """Runs *worker* in the main thread until a signal, its own failure or :meth:`stop` ends it.

    Signal handlers only put a word on a queue, so that none of them can meet a lock that the main thread holds.
    """

    def __init__(self, worker: Worker, say: Callable[[str], None] = print) -> None:
        self._worker = worker
        self._say = say
        self._words: queue.SimpleQueue[str] = queue.SimpleQueue()
        #: True when the program is to be started anew after the end.
        self.wants_restart = False
        worker.on_failure = lambda reason: self._words.put("FAILED")
        worker.shut_down = lambda: self._words.put("TERM")

    def stop(self, word: str = "TERM") -> None:
        """Act as on the signal *word*; any thread."""
        self._words.put(word)

    def run(self) -> int:
        """Start, wait, stop; return the exit code."""
        with self._handlers():
            self._worker.start()
            return self._serve()

    def _serve(self) -> int:
        stopping: threading.Thread | None = None
        code = EXIT_OK
        while True:
            word = self._words.get()
            if word == "STOPPED":
                return code
            if word == "USR1":
                logger.warning("stacks of all threads:\n%s", stack_dump())
                continue
            if word == "HUP":
                self.wants_restart = True
                word = "TERM"
            is_cold = word in {"QUIT", "FAILED"} or (word == "INT" and stopping is not None)
            code = EXIT_FAILURE if word == "FAILED" else code
            if stopping is None:
                stopping = self._begin_stop(word, is_cold=is_cold, code=code)
            elif is_cold:
                self._say("worker: Cold shutdown (MainProcess)")
                self._worker.hasten()

    def _begin_stop(self, word: str, *, is_cold: bool, code: int) -> threading.Thread:
        how = "Cold" if is_cold else "Warm"
        if word == "INT":
            self._say("worker: Hitting Ctrl+C again will terminate all running tasks!")
        self._say(f"worker: {how} shutdown (MainProcess)")
        signals.worker_shutting_down.send_robust(
            sender=self._worker.node, sig=f"SIG{word}" if word != "FAILED" else word, how=how, exitcode=code
        )
        thread = threading.Thread(target=self._stop, args=(is_cold,), name="umbel-stop", daemon=True)
        thread.start()
        return thread

    def _stop(self, is_cold: bool) -> None:
        try:
            self._worker.stop(cold=is_cold)
        except Exception:
            logger.critical("the worker did not stop cleanly", exc_info=True)
        finally:
            self._words.put("STOPPED")

    @contextlib.contextmanager
    def _handlers(self) -> Iterator[None]:
        """Listen to process signals inside the block; what was set before is restored after it."""
        names = ["TERM", "INT", "QUIT", "USR1"]
        if not _on_terminal():  # a closed terminal must end the worker, not restart it [B1145]
            names.append("HUP")
        remapped = os.environ.get("REMAP_SIGTERM", "").removeprefix("SIG")
        before: dict[int, Any] = {}

        def handler(word: str) -> Callable[[int, Any], None]:
            return lambda number, frame: self._words.put(word)

        for name in names:
            number = getattr(signal, f"SIG{name}", None)
            if number is not None:
                word = remapped if name == "TERM" and remapped in names else name
                before[number] = signal.signal(number, handler(word))
        try:
            yield
        finally:
            for number, previous in before.items():
                signal.signal(number, previous)


def _on_terminal() -> bool:
    try:
        return os.isatty(0)
    except OSError:
        return False
