"""The arguments of a task checked where it is called, not hours later in a worker (``typing=True``)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["Parameters"]


class Parameters:
    """The parameters that a task takes from its callers. Made once per task; checking is thread-safe.

    *skip* is 1 when the function's first parameter is the task itself (``bind=True``).
    """

    __slots__ = ("_highest", "_lowest", "_simple", "name", "signature")

    def __init__(self, name: str, function: Callable[..., Any], skip: int = 0) -> None:
        self.name = name
        signature = inspect.signature(function)
        parameters = list(signature.parameters.values())[skip:]
        self.signature = signature.replace(parameters=parameters)
        positional = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
        self._lowest = sum(p.default is p.empty for p in positional)
        takes_any = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        self._highest = float("inf") if takes_any else len(positional)
        #: Whether a call without keyword arguments is right exactly when their number is.
        self._simple = not any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters)

    def check(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raise ``TypeError``, naming the task and its signature, when it cannot be called like this."""
        if not kwargs and self._simple and self._lowest <= len(args) <= self._highest:
            return
        try:
            self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(
                f"task {self.name}{self._shown()}: {error}; got {len(args)} positional"
                f"{' and ' + ', '.join(sorted(kwargs)) if kwargs else ''}"
            ) from None

    def _shown(self) -> str:
        bare = [p.replace(annotation=p.empty) for p in self.signature.parameters.values()]
        return str(self.signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))

    @property
    def takes_several(self) -> bool:
        """Whether more than one positional argument can be given."""
        return self._highest > 1
