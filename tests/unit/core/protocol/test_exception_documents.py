from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import types
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import umbel.exceptions as errors
from umbel.exceptions import NotRegistered, RemoteError, SecurityError, SoftTimeLimitExceeded
from umbel.protocol.exceptions import exception_from_wire, exception_to_wire, traceback_text


class Picky(Exception):
    """Its ``__init__`` takes something else than what it gives to its parent."""

    def __init__(self, code: int, *, detail: str) -> None:
        super().__init__(f"{detail} ({code})")


class Doubling(Exception):
    def __init__(self, code: Any) -> None:
        super().__init__(f"code {code}")
        self.code = code


class Outer:
    class Inner(LookupError):
        pass


class Unsociable(Exception):
    __bool__ = None

    def __len__(self) -> int:
        return 0

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


class Argless(Exception):
    @property
    def args(self) -> Any:  # type: ignore[override]
        raise RuntimeError


def around(exc: BaseException) -> BaseException:
    return exception_from_wire(json.loads(json.dumps(exception_to_wire(exc))))


@pytest.mark.parametrize(
    "exc",
    [
        ValueError("deliberate", 42),
        KeyError("k"),
        FileNotFoundError(2, "no such file"),
        ZeroDivisionError(),
        Outer.Inner("x", [1, {"a": None}]),
        UnicodeError("codec", "text", 0, 1, "reason"),
        Picky(3, detail="bad"),
        Doubling(7),
    ],
)
def test_known_exceptions_come_back_as_themselves(exc: Exception) -> None:
    again = around(exc)
    assert type(again) is type(exc)
    assert again.args == exc.args
    assert str(again) == str(exc)


def test_an_unknown_exception_has_a_faithful_stand_in() -> None:
    """[B1004] Name, module and arguments are the remote's."""
    doc = {"exc_type": "Api.Error", "exc_message": ["x", 1], "exc_module": "never.imported"}
    exc = exception_from_wire(doc)
    assert isinstance(exc, RemoteError)
    assert (type(exc).__name__, type(exc).__qualname__, type(exc).__module__) == (
        "Error",
        "Api.Error",
        "never.imported",
    )
    assert exc.args == ("x", 1)
    assert exception_to_wire(exc) == doc
    assert type(exception_from_wire(doc)) is type(exc)
    copy = pickle.loads(pickle.dumps(exc))
    assert (type(copy), copy.args) == (type(exc), exc.args)


def test_a_class_that_its_module_no_longer_has_is_stood_in_for() -> None:
    exc = exception_from_wire({"exc_type": "f.<locals>.Local", "exc_message": ["x"], "exc_module": __name__})
    assert type(exc).__qualname__ == "f.<locals>.Local"
    assert isinstance(exc, RemoteError)


@pytest.mark.parametrize(
    ("exc", "module", "name"),
    [
        (NotRegistered("nope.nope"), "celery.exceptions", "NotRegistered"),
        (errors.TaskRevokedError("revoked"), "celery.exceptions", "TaskRevokedError"),
        (errors.ChordError("Dependency x raised"), "celery.exceptions", "ChordError"),
        (errors.Reject("reason", True), "celery.exceptions", "Reject"),
        (errors.UmbelError("x"), "celery.exceptions", "CeleryError"),
        (errors.TimeLimitExceeded(3), "billiard.exceptions", "TimeLimitExceeded"),
        (SoftTimeLimitExceeded(), "billiard.exceptions", "SoftTimeLimitExceeded"),
        (errors.WorkerLostError("signal 9"), "billiard.exceptions", "WorkerLostError"),
        (errors.Terminated(15), "billiard.exceptions", "Terminated"),
        (errors.EncodeError("x"), "kombu.exceptions", "EncodeError"),
    ],
)
def test_framework_errors_have_celerys_names_and_are_read_under_both(exc: Exception, module: str, name: str) -> None:
    """WIRE 9.5: never the own package's name."""
    doc = exception_to_wire(exc)
    assert (doc["exc_module"], doc["exc_type"]) == (module, name)
    for one in (doc, {**doc, "exc_module": "umbel.exceptions", "exc_type": type(exc).__name__}):
        again = exception_from_wire(one)
        assert type(again) is type(exc)
        assert again.args == exc.args


def test_no_error_of_ours_shows_its_own_module_on_the_wire() -> None:
    for name in errors.__all__:
        kind = getattr(errors, name)
        assert exception_to_wire(kind.__new__(kind))["exc_module"] in {
            "celery.exceptions",
            "billiard.exceptions",
            "kombu.exceptions",
        }


