"""Takes the port of apps, or says who has it."""

import errno
import os
import socket
from collections.abc import Collection
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from sereno.http.server import bound
from sereno.model.errors import ConfigurationError

_LISTENS = "0A"


class PortTakenError(ConfigurationError):
    """Somebody else has the port: it may become free."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; raises PortTakenError, ConfigurationError."""
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise ConfigurationError(
            f"apps.host '{host}' is no address: {error.strerror or error}; set it to an address of "
            "this machine, as 127.0.0.1 (SERENO_APPS__HOST)"
        ) from error
    family, _, _, _, address = found[0]
    try:
        return bound(family, address)
    except OSError as error:
        where = f"apps cannot be served on {host or '*'} port {port}"
        if error.errno == errno.EADDRINUSE:
            holder = holder_of(port)
            raise PortTakenError(
                f"{where}: it is taken by {holder or 'another program'}; another replica of this "
                "machine may serve them, else set apps.port (SERENO_APPS__PORT) to a free one"
            ) from error
        raise ConfigurationError(
            f"{where}: {error.strerror or error}; set apps.host and apps.port to what this machine "
            "has and this user may take"
        ) from error


def holder_of(port: int) -> str | None:
    """Name the process that listens on `port`, where the system tells: Linux, and a user who may
    look at it."""
    return _holder(frozenset(_listening(port)))


@lru_cache(maxsize=1)  # it looks at all open files, and a node without apps asks every 5 s
def _holder(inodes: Collection[str]) -> str | None:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            for file in (process / "fd").iterdir():
                with suppress(OSError):
                    if os.readlink(file) in inodes:
                        name = (process / "comm").read_text("utf-8", "replace").strip()
                        return f"process {process.name} ({name})"
    return None


def _listening(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text("ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found
