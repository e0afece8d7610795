"""What a call puts on the wire, and what it refuses."""

from __future__ import annotations

import datetime as dt
import os
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel import Umbel, signals
from umbel.calling.ids import new_id, new_ids
from umbel.exceptions import EncodeError
from umbel.model import Delivery

Sent = Callable[..., list[Delivery]]


def make_add(app: Umbel, **options: Any) -> Any:
    @app.task(name="add", **options)  # type: ignore[untyped-decorator]
    def add(x: int, y: int = 0, *, z: int = 0) -> int:
        return x + y + z

    return add


def test_delay_sends_the_message_of_protocol_2(umbel_app: Umbel, sent: Sent) -> None:
    """[C008]: ``delay(*args, **kwargs)``; each invocation has a UUID."""
    result = make_add(umbel_app).delay(2, y=3)
    (delivery,) = sent()
    headers = delivery.message.headers
    assert headers["id"] == result.id == headers["root_id"] == delivery.message.properties["correlation_id"]
    assert uuid.UUID(result.id).version == 4
    assert headers["task"] == "add"
    assert (headers["argsrepr"], headers["kwargsrepr"]) == ("(2,)", "{'y': 3}")
    assert headers["origin"] == f"gen{os.getpid()}@{os.uname().nodename}"
    assert delivery.message.body.startswith(b'[[2],{"y":3},') or delivery.message.body.startswith(b'[[2], {"y": 3},')
    assert delivery.message.properties["reply_to"] == umbel_app.oid


@given(st.integers(1, 50))
def test_ids_are_version_4_uuids(count: int) -> None:
    ids = [*new_ids(count), new_id()]
    assert len(set(ids)) == len(ids)
    for text in ids:
        parsed = uuid.UUID(text)
        assert str(parsed) == text
        assert parsed.version == 4
        assert parsed.variant == uuid.RFC_4122


@pytest.mark.parametrize("args", ["ab", {1, 2}, 3, {"x": 1}])
def test_args_that_are_no_list_are_refused(umbel_app: Umbel, args: Any) -> None:
    """[B1072]"""
    with pytest.raises(ValueError, match="task add: args: expected a list or a tuple"):
        make_add(umbel_app).apply_async(args)


def test_kwargs_that_are_no_dict_are_refused(umbel_app: Umbel) -> None:
    """[B1072]"""
    with pytest.raises(ValueError, match="kwargs: expected a dict"):
        make_add(umbel_app).apply_async((1,), [("y", 1)])


@pytest.mark.parametrize(
    ("args", "kwargs", "error"),
    [
        ((), {}, "missing a required argument: 'x'"),
        ((1, 2, 3), {}, "too many positional arguments"),
        ((1,), {"w": 2}, "unexpected keyword argument 'w'"),
        ((1, 2), {"y": 2}, "multiple values for argument 'y'"),
    ],
)
def test_arguments_are_checked_where_the_task_is_called(
    umbel_app: Umbel, sent: Sent, args: Any, kwargs: Any, error: str
) -> None:
    """[2.8 typing]"""
    add = make_add(umbel_app)
    with pytest.raises(TypeError, match=rf"task add\(x, y=0, \*, z=0\): .*{re.escape(error)}"):
        add.delay(*args, **kwargs)
    assert sent() == []


def test_typing_off_sends_anything(umbel_app: Umbel, sent: Sent) -> None:
    make_add(umbel_app, typing=False).delay(1, 2, 3, w=4)
    assert len(sent()) == 1


def test_unknown_options_are_refused_with_the_nearest_name(umbel_app: Umbel) -> None:
    with pytest.raises(TypeError, match="unknown option 'coutdown'; did you mean 'countdown'"):
        make_add(umbel_app).apply_async((1,), coutdown=3)


def test_countdown_and_expires_become_absolute_and_utc(umbel_app: Umbel, transport_to_nowhere: Any) -> None:
    """[A219] [A223] [C014] [B468] [B470]"""
    umbel_app.conf.timezone = "Asia/Tokyo"
    transport = transport_to_nowhere()
    before = dt.datetime.now(dt.UTC)
    options = {"countdown": 60, "expires": dt.timedelta(hours=1), "connection": transport}
    make_add(umbel_app).apply_async((1,), **options, ignore_result=True)
    make_plain(umbel_app).apply_async(**options)
    ((publication,), (awaited,)) = transport.published
    assert awaited.expires_at is None, "somebody may wait for it: the worker lets it expire, and says so"
    headers = publication.message.headers
    eta, expires = dt.datetime.fromisoformat(headers["eta"]), dt.datetime.fromisoformat(headers["expires"])
    assert eta.utcoffset() == expires.utcoffset() == dt.timedelta(0)
    assert dt.timedelta(seconds=60) <= eta - before < dt.timedelta(seconds=65)
    assert dt.timedelta(seconds=3600) <= expires - before < dt.timedelta(seconds=3605)
    assert publication.deliver_at == eta.timestamp()
    assert publication.expires_at == expires.timestamp()
    assert 3_590_000 < int(publication.message.properties["expiration"]) <= 3_600_000


