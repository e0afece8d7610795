"""Pictures of the cluster, taken every now and then: for those who want to keep history without keeping every event."""

from __future__ import annotations

import importlib
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Self

from umbel.events.state import State
from umbel.exceptions import ImproperlyConfigured, OperationalError
from umbel.signals import Signal

if TYPE_CHECKING:
    from umbel.app import Umbel
    from umbel.events.receiver import EventReceiver

__all__ = ["Polaroid", "evcam", "least_interval_s", "load_camera"]

logger = logging.getLogger("umbel.evcam")

_PER_S = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Polaroid:
    """A camera: subclass it and say in :meth:`on_shutter` what becomes of a picture [A430] [B896].

    Every *freq* seconds, but not more often than *maxrate* allows (a number a second, or ``100/m``), ``on_shutter`` is
    called with *state*, which changes no more until it returns; no event is lost meanwhile [B1149]. With
    ``clear_after`` the state is forgotten after each picture. Every *cleanup_freq* seconds ``on_cleanup`` is called.
    What they raise is logged, and the camera goes on. They run in the camera's own thread.
    """

    #: Sent before each picture, with the state as sender, and before each cleaning.
    shutter_signal: ClassVar[Signal] = Signal("shutter_signal", ("state",))
    cleanup_signal: ClassVar[Signal] = Signal("cleanup_signal")
    clear_after: ClassVar[bool] = False

    def __init__(
        self,
        state: State,
        freq: float = 1.0,
        maxrate: str | float | None = None,
        cleanup_freq: float = 3600.0,
        timer: Any = None,
        app: Umbel | None = None,
    ) -> None:
        if not freq > 0:
            raise ImproperlyConfigured(f"expected seconds above 0 between two pictures, got {freq!r}")
        self.app = app
        self.state = state
        self.freq = freq
        self.cleanup_freq = cleanup_freq
        self.logger = logger
        self._least_s = least_interval_s(maxrate)
        self._taken_at = -1e9
        self._cleaned_at = time.monotonic()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def on_shutter(self, state: State) -> None:
        """Do something with a picture of the cluster; for subclasses."""

    def on_cleanup(self) -> None:
        """Remove what is old; for subclasses."""

    def install(self) -> None:
        """Start taking pictures."""
        if self._thread is None:
            self._ending.clear()
            self._thread = threading.Thread(target=self._run, name="umbel-camera", daemon=True)
            self._thread.start()

    def cancel(self) -> None:
        """Take a last picture of what has come since, and stop. May be called twice."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._ending.set()
        thread.join(30.0)
        self._guarded(self.capture)

    def _run(self) -> None:
        while not self._ending.wait(self.freq):
            self._guarded(self.capture)
            if time.monotonic() - self._cleaned_at >= self.cleanup_freq:
                self._cleaned_at = time.monotonic()
                self._guarded(self.cleanup)

    def _guarded(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:
            self.logger.exception("the camera failed; it goes on with the next picture")

    def capture(self) -> None:
        """Take a picture now, unless *maxrate* says it is too soon."""
        if time.monotonic() - self._taken_at < self._least_s:
            return
        self._taken_at = time.monotonic()
        self.state.freeze_while(self.shutter, clear_after=self.clear_after)

    def shutter(self) -> None:
        """Give the picture to who wants it."""
        self.shutter_signal.send_robust(sender=self.state, state=self.state)
        self.on_shutter(self.state)

    def cleanup(self) -> None:
        """Have what is old removed."""
        self.cleanup_signal.send_robust(sender=self.state)
        self.on_cleanup()

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.cancel()


def least_interval_s(maxrate: str | float | None) -> float:
    """Return the seconds that lie between two of *maxrate*: a number a second, or text such as ``100/m``."""
    if maxrate is None or maxrate == "":
        return 0.0
    number, _, unit = str(maxrate).partition("/")
    try:
        rate, per_s = float(number), _PER_S[unit or "s"]
    except (ValueError, KeyError):
        rate, per_s = -1.0, 1.0
    if rate < 0:
        raise ImproperlyConfigured(f"expected a rate such as 10 (a second), 100/m or 5/h, got {maxrate!r}")
    return per_s / rate if rate else 0.0


def load_camera(name: str | type[Polaroid]) -> type[Polaroid]:
    """Return the camera class that *name* means, as ``module:Class`` or ``module.Class`` [A431]."""
    if isinstance(name, type):
        return name
    module, _, attribute = name.partition(":") if ":" in name else name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ImproperlyConfigured(f"expected a camera as module:Class, got {name!r}: {error}") from error
    if not (isinstance(found, type) and hasattr(found, "on_shutter")):
        raise ImproperlyConfigured(f"expected {name} to be a class like umbel.events.snapshot.Polaroid, got {found!r}")
    return found


def evcam(
    camera: str | type[Polaroid],
    freq: float = 1.0,
    maxrate: str | float | None = None,
    *,
    app: Umbel,
    listening: Callable[[EventReceiver], None] | None = None,
    retry_s: float = 2.0,
) -> None:
    """Listen to events and let *camera* take pictures of the state, until interrupted [B897].

    *listening* is called with each receiver before it listens: whoever keeps it may stop the camera by its ``stop()``.
    A lost connection is made anew after *retry_s* seconds.
    """
    state = app.events.State()
    with load_camera(camera)(state, freq=freq, maxrate=maxrate, app=app):
        while True:
            receiver = app.events.Receiver(handlers={"*": state.event})
            try:
                if listening is not None:
                    listening(receiver)
                with receiver:
                    receiver.capture()
                return
            except OperationalError as error:
                logger.warning("lost the broker, trying again: %s", error)
                time.sleep(retry_s)
