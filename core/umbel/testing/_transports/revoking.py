"""Stores that keep what is revoked."""

from __future__ import annotations

import time
from typing import Any

import pytest

from umbel.spi import Revocation, RevocationStore
from umbel.testing._transports.stage import SOON_S, TransportStage

__all__ = ["RevokingTests"]


class RevokingTests(TransportStage):
    """Only for transports that are a :class:`~umbel.spi.RevocationStore`."""

    def revoking(self) -> Any:
        """Return a new connection, as one that keeps revocations."""
        transport = self.connect()
        if not isinstance(transport, RevocationStore):
            pytest.skip(f"{type(transport).__name__} is no RevocationStore")
        return transport

    def revocation(self, name: str, header: str | None = None) -> Revocation:
        """Return one that no other test has."""
        return Revocation(self.name(name), header)

    def mine(self, found: Any) -> list[Revocation]:
        """Leave out what is another test's."""
        return [each for each in found if self._token in each.value]

    def test_what_is_revoked_is_known_on_every_connection(self) -> None:
        writer, reader = self.revoking(), self.revoking()
        first, stamp = self.revocation("first"), self.revocation("ünï ☃ '\"\\", "héader")
        writer.revoke([first, stamp], 60.0)
        found, _ = reader.revocations()
        assert set(self.mine(found)) == {first, stamp}

    def test_a_cursor_leads_to_what_is_new(self) -> None:
        writer, reader = self.revoking(), self.revoking()
        _, cursor = reader.revocations()
        assert self.mine(reader.revocations(cursor)[0]) == []
        for number in range(3):
            new = self.revocation(f"new-{number}")
            writer.revoke([new], 60.0)
            found, cursor = reader.revocations(cursor)
            assert new in self.mine(found)
        assert set(self.mine(reader.revocations()[0])) == {self.revocation(f"new-{number}") for number in range(3)}

    def test_what_is_revoked_again_is_kept_anew(self) -> None:
        writer = self.revoking()
        again = self.revocation("again")
        writer.revoke([again], 0.001)
        writer.revoke([again, again], 60.0)
        assert set(self.mine(writer.revocations()[0])) == {again}

    def test_what_has_expired_is_gone(self) -> None:
        """How long a store keeps things is one setting for all of it, so all of it may go by the newest one."""
        writer = self.revoking()
        writer.revoke([self.revocation("brief")], 0.05)
        deadline = time.monotonic() + SOON_S
        while True:
            other = self.revocation(f"other-{time.monotonic()}")
            writer.revoke([other], 0.05)
            if self.revocation("brief") not in self.mine(writer.revocations()[0]):
                return
            assert time.monotonic() < deadline, "what has expired is still there"

    def test_many_are_kept_at_once(self) -> None:
        writer = self.revoking()
        many = [self.revocation(f"many-{number}") for number in range(5000)]
        writer.revoke(many, 60.0)
        assert set(self.mine(writer.revocations()[0])) == set(many)
