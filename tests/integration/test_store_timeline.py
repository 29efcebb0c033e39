"""A leader hears that the database went back to an older state; no number is given out again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from sereno.model.errors import LeaseLostError
from sereno.observe.job_watch import JobWatch
from sereno.store import nodes, timeline
from sereno.store.nodes import NodeFacts
from sereno.store.session import NodeIdentity, NodeSession
from sereno.store.timeline import Entered

from .scene import Scene, connected, declared_job, opened

pytestmark = pytest.mark.every_postgres

NODE = NodeIdentity(UUID(int=1), 1)
FAR = 1_000_000_000
TERMS = 1_000_000
CHANGES = {
    "system": "UPDATE sereno.timeline SET system = 'of another cluster'",
    "database": "UPDATE sereno.timeline SET database = 7",
    "a promotion": "UPDATE sereno.timeline SET timeline = 0",
    "a return": "UPDATE sereno.timeline SET timeline = 99",
}


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        yield found


@asynccontextmanager
async def leading(dsn: str) -> AsyncIterator[NodeSession]:
    """Give a session that holds the leader's lock."""
    session = NodeSession(dsn, lease=60.0, timeout=20.0, application="sereno test")
    await session.open(lambda word: None, lambda: None)
    try:
        while not (await session.try_lead())[0]:
            pass
        yield session
    finally:
        session.terminate()


async def take_the_lead(scene: Scene, remembered: int = 0, dsn: str = "") -> Entered:
    """Begin a term as a new leader does, and end it; return what it found."""
    async with leading(dsn or scene.db.dsn) as session:
        found = await session.enter_timeline(NODE, remembered, scene.db)
        scene.term = await session.begin_term(NODE, scene.db)
        await session.hand_over(scene.term, "handed over")
    return found


async def test_the_first_leader_notes_the_history_and_numbers_begin_at_one(scene: Scene) -> None:
    found = await take_the_lead(scene)
    assert (found.changed, found.numbers, scene.term) == (False, {}, 1)
    assert found.timeline.doubtful_until is None
    await scene.declare("a")
    assert await scene.enqueue("a") == 1
    assert not (await take_the_lead(scene)).changed
    assert await scene.value("SELECT count(*) FROM sereno.timeline") == 1
    assert await scene.value("SELECT timeline > 0 AND system <> '' FROM sereno.timeline")


@pytest.mark.parametrize("what", CHANGES)
async def test_on_another_history_terms_and_numbers_go_far_ahead_once(
    scene: Scene, what: str
) -> None:
    await take_the_lead(scene)
    await scene.declare("a")
    assert await scene.enqueue("a") == 1
    await scene.eye.execute(CHANGES[what])
    found = await take_the_lead(scene)
    assert found.changed
    assert scene.term == TERMS + 2
    assert found.timeline.term == TERMS + 1
    assert found.numbers["run.id"] == FAR + 1
    assert await scene.enqueue("a") == FAR + 2
    assert found.timeline.doubtful_until is not None
    assert not (await take_the_lead(scene)).changed
    assert scene.term == TERMS + 3
    assert await scene.enqueue("a") == FAR + 3


async def test_every_column_that_counts_goes_ahead(scene: Scene) -> None:
    await take_the_lead(scene)
    await scene.eye.execute(CHANGES["a return"])
    counted = await scene.rows(
        "SELECT table_name || '.' || column_name FROM information_schema.columns"
        " WHERE table_schema = 'sereno' AND (is_identity = 'YES' OR column_default LIKE 'nextval%')"
    )
    assert set((await take_the_lead(scene)).numbers) == {name for (name,) in counted}


async def test_who_knows_of_a_newer_term_than_the_database_hears_of_it(scene: Scene) -> None:
    await take_the_lead(scene)
    found = await take_the_lead(scene, remembered=41)
    assert found.changed
    assert scene.term == 41 + TERMS + 1


async def test_terms_are_never_behind_those_that_have_begun(scene: Scene) -> None:
    await take_the_lead(scene)
    await scene.eye.execute("UPDATE sereno.term SET term = 9")
    assert not (await take_the_lead(scene)).changed
    assert scene.term == 10


async def test_numbers_do_not_run_out_however_often_the_history_changes(scene: Scene) -> None:
    async with leading(scene.db.dsn) as session:
        for _ in range(150):
            await scene.eye.execute("UPDATE sereno.timeline SET timeline = 99")
            found = await session.enter_timeline(NODE, 0, scene.db)
    assert found.numbers["run.id"] == 149 * FAR  # the first time there was none before
    facts = NodeFacts(UUID(int=5), "x", 1, "1", None, 1)
    assert 2**30 < (await nodes.join(scene.db, facts)).key < 2**31
    assert (await nodes.join(scene.db, NodeFacts(UUID(int=6), "x", 1, "1", None, 1))).key < 2**31


