"""Celery's signed form: signer, signature, content type, encoding and body, joined, as base64."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives import hashes

from umbel.exceptions import SignatureError
from umbel.spi import Serializer, SigningKeys, SigningSerializer
from umbel_serializer_auth.certificates import Certificate, Signer, TrustedCertificates, digest_of

__all__ = ["AuthSerializer"]

_SEPARATOR: Final = b"\x00\x01"
_FIELDS: Final = 5


class _SetUp(NamedTuple):
    signer: Signer
    trusted: TrustedCertificates
    digest: hashes.HashAlgorithm
    inner: Serializer
    readers: Mapping[str, Serializer]


class AuthSerializer(SigningSerializer):
    """Signs what another serializer writes; reads what a trusted certificate has signed.

    The signature is of the body; the content type beside it is not covered, so only those are read that were set up.
    """

    name = "auth"
    content_type = "application/data"
    # What a trusted peer signs is read by the inner serializer, which may be an unsafe one.
    is_safe = False

    def __init__(self) -> None:
        self._set_up: _SetUp | None = None

    def set_up(self, keys: SigningKeys, inner: Serializer, also: Mapping[str, Serializer]) -> None:
        certificate = Certificate(keys.certificate, "security_certificate")
        signer = Signer(keys.key, keys.key_password, certificate)
        readers = {inner.content_type: inner, **also}
        self._set_up = _SetUp(signer, TrustedCertificates(keys.store), digest_of(keys.digest), inner, readers)

    def dumps(self, value: Any) -> bytes:
        ready = self._ready()
        body = ready.inner.dumps(value)
        fields = (
            base64.b64encode(ready.signer.id.encode()),
            base64.b64encode(ready.signer.sign(body, ready.digest)),
            ready.inner.content_type.encode(),
            ready.inner.content_encoding.encode(),
            body,
        )
        return base64.b64encode(_SEPARATOR.join(fields))

    def loads(self, data: bytes) -> Any:
        ready = self._ready()
        signer, signature, content_type, body = _unpack(data)
        ready.trusted.find(signer).verify(body, signature, ready.digest)
        reader = ready.readers.get(content_type)
        if reader is None:
            known = ", ".join(sorted(ready.readers))
            raise SignatureError(f"the message is signed, and holds {content_type!r}; expected one of: {known}")
        return reader.loads(body)

    def _ready(self) -> _SetUp:
        if self._set_up is None:
            raise SignatureError(
                "the serializer 'auth' has no keys: call app.setup_security() where the application is made"
            )
        return self._set_up


def _unpack(data: bytes) -> tuple[str, bytes, str, bytes]:
    """Return (signer, signature, content type, body)."""
    try:
        fields = base64.b64decode(data, validate=True).split(_SEPARATOR, _FIELDS - 1)
        if len(fields) != _FIELDS:
            raise ValueError(f"expected {_FIELDS} fields, got {len(fields)}")
        signer, signature, content_type, _, body = fields
        return (
            base64.b64decode(signer, validate=True).decode(),
            base64.b64decode(signature, validate=True),
            content_type.decode("ascii"),
            body,
        )
    except (binascii.Error, ValueError) as error:
        raise SignatureError(f"the message is not signed, or damaged: {error}") from error
