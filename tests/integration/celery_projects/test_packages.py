"""Packages that were written for Celery, from the package index and unmodified, on Umbel."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from umbel.testing.servers import Server, free_port

if TYPE_CHECKING:
    from tests.integration.celery_projects.conftest import Project

ReadUntil = Callable[[subprocess.Popen[str], str], str]


@pytest.mark.timeout(120)
def test_sentry(project: Project) -> None:
    """An error of a task is an event with the task's name and id; a call and its run are one trace."""
    said = project.python(
        """
        import json
        import sentry_sdk
        from sentry_sdk.integrations.celery import CeleryIntegration
        from sentry_sdk.transport import Transport

        seen = []

        class Kept(Transport):
            def capture_envelope(self, envelope):
                for item in envelope.items:
                    event = item.get_event() or item.get_transaction_event()
                    if event:
                        seen.append(event)

        sentry_sdk.init(dsn='http://key@localhost/1', integrations=[CeleryIntegration()], traces_sample_rate=1.0,
                        transport=Kept)
        from celery import Celery
        from celery.contrib.testing.worker import start_worker

        app = Celery('shop', broker='memory://', backend='cache+memory://')

        @app.task
        def fine(x):
            return x

        @app.task
        def broken(x):
            return 1 / x

        with start_worker(app, pool='threads', perform_ping_check=False):
            with sentry_sdk.start_transaction(name='a request') as request:
                fine.delay(3).get(timeout=10)
                trace_id = request.trace_id
            result = broken.delay(0)
            result.get(propagate=False, timeout=10)
        sentry_sdk.flush()
        errors = [event for event in seen if event.get('exception')]
        print(json.dumps({
            'errors': [[e['exception']['values'][-1]['type'], e['tags']['celery_task_id'] == result.id,
                        e['extra']['celery-job']['task_name']] for e in errors],
            'transactions': sorted(e['transaction'] for e in seen if e.get('type') == 'transaction'),
            'in_the_requests_trace': sorted(e['transaction'] for e in seen if e.get('type') == 'transaction'
                                            and e['contexts']['trace']['trace_id'] == trace_id),
        }))
        """
    )
    found = json.loads(said.splitlines()[-1])
    assert found["errors"] == [["ZeroDivisionError", True, "shop.broken"]]
    assert found["transactions"] == ["a request", "shop.broken", "shop.fine"]
    assert found["in_the_requests_trace"] == ["a request", "shop.fine"]


@pytest.mark.timeout(120)
def test_opentelemetry(project: Project) -> None:
    """A call is a producer's span, and the parent of the run's span; an error is recorded in the run's."""
    said = project.python(
        """
        import json
        from opentelemetry import trace
        from opentelemetry.instrumentation.celery import CeleryInstrumentor
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        CeleryInstrumentor().instrument()

        from celery import Celery
        from celery.contrib.testing.worker import start_worker

        app = Celery('shop', broker='memory://', backend='cache+memory://')

        @app.task
        def fine(x):
            return x

        @app.task
        def broken(x):
            return 1 / x

        with start_worker(app, pool='threads', perform_ping_check=False):
            fine.delay(3).get(timeout=10)
            broken.delay(0).get(propagate=False, timeout=10)
        spans = exporter.get_finished_spans()
        by_id = {span.context.span_id: span.name for span in spans}
        print(json.dumps([[s.name, s.kind.name, by_id.get(s.parent.span_id) if s.parent else None,
                           s.status.status_code.name, [event.name for event in s.events]] for s in spans]))
        """
    )
    assert sorted(json.loads(said.splitlines()[-1])) == [
        ["apply_async/shop.broken", "PRODUCER", None, "UNSET", []],
        ["apply_async/shop.fine", "PRODUCER", None, "UNSET", []],
        ["run/shop.broken", "CONSUMER", "apply_async/shop.broken", "ERROR", ["exception"]],
        ["run/shop.fine", "CONSUMER", "apply_async/shop.fine", "UNSET", []],
    ]


DJANGO_SETTINGS = """
SECRET_KEY = 'x'
USE_TZ = True
DEFAULT_AUTO_FIELD = 'django.db.models.AutoField'
INSTALLED_APPS = ['django.contrib.contenttypes', 'django_celery_results', 'demoapp']
DATABASES = {{'default': {{'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'site.db', 'OPTIONS': {{'timeout': 20}}}}}}
CELERY_BROKER_URL = '{url}'
CELERY_RESULT_BACKEND = 'django-db'
CELERY_RESULT_EXTENDED = True
CELERY_TASK_TRACK_STARTED = True
CELERY_TASK_TIME_LIMIT = 30 * 60
CELERY_CACHE_BACKEND = 'default'
"""


