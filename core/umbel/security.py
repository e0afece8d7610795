"""Signed messages: the serializer ``auth`` gets an application's key, and the certificates that it trusts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from umbel.exceptions import ImproperlyConfigured, PluginError
from umbel.spi import SigningKeys, SigningSerializer

if TYPE_CHECKING:
    from umbel.app import Umbel

__all__ = ["setup_security"]


def setup_security(
    app: Umbel,
    allowed_serializers: Iterable[str] | None = None,
    key: str | None = None,
    key_password: bytes | str | None = None,
    cert: str | None = None,
    store: str | None = None,
    digest: str | None = None,
    serializer: str = "json",
) -> None:
    """Do what :meth:`umbel.Umbel.setup_security` says for *app*."""
    conf = app.conf
    if conf.task_serializer != "auth" or set(conf.accept_content) not in ({"auth"}, {"application/data"}):
        raise ImproperlyConfigured(
            f"setup_security(): expected task_serializer = 'auth' and accept_content = ['auth'], since signing without "
            f"checking protects nothing; got {conf.task_serializer!r} and {list(conf.accept_content)!r}"
        )
    files = {
        "security_key": key or conf.security_key,
        "security_certificate": cert or conf.security_certificate,
        "security_cert_store": store or conf.security_cert_store,
    }
    missing = [name for name, value in files.items() if not value]
    if missing:
        raise ImproperlyConfigured(f"setup_security(): expected a file for {', '.join(missing)}, got none; set them")
    password = key_password or conf.security_key_password
    keys = SigningKeys(
        key=_read("security_key", files["security_key"]),
        key_password=password.encode() if isinstance(password, str) else password,
        certificate=_read("security_certificate", files["security_certificate"]),
        store=str(files["security_cert_store"]),
        digest=digest or conf.security_digest,
    )
    auth = app.host.serializer("auth")
    if not isinstance(auth, SigningSerializer):
        raise PluginError(f"expected the serializer 'auth' to be a SigningSerializer, got {auth!r}")
    inner = app.host.serializer(serializer)
    also = [app.host.serializer(name) for name in allowed_serializers or ()]
    auth.set_up(keys, inner, {one.content_type: one for one in also})


def _read(setting: str, path: Any) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ImproperlyConfigured(f"{setting}: cannot read {path!r}: {error.strerror}") from error
