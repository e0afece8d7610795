"""The test modules that :func:`umbel.testing.check` runs, one a kind. The plugin is the fixture ``checked``."""
