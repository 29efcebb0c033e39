"""A replica that has secrets everywhere, and a job that blurts them out: none is shown anywhere."""

import signal
import urllib.request
import zipfile
from pathlib import Path

import pytest

from ..planting import plant
from ..plugins.notify.receiver import receiving
from ..servers.waiting import wait_until
from .cli_scene import Scene, scene
from .otlp import collecting

__all__ = ["scene"]

PLUGIN = """
from sereno import *

@job("planted.blurts", severity="critical")
def blurts(run):
    run.progress(1, 2, f"asking {run.database_url}")
    run.log.error("no answer from %s", run.database_url, extra={"api_token": "hunter2"})
    raise ValueError(f"no answer from {run.database_url}, with Bearer hunter2hunter2")

@job("planted.blurts_apart", executor="process")
def blurts_apart(run):
    blurts.function(run)

@hookimpl
def sereno_register_jobs():
    return [blurts, blurts_apart]
"""


@pytest.fixture
def planted(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the plugin for processes that are started from here."""
    plant(tmp_path / "site", PLUGIN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.setenv("SERENO_STRICT", "true")


def read(url: str) -> str:
    asked = urllib.request.Request(url, headers={"Authorization": "Bearer hunter2"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return str(answer.read().decode())


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize("level", ["info", "debug"])
def test_no_secret_is_shown(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    scene.dsn = scene.dsn.replace("postgres@", "postgres:hunter2@")
    jobs = ("planted.blurts", "planted.blurts_apart")
    with receiving() as receiver, collecting() as collector:
        file = tmp_path / "sereno.toml"
        file.write_text(
            f"[http]\nport = 0\ntoken = 'hunter2'\n[log]\nlevel = '{level}'\n"
            f"[plugins.notify.webhooks.ops]\nurl = '{receiver.url}/hunter2'\nsecret = 'hunter2'\n"
            f"[plugins.notify.pings.'planted.blurts']\nurl = '{receiver.url}/hunter2/ping'\n"
        )
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer hunter2hunter2")
        with scene.started("run", "--config", str(file)) as replica:
            known = "SELECT to_regclass('sereno.plugin_schema') IS NOT NULL"
            wait_until(lambda: scene.sql(known) == [(True,)], "the schema")
            known = "SELECT 1 FROM sereno.job WHERE name = 'planted.blurts'"
            wait_until(lambda: scene.sql(known), "a leader that has registered its jobs")
            runs = [scene.sql("SELECT sereno.enqueue(%s)", job)[0][0] for job in jobs]
            over = "SELECT count(*) = 2 FROM sereno.run WHERE state = 'failed'"
            wait_until(lambda: scene.sql(over) == [(True,)], "the end of both runs")
            wait_until(lambda: receiver.paths.count("/hunter2") == 2, "both messages")
            wait_until(lambda: "/hunter2/ping/fail" in receiver.paths, "the ping")
            ((url,),) = scene.sql("SELECT http FROM sereno.node")
            pages = ("/", "/metrics", "/health", "/health/tasks", f"/runs/{runs[0]}")
            shown = {page: read(f"{url}{page}") for page in pages}
            replica.send_signal(signal.SIGTERM)
            out, shown["log"] = replica.communicate(timeout=30)
    assert replica.returncode == 0, shown["log"]
    assert "no answer from" in shown["log"]
    shown["out"] = out
    shown["messages"] = str([r.body for r in receiver.requests])
    shown["spans"] = str(collector.spans)
    for table in ("run", "run_log", "run_progress", "attempt", "job", "notification", "node"):
        shown[table] = str(scene.sql(f"SELECT t::text FROM sereno.{table} t"))
    shown["show"] = "".join(scene.call("show", str(run)).output for run in runs)
    shown["check"] = scene.call("check").output
    scene.call("--config", str(file), "support", "--out", str(tmp_path / "support.zip"))
    with zipfile.ZipFile(tmp_path / "support.zip") as bundle:
        shown |= {f"support {n}": bundle.read(n).decode() for n in bundle.namelist()}
    assert "no answer from" in shown["support runs.json"]
    assert "no answer from" in shown["spans"]
    assert "no answer from" in shown["messages"]
    assert [name for name, text in shown.items() if "hunter2" in text] == []
