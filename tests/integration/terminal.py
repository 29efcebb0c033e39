"""A terminal to run a command on."""

import os
import pty
from typing import NamedTuple

from ..servers.warm_python import python_process


class Said(NamedTuple):
    """What a terminal was sent, and the code with which the command ended."""

    text: str
    code: int


def on_a_terminal(command: list[str], **environment: str) -> Said:
    """Run `command` on a terminal of its own."""
    ours, theirs = pty.openpty()
    process = python_process(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, **environment}
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        said += piece
    os.close(ours)
    return Said(said.decode().replace("\r\n", "\n"), process.wait())
