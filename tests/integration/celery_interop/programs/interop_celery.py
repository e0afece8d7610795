"""The Celery application of these tests."""

from __future__ import annotations

import os

from celery import Celery
from interop_tasks import define

app = Celery("interop", broker=os.environ["INTEROP_BROKER"], backend=os.environ["INTEROP_RESULTS"])
app.conf.update(
    accept_content=["json", "pickle", "yaml", "msgpack"],
    result_accept_content=["json", "pickle"],
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)
define(app, "celery")
