"""The backend's tables, in the same file as the transport's and known to nobody else."""

from __future__ import annotations

from typing import Final

__all__ = ["COMPONENT", "SCRIPTS"]

COMPONENT: Final = "backend"

#: ``SCRIPTS[n]`` makes version n + 1 of version n. Never change one that was released: add another.
SCRIPTS: Final = (
    """
CREATE TABLE umbel_results (
    task_id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    is_final INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    expires_at REAL,
    content_type TEXT NOT NULL,
    content_encoding TEXT NOT NULL,
    payload BLOB NOT NULL
);
CREATE INDEX umbel_results_expires ON umbel_results (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE umbel_groups (group_id TEXT PRIMARY KEY, payload BLOB NOT NULL, expires_at REAL) WITHOUT ROWID;
CREATE TABLE umbel_chords (
    group_id TEXT PRIMARY KEY,
    size INTEGER,
    arrived INTEGER NOT NULL DEFAULT 0,
    body BLOB NOT NULL,
    completed_by TEXT,
    expires_at REAL
) WITHOUT ROWID;
CREATE TABLE umbel_chord_parts (
    group_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    place INTEGER,
    state TEXT NOT NULL,
    payload BLOB NOT NULL,
    UNIQUE (group_id, task_id)
);
""",
)
