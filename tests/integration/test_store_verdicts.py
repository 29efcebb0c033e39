"""What a slot waits for is written by the one statement that begins or ends its run."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from sereno.engine.verification import verify
from sereno.model.errors import LeaseLostError
from sereno.model.ledger import Claim
from sereno.store import ledger, queue, runs, slot_views, views

from .run_scene import NOW, outcome, taken, write
from .scene import NODE, OTHER, Scene, named, opened, settlement, slots_after

HOUR = timedelta(hours=1)
SINCE_THEN = timedelta(days=365 * 50)


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        await found.declare("a", named("a"))
        await found.eye.execute(
            "UPDATE sereno.watermark SET settled_to = settled_to - interval '3 h';"
            " UPDATE sereno.schedule_version SET valid_from = valid_from - interval '3 h'"
        )
        yield found


async def settled(
    scene: Scene, verdict: str = "waiting", *, grace: timedelta = HOUR * 9, **run: Any
) -> tuple[datetime, int]:
    """Settle the next slot of schedule `a`; return it and its run."""
    entry = await scene.entry("a")
    (slot,) = slots_after(entry, 1)
    plan = settlement(entry, (slot, verdict), starts=verdict != "waiting")
    made = replace(plan.runs[0], on_time_until=slot + grace, **run)
    _, found = await ledger.settle(scene.db, scene.term, NODE, [replace(plan, runs=(made,))])
    return slot, found[entry.schedule_id, slot][0]


async def claim(scene: Scene, run_id: int) -> Claim:
    (found,) = await runs.claim(scene.db, scene.term, NODE, [run_id])
    return found


async def told(scene: Scene) -> list[tuple[Any, ...]]:
    """Return verdict and reason of each slot."""
    return await scene.rows("SELECT verdict, reason FROM sereno.slot ORDER BY slot")


async def counts(scene: Scene) -> tuple[Any, ...]:
    """Return what is counted of late, skipped and missed slots, and of cancelled runs."""
    (row,) = await scene.rows(
        "SELECT late, skipped, missed, cancelled FROM sereno.job_stat WHERE job = 'a'"
    )
    return row


async def holds(scene: Scene) -> bool:
    """Tell whether the ledger holds."""
    await scene.eye.execute(
        "UPDATE sereno.schedule_version SET valid_from = (SELECT min(slot)"
        " - interval '1 s' FROM sereno.slot)"
    )
    account = await verify(scene.db, SINCE_THEN)
    assert account.holds, account.faults
    return True


async def test_a_slot_whose_run_does_not_begin_at_once_waits(scene: Scene) -> None:
    await settled(scene)
    assert await told(scene) == [("waiting", None)]
    assert await counts(scene) == (0, 0, 0, 0)
    assert await holds(scene)


async def test_begun_within_its_grace_it_ran(scene: Scene) -> None:
    _, run_id = await settled(scene)
    found = await claim(scene, run_id)
    assert (found.verdict, found.reason) == ("ran", None)
    assert await told(scene) == [("ran", None)]
    assert await counts(scene) == (0, 0, 0, 0)
    assert await holds(scene)


async def test_begun_after_its_grace_it_is_late_and_counted_as_late(scene: Scene) -> None:
    slot, run_id = await settled(scene, grace=timedelta(seconds=2))
    found = await claim(scene, run_id)
    (row,) = await scene.rows("SELECT started_at FROM sereno.run")
    reason = f"{(row[0] - slot).total_seconds():.1f} s late"
    assert (found.verdict, found.reason) == ("late", reason)
    assert await told(scene) == [("late", reason)]
    assert await counts(scene) == (1, 0, 0, 0)
    assert await holds(scene)


async def test_what_was_to_start_on_time_and_was_settled_after_its_grace_is_late(
    scene: Scene,
) -> None:
    """As when its settlement has waited for a lock."""
    entry = await scene.entry("a")
    (slot,) = slots_after(entry, 1)
    plan = settlement(entry, (slot, "ran"))
    _, made = await ledger.settle(scene.db, scene.term, NODE, [plan])
    (row,) = await told(scene)
    assert row == ("late", made[entry.schedule_id, slot][2])
    assert row[1].endswith(" s late")
    assert await counts(scene) == (1, 0, 0, 0)


async def test_who_decided_it_is_who_claimed_it(scene: Scene) -> None:
    _, run_id = await settled(scene)
    term = await scene.begin_term(OTHER)
    await runs.claim(scene.db, term, OTHER, [run_id])
    row = "SELECT term, decided_at = (SELECT started_at FROM sereno.run) FROM sereno.slot"
    assert await scene.rows(row) == [(term, True)]


async def test_what_is_given_back_waits_again_and_begins_anew(scene: Scene) -> None:
    _, run_id = await settled(scene)
    for _ in range(2):
        found = await claim(scene, run_id)
        assert found.attempt == 1
        await write(scene, outcome(found, "queued", retry_at=NOW, begun=False))
        assert await told(scene) == [("waiting", None)]
        assert await scene.rows("SELECT state, attempt, started_at FROM sereno.run") == [
            ("queued", 0, None)
        ]
        assert await holds(scene)
    await claim(scene, run_id)
    assert await told(scene) == [("ran", None)]


async def test_what_was_to_start_with_its_slot_and_is_given_back_waits_too(scene: Scene) -> None:
    slot, run_id = await settled(scene, "ran")
    assert await told(scene) == [("ran", None)]
    token = await scene.value("SELECT token FROM sereno.run")
    started = Claim(run_id=run_id, job="a", attempt=1, token=token, params={}, policies={})
    await write(scene, outcome(started, "queued", retry_at=slot, begun=False))
    assert await told(scene) == [("waiting", None)]
    found = await claim(scene, run_id)
    assert found.verdict == "ran"


async def test_a_late_one_that_is_given_back_is_counted_once(scene: Scene) -> None:
    _, run_id = await settled(scene, grace=timedelta(seconds=1))
    for _ in range(3):
        found = await claim(scene, run_id)
        assert found.verdict == "late"
        await write(scene, outcome(found, "queued", retry_at=NOW, begun=False))
        assert await told(scene) == [("waiting", None)]
    await claim(scene, run_id)
    assert [row[0] for row in await told(scene)] == ["late"]
    assert await counts(scene) == (1, 0, 0, 0)


async def test_a_second_attempt_changes_no_verdict(scene: Scene) -> None:
    _, run_id = await settled(scene)
    first = await claim(scene, run_id)
    await scene.eye.execute("UPDATE sereno.run SET on_time_until = '2020-01-01'")
    await write(scene, outcome(first, "queued", retry_at=NOW))
    assert await told(scene) == [("ran", None)]
    second = await claim(scene, run_id)
    assert (second.attempt, second.verdict) == (2, None)
    await write(scene, outcome(second, "queued", retry_at=NOW, begun=False))
    assert await told(scene) == [("ran", None)]  # its first has begun
    third = await claim(scene, run_id)
    await runs.lose(scene.db, scene.term, NODE, [taken(third, again=True)], "gone")
    await claim(scene, run_id)
    assert await told(scene) == [("ran", None)]
    assert await counts(scene) == (0, 0, 0, 0)
    assert await holds(scene)


async def test_cancelled_while_it_waited_it_was_skipped_and_the_reason_is_kept(
    scene: Scene,
) -> None:
    _, run_id = await settled(scene)
    await runs.request_cancel(scene.db, run_id, "ann", "wrong day")
    assert await told(scene) == [("skipped", "cancelled by ann: wrong day, before it began")]
    assert await counts(scene) == (0, 1, 0, 1)
    shown = await views.run(scene.db, run_id)
    assert (shown.state, shown.error) == ("cancelled", "cancelled by ann: wrong day")
    assert (shown.cancelled_by, shown.cancel_reason) == ("ann", "wrong day")
    last = "SELECT last_run, last_state, last_duration FROM sereno.job_stat WHERE job = 'a'"
    assert await scene.rows(last) == [(run_id, "cancelled", None)]
    assert await holds(scene)


async def test_cancelled_between_claim_and_instant_it_was_skipped_too(scene: Scene) -> None:
    _, run_id = await settled(scene)
    found = await claim(scene, run_id)
    await write(scene, outcome(found, "cancelled", error="cancelled by ann", begun=False))
    assert await told(scene) == [("skipped", "cancelled by ann")]
    assert await counts(scene) == (0, 1, 0, 1)
    rows = "SELECT state, attempt, started_at FROM sereno.run"
    assert await scene.rows(rows) == [("cancelled", 0, None)]
    assert await holds(scene)


async def test_beyond_the_instant_to_begin_by_it_is_not_claimed_and_ends_missed(
    scene: Scene,
) -> None:
    slot, run_id = await settled(scene, grace=timedelta(seconds=2))
    await scene.eye.execute(
        "UPDATE sereno.run SET start_by = slot + interval '2 s',"
        " policies = jsonb_build_object('catch_up', 'none')"
    )
    assert await queue.ready(scene.db, 10, ["a"], []) == []
    assert await runs.claim_first(scene.db, scene.term, NODE, ["a"], []) is None
    assert await runs.claim(scene.db, scene.term, NODE, [run_id]) == []
    assert await told(scene) == [("waiting", None)]
    (row,) = await runs.expire(scene.db, scene.term, [run_id])
    reason = "later than its grace, and catch_up is none"
    assert (row["id"], row["schedule"], row["slot"], row["reason"]) == (run_id, "a", slot, reason)
    assert await told(scene) == [("missed", reason)]
    assert await counts(scene) == (0, 0, 1, 1)
    shown = await views.run(scene.db, run_id)
    assert (shown.state, shown.attempt, shown.started_at) == ("cancelled", 0, None)
    assert "waited for its place until then" in (shown.error or "")
    assert await runs.expire(scene.db, scene.term, [run_id]) == []
    assert await holds(scene)


async def test_only_what_waits_and_is_too_late_expires_and_by_the_leader_alone(
    scene: Scene,
) -> None:
    _, early = await settled(scene, start_by=await scene.value("SELECT now() + interval '1 h'"))
    _, retried = await settled(scene)
    first = await claim(scene, retried)
    await write(scene, outcome(first, "queued", retry_at=NOW))
    await scene.eye.execute(
        "UPDATE sereno.run SET start_by = now() - interval '1 h' WHERE id = $1", retried
    )
    assert await runs.expire(scene.db, scene.term, [early, retried, 10_000]) == []
    old = scene.term
    await scene.begin_term(OTHER)
    with pytest.raises(LeaseLostError, match=f"term {old} is over"):
        await runs.expire(scene.db, old, [early])
    assert (await claim(scene, retried)).attempt == 2  # it had begun in time


async def test_the_ledger_does_not_hold_when_a_verdict_and_its_run_tell_otherwise(
    scene: Scene,
) -> None:
    _, waits = await settled(scene)
    _, ran = await settled(scene, "ran")
    assert await holds(scene)
    await scene.eye.execute("UPDATE sereno.slot SET verdict = 'ran' WHERE run_id = $1", waits)
    await scene.eye.execute("UPDATE sereno.slot SET verdict = 'waiting' WHERE run_id = $1", ran)
    account = await verify(scene.db, SINCE_THEN)
    assert [(f.kind, f.detail) for f in account.faults] == [
        ("untrue", f"it ran, by run {waits}, which is queued"),
        ("untrue", f"it waits, for run {ran}, which is running"),
    ]
    await scene.eye.execute("DELETE FROM sereno.run WHERE id = $1", ran)
    account = await verify(scene.db, SINCE_THEN)
    assert [f.kind for f in account.faults] == ["untrue", "run missing"]


# --- the version before -----------------------------------------------------------------------

OLD_CLAIM = """
UPDATE sereno.run r SET state = 'running', attempt = r.attempt + 1, node = $2, term = $3,
       started_at = clock_timestamp(), finished_at = NULL, error = NULL, traceback = NULL
 WHERE r.id = $1 AND r.state = 'queued'
