"""Giving up root's rights before any task runs."""

from __future__ import annotations

import grp
import os
import pwd

import attrs

from umbel.exceptions import ImproperlyConfigured, SecurityError

__all__ = ["Identity", "drop_privileges", "find_identity"]


@attrs.frozen
class Identity:
    """The user and group that a worker is to run as; ``None`` leaves the present one."""

    uid: int | None = None
    gid: int | None = None


def find_identity(user: str | None, group: str | None) -> Identity:
    """Look up *user* and *group* (names or numbers); a user without a group brings his own group.

    Raises :class:`~umbel.exceptions.ImproperlyConfigured` for an unknown one [B1118].
    """
    gid = None if group is None else _find_group(group)
    if user is None:
        return Identity(None, gid)
    try:
        entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        if user.isdigit():
            return Identity(int(user), gid)
        raise ImproperlyConfigured(f"no user named {user!r} on this machine; give --uid a name or a number") from None
    return Identity(entry.pw_uid, entry.pw_gid if gid is None else gid)


def _find_group(group: str) -> int:
    if group.isdigit():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise ImproperlyConfigured(f"no group named {group!r} on this machine; give --gid a name or a number") from None


def drop_privileges(identity: Identity) -> None:
    """Become *identity* for good: groups first, then the user, real ids too [B1128] [B1129].

    Raises :class:`~umbel.exceptions.SecurityError` when this process may not, or when root could be regained.
    """
    if identity.uid in (None, os.getuid()) and identity.gid in (None, os.getgid()):
        return
    if os.getuid() != 0:
        raise SecurityError(
            f"only root may change user or group; this process runs as user {os.getuid()}: leave out --uid and --gid"
        )
    if identity.gid is not None:
        os.setgroups([])
        os.setgid(identity.gid)
    if identity.uid is not None:
        if identity.gid is not None:
            os.initgroups(_user_name(identity.uid), identity.gid)
        os.setuid(identity.uid)
        _prove_root_is_gone(identity.uid)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _prove_root_is_gone(uid: int) -> None:
    if uid == 0:
        return
    try:
        os.setuid(0)
    except OSError:
        return
    raise SecurityError("root's rights could be regained after they were dropped; refusing to run")
