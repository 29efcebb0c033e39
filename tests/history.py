"""What an earlier version of this repository held, for tests of versions side by side.

Name only commits that every clone has: one that is part of the main branch for good, by its whole
hash. A commit of a branch that was written anew is in nobody's clone.
"""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def unpack(commit: str, paths: list[str], place: Path) -> Path:
    """Unpack `paths` as they were at `commit` into the directory `place`, and return it; a clone
    that lacks the commit fails the test, with what to do."""
    archive = subprocess.run(
        ["git", "archive", commit, *paths], cwd=ROOT, capture_output=True, check=False
    )
    if archive.returncode:
        pytest.fail(
            f"commit {commit} is not in this clone: git fetch --tags --unshallow\n"
            f"{archive.stderr.decode(errors='replace')}",
            pytrace=False,
        )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(place, filter="data")
    return place
