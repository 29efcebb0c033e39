"""What `sereno check` tells of schedules and the database, and what is in a bundle for others."""

import json
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sereno.cli.database_findings import database_findings
from sereno.settings import Settings
from sereno.store.inspection import Inspection

from ..servers.pgbouncer import PgBouncer
from ..servers.postgres import PostgresServer, installed_programs
from .cli_scene import Scene, scene

__all__ = ["scene"]

WELL = Inspection(
    version=180_000, encoding="UTF8", connections=500, standby=False, role="app", owner=True,
    lacking=(), versions=(), nodes=2, behind=False, clock_offset=timedelta(0), pooled=False,
    leader_pooled=False,
)  # fmt: skip


def findings(**facts: Any) -> list[tuple[str, bool]]:
    found = msgspec.structs.replace(WELL, **facts)
    return [(f.sentence, f.fault) for f in database_findings(found, Settings(), apps=False)]


def test_of_a_database_that_is_well_nothing_is_told() -> None:
    assert findings() == []


@pytest.mark.parametrize(
    ("facts", "words", "fault"),
    [
        ({"version": 130_012}, "PostgreSQL 13, sereno works with 14", True),
        ({"encoding": "LATIN1"}, "encoding is LATIN1, which has not every letter", False),
        ({"isolation": ("role 'app': serializable",)}, "(role 'app': serializable)", False),
        ({"standby": True}, "is a standby", True),
        ({"leader_pooled": True}, "set leader_database_url", True),
        ({"owner": False, "lacking": ("run", "slot")}, "sereno grants runner --role app", False),
        ({"clock_offset": timedelta(seconds=-90)}, "is 90.0 s behind this machine's", False),
        ({"behind": True}, "numbers of runs are behind", False),
        ({"connections": 97}, "138 in all, and the database has room for 97", False),
        ({"role_limit": 10}, "room for 10", False),
        ({"versions": ("0.1.0",)}, "other versions than this one", False),
    ],
)
def test_what_hinders_replicas_is_told_with_its_remedy(
    facts: dict[str, Any], words: str, fault: bool
) -> None:
    (found,) = findings(**facts)
    assert words in found[0]
    assert found[1] is fault


def test_a_real_database_is_looked_at(scene: Scene, private_postgres: PostgresServer) -> None:
    found = scene.json("check")["database"]
    assert found["inspection"]["owner"]
    assert found["inspection"]["version"] >= 140_000
    assert [f for f in found["findings"] if f["fault"]] == []


def test_a_default_isolation_is_found_where_it_was_set(scene: Scene) -> None:
    name = scene.dsn.rpartition("/")[2]
    level = "SET default_transaction_isolation"
    scene.sql(f"ALTER DATABASE {name} {level} = 'repeatable read'")
    scene.sql(f"ALTER ROLE postgres IN DATABASE {name} {level} = 'serializable'")
    found = scene.json("check")["database"]
    told = ["every role: repeatable read", "role 'postgres': serializable"]
    assert found["inspection"]["isolation"] == told
    assert "40001" in " ".join(f["sentence"] for f in found["findings"])


def test_a_pooler_in_the_leaders_way_is_a_fault(database: str, scene: Scene) -> None:
    programs = next(iter(installed_programs().values()))
    port = int(database.rpartition("@")[2].partition(":")[2].partition("/")[0])
    pooler = PgBouncer(port, programs.account)
    pooler.start()
    try:
        pooled = Scene(database.replace(f":{port}/", f":{pooler.port}/"))
        result = pooled.call("check")
        assert result.exit_code == 1
        assert "a replica cannot lead through one" in result.stderr
    finally:
        pooler.remove()


def test_usual_durations_of_runs_are_held_against_the_interval(scene: Scene) -> None:
    scene.job()
    for n in range(6):
        scene.run(
            started_at=f"2026-02-0{n + 1}T08:00:00Z", finished_at=f"2026-02-0{n + 3}T08:00:01Z"
        )
    kinds = {hint["kind"]: hint["sentence"] for hint in scene.json("check")["hints"]}
    assert "usually takes 2d" in kinds["too_long"]


def test_a_bundle_is_whole_private_and_not_written_over(scene: Scene, tmp_path: Path) -> None:
    scene.job()
    scene.run(state="failed", params={"password": "hunter2"}, error="token=hunter2 was refused")
    place = tmp_path / "b.zip"
    assert scene.call("support", "--out", str(place)).exit_code == 0
    assert place.stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(place) as bundle:
        found = {n: json.loads(bundle.read(n)) for n in bundle.namelist()}
    assert {"machine.json", "settings.json", "database.json", "cluster.json"} <= set(found)
    assert found["runs.json"]["failed"][0]["job"] == "etl.sync"
    assert [n for n, section in found.items() if "error" in section] == []
    assert "hunter2" not in str(found)
    again = scene.call("support", "--out", str(place))
    assert again.exit_code == 2
    assert "File exists" in again.stderr


def test_without_a_database_a_bundle_says_why_in_its_place(tmp_path: Path) -> None:
    place = tmp_path / "b.zip"
    away = Scene("postgresql://nobody:hunter2@127.0.0.1:1/none")
    assert away.call("support", "--out", str(place)).exit_code == 0
    with zipfile.ZipFile(place) as bundle:
        found = {n: bundle.read(n).decode() for n in bundle.namelist()}
    assert "127.0.0.1" in json.loads(found["cluster.json"])["error"]
    assert "packages" in found["machine.json"]
    assert "hunter2" not in str(found)
