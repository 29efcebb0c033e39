"""A copy of a database becomes a cluster of its own, and repeats nothing of the one before."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sereno import RunContext, every, job
from sereno.model.errors import ClusterError
from sereno.store import nodes
from sereno.store.keys import LEADER_LOCK, LOCK_CLASS
from sereno.store.pool import Database

from ..servers.warm_python import python_run
from .cli_scene import Scene, scene
from .node import LONG_LEASE, Eye, running
from .test_store_timeline import facts

__all__ = ["scene"]

FAR = 1_000_000_000
ROOT = Path(__file__).parents[2]
FIRST = "INSERT INTO sereno.timeline (database, term, system) VALUES (1, 1, 'x')"


@job("t.tick", schedule=every("100ms"), overlap="allow")
async def tick(run: RunContext[dict[str, Any]]) -> None:
    """Do nothing, ten times a second."""


def work(scene: Scene) -> dict[str, int]:
    """Leave what a copy holds of the cluster that it was taken from."""
    scene.sql(FIRST)
    scene.node("blue-1")
    scene.job()
    schedule = scene.schedule()
    due = scene.run(state="queued", schedule_id=schedule, slot="2026-03-01T01:00:00Z")
    scene.slot(schedule, "2026-03-01T01:00:00Z", "waiting", run=due)
    found = {
        "at work": scene.run(state="running"),
        "due": due,
        "later": scene.run(state="queued", run_at="2099-01-01T00:00:00Z"),
        "again": scene.run(state="queued", attempt=1, run_at="2099-01-01T00:00:00Z"),
        "part": scene.run(
            state="queued",
            cause="part",
            place_id="host:a",
            part_of=1,
            run_at="2099-01-01T00:00:00Z",
        ),
        "over": scene.run(state="succeeded"),
    }
    scene.sql(
        "INSERT INTO sereno.fan_out (run_id, key, job, join_job, on_failure, total)"
        " VALUES (%s, '', 'etl.sync', 'etl.sync', 'continue', 1)",
        found["at work"],
    )
    scene.sql("UPDATE sereno.run SET fan_out = (SELECT id FROM sereno.fan_out) WHERE id = %s", due)
    scene.sql(
        "INSERT INTO sereno.bulk (action, filter, reason, requested_by, place)"
        " VALUES ('retry', '{}', '', 'x', 9)"
    )
    scene.sql(
        "INSERT INTO sereno.message (token, run_id, attempt, job, severity, message)"
        " VALUES (gen_random_uuid(), %s, 1, 'etl.sync', 'info', '{}')",
        found["at work"],
    )
    return found


def states(scene: Scene, runs: dict[str, int]) -> dict[str, str]:
    found = dict(scene.sql("SELECT id, state FROM sereno.run"))
    return {what: found[run] for what, run in runs.items()}


def test_what_was_at_work_or_due_is_lost_and_what_comes_later_stays(scene: Scene) -> None:
    runs = work(scene)
    before = states(scene, runs)
    looked = scene.call("new-cluster", "staging")
    assert (looked.exit_code, states(scene, runs)) == (0, before)
    assert "1 runs are at work and 3 due" in " ".join(looked.stdout.split())

    made = scene.json("new-cluster", "staging", "--yes")

    assert states(scene, runs) == {
        "at work": "lost",
        "due": "lost",
        "later": "queued",
        "again": "lost",  # the first cluster makes its next attempt
        "part": "lost",
        "over": "succeeded",
    }
    assert scene.sql("SELECT count(*) FROM sereno.run") == [(6,)]  # nothing follows the children
    assert scene.sql("SELECT verdict, left(reason, 38) FROM sereno.slot") == [
        ("missed", "it may have run: it was the work of th")
    ]
    assert scene.sql("SELECT state, cancelled_by IS NOT NULL FROM sereno.bulk") == [
        ("cancelled", True)
    ]
    assert scene.sql("SELECT routed_at IS NOT NULL, carriers FROM sereno.message") == [(True, 0)]
    assert scene.sql("SELECT left_at IS NOT NULL FROM sereno.node") == [(True,)]
    assert (made["ended"], made["bulks"], made["fan_outs"], made["messages"]) == (4, 1, 1, 1)
    assert made["first_run"] == runs["over"] + FAR + 1
    assert scene.sql("SELECT lost, missed FROM sereno.job_stat") == [(4, 1)]
    assert "`sereno new-cluster` made this a cluster" in " ".join(
        scene.call("cluster").stdout.split()
    )
    assert "new_cluster" in scene.call("audit").stdout
    assert scene.sql("SELECT count(*) FROM sereno.timeline WHERE database = 1") == [(1,)]


def test_where_the_first_is_gone_what_was_due_waits_for_the_new_one(scene: Scene) -> None:
    runs = work(scene)
    before = states(scene, runs)
    looked = scene.call("new-cluster", "second-site", "--catch-up")
    assert "the others run again" in " ".join(looked.stdout.split())
    made = scene.json("new-cluster", "second-site", "--catch-up", "--yes")
    assert states(scene, runs) == before
    assert (made["ended"], made["bulks"], made["messages"]) == (0, 0, 0)
    assert made["first_run"] == runs["over"] + FAR + 1
    assert scene.sql("SELECT state FROM sereno.bulk") == [("queued",)]
    assert scene.sql("SELECT beside, doubtful_until IS NULL FROM sereno.timeline ORDER BY id") == [
        (False, True),
        (False, False),
    ]


def test_it_is_refused_where_a_replica_is_there_or_leads_or_it_has_that_name(scene: Scene) -> None:
    scene.sql(FIRST)
    with scene.leading("blue-1"):
        result = scene.call("new-cluster", "x", "--yes")
    assert result.exit_code == 1
    assert "replicas are at work on the database" in result.stderr
    assert "(blue-1)" in result.stderr
    with psycopg.connect(scene.dsn, autocommit=True) as stranger:
        lock = (LOCK_CLASS, LEADER_LOCK)
        stranger.execute("SELECT pg_advisory_lock(%s::int, %s::int)", lock)
        result = scene.call("new-cluster", "x", "--yes")
        assert (result.exit_code, "somebody leads" in result.stderr) == (1, True)
    assert scene.sql("SELECT count(*) FROM sereno.cluster") == [(0,)]
    assert scene.call("new-cluster", "x", "--yes").exit_code == 0
    again = scene.call("new-cluster", "x", "--yes")
    assert (again.exit_code, "is the cluster 'x' already" in again.stderr) == (1, True)
    assert scene.call("new-cluster", "y", "--yes").exit_code == 0
    assert scene.sql("SELECT sereno.cluster_name()") == [("y",)]


@pytest.mark.parametrize("name", ["", "-x", "a/b", "größe", "🙂", "x" * 64, "a b", "x\n"])
def test_what_can_be_no_cluster_s_name_is_refused(scene: Scene, name: str) -> None:
    result = scene.call("new-cluster", "--yes", "--", name)
    assert (result.exit_code, "a name has 1 to 63 letters" in result.stderr) == (2, True)


def test_a_database_that_nobody_has_led_on_is_named_too(scene: Scene) -> None:
    made = scene.json("new-cluster", "first", "--yes")
    assert (made["ended"], made["first_run"]) == (0, None)


def test_check_says_that_settings_and_database_name_different_clusters(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.call("new-cluster", "staging", "--yes")
    result = scene.call("check")
    assert result.exit_code == 1
    told = " ".join((result.stdout + result.stderr).split())
    assert "the database is of the cluster 'staging', and the settings of a cluster without" in told
    monkeypatch.setenv("SERENO_CLUSTER", "staging")
    result = scene.call("check")
    assert "is of the cluster" not in result.stdout + result.stderr


def migrated_with_plugins(scene: Scene) -> None:
    environment = {**os.environ, "SERENO_DATABASE_URL": scene.dsn}
    command = [sys.executable, "-m", "sereno", "migrate"]
    python_run(command, env=environment).check_returncode()


def test_the_statement_for_sequences_of_plugins_is_one(scene: Scene) -> None:
    migrated_with_plugins(scene)
    page = (ROOT / "docs/switch-over.md").read_text()
    statement = page[page.index("       SELECT format(") :].partition(" \\gexec")[0]
    scene.sql("INSERT INTO sereno_console.log_in_failure (about) VALUES ('a'), ('b'), ('c')")
    scene.sql("SELECT setval('sereno_console.log_in_failure_id_seq', 1, false)")
    made = [row[0] for row in scene.sql(statement.replace("%", "%%"))]
    assert len(made) > 3
    for line in made:
        scene.sql(line)
    assert scene.sql("SELECT nextval('sereno_console.log_in_failure_id_seq')") == [(4,)]


def test_mails_and_reports_that_waited_are_not_sent_again(scene: Scene) -> None:
    migrated_with_plugins(scene)
    # Without one, a table that is published for a switch-over can no longer be written.
    without = (
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname LIKE 'sereno%%' AND c.relkind = 'r' AND NOT EXISTS"
        " (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)"
    )
    assert scene.sql(without) == []
    scene.sql(
        "INSERT INTO sereno_notify.notification (key, notifier, kind, severity, open, message,"
        " state, due_at) SELECT s, 'mail', 'run_failed', 'warning', true, '{}', s, now()"
        " FROM unnest(ARRAY['waiting', 'queued', 'sent']) AS s"
    )
    scene.sql(
        "INSERT INTO sereno_reports.delivery (name, day, params_hash, revision, channel, address,"
        " message_id, state) SELECT 'x', '2026-01-01', '', 1, 'mail', s, s, s"
        " FROM unnest(ARRAY['queued', 'sending', 'sent']) AS s"
    )
    scene.sql(FIRST)
    made = scene.json("new-cluster", "staging", "--yes")
    assert made["plugins"] == ["sereno_notify", "sereno_reports"]
    assert scene.sql("SELECT key, state FROM sereno_notify.notification ORDER BY 1") == [
        ("queued", "dropped"),
        ("sent", "sent"),
        ("waiting", "dropped"),
    ]
    assert scene.sql("SELECT address, state FROM sereno_reports.delivery ORDER BY 1") == [
        ("queued", "unknown"),
        ("sending", "unknown"),
        ("sent", "sent"),
    ]


async def test_the_database_takes_in_replicas_of_its_own_name_alone(database: str) -> None:
    db = Database(database)
    await db.open()
    try:
        async with db.connection() as connection:
            await connection.execute(
                "INSERT INTO sereno.cluster (name, begun_by) VALUES ('staging', 'x')"
            )
        with pytest.raises(ClusterError, match=r"of the cluster 'staging'.*set cluster = "):
            await nodes.join(db, facts(1))
        ours = nodes.NodeFacts(facts(2).id, "n2", 2, "1", None, 1, cluster="staging")
        key = (await nodes.join(db, ours)).key
        await nodes.seen(db, ours, key)
        assert (await nodes.join(db, ours, key)).key == key
        await db.execute("node_leave", ours.id)
    finally:
        await db.close()


async def test_a_replica_whose_connections_are_led_to_a_copy_takes_no_part(
    database: str, eye: Eye
) -> None:
    async with running(database, tick, lease=LONG_LEASE) as node:
        await node.leads()
        await eye.value("INSERT INTO sereno.cluster (name, begun_by) VALUES ('x', 'y') RETURNING 1")
        sessions = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE application_name = $1 AND datname = current_database()"
        )
        await eye.value(sessions, f"sereno {node.id}")
        async with asyncio.timeout(45):
            while "is of the cluster 'x'" not in (node.status.store_error or ""):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert not node.status.leading
        assert node.fault is None
        assert await eye.value("SELECT max(term) FROM sereno.term") == 1
        await eye.value("DELETE FROM sereno.cluster RETURNING 1")  # they are led back
        await eye.until("SELECT max(term) = 2 FROM sereno.term")
