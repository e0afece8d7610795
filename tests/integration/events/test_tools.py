"""Dispatchers, receivers, cameras, and what comes in that is no event."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from umbel import OperationalError, Umbel
from umbel.events import EventDispatcher, EventReceiver, State
from umbel.events.dumper import Dumper, evdump, humanize_type
from umbel.events.snapshot import Polaroid, evcam, least_interval_s, load_camera
from umbel.exceptions import EncodeError, ImproperlyConfigured
from umbel.model import Message, Publication
from umbel.testing.proxy import TcpProxy
from umbel.testing.servers import RedisServer
from umbel.worker import Worker
from umbel.worker.events import belt as belt_module
from umbel.worker.events.belt import EventBelt

if TYPE_CHECKING:
    from tests.integration.events.conftest import Listener

Listen = Callable[..., "Listener"]
Until = Callable[..., None]


# -- dispatchers and receivers ----------------------------------------------------------------------------------------


def test_a_receiver_gives_each_type_to_its_handler(umbel_app: Umbel) -> None:
    """[A433] [B651] [B652] [B653]."""
    seen: list[tuple[str, str]] = []
    receiver = umbel_app.events.Receiver(
        handlers={
            "custom-one": lambda event: seen.append(("one", event["type"])),
            "*": lambda event: seen.append(("*", event["type"])),
        }
    )
    with receiver, umbel_app.events.Dispatcher() as dispatcher:
        for kind in ("custom-one", "custom-two", "custom-three"):
            dispatcher.send(kind)
        receiver.capture(limit=2, timeout=20)
        assert seen == [("one", "custom-one"), ("*", "custom-two")]
        assert [event["type"] for event in receiver.itercapture(limit=1)] == ["custom-three"]
        with pytest.raises(TimeoutError):
            receiver.capture(timeout=0.01)


def test_a_receiver_can_be_stopped_from_elsewhere(umbel_app: Umbel) -> None:
    receiver = umbel_app.events.Receiver()
    receiver.open()
    thread = threading.Thread(target=receiver.capture)
    thread.start()
    receiver.stop()
    thread.join(20)
    assert not thread.is_alive()
    receiver.close()


def test_a_switched_off_dispatcher_sends_nothing_and_opens_nothing(umbel_app: Umbel) -> None:
    """[B648] [B649] [B1147]."""
    said: list[str] = []
    with umbel_app.events.Receiver() as receiver:
        dispatcher = umbel_app.events.Dispatcher(enabled=False)
        dispatcher.on_enabled.add(lambda: said.append("on"))
        dispatcher.on_disabled.add(lambda: said.append("off"))
        dispatcher.send("custom-lost")
        assert dispatcher._line._transport is None
        dispatcher.enable()
        dispatcher.groups = {"worker"}
        dispatcher.send("custom-lost")
        dispatcher.send("worker-thing")
        dispatcher.disable()
        dispatcher.send("worker-lost")
        dispatcher.publish("custom-forced", {"n": 1})
        found = [event["type"] for event in receiver.itercapture(limit=2, timeout=20)]
        dispatcher.close()
    assert (found, said) == (["worker-thing", "custom-forced"], ["on", "off"])


def test_groups_of_events_can_wait_for_company(umbel_app: Umbel) -> None:
    told: list[int] = []
    with (
        umbel_app.events.Receiver() as receiver,
        umbel_app.events.Dispatcher(
            buffer_group=["task"], buffer_limit=3, on_send_buffered=lambda: told.append(1)
        ) as dispatcher,
    ):
        for number in range(4):
            dispatcher.send("task-thing", uuid=str(number))
        assert [event["uuid"] for event in receiver.itercapture(limit=3, timeout=20)] == ["0", "1", "2"]
        dispatcher.flush()
        assert [event["uuid"] for event in receiver.itercapture(limit=1, timeout=20)] == ["3"]
    assert told == [1, 1, 1]


def through(proxy: TcpProxy) -> Umbel:
    return Umbel(
        "away", broker=f"redis://127.0.0.1:{proxy.port}/9", set_as_current=False, broker_connection_timeout=1.0
    )


def directly(server: RedisServer) -> Umbel:
    return Umbel("direct", broker=f"{server.url.removesuffix('/0')}/9", set_as_current=False)


def test_events_wait_while_the_broker_is_away(redis_server: RedisServer) -> None:
    """[B1146] [B650]."""
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(TcpProxy("127.0.0.1", redis_server.port))
        app, direct = stack.enter_context(through(proxy)), stack.enter_context(directly(redis_server))
        with direct.events.Receiver() as receiver, direct.events.Dispatcher() as other:
            dispatcher = app.events.Dispatcher()
            dispatcher.send("custom-first")
            proxy.close()
            dispatcher.send("custom-second")
            dispatcher.send("custom-third")
            with pytest.raises(OperationalError):
                app.events.Dispatcher(buffer_while_offline=False).send("custom-lost")
            other.extend_buffer(dispatcher)
            other.flush()
            heard = [event["type"] for event in receiver.itercapture(limit=3, timeout=20, wakeup=False)]
            dispatcher.close()
    assert heard == ["custom-first", "custom-second", "custom-third"]


def test_what_cannot_be_encoded_is_refused_and_not_in_the_way(umbel_app: Umbel) -> None:
    with umbel_app.events.Receiver() as receiver, umbel_app.events.Dispatcher() as dispatcher:
        with pytest.raises(EncodeError):
            dispatcher.send("custom-bad", thing=object())
        dispatcher.send("custom-good")
        assert [event["type"] for event in receiver.itercapture(limit=1, timeout=20)] == ["custom-good"]


def test_tasks_can_send_events_of_their_own(umbel_app: Umbel, listen: Listen) -> None:
    """[B789] [B948] and the state shows them."""
    ears = listen(umbel_app)

    @umbel_app.task(bind=True)
    def work(self: Any) -> None:
        self.send_event("task-progress", percent=50)

    with Worker(umbel_app, pool="threads", concurrency=1, hostname="w@h", task_events=True):
        uuid = work.delay().id
        ears.until_ended(uuid)
        ears.until(lambda heard: "task-progress" in [event["type"] for event in heard])
    [event] = [event for event in ears.heard if event["type"] == "task-progress"]
    assert (event["uuid"], event["percent"], event["hostname"]) == (uuid, 50, "w@h")


def test_default_dispatcher_uses_a_pooled_connection(umbel_app: Umbel) -> None:
    """[B165]."""
    with umbel_app.events.Receiver() as receiver:
        with umbel_app.events.default_dispatcher(hostname="me") as dispatcher:
            dispatcher.send("custom-thing")
        with umbel_app.events.default_dispatcher(enabled=False) as dispatcher:
            dispatcher.send("custom-lost")
        assert [event["hostname"] for event in receiver.itercapture(limit=1, timeout=20)] == ["me"]


def test_the_classes_need_an_application() -> None:
    with pytest.raises(TypeError, match=r"app\.events\.Receiver"):
        EventReceiver()
    with pytest.raises(TypeError, match=r"app\.events\.Dispatcher"):
        EventDispatcher()


def test_an_exclusive_queue_cannot_be_durable(umbel_app: Umbel) -> None:
    receiver = umbel_app.events.Receiver(queue_exclusive=True, queue_durable=True)
    with pytest.raises(ImproperlyConfigured, match="exclusive and durable"):
        receiver.open()


# -- bad input --------------------------------------------------------------------------------------------------------

GARBAGE = [
    b"\xff\xfe not json",
    b'"text"',
    b"17",
    b"[17]",
    b"{}",
    b'{"type": 5}',
    b'{"type": ""}',
    b'{"type": "task-sent", "clock": "late"}',
    b'{"type": "task-sent", "timestamp": [1]}',
    b'{"type": "task-sent", "uuid": {"a": 1}}',
    b'{"type": "worker-online", "hostname": 5}',
    b'{"type": "worker-online", "timestamp": NaN}',
    b"[" * 5000,
]


@pytest.mark.parametrize("body", GARBAGE)
def test_what_is_no_event_is_dropped(umbel_app: Umbel, body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    state = umbel_app.events.State()
    with umbel_app.events.Receiver(handlers={"*": state.event}) as receiver:
        with umbel_app.events.Dispatcher() as dispatcher, contextlib.closing(umbel_app.open_transport()) as transport:
            bad = Publication(Message(body), None, umbel_app.conf.event_exchange, "task.sent")
            unreadable = Publication(
                Message(b"x", content_type="application/x-python-serialize"), None, umbel_app.conf.event_exchange, "a.b"
            )
            transport.publish([bad, unreadable], 5.0)
            dispatcher.send("custom-good")
        assert [event["type"] for event in receiver.itercapture(limit=1, timeout=20)] == ["custom-good"]
        assert receiver.malformed == 2
    assert "dropped a message that is no event" in caplog.text


def test_a_worker_hears_garbage_unharmed(umbel_app: Umbel, until: Until) -> None:
    odd = [
        {"type": "worker-heartbeat", "hostname": "x@y", "freq": "often", "loadavg": {"a": 1}},
        {"type": "worker-elect", "hostname": "x@y", "clock": 1},
        {"type": "worker-elect", "hostname": "x@y", "clock": 1, "pid": 1, "id": [1], "topic": None},
        {"type": "worker-elect-ack", "hostname": "x@y", "id": {"a": 1}},
        {"type": "worker-offline"},
        {"type": "worker-unheard-of", "hostname": "z@y", "freq": -1},
    ]
    with Worker(umbel_app, pool="threads", concurrency=1) as worker:
        until(lambda: worker.gossip.is_listening)
        with contextlib.closing(umbel_app.open_transport()) as transport:
            for body in [*GARBAGE, *(json.dumps(event).encode() for event in odd)]:
                transport.publish([Publication(Message(body), None, umbel_app.conf.event_exchange, "worker.x")], 5.0)
        with umbel_app.events.Dispatcher(hostname="sane@h") as dispatcher:
            dispatcher.send("worker-online", freq=60.0)
        until(lambda: "sane@h" in worker.gossip.peers(), "gossip goes on")


def test_a_flood_is_dropped_from_its_old_end_and_counted(
    umbel_app: Umbel, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, until: Until
) -> None:
    """The belt never blocks whoever tells it something."""
    monkeypatch.setattr(belt_module, "_MOST_WAITING", 100)
    belt = EventBelt(umbel_app, "w@h")
    for number in range(1000):
        belt.send("custom-thing", n=number)
    assert belt.dropped == 900
    with umbel_app.events.Receiver() as receiver:
        belt.start()
        heard = [event["n"] for event in receiver.itercapture(limit=100, timeout=20)]
        belt.stop()
    assert heard == list(range(900, 1000))
    assert "dropped 900 events" in caplog.text


def test_a_belt_outlives_its_broker_and_ends_without_it(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(TcpProxy("127.0.0.1", redis_server.port))
        app, direct = stack.enter_context(through(proxy)), stack.enter_context(directly(redis_server))
        with direct.events.Receiver() as receiver:
            belt = EventBelt(app, "w@h")
            belt.start()
            belt.send("custom-first")
            assert [event["type"] for event in receiver.itercapture(limit=1, timeout=20)] == ["custom-first"]
            assert proxy.cut() > 0
            belt.send("custom-kept")
            heard = (event["type"] for event in receiver.itercapture(timeout=20))
            assert "custom-kept" in heard  # the first may come again: its answer may have been cut off
            assert "events cannot be published" in caplog.text
            proxy.close()
            belt.send("custom-lost")
            began = time.monotonic()
            belt.stop()
            assert time.monotonic() - began < 15  # a deadline, not a measurement
            belt.stop()


def test_what_cannot_be_encoded_costs_one_event_of_a_worker(umbel_app: Umbel, caplog: pytest.LogCaptureFixture) -> None:
    belt = EventBelt(umbel_app, "w@h")
    with umbel_app.events.Receiver() as receiver:
        belt.send("custom-bad", thing=object())
        belt.send("custom-good")
        belt.start()
        assert [event["type"] for event in receiver.itercapture(limit=1, timeout=20)] == ["custom-good"]
        belt.stop()
    assert "custom-bad cannot be sent" in caplog.text


# -- cameras and dumps ------------------------------------------------------------------------------------------------


class Camera(Polaroid):
    """Remembers how many tasks it saw."""

    clear_after = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pictures: list[int] = []
        self.taken = threading.Event()

    def on_shutter(self, state: State) -> None:
        if state.event_count:  # [A432]
            self.pictures.append(state.task_count)
            self.taken.set()


def received(uuid: str) -> dict[str, Any]:
    return {"type": "task-received", "uuid": uuid, "hostname": "w@h", "timestamp": 1.0, "clock": 1}


def test_a_camera_takes_pictures_and_loses_nothing() -> None:
    """[B896] [B1149] [A434]."""
    state = State()
    with Camera(state, freq=0.01) as camera:
        for number in range(200):
            state.event(received(f"a{number}"))
        assert camera.taken.wait(20)
        state.event(received("last"))
    assert sum(camera.pictures) == 201


def test_a_camera_that_fails_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Camera):
        def on_shutter(self, state: State) -> None:
            super().on_shutter(state)
            raise ValueError("no film")

    state = State()
    with Broken(state, freq=0.01) as camera:
        state.event(received("a"))
        assert camera.taken.wait(20)
        camera.taken.clear()
        state.event(received("b"))
        assert camera.taken.wait(20)
    assert "no film" in caplog.text


def test_the_rate_of_pictures_is_bounded() -> None:
    """[A413] [B226]."""
    assert [least_interval_s(rate) for rate in (None, 10, "4", "100/m", "1/h")] == [0.0, 0.1, 0.25, 0.6, 3600.0]
    for wrong in ("often", "1/y", "-1"):
        with pytest.raises(ImproperlyConfigured, match="rate such as"):
            least_interval_s(wrong)
    state = State()
    camera = Camera(state, maxrate="1/h")
    for number in range(5):
        state.event(received(str(number)))
        camera.capture()
    assert camera.pictures == [1]
    with pytest.raises(ImproperlyConfigured, match="above 0"):
        Camera(state, freq=0)


def test_cameras_are_found_by_their_names() -> None:
    """[A431] [B227]."""
    assert load_camera("umbel.events.snapshot:Polaroid") is Polaroid
    assert load_camera("umbel.events.snapshot.Polaroid") is Polaroid
    for wrong in ("nowhere:Camera", "umbel.events.snapshot:Missing", "json:dumps", "x"):
        with pytest.raises(ImproperlyConfigured, match=r"camera as module:Class|to be a class like"):
            load_camera(wrong)


def test_evcam_listens_for_a_camera(umbel_app: Umbel) -> None:
    """[B897]."""
    receivers: list[EventReceiver] = []
    is_listening = threading.Event()
    made: list[Camera] = []

    class Noted(Camera):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    def note(receiver: EventReceiver) -> None:
        receiver.open()
        receivers.append(receiver)
        is_listening.set()

    thread = threading.Thread(target=lambda: evcam(Noted, 0.01, app=umbel_app, listening=note))
    thread.start()
    assert is_listening.wait(20)
    with umbel_app.events.Dispatcher() as dispatcher:
        dispatcher.send("task-received", uuid="a")
    assert made[0].taken.wait(20)
    receivers[0].stop()
    thread.join(20)
    assert not thread.is_alive()


def test_dumped_lines_are_as_celery_writes_them() -> None:
    """[B269] [B900]."""
    lines: list[str] = []
    dumper = Dumper(lines.append)
    common = {"hostname": "w1@h", "timestamp": 0.5}
    dumper.on_event({"type": "worker-online", **common, "freq": 2.0, "active": 0})
    dumper.on_event(
        {"type": "task-received", **common, "uuid": "u", "name": "add", "args": "(2,)", "kwargs": "{}", "eta": None}
    )
    dumper.on_event({"type": "task-succeeded", **common, "uuid": "u", "result": "4"})
    dumper.on_event({"type": "custom-thing"})
    assert lines == [
        "w1@h [1970-01-01 00:00:00.500000+00:00] started: active=0, freq=2.0",
        "w1@h [1970-01-01 00:00:00.500000+00:00] task received: add(u) args=(2,) kwargs={} eta=None",
        "w1@h [1970-01-01 00:00:00.500000+00:00] task succeeded: add(u) args=(2,) kwargs={} result=4",
        "? [1970-01-01 00:00:00+00:00] custom thing",
    ]
    assert humanize_type("WORKER-OFFLINE") == "shutdown"


def test_dumps_can_be_json(umbel_app: Umbel) -> None:
    lines: list[str] = []

    def note(receiver: EventReceiver) -> None:
        receiver.open()
        with umbel_app.events.Dispatcher(hostname="me") as dispatcher:
            dispatcher.send("custom-thing", n=1)

    evdump(umbel_app, lines.append, as_json=True, limit=1, listening=note)
    [event] = map(json.loads, lines)
    assert (event["type"], event["n"], event["hostname"]) == ("custom-thing", 1, "me")


def test_a_dump_survives_the_loss_of_its_broker(redis_server: RedisServer, until: Until) -> None:
    lines: list[str] = []
    receivers: list[EventReceiver] = []

    def note(receiver: EventReceiver) -> None:
        receiver.open()
        receivers.append(receiver)

    with TcpProxy("127.0.0.1", redis_server.port) as proxy, through(proxy) as app:
        thread = threading.Thread(target=lambda: evdump(app, lines.append, listening=note))
        thread.start()
        until(lambda: len(receivers) == 1, "the dump listens")
        proxy.cut()
        until(lambda: any(line.startswith("-> Cannot listen") for line in lines), "the loss was told")
        until(lambda: len(receivers) == 2, "the dump listens again")
        with app.events.Dispatcher() as dispatcher:
            dispatcher.send("custom-thing")
        until(lambda: any("custom thing" in line for line in lines), "an event was shown")
        receivers[-1].stop()
        thread.join(20)
    assert not thread.is_alive()


def test_events_are_quiet_when_nobody_wants_them(umbel_app: Umbel, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with Worker(umbel_app, pool="threads", concurrency=1) as worker:
        assert worker.admission.flags == 0
        assert worker.admission.on_received == []
        assert worker.translator.observers == []
        assert worker.failures.observers == []
    assert caplog.records == []
