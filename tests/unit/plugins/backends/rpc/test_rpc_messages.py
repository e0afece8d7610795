"""A result as a message: WIRE 5.3."""

from __future__ import annotations

import pickle

import pytest

from umbel.model import Message, TaskMeta
from umbel_backend_rpc.backend import decode, encode

PAYLOAD = b'{"status": "SUCCESS", "result": 5, "traceback": null, "children": [], "task_id": "rpc-1"}'


@pytest.mark.parametrize(("persistent", "mode"), [(False, 1), (True, 2)])
def test_the_message_is_that_of_celery(persistent: bool, mode: int) -> None:
    publication = encode(TaskMeta("rpc-1", "SUCCESS", PAYLOAD, reply_to="me"), persistent=persistent)
    assert (publication.exchange, publication.routing_key, publication.queue) == ("", "me", None)
    message = publication.message
    assert (message.body, message.headers) == (PAYLOAD, {})
    assert message.properties == {"correlation_id": "rpc-1", "delivery_mode": mode}
    assert (message.content_type, message.content_encoding) == ("application/json", "utf-8")


@pytest.mark.parametrize("state", ["SUCCESS", "FAILURE", "RETRY", "STARTED", "REVOKED"])
def test_the_state_is_found_in_every_serializer(state: str) -> None:
    document = {"status": state, "result": None, "task_id": "1"}
    bodies = [b'{ "status":"%b", "result": "FAILURE"}' % state.encode(), pickle.dumps(document)]
    for body in bodies:
        meta = decode(Message(body, {}, {"correlation_id": "1"}))
        assert meta is not None
        assert (meta.task_id, meta.state, meta.payload) == ("1", state, body)


def test_states_of_the_users_own_are_kept() -> None:
    meta = decode(Message(b'{"status": "PROGRESS", "result": 1}', {}, {"correlation_id": "1"}))
    assert meta is not None
    assert (meta.state, meta.is_final) == ("PROGRESS", False)


@pytest.mark.parametrize("message", [Message(b"garbage", {}, {"correlation_id": "1"}), Message(PAYLOAD, {}, {})])
def test_what_is_no_result_is_passed_over(message: Message) -> None:
    assert decode(message) is None
