from __future__ import annotations

import decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.context import HEADERS
from umbel.model import ChordPart, Delivery, Exchange, Message, Publication, Queue, TaskMeta
from umbel.worker import frames
from umbel.worker.parking import own_headers, parked_info, parked_publication, unparked

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)
headers = st.dictionaries(st.text(), json_values, max_size=6)


@given(st.binary(max_size=200), headers, headers, st.integers(0, 7))
def test_a_job_comes_out_as_it_went_in(
    body: bytes, head: dict[str, Any], properties: dict[str, Any], flags: int
) -> None:
    delivery = Delivery(Message(body, head, properties, "a/b", "utf-8"), "q", 1, "x", "rk", 3, 2, True)
    frame = frames.decode_job(frames.encode_job(delivery, flags))
    assert frame == (flags, head, properties, "a/b", "utf-8", body, ("q", "x", "rk", 3, True, 2))
    assert frames.decode_job(frames.encode_job(delivery, flags, 9)).delivery[5] == 9


def test_a_complete_set_of_headers_travels_as_its_values() -> None:
    head: dict[str, Any] = {name: name.upper() for name in reversed(HEADERS)}
    data = frames.encode_job(Delivery(Message(b"", head), "q", 1))
    assert b"parent_id" not in data
    assert frames.decode_job(data).headers == head
    with_own = {**head, "x": 1}
    assert frames.decode_job(frames.encode_job(Delivery(Message(b"", with_own), "q", 1))).headers == with_own


def test_nineteen_other_headers_are_kept() -> None:
    head = {f"h{number}": number for number in range(len(HEADERS))}
    assert frames.decode_job(frames.encode_job(Delivery(Message(b"", head), "q", 1))).headers == head


def test_what_marshal_cannot_hold_goes_by_pickle() -> None:
    delivery = Delivery(Message(b"", {"price": decimal.Decimal("1.5")}), "q", 1)
    assert frames.decode_job(frames.encode_job(delivery)).headers == {"price": decimal.Decimal("1.5")}


def test_a_plain_success_is_one_byte() -> None:
    assert frames.encode_outcome(frames.SUCCEEDED) == frames.DONE
    assert frames.encode_outcome(frames.IGNORED) != frames.DONE


@pytest.mark.parametrize("queue", [None, Queue(name="q", exchange=Exchange(name="e", kind="topic"), max_priority=5)])
def test_an_outcome_comes_out_as_it_went_in(queue: Queue | None) -> None:
    meta = TaskMeta("id", "SUCCESS", b"{}", attempt=2, expires_s=1.5, reply_to="me")
    part = ChordPart("g", "id", 1, "SUCCESS", b"1", b"body", 3, 60.0)
    publication = Publication(Message(b"b", {"task": "t"}), queue, "e", "rk", 12.5, 4, 99.0)
    codec = frames.QueueCodec()
    data = frames.encode_outcome(frames.FAILED, [meta], [codec.pack(publication)], [part], "why", ("n", 0.1))
    outcome = frames.decode_outcome(data)
    assert (outcome.kind, outcome.reason, outcome.report) == (frames.FAILED, "why", ("n", 0.1))
    assert attrs.asdict(TaskMeta(*outcome.metas[0])) == attrs.asdict(meta)
    assert attrs.asdict(ChordPart(*outcome.parts[0])) == attrs.asdict(part)
    back = frames.QueueCodec().unpack(outcome.publications[0])
    assert attrs.asdict(back, recurse=False) == {
        **attrs.asdict(publication, recurse=False),
        "message": back.message,
    }
    assert back.message.headers == {"task": "t"}


def test_a_queue_is_pickled_once() -> None:
    codec = frames.QueueCodec()
    queue = Queue(name="q")
    first = codec.pack(Publication(Message(b""), queue))
    second = codec.pack(Publication(Message(b""), queue))
    assert first[5] is second[5]
    reader = frames.QueueCodec()
    assert reader.unpack(first).queue is reader.unpack(second).queue


def test_queue_tables_are_bounded() -> None:
    codec, reader = frames.QueueCodec(), frames.QueueCodec()
    for number in range(3000):
        reader.unpack(codec.pack(Publication(Message(b""), Queue(name=f"q{number}"))))
    assert len(codec._packed) <= 1000
    assert len(reader._unpacked) <= 1000


def test_a_parked_message_goes_back_as_it_was() -> None:
    message = Message(b"\xff", {"task": "t", "id": "1", "x-umbel-deliveries": 3}, {"expiration": "5"}, "x/y", "binary")
    delivery = Delivery(message, "q", 1, "ex", "rk", 7, 4)
    parked = parked_publication(delivery, "crashed", "it died" * 5000)
    assert parked.queue is not None
    assert parked.queue.name == "q.parked"
    assert "expiration" not in parked.message.properties
    info = parked_info(Delivery(parked.message, "q.parked", 1))
    assert (info.task_id, info.name, info.reason, info.queue, info.count) == ("1", "t", "crashed", "q", 4)
    assert len(info.error) == 4000
    back = unparked(Delivery(parked.message, "q.parked", 1))
    assert (back.queue and back.queue.name, back.exchange, back.routing_key, back.priority) == ("q", "ex", "rk", 7)
    assert back.message.headers == {"task": "t", "id": "1"}
    assert back.message.body == b"\xff"
    elsewhere = unparked(Delivery(parked.message, "q.parked", 1), Queue(name="other"))
    assert (elsewhere.exchange, elsewhere.routing_key) == ("", "other")


def test_a_parked_message_is_not_parked_deeper() -> None:
    parked = parked_publication(Delivery(Message(b"", {}), "q.parked", 1), "invalid", "")
    assert parked.queue is not None
    assert parked.queue.name == "q.parked"


def test_a_foreign_message_in_a_parked_queue_can_be_listed() -> None:
    info = parked_info(Delivery(Message(b"", {}, {"correlation_id": "c"}), "q.parked", 1))
    assert (info.task_id, info.name, info.reason, info.queue) == ("c", "", "unknown", "q")
    assert own_headers(Message(b"", {"a": 1, "x-umbel-parked-at": 2.0})) == {"a": 1}
