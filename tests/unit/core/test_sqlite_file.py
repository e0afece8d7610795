"""What plugins of one SQLite file share, beyond what their suites show."""

from __future__ import annotations

import threading
from pathlib import Path

import attrs

from umbel.sqlite_file import Connection, SqliteFile

DEADLINE_S = 20.0


@attrs.frozen
class Watched(SqliteFile):
    """Says when it is looked at, and goes on when it is told to."""

    entered: threading.Event = attrs.field(factory=threading.Event)
    goes_on: threading.Event = attrs.field(factory=threading.Event)

    def _set_up(self, connection: Connection) -> None:
        self.entered.set()
        assert self.goes_on.wait(DEADLINE_S)
        super()._set_up(connection)


def test_one_thread_at_a_time_opens_a_file(tmp_path: Path) -> None:
    """Else one that still has the file that was here before cuts the log of the file that is here now."""
    path = str(tmp_path / "queue.db")
    first, second = Watched(path), Watched(path)
    second.goes_on.set()
    opened: list[Connection] = []
    threads = [threading.Thread(target=lambda file=file: opened.append(file.connect())) for file in (first, second)]
    threads[0].start()
    assert first.entered.wait(DEADLINE_S)
    threads[1].start()
    assert not second.entered.wait(0.1), "it has to wait for its turn"
    first.goes_on.set()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert second.entered.is_set()
    assert len(opened) == 2
    for connection in opened:
        connection.close()
