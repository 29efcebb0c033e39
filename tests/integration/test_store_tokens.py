"""An attempt is known by its token: a number that is given out again is another's."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from msgspec.structs import replace

from sereno.model.errors import RunSuperseded
from sereno.model.ledger import Claim
from sereno.model.run import LogLine
from sereno.store import ledger, runs

from .run_scene import NOW, claimed, fence, outcome, said, taken, told, write
from .scene import NODE, Scene, connected, declared_job, named, opened, settlement, slots_after

LINE = (LogLine(at=NOW, level="INFO", logger="x", message="of the lost one"),)


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        await found.declare("a", declared_job("down", after="a"), named("a"))
        yield found


async def again(scene: Scene) -> tuple[Claim, Claim]:
    """Return a claim that the database has lost, and the one to which it has given the same number,
    attempt and node since."""
    lost = await claimed(scene, n=1)
    await scene.eye.execute("DELETE FROM sereno.run WHERE id = $1", lost.run_id)
    await scene.eye.execute(f"ALTER SEQUENCE sereno.run_id_seq RESTART WITH {lost.run_id}")
    found = await claimed(scene, n=2)
    assert (found.run_id, found.attempt) == (lost.run_id, lost.attempt)
    assert found.token != lost.token
    return lost, found


async def test_an_outcome_never_ends_another_run_that_has_its_number(scene: Scene) -> None:
    lost, found = await again(scene)
    late = outcome(lost, result=b'"of the lost one"', lines=LINE, words=said(lost, done=1.0))
    assert await write(scene, late, chains={"a": [("down", ("a",))]}) == set()
    assert await scene.state(found.run_id) == "running"
    for table in ("run_log", "run_progress", "attempt"):
        assert await scene.rows(f"SELECT * FROM sereno.{table}") == []
    assert await scene.value("SELECT count(*) FROM sereno.run WHERE job = 'down'") == 0


async def test_of_two_with_one_number_written_at_once_each_has_its_own(scene: Scene) -> None:
    lost, found = await again(scene)
    other = LogLine(at=NOW, level="INFO", logger="x", message="its own")
    late = outcome(lost, "failed", error="no", lines=LINE, first_line=7)
    good = outcome(found, result=b"2", lines=(other,))
    for group in ((late, good), (good, late)):
        written = await runs.write_outcomes(scene.db, NODE, group, {})
        assert written.ours == {found.token}
    rows = "SELECT state, result::text, error FROM sereno.run"
    assert await scene.rows(rows) == [("succeeded", "2", None)]
    assert await scene.rows("SELECT message FROM sereno.run_log") == [("its own",)]


async def test_words_of_the_one_are_not_kept_with_the_other(scene: Scene) -> None:
    lost, found = await again(scene)
    await runs.write_progress(scene.db, NODE, [said(lost, done=9.0, checkpoint=b"9")])
    await runs.write_lines(scene.db, NODE, [told(lost, LINE)])
    assert await scene.rows("SELECT * FROM sereno.run_progress") == []
    assert await scene.rows("SELECT * FROM sereno.run_log") == []
    await runs.write_progress(scene.db, NODE, [said(lost, done=9.0), said(found, done=2.0)])
    assert await scene.rows("SELECT done FROM sereno.run_progress") == [(2.0,)]


async def test_a_fence_of_the_one_fails_and_the_other_s_holds(scene: Scene, database: str) -> None:
    lost, found = await again(scene)
    async with connected(database) as job, job.transaction():
        with pytest.raises(RunSuperseded, match="the database has lost its claim"):
            await fence(job, lost)
        await fence(job, found)


async def test_a_loss_of_the_one_leaves_the_other_alone(scene: Scene) -> None:
    lost, found = await again(scene)
    wanted = [taken(lost, again=False)]
    assert await runs.lose(scene.db, scene.term, NODE, wanted, "gone") == []
    assert await scene.state(found.run_id) == "running"


async def test_a_wish_to_stop_reaches_the_attempt_that_has_the_number_now(scene: Scene) -> None:
    _, found = await again(scene)
    await runs.request_cancel(scene.db, found.run_id, "ann")
    assert [r["token"] for r in await runs.cancel_requests(scene.db, NODE)] == [found.token]


async def test_each_attempt_has_a_token_of_its_own_and_keeps_it(scene: Scene) -> None:
    first = await claimed(scene)
    await write(scene, outcome(first, "queued", retry_at=NOW))
    (second,) = await runs.claim(scene.db, scene.term, NODE, [first.run_id])
    assert second.token != first.token
    kept = "SELECT attempt, token FROM sereno.attempt"
    assert await scene.rows(kept) == [(1, first.token)]
    await runs.lose(scene.db, scene.term, NODE, [taken(second, again=True)], "gone")
    assert await scene.rows(kept + " ORDER BY 1") == [(1, first.token), (2, second.token)]
    await scene.enqueue("a")
    third = await runs.claim_first(scene.db, scene.term, NODE, ["a"], [])
    assert third is not None
    assert len({first.token, second.token, third[1].token}) == 3


async def test_runs_that_start_with_their_settlement_have_theirs_and_those_that_wait_none(
    scene: Scene,
) -> None:
    entry = await scene.entry("a")
    first, second = slots_after(entry, 2)
    both = settlement(entry, (first, "ran"), (second, "ran"))
    both = replace(both, runs=(both.runs[0], replace(both.runs[1], start=False)))
    _, made = await ledger.settle(scene.db, scene.term, NODE, [both])
    starting, waiting = made[entry.schedule_id, first][:2], made[entry.schedule_id, second][:2]
    assert waiting[1] is None
    kept = "SELECT id, token FROM sereno.run ORDER BY slot"
    assert await scene.rows(kept) == [starting, waiting]


async def test_a_replica_that_knows_no_tokens_loses_its_runs_too(scene: Scene) -> None:
    claim = await claimed(scene)
    await scene.eye.execute("UPDATE sereno.run SET token = NULL")
    unknown = replace(claim, token=uuid4())
    assert await runs.lose(scene.db, scene.term, NODE, [taken(unknown, again=True)], "gone") == []
    none = (claim.run_id, claim.attempt, None, True)
    (row,) = await runs.lose(scene.db, scene.term, NODE, [none], "gone")
    assert row["state"] == "queued"


async def test_an_attempt_that_is_tried_again_is_kept_as_what_it_became(scene: Scene) -> None:
    claim = await claimed(scene)
    await write(scene, outcome(claim, "queued", retry_at=NOW, became="timed_out"))
    assert await scene.rows("SELECT state FROM sereno.attempt") == [("timed_out",)]
    assert await scene.value("SELECT losses FROM sereno.run") == 0
