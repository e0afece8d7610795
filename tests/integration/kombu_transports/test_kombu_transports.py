"""kombu's transports as users meet them: what a URL means, what is missing, and Celery on the same queue."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from umbel import Umbel
from umbel.exceptions import ImproperlyConfigured, OperationalError, PluginError, PluginNotFound
from umbel.host import Host
from umbel.model import Message, Publication, Queue
from umbel.worker import Worker
from umbel_transport_kombu import plugin_info
from umbel_transport_kombu.variants import variant_of


def app_on(broker: str, **settings: Any) -> Umbel:
    return Umbel("through", broker=broker, set_as_current=False, **settings)


def test_each_scheme_is_listed_from_one_plugin() -> None:
    installed = {one.name for one in Host().installed("transport") if one.module == "umbel_transport_kombu"}
    assert installed == set(plugin_info.names)


@pytest.mark.parametrize(
    ("url", "alias", "given"),
    [
        ("sqla+mysql://u:p@h/d", "sqlalchemy", "sqla+mysql://u:p@h/d"),
        ("sqlalchemy+sqlite:////tmp/x", "sqlalchemy", "sqlalchemy+sqlite:////tmp/x"),
        ("kombu+sqla+mysql://h/d", "sqlalchemy", "sqla+mysql://h/d"),
        ("SQS://k:s@", "sqs", "SQS://k:s@"),
        ("kombu+memory://", "memory", "memory://"),
        ("kombu+redis://h/1", "redis", "redis://h/1"),
        ("kombu+pkg.mod.Transport://h/1", "pkg.mod:Transport", "kombu://h/1"),
    ],
)
def test_what_a_url_means(url: str, alias: str, given: str) -> None:
    variant, plain = variant_of(url, None)
    assert (variant.alias, plain) == (alias, given)


def test_a_driver_of_postgresql_is_chosen_among_those_installed() -> None:
    assert variant_of("sqla+postgresql://h/d", None)[1] == "sqla+postgresql+psycopg://h/d"
    assert variant_of("sqla+postgresql+pg8000://h/d", None)[1] == "sqla+postgresql+pg8000://h/d"


def test_a_family_of_schemes_does_not_take_what_is_misspelt() -> None:
    with pytest.raises(PluginNotFound, match="redis\\+socket"):
        app_on("redis+sokcet:///x").open_transport(1.0)


def test_a_missing_driver_is_told_with_its_cure() -> None:
    with pytest.raises(PluginError, match=r"pip install 'kombu\[zookeeper\]'"):
        app_on("zookeeper://127.0.0.1:1").open_transport(1.0)


@pytest.mark.parametrize(
    ("broker", "options"),
    [
        ("kombu+kombu.transport.memory.Transport://", {}),
        ("kombu://", {"transport": "kombu.transport.memory:Transport"}),
    ],
)
def test_a_transport_of_somebody_else(broker: str, options: dict[str, str]) -> None:
    app = app_on(broker)
    app.conf.update({f"kombu.{name}": value for name, value in options.items()})
    transport = app.open_transport(5.0)
    queue = Queue(name=f"foreign-{len(options)}")
    transport.publish([Publication(Message(b"1"), queue, "", queue.name)], 5.0)
    assert transport.count([queue.name]) == [1]
    assert not transport.capabilities.many_processes
    transport.close()


def test_a_class_that_is_none_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"set \[kombu\] transport"):
        app_on("kombu://").open_transport(1.0)
    with pytest.raises(ImproperlyConfigured, match="NoSuchClass"):
        app_on("kombu+kombu.transport.memory.NoSuchClass://").open_transport(1.0)


def test_a_password_is_shown_nowhere() -> None:
    with pytest.raises(OperationalError) as raised:
        app_on("sqla+postgresql://clerk:s3cret@127.0.0.1:1/none").open_transport(3.0)
    assert "s3cret" not in str(raised.value)
    assert "clerk" in str(raised.value)


def test_an_idle_consumer_looks_once_a_second(tmp_path: Path) -> None:
    """Counted, not timed: the pauses double up to the interval."""
    transport = app_on("kombu+memory://").open_transport(5.0)
    consumer: Any = transport.consume([Queue(name="idle")], 0, "w")
    looks: list[float] = []
    look = consumer._look

    def counted(*arguments: Any) -> None:
        looks.append(time.monotonic())
        look(*arguments)

    consumer._look = counted
    assert not consumer.receive(1, 4.0)
    assert len(looks) <= 10
    consumer.close()
    transport.close()


CELERY = """
    import json, sys
    from celery import Celery
    app = Celery("through", broker="filesystem://")
    app.conf.broker_transport_options = json.loads(sys.argv[1])
    print(app.send_task("through.note", args=("from celery",), countdown=0, retries=0).id)
"""


def test_celery_sends_and_umbel_works_over_the_file_system(tmp_path: Path) -> None:
    options = {name: str(tmp_path / "data") for name in ("data_folder_in", "data_folder_out")}
    options["control_folder"] = str(tmp_path / "control")
    (tmp_path / "data").mkdir()
    (tmp_path / "control").mkdir()
    program = [sys.executable, "-c", textwrap.dedent(CELERY), json.dumps(options)]
    sent = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True)
    app = app_on("kombu+filesystem://", broker_transport_options=options, backend=f"sqlite:///{tmp_path}/results.db")

    @app.task(name="through.note")
    def note(text: str) -> str:
        return f"noted: {text}"

    with Worker(app, pool="threads", concurrency=1):
        assert app.AsyncResult(sent.stdout.strip()).get(timeout=20) == "noted: from celery"
        assert note.delay("from umbel").get(timeout=20) == "noted: from umbel"
    app.close()
