"""These tests compare with the real Celery: skipped on a laptop that has none, failed where ``CI`` is set."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import pytest

from umbel.host import Host
from umbel.protocol.codec import Codec

HAS_CELERY = importlib.util.find_spec("celery") is not None
collect_ignore_glob = [] if HAS_CELERY or os.environ.get("CI") else ["test_*.py"]


@pytest.fixture(scope="session")
def codec() -> Codec:
    return Codec(Host())


@pytest.fixture(scope="session")
def celery_app() -> Any:
    from celery import Celery

    app = Celery("compare", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.update(accept_content=["json", "pickle", "yaml", "msgpack"], result_accept_content=["json", "pickle"])
    return app
