"""A command goes to the workers, and their answers come back, over every broker with fan-out."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import pytest

from umbel.exceptions import DuplicateNodenameWarning, TransportError
from umbel.model import Message, Publication
from umbel.protocol.control import control_exchange, reply_queue

S = 0.5


def test_every_worker_answers_a_ping(site: Any) -> None:
    """[A279] [A270] [B963]."""
    site.worker("w1@here")
    site.worker("w2@here")
    replies = site.app.control.ping(timeout=2 * S)
    assert sorted(replies, key=str) == [{"w1@here": {"ok": "pong"}}, {"w2@here": {"ok": "pong"}}]
    assert site.app.control.ping(["w2@here"], timeout=2 * S) == [{"w2@here": {"ok": "pong"}}]


def test_calls_in_a_row_each_get_their_answer(site: Any) -> None:
    site.worker()
    for _ in range(3):
        assert site.app.control.ping(["w1@here"], timeout=5.0) == [{"w1@here": {"ok": "pong"}}]


def test_nobody_there_is_an_empty_answer(site: Any) -> None:
    assert site.app.control.ping(timeout=0.2) == []
    assert site.app.control.inspect(timeout=0.2).active() is None


def test_a_destination_that_answers_ends_the_wait(memory_site: Any) -> None:
    memory_site.worker("w1@here")
    memory_site.worker("w2@here")
    began = time.monotonic()
    assert memory_site.app.control.ping(["w1@here"], timeout=20) == [{"w1@here": {"ok": "pong"}}]
    assert memory_site.app.control.ping(timeout=20, limit=1) in (
        [{"w1@here": {"ok": "pong"}}],
        [{"w2@here": {"ok": "pong"}}],
    )
    assert time.monotonic() - began < 20


def test_a_destination_that_is_silent_is_named(memory_site: Any) -> None:
    memory_site.worker("w1@here")
    replies = memory_site.app.control.ping(["w1@here", "gone@here"], timeout=S)
    assert replies == [{"w1@here": {"ok": "pong"}}]
    assert replies.silent == ["gone@here"]


def test_workers_are_chosen_by_pattern(memory_site: Any) -> None:
    for name in ("mail1@here", "mail2@here", "web@here"):
        memory_site.worker(name)
    control = memory_site.app.control
    assert set(control.inspect(pattern="mail*", matcher="glob", timeout=S).ping()) == {"mail1@here", "mail2@here"}
    assert set(control.inspect(pattern=r"^w\w+@", matcher="pcre", timeout=S).ping()) == {"web@here"}


def test_a_call_ends_when_all_who_live_have_answered(memory_site: Any, until: Any) -> None:
    """They know each other by their heartbeats; the time that is allowed is not used up."""
    workers = [memory_site.worker(f"w{number}@here") for number in range(3)]
    names = [worker.node for worker in workers]
    for worker in workers:
        until(lambda worker=worker: sorted(worker.control.peers() or ()) == names, "knowing all peers")
    began = time.monotonic()
    assert sorted(memory_site.app.control.inspect(timeout=60.0).ping()) == names
    assert time.monotonic() - began < 30.0
    workers[0].control.listener.stop()  # it lives, and hears nothing
    replies = memory_site.app.control.ping(timeout=S)
    assert replies.silent == ["w0@here"]
    assert len(replies) == 2


def test_each_reply_is_given_to_the_callback(memory_site: Any) -> None:
    """[B566]."""
    memory_site.worker("w1@here")
    seen: list[Any] = []
    memory_site.app.control.ping(["w1@here"], callback=seen.append)
    assert seen == [{"w1@here": {"ok": "pong"}}]


def test_an_unknown_command_is_answered_with_the_nearest_one(memory_site: Any) -> None:
    """[B987]."""
    memory_site.worker()
    [reply] = memory_site.app.control.broadcast("pinng", reply=True, destination=["w1@here"])
    assert reply["w1@here"]["error"] == "KeyError('pinng'): no such command; did you mean 'ping'?"


def test_wrong_arguments_are_answered_with_the_usage(memory_site: Any) -> None:
    memory_site.worker()
    [reply] = memory_site.app.control.broadcast("revoke", {"nonsense": 1}, reply=True, destination=["w1@here"])
    assert "task_id" in reply["w1@here"]["error"]
    assert "usage: revoke [id1" in reply["w1@here"]["error"]


def publish(app: Any, exchange: str, routing_key: str, body: bytes, headers: dict[str, Any], **fields: Any) -> None:
    with contextlib.closing(app.open_transport()) as transport:
        transport.publish([Publication(Message(body, headers, {}, **fields), None, exchange, routing_key)], 5.0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"ping"',
        b'{"method": 3}',
        b'{"method": "ping", "arguments": [1]}',
        b'{"method": "ping", "destination": {"a": 1}}',
        b'{"method": "ping", "reply_to": {"exchange": 7}}',
        b'{"method": "ping", "pattern": "[", "matcher": "pcre"}',
        b'{"method": "ping", "pattern": "x", "matcher": "soup"}',
        b'{"method": "ping", "ticket": "t", "reply_to": {"exchange": "nowhere", "routing_key": "k"}}',
    ],
)
def test_a_malformed_message_harms_no_worker(memory_site: Any, body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    memory_site.worker()
    exchange = control_exchange(memory_site.app.conf).name
    publish(memory_site.app, exchange, "", body, {"clock": "late", "expires": []})
    publish(memory_site.app, exchange, "", body, {}, content_type="application/x-python-serialize")
    assert memory_site.app.control.ping(["w1@here"], timeout=10) == [{"w1@here": {"ok": "pong"}}]
    assert "nowhere" in body.decode() or "passed over a control message that cannot be read" in caplog.text


def test_a_reply_to_an_exchange_that_is_not_there_harms_no_worker(site: Any) -> None:
    site.worker()
    site.app.control.ping(["w1@here"])
    body = b'{"method": "ping", "ticket": "t", "reply_to": {"exchange": "nowhere", "routing_key": "k"}}'
    publish(site.app, control_exchange(site.app.conf).name, "", body, {})
    assert site.app.control.ping(["w1@here"], timeout=10) == [{"w1@here": {"ok": "pong"}}]


def test_a_command_that_comes_too_late_is_not_obeyed(memory_site: Any) -> None:
    worker = memory_site.worker()
    exchange = control_exchange(memory_site.app.conf).name
    publish(memory_site.app, exchange, "", b'{"method": "revoke", "arguments": {"task_id": "x"}}', {"expires": 1.0})
    assert memory_site.app.control.ping(["w1@here"], timeout=10)
    assert worker.control.revoked.ids() == []


def test_replies_of_strangers_are_passed_over(memory_site: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What others write into the queue of replies is no answer, whatever it looks like."""
    memory_site.worker()
    app = memory_site.app

    def interfere(reply: dict[str, Any]) -> None:
        exchange = reply_queue(app.conf, "x").exchange.name
        for address in [entry.partition(".reply.")[0] for entry in queues() if ".reply." in entry]:
            for body in (b"garbage", b"[]", b'{"a": 1, "b": 2}', b"{}", b'{"stranger@there": {"ok": "pong"}}'):
                publish(app, exchange, address, body, {"ticket": "another"})

    def queues() -> list[str]:
        transport = app.open_transport()
        with contextlib.closing(transport):
            return list(transport._space._queues)

    replies = app.control.ping(["w1@here", "silent@here"], timeout=S, callback=interfere)
    assert replies == [{"w1@here": {"ok": "pong"}}]
    assert "passed over what is no reply of a worker" in caplog.text


