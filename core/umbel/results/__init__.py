"""What a caller holds of a call: its result, now or later."""
