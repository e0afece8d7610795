"""The parts of :class:`umbel.testing.transports.TransportContract`, one subject a module."""
