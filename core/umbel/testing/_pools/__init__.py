"""The parts of the suite in :mod:`umbel.testing.pools`."""
