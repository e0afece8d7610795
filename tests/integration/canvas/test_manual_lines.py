"""What the manual's lists of the canvas name and no other test does."""

from __future__ import annotations

from typing import Any

import pytest

from umbel import Task, Umbel, chain, chord, group
from umbel.canvas import StampingVisitor, maybe_subtask, signature, subtask

SOON_S = 20


class Marker(StampingVisitor):
    """Notes what it is asked about, and stamps links."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def on_signature(self, sig: Any, **headers: Any) -> dict[str, Any]:
        self.asked.append(f"signature {sig.task}")
        return {"of": sig.task}

    def on_errback(self, errback: Any, **headers: Any) -> dict[str, Any]:
        self.asked.append(f"errback {errback.task}")
        return {"mourns": True}

    def on_callback(self, callback: Any, **headers: Any) -> dict[str, Any]:
        self.asked.append(f"callback {callback.task}")
        return {"cheers": True}

    def on_chain_start(self, sig: Any, **headers: Any) -> dict[str, Any]:
        self.asked.append("chain start")
        return {"chained": True}

    def on_chain_end(self, sig: Any, **headers: Any) -> None:
        self.asked.append("chain end")

    def on_group_start(self, sig: Any, **headers: Any) -> dict[str, Any]:
        self.asked.append("group start")
        return {"grouped": True}

    def on_group_end(self, sig: Any, **headers: Any) -> None:
        self.asked.append("group end")

    def on_chord_header_start(self, sig: Any, **headers: Any) -> dict[str, Any]:
        self.asked.append("header start")
        return {"in_header": True}

    def on_chord_header_end(self, sig: Any, **headers: Any) -> None:
        self.asked.append("header end")

    def on_chord_body(self, sig: Any, **headers: Any) -> dict[str, Any]:
        self.asked.append("body")
        return {"in_body": True}


def test_each_method_of_a_stamping_visitor_is_asked(tasks: Any) -> None:
    """[2.7 StampingVisitor]"""
    marker = Marker()
    work = chain(tasks.add.s(1, 1), tasks.ident.s())
    work.stamp(marker)
    assert marker.asked == ["chain start", "signature add", "signature ident", "chain end"]
    marker.asked.clear()
    group(tasks.add.s(1, 1)).stamp(marker)
    assert marker.asked == ["group start", "signature add", "group end"]
    marker.asked.clear()
    chord([tasks.add.s(1, 1)], tasks.total.s()).stamp(marker)
    asked = [each for each in marker.asked if not each.startswith("group")]
    assert asked == ["header start", "signature add", "header end", "body", "signature total"]


def test_links_are_stamped_without_the_task_that_has_them(tasks: Any) -> None:
    """[2.7 stamp_links, on_callback, on_errback]"""
    sig = tasks.add.s(1, 1)
    sig.link(tasks.note.s())
    sig.link_error(tasks.handle.s())
    marker = Marker()
    sig.stamp_links(marker, order=7)
    (callback,), (errback,) = sig.options["link"], sig.options["link_error"]
    assert {"cheers", "order"} <= set(callback["options"]["stamped_headers"])
    assert {"mourns", "order"} <= set(errback["options"]["stamped_headers"])
    assert "stamped_headers" not in sig.options
    assert {"callback note", "errback handle"} <= set(marker.asked)


def test_the_built_in_tasks_of_the_canvas_may_be_called(umbel_app: Umbel, tasks: Any, umbel_worker: Any) -> None:
    """[2.7 built-in tasks] ``celery.accumulate`` and ``celery.backend_cleanup``; the others have tests of their own."""
    accumulate: Any = umbel_app.send_task("celery.accumulate", [1, 2, 3])
    assert accumulate.get(timeout=SOON_S) == [1, 2, 3]
    second: Any = umbel_app.send_task("celery.accumulate", ["a", "b"], {"index": 1})
    assert second.get(timeout=SOON_S) == "b"
    cleanup = umbel_app.signature("celery.backend_cleanup")
    done: Any = (cleanup.set(ignore_result=False, immutable=True) | tasks.ident.si("clean")).delay()
    assert done.get(timeout=SOON_S) == "clean"


def test_joining_natively_is_joining(tasks: Any, umbel_worker: Any) -> None:
    """[2.7 ResultSet] [B557]: each store answers for many results at once, so there is one way."""
    result = group(tasks.add.s(i, i) for i in range(4)).delay()
    assert result.join_native(timeout=SOON_S) == result.join(timeout=SOON_S) == [0, 2, 4, 6]
    assert result.supports_native_join


def test_subtasks_by_their_old_names(umbel_app: Umbel, tasks: Any, umbel_worker: Any) -> None:
    """[A313] [A314] [A315] [A316] [A317]"""
    one = subtask(tasks.add, args=(4,), kwargs={}, options={"countdown": 0})
    assert one == subtask(dict(one)) == signature(dict(one))
    assert maybe_subtask(None) is None
    assert one.delay(3).get(timeout=SOON_S) == 7
    assert tasks.add.subtask((4,)).apply((3,)).get() == 7

    @umbel_app.task(name="calls", bind=True)
    def calls(self: Task[..., Any], value: int, callback: Any = None) -> int:
        if callback is not None:
            subtask(callback).delay(value)
        return value

    calls.delay(8, callback=tasks.note.s("given as an argument"))
    assert tasks.wait(1) == [(8, "given as an argument")]


def test_a_handler_that_does_not_call_its_base_keeps_no_chord_open(
    umbel_app: Umbel, tasks: Any, umbel_worker: Any
) -> None:
    """[A339] was a trap of chords on Redis; [A334]: the id that sending gives is the body's."""

    class Quiet(Task[..., Any]):
        abstract = True

        def after_return(self, *args: Any, **kwargs: Any) -> None:
            """Nothing, and the base is not asked."""

    member = umbel_app.task(name="member", base=Quiet)(lambda value: value)
    body = tasks.total.s().set(task_id="the-body")
    result = chord([member.s(i) for i in range(3)], body).delay()
    assert (result.id, result.get(timeout=SOON_S)) == ("the-body", 3)


