"""Tells which machine a node is on, by an id that survives restarts: for jobs of scope "host".

The machine's own id alone would not do: containers of one image may all have it, and each has files
of its own; they differ by their names, as do machines that were cloned. So the id is made of both.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from sereno.settings import Settings

_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


class HostIdentity(msgspec.Struct, frozen=True):
    """`id`: the same for all that share the machine, after a restart too; `name`: for people."""

    id: str
    name: str


def host_identity(settings: Settings, files: tuple[Path, ...] = _FILES) -> HostIdentity:
    """Return what the settings say, or else what the machine says of itself."""
    name = os.uname().nodename
    if settings.host_id is not None:
        return HostIdentity(settings.host_id, settings.host_id)
    # Hashed: who knows a machine's id may know more of it than a table is to tell.
    told = hashlib.sha256(f"sereno\n{_machine(files)}\n{name}".encode("utf-8", "surrogateescape"))
    return HostIdentity(told.hexdigest()[:16], name)


def _machine(files: tuple[Path, ...]) -> str:
    for path in files:
        with suppress(OSError, ValueError):
            if found := path.read_text("ascii").strip():
                return found
    return ""
