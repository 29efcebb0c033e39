"""Who owns a run may write its outcome, and nobody else may."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from msgspec.structs import replace

from sereno.model.errors import RunSuperseded
from sereno.model.run import LogLine
from sereno.store import runs
from sereno.store.pool import prepare_connection
from sereno.store.sql import sql

from .run_scene import NOW, claimed, fence, outcome, said, taken, told, write
from .scene import NODE, OTHER, Scene, connected, declared_job, opened

LATER = NOW + timedelta(minutes=5)


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        await found.declare("a", "b", declared_job("down", after="a"))
        yield found


# --- outcomes ---------------------------------------------------------------------------------


async def test_an_outcome_is_kept_in_full_and_counted(scene: Scene) -> None:
    claim = await claimed(scene)
    assert await write(scene, outcome(claim, result=b'{"rows": 3}')) == {claim.run_id}
    row = "SELECT state, started_at, finished_at, result::text, error FROM sereno.run"
    ended = NOW + timedelta(seconds=3)
    assert await scene.rows(row) == [("succeeded", NOW, ended, '{"rows": 3}', None)]
    stat = (
        "SELECT succeeded, last_success_at, last_end_at, last_state, last_run, last_duration"
        " FROM sereno.job_stat WHERE job = 'a'"
    )
    seconds = timedelta(seconds=3)
    assert await scene.rows(stat) == [(1, ended, ended, "succeeded", claim.run_id, seconds)]


async def test_an_outcome_of_a_run_that_another_owns_is_left_alone(scene: Scene) -> None:
    claim = await claimed(scene)
    assert await write(scene, outcome(claim), node=OTHER) == set()
    assert await scene.state(claim.run_id) == "running"


async def test_an_outcome_of_an_earlier_attempt_is_left_alone(scene: Scene) -> None:
    claim = await claimed(scene)
    await write(scene, outcome(claim, "queued", retry_at=NOW))
    await runs.claim(scene.db, scene.term, NODE, [claim.run_id])
    assert await write(scene, outcome(claim)) == set()
    assert await scene.state(claim.run_id) == "running"


async def test_an_outcome_written_twice_counts_once(scene: Scene) -> None:
    claim = await claimed(scene)
    chains = {"a": [("down", ("a",))]}
    for _ in range(2):  # as when nobody saw the answer to the first
        assert await write(scene, outcome(claim), chains=chains) == {claim.run_id}
    assert await scene.value("SELECT succeeded FROM sereno.job_stat WHERE job = 'a'") == 1
    assert await scene.value("SELECT count(*) FROM sereno.run WHERE job = 'down'") == 1


async def test_a_retry_written_twice_counts_once_too(scene: Scene) -> None:
    claim = await claimed(scene)
    for _ in range(2):
        failed = outcome(claim, "queued", retry_at=LATER)
        assert await write(scene, failed) == {claim.run_id}
    assert await scene.value("SELECT retried FROM sereno.job_stat WHERE job = 'a'") == 1


async def test_the_last_words_are_kept_with_the_outcome(scene: Scene) -> None:
    claim = await claimed(scene)
    words = said(claim, done=9.0, checkpoint=b'"page 9"')
    await write(scene, outcome(claim, "queued", retry_at=NOW, words=words))
    (again,) = await runs.claim(scene.db, scene.term, NODE, [claim.run_id])
    assert again.saved == "page 9"


async def test_words_under_way_never_replace_those_of_the_outcome(
    scene: Scene, database: str
) -> None:
    claim = await claimed(scene)
    old, new = [said(claim, checkpoint=page) for page in (b"1", b"2")]
    async with connected(database) as slow:
        await prepare_connection(slow)
        transaction = slow.transaction()
        await transaction.start()
        columns = [[old.run_id], [1], [claim.token], [None], [None], [None], [b"1"]]
        await slow.execute(sql("progress_write"), NODE, *columns)
        ending = asyncio.ensure_future(
            write(scene, outcome(claim, "queued", retry_at=NOW, words=new))
        )
        await scene.until_blocked()
        await transaction.commit()
        assert await ending == {claim.run_id}
    assert await scene.value("SELECT checkpoint::text FROM sereno.run_progress") == "2"


async def test_a_retry_waits_for_its_instant_and_the_attempt_is_kept(scene: Scene) -> None:
    claim = await claimed(scene)
    failed = outcome(claim, "queued", retry_at=LATER, error="no good", traceback="line 1")
    await write(scene, failed)
    row = "SELECT state, run_at, node, finished_at, attempt FROM sereno.run"
    assert await scene.rows(row) == [("queued", LATER, None, None, 1)]
    kept = "SELECT attempt, state, node, error, traceback FROM sereno.attempt"
    assert await scene.rows(kept) == [(1, "failed", NODE, "no good", "line 1")]
    assert await scene.value("SELECT retried FROM sereno.job_stat WHERE job = 'a'") == 1


async def test_an_attempt_that_never_began_does_not_count(scene: Scene) -> None:
    claim = await claimed(scene)
    await write(scene, outcome(claim, "queued", retry_at=NOW, begun=False))
    assert await scene.rows("SELECT state, attempt, run_at FROM sereno.run") == [("queued", 0, NOW)]
    assert await scene.rows("SELECT * FROM sereno.attempt") == []
    assert await scene.value("SELECT retried FROM sereno.job_stat WHERE job = 'a'") == 0


async def test_log_lines_come_with_the_outcome_and_once(scene: Scene) -> None:
    claim = await claimed(scene)
    lines = tuple(LogLine(at=NOW, level="INFO", logger="x", message=f"line {n}") for n in range(3))
    await runs.write_lines(scene.db, NODE, [told(claim, lines[:2])])
    await write(scene, outcome(claim, lines=lines[1:], first_line=1))
    kept = "SELECT attempt, line, message FROM sereno.run_log ORDER BY line"
    assert await scene.rows(kept) == [(1, n, f"line {n}") for n in range(3)]


async def test_lines_of_a_run_that_was_deleted_hold_up_no_others(scene: Scene) -> None:
    claim = await claimed(scene)
    line = (LogLine(at=NOW, level="INFO", logger="x", message="here"),)
    await runs.write_lines(
        scene.db, NODE, [told(replace(claim, run_id=10_000), line), told(claim, line)]
    )
    assert await scene.rows("SELECT run_id FROM sereno.run_log") == [(claim.run_id,)]


async def test_words_of_a_run_that_another_owns_are_not_kept(scene: Scene) -> None:
    claim = await claimed(scene)
    word = said(claim, done=1.0)
    await runs.write_progress(scene.db, OTHER, [word])
    assert await scene.rows("SELECT * FROM sereno.run_progress") == []


async def test_lines_of_a_run_that_another_owns_are_not_kept(scene: Scene) -> None:
    claim = await claimed(scene)
    lines = (LogLine(at=NOW, level="INFO", logger="x", message="too late"),)
    await runs.write_lines(scene.db, OTHER, [told(claim, lines)])
    await runs.write_lines(scene.db, NODE, [told(replace(claim, attempt=2), lines)])
    found = await runs.write_outcomes(scene.db, OTHER, [outcome(claim, lines=lines)], {})
    assert found.ours == frozenset()
    assert await scene.rows("SELECT * FROM sereno.run_log") == []


async def test_newer_words_take_the_place_of_older_ones_and_a_checkpoint_stays(
    scene: Scene,
) -> None:
    claim = await claimed(scene)
    for word in (
        said(claim, done=1.0, total=9.0, note="x", checkpoint=b"[1]"),
        said(claim, done=2.0),
    ):
        await runs.write_progress(scene.db, NODE, [word])
    row = "SELECT done, total, note, checkpoint::text FROM sereno.run_progress"
    assert await scene.rows(row) == [(2.0, 9.0, "x", "[1]")]


async def test_outcomes_of_many_jobs_written_at_once_from_two_nodes_do_not_deadlock(
    scene: Scene,
) -> None:
    """They count in the same rows, and the leader's ticks do too."""
    names = [f"many.n{n}" for n in range(30)]
    await scene.declare("a", *names)
    ours = [await claimed(scene, n) for n in names]
    theirs = [await claimed(scene, n, node=OTHER) for n in reversed(names)]
    for _ in range(5):
        found = await asyncio.gather(
            write(scene, *(outcome(c) for c in ours)),
            write(scene, *(outcome(c) for c in theirs), node=OTHER),
        )
        assert [len(f) for f in found] == [30, 30]
        await scene.eye.execute("UPDATE sereno.run SET state = 'running'")