@pytest.mark.timeout(180)
def test_django_with_its_results(project: Project, redis_server: Server) -> None:
    """The guide "First steps with Django", with results in Django's database."""
    for package in ("proj", "demoapp"):
        project.package(package)
    project.write(
        proj__settings=DJANGO_SETTINGS.format(url=redis_server.url),
        proj__celery="""
        import os
        from celery import Celery

        os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'proj.settings')
        app = Celery('proj')
        app.config_from_object('django.conf:settings', namespace='CELERY')
        app.autodiscover_tasks()

        @app.task(bind=True, ignore_result=True)
        def debug_task(self):
            print(f'Request: {self.request!r}')
        """,
        demoapp__models="""
        from django.db import models

        class Widget(models.Model):
            name = models.CharField(max_length=140)
        """,
        demoapp__tasks="""
        from celery import shared_task
        from demoapp.models import Widget

        @shared_task
        def add(x, y):
            return x + y

        @shared_task
        def count_widgets():
            return Widget.objects.count()

        @shared_task
        def broken():
            raise LookupError('no widget')

        @shared_task
        def total(numbers):
            return sum(numbers)
        """,
        manage="""
        import os, sys
        os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'proj.settings')
        from django.core.management import execute_from_command_line
        execute_from_command_line(sys.argv)
        """,
    )
    project.write(**{"proj/__init__": "from .celery import app as celery_app\n\n__all__ = ('celery_app',)\n"})
    project.run("manage.py", "makemigrations", "demoapp", "-v0")
    project.run("manage.py", "migrate", "-v0")
    project.start("-m", "celery", "-A", "proj", "worker", "-l", "INFO", "-c", "2", ready="ready")
    said = project.python(
        """
        import os
        os.environ['DJANGO_SETTINGS_MODULE'] = 'proj.settings'
        import django; django.setup()
        from celery import chord
        from django.db import transaction
        from django_celery_results.models import TaskResult
        from demoapp.models import Widget
        from demoapp.tasks import add, broken, count_widgets, total

        result = add.delay(2, 3)
        print(result.get(timeout=20))
        row = TaskResult.objects.get(task_id=result.id)
        print(row.status, row.result, row.task_name, row.task_args, row.worker.startswith('umbel@'))
        try:
            broken.delay().get(timeout=20)
        except LookupError as error:
            print('raised', error)
        print(sorted(set(TaskResult.objects.values_list('status', flat=True))))
        with transaction.atomic():
            Widget.objects.create(name='one')
            count_widgets.delay_on_commit()
        Widget.objects.create(name='two')
        print(count_widgets.delay().get(timeout=20))
        print(chord([add.s(1, 1), add.s(2, 2)])(total.s()).get(timeout=20))
        """
    )
    assert said.splitlines() == [
        "5",
        'SUCCESS 5 demoapp.tasks.add "[2, 3]" True',
        "raised no widget",
        "['FAILURE', 'SUCCESS']",
        "2",
        "6",
    ]


@pytest.mark.timeout(120)
def test_flower(project: Project, redis_server: Server) -> None:
    """Flower, as a command of ``celery``: it lists the worker and its tasks."""
    project.write(
        tasks=f"""
        from celery import Celery

        app = Celery('tasks', broker='{redis_server.url}', backend='{redis_server.url}')

        @app.task
        def add(x, y):
            return x + y
        """
    )
    port = free_port()
    project.start(
        "-m", "celery", "-A", "tasks", "worker", "-E", "-l", "INFO", "-n", "w1@here", "-P", "threads", ready="ready"
    )
    project.start(
        "-m",
        "celery",
        "-A",
        "tasks",
        "flower",
        f"--port={port}",
        "--address=127.0.0.1",
        ready="Registered tasks",
        FLOWER_UNAUTHENTICATED_API="true",
    )
    assert project.python("from tasks import add; print(add.delay(2, 2).get(timeout=10))").strip() == "4"

    def ask(path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return json.load(answer) if path.startswith("/api") else answer.read().decode()

    workers = _once(lambda: ask("/api/workers?refresh=1"), lambda found: "stats" in found.get("w1@here", {}))
    assert workers["w1@here"]["registered"] == ["tasks.add"]
    tasks = _once(lambda: ask("/api/tasks"), lambda found: any(t["state"] == "SUCCESS" for t in found.values()))
    (task,) = tasks.values()
    assert (task["name"], task["worker"], task["result"]) == ("tasks.add", "w1@here", "4")
    assert "w1@here" in ask("/")


def _once(ask: Callable[[], Any], is_there: Callable[[Any], bool]) -> Any:
    """Ask until the answer is there; the test's own time limit ends a vain wait."""
    while not is_there(found := ask()):
        pass
    return found
