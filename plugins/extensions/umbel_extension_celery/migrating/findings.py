"""What was found out about a project, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, Final

import attrs

__all__ = ["Finding", "Level", "Report"]


class Level(Enum):
    """What a finding means for whoever moves the project."""

    CHANGE = "change"
    DIFFERS = "differs"
    MAPS = "maps"


_TITLES: Final = {
    Level.CHANGE: "To change before it runs on Umbel",
    Level.DIFFERS: "Runs, and differs",
    Level.MAPS: "Maps",
}


@attrs.frozen
class Finding:
    """One thing in the project. *advice* says what it becomes, why it differs, or what to do."""

    level: Level
    area: str
    what: str
    advice: str
    file: str
    line: int = 1

    @property
    def place(self) -> str:
        """``file:line``."""
        return f"{self.file}:{self.line}"


@attrs.frozen
class Report:
    """All that was found in *project*; *skipped* are the files that could not be read, each with the reason."""

    project: str
    files: int
    findings: tuple[Finding, ...]
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def must_change(self) -> bool:
        """Whether something in the project must be changed."""
        return any(finding.level is Level.CHANGE for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            "project": self.project,
            "files": self.files,
            "must_change": self.must_change,
            **{
                level.value: [
                    {key: value for key, value in attrs.asdict(finding).items() if key != "level"}
                    for finding in self._of(level)
                ]
                for level in Level
            },
            "skipped": [{"file": file, "why": why} for file, why in self.skipped],
        }

    def as_text(self) -> str:
        """Return the report for people."""
        return "\n".join(self._lines())

    def _of(self, level: Level) -> list[Finding]:
        found = {finding for finding in self.findings if finding.level is level}
        return sorted(found, key=lambda finding: (finding.file, finding.line, finding.area, finding.what))

    def _lines(self) -> Iterator[str]:
        yield f"{self.project}: {self.files} file(s) read, nothing of it was run"
        for level in Level:
            found = self._of(level)
            if found:
                yield from ("", f"{_TITLES[level]} ({len(found)})")
                yield from _rows(found)
        if self.skipped:
            yield from ("", f"Not read ({len(self.skipped)}); what stands there is not in this report")
            yield from (f"  {file}: {why}" for file, why in self.skipped)
        yield ""
        if not self.findings:
            yield "No use of Celery was found."
        elif self.must_change:
            yield "Change what is listed first; then run it: umbel celery -A ... worker"
        else:
            yield "Everything maps. Run it: umbel celery -A ... worker"


def _rows(findings: Iterable[Finding]) -> Iterator[str]:
    for finding in findings:
        yield f"  {finding.place}  [{finding.area}] {finding.what}"
        if finding.advice:
            yield f"      -> {finding.advice}"
