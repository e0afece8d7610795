"""An exception with its traceback as text: what the handlers of a task are given as *einfo* (B491, A199)."""

from __future__ import annotations

from types import TracebackType

__all__ = ["ExceptionInfo"]


class ExceptionInfo:
    """An exception of a task. ``str(einfo)`` and ``einfo.traceback`` are the traceback as text; ``einfo.exception`` the
    exception, ``einfo.type`` its class, ``einfo.tb`` the traceback object where the exception was raised in this process.
    """

    def __init__(self, exception: BaseException, traceback: str | None = None) -> None:
        self.exception = exception
        self.type = type(exception)
        self.internal = False
        self._text = traceback

    @property
    def tb(self) -> TracebackType | None:
        """The traceback object, or ``None``."""
        return self.exception.__traceback__

    @property
    def traceback(self) -> str:
        """The traceback as text, made on first use."""
        if self._text is None:
            from traceback import format_exception  # stdlib, only failures need it

            self._text = "".join(format_exception(self.exception))
        return self._text

    def __str__(self) -> str:
        return self.traceback

    def __repr__(self) -> str:
        return f"<ExceptionInfo: {self.exception!r}>"
