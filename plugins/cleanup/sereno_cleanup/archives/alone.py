"""Lets one process at a time put copies into an archive, which several machines may share.

Two that have files of one name would write one part, and the second copy would replace the first,
whose original has gone.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = ".lock"
LONGEST = 300.0
_EVERY = 0.1


@contextmanager
def alone(directory: Path, check: Callable[[], None]) -> Iterator[None]:
    """Hold `directory` alone; who holds it and dies lets it go. `check` may raise while we wait.

    Raises BlockingIOError when another process has held it for LONGEST seconds.
    """
    descriptor = os.open(
        directory / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640
    )
    try:
        began = time.monotonic()
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() - began > LONGEST:
                    told = f"another run has been putting copies into {directory} for {LONGEST:g} s"
                    raise BlockingIOError(error.errno, told) from error
            check()
            time.sleep(_EVERY)  # noqa: TID251 - nothing tells us when it is let go
        yield
    finally:
        os.close(descriptor)
