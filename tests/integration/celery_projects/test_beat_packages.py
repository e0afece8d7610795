"""Schedulers and unique tasks that were written for Celery, from the package index and unmodified, on Umbel."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from umbel.testing.servers import Server

if TYPE_CHECKING:
    from tests.integration.celery_projects.conftest import Project

ReadUntil = Callable[[subprocess.Popen[str], str], str]


@pytest.mark.timeout(180)
def test_django_celery_beat(project: Project, redis_server: Server, reads_until: ReadUntil) -> None:
    """Schedules from Django's database: beat sends what is due, notes when, and hears of changes while it runs."""
    project.package("proj")
    project.write(
        proj__settings=f"""
        SECRET_KEY = 'x'
        USE_TZ = True
        DEFAULT_AUTO_FIELD = 'django.db.models.AutoField'
        INSTALLED_APPS = ['django.contrib.contenttypes', 'django_celery_beat']
        DATABASES = {{'default': {{'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'site.db', 'OPTIONS': {{'timeout': 20}}}}}}
        CELERY_BROKER_URL = '{redis_server.url}'
        CELERY_TASK_DEFAULT_QUEUE = 'django-beat'
        CELERY_BEAT_SCHEDULER = 'django_celery_beat.schedulers:DatabaseScheduler'
        CELERY_BEAT_MAX_LOOP_INTERVAL = 1
        CELERY_BEAT_SCHEDULE = {{'from settings': {{'task': 'proj.tasks.told', 'schedule': 1, 'args': ('settings',)}}}}
        """,
        proj__celery="""
        import os
        from celery import Celery

        os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'proj.settings')
        app = Celery('proj', include=['proj.tasks'])
        app.config_from_object('django.conf:settings', namespace='CELERY')
        """,
        proj__tasks="""
        from celery import shared_task

        @shared_task
        def told(what):
            print(f'told {what}', flush=True)
        """,
        schedule="""
        import os, sys
        os.environ['DJANGO_SETTINGS_MODULE'] = 'proj.settings'
        import django; django.setup()
        from django.core.management import call_command
        from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask

        if sys.argv[1] == 'first':
            call_command('migrate', verbosity=0)
            each, _ = IntervalSchedule.objects.get_or_create(every=1, period=IntervalSchedule.SECONDS)
            PeriodicTask.objects.create(interval=each, name='often', task='proj.tasks.told', args='["interval"]')
            midnight, _ = CrontabSchedule.objects.get_or_create(minute='0', hour='0')
            PeriodicTask.objects.create(crontab=midnight, name='nightly', task='proj.tasks.told', args='["cron"]')
        else:
            from django.utils import timezone
            PeriodicTask.objects.filter(name='often').update(enabled=False)
            once = ClockedSchedule.objects.create(clocked_time=timezone.now())
            PeriodicTask.objects.create(clocked=once, one_off=True, name='once', task='proj.tasks.told', args='["clocked"]')
            print(PeriodicTask.objects.get(name='often').total_run_count > 0)
        """,
    )
    project.write(**{"proj/__init__": "from .celery import app as celery_app\n\n__all__ = ('celery_app',)\n"})
    project.run("schedule.py", "first")
    worker = project.start("-m", "celery", "-A", "proj", "worker", "-l", "INFO", "-P", "threads", ready="ready")
    project.start("-m", "celery", "-A", "proj", "beat", "-l", "INFO", "-S", "django", ready="beat: started")
    reads_until(worker, "told interval")
    reads_until(worker, "told settings")
    assert project.run("schedule.py", "then").strip() == "True"
    reads_until(worker, "told clocked")


@pytest.mark.timeout(180)
def test_redbeat(project: Project, redis_server: Server, reads_until: ReadUntil) -> None:
    """Schedules in Redis, and the lock by which one beat of several sends them."""
    project.write(
        tasks=f"""
        from celery import Celery

        app = Celery('tasks', broker='{redis_server.url}')
        app.conf.task_default_queue = 'redbeat'
        app.conf.redbeat_redis_url = '{redis_server.url}'
        app.conf.redbeat_lock_timeout = 20
        app.conf.beat_max_loop_interval = 1
        app.conf.beat_schedule = {{'from settings': {{'task': 'tasks.told', 'schedule': 1, 'args': ('settings',)}}}}

        @app.task
        def told(what):
            print(f'told {{what}}', flush=True)
        """
    )
    worker = project.start("-m", "celery", "-A", "tasks", "worker", "-l", "INFO", "-P", "threads", ready="ready")
    project.start(
        "-m", "celery", "-A", "tasks", "beat", "-S", "redbeat.RedBeatScheduler", "-l", "INFO", ready="Acquired"
    )
    reads_until(worker, "told settings")
    said = project.python(
        """
        from celery.schedules import crontab, schedule
        from redbeat import RedBeatSchedulerEntry
        from redbeat.schedulers import get_redis
        from tasks import app

        RedBeatSchedulerEntry('added', 'tasks.told', schedule(run_every=0.5), args=['added'], app=app).save()
        nightly = RedBeatSchedulerEntry('nightly', 'tasks.told', crontab(minute=0, hour=0), app=app)
        nightly.save()
        print(RedBeatSchedulerEntry.from_key(nightly.key, app=app).schedule == nightly.schedule)
        print(get_redis(app).exists('redbeat::lock'))
        """
    )
    assert said.split()[-2:] == ["True", "1"]
    reads_until(worker, "told added")


@pytest.mark.timeout(180)
def test_tasks_that_are_there_once(project: Project, redis_server: Server) -> None:
    """celery-singleton gives the call that waits already; celery-once refuses a second one; both let go at the end."""
    said = project.python(
        f"""
        import json
        import time
        from celery import Celery
        from celery.contrib.testing.worker import start_worker
        from celery_once import AlreadyQueued, QueueOnce
        from celery_singleton import Singleton, clear_locks

        url = '{redis_server.url}'
        app = Celery('once', broker=url, backend=url)
        app.conf.task_default_queue = 'once'
        app.conf.ONCE = {{'backend': 'celery_once.backends.Redis', 'settings': {{'url': url, 'default_timeout': 60}}}}

        @app.task(base=Singleton)
        def single(x):
            return x

        @app.task(base=QueueOnce)
        def once(x):
            return x

        same = single.delay(1).id == single.delay(1).id
        other = single.delay(2).id
        first = once.delay(1)
        try:
            once.delay(1)
            refused = False
        except AlreadyQueued:
            refused = True
        with start_worker(app, pool='threads', perform_ping_check=False):
            done = [single.delay(1).get(timeout=20), first.get(timeout=20)]
            deadline = time.monotonic() + 20
            while True:  # it lets go in after_return(), which comes after the result
                try:
                    again = once.delay(1).get(timeout=20)
                    break
                except AlreadyQueued:
                    assert time.monotonic() < deadline
        clear_locks(app)
        print(json.dumps([same, refused, done, again]))
        """
    )
    assert json.loads(said.splitlines()[-1]) == [True, True, [1, 1], 1]
