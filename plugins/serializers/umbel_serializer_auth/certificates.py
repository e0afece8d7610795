"""Certificates and keys: who signed, and whether that is somebody who is trusted."""

from __future__ import annotations

import datetime as dt
import glob
import os

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from umbel.exceptions import SecurityError, SignatureError

__all__ = ["Certificate", "Signer", "TrustedCertificates", "digest_of"]


def digest_of(name: str) -> hashes.HashAlgorithm:
    """Return the digest *name*, such as ``sha256``."""
    found = getattr(hashes, name.upper(), None)
    if not (isinstance(found, type) and issubclass(found, hashes.HashAlgorithm)):
        raise SecurityError(f"security_digest: expected a digest such as 'sha256', got {name!r}")
    try:
        return found()
    except TypeError as error:  # those that need to be told a length
        raise SecurityError(f"security_digest: {name!r} cannot sign; use 'sha256'") from error


def _padding(digest: hashes.HashAlgorithm) -> padding.PSS:
    return padding.PSS(mgf=padding.MGF1(digest), salt_length=padding.PSS.MAX_LENGTH)


class Certificate:
    """An X.509 certificate with an RSA key; *place* is its file, for errors."""

    def __init__(self, pem: bytes, place: str) -> None:
        try:
            self._certificate = x509.load_pem_x509_certificate(pem)
            key = self._certificate.public_key()
        except (ValueError, UnsupportedAlgorithm) as error:
            raise SecurityError(f"{place}: expected an X.509 certificate in PEM: {error}") from error
        if not isinstance(key, rsa.RSAPublicKey):
            raise SecurityError(f"{place}: expected a certificate with an RSA key, got {type(key).__name__}")
        self.key = key
        #: Issuer and serial number, as they stand in each message that it has signed.
        self.id = f"{' '.join(str(part.value) for part in self._certificate.issuer)} {self._certificate.serial_number}"

    def has_expired(self) -> bool:
        """Say whether its time is over."""
        return dt.datetime.now(dt.UTC) >= self._certificate.not_valid_after_utc

    def verify(self, body: bytes, signature: bytes, digest: hashes.HashAlgorithm) -> None:
        """Raise :class:`~umbel.exceptions.SignatureError` unless *signature* is this certificate's for *body*."""
        if self.has_expired():
            raise SignatureError(f"the message is signed with the expired certificate {self.id!r}")
        try:
            self.key.verify(signature, body, _padding(digest), digest)
        except InvalidSignature as error:
            raise SignatureError(f"the message is not what {self.id!r} has signed") from error


class Signer:
    """A private key and its certificate."""

    def __init__(self, key: bytes, password: bytes | None, certificate: Certificate) -> None:
        try:
            private = serialization.load_pem_private_key(key, password)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise SecurityError(f"security_key: expected a private key in PEM, and its password: {error}") from error
        if not isinstance(private, rsa.RSAPrivateKey):
            raise SecurityError(f"security_key: expected an RSA key, got {type(private).__name__}")
        if private.public_key().public_numbers() != certificate.key.public_numbers():
            raise SecurityError(
                "security_certificate: expected the certificate of security_key, got that of another key"
            )
        if certificate.has_expired():
            raise SecurityError(f"security_certificate: {certificate.id!r} has expired")
        self._key = private
        self.id = certificate.id

    def sign(self, body: bytes, digest: hashes.HashAlgorithm) -> bytes:
        """Return the signature of *body*."""
        return self._key.sign(body, _padding(digest), digest)


class TrustedCertificates:
    """The certificates in a folder, or those that a pattern of files matches. One that has expired is refused at once."""

    def __init__(self, pattern: str) -> None:
        self._by_id: dict[str, Certificate] = {}
        for path in sorted(glob.glob(os.path.join(pattern, "*") if os.path.isdir(pattern) else pattern)):
            with open(path, "rb") as file:
                certificate = Certificate(file.read(), path)
            if certificate.has_expired():
                raise SecurityError(f"security_cert_store: {path}: the certificate {certificate.id!r} has expired")
            if certificate.id in self._by_id:
                raise SecurityError(f"security_cert_store: {path}: the certificate {certificate.id!r} is there twice")
            self._by_id[certificate.id] = certificate
        if not self._by_id:
            raise SecurityError(f"security_cert_store: expected certificates, found none in {pattern!r}")

    def find(self, certificate_id: str) -> Certificate:
        """Return the certificate of this id. Raises :class:`~umbel.exceptions.SignatureError` for a stranger's."""
        try:
            return self._by_id[certificate_id]
        except KeyError:
            raise SignatureError(
                f"the message is signed by {certificate_id!r}, whose certificate is not trusted"
            ) from None
