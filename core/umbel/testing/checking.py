"""Runs the suite of a plugin's kind against an installed plugin."""


def check(kind: str, name: str, url: str | None = None) -> int:
    return 0
