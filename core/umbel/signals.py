"""Signals: how user code and plugins are told of what happens.

``task_prerun.connect(f, sender=...)`` connects a function; the observer hook ``umbel_task_prerun`` of a plugin is
connected to the very same signal when the plugin is loaded. What each signal means, who sends it, on which thread and
with which arguments stands at its hook in :mod:`umbel.hookspecs`. The names and arguments are Celery's.

Umbel itself sends with :meth:`Signal.send_robust`: a receiver that raises is logged once, counted, and switched off
after :data:`MAX_FAILURES` failures; the task or worker goes on. A hot path asks ``if task_prerun.receivers:`` first.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from types import MethodType
from typing import Any, Final, TypeVar, overload

__all__ = [
    "MAX_FAILURES",
    "SIGNALS",
    "Signal",
    "after_setup_logger",
    "after_setup_task_logger",
    "after_task_publish",
    "beat_embedded_init",
    "beat_init",
    "before_task_publish",
    "celeryd_after_setup",
    "celeryd_init",
    "eventlet_pool_apply",
    "eventlet_pool_postshutdown",
    "eventlet_pool_preshutdown",
    "eventlet_pool_started",
    "heartbeat_sent",
    "import_modules",
    "setup_logging",
    "task_failure",
    "task_internal_error",
    "task_postrun",
    "task_prerun",
    "task_received",
    "task_rejected",
    "task_retry",
    "task_revoked",
    "task_sent",
    "task_success",
    "task_unknown",
    "user_preload_options",
    "worker_before_create_process",
    "worker_init",
    "worker_process_init",
    "worker_process_shutdown",
    "worker_ready",
    "worker_shutdown",
    "worker_shutting_down",
]

_Receiver = TypeVar("_Receiver", bound=Callable[..., Any])

#: After so many failures a receiver is disconnected.
MAX_FAILURES: Final = 10


class _Connection:
    """A connected receiver; *target* is the receiver itself or a weak reference to it.

    A plain class: this module is imported by every program, and attrs would be most of what that costs.
    """

    __slots__ = ("failures", "is_weak", "key", "label", "sender", "target")

    def __init__(self, *, key: tuple[Any, Any], sender: Any, target: Any, is_weak: bool, label: str) -> None:
        self.key = key
        self.sender = sender
        self.target = target
        self.is_weak = is_weak
        self.label = label
        self.failures = 0

    def receiver(self) -> Callable[..., Any] | None:
        """Return the receiver, or ``None`` when it is gone."""
        found: Callable[..., Any] | None = self.target() if self.is_weak else self.target
        return found

    def wants(self, sender: Any) -> bool:
        """Say whether this connection hears *sender*: all, the same object, or an equal name."""
        expected = self.sender
        return expected is None or expected is sender or (type(expected) is type(sender) is str and expected == sender)


class Signal:
    """One thing that happens, and who wants to know. Connecting and sending are thread-safe.

    *name* is the signal's, *providing_args* the keyword arguments that each :meth:`send` carries beside ``sender`` and
    ``signal``. A receiver must take ``**kwargs``, so that a signal may learn new arguments.
    """

    __slots__ = ("_lock", "name", "providing_args", "receivers")

    def __init__(self, name: str = "", providing_args: tuple[str, ...] = ()) -> None:
        self.name = name
        self.providing_args = providing_args
        #: The connections, replaced and never changed in place; its truth is the cheap test before a send.
        self.receivers: tuple[_Connection, ...] = ()
        self._lock = threading.Lock()

    @overload
    def connect(
        self, receiver: _Receiver, sender: Any = ..., weak: bool = ..., dispatch_uid: Any = ...
    ) -> _Receiver: ...

    @overload
    def connect(
        self, receiver: None = ..., sender: Any = ..., weak: bool = ..., dispatch_uid: Any = ...
    ) -> Callable[[_Receiver], _Receiver]: ...

    def connect(self, receiver: Any = None, sender: Any = None, weak: bool = True, dispatch_uid: Any = None) -> Any:
        """Call *receiver* at each send, and return it, so that this works as a decorator with and without arguments.

        *sender*: only for this sender (an object, or a name). *weak*: do not keep *receiver* alive; pass ``False`` for
        a lambda or a local function. *dispatch_uid*: a second connection under the same value does nothing. Raises
        ``TypeError`` for a receiver that does not take ``**kwargs``.
        """
        if receiver is None:
            return lambda function: self.connect(function, sender, weak, dispatch_uid)
        _check_receiver(self.name, receiver)
        connection = _Connection(
            key=_key(receiver, sender, dispatch_uid),
            sender=sender,
            target=_weak_reference(receiver) if weak else receiver,
            is_weak=weak,
            label=_label(receiver),
        )
        with self._lock:
            alive = tuple(other for other in self.receivers if other.receiver() is not None)
            if all(other.key != connection.key for other in alive):
                alive += (connection,)
            self.receivers = alive
        return receiver

    def disconnect(
        self, receiver: Any = None, sender: Any = None, weak: bool | None = None, dispatch_uid: Any = None
    ) -> bool:
        """Call *receiver* no longer, and say whether it was connected with this *sender* and *dispatch_uid*.

        Not needed for weakly connected receivers: they leave when they die. *weak* is ignored (Celery has it).
        """
        key = _key(receiver, sender, dispatch_uid)
        with self._lock:
            left = tuple(other for other in self.receivers if other.key != key)
            found = len(left) != len(self.receivers)
            self.receivers = left
        return found

    @property
    def has_listeners(self) -> bool:
        """Whether anybody is connected; the attribute ``receivers`` says the same without a call."""
        return bool(self.receivers)

    def send(self, sender: Any, **named: Any) -> list[tuple[Callable[..., Any], Any]]:
        """Call each receiver in the order of connection; return (receiver, its answer) each.

        An exception of a receiver gets out, and those after it are not called.
        """
        return [(receiver, receiver(signal=self, sender=sender, **named)) for _, receiver in self._listening(sender)]

    def send_robust(self, sender: Any, **named: Any) -> list[tuple[Callable[..., Any], Any]]:
        """Like :meth:`send`, but an ``Exception`` of a receiver becomes its answer, and the others are called.

        A receiver's first failure is logged with its traceback; at the tenth it is disconnected, with a log line.
        """
        answers: list[tuple[Callable[..., Any], Any]] = []
        for connection, receiver in self._listening(sender):
            try:
                answers.append((receiver, receiver(signal=self, sender=sender, **named)))
            except Exception as error:  # an observer must not break what it observes
                self._note_failure(connection, error)
                answers.append((receiver, error))
        return answers

    def _listening(self, sender: Any) -> Iterator[tuple[_Connection, Callable[..., Any]]]:
        dead = False
        for connection in self.receivers:
            if not connection.wants(sender):
                continue
            receiver = connection.receiver()
            if receiver is None:
                dead = True
            else:
                yield connection, receiver
        if dead:
            with self._lock:
                self.receivers = tuple(other for other in self.receivers if other.receiver() is not None)

    def _note_failure(self, connection: _Connection, error: Exception) -> None:
        connection.failures += 1
        if connection.failures == 1:
            _log_error(
                "receiver %s of signal %s raised; further failures are counted, not logged",
                connection.label,
                self.name,
                exc_info=error,
            )
        if connection.failures < MAX_FAILURES:
            return
        with self._lock:
            self.receivers = tuple(other for other in self.receivers if other is not connection)
        _log_error(
            "receiver %s of signal %s raised %d times and is switched off; the last error: %r",
            connection.label,
            self.name,
            connection.failures,
            error,
        )

    def __repr__(self) -> str:
        return f"<Signal: {self.name} providing_args={set(self.providing_args)}>"


def _log_error(text: str, *details: Any, exc_info: BaseException | None = None) -> None:
    import logging  # costs start-up time, and only failures need it

    logging.getLogger(__name__).error(text, *details, exc_info=exc_info)


def _check_receiver(signal: str, receiver: Any) -> None:
    if not callable(receiver):
        raise TypeError(f"signal {signal}: expected a callable receiver, got {receiver!r}")
    import inspect  # costs start-up time, and only receivers need it

    try:
        parameters = inspect.signature(receiver).parameters.values()
    except ValueError:  # built-in callables have no signature to read
        return
    if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters):
        raise TypeError(
            f"signal {signal}: receiver {_label(receiver)} must accept keyword arguments; "
            f"add **kwargs to its parameters"
        )


def _label(receiver: Any) -> str:
    module = getattr(receiver, "__module__", "?")
    return f"{module}.{getattr(receiver, '__qualname__', type(receiver).__qualname__)}"


def _key(receiver: Any, sender: Any, dispatch_uid: Any) -> tuple[Any, Any]:
    of_sender = sender if isinstance(sender, str) else id(sender)
    if dispatch_uid is not None:
        return ("uid", dispatch_uid), of_sender
    if isinstance(receiver, MethodType):
        return ("method", id(receiver.__self__), id(receiver.__func__)), of_sender
    return ("object", id(receiver)), of_sender


def _weak_reference(receiver: Any) -> Any:
    return weakref.WeakMethod(receiver) if isinstance(receiver, MethodType) else weakref.ref(receiver)


#: Every signal by its name; the observer hook of each is ``umbel_<name>``.
SIGNALS: Final[dict[str, Signal]] = {}


def _signal(name: str, *providing_args: str) -> Signal:
    SIGNALS[name] = Signal(name, providing_args)
    return SIGNALS[name]


# -- tasks, where they are called -------------------------------------------------------------------------------------

before_task_publish = _signal(
    "before_task_publish", "body", "exchange", "routing_key", "headers", "properties", "declare", "retry_policy"
)
after_task_publish = _signal("after_task_publish", "body", "exchange", "routing_key", "headers")
task_sent = _signal("task_sent", "task_id", "task", "args", "kwargs", "eta", "taskset")

# -- tasks, where they run --------------------------------------------------------------------------------------------

task_received = _signal("task_received", "request")
task_prerun = _signal("task_prerun", "task_id", "task", "args", "kwargs")
task_postrun = _signal("task_postrun", "task_id", "task", "args", "kwargs", "retval", "state")
task_success = _signal("task_success", "result", "runtime")
task_retry = _signal("task_retry", "request", "reason", "einfo")
task_failure = _signal("task_failure", "task_id", "exception", "args", "kwargs", "traceback", "einfo")
task_internal_error = _signal(
    "task_internal_error", "task_id", "args", "kwargs", "request", "exception", "traceback", "einfo"
)
task_revoked = _signal("task_revoked", "request", "terminated", "signum", "expired")
task_rejected = _signal("task_rejected", "message", "exc")
task_unknown = _signal("task_unknown", "message", "exc", "name", "id")

# -- the worker -------------------------------------------------------------------------------------------------------

celeryd_init = _signal("celeryd_init", "instance", "conf", "options")
celeryd_after_setup = _signal("celeryd_after_setup", "instance", "conf")
import_modules = _signal("import_modules")
worker_init = _signal("worker_init")
worker_before_create_process = _signal("worker_before_create_process")
worker_process_init = _signal("worker_process_init")
worker_process_shutdown = _signal("worker_process_shutdown", "pid", "exitcode")
worker_ready = _signal("worker_ready")
worker_shutting_down = _signal("worker_shutting_down", "sig", "how", "exitcode")
worker_shutdown = _signal("worker_shutdown")
heartbeat_sent = _signal("heartbeat_sent")

# -- logging ----------------------------------------------------------------------------------------------------------

setup_logging = _signal("setup_logging", "loglevel", "logfile", "format", "colorize")
after_setup_logger = _signal("after_setup_logger", "logger", "loglevel", "logfile", "format", "colorize")
after_setup_task_logger = _signal("after_setup_task_logger", "logger", "loglevel", "logfile", "format", "colorize")

# -- beat, pools, programs --------------------------------------------------------------------------------------------

beat_init = _signal("beat_init")
beat_embedded_init = _signal("beat_embedded_init")
eventlet_pool_started = _signal("eventlet_pool_started")
eventlet_pool_preshutdown = _signal("eventlet_pool_preshutdown")
eventlet_pool_postshutdown = _signal("eventlet_pool_postshutdown")
eventlet_pool_apply = _signal("eventlet_pool_apply", "target", "args", "kwargs")
user_preload_options = _signal("user_preload_options", "app", "options")
