"""Results have the names and the parameters of Celery's."""

from __future__ import annotations

import inspect
from typing import Any

import celery.result
import pytest

from umbel import GroupResult
from umbel.results import AsyncResult
from umbel.results.eager_result import EagerResult
from umbel.results.sets import ResultSet

#: Of Celery's own machinery: its promises (``then`` is what they are for here).
NOT_HERE = {"throw", "on_ready"}
CLASSES = [(celery.result.AsyncResult, AsyncResult), (celery.result.EagerResult, EagerResult),
           (celery.result.ResultSet, ResultSet), (celery.result.GroupResult, GroupResult)]  # fmt: skip
NAMES = [
    pytest.param(theirs, ours, name, id=f"{theirs.__name__}.{name}")
    for theirs, ours in CLASSES
    for name in dir(theirs)
    if not name.startswith("_") and name not in NOT_HERE
]


@pytest.mark.parametrize(("theirs", "ours", "name"), NAMES)
def test_every_public_name_is_there_and_takes_what_celerys_takes(theirs: Any, ours: Any, name: str) -> None:
    """[B541]-[B560] Positional parameters in the same order, named ones by the same names."""
    assert hasattr(ours, name) or name == "results" or name in ours.__annotations__
    wanted = getattr(theirs, name)
    if not callable(wanted) or isinstance(wanted, type) or name == "results":
        return
    known = inspect.signature(getattr(ours, name)).parameters
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values())
    places = [each.name for each in known.values() if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    position = 0
    for parameter in inspect.signature(wanted).parameters.values():
        if parameter.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD:
            continue
        assert parameter.name in known or takes_any
        if ours is not EagerResult and not takes_any:
            assert places[position] == parameter.name
        position += 1
