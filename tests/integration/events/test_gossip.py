"""Workers hear of each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from umbel import Umbel
from umbel.worker import Worker

if TYPE_CHECKING:
    from tests.integration.events.conftest import Listener

Listen = Callable[..., "Listener"]
Until = Callable[..., None]


def node(app: Umbel, name: str, **options: Any) -> Worker:
    return Worker(app, hostname=f"{name}@here", **{"pool": "threads", "concurrency": 1, **options})


def test_peers_are_known_by_what_they_tell(umbel_app: Umbel, until: Until) -> None:
    joined: list[str] = []
    left: list[str] = []
    with node(umbel_app, "a", heartbeat_interval=0.05) as a:
        until(lambda: a.gossip.is_listening)
        a.gossip.on_node_join.add(joined.append)
        a.gossip.on_node_leave.add(left.append)
        assert a.gossip.peers() == {}
        with node(umbel_app, "b", heartbeat_interval=0.05) as b:
            until(lambda: list(a.gossip.peers()) == ["b@here"], "a heard b")
            until(lambda: list(b.gossip.peers()) == ["a@here"], "b heard a")
            first = a.gossip.peers()["b@here"]
            until(lambda: a.gossip.peers().get("b@here", first) > first, "a heard b again")
        until(lambda: a.gossip.peers() == {}, "a heard b go")
    assert (joined, left) == (["b@here"], ["b@here"])


def test_a_peer_that_falls_silent_is_missed(umbel_app: Umbel, until: Until) -> None:
    lost: list[str] = []
    with node(umbel_app, "a") as a:
        until(lambda: a.gossip.is_listening)
        a.gossip.on_node_lost.add(lost.append)
        with umbel_app.events.Dispatcher(hostname="ghost@there") as dispatcher:
            dispatcher.send("worker-online", freq=0.05)
        until(lambda: lost == ["ghost@there"], "a missed the ghost")
        assert a.gossip.peers() == {}


def test_the_logical_clock_follows_that_of_the_peers(umbel_app: Umbel, until: Until) -> None:
    with node(umbel_app, "a") as a, umbel_app.events.Dispatcher(hostname="ghost@there") as dispatcher:
        until(lambda: a.gossip.is_listening)
        dispatcher.send("worker-online", freq=60.0, clock=123_456_789)
        until(lambda: "ghost@there" in a.gossip.peers(), "a heard the ghost")
        assert umbel_app.clock.value > 123_456_789


def test_an_election_has_one_winner(umbel_app: Umbel, listen: Listen, until: Until) -> None:
    done: list[str] = []

    @umbel_app.task
    def lead(by: str) -> None:
        done.append(by)

    ears = listen(umbel_app, "worker.#")
    with node(umbel_app, "a", heartbeat_interval=0.05) as a, node(umbel_app, "b", heartbeat_interval=0.05) as b:
        until(lambda: a.gossip.peers() and b.gossip.peers(), "they heard each other")
        for worker in (a, b):
            worker.gossip.election("e1", "task", lead.s(worker.node))
        ears.until(lambda heard: [each["type"] for each in heard].count("worker-elect-ack") == 4)
        until(lambda: done, "one was elected")
    requests = [event for event in ears.heard if event["type"] == "worker-elect"]
    first = min(requests, key=lambda event: event["clock"])
    assert done == [first["hostname"]]
    assert first.keys() >= {"id", "topic", "action", "cver", "clock", "pid"}


def test_a_signature_that_all_workers_hear_of_is_called_by_one(umbel_app: Umbel, until: Until) -> None:
    """``Signature.election`` of the manual's list: whoever is elected sends it, under the id that the caller has."""
    done: list[tuple[int, int]] = []

    @umbel_app.task
    def lead(x: int, y: int) -> int:
        done.append((x, y))
        return x + y

    with node(umbel_app, "a", heartbeat_interval=0.05) as a, node(umbel_app, "b", heartbeat_interval=0.05) as b:
        until(lambda: a.gossip.peers() and b.gossip.peers(), "they heard each other")
        call = lead.s(2, 3)
        result = call.election()
        assert result.get(timeout=20) == 5
        chained = (lead.s(1, 1) | lead.s(10)).election()
        assert chained.get(timeout=20) == 12
        assert "task_id" not in call.options
    assert done == [(2, 3), (1, 1), (2, 10)]


def test_a_worker_acknowledges_an_election_of_others(umbel_app: Umbel, listen: Listen, until: Until) -> None:
    ears = listen(umbel_app, "worker.#")
    with node(umbel_app, "a") as a, umbel_app.events.Dispatcher(hostname="other@there") as dispatcher:
        until(lambda: a.gossip.is_listening)
        dispatcher.send("worker-elect", id="x", topic="task", action=None, cver=1)
        heard = ears.until(lambda heard: "worker-elect-ack" in [each["type"] for each in heard])
    [ack] = [event for event in heard if event["type"] == "worker-elect-ack"]
    assert (ack["id"], ack["hostname"]) == ("x", "a@here")
