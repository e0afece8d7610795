"""The suite that proves a result backend.

::

    import pytest
    from umbel.testing.backends import BackendContract

    class TestCarrierPigeon(BackendContract):
        @pytest.fixture
        def backend_url(self, tmp_path):
            return f"pigeon://{tmp_path}/loft"

Each test gets a store of its own from the fixture; where that is costly, a store that is used again will do, since
task ids are unique to a test. The backend is made by its entry point, so install the package (``pip install -e .``)
before running the suite. Tests for capabilities that the backend does not declare are skipped by name.
"""

from __future__ import annotations

from umbel.testing._backends.faults import FaultTests
from umbel.testing._backends.joining import JoiningTests
from umbel.testing._backends.replying import ReplyingTests
from umbel.testing._backends.stage import BackendStage
from umbel.testing._backends.storing import StoringTests
from umbel.testing._backends.waiting import WaitingTests

__all__ = ["BackendContract", "BackendStage"]


class BackendContract(StoringTests, WaitingTests, JoiningTests, ReplyingTests, FaultTests, BackendStage):
    """Every test of a result backend. Subclass it, and give the fixture ``backend_url``.

    More is tested where more is given: override ``inject_garbage``, ``cut_connection``, ``slow_store``,
    ``unreachable_url`` (what is not overridden is skipped by name), and ``make_app`` where the backend needs settings.
    ``lateness_s`` sets how late a slow machine may be.
    """
