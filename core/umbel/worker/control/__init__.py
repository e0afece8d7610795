"""The worker's side of remote control: the commands that it obeys, and how to add one's own.

::

    from umbel.worker.control import control_command, inspect_command

    @inspect_command()
    def free_space(state):
        "How many bytes are free where this worker runs."
        return shutil.disk_usage("/").free

A module that is imported by the worker (``include``, ``imports``, the task modules, or an extension) is the place.
"""

from __future__ import annotations

from umbel.worker.control.panel import Command, ControlState, Panel, control_command, inspect_command, panel

__all__ = ["Command", "ControlState", "Panel", "control_command", "inspect_command", "panel"]
