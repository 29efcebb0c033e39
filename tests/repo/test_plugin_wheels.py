"""Every plugin's wheel has README and licence, with jobs and settings that are there."""

import os
import re
import subprocess
import sys
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

from .test_tree import ROOT

PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
def test_the_wheel_of_a_plugin_has_its_readme_and_its_licence(plugin: Path, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=plugin, check=True, capture_output=True,
    )  # fmt: skip
    (file,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(file) as wheel:
        names = wheel.namelist()
        texts = {name.partition(".dist-info/")[2]: name for name in names}
        told = message_from_string(wheel.read(texts["METADATA"]).decode())
        licence = wheel.read(texts["licenses/LICENSE"]).decode()
    assert f"sereno_{plugin.name}/py.typed" in names  # else nobody sees its types
    assert licence == (ROOT / "LICENSE").read_text()
    assert (told["License-Expression"], told["Description-Content-Type"]) == (
        "MIT",
        "text/markdown",
    )
    assert told.get_payload() == (plugin / "README.md").read_text()
    assert f"pip install {told['Name']}" in str(told.get_payload())


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)
def test_what_a_readme_names_is_told_on_the_plugin_s_page(plugin: Path) -> None:
    readme = (plugin / "README.md").read_text()
    (page,) = re.findall(r"`(docs/\w+\.md)`", readme)
    told = (ROOT / page).read_text()
    jobs = set(re.findall(rf"\b{plugin.name}\.(?!md\b)\w+", readme.partition("Jobs:")[2]))
    triggers = re.findall(r"^    (sun .*)$", readme, re.MULTILINE)
    assert [name for name in (*jobs, *triggers) if name not in told] == []


def test_the_settings_that_the_readmes_show_are_taken(tmp_path: Path) -> None:
    shown = [
        re.findall(r"^    (\[plugins\.\w+\]\n(?:    .*\n)+)", (p / "README.md").read_text(), re.M)
        for p in PLUGINS
    ]
    text = "\n".join(
        re.sub(r"^    ", "", one, flags=re.MULTILINE) for found in shown for one in found
    )
    assert text.count("[plugins.") >= 3
    (tmp_path / "sereno.toml").write_text(text)
    ended = subprocess.run(
        [sys.executable, "-m", "sereno", "check"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={k: v for k, v in os.environ.items() if not k.startswith("SERENO_")},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
