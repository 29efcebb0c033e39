"""Every statement that writes says here who may: a deposed leader or owner writes nothing."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from sereno.model.errors import LeaseLostError
from sereno.store import runs, schedules
from sereno.store.sql import blocks

from .scene import NODE, OTHER, Scene, named, opened

FENCED_BY = {
    # The statement takes the term's row itself, FOR KEY SHARE.
    "the term": (
        "settle runs_claim queue_claim_first runs_expire runs_lose drift_keep runs_doubtful"
        " timeline_settled runs_hand_over runs_hand_back parts_make parts_end wholes_end"
    ),
    # Its transaction has taken the term's row before, or is a person's, who needs no term.
    "the transaction's term, or a person": (
        "catalogue_record jobs_register job_stats_create jobs_absent chains_forget schedules_create"
        " calendar_declare calendar_undeclare"
        " schedule_change schedule_forget drift_wake drift_record cancel_request"
        " bulk_cancel bulk_retry bulk_move backfill_queue backfill_move"
        " chain_stop fan_outs_stop fan_out_retry fan_out_resume fan_outs_move"
    ),
    # The leader's own session, which has to hold the lock, and names the term.
    "the lock": "term_begin leader_beat leader_hand_over",
    # A transaction that holds the leader's lock, where no replica is there.
    "the lock, of a new cluster": (
        "cluster_nodes_forget cluster_history_differ cluster_history_mend cluster_orders_end"
        " cluster_runs_end cluster_record"
    ),
    # The run's owner, by node and token, which no two attempts share.
    # Below: rows that such a statement has returned.
    "the owner": "outcomes_write progress_write lines_write warnings_write",
    "the attempt's token": "straggler_note straggler_forget stalls_note stalls_over",
    # A number that the node was given a moment ago; the first answer counts.
    "the request": "node_request_answer",
    # message_write: by node, attempt and token itself, where it is not in that transaction.
    "the owner's transaction": (
        "message_write chain_single chain_arrive chain_complete trace_keep parts_begun"
    ),
    # A node's own row, and its name in those of runs that it has not begun; messages that one node
    # has locked.
    "the node": "node_join node_seen node_leave node_offer node_withdraw node_order_refuse",
    "the claim": "messages_keep",
    # One process at a time makes tables.
    "the migrations' lock": (
        "plugin_migration_record plugin_schema_list plugin_schema_fault plugin_schema_mended"
        " plugin_schema_forget own_list_add"
    ),
    # Whoever asks or sees first; a key that is unique keeps it from being written twice, and what
    # is cleared away is of nodes that are gone.
    "nothing: anybody may": (
        "leadership_mend enqueue enqueue_within enqueue_many_within enqueue_as_role"
        " request_within request_many_within"
        " enqueue_tagged_within enqueue_many_tagged_within enqueue_tagged_as_role"
        " enqueue_alone_within enqueue_at_within enqueue_alone_at_within"
        " run_repeat runs_replay schedule_told migration_record"
        " calendar_put calendar_undo calendar_delete calendar_told blackout_make blackout_end"
        " overdue_mark overdue_unmark"
        " message_prune straggler_clear node_request_make bulk_make bulk_stop"
        " node_order_make maintenance_begin maintenance_end"
        " backfill_make backfill_stop"
    ),
}
WRITES = re.compile(
    r"\b(INSERT INTO|UPDATE sereno|DELETE FROM|sereno\.(enqueue|request)(_many)?)\b"
)


def test_every_statement_that_writes_is_listed_with_its_fence() -> None:
    bare = {name: re.sub(r"--.*", "", text) for name, text in blocks().items()}
    writing = {name for name, text in bare.items() if WRITES.search(text)}
    listed = [name for names in FENCED_BY.values() for name in names.split()]
    assert sorted(listed) == sorted(writing)
    for name in FENCED_BY["the term"].split():
        assert "sereno.leadership WHERE term = $1 FOR KEY SHARE" in bare[name], name
    for name in FENCED_BY["the owner"].split():
        assert re.search(r"r\.node = \$1", bare[name]), name
        assert re.search(r"r\.token = [uo]\.token", bare[name]), name
    for name in FENCED_BY["the lock"].split():
        assert "term = " in bare[name], name


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        await found.declare("a")
        yield found


async def test_a_deposed_leader_cancels_nothing(scene: Scene) -> None:
    waiting, under_way = await scene.enqueue("a"), await scene.enqueue("a")
    await runs.claim(scene.db, scene.term, NODE, [under_way])
    old = scene.term
    await scene.begin_term(OTHER)
    with pytest.raises(LeaseLostError, match=f"term {old} is over"):
        await runs.cancel(scene.db, old, [waiting, under_way], "its next slot")
    assert await scene.state(waiting) == "queued"
    assert await scene.value("SELECT count(*) FROM sereno.cancel_request") == 0


async def test_a_deposed_leader_ends_no_pause(scene: Scene) -> None:
    await scene.declare("a", named("a"))
    now = await scene.value("SELECT clock_timestamp()")
    await schedules.pause(scene.db, "a", by="x", until=now + timedelta(hours=1))
    await scene.eye.execute("UPDATE sereno.schedule SET paused_until = clock_timestamp()")
    old = scene.term
    await scene.begin_term(OTHER)
    with pytest.raises(LeaseLostError, match=f"term {old} is over"):
        await schedules.end_pause(scene.db, old, "a")
    assert await scene.value("SELECT state FROM sereno.schedule") == "paused"
    await schedules.end_pause(scene.db, scene.term, "a")
    assert await scene.value("SELECT state FROM sereno.schedule") == "active"
