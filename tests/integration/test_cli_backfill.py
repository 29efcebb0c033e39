"""Slots of the past are run from the command line: seen, confirmed, followed, stopped."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ..servers.waiting import wait_until
from .cli_scene import Scene, scene

__all__ = ["scene"]

SPAN = ("backfill", "etl.sync", "--since", "2026-02-01T00:00Z", "--until", "2026-02-01T05:00Z")
DONE = "UPDATE sereno.backfill SET state = 'done', queued = 4, succeeded = 4, finished_at = now()"
FAILED = DONE.replace("succeeded = 4", "succeeded = 3, failed = 1")


@pytest.fixture
def filling(scene: Scene) -> Scene:
    """An hourly schedule with one slot that ran, one that was missed and a range of others."""
    scene.job()
    schedule = scene.schedule(since="2026-01-01T00:00:00Z")
    run = scene.run(state="succeeded")
    scene.slot(schedule, "2026-02-01T01:00:00Z", "ran", run=run)
    scene.slot(schedule, "2026-02-01T02:00:00Z", "missed", "its job is not declared any more")
    scene.sql(
        "INSERT INTO sereno.slot_range (schedule_id, first_slot, last_slot, slots, verdict, term)"
        " VALUES (%s, '2026-02-01T03:00Z', '2026-02-01T12:00Z', 10, 'skipped', 1)",
        schedule,
    )
    return scene


@contextmanager
def followed(scene: Scene, statement: str) -> Iterator[None]:
    """Do `statement` once a back-fill is there, beside the test, as a leader would."""

    def work() -> None:
        wait_until(lambda: bool(scene.sql("SELECT 1 FROM sereno.backfill")), "a back-fill")
        scene.sql(statement)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        worker.join()


def test_slots_are_filled_after_a_preview_and_followed_to_the_end(filling: Scene) -> None:
    with followed(filling, DONE):
        result = filling.call(*SPAN, "--reason", "anew", "--parallel", "3", "--yes")
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines()[0] == (
        "this will run 4 slots of 'etl.sync', 2026-02-01T00:00:00Z to 2026-02-01T04:00:00Z:"
        " 1 never due, 1 missed, 2 skipped; left out: 1 ran"
    )
    assert result.stdout == "back-fill 1: 4 of 4 runs succeeded\n"
    kept = filling.sql("SELECT schedule, parallel, reason, expected, again FROM sereno.backfill")
    assert kept == [("etl.sync", 3, "anew", 4, False)]
    trail = filling.json("audit", "--subject", "etl.sync")
    assert trail[0]["action"] == "backfill"
    assert trail[0]["after"]["slots"] == 4


def test_without_a_terminal_nothing_begins_until_it_is_confirmed(filling: Scene) -> None:
    result = filling.call(*SPAN)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "this would run 4 slots of 'etl.sync', 2026-02-01T00:00:00Z" in result.stderr
    assert "say --yes to do it, nothing was done" in result.stderr
    assert filling.sql("SELECT count(*) FROM sereno.backfill") == [(0,)]


def test_where_not_all_succeeded_it_says_so_and_exits_with_1(filling: Scene) -> None:
    with followed(filling, FAILED):
        result = filling.call(*SPAN, "--yes")
    assert result.exit_code == 1
    assert "back-fill 1: 1 did not; `sereno runs etl.sync --cause backfill" in result.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--since", "2026-02-01T00:00Z", "--until", "+2d"), "is in the future"),
        (("--since", "+1d"), "is not before until"),
        (("--since", "last week"), "instant 'last week': it cannot be read"),
        (("--since", "2026-02-01T00:00Z", "--missed-only", "--again"), "exclude one another"),
        (("--since", "0001-02-01T00:00Z", "--yes"), "run more than 10,000 slots of"),
        (("--since", "2026-02-01T00:00Z", "--parallel", "0"), "0 is not in the range"),
        ((), "missing option '--since'"),
    ],
)
def test_what_cannot_be_is_refused(filling: Scene, args: tuple[str, ...], words: str) -> None:
    result = filling.call("backfill", "etl.sync", *args)
    assert result.exit_code in (1, 2)
    assert words in result.stderr
    assert filling.sql("SELECT count(*) FROM sereno.backfill") == [(0,)]


def test_where_nothing_is_left_it_says_why(filling: Scene) -> None:
    result = filling.call(
        "backfill", "etl.sync", "--since", "2026-02-01T01:00Z", "--until", "2026-02-01T02:00Z"
    )
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == (
        "nothing is to be done: this would run 0 slots of 'etl.sync'; left out: 1 ran\n"
    )


def test_back_fills_are_listed_and_one_is_stopped_once(filling: Scene) -> None:
    assert "there is no back-fill" in filling.call("backfills").output
    filling.sql(
        "INSERT INTO sereno.backfill (schedule_id, schedule, job, span_start, span_end,"
        " requested_by, expected, place, reason) SELECT id, name, job, '2026-02-01', '2026-02-02',"
        " 'ana', 24, '2026-02-01', 'anew' FROM sereno.schedule"
    )
    (listed,) = filling.json("backfills")
    assert (listed["id"], listed["state"], listed["expected"]) == (1, "queued", 24)
    assert "etl.sync" in filling.call("backfills").stdout
    result = filling.call("backfills", "--cancel", "1")
    assert (result.exit_code, result.stdout) == (
        0,
        "back-fill 1 is cancelled; it had queued 0 runs\n",
    )
    again = filling.call("backfills", "--cancel", "1")
    assert (again.exit_code, again.stderr) == (
        1,
        "sereno: back-fill 1 is over already: cancelled\n",
    )
    assert filling.call("backfills", "--cancel", "7").exit_code == 2


def test_a_filled_slot_is_told_with_its_verdict_and_one_that_was_never_due_alone(
    filling: Scene,
) -> None:
    run = filling.run(state="succeeded", cause="backfill", slot="2026-02-01T02:00Z", backfill=3)
    for at in ("2026-02-01T02:00Z", "2025-12-01T02:00Z"):
        filling.sql(
            "INSERT INTO sereno.backfilled (schedule_id, slot, run_id, backfill_id)"
            " SELECT id, %s, %s, 3 FROM sereno.schedule",
            at,
            run,
        )
    told = filling.call("show", "etl.sync", "--at", "2026-02-01T02:00Z").stdout
    words = " ".join(told.split())
    assert "was missed: its job is not declared any more." in words
    assert "was filled later, by back-fill 3, at" in words
    assert f"run {run}" in words
    never = " ".join(filling.call("show", "etl.sync", "--at", "2025-12-01T02:00Z").stdout.split())
    assert "had no schedule at" in never
    assert "was filled later, by back-fill 3" in never
    assert "back-fill" in filling.call("show", str(run)).stdout
    (listed,) = filling.json("runs", "--cause", "backfill")
    assert listed["run"] == run