"""
OLD_RELEASE = """
UPDATE sereno.run SET state = 'queued', attempt = attempt - 1, node = NULL WHERE id = $1
"""
OLD_CANCEL = """
UPDATE sereno.run SET state = 'cancelled', finished_at = now(), error = 'cancelled by ann'
 WHERE id = $1 AND state = 'queued'
"""


async def test_what_a_replica_of_the_version_before_claims_has_its_verdict(scene: Scene) -> None:
    _, late = await settled(scene, grace=timedelta(seconds=1))
    _, prompt = await settled(scene)
    for run_id in (late, prompt):
        await scene.eye.execute(OLD_CLAIM, run_id, OTHER, scene.term)
    assert [row[0] for row in await told(scene)] == ["late", "ran"]
    assert await counts(scene) == (1, 0, 0, 0)
    assert await holds(scene)
    await scene.eye.execute(OLD_RELEASE, prompt)
    assert [row[0] for row in await told(scene)] == ["late", "waiting"]
    assert (await claim(scene, prompt)).verdict == "ran"


@pytest.mark.every_postgres
@pytest.mark.parametrize(
    "odd", ["slot = '-infinity'", "slot = 'infinity'", "started = '-infinity'"]
)
async def test_what_it_writes_beside_an_infinity_fails_nobody_s_statement(
    scene: Scene, odd: str
) -> None:
    slot, late = await settled(scene, grace=timedelta(seconds=1))
    _, prompt = await settled(scene)
    if odd.startswith("slot"):
        for table in ("run", "slot"):
            await scene.eye.execute(f"UPDATE sereno.{table} SET {odd} WHERE slot = $1", slot)
    await scene.eye.execute("UPDATE sereno.job_stat SET late = 9223372036854775807")
    started = "CASE WHEN r.id = $4 THEN '-infinity' ELSE now() END" if "started" in odd else "now()"
    claim_all = OLD_CLAIM.replace("r.id = $1", "r.id = ANY ($1) AND $4 > 0").replace(
        "clock_timestamp()", started
    )
    await scene.eye.execute(claim_all, [late, prompt], OTHER, scene.term, late)
    assert {row[0] for row in await told(scene)} <= {"late", "ran"}
    assert await scene.value("SELECT count(*) FROM sereno.run WHERE state = 'running'") == 2


async def test_what_it_cancels_while_it_waits_was_skipped(scene: Scene) -> None:
    _, run_id = await settled(scene)
    await scene.eye.execute(OLD_CANCEL, run_id)
    assert await told(scene) == [("skipped", "cancelled by ann, before it began")]
    assert await holds(scene)


async def test_what_it_settled_as_ran_while_it_waits_is_shown_as_waiting(scene: Scene) -> None:
    slot, run_id = await settled(scene)
    await scene.eye.execute("UPDATE sereno.run SET on_time_until = NULL")
    await scene.eye.execute("UPDATE sereno.slot SET verdict = 'ran'")
    (shown,) = await slot_views.slots(scene.db, "a", slot, slot)
    assert shown.verdict == "waiting"
    assert (await views.run(scene.db, run_id)).verdict == "waiting"
    assert await holds(scene)
    found = await claim(scene, run_id)
    assert found.verdict is None
    (shown,) = await slot_views.slots(scene.db, "a", slot, slot)
    assert shown.verdict == "ran"
