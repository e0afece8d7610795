"""The suite that proves a transport.

::

    import pytest
    from umbel.testing.transports import TransportContract

    class TestCarrierPigeon(TransportContract):
        @pytest.fixture
        def transport_url(self, tmp_path):
            return f"pigeon://{tmp_path}/loft"

Each test gets a store of its own from the fixture; where that is costly, a store that is used again will do, since
queue names are unique to a test. The transport is made by its entry point, so install the package (``pip install -e .``)
before running the suite. Tests for capabilities that the transport does not declare are skipped by name.
"""

from __future__ import annotations

from umbel.testing._transports.claiming import ClaimingTests
from umbel.testing._transports.consumers import ConsumerTests
from umbel.testing._transports.faults import FaultTests
from umbel.testing._transports.publishing import PublishingTests
from umbel.testing._transports.revoking import RevokingTests
from umbel.testing._transports.scheduling import SchedulingTests
from umbel.testing._transports.stage import TransportStage
from umbel.testing._transports.topology import TopologyTests

__all__ = ["TransportContract", "TransportStage"]


class TransportContract(
    PublishingTests,
    ClaimingTests,
    ConsumerTests,
    SchedulingTests,
    TopologyTests,
    RevokingTests,
    FaultTests,
    TransportStage,
):
    """Every test of a transport. Subclass it, and give the fixture ``transport_url``.

    More is tested where more is given: override ``inject_garbage``, ``cut_connection``, ``slow_store``,
    ``unreachable_url`` (what is not overridden is skipped by name), and ``make_app`` where the transport needs
    settings. ``lateness_s`` and ``lease_expiry_s`` set how late a slow machine may be.
    """
