"""The extension is found, loaded, told of tasks, and has its command."""

from __future__ import annotations

import subprocess
import sys

from umbel.host import Host
from umbel.signals import task_postrun


def test_the_extension_is_told_of_tasks() -> None:
    (plugin,) = Host().extensions(None, ["demo"])
    before = plugin.module.outcomes["SUCCESS"]
    task_postrun.send_robust(None, task_id="1", task=None, args=(), kwargs={}, retval=4, state="SUCCESS")
    assert plugin.module.outcomes["SUCCESS"] == before + 1


def test_the_command_is_there() -> None:
    done = subprocess.run([sys.executable, "-m", "umbel", "demo"], capture_output=True, text=True, check=True)
    assert done.stdout == "hello from demo\n"