def test_naive_times_are_utc_or_of_the_applications_zone(umbel_app: Umbel) -> None:
    naive = dt.datetime(2030, 7, 1, 12)  # noqa: DTZ001 - what is tested
    umbel_app.conf.timezone = "Europe/London"
    assert umbel_app.naive_zone is dt.UTC
    umbel_app.conf.enable_utc = False
    assert naive.replace(tzinfo=umbel_app.naive_zone).utcoffset() == dt.timedelta(hours=1)


def test_countdown_and_eta_exclude_each_other(umbel_app: Umbel) -> None:
    """[B469]"""
    with pytest.raises(ValueError, match="countdown and eta: expected one of them"):
        make_add(umbel_app).apply_async((1,), countdown=1, eta=dt.datetime.now(dt.UTC))


@pytest.mark.parametrize("options", [{"countdown": "soon"}, {"expires": True}, {"eta": 5}, {"eta": "tomorrow"}])
def test_impossible_times_are_refused(umbel_app: Umbel, options: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="expected"):
        make_add(umbel_app).apply_async((1,), **options)


@pytest.mark.parametrize("priority", [-1, 10, True, "high"])
def test_priorities_are_0_to_9(umbel_app: Umbel, priority: Any) -> None:
    """[A246] [B476]"""
    with pytest.raises(ValueError, match="whole number from 0"):
        make_add(umbel_app).apply_async((1,), priority=priority)


def test_options_reach_the_message(umbel_app: Umbel, sent: Sent) -> None:
    """[2.8 apply_async]"""
    add = make_add(umbel_app)
    add.apply_async(
        (1,),
        task_id="i1",
        shadow="other",
        time_limit=9,
        soft_time_limit=8,
        headers={"x-foo": "bar"},
        group_id="g",
        group_index=3,
        root_id="r",
        parent_id="p",
        reply_to="me",
        correlation_id="c",
        priority=4,
        ignore_result=True,
        stamped_headers=["myid"],
        myid="abc",
        app_id="shop",
        properties={"MessageGroupId": "m"},
        delivery_mode="transient",
        retries=2,
        link=add.s(1),
        link_error=[add.s(2), add.s(3)],
        argsrepr="secret",
    )
    (delivery,) = sent()
    headers, properties = delivery.message.headers, delivery.message.properties
    expected = {"id": "i1", "shadow": "other", "timelimit": [9, 8], "x-foo": "bar", "group": "g", "group_index": 3}
    expected |= {"root_id": "r", "parent_id": "p", "ignore_result": True, "stamped_headers": ["myid"]}
    expected |= {"stamps": {"myid": "abc"}, "retries": 2, "argsrepr": "secret"}
    assert {name: headers[name] for name in expected} == expected
    assert properties["reply_to"] == "me"
    assert properties["correlation_id"] == "c"
    assert properties["delivery_mode"] == 1
    assert properties["app_id"] == "shop"
    assert properties["MessageGroupId"] == "m"
    assert delivery.priority == 4
    args, _, embed = umbel_app.codec.loads(delivery.message.body, "application/json", "utf-8", None)
    assert args == [1]
    assert [len(embed["callbacks"]), len(embed["errbacks"])] == [1, 2]


def test_the_order_of_precedence_is_call_task_setting(umbel_app: Umbel, sent: Sent) -> None:
    """[A217] [A233]"""
    umbel_app.conf.task_default_priority = 1
    umbel_app.conf.task_serializer = "json"
    add = make_add(umbel_app, priority=2, time_limit=7)
    plain = make_plain(umbel_app)
    add.apply_async((1,), priority=3)
    add.delay(1)
    plain.delay()
    assert [delivery.priority for delivery in sorted(sent(), key=lambda d: -d.priority)] == [3, 2, 1]


def make_plain(app: Umbel) -> Any:
    @app.task(name="plain")
    def plain() -> None:
        return None

    return plain


def test_compression_is_said_in_the_headers(umbel_app: Umbel, sent: Sent) -> None:
    """[B478]"""
    make_add(umbel_app, typing=False).apply_async(("a" * 5000,), compression="zlib")
    (delivery,) = sent()
    assert delivery.message.headers["compression"] == "application/x-gzip"
    assert len(delivery.message.body) < 500


def test_what_cannot_be_encoded_is_refused_at_the_call(umbel_app: Umbel, sent: Sent) -> None:
    with pytest.raises(EncodeError):
        make_add(umbel_app).delay(object())
    assert sent() == []


