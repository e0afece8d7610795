"""The serializer ``auth``: what another one has written, signed with an X.509 certificate's key, as Celery does it.

``app.setup_security()`` gives it the key and the trusted certificates; before that it refuses everything.
"""

from __future__ import annotations

from collections.abc import Sequence

from umbel.hookspecs import hookimpl
from umbel.model import PluginInfo
from umbel.spi import Serializer
from umbel_serializer_auth.serializer import AuthSerializer

__all__ = ["AuthSerializer", "plugin_info", "umbel_serializers"]

plugin_info = PluginInfo(
    kind="serializer",
    names=("auth",),
    summary="signs messages with an X.509 certificate and refuses those of strangers; needs app.setup_security()",
    requires=("cryptography",),
    extra="auth",
)


@hookimpl
def umbel_serializers() -> Sequence[Serializer]:
    return [AuthSerializer()]
