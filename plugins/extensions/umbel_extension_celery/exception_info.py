"""``einfo`` as third parties know it from Celery: an instance of billiard's class too."""

from __future__ import annotations

from typing import Any

from billiard.einfo import ExceptionInfo as BilliardInfo

from umbel.einfo import ExceptionInfo

__all__ = ["CeleryExceptionInfo"]


class CeleryExceptionInfo(ExceptionInfo, BilliardInfo):  # type: ignore[misc]
    """An exception with its traceback as text; ``exception`` is the exception itself."""

    @property
    def exc_info(self) -> tuple[Any, Any, Any]:
        """The three parts that ``sys.exc_info()`` gave."""
        return self.type, self.exception, self.tb
