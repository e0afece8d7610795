"""Workflows where broker and results are one SQLite file and tasks run in forked processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SOON_S = 30
HERE = Path(__file__).parent

PROGRAM = """
import sys
sys.path.insert(0, {here!r})
from canvas_project import *
from umbel import chain, chord, group
app.conf.update(broker_url={url!r}, result_backend={url!r})
{code}
"""
WORKER = """
import signal
from umbel.worker import Worker
worker = Worker(app, pool="prefork", concurrency=2)
with worker:
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def run(url: str, tmp_path: Path) -> Callable[[str], Any]:
    """Run code of a caller in a process of its own and return what it printed last, as JSON."""

    def run(code: str) -> Any:
        program = PROGRAM.format(here=str(HERE), url=url, code=code)
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            timeout=2 * SOON_S,
            cwd=tmp_path,
        )
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.fixture
def worker(url: str, tmp_path: Path) -> Iterator[Any]:
    program = PROGRAM.format(here=str(HERE), url=url, code=WORKER)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(SOON_S) == 0


def test_workflows_over_one_file(run: Any, worker: Any, tmp_path: Path) -> None:
    found = run(
        f"""
import json
values = [
    chord([ident.s(i) for i in range(100)], total.s()).apply_async().get(timeout=30),
    chain(ident.s(1), group(ident.s(), ident.s()), chain(total.s(), note.s({str(tmp_path / "notes")!r}))).delay().get(timeout=30),
    chord([chord([ident.s(1)], total.s()), chain(ident.s(5), group(ident.s(), ident.s()))], ident.s()).delay().get(timeout=30),
]
print(json.dumps(values))
"""
    )
    assert found == [4950, 2, [1, [5, 5]]]
    assert (tmp_path / "notes").read_text() == "2\n"


@pytest.mark.parametrize(("times", "expected"), [(1, [1, "lived"]), (9, "WorkerLostError")])
def test_a_member_whose_process_dies(run: Any, worker: Any, tmp_path: Path, times: int, expected: Any) -> None:
    """It comes again and the chord goes on; died too often it is parked, and the chord ends with that."""
    found = run(
        f"""
import json
result = chord([ident.s(1), die.s({times}, {str(tmp_path / "deaths")!r})], ident.s()).apply_async()
value = result.get(timeout=30, propagate=False)
print(json.dumps(value if isinstance(value, list) else str(value)))
"""
    )
    assert found == expected if isinstance(expected, list) else expected in found


def test_a_member_over_its_time_limit_ends_the_chord(run: Any, worker: Any) -> None:
    """[B992] [B994]"""
    found = run(
        """
import json
result = chord([ident.s(1), chain(slow.si(), ident.s())], chain(ident.s(), ident.s())).apply_async()
value = app.AsyncResult(result.id).get(timeout=30, propagate=False)
print(json.dumps([type(value).__name__, str(value)]))
"""
    )
    assert found[0] == "ChordError"
    assert "TimeLimitExceeded" in found[1]


def test_flow_show_draws_what_was_sent(run: Any, worker: Any, url: str, tmp_path: Path) -> None:
    ids = run(
        """
import json
result = chain(ident.s(1), group(ident.s(), ident.s()), total.s(), ident.s()).apply_async()
result.get(timeout=30)
print(json.dumps([result.id, result.parent.parent.parent.id]))
"""
    )
    command = [sys.executable, "-m", "umbel", "-A", "canvas_project:app", "-b", url, "--result-backend", url, "flow"]
    shown = [
        subprocess.run([*command, "show", *arguments], capture_output=True, text=True, cwd=HERE, check=True).stdout
        for arguments in ([ids[0]], [ids[1]], [ids[0], "--dot"], [ids[0], "--mermaid"])
    ]
    assert shown[0] == shown[1]
    lines = shown[0].splitlines()
    assert [line.split("[")[0].strip("│├└─ ") for line in lines[:4]] == [
        "canvas_project.ident",
        "group",
        "canvas_project.ident",
        "canvas_project.ident",
    ]
    assert "2/2" in lines[1]
    assert sum("SUCCESS" in line for line in lines) == 5
    assert shown[2].startswith("digraph workflow {")
    assert shown[2].count("->") == 5
    assert shown[3].startswith("flowchart TD")
    missing = subprocess.run([*command, "show", "nobody"], capture_output=True, text=True, cwd=HERE, check=False)
    assert missing.returncode == 1
    assert "knows nothing of it" in missing.stderr
