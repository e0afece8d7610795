"""What Umbel and Celery 5.7's own backend code do with one store."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from umbel.exceptions import BackendError
from umbel.model import ChordPart, TaskMeta
from umbel.states import FAILURE, STARTED, SUCCESS
from umbel.testing.servers import Server, free_port
from umbel_backend_redis.backend import RedisBackend
from umbel_backend_redis.settings import RedisBackendSettings
from umbel_library_redis import Wire

celery = pytest.importorskip("celery")

# Celery calls redis-py so.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")

PAYLOAD = (
    b'{"status": "SUCCESS", "result": 5, "traceback": null, "children": [], '
    b'"date_done": "2026-11-21T03:57:35.709174+00:00", "task_id": "t1"}'
)


@pytest.fixture
def url(redis_server: Server) -> str:
    url = f"{redis_server.url.removesuffix('/0')}/7"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def client(url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url) as client:
        yield client


@pytest.fixture
def backend(url: str) -> Iterator[RedisBackend]:
    backend = RedisBackend(url, RedisBackendSettings())
    backend.open(5)
    yield backend
    backend.close()


@pytest.fixture
def celery_app(url: str) -> Iterator[Any]:
    app = celery.Celery("reader", broker="memory://", backend=url, set_as_current=False)
    app.conf.update(result_accept_content=["json", "pickle"])
    yield app
    app.backend.result_consumer.stop()
    app.backend.remove_pending_result = lambda result: None
    app.close()


def a_meta(task_id: str = "t1", state: str = SUCCESS, payload: bytes = PAYLOAD, **options: Any) -> TaskMeta:
    return TaskMeta(task_id, state, payload, **options)


def a_part(
    group: str, index: int, *, size: int | None = 3, state: str = SUCCESS, payload: bytes | None = None
) -> ChordPart:
    document = str(index).encode() if payload is None else payload
    return ChordPart(group, f"{group}-{index}", index, state, document, b"body", size, 3600.0)


# -- metas ------------------------------------------------------------------------------------------------------------


def test_key_value_and_expiry_are_those_of_celery(backend: RedisBackend, client: redis.Redis) -> None:
    backend.store([a_meta(expires_s=86400.0)])
    assert client.keys("*") == [b"celery-task-meta-t1"]
    assert client.get("celery-task-meta-t1") == PAYLOAD
    assert 86300 < client.ttl("celery-task-meta-t1") <= 86400
    backend.store([a_meta("t2", expires_s=None)])
    assert client.ttl("celery-task-meta-t2") == -1


def test_the_meta_is_published_on_the_channel_of_its_key(backend: RedisBackend, client: redis.Redis) -> None:
    channel = client.pubsub()
    channel.subscribe("celery-task-meta-t1")
    confirmation = channel.get_message(timeout=5)
    assert confirmation is not None
    assert confirmation["type"] == "subscribe"
    backend.store([a_meta()])
    message = channel.get_message(timeout=5)
    assert message is not None
    assert (message["channel"], message["data"]) == (b"celery-task-meta-t1", PAYLOAD)
    backend.store([a_meta(state=FAILURE, payload=b'{"status": "FAILURE"}')])
    assert channel.get_message(timeout=0.2) is None  # what is not written is not told
    channel.close()


def test_celery_reads_what_umbel_stores(backend: RedisBackend, celery_app: Any) -> None:
    backend.store([a_meta()])
    result = celery_app.AsyncResult("t1")
    assert (result.state, result.get(timeout=5)) == ("SUCCESS", 5)


def test_celery_is_woken_by_what_umbel_stores(backend: RedisBackend, celery_app: Any) -> None:
    result = celery_app.AsyncResult("t1")
    celery_app.backend.add_pending_result(result)
    backend.store(
        [a_meta(state=STARTED, payload=b'{"status": "STARTED", "result": null, "task_id": "t1", "children": []}')]
    )
    backend.store([a_meta()])
    assert result.get(timeout=5) == 5


def test_umbel_reads_and_waits_for_what_celery_stores(backend: RedisBackend, celery_app: Any) -> None:
    celery_app.backend.store_result("t9", {"a": [1]}, SUCCESS)
    [meta] = backend.wait(["t9"], 5)
    assert (meta.state, meta.content_type, json.loads(meta.payload)["result"]) == (
        SUCCESS,
        "application/json",
        {"a": [1]},
    )


@pytest.mark.parametrize(
    ("serializer", "content_type"),
    [("pickle", "application/x-python-serialize"), ("msgpack", "application/x-msgpack")],
)
def test_celerys_other_serializers_are_recognized(
    url: str, backend: RedisBackend, serializer: str, content_type: str
) -> None:
    app = celery.Celery("other", broker="memory://", backend=url, set_as_current=False)
    app.conf.update(result_serializer=serializer, result_accept_content=[serializer])
    app.backend.store_result("t9", ValueError("no"), FAILURE, traceback="tb")
    [meta] = backend.load(["t9"])
    assert meta is not None
    assert (meta.state, meta.content_type) == (FAILURE, content_type)
    app.close()


def test_celery_does_not_overwrite_our_success_nor_we_theirs(backend: RedisBackend, celery_app: Any) -> None:
    backend.store([a_meta()])
    celery_app.backend.store_result("t1", ValueError("late"), FAILURE)
    assert celery_app.AsyncResult("t1").state == SUCCESS
    celery_app.backend.store_result("t2", 1, SUCCESS)
    backend.store([a_meta("t2", FAILURE, b'{"status": "FAILURE"}', attempt=3)])
    [meta] = backend.load(["t2"])
    assert meta is not None
    assert meta.state == SUCCESS


def test_forgetting_leaves_nothing(backend: RedisBackend, client: redis.Redis) -> None:
    backend.store([a_meta(), a_meta("t2", attempt=4, payload=b"\x80binary", content_type="application/x-own")])
    backend.forget(["t1", "t2"])
    assert client.keys("*") == []


def test_the_prefix_goes_before_every_key(url: str, client: redis.Redis) -> None:
    backend = RedisBackend(url, RedisBackendSettings(global_keyprefix="shop_"))
    backend.open(5)
    backend.store([a_meta()])
    backend.save_group("g", b"{}")
    backend.join([a_part("g", 0, size=2)])
    keys: Any = client.keys("*")
    assert {key.partition(b".")[0] for key in keys} == {
        b"shop_celery-task-meta-t1",
        b"shop_celery-taskset-meta-g",
    }
    backend.close()


def test_waiting_subscribes_once_for_all_threads_and_leaves_few_subscriptions(
    backend: RedisBackend, client: redis.Redis
) -> None:
    before = len(client.client_list())
    for number in range(100):
        backend.store([a_meta(f"w{number}")])
        assert backend.wait([f"w{number}", "never"], 5)
    assert len(client.client_list()) <= before + 1
    # Ours alone: Celery's client in another test keeps its subscription until it is collected. The end of one goes with
    # the beginning of another, so that the last few stay.
    assert len(client.pubsub_channels("celery-task-meta-w[0-9]*")) <= 16


@pytest.mark.parametrize("speaks_resp3", [True, False])
def test_waiting_where_a_subscriber_may_ask_and_where_it_may_not(
    backend: RedisBackend, monkeypatch: pytest.MonkeyPatch, speaks_resp3: bool
) -> None:
    """A proxy or an ACL may refuse HELLO, and a driver RESP3."""
    monkeypatch.setattr(Wire, "tells_pushes_apart", speaks_resp3)
    backend.store([a_meta("old")])
    assert [meta.task_id for meta in backend.wait(["old"], 5)] == ["old"]
    for number in range(40):  # more than the subscriptions that are kept
        thread = threading.Thread(target=lambda task_id=f"new{number}": backend.store([a_meta(task_id)]))
        thread.start()
        assert [meta.task_id for meta in backend.wait([f"new{number}"], 20)] == [f"new{number}"]
        thread.join()
    assert [meta.task_id for meta in backend.wait(["new3", "never"], 5)] == ["new3"]
    assert backend.wait(["never"], 0.01) == []


# -- chords -----------------------------------------------------------------------------------------------------------


def celery_part(app: Any, group: str, index: int, state: str = SUCCESS, result: Any = None) -> Any:
    """Let Celery's own code count a member in; return what it sends as the body."""
    sent: list[Any] = []
    body = app.signature("shared.total", task_id="the body")
    body["chord_size"] = 3
    body.delay = sent.append  # in place of sending it
    request = celery.app.task.Context(id=f"{group}-{index}", group=group, group_index=index, chord=body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("celery.backends.redis.maybe_signature", lambda chord, app: body)
        app.backend.on_chord_part_return(request, state, index if result is None else result)
    return sent


def test_a_chord_that_both_count_is_completed_once_by_the_last(backend: RedisBackend, celery_app: Any) -> None:
    celery_app.backend.set_chord_size("g1", 3)
    assert not backend.join([a_part("g1", 2)])
    assert not celery_part(celery_app, "g1", 0)
    [joined] = backend.join([a_part("g1", 1)])
    assert [(part.index, part.state, part.payload) for part in joined.parts] == [
        (index, SUCCESS, str(index).encode()) for index in range(3)
    ]
    backend.conclude(["g1"])
    # A member of Celery's that runs again counts no more.
    assert not celery_part(celery_app, "g1", 0)


def test_celery_completes_a_chord_that_umbel_began(backend: RedisBackend, celery_app: Any) -> None:
    celery_app.backend.set_chord_size("g2", 3)
    assert not backend.join([a_part("g2", 0)])
    assert not backend.join([a_part("g2", 2), a_part("g2", 2)])
    assert celery_part(celery_app, "g2", 1) == [[0, 1, 2]]
    assert not backend.join([a_part("g2", 0)])


def test_a_repeated_part_counts_once_whoever_counted_it(backend: RedisBackend, celery_app: Any) -> None:
    celery_app.backend.set_chord_size("g3", 3)
    assert not celery_part(celery_app, "g3", 0)
    assert not backend.join([a_part("g3", 0)])
    assert not backend.join([a_part("g3", 1)])
    assert len(backend.join([a_part("g3", 2)])) == 1


def test_a_failure_that_celery_counted_is_known_as_one(backend: RedisBackend, celery_app: Any) -> None:
    celery_app.backend.set_chord_size("g4", 2)
    assert not celery_part(celery_app, "g4", 0, FAILURE, ValueError("deliberate"))
    [joined] = backend.join([a_part("g4", 1, size=2)])
    assert [part.state for part in joined.parts] == [FAILURE, SUCCESS]
    assert b"deliberate" in joined.parts[0].payload


# -- trouble ----------------------------------------------------------------------------------------------------------


def test_an_error_never_shows_the_password() -> None:
    backend = RedisBackend(f"redis://:s3cret@127.0.0.1:{free_port()}/0", RedisBackendSettings())
    with pytest.raises(BackendError) as caught:
        backend.open(1)
    assert "s3cret" not in str(caught.value)
    backend.close()


def test_scripts_that_the_server_has_forgotten_are_loaded_again(backend: RedisBackend, client: redis.Redis) -> None:
    backend.store([a_meta()])
    client.script_flush()
    backend.store([a_meta("t2")])
    assert all(backend.load(["t1", "t2"]))


def test_many_parts_are_joined_in_one_write(backend: RedisBackend, client: redis.Redis) -> None:
    parts = [a_part(group, index, size=600) for index in range(600) for group in ("g1", "g2")]
    client.script_flush()  # none of them may be lost with the script
    joined = [*backend.join(parts[:2]), *backend.join(parts[1:])]
    assert sorted(chord.group_id for chord in joined) == ["g1", "g2"]
    assert all([member.index for member in chord.parts] == list(range(600)) for chord in joined)
    client.script_flush()
    assert backend.join([a_part("g3", index, size=2) for index in range(2)])[0].group_id == "g3"


def test_a_part_that_cannot_be_counted_leaves_the_connection_whole(backend: RedisBackend, client: redis.Redis) -> None:
    client.set("celery-taskset-meta-broken.j", "no sorted set")
    with pytest.raises(BackendError):
        backend.join([a_part("broken", 0, size=2), a_part("whole", 0, size=2)])
    (chord,) = backend.join([a_part("whole", 0, size=2), a_part("whole", 1, size=2)])
    assert chord.group_id == "whole"
