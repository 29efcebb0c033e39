"""A real replica, a job that fails, and a receiver: the message and the pings arrive."""

import json
import signal
import urllib.request
from pathlib import Path

import pytest

from sereno_notify.signature import verify

from ...integration.cli_scene import Scene, scene
from ...planting import plant
from ...servers.waiting import wait_until
from .receiver import Receiver

__all__ = ["scene"]

PLUGIN = """
from sereno import *

@job("planted.fails", severity="critical")
def fails(run):
    raise ValueError("it cannot be done")

@job("planted.hangs", on_lost="fail")
async def hangs(run):
    import asyncio
    await asyncio.sleep(3600)

@hookimpl
def sereno_register_jobs():
    return [fails, hangs]
"""


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the plugin for processes that are started from here."""
    plant(tmp_path / "site", PLUGIN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))


def page(scene: Scene) -> str:
    """Return the metrics of the one replica that there is."""
    ((url,),) = scene.sql("SELECT http FROM sereno.node WHERE left_at IS NULL")
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:
        return str(answer.read().decode())


@pytest.mark.usefixtures("planted")
def test_a_failed_run_reaches_people_and_no_log_names_where_they_are(
    scene: Scene, receiver: Receiver, tmp_path: Path
) -> None:
    file = tmp_path / "notify.toml"
    file.write_text(
        f"[plugins.notify.webhooks.ops]\nurl = '{receiver.url}/hook-hunter2'\nsecret = 'hunter2'\n"
        f"[plugins.notify.pings.\"planted.fails\"]\nurl = '{receiver.url}/ping-hunter2'\n"
        "[notify.routes.all]\nseverity = 'info'\n"
    )
    with scene.started("run", "--http-port", "0", "--config", str(file)) as replica:
        wait_until(lambda: scene.json("jobs"), "a leader that has registered its jobs")
        scene.json("trigger", "planted.fails")
        paths = {"/hook-hunter2", "/ping-hunter2/start", "/ping-hunter2/fail"}
        wait_until(lambda: paths <= set(receiver.paths), "the message and the pings")
        wait_until(lambda: receiver.paths.count("/hook-hunter2") == 2, "both messages")
        sent = 'sereno_notifications_total{notifier="ops",outcome="sent"} 2'
        wait_until(lambda: sent in page(scene), "the metric of both messages")
        assert 'sereno_notifications_total{notifier="ops",outcome="failed"} 0' in page(scene)
        assert "hunter2" not in page(scene)
        replica.send_signal(signal.SIGTERM)
        _, err = replica.communicate(timeout=30)
    assert replica.returncode == 0, err
    hooks = [r for r in receiver.requests if r.path == "/hook-hunter2"]
    told = {found["kind"]: found for found in (json.loads(r.body) for r in hooks)}
    assert set(told) == {"leader_changed", "run_failed"}
    assert told["run_failed"]["severity"] == "critical"
    assert "ValueError: it cannot be done" in told["run_failed"]["text"]
    for request in hooks:
        value = request.headers["x-sereno-signature"]
        assert verify("hunter2", request.body, value, int(value[2:].partition(",")[0]))
    assert "hunter2" not in err
    assert scene.sql("SELECT DISTINCT state FROM sereno.notification") == [("sent",)]


@pytest.mark.usefixtures("planted")
def test_a_run_that_dies_with_its_replica_is_told_by_the_one_that_takes_the_lead(
    scene: Scene, receiver: Receiver, tmp_path: Path
) -> None:
    file = tmp_path / "notify.toml"
    file.write_text(
        f"lease = '2s'\n[plugins.notify.webhooks.ops]\nurl = '{receiver.url}/hook'\n"
        f"[plugins.notify.pings.\"planted.hangs\"]\nurl = '{receiver.url}/ping'\n"
    )
    options = ("run", "--http-port", "0", "--config", str(file))
    with scene.started(*options) as first:
        wait_until(lambda: scene.json("jobs"), "a leader that has registered its jobs")
        run = scene.json("trigger", "planted.hangs")["run"]
        wait_until(lambda: "/ping/start" in receiver.paths, "the ping of its start")
        with scene.started(*options) as second:
            joined = "SELECT count(*) = 2 FROM sereno.node"
            wait_until(lambda: scene.sql(joined) == [(True,)], "the second replica")
            first.kill()
            wait_until(lambda: "/ping/fail" in receiver.paths, "the ping of its loss")
            wait_until(lambda: "/hook" in receiver.paths, "the message")
            second.send_signal(signal.SIGTERM)
            _, err = second.communicate(timeout=30)
    assert second.returncode == 0, err
    start, fail = (r for r in receiver.requests if r.path.startswith("/ping"))
    assert start.path.partition("rid=")[2] == fail.path.partition("rid=")[2]
    assert b" died" in fail.body
    (hook,) = (r for r in receiver.requests if r.path == "/hook")
    told = json.loads(hook.body)
    assert (told["kind"], told["facts"]["state"], told["facts"]["run"]) == (
        "run_failed",
        "lost",
        run,
    )
    assert scene.sql("SELECT state FROM sereno.run WHERE id = %s", run) == [("lost",)]
