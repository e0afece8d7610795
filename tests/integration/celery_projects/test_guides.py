"""The example applications of Celery's documentation, re-created, on Umbel."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from umbel.testing.servers import Server

if TYPE_CHECKING:
    from tests.integration.celery_projects.conftest import Project

ReadUntil = Callable[[subprocess.Popen[str], str], str]


@pytest.mark.timeout(120)
def test_first_steps(project: Project, redis_server: Server) -> None:
    """[C001] [C002] [C003] [C004] [C008] [C009]"""
    project.write(
        tasks=f"""
        from celery import Celery

        app = Celery('tasks', backend='{redis_server.url}', broker='{redis_server.url}')

        @app.task
        def add(x, y):
            return x + y

        @app.task
        def broken():
            raise ValueError('deliberate')
        """,
    )
    project.start("-m", "celery", "-A", "tasks", "worker", "--loglevel=INFO", "-c", "2", ready="ready")
    said = project.python(
        """
        from tasks import add, broken
        result = add.delay(4, 4)
        print(result.get(timeout=10), result.ready(), result.state, result.successful())
        failed = broken.delay()
        try:
            failed.get(timeout=10)
        except ValueError as error:
            print('raised', error, failed.state, 'Traceback' in failed.traceback)
        print(broken.delay().get(propagate=False, timeout=10))
        """
    )
    assert said.splitlines() == ["8 True SUCCESS True", "raised deliberate FAILURE True", "deliberate"]


@pytest.mark.timeout(120)
def test_next_steps(project: Project, redis_server: Server) -> None:
    """[C006] [C010] [C011] [C012] [C015]"""
    project.package("proj")
    project.write(
        proj__celery=f"""
        from celery import Celery

        app = Celery('proj', broker='{redis_server.url}', backend='{redis_server.url}', include=['proj.tasks'])
        app.conf.update(result_expires=3600)
        app.config_from_object('celeryconfig')

        if __name__ == '__main__':
            app.start()
        """,
        celeryconfig="""
        task_routes = {'proj.tasks.mul': {'queue': 'maths'}}
        task_annotations = {'*': {'max_retries': 7}}
        timezone = 'Europe/London'
        MY_OWN = 'kept'
        """,
        proj__tasks="""
        from celery.utils.log import get_task_logger
        from .celery import app

        logger = get_task_logger(__name__)

        @app.task
        def add(x, y):
            logger.info('adding')
            return x + y

        @app.task
        def mul(x, y):
            return x * y

        @app.task(name='sum-of-numbers')
        def xsum(numbers):
            return sum(numbers)

        @app.task(bind=True)
        def who(self):
            return [self.request.id == self.request.root_id, self.name, self.max_retries]
        """,
    )
    project.start(
        "-m", "celery", "-A", "proj", "worker", "-l", "INFO", "-P", "threads", "-Q", "celery,maths", ready="ready"
    )
    said = project.python(
        """
        from celery import chain, chord, group
        from proj.celery import app
        from proj.tasks import add, mul, who, xsum
        print(add.s(2, 2), add.s(2).delay(8).get(timeout=10))
        print(add.signature((2, 2), countdown=0).delay().get(timeout=10))
        print(chain(add.s(4, 4) | mul.s(8))().get(timeout=10), (add.s(4, 4) | mul.s(8))().get(timeout=10))
        print(group(add.s(i, i) for i in range(10))().get(timeout=10))
        print(chord((add.s(i, i) for i in range(10)), xsum.s())().get(timeout=10))
        print((group(add.s(i, i) for i in range(3)) | xsum.s())().get(timeout=10))
        print(~add.s(1, 1), add.map([(1, 2)]), list(xsum.map([range(10), range(100)]).apply().get()))
        print(who.delay().get(timeout=10), app.conf.MY_OWN, app.conf.result_expires)
        print(app.send_task('proj.tasks.add', (1, 2), link=mul.s(3)).get(timeout=10))
        """
    )
    assert said.splitlines() == [
        "proj.tasks.add(2, 2) 10",
        "4",
        "64 64",
        "[0, 2, 4, 6, 8, 10, 12, 14, 16, 18]",
        "90",
        "6",
        "2 [proj.tasks.add(x) for x in [(1, 2)]] [45, 4950]",
        "[True, 'proj.tasks.who', 7] kept 3600.0",
        "3",
    ]


@pytest.mark.timeout(120)
def test_periodic_tasks(project: Project, redis_server: Server, reads_until: ReadUntil) -> None:
    """[A290] [A294] [C014]"""
    project.write(
        tasks=f"""
        from celery import Celery
        from celery.beat import ScheduleEntry, Scheduler
        from celery.schedules import crontab

        app = Celery('tasks', broker='{redis_server.url}')
        app.conf.timezone = 'UTC'

        class Logged(Scheduler):
            "A project's own scheduler."

            def apply_entry(self, entry, producer=None):
                print('own scheduler sends', entry.name, flush=True)
                super().apply_entry(entry, producer)

        @app.on_after_configure.connect
        def setup_periodic_tasks(sender, **kwargs):
            sender.add_periodic_task(0.3, test.s('hello'), name='add every 0.3')
            sender.add_periodic_task(30.0, test.s('world'), expires=10)
            sender.add_periodic_task(crontab(hour=7, minute=30, day_of_week=1), test.s('Happy Mondays!'))

        @app.task
        def test(arg):
            print('arg is', arg)
        """,
    )
    worker = project.start("-m", "celery", "-A", "tasks", "worker", "-l", "INFO", "-P", "solo", ready="ready")
    project.start("-m", "celery", "-A", "tasks", "beat", "-l", "INFO", ready=r"Sending due task add every 0\.3")
    reads_until(worker, "arg is hello")
    own = project.start("-m", "celery", "-A", "tasks", "beat", "-S", "tasks:Logged", ready="own scheduler sends")
    assert own.poll() is None


@pytest.mark.timeout(120)
def test_testing_guide(project: Project) -> None:
    """pytest with Celery's own plugin, as its guide shows it."""
    project.write(
        conftest="""
        import pytest
        pytest_plugins = ('celery.contrib.pytest',)

        @pytest.fixture(scope='session')
        def celery_config():
            return {'broker_url': 'memory://', 'result_backend': 'cache+memory://', 'task_serializer': 'json'}

        @pytest.fixture(scope='session')
        def celery_worker_parameters():
            return {'queues': ('high-prio', 'low-prio', 'celery')}
        """,
        test_guide="""
        from unittest.mock import patch

        import pytest
        from celery import Task, shared_task
        from celery.contrib.testing.tasks import ping
        from celery.exceptions import Retry

        @shared_task
        def shared(x):
            return x * 10

        def test_create_task(celery_app, celery_worker):
            @celery_app.task
            def mul(x, y):
                return x * y

            assert mul.delay(4, 4).get(timeout=10) == 16
            assert shared.delay(4).get(timeout=10) == 40

        @pytest.mark.celery(task_always_eager=True)
        def test_marker(celery_app):
            assert celery_app.conf.task_always_eager is True

        def test_retry_is_raised(celery_app):
            @celery_app.task(bind=True, max_retries=3)
            def send_order(self, product):
                try:
                    raise ConnectionError(product)
                except ConnectionError as exc:
                    raise self.retry(exc=exc)

            with patch.object(send_order, 'retry', side_effect=Retry()):
                with pytest.raises(Retry):
                    send_order('x')

        def test_a_class_of_tasks(celery_app, celery_worker):
            class Base(Task):
                abstract = True
                def before_start(self, task_id, args, kwargs):
                    self.seen = args

            @celery_app.task(base=Base, bind=True, shared=False)
            def based(self, value):
                return list(self.seen)

            assert based.delay(7).get(timeout=10) == [7]

        def test_session(celery_session_app, celery_session_worker):
            assert ping.delay().get(timeout=10) == 'pong'
        """,
    )
    said = project.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", ".")
    assert "5 passed" in said