# --- losses -----------------------------------------------------------------------------------


async def test_a_lost_run_is_queued_again_or_final_as_its_job_says(scene: Scene) -> None:
    again, final = await claimed(scene), await claimed(scene)
    found = await runs.lose(
        scene.db,
        scene.term,
        NODE,
        [taken(again, again=True), taken(final, again=False)],
        "its node died",
    )
    assert {r["id"]: r["state"] for r in found} == {again.run_id: "queued", final.run_id: "lost"}
    rows = "SELECT state, losses, node, error, finished_at IS NULL FROM sereno.run ORDER BY id"
    assert await scene.rows(rows) == [
        ("queued", 1, None, "its node died", True),
        ("lost", 1, NODE, "its node died", False),
    ]
    kept = "SELECT run_id, state, error FROM sereno.attempt"
    assert await scene.rows(kept) == [(again.run_id, "lost", "its node died")]
    assert await scene.value("SELECT lost FROM sereno.job_stat WHERE job = 'a'") == 1


async def test_a_lost_run_is_the_last_of_its_job(scene: Scene) -> None:
    good, bad, again = [await claimed(scene) for _ in range(3)]
    await write(scene, outcome(good))
    wanted = [taken(bad, again=False), taken(again, again=True)]
    await runs.lose(scene.db, scene.term, NODE, wanted, "gone")
    last = "SELECT last_run, last_state, last_end_at, last_duration FROM sereno.job_stat"
    ((run_id, state, ended, took),) = await scene.rows(last + " WHERE job = 'a'")
    ((started, finished),) = await scene.rows(
        "SELECT started_at, finished_at FROM sereno.run WHERE id = $1", bad.run_id
    )
    assert (run_id, state, ended, took) == (bad.run_id, "lost", finished, finished - started)


