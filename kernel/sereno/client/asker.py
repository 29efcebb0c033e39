"""Decides who is recorded as the one who asks."""

import getpass
import os


def asker() -> str:
    """Return the person whose process this is, as ``user@host``."""
    try:
        name = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        name = f"uid {os.getuid()}"
    return f"{name}@{os.uname().nodename}"
