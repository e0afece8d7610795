"""The same tasks for both kinds of worker: *app* is a Celery or an Umbel application."""

from __future__ import annotations

import json
import os
from typing import Any

import redis


class DeclaredError(Exception):
    """An error that only the workers' program knows."""


def note(key: str, value: object) -> None:
    """Leave word for the test."""
    with redis.Redis.from_url(os.environ["INTEROP_NOTES"]) as client:
        client.rpush(key, json.dumps(value))


def define(app: Any, kind: str) -> None:
    @app.task(name="shared.add")
    def add(x: Any, y: Any) -> Any:
        return x + y

    @app.task(name="shared.total")
    def total(numbers: Any) -> Any:
        return sum(numbers)

    @app.task(name="shared.same")
    def same(value: Any) -> Any:
        return value

    @app.task(name="shared.fail")
    def fail(kind: Any = "ValueError") -> None:
        raise {"ValueError": ValueError, "KeyError": KeyError, "DeclaredError": DeclaredError}[kind]("deliberate", 42)

    @app.task(name="shared.flaky", bind=True, max_retries=5)
    def flaky(self: Any, failures: Any) -> Any:
        if self.request.retries < failures:
            raise self.retry(countdown=0.05, exc=OSError("not yet"))
        return [kind, self.request.retries]

    @app.task(name="shared.hopeless", bind=True, max_retries=1)
    def hopeless(self: Any) -> None:
        raise self.retry(countdown=0.05, exc=OSError("never"))

    @app.task(name="shared.who", bind=True)
    def who(self: Any, value: Any = None) -> Any:
        return [kind, value]

    @app.task(name="shared.join_who")
    def join_who(parts: Any) -> Any:
        return [kind, parts]

    @app.task(name="shared.request", bind=True)
    def request(self: Any) -> Any:
        seen = self.request
        info = seen.delivery_info or {}
        return {
            "kind": kind,
            "id": seen.id,
            "root_id": seen.root_id,
            "parent_id": seen.parent_id,
            "retries": seen.retries,
            "x-own": (seen.headers or {}).get("x-own") or getattr(seen, "x-own", None),
            "priority": info.get("priority"),
            "routing_key": info.get("routing_key"),
            "correlation_id": seen.correlation_id,
            "timelimit": list(seen.timelimit or ()),
        }

    @app.task(name="shared.note")
    def note_task(value: Any, key: Any) -> None:
        note(key, [kind, value])

    @app.task(name="shared.note_error")
    def note_error(request: Any, error: Any, traceback: Any, key: Any) -> None:
        note(key, [kind, request.id, type(error).__name__, list(error.args)])

    @app.task(name="shared.note_failed_id")
    def note_failed_id(task_id: Any) -> None:
        note(f"failed-{task_id}", [kind, task_id])
