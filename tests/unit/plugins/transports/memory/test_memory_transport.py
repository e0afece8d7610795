from __future__ import annotations

import gc
import os
import re
import signal
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.bindings import Bindings
from umbel.exceptions import EncodeError, OperationalError
from umbel.model import Exchange, Message, Publication, Queue, Settlement
from umbel_transport_memory import MemoryTransport
from umbel_transport_memory.space import find_space

QUEUE = Queue(name="q")


class App:
    """Something that can be referred to weakly."""


def opened(name: str, app: object = None) -> MemoryTransport:
    transport = MemoryTransport(f"memory://{name}", app)
    transport.open(1.0)
    return transport


def put(transport: MemoryTransport, body: bytes = b"", queue: Queue = QUEUE, **headers: Any) -> None:
    transport.publish([Publication(Message(body, headers), queue, queue.exchange.name, queue.routing_key)], 1.0)


def test_spaces_of_different_names_are_apart_and_slashes_do_not_count() -> None:
    one, same, other = opened("apart"), opened("apart//"), opened("apart2")
    put(one)
    assert (same.count(["q"]), other.count(["q"])) == ([1], [0])


def test_a_space_goes_with_the_last_application_that_used_it() -> None:
    first, second = App(), App()
    put(opened("going", first))
    assert opened("going", second).count(["q"]) == [1]
    del first
    gc.collect()
    assert opened("going", second).count(["q"]) == [1]
    del second
    gc.collect()
    assert opened("going", App()).count(["q"]) == [0]


def test_without_an_application_a_space_stays() -> None:
    put(opened("staying"))
    gc.collect()
    assert opened("staying").count(["q"]) == [1]


def test_an_unopened_transport_says_so() -> None:
    with pytest.raises(OperationalError, match=r"expected memory://x to be open"):
        MemoryTransport("memory://x").publish([], 1.0)


def test_a_forked_child_is_told_that_nobody_would_see_its_messages() -> None:
    transport = opened("forked")
    put(transport)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover
        for attempt in (lambda: put(transport), lambda: opened("forked")):
            try:
                attempt()
                os.write(writer, b"nothing raised;")
            except OperationalError as error:
                os.write(writer, str(error).encode() + b";")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        answers = pipe.read().decode().split(";")[:2]
    assert all(re.match(r"expected memory://forked .* choose a pool .*\(threads", answer) for answer in answers), (
        answers
    )


def test_headers_come_out_as_any_other_broker_would_give_them() -> None:
    transport = opened("fidelity")
    put(transport, headers_tuple=(1, 2))
    [delivery] = transport.consume([QUEUE], 0, "w").receive(1, 1.0)
    assert delivery.message.headers == {"headers_tuple": [1, 2]}
    with pytest.raises(EncodeError, match="expected the headers"):
        put(transport, a={1, 2})


def test_a_queues_own_time_to_live() -> None:
    queue = Queue(name="short", message_ttl_s=0.05)
    transport = opened("ttl")
    put(transport, queue=queue)
    clock = transport.consume([Queue(name="clock")], 0, "w")
    assert not clock.receive(1, 0.1)
    assert not transport.consume([queue], 0, "w").receive(1, 0)


def test_an_auto_delete_queue_goes_with_its_last_consumer() -> None:
    exchange = Exchange(name="events", kind="fanout")
    queue = Queue(name="listener", exchange=exchange, auto_delete=True)
    transport = opened("auto")
    first, second = (transport.consume([queue], 0, "w") for _ in range(2))
    first.close()
    event = Publication(Message(b""), None, "events", "")
    transport.publish([event], 1.0)
    assert transport.count(["listener"]) == [1]
    second.close()
    transport.publish([event], 1.0)
    assert transport.count(["listener"]) == [0]


def test_a_foreign_tag_is_passed_over() -> None:
    transport = opened("foreign")
    put(transport)
    [delivery] = transport.consume([QUEUE], 0, "w").receive(1, 1.0)
    delivery.tag = "somebody else's"
    transport.settle(Settlement(acks=[delivery], requeues=[delivery]))


def test_it_is_quick_enough_to_be_the_ground_of_many_tests() -> None:
    transport = opened("quick")
    consumer = transport.consume([QUEUE], 0, "w")
    started = time.process_time()
    for _ in range(2000):
        put(transport, b"x" * 100, lang="py", task="tasks.add", id="1" * 36)
    for _ in range(20):
        consumer.settle(Settlement(acks=consumer.receive(100, 1.0)))
    assert time.process_time() - started < 1.0


def matches_slowly(pattern: list[str], key: list[str]) -> bool:
    """AMQP's definition, word by word."""
    if not pattern:
        return not key
    if pattern[0] == "#":
        return any(matches_slowly(pattern[1:], key[skip:]) for skip in range(len(key) + 1))
    return bool(key) and pattern[0] in {"*", key[0]} and matches_slowly(pattern[1:], key[1:])


@given(
    st.lists(st.sampled_from(["a", "b", "*", "#", "a+"]), min_size=1, max_size=5),
    st.lists(st.sampled_from(["a", "b", "a+", "aa"]), min_size=1, max_size=5),
)
def test_topic_patterns_mean_what_amqp_says(pattern: list[str], key: list[str]) -> None:
    bindings = Bindings()
    bindings.declare(Queue(name="q", exchange=Exchange(name="x", kind="topic"), routing_key=".".join(pattern)))
    assert bool(bindings.route("x", ".".join(key), {})) == matches_slowly(pattern, key)


def test_find_space_gives_the_same_space() -> None:
    app = App()
    assert find_space("same", app) is find_space("same", app)
