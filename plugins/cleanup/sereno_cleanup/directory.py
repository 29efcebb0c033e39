"""Makes what stands in a directory durable."""

import os
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Return once new, renamed and deleted names in `path` are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