async def test_sequences_behind_their_rows_are_set_right_and_told(scene: Scene) -> None:
    await take_the_lead(scene)
    await scene.declare("a")
    for _ in range(5):
        await scene.enqueue("a")
    await scene.eye.execute("SELECT setval('sereno.run_id_seq', 1, false)")
    await scene.eye.execute(
        "INSERT INTO sereno.change (id, by, subject, action) OVERRIDING SYSTEM VALUE"
        " VALUES (70, 'x', 'x', 'x')"
    )
    found = await take_the_lead(scene)
    assert (found.changed, found.numbers) == (False, {"run.id": 5, "change.id": 70})
    assert await scene.enqueue("a") == 6
    assert (await take_the_lead(scene)).numbers == {}


async def test_who_lacks_the_lock_changes_nothing(scene: Scene) -> None:
    await take_the_lead(scene)
    await scene.eye.execute(CHANGES["system"])
    session = NodeSession(scene.db.dsn, lease=60.0, timeout=20.0, application="sereno test")
    await session.open(lambda word: None, lambda: None)
    with pytest.raises(LeaseLostError):
        await session.enter_timeline(NODE, 0, scene.db)
    assert not session.alive
    assert await scene.value("SELECT term FROM sereno.leadership") == 1
    assert await scene.value("SELECT count(*) FROM sereno.timeline") == 1


async def test_a_new_history_waits_for_writers_of_the_old_term_or_ends_them(scene: Scene) -> None:
    await take_the_lead(scene)
    await scene.eye.execute(CHANGES["system"])
    async with connected(scene.db.dsn) as writer:
        transaction = writer.transaction()
        await transaction.start()
        await writer.execute("SELECT 1 FROM sereno.leadership WHERE term = 1 FOR KEY SHARE")
        assert (await take_the_lead(scene)).changed
        with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError)):
            await writer.execute("SELECT 1")


@pytest.fixture
async def humble(scene: Scene) -> AsyncIterator[str]:
    """Give the DSN of a role that owns the schema, and may not look into the server."""
    name = scene.db.dsn.rpartition("/")[2]
    tables = await scene.rows(
        "SELECT format('ALTER TABLE %s OWNER TO humble', oid::regclass) FROM pg_class"
        " WHERE relnamespace = 'sereno'::regnamespace AND relkind = 'r'"
    )
    hidden = ("pg_control_system()", "pg_walfile_name(pg_lsn)", "pg_current_wal_lsn()")
    await scene.eye.execute("CREATE ROLE humble LOGIN")
    try:
        await scene.eye.execute("GRANT USAGE ON SCHEMA sereno TO humble")
        for (alter,) in tables:
            await scene.eye.execute(alter)
        for function in hidden:
            await scene.eye.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")
        yield scene.db.dsn.replace("postgres@", "humble@")
    finally:
        for function in hidden:
            await scene.eye.execute(f"GRANT EXECUTE ON FUNCTION {function} TO PUBLIC")
        await scene.eye.execute("REASSIGN OWNED BY humble TO postgres")
        await scene.eye.execute("DROP OWNED BY humble")
        await scene.eye.execute("DROP ROLE humble")
        assert name


async def test_a_role_that_may_not_read_the_history_leads_and_learns_it_later(
    scene: Scene, humble: str
) -> None:
    found = await take_the_lead(scene, dsn=humble)
    assert (found.timeline.system, found.timeline.timeline, found.changed) == (None, None, False)
    found = await take_the_lead(scene)
    assert found.timeline.system is not None
    assert found.timeline.timeline is not None
    assert not found.changed
    found = await take_the_lead(scene, dsn=humble)
    assert (found.changed, scene.term) == (False, 3)


async def doubtful(scene: Scene, limit: int = 1000) -> tuple[set[int], int]:
    """Change the history, and end what may have run: return whose runs, and how many are left."""
    await scene.eye.execute("UPDATE sereno.timeline SET system = 'of another cluster'")
    found = (await take_the_lead(scene)).timeline
    gone, left = await timeline.lose_doubtful(scene.db, scene.term, found, limit)
    return {row["id"] for row in gone}, left


async def declared(scene: Scene) -> None:
    await take_the_lead(scene)
    await scene.declare(declared_job("once", on_lost="fail"), declared_job("again"))


async def test_what_must_not_run_twice_and_was_due_is_lost_and_the_rest_waits(
    scene: Scene,
) -> None:
    await declared(scene)
    once, again = await scene.enqueue("once"), await scene.enqueue("again")
    overridden = await scene.value(
        "INSERT INTO sereno.run (job, cause, policies)"
        " VALUES ('again', 'program', '{\"on_lost\": \"fail\"}') RETURNING id"
    )
    allowed = await scene.value(
        "INSERT INTO sereno.run (job, cause, policies)"
        " VALUES ('once', 'program', '{\"on_lost\": \"retry\"}') RETURNING id"
    )
    later = await scene.value(
        "SELECT sereno.enqueue('once', run_at => clock_timestamp() + interval '1 h')"
    )
    unknown = await scene.value(
        "INSERT INTO sereno.run (job, cause) VALUES ('no.longer', 'program') RETURNING id"
    )
    assert await doubtful(scene) == ({once, overridden}, 0)
    for run in (again, allowed, later, unknown):
        assert await scene.state(run) == "queued"
    error = await scene.value("SELECT error FROM sereno.run WHERE id = $1", once)
    assert error.startswith("it may have run: ")
    counted = "SELECT job, lost, last_run FROM sereno.job_stat ORDER BY job"
    assert await scene.rows(counted) == [("again", 1, overridden), ("once", 1, once)]
    assert await scene.value("SELECT settled_at IS NOT NULL FROM sereno.timeline WHERE id > 1")


