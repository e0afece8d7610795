"""The parts of :class:`umbel.testing.backends.BackendContract`, one subject a module."""
