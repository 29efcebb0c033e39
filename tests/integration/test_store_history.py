"""Old history goes in batches; what is not over stays, and the account of slots still holds."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from sereno.engine.verification import verify
from sereno.model.schedule_spec import ScheduleSpec
from sereno.store import nodes, schedules
from sereno.store.ledger import settle
from sereno.store.nodes import NodeFacts

from .scene import NODE, OTHER, Scene, job_named, named, opened, settlement, slots_after

YEAR = timedelta(days=365)


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        await found.declare("a", "b", named("a"))
        yield found


async def fill(scene: Scene, job: str, days: int, count: int, state: str = "succeeded") -> None:
    """Make so many runs that ended, or began, so many days ago, each with a log line."""
    await scene.eye.execute(
        "WITH made AS (INSERT INTO sereno.run (job, state, cause, queued_at, finished_at)"
        " SELECT $1, $2, 'program', clock_timestamp() - make_interval(days => $3, mins => 1),"
        " CASE WHEN $2 IN ('queued', 'running') THEN NULL"
        " ELSE clock_timestamp() - make_interval(days => $3) END"
        " FROM generate_series(1, $4) RETURNING id)"
        " INSERT INTO sereno.run_log SELECT id, 1, 0, now(), 'INFO', 'x', 'y' FROM made",
        job,
        state,
        days,
        count,
    )


async def prune(scene: Scene, days: int = 30, keep: int = 1000, batch: int = 1000) -> int:
    query = "SELECT sereno.prune(make_interval(days => $1), $2, $3)"
    return int(await scene.value(query, days, keep, batch))


async def left(scene: Scene, job: str) -> int:
    return int(await scene.value("SELECT count(*) FROM sereno.run WHERE job = $1", job))


async def test_runs_that_ended_too_long_ago_go_with_all_that_is_theirs(scene: Scene) -> None:
    await fill(scene, "a", 31, 3)
    await fill(scene, "a", 29, 2)
    assert await prune(scene) == 3
    assert await left(scene, "a") == 2
    assert await scene.value("SELECT count(*) FROM sereno.run_log") == 2
    assert await prune(scene) == 0


async def test_of_each_job_the_newest_stay(scene: Scene) -> None:
    await fill(scene, "a", 1, 5)
    await fill(scene, "b", 1, 2)
    assert await prune(scene, keep=3) == 2
    assert (await left(scene, "a"), await left(scene, "b")) == (3, 2)
    ids = await scene.rows("SELECT id FROM sereno.run WHERE job = 'a' ORDER BY id")
    assert ids == [(3,), (4,), (5,)]


async def test_what_is_not_over_stays_however_old(scene: Scene) -> None:
    await fill(scene, "a", 400, 2, "queued")
    await fill(scene, "a", 400, 2, "running")
    await fill(scene, "a", 1, 3)
    assert await prune(scene, days=1, keep=0) == 3
    assert await left(scene, "a") == 4


async def test_one_call_deletes_one_batch(scene: Scene) -> None:
    await fill(scene, "a", 31, 25)
    assert [await prune(scene, batch=10) for _ in range(4)] == [10, 10, 5, 0]


async def test_what_is_kept_is_counted_once_and_not_read_again(scene: Scene) -> None:
    await fill(scene, "b", 40, 2, "queued")
    await fill(scene, "a", 31, 3)
    await fill(scene, "a", 29, 5_000)
    await scene.eye.execute("ANALYZE sereno.run")
    read = (
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables"
        " WHERE relid = 'sereno.run'::regclass"
    )
    async with scene.eye.transaction():
        gone = await scene.eye.fetchval("SELECT sereno.prune('30 days', 1000000, 1000)")
        assert gone == 3
        assert await scene.eye.fetchval(read) < 4 * 5_000  # once for each of the three jobs


@pytest.mark.parametrize(("days", "keep", "batch"), [(0, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, 0)])
async def test_limits_that_make_no_sense_are_refused(
    scene: Scene, days: int, keep: int, batch: int
) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError, match="prune: older_than must be"):
        await prune(scene, days, keep, batch)


async def settled_long_ago(scene: Scene, days: int, hours: int) -> None:
    """Settle so many hourly slots from so many days ago on, each with a run that is over."""
    await scene.eye.execute(
        "UPDATE sereno.schedule_version SET valid_from = valid_from - make_interval(days => $1)",
        days,
    )
    await scene.eye.execute(
        "UPDATE sereno.watermark SET settled_to = settled_to - make_interval(days => $1)", days
    )
    entry = await scene.entry("a")
    verdicts = [(slot, "ran") for slot in slots_after(entry, hours)]
    await settle(scene.db, scene.term, NODE, [settlement(entry, *verdicts)])
    await scene.eye.execute("UPDATE sereno.run SET state = 'succeeded', finished_at = slot")


async def test_the_account_of_slots_holds_before_and_after(scene: Scene) -> None:
    await settled_long_ago(scene, days=10, hours=200)
    assert (await verify(scene.db, YEAR)).holds
    while await prune(scene, days=5, batch=50):
        account = await verify(scene.db, YEAR)
        assert account.holds, account.faults
    assert 0 < await scene.value("SELECT count(*) FROM sereno.slot") < 200
    assert await prune(scene, keep=5) > 0
    account = await verify(scene.db, YEAR)
    assert account.holds, account.faults


async def test_old_slots_go_schedule_by_schedule_in_turn(scene: Scene) -> None:
    await scene.declare("a", "b", *(named(name) for name in ("a", "a@x", "a@y", "b")))
    old = (
        "INSERT INTO sereno.slot (schedule_id, slot, verdict, term)"
        " SELECT s.id, now() - g * interval '1 day', 'missed', 1"
        " FROM sereno.schedule s, generate_series($1::integer, $2) g WHERE s.name = ANY ($3)"
    )
    at = "SELECT name FROM sereno.schedule JOIN sereno.history ON id = slots_pruned_at"
    kept = "SELECT count(*) FROM sereno.slot"
    await scene.eye.execute(old, 29, 33, ["a", "a@x", "b"])
    batches = [(await prune(scene, batch=5), await scene.value(at)) for _ in range(3)]
    assert batches == [(5, "a@x"), (5, "b"), (2, "b")]
    await scene.eye.execute(old, 40, 41, ["a", "a@y"])
    assert await prune(scene) == 4
    assert await prune(scene) == 0
    assert await scene.value(kept) == 3


# --- what no kept row needs any more ----------------------------------------------------------


async def age(scene: Scene, table: str, columns: str, days: float, where: str = "true") -> None:
    """Put instants of rows so many days back."""
    moved = ", ".join(f"{c} = {c} - make_interval(secs => 86400 * $1)" for c in columns.split())
    await scene.eye.execute(f"UPDATE sereno.{table} SET {moved} WHERE {where}", days)


async def ids(scene: Scene, query: str) -> list[object]:
    return [row[0] for row in await scene.rows(query)]


async def test_who_changed_what_is_forgotten_after_a_while_but_for_the_last_change(
    scene: Scene,
) -> None:
    for n in range(5):
        await schedules.pause(scene.db, "a", by="ana", reason=f"{n}")
        await schedules.resume(scene.db, "a", by="ana", reason=f"{n}")
    await age(scene, "change", "at", 729)
    assert await prune(scene) == 0  # longer than all other history
    await age(scene, "change", "at", 2, "id <= 7")
    assert [await prune(scene, batch=5) for _ in range(3)] == [5, 2, 0]
    shorter = "SELECT sereno.prune('30 days', 1000, keep_changes => '90 days')"
    assert await scene.value(shorter) == 2
    assert len(await ids(scene, "SELECT id FROM sereno.change")) == 1


async def changed_daily(scene: Scene, days: int) -> None:
    """Let the schedule have been settled by the hour and changed each day for so many days."""
    await settled_long_ago(scene, days, 24 * days)
    await scene.eye.execute(
        "INSERT INTO sereno.schedule_version (schedule_id, version, valid_from, state, trigger,"
        " params, policies, changed_by, changed_at)"
        " SELECT 1, 1 + n, v.valid_from + make_interval(days => n), 'active', v.trigger, v.params,"
        " v.policies, 'ana', v.valid_from + make_interval(days => n)"
        " FROM sereno.schedule_version v, generate_series(1, $1) AS n",
        days - 1,
    )
    await scene.eye.execute("UPDATE sereno.schedule SET version = $1", days)


VERSIONS = "SELECT version FROM sereno.schedule_version ORDER BY version"


async def test_of_a_schedule_s_versions_those_stay_that_the_kept_account_needs(
    scene: Scene,
) -> None:
    await changed_daily(scene, days=10)
    assert (await verify(scene.db, YEAR)).holds
    while await prune(scene, days=4, batch=20):
        account = await verify(scene.db, YEAR)
        assert account.holds, account.faults
    # The seventh began just over four days ago: it ruled when what is kept began.
    assert await ids(scene, VERSIONS) == [7, 8, 9, 10]
    assert account.slots in (24 * 4, 24 * 4 - 1)
    assert (await scene.entry("a")).current.version == 10


async def test_versions_that_a_schedule_has_not_been_settled_by_stay(scene: Scene) -> None:
    await changed_daily(scene, days=10)
    await scene.eye.execute("DELETE FROM sereno.slot")
    await age(scene, "watermark", "settled_to", 7.5)  # no leader since then
    assert await prune(scene, days=4) > 0
    assert await ids(scene, VERSIONS) == [3, 4, 5, 6, 7, 8, 9, 10]
    assert [d.version for d in (await scene.entry("a")).versions] == [3, 4, 5, 6, 7, 8, 9, 10]


async def test_a_pause_that_goes_on_is_kept_from_its_beginning(scene: Scene) -> None:
    await schedules.pause(scene.db, "a", by="ana")
    for minutes in (5, 10):
        trigger = {"trigger": f"every {minutes}m"}
        await schedules.override(scene.db, "a", trigger, jobs=job_named, by="ana")
    await age(scene, "schedule_version", "valid_from changed_at", 40)
    await age(scene, "change", "at", 40)
    assert await prune(scene) == 0
    assert await ids(scene, VERSIONS) == [1, 2, 3, 4]
    _, queued = await schedules.resume(scene.db, "a", by="ana", run="last")
    assert len(queued) == 1


async def test_when_a_schedule_was_resumed_last_is_kept(scene: Scene) -> None:
    await schedules.pause(scene.db, "a", by="ana")
    await schedules.resume(scene.db, "a", by="ana")
    for minutes in (5, 10, 20):
        trigger = {"trigger": f"every {minutes}m"}
        await schedules.override(scene.db, "a", trigger, jobs=job_named, by="ana")
    await age(scene, "schedule_version", "valid_from changed_at", 40)
    await prune(scene)
    assert await ids(scene, VERSIONS) == [2, 3, 6]


async def test_a_schedule_that_was_removed_goes_with_its_last_slot(scene: Scene) -> None:
    declared = ScheduleSpec(trigger="every 1h")
    await schedules.add(scene.db, "b@mine", job_named("b"), declared, by="ana")
    entry = await scene.entry("b@mine")
    (slot,) = slots_after(entry, 1)
    await settle(scene.db, scene.term, NODE, [settlement(entry, (slot, "missed"))])
    await schedules.remove(scene.db, "b@mine", by="ana")
    await age(scene, "schedule_version", "valid_from changed_at", 40, "schedule_id = 2")
    await prune(scene)
    assert await ids(scene, "SELECT name FROM sereno.schedule ORDER BY id") == ["a", "b@mine"]
    await age(scene, "slot", "slot", 40)
    while await prune(scene):
        pass
    assert await ids(scene, "SELECT name FROM sereno.schedule") == ["a"]
    assert await ids(scene, "SELECT schedule_id FROM sereno.watermark") == [1]


TERMS = "SELECT term FROM sereno.term ORDER BY term"


async def reigns(scene: Scene, count: int, days: int) -> None:
    """Let there have been so many terms, each of a day and a node of its own; the last goes on."""
    await scene.eye.execute(
        "INSERT INTO sereno.node (id, label, pid, version, started_at, seen_at)"
        " SELECT ('00000000-0000-0000-0000-0000000001' || n)::uuid, 'n' || n, 1, '0',"
        " at, at + interval '1 day' FROM generate_series(10, 9 + $1) AS n,"
        " LATERAL (SELECT clock_timestamp() - make_interval(days => $2 + 10 - n) AS at) AS x",
        count, days,
    )  # fmt: skip
    await scene.eye.execute(
        "INSERT INTO sereno.term (term, node, acquired_at, ended_at)"
        " SELECT row_number() OVER (ORDER BY started_at), id, started_at, seen_at FROM sereno.node"
    )
    await scene.eye.execute("UPDATE sereno.term SET ended_at = NULL WHERE term = $1", count)
    await scene.eye.execute(
        "UPDATE sereno.leadership SET term = $1, node = (SELECT node FROM sereno.term"
        " WHERE term = $1)", count,
    )  # fmt: skip


async def test_terms_and_nodes_go_once_nothing_kept_names_them(scene: Scene) -> None:
    await reigns(scene, 12, days=40)
    await scene.eye.execute(
        "WITH r AS (INSERT INTO sereno.run (job, cause, state, queued_at, attempt)"
        " VALUES ('a', 'program', 'queued', now() - interval '38 days', 1) RETURNING id)"
        " INSERT INTO sereno.attempt (run_id, attempt, state, term, node)"
        " SELECT r.id, 1, 'failed', 2, t.node FROM r, sereno.term t WHERE t.term = 2"
    )
    await scene.eye.execute(
        "INSERT INTO sereno.run (job, cause, state, queued_at, attempt, term, node)"
        " SELECT 'a', 'program', 'running', now() - interval '36 days', 1, 4, node"
        " FROM sereno.term WHERE term = 4"
    )
    await scene.eye.execute(
        "INSERT INTO sereno.slot_range (schedule_id, first_slot, last_slot, slots, verdict, term)"
        " VALUES (1, now() - interval '35 days', now(), 800, 'missed', 6)"
    )
    await scene.eye.execute("UPDATE sereno.catalogue SET term = 8")
    while await prune(scene, days=29, batch=2):
        pass
    # Named by an attempt, a running run, a range, the catalogue; the last ended within 29 days.
    assert await ids(scene, TERMS) == [2, 4, 6, 8, 11, 12]
    labels = await ids(scene, "SELECT label FROM sereno.node ORDER BY label")
    assert labels == ["n11", "n13", "n15", "n17", "n20", "n21"]


async def test_a_term_that_a_kept_run_names_stays_though_it_ended_long_ago(scene: Scene) -> None:
    await reigns(scene, 12, days=40)
    await scene.eye.execute(
        "INSERT INTO sereno.run (job, cause, state, queued_at, finished_at, attempt, term, node)"
        " SELECT 'a', 'program', 'succeeded', acquired_at, now(), 1, term, node FROM sereno.term"
        " WHERE term = 5"
    )
    while await prune(scene, days=29):
        pass
    left_terms = await ids(scene, TERMS)
    assert 5 in left_terms
    assert 3 not in left_terms


async def test_a_replica_whose_row_was_pruned_has_the_same_again(scene: Scene) -> None:
    facts = NodeFacts(OTHER, "blue-1", 42, "1", None, 4)
    key = (await nodes.join(scene.db, facts)).key
    await age(scene, "node", "seen_at", 40)
    assert await prune(scene) == 1
    await nodes.seen(scene.db, facts, key)
    await nodes.seen(scene.db, facts, key)
    assert await scene.rows("SELECT label, key FROM sereno.node") == [("blue-1", key)]
    next_one = NodeFacts(UUID(int=9), "green-1", 43, "1", None, 4)
    assert (await nodes.join(scene.db, next_one)).key == key + 1


HARMS = {
    "lost": "DELETE FROM sereno.slot WHERE slot = $1",
    "run missing": "DELETE FROM sereno.run WHERE slot = $1",
    "unexpected": "INSERT INTO sereno.slot (schedule_id, slot, verdict, term)"
    " VALUES (1, $1::timestamptz + interval '1 s', 'missed', 1)",
    "doubled": "INSERT INTO sereno.slot_range (schedule_id, first_slot, last_slot, slots, verdict,"
    " reason, term) VALUES (1, $1, $1, 1, 'missed', 'x', 1)",
    "doubled by a run": "INSERT INTO sereno.run (job, cause, schedule_id, slot)"
    " VALUES ('a', 'slot', 1, $1)",
}


@pytest.mark.parametrize("kind", HARMS)
async def test_what_somebody_did_by_hand_is_found(scene: Scene, kind: str) -> None:
    await settled_long_ago(scene, days=2, hours=24)
    slot = await scene.value("SELECT slot FROM sereno.slot ORDER BY slot OFFSET 10 LIMIT 1")
    await scene.eye.execute(HARMS[kind], slot)
    account = await verify(scene.db, YEAR)
    assert not account.holds
    assert kind.removesuffix(" by a run") in account.counts
