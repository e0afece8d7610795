"""What workers say of themselves, the commands of users, and the names that Celery's clients know."""

from __future__ import annotations

import inspect as introspection
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from umbel.control import Control, Inspect
from umbel.worker.control import ControlState, control_command, inspect_command, panel

TASK_FIELDS = {
    "id",
    "name",
    "args",
    "kwargs",
    "type",
    "hostname",
    "time_start",
    "acknowledged",
    "delivery_info",
    "worker_pid",
}


def test_what_runs_and_waits_is_told(memory_site: Any) -> None:
    """[B954] [B955] [A287] [A289]."""
    memory_site.worker(concurrency=1)
    app = memory_site.app
    running = app.send_task("control.hold", ("a",))
    memory_site.gate.has_arrived()
    waiting = app.send_task("control.hold", ("b",))
    asked = app.control.inspect("w1@here", timeout=20)
    [active] = asked.active()
    assert set(active) == TASK_FIELDS
    assert (active["id"], active["args"], active["kwargs"]) == (running.id, ["a"], {})
    assert active["time_start"] > 1_700_000_000
    assert active["worker_pid"]
    assert set(active["delivery_info"]) == {"exchange", "routing_key", "priority", "redelivered"}
    assert (
        app.control.inspect(["w1@here"], timeout=20)._request("dump_active", safe=True)["w1@here"][0]["args"]
        == "('a',)"
    )
    [reserved] = asked.reserved()
    assert (reserved["id"], reserved["time_start"]) == (waiting.id, None)
    found = asked.query_task(running.id, waiting.id, "unknown")
    assert {task_id: state for task_id, (state, _) in found.items()} == {running.id: "active", waiting.id: "reserved"}
    memory_site.gate.open(2)
    assert waiting.get(timeout=20) == "b"


def test_figures_have_celerys_shape_and_no_password(memory_site: Any) -> None:
    """[B956] [B1167] (``WIRE.md`` 7)."""
    memory_site.app.conf.security_key_password = "s3cret"
    memory_site.worker()
    asked = memory_site.app.control.inspect("w1@here", timeout=20)
    assert memory_site.app.send_task("control.add", (1, 2)).get(timeout=20) == 3
    stats = asked.stats()
    assert stats["total"] == {"control.add": 1}
    assert {"pid", "clock", "uptime", "broker", "prefetch_count", "rusage"} <= stats.keys()
    pool = {"implementation", "max-concurrency", "processes", "max-tasks-per-child", "timeouts", "writes"}
    assert pool <= stats["pool"].keys()
    assert {"utime", "stime", "maxrss"} <= stats["rusage"].keys()
    conf = asked.conf()
    assert conf["control_exchange"] == memory_site.app.conf.control_exchange
    assert "s3cret" not in str(conf) + str(stats) + asked.report()["ok"]


# It collects garbage, that of tests before it as well, whose sockets may complain of that.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_tasks_queues_and_memory_are_told(memory_site: Any) -> None:
    """[A286] [A301]."""
    memory_site.worker()
    asked = memory_site.app.control.inspect("w1@here", timeout=20)
    assert {"control.add", "control.hold"} <= set(asked.registered())
    memory_site.app.tasks["control.add"].max_retries = 7
    assert "control.add [max_retries=7]" in asked.registered("max_retries")
    [queue] = asked.active_queues()
    assert queue["name"] == memory_site.app.conf.task_default_queue
    assert queue["exchange"]["type"] == "direct"
    assert asked.memsample().endswith("MB")
    assert "(end)" in asked.memdump(5)
    assert asked.objgraph("Held")["type"] == "Held"
    assert asked.clock()["clock"] > 0


def test_greetings_exchange_what_is_revoked(memory_site: Any) -> None:
    worker = memory_site.worker("w1@here")
    memory_site.app.control.revoke("known", destination=["w1@here"], reply=True)
    asked = memory_site.app.control.inspect("w1@here", timeout=20)
    assert asked.hello("celery@there", ["theirs"])["revoked"] == ["known", "theirs"]
    assert asked.hello("w1@here", ["own"]) is None
    assert worker.control.revoked.ids() == ["known", "theirs"]
    second = memory_site.worker("w2@here")
    second.control.join(20)
    assert set(second.control.revoked.ids()) == {"known", "theirs"}


@pytest.fixture
def own_commands() -> Iterator[None]:
    """Two commands of a user, gone afterwards."""

    @inspect_command(alias="twice_old")
    def twice(state: ControlState, n: int) -> Any:
        """Double a number."""
        return {"node": state.hostname, "twice": n * 2, "set": {1}}

    @control_command(args=[("n", int)], signature="<n>", name="fail_with")
    def fails(state: ControlState, n: int) -> None:
        raise RuntimeError(f"deliberate {n}")

    yield
    for name in ("twice", "fail_with"):
        panel._commands.pop(name)


@pytest.mark.usefixtures("own_commands")
def test_users_have_commands_of_their_own(memory_site: Any) -> None:
    """[A282] [B987]: what it raises is the answer, and the worker goes on."""
    memory_site.worker()
    told = memory_site.app.control.inspect(["w1@here"], timeout=20)
    assert told._request("twice", n=4) == {"w1@here": {"node": "w1@here", "twice": 8, "set": [1]}}
    assert told._request("twice_old", n=1)["w1@here"]["twice"] == 2
    assert told._request("fail_with", n=3) == {"w1@here": {"error": "RuntimeError('deliberate 3')"}}
    assert "usage: twice" in told._request("twice")["w1@here"]["error"]
    assert panel.of_kind("inspect")["twice"].help == "Double a number."


def test_the_manual_has_every_command() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/control.md").read_text(encoding="utf-8")
    commands = {**panel.of_kind("inspect"), **panel.of_kind("control")}
    rows = [
        f"| `{f'{name} {command.signature}'.strip()}`".replace("|", "\\|")[1:] for name, command in commands.items()
    ]
    assert [row for row in rows if row not in page] == []


@pytest.mark.parametrize(("ours", "theirs"), [(Control, "Control"), (Inspect, "Inspect")])
def test_methods_and_parameters_are_celerys(ours: type, theirs: str) -> None:
    module = pytest.importorskip("celery.app.control")
    other = getattr(module, theirs)
    missing = []
    for name, method in introspection.getmembers(other, callable):
        if (name.startswith("_") and name != "__init__") or name == "Mailbox":
            continue
        own = getattr(ours, name, None)
        if own is None:
            missing.append(name)
            continue
        if not introspection.isfunction(method):
            continue
        wanted = [name for name in introspection.signature(method).parameters if name != "ids"]
        have = list(introspection.signature(own).parameters)
        missing += [f"{name}({parameter})" for parameter in wanted if parameter not in have]
    assert missing == []