async def test_many_are_lost_in_batches_and_one_that_is_held_is_waited_for(scene: Scene) -> None:
    await declared(scene)
    runs = {await scene.enqueue("once") for _ in range(5)}
    async with connected(scene.db.dsn) as holder, holder.transaction():
        held = max(runs)
        await holder.execute("SELECT 1 FROM sereno.run WHERE id = $1 FOR UPDATE", held)
        first, left = await doubtful(scene, limit=3)
        assert (len(first), left) == (3, 2)
        settled = "SELECT settled_at FROM sereno.timeline ORDER BY id DESC LIMIT 1"
        found = (await take_the_lead(scene)).timeline
        second, left = await timeline.lose_doubtful(scene.db, scene.term, found, 3)
        assert (len(second), left) == (1, 1)
        assert await scene.value(settled) is None
    last, left = await timeline.lose_doubtful(scene.db, scene.term, found, 3)
    assert [row["id"] for row in last] == [held]
    assert await scene.value(settled) is not None


async def test_what_was_queued_after_the_last_commit_from_before_is_no_doubt(scene: Scene) -> None:
    await declared(scene)
    before = await scene.enqueue("once")
    await scene.eye.execute("UPDATE sereno.run SET queued_at = queued_at - interval '1 h'")
    after = await scene.enqueue("once")
    await scene.eye.execute("UPDATE sereno.timeline SET timeline = 0")
    found = (await take_the_lead(scene)).timeline
    assert found.known_until is None  # this server never followed another
    now = await scene.value("SELECT clock_timestamp()")
    known: Any = found.__class__(
        **{f: getattr(found, f) for f in found.__struct_fields__ if f != "known_until"},
        known_until=now - timedelta(minutes=5),
    )
    gone, left = await timeline.lose_doubtful(scene.db, scene.term, known, 10)
    assert ([row["id"] for row in gone], left) == ([before], 0)
    assert await scene.state(after) == "queued"


async def test_a_deposed_leader_loses_no_run(scene: Scene) -> None:
    await declared(scene)
    run = await scene.enqueue("once")
    await scene.eye.execute("UPDATE sereno.timeline SET timeline = 0")
    found = (await take_the_lead(scene)).timeline
    old = scene.term
    await take_the_lead(scene)
    with pytest.raises(LeaseLostError):
        await timeline.lose_doubtful(scene.db, old, found, 10)
    assert await scene.state(run) == "queued"


def facts(number: int) -> NodeFacts:
    return NodeFacts(UUID(int=number), f"n{number}", number, "1", None, 1)


async def test_a_node_whose_row_is_forgotten_and_whose_key_is_taken_has_another(
    scene: Scene,
) -> None:
    key = (await nodes.join(scene.db, facts(1))).key
    await scene.eye.execute("DELETE FROM sereno.node")  # as a lost commit does
    await scene.eye.execute("SELECT setval('sereno.node_key_seq', $1, false)", key)
    assert (await nodes.join(scene.db, facts(2))).key == key
    other = (await nodes.join(scene.db, facts(1), key)).key
    assert other != key
    assert (await nodes.join(scene.db, facts(1), other)).key == other
    assert (await nodes.join(scene.db, facts(2), key)).key == key


async def test_a_node_whose_row_is_forgotten_has_the_same_key_where_it_is_free(
    scene: Scene,
) -> None:
    key = (await nodes.join(scene.db, facts(1))).key
    await scene.eye.execute("DELETE FROM sereno.node")
    assert (await nodes.join(scene.db, facts(1), key)).key == key
    assert (await nodes.join(scene.db, facts(2))).key != key


async def test_a_node_joins_though_its_sequence_is_far_behind(scene: Scene) -> None:
    await scene.eye.execute(
        "INSERT INTO sereno.node (id, label, pid, version, key) OVERRIDING SYSTEM VALUE"
        " SELECT gen_random_uuid(), 'x', 1, '1', n FROM generate_series(1, 5000) AS n"
    )
    assert (await nodes.join(scene.db, facts(1))).key == 5001


async def test_monitors_are_told_of_a_changed_history_and_not_of_the_first(scene: Scene) -> None:
    await take_the_lead(scene)
    first = (await JobWatch(scene.db).poll()).snapshot
    await scene.eye.execute(CHANGES["a promotion"])
    changed = (await take_the_lead(scene)).timeline

    second = (await JobWatch(scene.db).poll()).snapshot

    assert first is not None
    assert second is not None
    assert first.history_at is None
    assert second.history_at == changed.seen_at
