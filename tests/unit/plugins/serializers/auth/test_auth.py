"""Signed messages: those of Celery are read, ours are read by Celery, and all others are refused."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("cryptography", reason="pip install 'umbel[auth]'")

from umbel import Umbel
from umbel.exceptions import EncodeError, ImproperlyConfigured, SecurityError, SignatureError
from umbel.protocol.codec import Codec

Identity = SimpleNamespace
Keys = Callable[..., Identity]
VALUE = [[1, "ä"], {"key": 2.5}, {"chain": None}]
#: A program that signs or reads with Celery itself: in, base64 lines; out, base64 lines or JSON.
CELERY = """
import base64, json, sys
from celery import Celery
from kombu.serialization import dumps, loads

task, key, cert, store, text, inner = sys.argv[1:]
app = Celery("peer", broker="memory://", set_as_current=True)
app.conf.update(security_key=key, security_certificate=cert, security_cert_store=store, task_serializer="auth",
                accept_content=["auth"])
app.setup_security(serializer=inner)
if task == "sign":
    kind, encoding, body = dumps(json.loads(text), serializer="auth")
    print(json.dumps([kind, encoding, body]))
else:
    print(json.dumps(loads(text, "application/data", "utf-8", accept={"application/data"})))
"""


@pytest.fixture(scope="module")
def alice(make_identity: Keys) -> Identity:
    return make_identity("alice")


def application(me: Identity, **options: Any) -> Umbel:
    app = Umbel("signed", broker="memory://", set_as_current=False, task_serializer="auth", accept_content=["auth"])
    app.setup_security(**{"key": me.key, "cert": me.cert, "store": me.store, **options})
    return app


def celery(task: str, me: Identity, text: str, inner: str = "json") -> Any:
    pytest.importorskip("celery", reason="pip install 'umbel[peers]'")
    words = [task, me.key, me.cert, me.store, text, inner]
    done = subprocess.run(
        [sys.executable, "-c", CELERY, *words], capture_output=True, text=True, check=False, timeout=50
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("inner", ["json", "yaml"])
def test_celery_reads_what_we_sign(alice: Identity, inner: str) -> None:
    data, content_type, encoding = application(alice, serializer=inner).codec.dumps(VALUE, "auth")
    assert (content_type, encoding) == ("application/data", "utf-8")
    assert celery("read", alice, data.decode(), inner) == VALUE


@pytest.mark.parametrize("inner", ["json", "yaml"])
def test_we_read_what_celery_signs(alice: Identity, inner: str) -> None:
    content_type, encoding, body = celery("sign", alice, json.dumps(VALUE), inner)
    codec = application(alice, allowed_serializers=["yaml"]).codec
    assert codec.loads(body.encode(), content_type, encoding, codec.content_types(["auth"])) == VALUE


def read(codec: Codec, data: bytes) -> Any:
    return codec.loads(data, "application/data", "utf-8", frozenset({"application/data"}))


def test_strangers_are_refused(alice: Identity, make_identity: Keys) -> None:
    theirs = application(make_identity("mallory")).codec.dumps(VALUE, "auth")[0]
    with pytest.raises(SignatureError, match=r"mallory.* is not trusted"):
        read(application(alice).codec, theirs)


def test_one_who_claims_to_be_somebody_else_is_refused(alice: Identity, make_identity: Keys) -> None:
    codec = application(alice).codec
    fields = base64.b64decode(application(make_identity("mallory")).codec.dumps(VALUE, "auth")[0]).split(b"\0\1", 4)
    fields[0] = base64.b64decode(codec.dumps(VALUE, "auth")[0]).split(b"\0\1", 4)[0]
    with pytest.raises(SignatureError, match=r"is not what .*alice"):
        read(codec, base64.b64encode(b"\0\1".join(fields)))


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        (1, base64.b64encode(b"x" * 256), "is not what"),
        (1, b"", "is not what"),
        (1, b"!", "damaged"),
        (2, b"application/x-python-serialize", "expected one of: application/json"),
        (2, b"\xff", "damaged"),
        (4, b"[]", "is not what"),
    ],
)
def test_what_was_tampered_with_is_refused(alice: Identity, field: int, value: bytes, says: str) -> None:
    codec = application(alice).codec
    fields = base64.b64decode(codec.dumps(VALUE, "auth")[0]).split(b"\0\1", 4)
    assert read(codec, base64.b64encode(b"\0\1".join(fields))) == VALUE
    fields[field] = value
    with pytest.raises(SignatureError, match=says):
        read(codec, base64.b64encode(b"\0\1".join(fields)))


@pytest.mark.parametrize("data", [b"", b"[]", b"[[], {}, {}]", b"\xff\xff", base64.b64encode(b"a\0\1b")])
def test_what_is_not_signed_is_refused(alice: Identity, data: bytes) -> None:
    with pytest.raises(SignatureError, match="not signed, or damaged"):
        read(application(alice).codec, data)


def test_expired_certificates_are_refused(alice: Identity, make_identity: Keys) -> None:
    expired = make_identity("late", days=-1)
    with pytest.raises(SecurityError, match="has expired"):
        application(expired, store=alice.store)
    with pytest.raises(SecurityError, match="has expired"):
        application(alice, store=expired.store)


def test_a_certificate_that_expires_meanwhile_is_refused(alice: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    from umbel_serializer_auth.certificates import Certificate

    codec = application(alice).codec
    data = codec.dumps(VALUE, "auth")[0]
    monkeypatch.setattr(Certificate, "has_expired", lambda self: True)
    with pytest.raises(SignatureError, match="expired certificate"):
        read(codec, data)


def test_a_key_with_a_password(make_identity: Keys) -> None:
    bob = make_identity("bob", password=b"secret")
    codec = application(bob, key_password="secret").codec
    assert read(codec, codec.dumps(VALUE, "auth")[0]) == VALUE
    for wrong in (None, "other"):
        with pytest.raises(SecurityError, match="its password"):
            application(bob, key_password=wrong)


def test_wrong_set_ups_are_refused(alice: Identity, make_identity: Keys, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("nothing")
    for options, error, says in [
        ({"key": str(tmp_path / "nowhere")}, ImproperlyConfigured, "security_key: cannot read"),
        ({"key": str(garbage)}, SecurityError, "expected a private key in PEM"),
        ({"cert": str(garbage)}, SecurityError, "expected an X.509 certificate"),
        ({"cert": make_identity("other").cert}, SecurityError, "got that of another key"),
        ({"store": str(tmp_path / "*.crt")}, SecurityError, "found none in"),
        ({"digest": "md17"}, SecurityError, "expected a digest"),
        ({"key": None}, ImproperlyConfigured, "expected a file for security_key, got none"),
    ]:
        with pytest.raises(error, match=says):
            application(alice, **options)
    with pytest.raises(ImproperlyConfigured, match="expected task_serializer = 'auth'"):
        Umbel("plain", broker="memory://", set_as_current=False).setup_security()


def test_without_a_set_up_nothing_is_sent_or_read() -> None:
    app = Umbel("bare", broker="memory://", set_as_current=False, task_serializer="auth", accept_content=["auth"])
    with pytest.raises(EncodeError, match=r"call app\.setup_security"):
        app.codec.dumps(VALUE, "auth")
    with pytest.raises(SignatureError, match=r"call app\.setup_security"):
        read(app.codec, b"e30=")