async def test_what_was_taken_from_its_owner_cannot_be_written_by_it(scene: Scene) -> None:
    claim = await claimed(scene)
    await runs.lose(scene.db, scene.term, NODE, [taken(claim, again=True)], "gone")
    assert await write(scene, outcome(claim)) == set()
    assert await scene.state(claim.run_id) == "queued"


async def test_a_deposed_leader_takes_no_run(scene: Scene) -> None:
    claim, old = await claimed(scene), scene.term
    await scene.begin_term(OTHER)
    assert await runs.lose(scene.db, old, NODE, [taken(claim, again=True)], "gone") == []
    assert await scene.state(claim.run_id) == "running"


async def test_a_run_whose_job_holds_a_fence_is_left_for_later(scene: Scene, database: str) -> None:
    held, free = await claimed(scene), await claimed(scene)
    async with connected(database) as job:
        async with job.transaction():
            await fence(job, held)
            wanted = [taken(held, again=True), taken(free, again=True)]
            found = await runs.lose(scene.db, scene.term, NODE, wanted, "gone")
            assert [r["id"] for r in found] == [free.run_id]
        found = await runs.lose(scene.db, scene.term, NODE, wanted, "gone")
        assert [r["id"] for r in found] == [held.run_id]


async def test_a_fence_fails_once_the_run_is_another_s(scene: Scene, database: str) -> None:
    claim = await claimed(scene)
    await runs.lose(scene.db, scene.term, NODE, [taken(claim, again=True)], "gone")
    async with connected(database) as job:
        async with job.transaction():
            with pytest.raises(
                RunSuperseded, match=f"run {claim.run_id}, attempt 1: it is not this node's"
            ):
                await fence(job, claim)
        (again,) = await runs.claim(scene.db, scene.term, NODE, [claim.run_id])
        async with job.transaction():
            with pytest.raises(RunSuperseded):
                await fence(job, claim)
            await fence(job, again)


async def test_a_fence_blocks_neither_progress_nor_log_lines(scene: Scene, database: str) -> None:
    claim = await claimed(scene)
    async with connected(database) as job, job.transaction():
        await fence(job, claim)
        async with asyncio.timeout(30):
            word = said(claim, done=1.0)
            await runs.write_progress(scene.db, NODE, [word])
            line = (LogLine(at=NOW, level="INFO", logger="x", message="here"),)
            await runs.write_lines(scene.db, NODE, [told(claim, line)])


async def test_a_transaction_that_a_job_left_open_holds_up_no_other_run_s_outcome(
    scene: Scene, database: str
) -> None:
    held, free = await claimed(scene), await claimed(scene)
    async with connected(database) as job, job.transaction():
        await fence(job, held)
        async with asyncio.timeout(30):
            await write(scene, outcome(held), outcome(free))
        assert [await scene.state(r.run_id) for r in (held, free)] == ["running", "succeeded"]
        written = await runs.write_outcomes(scene.db, NODE, [outcome(held)], {})
        assert (written.ours, written.held) == (set(), {held.token})
    assert await write(scene, outcome(held)) == {held.run_id}


# --- cancelling -------------------------------------------------------------------------------


async def test_a_queued_run_is_cancelled_at_once(scene: Scene) -> None:
    run_id = await scene.enqueue("a")
    assert await runs.request_cancel(scene.db, run_id, "ann") == "cancelled"
    rows = "SELECT state, error, finished_at IS NOT NULL FROM sereno.run"
    assert await scene.rows(rows) == [("cancelled", "cancelled by ann", True)]
    assert await scene.value("SELECT cancelled FROM sereno.job_stat WHERE job = 'a'") == 1


async def test_a_running_one_is_asked_to_stop_and_its_owner_hears_it(scene: Scene) -> None:
    claim = await claimed(scene)
    assert await runs.request_cancel(scene.db, claim.run_id, "ann", "wrong day") == "running"
    (row,) = await runs.cancel_requests(scene.db, NODE)
    assert (row["token"], row["requested_by"], row["reason"]) == (claim.token, "ann", "wrong day")
    assert await runs.cancel_requests(scene.db, OTHER) == []


async def test_one_that_is_over_stays_as_it_is(scene: Scene) -> None:
    claim = await claimed(scene)
    await write(scene, outcome(claim))
    assert await runs.request_cancel(scene.db, claim.run_id, "ann") == "succeeded"
    assert await scene.rows("SELECT * FROM sereno.cancel_request") == []
    assert await runs.request_cancel(scene.db, 10_000, "ann") is None
