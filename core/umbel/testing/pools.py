"""The suite that proves a pool.

::

    import pytest
    from umbel.testing.pools import PoolContract

    class TestFibres(PoolContract):
        @pytest.fixture
        def pool_name(self):
            return "fibres"

The pool is made by its entry point, so install the package (``pip install -e .``) before running the suite. Its jobs are
those of a real executor; they wait for named pipes, not for time. Tests for capabilities that the pool does not declare
are skipped by name.
"""

from __future__ import annotations

import pytest

from umbel.testing._pools.faults import FaultTests
from umbel.testing._pools.lifecycle import LifecycleTests
from umbel.testing._pools.limits import LimitTests
from umbel.testing._pools.running import RunningTests
from umbel.testing._pools.stage import PoolStage

__all__ = ["PoolContract", "PoolStage"]


# pytest itself has no threads; the pools of earlier tests may have left some that end by themselves.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
class PoolContract(RunningTests, FaultTests, LimitTests, LifecycleTests, PoolStage):
    """Every test of a pool. Subclass it, and give the fixture ``pool_name``."""