def test_two_workers_of_one_name_are_warned_of_and_told_apart(
    site: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """[B128]: they share no queue, so both hear every command."""
    site.worker("same@here")
    site.worker("same@here")
    assert "another worker named same@here" in caplog.text
    inspect = site.app.control.inspect(timeout=2 * S)
    with pytest.warns(DuplicateNodenameWarning, match=r"same@here \(processes \d+, \d+\)") as caught:
        # More than once: who is slow to answer is not waited for when each name has answered.
        until(lambda: inspect.ping() == {"same@here": {"ok": "pong"}} and len(caught), "both have answered")


def test_workers_of_one_name_on_two_machines_find_out(
    site: Any, until: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """[B1125] by their heartbeats: both warn, and hear every command from then on, on brokers where they share a queue too."""
    for number in range(2):  # what tells of a twin on the same machine is not seen there
        folder = tmp_path / f"machine{number}"
        folder.mkdir(mode=0o700)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
        site.worker("same@here", heartbeat_interval=0.05)
    until(lambda: caplog.text.count("another worker named same@here is at this broker") == 2, "both are warned")

    def both_answer() -> bool:
        replies = site.app.control.ping(timeout=1.0)
        return list(replies or ()) == [{"same@here": {"ok": "pong"}}] * 2

    until(both_answer, "both answer")


def test_a_broker_without_fanout_says_so(memory_site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from umbel.spi import TransportCapabilities

    transport_type = type(memory_site.app.host.transport(memory_site.app, memory_site.app.broker_url))
    monkeypatch.setattr(transport_type, "capabilities", TransportCapabilities())
    with pytest.raises(TransportError, match="remote control needs a broker with fan-out"):
        memory_site.app.control.ping()
