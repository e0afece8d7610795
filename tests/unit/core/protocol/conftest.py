from __future__ import annotations

import pytest

from umbel.host import Host
from umbel.protocol.codec import Codec


@pytest.fixture(scope="session")
def codec() -> Codec:
    return Codec(Host())


@pytest.fixture(scope="session")
def accept(codec: Codec) -> frozenset[str]:
    return codec.content_types(["json"])
