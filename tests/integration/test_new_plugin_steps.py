"""A new plugin's README, done literally in an environment of its own."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from .cli_scene import Scene, scene

__all__ = ["scene"]

pytestmark = pytest.mark.timeout(180)


def steps(readme: Path) -> list[str]:
    """Return the commands of the first indented block."""
    block = readme.read_text("utf-8").split("\n\n    ", 1)[1].split("\n\n", 1)[0]
    return [line.split("#", 1)[0].strip() for line in block.splitlines()]


def environment(place: Path) -> dict[str, str]:
    """Make an environment that has what ours has, and installs without a network."""
    venv.create(place, symlinks=True)
    site = next((place / "lib").glob("python3*")) / "site-packages"
    (site / "ours.pth").write_text(
        f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    )
    for program in ("pip", "sereno", "pytest"):
        path = place / "bin" / program
        path.write_text(f'#!/bin/sh\nexec {place}/bin/python -m {program} "$@"\n')
        path.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{place}/bin:{os.environ['PATH']}",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # so pip wants it: no isolation
        "SERENO_HTTP__PORT": "0",
    }


def test_the_steps_of_a_new_plugin_run_as_they_stand(scene: Scene, tmp_path: Path) -> None:
    own = environment(tmp_path / "env") | {"SERENO_DATABASE_URL": scene.dsn}
    made = subprocess.run(
        [sys.executable, "-m", "sereno", "new-plugin", "night-watch"],
        cwd=tmp_path, env=own, capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    package = tmp_path / "sereno-night-watch"
    commands = steps(package / "README.md")
    assert commands[0] == "pip install -e '.[dev]'"

    done = subprocess.run(
        ["bash", "-e", "-x", "-c", "\n".join([*commands, "wait %1"])],
        cwd=package, env=own, capture_output=True, text=True, timeout=120,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
    assert "of job 'night_watch.greet' succeeded" in done.stdout
    assert '"greeted": 5' in done.stdout


@pytest.mark.long(
    "tests/integration/test_new_plugin_steps.py::test_the_steps_of_a_new_plugin_run_as_they_stand"
)
def test_the_steps_that_the_command_prints_run_as_they_stand(scene: Scene, tmp_path: Path) -> None:
    own = environment(tmp_path / "env") | {"SERENO_DATABASE_URL": scene.dsn}
    made = subprocess.run(
        ["sereno", "new-plugin", "night-watch"],
        cwd=tmp_path, env=own, capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    commands = made.stdout.split("Next:\n")[1].splitlines()

    done = subprocess.run(
        ["bash", "-e", "-x", "-c", "\n".join([*commands, "wait %1"])],
        cwd=tmp_path, env=own, capture_output=True, text=True, timeout=120,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "of job 'night_watch.greet' succeeded" in done.stdout