@pytest.mark.parametrize("make", [list, iter, tuple])
def test_a_header_may_be_anything_that_yields_signatures(tasks: Any, umbel_worker: Any, make: Any) -> None:
    """[A331] [A332]"""
    assert chord(make([tasks.add.s(i, i) for i in range(5)]))(tasks.ident.s()).get(timeout=SOON_S) == [0, 2, 4, 6, 8]


def test_a_long_chain_whose_steps_retry_are_replaced_and_fail(umbel_app: Umbel, tasks: Any, umbel_worker: Any) -> None:
    """What follows is handed on unread; a step that needs to know it (a retry, a replacement, an end) reads it."""

    @umbel_app.task(name="replacing", bind=True)
    def replacing(self: Task[..., Any], value: int) -> Any:
        return self.replace(chain(tasks.add.s(value, 1), tasks.add.s(1)))

    @umbel_app.task(name="dropping", bind=True)
    def dropping(self: Task[..., Any], value: int) -> int:
        assert self.request.chain is not None
        del self.request.chain[1:]  # the last step stands first
        return value

    def steps(*odd: Any) -> list[Any]:
        return [tasks.add.s(1) for _ in range(15)] + list(odd) + [tasks.add.s(1) for _ in range(15)]

    assert chain(tasks.ident.s(0), *steps(tasks.flaky.s(), replacing.s())).delay().get(timeout=SOON_S) == 32
    members = [
        chain(tasks.ident.s(0), *steps(group(tasks.add.s(1), tasks.add.s(2)), tasks.total.s())) for _ in range(2)
    ]
    assert chord(members, tasks.total.s()).delay().get(timeout=SOON_S) == 2 * (2 * 15 + 3 + 15)
    failing = chain(tasks.ident.s(0), *steps(tasks.fail.s())).on_error(tasks.handle.s())
    result = failing.delay()
    assert repr(result.get(timeout=SOON_S, propagate=False)) == "Broken('because')"
    assert [name for name, *_ in tasks.wait(1)] == ["handle"]
    chain(tasks.ident.s(0), *steps(dropping.s()), tasks.note.s()).delay()
    assert tasks.wait(2)[1] == (15,)
