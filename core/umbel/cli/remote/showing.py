"""How answers look on a terminal, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

__all__ = ["as_json", "count_line", "show_reply", "show_silent"]

_TASK = ("id", "name", "args", "kwargs")
_WIDEST = 60


def as_json(value: Any) -> str:
    """Return *value* as one JSON text, whatever is in it."""
    return json.dumps(value, default=str, indent=None, ensure_ascii=False)


def show_reply(reply: Mapping[str, Any], *, body: bool = True) -> None:
    """Write the answer of one node: its name, whether it went well, and what it said."""
    for node, answer in reply.items():
        status, text = _told(answer)
        click.echo(f"{click.style('->', fg='blue')}  {click.style(node, fg='cyan', bold=True)}: {status}")
        if body and text:
            click.echo("\n".join(f"    {line}" for line in text.splitlines()))


def _told(answer: Any) -> tuple[str, str]:
    if isinstance(answer, Mapping) and set(answer) == {"error"}:
        return click.style("ERROR", fg="red", bold=True), str(answer["error"])
    good = click.style("OK", fg="green", bold=True)
    if isinstance(answer, Mapping) and set(answer) == {"ok"}:
        return good, answer["ok"] if isinstance(answer["ok"], str) else _pretty(answer["ok"])
    return good, _pretty(answer)


def _pretty(value: Any) -> str:
    if value is None or value in ([], {}):
        return "- empty -"
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        if all(isinstance(each, Mapping) and _request(each) is not None for each in value):
            return _table(value)
        if not any(isinstance(each, Mapping | list) for each in value):
            return "\n".join(f"* {each}" for each in value)
    return json.dumps(value, default=str, indent=4, ensure_ascii=False, sort_keys=True)


def _request(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the request that *row* is, or holds."""
    request = row.get("request", row)
    return request if isinstance(request, Mapping) and {"id", "name"} <= request.keys() else None


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return requests as a table: id, name, arguments, and the time or the process."""
    has_eta = any("eta" in row for row in rows)
    head = [*_TASK, "eta" if has_eta else "pid"]
    lines = [head]
    for row in rows:
        request = _request(row) or {}
        last = row.get("eta") if has_eta else request.get("worker_pid")
        lines.append([*(_cell(request.get(key)) for key in _TASK), _cell(last)])
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _cell(value: Any) -> str:
    text = "-" if value is None else str(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."


def show_silent(silent: Sequence[str]) -> None:
    """Name the nodes that should have answered."""
    for node in silent:
        click.echo(click.style(f"{node}: no answer", fg="yellow"), err=True)


def count_line(count: int) -> str:
    """Return how many nodes answered."""
    return f"{count} {'node' if count == 1 else 'nodes'} online."