@pytest.mark.parametrize(
    "doc",
    [
        {"exc_type": "system", "exc_module": "os", "exc_message": ["touch /tmp/owned"]},
        {"exc_type": "Popen", "exc_module": "subprocess", "exc_message": [["true"]]},
        {"exc_type": "eval", "exc_module": "builtins", "exc_message": "1/0"},
        {"exc_type": "object", "exc_module": "builtins", "exc_message": []},
    ],
)
def test_what_is_no_exception_class_is_never_called(doc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def called(*args: Any, **kwargs: Any) -> None:
        pytest.fail("called")

    monkeypatch.setattr(os, "system", called)
    monkeypatch.setattr(subprocess.Popen, "__init__", called)
    exc = exception_from_wire(doc)
    assert isinstance(exc, SecurityError)
    assert f"{doc['exc_module']}.{doc['exc_type']}" in str(exc)


def test_reading_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the module that is named nor what a lazy module would load for the name."""

    class Lazy(types.ModuleType):
        def __getattr__(self, name: str) -> Any:
            pytest.fail(f"looked up {name}")

    monkeypatch.setitem(sys.modules, "lazy_module", Lazy("lazy_module"))
    monkeypatch.delitem(sys.modules, "antigravity", raising=False)
    for module in ("lazy_module", "antigravity"):
        exc = exception_from_wire({"exc_type": "Error", "exc_module": module, "exc_message": []})
        assert isinstance(exc, RemoteError)
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "GeneratorExit"])
def test_exits_come_back_as_stand_ins(name: str) -> None:
    """Raised by ``get()`` as themselves they would end the caller's program."""
    exc = exception_from_wire({"exc_type": name, "exc_module": "builtins", "exc_message": [1]})
    assert isinstance(exc, RemoteError)
    assert type(exc).__name__ == name
    assert exc.args == (1,)


def test_groups_of_exceptions_keep_their_name() -> None:
    group = ExceptionGroup("several", [ValueError("x")])
    doc = exception_to_wire(group, lambda value: not isinstance(value, list))
    exc = exception_from_wire(json.loads(json.dumps(doc)))
    assert type(exc).__name__ == "ExceptionGroup"
    assert exc.args == ("several", "[ValueError('x')]")


def test_arguments_that_cannot_be_encoded_become_text() -> None:
    """[B1003, B1004, B1061]"""
    doc = exception_to_wire(ValueError("x", {1}, object), lambda value: isinstance(value, str))
    assert doc["exc_message"] == ["x", "{1}", "<class 'object'>"]


def test_exceptions_that_break_everything_break_nothing() -> None:
    """[B1106-B1110]"""
    assert exception_to_wire(Unsociable("x"))["exc_message"] == ["x"]
    assert type(around(Unsociable("x"))) is Unsociable
    assert exception_to_wire(Argless("x"))["exc_message"] == ["x"]
    assert type(around(Argless("x"))).__name__ == "Argless"
    assert "Unsociable" in traceback_text(Unsociable("x"))


def test_a_traceback_is_pythons() -> None:
    try:
        raise ValueError("deliberate", 42)
    except ValueError as error:
        text = traceback_text(error)
    assert text.startswith("Traceback (most recent call last):\n  File ")
    assert text.endswith("ValueError: ('deliberate', 42)\n")
    traceback_text(ValueError("\udc80")).encode()


@pytest.mark.parametrize(
    ("doc", "args"),
    [
        ({"exc_type": "ValueError", "exc_module": "builtins"}, ()),
        ({"exc_type": "ValueError", "exc_module": "builtins", "exc_message": "text"}, ("text",)),
        ({"exc_type": "ValueError", "exc_module": "builtins", "exc_message": None}, (None,)),
    ],
)
def test_messages_of_older_writers(doc: Any, args: Any) -> None:
    exc = exception_from_wire(doc)
    assert type(exc) is ValueError
    assert exc.args == args


def test_an_exception_that_was_pickled_is_itself() -> None:
    error = Picky(1, detail="x")
    assert exception_from_wire(error) is error


def test_celerys_wrapper_of_what_it_could_not_pickle_is_unwrapped() -> None:
    """[B915]"""

    class UnpickleableExceptionWrapper(Exception):
        exc_module, exc_cls_name, exc_args = "builtins", "KeyError", ("k",)

    exc = exception_from_wire(UnpickleableExceptionWrapper())
    assert type(exc) is KeyError
    assert exc.args == ("k",)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["ValueError", "UnicodeDecodeError", "OSError", "Retry", "system", "a.b", "\0", "\ud800", "..", ""]
)
MODULES = st.sampled_from(["builtins", "os", "celery.exceptions", "umbel.exceptions", "no.such", "\0", ""])


@given(
    JSON
    | st.fixed_dictionaries(
        {"exc_type": JSON | NAMES},
        optional={"exc_module": JSON | MODULES, "exc_message": JSON | st.lists(JSON, max_size=5)},
    )
)
def test_any_document_gives_an_exception(doc: Any) -> None:
    exc = exception_from_wire(doc)
    assert isinstance(exc, Exception)
    assert isinstance(exception_to_wire(exc), dict)
