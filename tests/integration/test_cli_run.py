"""``sereno run`` as a process, and the other commands against it."""

import json
import signal
from pathlib import Path

import httpx
import pytest

from ..planting import plant
from ..servers.waiting import wait_until
from .cli_scene import Scene, scene

__all__ = ["scene"]

PLUGIN = """
from sereno import *

@job("planted.count")
async def count(run):
    for n in range(3):
        run.progress(n + 1, 3, "counting")
    run.log.info("counted")
    return {"counted": 3, "by": run.params.get("by")}

@job("planted.fails")
def fails(run):
    raise ValueError("it cannot be done")

@hookimpl
def sereno_register_jobs():
    return [count, fails]
"""


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the plugin for processes that are started from here."""
    plant(tmp_path / "site", PLUGIN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))


@pytest.mark.usefixtures("planted")
def test_a_replica_runs_what_is_triggered_and_leaves_when_told(scene: Scene) -> None:
    with scene.started("run", "--http-port", "0", "--node-name", "blue-1") as replica:
        scene.led()
        with scene.started("trigger", "planted.count", "-p", "by=me", "--wait", "--json") as asked:
            out, err = asked.communicate(timeout=30)
        assert (asked.returncode, err) == (0, "")
        found = json.loads(out)
        assert (found["state"], found["node"]) == ("succeeded", "blue-1")
        assert found["result"] == {"counted": 3, "by": "me"}
        with scene.started("trigger", "planted.fails", "--wait") as asked:
            out, _ = asked.communicate(timeout=30)
        assert asked.returncode == 1
        assert "ValueError: it cannot be done" in out
        run = str(found["run"])
        lines = "SELECT 1 FROM sereno.run_log WHERE run_id = %s"
        wait_until(lambda: scene.sql(lines, int(run)), "the log lines")
        assert [line["message"] for line in scene.json("show", run)["lines"]] == ["counted"]
        assert "planted.count" in scene.call("jobs").stdout
        replica.send_signal(signal.SIGTERM)
        replica.communicate(timeout=30)
    assert replica.returncode == 0
    assert scene.json("cluster")["leader"]["held"] is False


@pytest.mark.usefixtures("planted")
def test_a_replica_runs_what_is_queued_over_http(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERENO_HTTP__TOKEN", "s3cret")
    with scene.started("run", "--http-port", "0") as replica:
        scene.led()
        (node,) = scene.json("cluster")["nodes"]
        headers = {"Authorization": "Bearer s3cret"}
        with httpx.Client(
            base_url=node["http"], headers=headers, timeout=30, trust_env=False
        ) as client:
            asked = client.post("/jobs/planted.count/runs", json={"params": {"by": "me"}})
            assert asked.status_code == 202, asked.text
            page = asked.headers["location"]
            wait_until(lambda: client.get(page).json()["state"] == "succeeded", "its end")
            assert client.get(page).json()["result"] == {"counted": 3, "by": "me"}
        replica.send_signal(signal.SIGTERM)
        replica.communicate(timeout=30)


@pytest.mark.usefixtures("planted")
def test_ctrl_c_stops_a_replica_cleanly(scene: Scene) -> None:
    with scene.started("run", "--http-port", "0") as replica:
        scene.led()
        replica.send_signal(signal.SIGINT)
        _, err = replica.communicate(timeout=30)
    assert replica.returncode in (0, 130), err
    assert "Traceback" not in err


def test_a_setting_at_fault_stops_the_start_with_a_sentence(scene: Scene) -> None:
    with scene.started("run", "--lease", "1h") as replica:
        _, err = replica.communicate(timeout=30)
    assert replica.returncode == 2
    [line] = err.splitlines()  # as all of its log: a machine reads it
    said = json.loads(line)
    assert said["error"] == "--lease: lease is '1h', it must be from 1s to 5m"
    assert (said["event"], said["exit_code"]) == ("this node cannot run", 2)
