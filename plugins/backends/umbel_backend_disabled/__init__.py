"""The result backend that keeps nothing: what is used when a broker is configured and no backend is.

Storing does nothing. Reading raises :class:`ResultsDisabled`, which says what to configure (B154, B856).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from umbel.exceptions import BackendError
from umbel.hookspecs import hookimpl
from umbel.model import ChordPart, JoinedChord, PluginInfo, TaskMeta
from umbel.spi import BackendCapabilities, ResultBackend

__all__ = ["DisabledBackend", "ResultsDisabled", "plugin_info", "umbel_backend"]

_CAPABILITIES = BackendCapabilities(stores=False)

plugin_info = PluginInfo(
    kind="backend",
    names=("disabled",),
    summary="keeps no results; reading one says what to configure",
    capabilities=_CAPABILITIES,
    testing_url="disabled://",
)


class ResultsDisabled(BackendError, NotImplementedError):
    """Raised when a result is asked for and results are off. (A ``NotImplementedError`` too, as in Celery.)"""


class DisabledBackend(ResultBackend):
    """Keeps nothing."""

    capabilities = _CAPABILITIES

    def open(self, timeout_s: float) -> None:
        pass

    def close(self) -> None:
        pass

    def store(self, metas: Sequence[TaskMeta]) -> None:
        pass

    def load(self, ids: Sequence[str]) -> Sequence[TaskMeta | None]:
        _refuse("to read the state or result of a task")

    def forget(self, ids: Sequence[str]) -> None:
        _refuse("to forget a result")

    def wait(self, ids: Sequence[str], timeout_s: float) -> Sequence[TaskMeta]:
        _refuse("to wait for a result")

    def save_group(self, group_id: str, payload: bytes | None, expires_s: float | None = None) -> None:
        _refuse("to save a group")

    def load_group(self, group_id: str) -> bytes | None:
        _refuse("to restore a group")

    def join(self, parts: Sequence[ChordPart]) -> Sequence[JoinedChord]:
        _refuse("to run a chord")

    def expire(self, before: float) -> int:
        return 0


def _refuse(doing: str) -> NoReturn:
    raise ResultsDisabled(
        f"expected a result backend {doing}, got none: set result_backend, for example "
        "Umbel(..., backend='sqlite:///results.db') or result_backend = \"redis://localhost\" in umbel.toml"
    )


@hookimpl
def umbel_backend(app: Any, url: str) -> ResultBackend:
    """Make the result backend that keeps nothing."""
    return DisabledBackend()
