"""The last release as its users have it: wheels, built from its tag, in a place of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

from ..history import ROOT, unpack
from ..repo.wheel import unpacked_wheels

PARTS = ["pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "conf", "kernel", "plugins"]


def git(*args: str) -> str:
    """Return what git says."""
    done = subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def last_release() -> str:
    """Return the newest tag of an earlier version; before there is one, the last commit that had
    another version than this tree."""
    version = (ROOT / "pyproject.toml").read_text().partition('version = "')[2].partition('"')[0]
    tags = git("tag", "--list", "v*", "--sort=-version:refname", "--merged", "HEAD").split()
    for tag in tags:
        if tag != f"v{version}":
            return tag
    changed = git("log", "--format=%H", "-G", "^version = ", "--", "pyproject.toml").split()
    earlier = [f"{commit}^" for commit in changed] if changed else []
    for commit in ["HEAD", *earlier]:
        then = git("show", f"{commit}:pyproject.toml")
        if then and f'version = "{version}"' not in then:
            return commit
    pytest.fail(
        f"no release before {version} is in this clone: git fetch --tags --unshallow",
        pytrace=False,
    )


def released(place: Path) -> list[Path]:
    """Build the wheels of the last release, the kernel's and, where it had one, the console's;
    return where to import them from, their dependencies as they are installed here after them."""
    source = unpack(last_release(), PARTS, place / "source")
    console = source / "plugins" / "console"
    site = unpacked_wheels([source, *([console] if console.exists() else [])], place / "site")
    return [site, dependencies(place / "dependencies")]


def dependencies(place: Path) -> Path:
    """Link to all that is installed here but Sereno."""
    place.mkdir()
    (installed,) = (Path(p) for p in sys.path if p.endswith("/site-packages"))
    for entry in installed.iterdir():
        if "sereno" not in entry.name:
            (place / entry.name).symlink_to(entry)
    return place
