"""``@app.task(pydantic=True)``: dicts become the models that a task's annotations name, and its model a dict.

Nothing here imports pydantic: a class with ``model_validate`` is a model.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, get_type_hints

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["with_models"]


def with_models(fun: Callable[..., Any], options: Mapping[str, Any], app: Umbel) -> Callable[..., Any]:
    """Return *fun*, its arguments validated and its return value dumped as ``pydantic_*`` of *options* say."""
    signature = inspect.signature(fun)
    context = {"umbel_app": app, "celery_app": app, **(options.get("pydantic_context") or {})}
    dump = dict(options.get("pydantic_dump_kwargs") or {"mode": "json"})

    @functools.cache
    def models() -> dict[str, Any]:  # read at the first run, when names used before their definition are known
        hints = get_type_hints(fun)
        return {name: hint for name, hint in hints.items() if name != "return" and hasattr(hint, "model_validate")}

    def validated(args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
        bound = signature.bind(*args, **kwargs)
        for name, model in models().items():
            value = bound.arguments.get(name)
            if value is not None and not isinstance(value, model):
                strict = options.get("pydantic_strict")
                bound.arguments[name] = model.model_validate(value, strict=strict, context=context)
        return bound

    def dumped(value: Any) -> Any:
        return value.model_dump(**dump) if hasattr(type(value), "model_validate") else value

    if inspect.iscoroutinefunction(fun):

        @functools.wraps(fun)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            bound = validated(args, kwargs)
            return dumped(await fun(*bound.args, **bound.kwargs))

        return run_async

    @functools.wraps(fun)
    def run(*args: Any, **kwargs: Any) -> Any:
        bound = validated(args, kwargs)
        return dumped(fun(*bound.args, **bound.kwargs))

    return run
