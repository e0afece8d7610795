"""``umbel multi``: start, stop and restart groups of workers that go on without a terminal."""
