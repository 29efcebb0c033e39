"""``sereno demo`` on the embedded PostgreSQL takes no part in what else lives there."""

import json
import signal
import subprocess
from pathlib import Path

import psycopg
import pytest

from sereno.embedded import EmbeddedPostgres

from ..servers.waiting import wait_until
from .cli_scene import Scene
from .embedded_scene import directory
from .test_cli_demo import DEMO, banner
from .test_embedded import cluster, existing

__all__ = ["cluster", "directory", "existing"]

pytestmark = pytest.mark.xdist_group("embedded")


def tables(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('sereno')"
        ).fetchone()
    return 0 if row is None else int(row[0])


def test_a_demonstration_has_a_database_of_its_own_which_commands_reach_by_its_name(
    existing: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERENO_DATA_DIR", str(directory))
    scene = Scene("embedded")
    with EmbeddedPostgres(directory, durable=False) as server, scene.started(*DEMO) as process:
        said = "".join(banner(process))
        assert "--database-url embedded/demo" in said
        demo = Scene("embedded/demo")
        wait_until(lambda: demo.json("jobs"), "the jobs")
        names = {job["name"] for job in demo.json("jobs")}
        assert "cleanup.logs" in names
        assert tables(server.dsn) == 0
        assert tables(server.demo_dsn) > 0
        again = subprocess.run(
            demo.command("cluster", "--json"), capture_output=True, check=True, text=True
        )
        assert json.loads(again.stdout)["leader"]["held"]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0
