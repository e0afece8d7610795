"""The members of chords that have come in: a folder a chord, a file a member.

::

    chords/<xx>/<group>/parts/<task>   a member
    chords/<xx>/<group>/size           how many there will be, once a part told it
    chords/<xx>/<group>/count          no less than the number of members: bumped before a member is written
    chords/<xx>/<group>/extra          there when a member has added members: then all are asked how many
    chords/<xx>/<group>/done           the id of the task that completed the chord; empty when what follows was sent
"""

from __future__ import annotations

import contextlib
import os
import shutil

from umbel.model import ChordPart, JoinedChord
from umbel_backend_filesystem.documents import decode_part, encode_part
from umbel_backend_filesystem.folder import Folder

__all__ = ["Chords"]


class Chords:
    """The chords in *folder*. Every method is thread-safe."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def join(self, part: ChordPart) -> JoinedChord | None:
        """Count *part* in; return the chord if this completes it, or did so before."""
        with self._folder.locked(part.group_id):
            place = self._folder.place("chords", part.group_id)
            done = self._folder.read(os.path.join(place, "done"))
            if done is None:
                if not self._is_complete(place, part):
                    return None
                self._folder.write(os.path.join(place, "done"), part.task_id.encode(), part.expires_s)
            elif done != part.task_id.encode():
                return None
            return JoinedChord(part.group_id, self._parts(place, part), part.body)

    def conclude(self, group_id: str) -> None:
        """Let nobody have the chord any more."""
        with self._folder.locked(group_id):
            place = self._folder.place("chords", group_id)
            if os.path.exists(place):
                self._folder.write(os.path.join(place, "done"), b"", None)
                shutil.rmtree(os.path.join(place, "parts"), ignore_errors=True)

    def expire(self, before: float) -> None:
        """Remove the chords whose time was over at *before*."""
        for shard in os.scandir(self._folder.path("chords")):
            for place in os.scandir(shard.path):
                if self._folder.is_over(os.path.join(place.path, "count"), before):
                    trash = self._folder.path("new", os.urandom(8).hex())
                    with contextlib.suppress(FileNotFoundError):  # swept by another process
                        os.rename(place.path, trash)
                        shutil.rmtree(trash)

    def _is_complete(self, place: str, part: ChordPart) -> bool:
        """Write *part* unless it is there; say whether the chord is complete now."""
        parts = os.path.join(place, "parts")
        path = os.path.join(parts, self._folder.quote(part.task_id))
        if not os.path.exists(path):
            count = self._bump(place, part.expires_s)
            if part.extra:
                self._folder.write(os.path.join(place, "extra"), b"1", None)
            self._folder.write(path, encode_part(part), None)
        else:
            count = self._number(os.path.join(place, "count"))
        if part.size is not None:
            size = part.size
            if self._number(os.path.join(place, "size")) != size:
                self._folder.write(os.path.join(place, "size"), str(size).encode(), None)
        else:
            size = self._number(os.path.join(place, "size"))
        # The count may be too high, after a crash between counting and writing: the members themselves decide.
        if not 0 < size <= count:
            return False
        if os.path.exists(os.path.join(place, "extra")):
            size += sum(known.extra for known in self._parts(place, part))
        return len(os.listdir(parts)) >= size

    def _bump(self, place: str, expires_s: float | None) -> int:
        path = os.path.join(place, "count")
        count = self._number(path) + 1
        self._folder.write(path, str(count).encode(), expires_s)
        return count

    def _number(self, path: str) -> int:
        text = self._folder.read(path)
        return int(text) if text and text.isdigit() else 0

    def _parts(self, place: str, last: ChordPart) -> list[ChordPart]:
        folder = os.path.join(place, "parts")
        datas = [self._folder.read(os.path.join(folder, name)) for name in os.listdir(folder)]
        parts = [decode_part(data, last.group_id, last.body) for data in datas if data is not None]
        return sorted(parts, key=lambda part: (part.index is None, part.index or 0, part.task_id))
