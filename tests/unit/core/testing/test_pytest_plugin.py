from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from umbel import Umbel, current_app, shared_task
from umbel.worker import Worker


def run_pytest(folder: Path, source: str, *options: str) -> str:
    """Run *source* as the test module of somebody's project; return what pytest said."""
    (folder / "test_theirs.py").write_text(source)
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:asyncio",
            *options,
        ],
        cwd=folder,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@shared_task
def shared(x: int) -> int:
    return x + 1


def test_a_task_runs_for_real(umbel_app: Umbel, umbel_worker: Worker) -> None:
    @umbel_app.task
    def add(x: int, y: int) -> int:
        return x + y

    @umbel_app.task
    def fail() -> None:
        raise ValueError("on purpose")

    assert add.delay(2, 2).get(timeout=10) == 4
    with pytest.raises(ValueError, match="on purpose"):
        fail.delay().get(timeout=10)
    assert umbel_worker.is_ready


def test_shared_tasks_belong_to_the_application_of_the_test(umbel_app: Umbel, umbel_worker: Worker) -> None:
    assert current_app() is umbel_app
    assert shared.delay(1).get(timeout=10) == 2


def test_without_a_worker_messages_wait(umbel_app: Umbel) -> None:
    @umbel_app.task
    def add(x: int, y: int) -> int:
        return x + y

    add.delay(1, 1)
    transport = umbel_app.open_transport()
    assert transport.count(["celery"]) == [1]
    transport.close()


@pytest.mark.umbel(task_default_queue="elsewhere", result_expires=60)
class TestMarker:
    def test_settings_of_a_class(self, umbel_app: Umbel) -> None:
        assert (umbel_app.conf.task_default_queue, umbel_app.conf.result_expires) == ("elsewhere", 60)

    @pytest.mark.umbel(result_expires=70)
    def test_the_closest_one_wins(self, umbel_app: Umbel) -> None:
        assert (umbel_app.conf.task_default_queue, umbel_app.conf.result_expires) == ("elsewhere", 70)


class TestSolo:
    @pytest.fixture
    def umbel_worker_pool(self) -> str:
        return "solo"

    def test_another_pool(self, umbel_app: Umbel, umbel_worker: Worker) -> None:
        @umbel_app.task
        def double(x: int) -> int:
            return 2 * x

        assert double.delay(4).get(timeout=10) == 8


class TestOverridden:
    @pytest.fixture
    def umbel_config(self) -> dict[str, object]:
        return {"task_default_queue": "mine"}

    @pytest.fixture
    def umbel_parameters(self) -> dict[str, object]:
        return {"main": "their.name"}

    @pytest.fixture
    def umbel_worker_parameters(self) -> dict[str, object]:
        return {"concurrency": 1, "hostname": "theirs@%h"}

    def test_all_of_it(self, umbel_app: Umbel, umbel_worker: Worker) -> None:
        assert umbel_app.main == "their.name"
        assert umbel_worker.options.concurrency == 1
        assert umbel_worker.node.startswith("theirs@")
        assert [queue.name for queue in umbel_worker.queues] == ["mine"]


def test_session_fixtures(umbel_session_app: Umbel, umbel_session_worker: Worker) -> None:
    @umbel_session_app.task
    def add(x: int, y: int) -> int:
        return x + y

    assert add.delay(2, 3).get(timeout=10) == 5


def test_a_project_that_merely_has_umbel_beside_it_is_left_alone(tmp_path: Path) -> None:
    """Nothing of weight is imported, no thread started, and warnings as errors do not break it."""
    said = run_pytest(
        tmp_path,
        "import sys, threading\n"
        "def test_theirs():\n"
        "    heavy = [name for name in sys.modules if name.split('.')[0] in {'kombu', 'billiard', 'stevedore'}]\n"
        "    heavy += [name for name in sys.modules if name.startswith(('umbel.worker', 'umbel_', 'umbel.host.loading'))]\n"
        "    assert heavy == []\n"
        "    assert [thread.name for thread in threading.enumerate() if 'umbel' in thread.name] == []\n",
    )
    assert "1 passed" in said, said


def test_the_marker_is_known_to_strict_projects(tmp_path: Path) -> None:
    said = run_pytest(
        tmp_path,
        "import pytest\n"
        "@pytest.mark.umbel(task_default_queue='x')\n"
        "def test_theirs(umbel_app):\n"
        "    assert umbel_app.conf.task_default_queue == 'x'\n",
        "--strict-markers",
    )
    assert "1 passed" in said, said


def test_an_unknown_setting_is_an_error_that_names_it(tmp_path: Path) -> None:
    said = run_pytest(
        tmp_path,
        "import pytest\n@pytest.mark.umbel(task_defualt_queue='x')\ndef test_theirs(umbel_app): pass\n",
    )
    assert "ImproperlyConfigured" in said
    assert "task_default_queue" in said
