"""The suites find what is broken: plugins with one planted fault each, installed into a folder of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from umbel.exceptions import ImproperlyConfigured, PluginNotFound
from umbel.testing import check

TRANSPORT = """
import os, time
import umbel_transport_memory as memory
from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo, Settlement

FAULT = os.environ["FAULT"]


class Consumer(memory.MemoryConsumer):
    kept = []

    def receive(self, limit, timeout_s):
        if FAULT == "deaf" and timeout_s > 1:
            deadline = time.monotonic() + timeout_s
            while not (got := super().receive(limit, 0.05)) and time.monotonic() < deadline:
                pass
            return got
        got = super().receive(limit, timeout_s)
        if FAULT == "twice" and not got:
            return self.kept[:limit]
        self.kept.extend(got)
        return got

    def close(self):
        if FAULT == "hoarder":
            self._held.clear()
        super().close()


class Transport(memory.MemoryTransport):
    def consume(self, queues, prefetch, name):
        return Consumer(self._opened(), queues, prefetch)

    def publish(self, publications, timeout_s):
        if FAULT == "piecemeal":
            for publication in publications:
                super().publish([publication], timeout_s)
        elif FAULT == "loser":
            super().publish(publications[:100], timeout_s)
        elif FAULT == "eager":
            for publication in publications:
                publication.deliver_at = None
            super().publish(publications, timeout_s)
        else:
            super().publish(publications, timeout_s)


plugin_info = PluginInfo(
    kind="transport", names=("faulty",), summary="one fault", capabilities=memory.plugin_info.capabilities,
    testing_url="faulty://{unique}",
)


@hookimpl
def umbel_transport(app, url):
    return Transport(url, app)
"""

BACKEND = """
import os
import umbel_backend_memory as memory
from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo

FAULT = os.environ["FAULT"]


class Backend(memory.MemoryBackend):
    def store(self, metas):
        if FAULT == "overwriter":
            self.forget([meta.task_id for meta in metas])
        super().store(metas)

    def join(self, parts):
        if FAULT == "counter":
            for number, part in enumerate(parts):
                part.task_id += os.urandom(2).hex()
        return super().join(parts)


plugin_info = PluginInfo(
    kind="backend", names=("faulty",), summary="one fault", capabilities=memory.plugin_info.capabilities,
    testing_url="faulty://{unique}",
)


@hookimpl
def umbel_backend(app, url):
    return Backend(url, app)
"""


@pytest.fixture
def run_check(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Check a plugin with a planted fault in a process of its own; return pytest's exit code and what it said."""

    def run(kind: str, source: str, fault: str, only: str = "") -> tuple[int, str]:
        (tmp_path / f"umbel_{kind}_faulty.py").write_text(source)
        metadata = tmp_path / f"umbel_{kind}_faulty-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: umbel-{kind}-faulty\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[umbel.{kind}s]\nfaulty = umbel_{kind}_faulty\n")
        done = subprocess.run(
            [sys.executable, "-c", f"import sys; from umbel.testing import check; sys.exit(check({kind!r}, 'faulty'))"],
            env={
                **os.environ,
                "PYTHONPATH": str(tmp_path),
                "FAULT": fault,
                "PYTEST_ADDOPTS": f"-k {only}" if only else "",
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.mark.parametrize(
    ("fault", "found_by"),
    [
        ("twice", "test_what_is_held_is_not_seen_by_others"),
        ("piecemeal", "test_a_batch_with_a_message_that_cannot_be_carried_is_refused_whole"),
        ("loser", "test_a_batch_keeps_its_order"),
        ("eager", "test_a_delayed_message_comes_at_its_time_and_not_before"),
        ("hoarder", "test_closing_gives_back_what_is_held_uncounted"),
        ("deaf", "test_wake_ends_a_blocked_receive"),
    ],
)
def test_a_broken_transport_is_found_out(run_check: Callable[..., tuple[int, str]], fault: str, found_by: str) -> None:
    code, said = run_check("transport", TRANSPORT, fault, found_by)
    assert code == 1, said
    assert "1 failed" in said, said
    assert found_by in said, said


@pytest.mark.parametrize(
    ("fault", "found_by"),
    [
        ("overwriter", "test_every_pair_of_states_follows_the_rule"),
        ("counter", "test_a_part_that_comes_again_is_counted_once"),
    ],
)
def test_a_broken_backend_is_found_out(run_check: Callable[..., tuple[int, str]], fault: str, found_by: str) -> None:
    code, said = run_check("backend", BACKEND, fault, found_by)
    assert code == 1, said
    assert "1 failed" in said, said
    assert found_by in said, said


def test_a_sound_plugin_passes_and_says_what_was_skipped(run_check: Callable[..., tuple[int, str]]) -> None:
    code, said = run_check("backend", BACKEND, "none")
    assert code == 0, said
    assert "Backend does not declare 'many_processes'" in said


def test_a_kind_without_a_suite() -> None:
    with pytest.raises(ImproperlyConfigured, match="expected a kind that has a suite"):
        check("extension", "memory")


def test_an_unknown_plugin() -> None:
    with pytest.raises(PluginNotFound, match="memry"):
        check("transport", "memry")
