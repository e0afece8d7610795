"""The contracts that plugins fulfil, one a module. They import only :mod:`umbel.model`.

Each is a batch contract: sequences in, sequences out. Each has under ten methods that must be written. Capabilities
are frozen data, false unless declared; ``umbel.testing`` tests what is declared.
"""

from __future__ import annotations

from umbel.spi.backend import BackendCapabilities, ResultBackend
from umbel.spi.committer import Committer
from umbel.spi.joint import JointBackend, JointTransport
from umbel.spi.ledger import JobLedger
from umbel.spi.pool import Executor, Job, Pool, PoolCapabilities, PoolListener, PoolOptions, RunningJob
from umbel.spi.revocations import Revocation, RevocationStore
from umbel.spi.router import Router
from umbel.spi.scheduler import ScheduleEntry, Scheduler
from umbel.spi.serializer import Compressor, Serializer, SigningKeys, SigningSerializer
from umbel.spi.transport import Consumer, Transport, TransportCapabilities

__all__ = [
    "BackendCapabilities",
    "Committer",
    "Compressor",
    "Consumer",
    "Executor",
    "Job",
    "JobLedger",
    "JointBackend",
    "JointTransport",
    "Pool",
    "PoolCapabilities",
    "PoolListener",
    "PoolOptions",
    "ResultBackend",
    "Revocation",
    "RevocationStore",
    "Router",
    "RunningJob",
    "ScheduleEntry",
    "Scheduler",
    "Serializer",
    "SigningKeys",
    "SigningSerializer",
    "Transport",
    "TransportCapabilities",
]
