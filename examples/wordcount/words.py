"""The application of the word count: one task counts the words of some files, one adds counts up."""

import re
from collections import Counter

from umbel import Umbel

app = Umbel("wordcount")

WORD = re.compile(r"[A-Za-z_]{3,}")


@app.task
def count_words(paths: list[str]) -> dict[str, int]:
    """Map: how often each word stands in the files *paths*."""
    counts = Counter()
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as file:
            counts.update(WORD.findall(file.read().lower()))
    return counts


@app.task
def add_up(parts: list[dict[str, int]]) -> dict[str, int]:
    """Reduce: the sum of *parts*."""
    total = Counter()
    for part in parts:
        total.update(part)
    return total
