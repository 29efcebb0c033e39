"""Decide who runs the server when root asks for it."""

import contextlib
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from sereno.embedded.remedy import REMEDY
from sereno.model.errors import EmbeddedError

if sys.platform != "win32":
    import pwd


@dataclass(frozen=True, slots=True)
class SystemAccount:
    """The system account that runs a server, as PostgreSQL refuses to run as root."""

    name: str
    uid: int
    gid: int

    @classmethod
    def to_serve(cls, directory: Path) -> "SystemAccount | None":
        """Return whom to become to run a server in ``directory``: None, except for root.

        What exists stays with its owner, so an account that is created later changes nothing.
        """
        if os.geteuid() != 0:
            return None
        with contextlib.suppress(FileNotFoundError, KeyError):
            owner = pwd.getpwuid(directory.stat().st_uid)
            if owner.pw_uid != 0:
                return cls(owner.pw_name, owner.pw_uid, owner.pw_gid)
        for name in ("pgserver", "postgres", "nobody"):
            with contextlib.suppress(KeyError):
                entry = pwd.getpwnam(name)
                return cls(name, entry.pw_uid, entry.pw_gid)
        raise EmbeddedError(
            "the embedded PostgreSQL cannot run as root, and none of the accounts pgserver,"
            " postgres and nobody exists to run it: create one, start sereno as another user,"
            f" {REMEDY}"
        )

    def can_reach(self, path: Path) -> bool:
        """Tell whether this account may pass through ``path`` and all directories above it."""
        return all(self._may_pass(place.stat()) for place in (path, *path.parents))

    def _may_pass(self, place: os.stat_result) -> bool:
        if place.st_uid == self.uid:
            return bool(place.st_mode & stat.S_IXUSR)
        if place.st_gid == self.gid:
            return bool(place.st_mode & stat.S_IXGRP)
        return bool(place.st_mode & stat.S_IXOTH)
