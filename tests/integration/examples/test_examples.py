"""The examples run as they stand."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import sysconfig
from collections import Counter
from pathlib import Path

import pytest

EXAMPLES = pathlib.Path(__file__).resolve().parents[3] / "examples"


@pytest.mark.timeout(180)
def test_wordcount_counts_right(tmp_path: Path) -> None:
    """The words of the 60 largest files, counted once more here."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "wordcount"), "--files", "60", "--top", "5"],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    library = pathlib.Path(sysconfig.get_paths()["stdlib"])
    files = [path for path in library.rglob("*.py") if "site-packages" not in path.parts]
    files.sort(key=lambda path: path.stat().st_size, reverse=True)
    words: Counter[str] = Counter()
    for path in files[:60]:
        words.update(re.findall(r"[A-Za-z_]{3,}", path.read_text(encoding="utf-8", errors="replace").lower()))
    for word, number in words.most_common(5):
        assert f"{number:>9,}  {word}\n" in done.stdout
    assert re.search(r"\] 64/64 tasks, \d+/s", done.stdout)
    assert f"{sum(words.values()):,} words, {len(words):,} different ones" in done.stdout
    # The folder of the nodes' sockets is every worker's of this user: it stays, empty.
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == [], "it leaves nothing behind"