def test_send_task_needs_no_task_here(umbel_app: Umbel, sent: Sent) -> None:
    """[A218] [B413]: by name; ``ignore_result`` of an unknown task is null on the wire."""
    result = umbel_app.send_task("elsewhere.work", [1], {"a": 2}, queue="far")
    (delivery,) = sent("far")
    assert delivery.message.headers["id"] == result.id
    assert delivery.message.headers["ignore_result"] is None


def test_delay_many_sends_all_in_one_request(umbel_app: Umbel, transport_to_nowhere: Any) -> None:
    """Every message of a batch is what a single call would have sent."""
    add = make_add(umbel_app)
    transport = transport_to_nowhere()
    results = add.delay_many([(1, 2), (3,), {"x": 5}], connection=transport)
    (publications,) = transport.published
    assert [publication.message.headers["id"] for publication in publications] == [result.id for result in results]
    assert len({result.id for result in results}) == 3
    for publication, (args, kwargs) in zip(publications, [((1, 2), {}), ((3,), {}), ((), {"x": 5})], strict=True):
        one = transport_to_nowhere()
        add.apply_async(args, kwargs, connection=one)
        ((alone,),) = one.published
        assert without_ids(publication.message) == without_ids(alone.message)
        assert publication.queue is alone.queue
        headers = publication.message.headers
        assert headers["root_id"] == headers["id"] == publication.message.properties["correlation_id"]


def without_ids(message: Any) -> Any:
    headers = {name: value for name, value in message.headers.items() if name not in {"id", "root_id"}}
    properties = {name: value for name, value in message.properties.items() if name != "correlation_id"}
    return headers, properties, message.body, message.content_type


def test_messages_of_a_batch_share_nothing_that_a_receiver_may_change(
    umbel_app: Umbel, transport_to_nowhere: Any
) -> None:
    transport = transport_to_nowhere()
    make_add(umbel_app).delay_many([(1,), (2,)], connection=transport)
    ((first, second),) = transport.published
    first.message.headers["x"] = 1
    first.message.headers["stamps"]["x"] = 1
    first.message.properties["x"] = 1
    assert "x" not in second.message.headers
    assert second.message.headers["stamps"] == {}
    assert "x" not in second.message.properties


def test_delay_many_checks_arguments(umbel_app: Umbel) -> None:
    add = make_add(umbel_app)
    with pytest.raises(TypeError, match="task add"):
        add.delay_many([(1,), ()])
    with pytest.raises(ValueError, match="expected a list or a tuple"):
        add.delay_many([1, 2])


def test_delay_many_of_nothing_sends_nothing(umbel_app: Umbel, sent: Sent) -> None:
    assert make_add(umbel_app).delay_many([]) == []
    assert sent() == []


def test_send_tasks_sends_any_signatures(umbel_app: Umbel, sent: Sent) -> None:
    add, plain = make_add(umbel_app), make_plain(umbel_app)
    results = umbel_app.send_tasks([add.s(1, 2), plain.s().set(queue="b")], priority=5)
    assert [delivery.message.headers["id"] for delivery in (*sent(), *sent("b"))] == [r.id for r in results]


async def _call(add: Any) -> Any:
    return [await add.adelay(1), await add.aapply_async((2,), queue="celery")]


def test_coroutines_call_without_blocking_the_loop(umbel_app: Umbel, sent: Sent) -> None:
    import asyncio

    results = asyncio.run(_call(make_add(umbel_app)))
    assert {delivery.message.headers["id"] for delivery in sent()} == {result.id for result in results}


def test_publish_signals_see_and_change_the_message(umbel_app: Umbel, sent: Sent) -> None:
    """[2.3 before_task_publish]"""
    seen: list[Any] = []

    def before(sender: str, headers: dict[str, Any], **_: Any) -> None:
        headers["x-trace"] = "t1"
        seen.append(("before", sender))

    def after(sender: str, routing_key: str, **_: Any) -> None:
        seen.append(("after", routing_key))

    signals.before_task_publish.connect(before)
    signals.after_task_publish.connect(after)
    try:
        make_add(umbel_app).delay(1)
    finally:
        signals.before_task_publish.disconnect(before)
        signals.after_task_publish.disconnect(after)
    assert seen == [("before", "add"), ("after", "celery")]
    assert sent()[0].message.headers["x-trace"] == "t1"


def test_shadow_names_come_from_the_task(umbel_app: Umbel, sent: Sent) -> None:
    def shadow(self: Any, args: Any, kwargs: Any, options: Any) -> str:
        return f"add of {args[0]}"

    add = make_add(umbel_app, shadow_name=shadow)
    add.delay(7)
    add.delay_many([(8,), (9,)])
    assert [d.message.headers["shadow"] for d in sent()] == ["add of 7", "add of 8", "add of 9"]
