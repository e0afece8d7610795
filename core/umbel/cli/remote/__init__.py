"""``umbel inspect``, ``umbel control`` and ``umbel status``: remote control from the command line."""
