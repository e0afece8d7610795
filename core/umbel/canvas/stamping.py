"""Stamps: marks that each message of a workflow carries, such as the order it belongs to or who asked for it.

``signature.stamp(order="4711")`` marks every task of it, with its callbacks and errbacks; a :class:`StampingVisitor`
decides for each. A running task finds them in ``request.stamps``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from umbel.calling.links import as_signatures
from umbel.canvas.fields import SignatureFields

if TYPE_CHECKING:
    from umbel.canvas.signature import Signature

__all__ = ["Stampable", "StampingVisitor"]


class StampingVisitor:
    """Says how each part of a workflow is stamped. Each method returns the stamps as a dict, or ``None`` for none.

    A key ``stamped_headers`` may name which of its others are stamps; without it all of them are. What
    :meth:`on_group_start`, :meth:`on_chain_start` and :meth:`on_chord_header_start` return is for everything inside.
    """

    def on_signature(self, sig: Signature, **headers: Any) -> Mapping[str, Any] | None:
        """Called for each single task, with the stamps it has from what it is in."""
        raise NotImplementedError(f"{type(self).__name__}: define on_signature(sig, **headers), which stamps a task")

    def on_group_start(self, sig: Signature, **headers: Any) -> Mapping[str, Any] | None:
        """Called before the members of a group."""

    def on_group_end(self, sig: Signature, **headers: Any) -> None:
        """Called after the members of a group."""

    def on_chain_start(self, sig: Signature, **headers: Any) -> Mapping[str, Any] | None:
        """Called before the steps of a chain."""

    def on_chain_end(self, sig: Signature, **headers: Any) -> None:
        """Called after the steps of a chain."""

    def on_chord_header_start(self, sig: Signature, **headers: Any) -> Mapping[str, Any] | None:
        """Called before the header of a chord."""

    def on_chord_header_end(self, sig: Signature, **headers: Any) -> None:
        """Called after the header of a chord."""

    def on_chord_body(self, sig: Signature, **headers: Any) -> Mapping[str, Any] | None:
        """Called before the body of a chord."""

    def on_callback(self, callback: Signature, **headers: Any) -> Mapping[str, Any] | None:
        """Called before each callback of a task."""

    def on_errback(self, errback: Signature, **headers: Any) -> Mapping[str, Any] | None:
        """Called before each errback of a task."""


class Stampable(SignatureFields):
    """The part of a signature that can be stamped."""

    if TYPE_CHECKING:

        @classmethod
        def from_dict(cls, value: Mapping[str, Any], app: Any = None) -> Signature: ...

    def stamp(self, visitor: StampingVisitor | None = None, append_stamps: bool = False, **headers: Any) -> Self:
        """Stamp this, all parts of it and all that is linked to it, in place; return itself.

        *headers* are stamps for all of them; *visitor* is asked for each. With *append_stamps* a stamp that is there
        keeps its value beside the new one, in a list.
        """
        _stamp(self, visitor, append_stamps, _named(headers))
        return self

    def stamp_links(self, visitor: StampingVisitor | None = None, append_stamps: bool = False, **headers: Any) -> None:
        """Stamp what is linked to this, and not this itself."""
        _stamp_links(self, visitor, append_stamps, _named(headers))


def _named(headers: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return stamps with their names in ``stamped_headers``."""
    if not headers:
        return {}
    names = headers.get("stamped_headers")
    if names is None:
        names = [name for name in headers if name != "stamped_headers"]
    return {**{name: headers[name] for name in names if name in headers}, "stamped_headers": sorted(set(names))}


def _inside(outer: dict[str, Any], own: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the stamps of what is inside: those from outside and *own*."""
    named = _named(own)
    if not named:
        return outer
    names = {*outer.get("stamped_headers", ()), *named["stamped_headers"]}
    return {**outer, **named, "stamped_headers": sorted(names)}


def _stamp(sig: Any, visitor: StampingVisitor | None, append: bool, stamps: dict[str, Any]) -> None:
    _stamp_links(sig, visitor, append, stamps)
    kind = sig["subtask_type"]
    if kind == "chord":
        _stamp_chord(sig, visitor, append, stamps)
    elif kind in {"chain", "group"}:
        start, end = ("", "") if visitor is None else (f"on_{kind}_start", f"on_{kind}_end")
        if visitor is not None:
            stamps = _inside(stamps, getattr(visitor, start)(sig, **stamps))
        sig["kwargs"]["tasks"] = _stamp_all(sig, sig["kwargs"]["tasks"], visitor, append, stamps)
        if visitor is not None:
            getattr(visitor, end)(sig, **stamps)
    else:
        if visitor is not None:
            stamps = _inside(stamps, visitor.on_signature(sig, **stamps))
        _write(sig["options"], stamps, append)


def _stamp_chord(sig: Any, visitor: StampingVisitor | None, append: bool, stamps: dict[str, Any]) -> None:
    kwargs = sig["kwargs"]
    header = sig.from_dict(kwargs["header"], sig._app)
    inside = stamps if visitor is None else _inside(stamps, visitor.on_chord_header_start(sig, **stamps))
    header["kwargs"]["tasks"] = _stamp_all(sig, header["kwargs"]["tasks"], visitor, append, inside)
    kwargs["header"] = header
    if visitor is not None:
        visitor.on_chord_header_end(sig, **inside)
    if kwargs["body"] is not None:
        of_body = stamps if visitor is None else _inside(stamps, visitor.on_chord_body(sig, **stamps))
        (kwargs["body"],) = _stamp_all(sig, [kwargs["body"]], visitor, append, of_body)


def _stamp_all(
    sig: Any, parts: Iterable[Any], visitor: StampingVisitor | None, append: bool, stamps: dict[str, Any]
) -> list[Any]:
    made = [sig.from_dict(part, sig._app) for part in parts]  # copies: a part may stand in other workflows too
    for part in made:
        _stamp(part, visitor, append, stamps)
    return made


def _stamp_links(sig: Any, visitor: StampingVisitor | None, append: bool, stamps: dict[str, Any]) -> None:
    for option, method in (("link", "on_callback"), ("link_error", "on_errback")):
        links = as_signatures(sig["options"].get(option))
        if links:
            made = [sig.from_dict(link, sig._app) for link in links]
            for link in made:
                own = None if visitor is None else getattr(visitor, method)(link, **stamps)
                _stamp(link, visitor, append, _inside(stamps, own))
            sig["options"][option] = made


def _write(options: dict[str, Any], stamps: dict[str, Any], append: bool) -> None:
    """Put *stamps* into the options of a task."""
    if not stamps:
        return
    for name, value in stamps.items():
        if name == "stamped_headers":
            continue
        if append and name in options and name in (options.get("stamped_headers") or ()):
            old = options[name]
            options[name] = [
                *(old if isinstance(old, list) else [old]),
                *(value if isinstance(value, list) else [value]),
            ]
        else:
            options[name] = value
    options["stamped_headers"] = sorted({*(options.get("stamped_headers") or ()), *stamps["stamped_headers"]})
