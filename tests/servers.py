"""What tests do with the programs of servers, which may not be installed."""

from __future__ import annotations

import os

import pytest

from umbel.testing.servers import MissingProgram, Server

__all__ = ["need"]


def need(kind: type[Server]) -> None:
    """Skip the test where the server's program is not installed; under ``CI`` that is an error."""
    try:
        kind.program()
    except MissingProgram as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
