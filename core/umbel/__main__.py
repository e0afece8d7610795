"""``python -m umbel``: the command ``umbel``."""

from __future__ import annotations

from umbel.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
