"""``sereno run`` begins its own process anew: what was the command is the replica afterwards."""

import json
import os
from pathlib import Path

import pytest

from ..planting import plant
from .cli_scene import Scene, scene

__all__ = ["scene"]

PLUGIN = """
import os, sys
from sereno import *

@job("planted.tells")
def tells(run):
    return {
        "pid": os.getpid(),
        "loaded": sorted(sys.modules),
        "inherited": [name for name in os.environ if "REPLICA" in name],
        "points": [point.name for point in installed_points()],
        "arguments": sys.argv[1:],
    }

@hookimpl
def sereno_register_jobs():
    return [tells]
"""


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the plugin for processes that are started from here."""
    plant(tmp_path / "site", PLUGIN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))


@pytest.mark.usefixtures("planted")
def test_the_replica_is_the_same_process_without_what_the_command_needed(scene: Scene) -> None:
    with scene.started("run", "--http-port", "0", "--node-name", "blå \N{FIRE}") as replica:
        scene.led()
        with scene.started("trigger", "planted.tells", "--wait", "--json") as asked:
            out, err = asked.communicate(timeout=30)
    found = json.loads(out)
    told = found["result"]

    assert (asked.returncode, err) == (0, "")
    assert (told["pid"], found["node"]) == (replica.pid, "blå \N{FIRE}")
    assert "run" in told["arguments"]
    assert not {"click", "importlib.metadata", "zipfile"} & {*told["loaded"]}
    assert told["inherited"] == []
    assert "planted" in told["points"]


@pytest.mark.usefixtures("planted")
def test_an_order_that_no_variable_holds_is_obeyed_without_a_new_beginning(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "many"
    facts = site / "many-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: many\nVersion: 1.0\n")
    lines = "".join(f"point_{n} = nowhere.at.all.{'x' * 60}\n" for n in range(1_500))
    (facts / "entry_points.txt").write_text(f"[sereno_many]\n{lines}")
    path = os.pathsep.join([str(site), os.environ["PYTHONPATH"]])
    monkeypatch.setenv("PYTHONPATH", path)

    with scene.started("run", "--http-port", "0"):
        scene.led()
        with scene.started("trigger", "planted.tells", "--wait", "--json") as asked:
            out, _ = asked.communicate(timeout=30)

    assert "click" in json.loads(out)["result"]["loaded"]


def test_what_ends_it_is_one_sentence_with_the_codes_of_any_command(scene: Scene) -> None:
    with scene.started("run", "--http-port", "0", "--lease", "never") as replica:
        _, err = replica.communicate(timeout=30)

    assert replica.returncode == 2
    assert "never" in err
    assert "Traceback" not in err
