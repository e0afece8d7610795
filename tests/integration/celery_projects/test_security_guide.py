"""The security guide: a project whose messages are signed."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from umbel import Umbel
from umbel.exceptions import SecurityError
from umbel.worker import Worker

if TYPE_CHECKING:
    from tests.integration.celery_projects.conftest import Project

pytest.importorskip("cryptography", reason="pip install 'umbel[auth]'")


@pytest.mark.timeout(120)
def test_security_guide(project: Project, make_identity: Callable[..., SimpleNamespace]) -> None:
    me = make_identity("guide")
    project.write(
        tasks=f"""
        from celery import Celery

        app = Celery('tasks', broker='sqlite:///q.db', backend='sqlite:///q.db')
        app.conf.update(
            security_key='{me.key}',
            security_certificate='{me.cert}',
            security_cert_store='{me.store}/*.crt',
            security_digest='sha256',
            task_serializer='auth',
            result_serializer='auth',
            event_serializer='auth',
            accept_content=['auth'],
        )
        app.setup_security()

        @app.task
        def add(x, y):
            return x + y
        """,
    )
    project.start("-m", "celery", "-A", "tasks", "worker", "-l", "INFO", "-c", "1", ready="ready")
    said = project.python("from tasks import add; r = add.delay(2, 3); print(r.get(timeout=20))")
    assert said.split() == ["5"]


def test_a_worker_parks_what_a_stranger_has_signed(make_identity: Callable[..., SimpleNamespace]) -> None:
    def application(me: SimpleNamespace) -> Umbel:
        url = "memory://signed-by-strangers"
        app = Umbel("signed", broker=url, backend=url, set_as_current=False, task_serializer="auth")
        app.conf.update(accept_content=["auth"], result_accept_content=["json"])
        app.setup_security(key=me.key, cert=me.cert, store=me.store)

        @app.task(name="add")
        def add(x: int, y: int) -> int:
            return x + y

        return app

    ours, theirs = application(make_identity("ours")), application(make_identity("theirs"))
    with Worker(ours, pool="threads", concurrency=1):
        assert ours.send_task("add", (2, 3)).get(timeout=20) == 5
        refused = theirs.send_task("add", (2, 3))
        with pytest.raises(SecurityError, match="not trusted"):
            refused.get(timeout=20)