@pytest.mark.timeout(120)
def test_steps_and_signals_of_the_extending_guide(project: Project) -> None:
    """[C017] bootsteps, custom pools, signal receivers with their documented arguments."""
    project.write(
        proj="""
        import threading
        from celery import Celery, bootsteps, signals
        from celery.concurrency.base import BasePool, apply_target

        app = Celery('proj', broker='sqlite:///q.db', backend='sqlite:///q.db')

        class InfoStep(bootsteps.Step):
            requires = {'celery.worker.components:Pool'}

            def __init__(self, worker, **kwargs):
                super().__init__(worker, **kwargs)
                print('step is made of', worker.hostname)

        class DeadlockDetection(bootsteps.StartStopStep):
            requires = {'celery.worker.components:Timer'}

            def start(self, worker):
                print('step starts for', worker.hostname)

            def stop(self, worker):
                print('step stops')

        class InConsumer(bootsteps.StartStopStep):
            requires = {'celery.worker.consumer.tasks:Tasks'}

            def start(self, c):
                print('consumer step starts for', c.hostname)

        app.steps['worker'].add(InfoStep)
        app.steps['worker'].add(DeadlockDetection)
        app.steps['consumer'].add(InConsumer)

        class ThreadAJob(BasePool):
            def on_apply(self, target, args=(), kwargs=None, **options):
                threading.Thread(target=apply_target, args=(target, args, kwargs), kwargs=options).start()

        @app.task
        def add(x, y):
            return x + y

        @signals.task_prerun.connect
        def before(sender=None, task_id=None, task=None, args=None, kwargs=None, **more):
            print('prerun', sender.name, args)

        @signals.task_success.connect(sender=add)
        def succeeded(sender=None, result=None, **more):
            print('success', result)

        @signals.worker_ready.connect
        def ready(sender, **more):
            print('ready', sender.hostname)
        """,
    )
    worker = project.start(
        "-m",
        "celery",
        "-A",
        "proj",
        "worker",
        "-l",
        "INFO",
        "-n",
        "w1@here",
        "-P",
        "proj:ThreadAJob",
        ready="ready w1@here",
    )
    assert project.python("from proj import add; print(add.delay(2, 3).get(timeout=10))").strip() == "5"
    worker.terminate()
    said, _ = worker.communicate(timeout=30)
    assert "prerun proj.add [2, 3]" in said
    assert "success 5" in said
    assert "step stops" in said
    assert worker.returncode == 0


def test_installing_after_the_real_one_is_refused(project: Project) -> None:
    said = project.python(
        """
        import sys, types
        sys.modules['celery'] = types.ModuleType('celery')
        import umbel
        try:
            umbel.install_as_celery()
        except umbel.exceptions.ImproperlyConfigured as error:
            print(error)
        """,
        PYTHONPATH="",
    )
    assert "expected to come before every 'import celery'" in said


def test_at_the_top_of_a_program(project: Project) -> None:
    said = project.python(
        """
        import umbel
        umbel.install_as_celery()
        umbel.install_as_celery()
        import celery, importlib.metadata
        from celery import Celery
        print(celery.__version__, importlib.metadata.version('celery'), issubclass(Celery, umbel.Umbel))
        app = Celery('x', broker='memory://')
        print(app.conf.task_acks_late, celery.current_app.main, app.conf.broker_url)
        """,
        PYTHONPATH="",
    )
    assert said.splitlines() == ["5.7.0 5.7.0 True", "False x memory://"]
