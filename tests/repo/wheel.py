"""Sereno as `pip install` leaves it: its wheel, in an environment of its own."""

import subprocess
import sys
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

from .test_tree import ROOT


def installed_wheel(place: Path) -> Path:
    """Build the wheel in `place` and unpack it into ``env`` there; return that's site-packages."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    venv.create(place / "env", with_pip=False)
    site = next((place / "env/lib").glob("python3*")) / "site-packages"
    (wheel,) = place.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        files.extractall(site)
    return site


def unpacked_wheels(projects: Sequence[Path], site: Path) -> Path:
    """Build the wheels of `projects` and unpack them into `site`, which is returned."""
    for project in projects:
        built = site.parent / f"wheel of {project.name}"
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)],
            cwd=project, check=True, capture_output=True,
        )  # fmt: skip
        (wheel,) = built.glob("*.whl")
        with zipfile.ZipFile(wheel) as files:
            files.extractall(site)
    return site
