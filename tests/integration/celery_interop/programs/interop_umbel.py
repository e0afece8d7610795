"""The Umbel application of these tests."""

from __future__ import annotations

import os

from interop_tasks import define

from umbel import Umbel

app = Umbel("interop", broker=os.environ["INTEROP_BROKER"], backend=os.environ["INTEROP_RESULTS"])
app.conf.update(accept_content=["json", "pickle", "yaml", "msgpack"], result_accept_content=["json", "pickle"])
define(app, "umbel")
