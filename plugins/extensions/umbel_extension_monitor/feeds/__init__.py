"""What talks to the broker: each a blocking function or method, for a thread of its own."""
