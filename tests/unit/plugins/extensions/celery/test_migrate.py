"""``umbel migrate``: what it says of a made-up project, and that it runs nothing of it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from umbel_extension_celery.migrating.command import migrate
from umbel_extension_celery.migrating.command_lines import find_command_lines
from umbel_extension_celery.migrating.examining import examine
from umbel_extension_celery.migrating.findings import Finding, Level, Report
from umbel_extension_celery.migrating.reading import Source
from umbel_extension_celery.migrating.shim_names import names_of

#: A project that can be moved as it is; importing any of it fails the test.
GOOD: Final = {
    "shop/__init__.py": "raise SystemExit('this was run')",
    "shop/celery.py": """
        import os
        from celery import Celery
        from celery.signals import task_prerun

        raise SystemExit('this was run')

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
        app = Celery("shop", broker=os.environ.get("BROKER", "redis://localhost/0"), include=["shop.tasks"])
        app.config_from_object("django.conf:settings", namespace="CELERY")
        app.conf.update(task_time_limit=30, CELERYD_CONCURRENCY=4)
        app.conf.result_expires = 60
        """,
    "shop/settings.py": """
        DEBUG = True
        CELERY_CACHE_BACKEND = "default"
        CELERY_RESULT_BACKEND = "django-db"
        CELERY_TASK_TRACK_STARTED = True
        CELERY_OWN_THING = 1
        CELERY_SEND_TASK_ERROR_EMAILS = True
        """,
    "shop/tasks.py": """
        from celery import Task, shared_task
        from celery.utils.log import get_task_logger

        class Base(Task):
            abstract = True

        @shared_task(bind=True, base=Base, rate_limit="10/m", my_own=3)
        def add(self, x, y):
            return x + y

        @shared_task
        def mul(x, y):
            return x * y
        """,
    "requirements.txt": "celery[redis]>=5.3\nDjango\nsentry-sdk==2.1\ncelery-once\n",
    "Procfile": "web: gunicorn shop\nworker: celery -A shop worker -l info -P prefork -Q a,b\nbeat: celery -A shop beat\n",
}


def make(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
    return folder


def report(folder: Path, files: Mapping[str, str]) -> Report:
    return examine(make(folder, files))


def found(made: Report, level: Level) -> dict[str, str]:
    return {finding.what: finding.advice for finding in made.findings if finding.level is level}


def one(made: Report, what: str) -> Finding:
    (finding,) = [finding for finding in made.findings if finding.what == what]
    return finding


def test_a_project_that_maps(tmp_path: Path) -> None:
    made = report(tmp_path, GOOD)
    assert found(made, Level.CHANGE) == {}
    assert not made.must_change
    assert made.skipped == ()
    maps, differs = found(made, Level.MAPS), found(made, Level.DIFFERS)
    assert maps["redis:// is the plugin redis"] == "pip install 'umbel[redis]'"
    assert "django-celery-results" in maps["django-db"]
    assert maps["CELERYD_CONCURRENCY is worker_concurrency"] == ""
    assert "CELERY_TASK_TRACK_STARTED is task_track_started" in maps
    assert "celery -A shop beat" in maps
    assert maps["celery -A shop worker -l info -P prefork -Q a,b"].startswith("umbel celery -A shop worker")
    assert maps["2 task(s), the first one here"] == ""
    assert "Base of celery.Task" in maps
    assert "tests run it" in maps["sentry-sdk"]
    assert "error mails are gone" in differs["CELERY_SEND_TASK_ERROR_EMAILS"]
    assert "means nothing to Umbel" in differs["CELERY_OWN_THING"]
    assert "hold up others" in differs["option rate_limit of 1 task(s)"]
    assert "attribute of the task" in differs["option my_own of 1 task(s)"]
    assert "True when the project is written for umbel.Umbel" in differs["task_acks_late is left to its default"]
    assert "not among the packages" in differs["celery-once"]


def test_each_finding_has_its_place(tmp_path: Path) -> None:
    made = report(tmp_path, GOOD)
    assert one(made, "result_expires").place == "shop/celery.py:11"
    assert one(made, "CELERY_OWN_THING").place == "shop/settings.py:5"
    assert one(made, "celery -A shop beat").place == "Procfile:3"
    assert one(made, "celery[redis]").place == "requirements.txt:1"


BAD: Final = {
    "celeryconfig.py": """
        broker_url = "pigeon://"
        result_backend = "couchbase://host/bucket"
        worker_pool = "gevent"
        worker_concurrency = "four"
        task_trak_started = True
        worker_agent = "x:Agent"
        """,
    "app.py": """
        import celery
        import celery.concurrency.gevent
        from celery import Celery, Celary
        from celery.platforms import detached
        from celery.worker import strategy
        from celery.nonsense import x
        from celery.signals import eventlet_pool_started
        """,
    "run.sh": "#!/bin/sh\n# celery -A no comment\nexec celery -A app \\\n  worker -P eventlet --frobnicate\ncelery multi start w1 -A app\n",
    "Dockerfile": 'CMD ["celery", "-A", "app", "worker", "--pool=gevent"]\n',
    "requirements-dev.txt": "celery[gevent]\n",
}


def test_what_must_be_changed(tmp_path: Path) -> None:
    made = report(tmp_path, BAD)
    assert made.must_change
    change = found(made, Level.CHANGE)
    assert "no transport plugin is called 'pigeon'" in change["pigeon://"]
    assert "no backend plugin is called 'couchbase'" in change["couchbase://"]
    assert "expected a whole number" in change["worker_concurrency"]
    assert "pool asyncio" in change["gevent"]
    assert "pool asyncio" in change["eventlet"]
    assert "no green threads" in change["celery.concurrency.gevent is missing"]
    assert "did you mean 'Celery'" in change["celery.Celary is missing"]
    assert "foreground" in change["celery.platforms.detached is missing"]
    assert "Celery 5.7 has no such module either" in change["celery.nonsense is missing"]
    assert "no such option" in change["option --frobnicate"]
    assert "celery multi" not in change
    assert "green threads" in change["celery[gevent]"]
    assert one(made, "option --frobnicate").place == "run.sh:3"
    assert {finding.place for finding in made.findings if finding.what == "gevent"} == {
        "celeryconfig.py:3",
        "Dockerfile:1",
    }
    differs = found(made, Level.DIFFERS)
    assert "did you mean 'task_track_started'" in differs["task_trak_started"]
    assert differs["worker_agent"].startswith("no effect: ")
    assert "never sent" in differs["eventlet_pool_started"]


def test_broken_files_are_named_and_skipped(tmp_path: Path) -> None:
    make(tmp_path, {"old.py": "print 'python 2'\n", "deep.py": "x = " + "(" * 5000, "good.py": "import celery\n"})
    (tmp_path / "latin.py").write_bytes(b"name = '\xff'\n")
    (tmp_path / "nul.py").write_bytes(b"x = 1\0")
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere.py")
    made = examine(tmp_path)
    assert {name for name, _ in made.skipped} == {"old.py", "deep.py", "latin.py", "nul.py", "gone.py"}
    assert all(why for _, why in made.skipped)
    assert "import celery" in (tmp_path / "good.py").read_text()
    assert "celery" in found(made, Level.MAPS)
    done = CliRunner().invoke(migrate, [str(tmp_path)])
    assert done.exit_code == 0
    assert "Not read (5)" in done.output
    assert "old.py: line 1: " in done.output


def test_the_command_in_text_and_json(tmp_path: Path) -> None:
    good, bad = make(tmp_path / "good", GOOD), make(tmp_path / "bad", BAD)
    done = CliRunner().invoke(migrate, [str(good)])
    assert (done.exit_code, "Everything maps" in done.output) == (0, True)
    done = CliRunner().invoke(migrate, [str(bad)])
    assert (done.exit_code, "To change before it runs on Umbel" in done.output) == (1, True)
    assert "  celeryconfig.py:3  [pool] gevent\n      -> there are no green threads" in done.output
    done = CliRunner().invoke(migrate, ["--json", str(bad)])
    told = json.loads(done.output)
    assert (done.exit_code, told["must_change"], told["files"]) == (1, True, 5)
    assert {"area", "what", "advice", "file", "line"} == set(told["change"][0])


def test_one_file_and_no_celery_at_all(tmp_path: Path) -> None:
    make(tmp_path, {"plain.py": "x = 1\n\n@app.task(queue='a')\ndef f(): ...\n", "sub/venv/lib.py": "import celery\n"})
    done = CliRunner().invoke(migrate, [str(tmp_path)])
    assert (done.exit_code, "No use of Celery was found" in done.output) == (0, True)
    assert examine(tmp_path / "plain.py").files == 1
    assert CliRunner().invoke(migrate, [str(tmp_path / "nowhere")]).exit_code == 2


def test_other_places_of_settings(tmp_path: Path) -> None:
    made = report(
        tmp_path,
        {
            "proj/config.py": """
                try:
                    import nothing
                except ImportError:
                    task_always_eager = True
                class Config:
                    enable_utc = True
                """,
            "proj/app.py": """
                from celery import Celery as Queue
                app = Queue("proj", broker=f"pyamqp://{HOST}//", backend=read("backend"))
                app.config_from_object("proj.config")
                app.config_from_object(config.Config)
                app.conf["task_default_queue"] = "mine"
                app.conf.update({"timezone": "UTC"}, **more)
                """,
            "proj/settings/base.py": "BROKER_URL = ['amqp://a//', 'amqp://b//']\n",
        },
    )
    maps = found(made, Level.MAPS)
    assert {"task_always_eager", "enable_utc", "task_default_queue", "timezone", "BROKER_URL is broker_url"} <= set(
        maps
    )
    assert "pyamqp:// is the plugin pyamqp" in maps
    assert "amqp:// is the plugin amqp" in maps
    assert "the URL is not written here" in found(made, Level.DIFFERS)
    assert not made.must_change


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ExecStart=/srv/venv/bin/celery -A proj worker --loglevel=INFO", "celery -A proj worker --loglevel=INFO"),
        ("    command: python3 -m celery -A proj beat", "celery -A proj beat"),
        ("command=/bin/sh -c 'celery -A proj worker -B' ", "celery -A proj worker -B"),
        ("cd /srv && celery -A proj status && echo done", "celery -A proj status"),
        ("CMD celery --app=proj inspect active; true", "celery --app=proj inspect active"),
    ],
)
def test_command_lines(text: str, shown: str) -> None:
    (finding,) = find_command_lines(Source("Makefile", text))
    assert (finding.what, finding.level) == (shown, Level.MAPS)


@pytest.mark.parametrize("text", ["# celery -A proj worker", "image: celery", "the celery Is not called here"])
def test_what_is_no_command_line(text: str) -> None:
    assert list(find_command_lines(Source("compose.yml", text))) == []


@settings(max_examples=30)
@given(st.text(alphabet=" celry-A\"'\\[],;&|\n=", max_size=60))
def test_no_text_breaks_the_reading_of_command_lines(text: str) -> None:
    list(find_command_lines(Source("run.sh", f"celery {text}\n{text}")))


def test_names_are_read_as_an_import_gives_them() -> None:
    assert {"Celery", "shared_task", "VERSION", "beat", "__version__"} <= names_of("celery")
    assert {"Retry", "SoftTimeLimitExceeded"} <= names_of("celery.exceptions")
    assert names_of("celery.nonsense") == frozenset()
