"""The session's locks are a lease: what ends the session ends the lead, and nobody has it twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from sereno.model.errors import LeaseLostError, StoreUnavailableError
from sereno.store.keys import LOCK_CLASS
from sereno.store.pool import Database
from sereno.store.session import NodeIdentity, NodeSession
from sereno.store.sql import sql
from sereno.testing import Signals

from .scene import Scene, opened

FIRST, SECOND = NodeIdentity(UUID(int=1), 1), NodeIdentity(UUID(int=2), 2)


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        for node in (FIRST, SECOND):
            await found.eye.execute(
                "INSERT INTO sereno.node (id, label, pid, version) VALUES ($1, 'x', 1, '1')",
                node.id,
            )
        yield found


@asynccontextmanager
async def session(
    scene: Scene, heard: Signals | None = None, lease: float = 60.0
) -> AsyncIterator[NodeSession]:
    found = NodeSession(scene.db.dsn, lease=lease, timeout=20.0, application="sereno test")
    said = heard or Signals()
    await found.open(lambda word: said.say("notified", word=word), lambda: said.say("lost"))
    try:
        yield found
    finally:
        found.terminate()


BACKENDS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sereno test'"


async def gone(scene: Scene) -> None:
    """Return once no session of this test is connected any more."""
    async with asyncio.timeout(30):
        while await scene.value(BACKENDS):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.005)


async def test_one_session_leads_and_the_next_only_when_that_has_ended(scene: Scene) -> None:
    async with session(scene) as first, session(scene) as second:
        assert (await first.try_lead())[0]
        assert not (await second.try_lead())[0]
        first.terminate()
        async with asyncio.timeout(30):
            while not (await second.try_lead())[0]:
                pass


async def test_terms_only_grow_and_the_last_one_is_told_how_it_ended(scene: Scene) -> None:
    async with session(scene) as first:
        await first.try_lead()
        assert await first.begin_term(FIRST, scene.db) == 1
    await gone(scene)
    async with session(scene) as second:
        await second.try_lead()
        assert await second.begin_term(SECOND, scene.db) == 2
        await second.hand_over(2, "handed over")
    rows = "SELECT term, node, reason, ended_at IS NOT NULL FROM sereno.term ORDER BY term"
    assert await scene.rows(rows) == [
        (1, FIRST.id, "lost", True),
        (2, SECOND.id, "handed over", True),
    ]


async def test_a_row_of_the_leadership_that_somebody_deleted_is_put_back_with_its_term(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    async with session(scene) as first:
        await first.try_lead()
        assert await first.begin_term(FIRST, scene.db) == 1
        await scene.eye.execute("DELETE FROM sereno.leadership")
        with pytest.raises(LeaseLostError):
            await first.beat(FIRST, 1)
    await gone(scene)
    async with session(scene) as second:
        with pytest.raises(LeaseLostError):
            await second.begin_term(SECOND, scene.db)
        assert await scene.value("SELECT count(*) FROM sereno.leadership") == 0
    async with session(scene) as third:
        await third.try_lead()
        assert await third.begin_term(SECOND, scene.db) == 2
    assert "the row of sereno.leadership was gone" in caplog.text


async def test_who_lacks_the_lock_begins_no_term(scene: Scene) -> None:
    async with session(scene) as found:
        with pytest.raises(LeaseLostError, match="gone before the term began"):
            await found.begin_term(FIRST, scene.db)
        assert not found.alive
    assert await scene.value("SELECT term FROM sereno.leadership") == 0


async def test_a_heartbeat_proves_the_lock_and_the_term(scene: Scene) -> None:
    async with session(scene) as found:
        await found.try_lead()
        term = await found.begin_term(FIRST, scene.db)
        before = await scene.value("SELECT beat_at FROM sereno.leadership")
        assert await found.beat(FIRST, term) > before
        assert await scene.value("SELECT beat_at FROM sereno.leadership") > before
        await scene.begin_term(SECOND.id)
        with pytest.raises(LeaseLostError, match=f"no longer holds .* of term {term}"):
            await found.beat(FIRST, term)
        assert not found.alive


async def test_a_lock_that_was_let_go_is_noticed_by_the_next_heartbeat(scene: Scene) -> None:
    async with session(scene) as found:
        await found.try_lead()
        term = await found.begin_term(FIRST, scene.db)
        assert found._connection is not None
        await found._connection.execute("SELECT pg_advisory_unlock_all()")
        with pytest.raises(LeaseLostError):
            await found.beat(FIRST, term)


async def test_a_session_that_the_server_ends_tells_so_and_is_not_alive(scene: Scene) -> None:
    heard = Signals()
    async with session(scene, heard) as found:
        await found.try_lead()
        await scene.eye.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'sereno test'"
        )
        await heard.wait("lost")
        assert not found.alive
        with pytest.raises(StoreUnavailableError):
            await found.try_lead()


async def test_a_silent_session_is_ended_by_the_server_after_its_lease(scene: Scene) -> None:
    """As when the process is frozen: its kernel still answers the network's probes."""
    heard = Signals()
    async with session(scene, heard, lease=2.0) as found:
        assert (await found.try_lead())[0]
        await heard.wait("lost", limit=30)
        async with session(scene) as other:
            assert (await other.try_lead())[0]


async def test_a_session_that_speaks_keeps_its_lease(scene: Scene) -> None:
    async with session(scene, lease=2.0) as found:
        await found.try_lead()
        began = await found.watch()
        while ((now := await found.watch()) - began).total_seconds() < 3.0:
            assert now > began
        assert found.alive


async def test_a_call_without_an_answer_ends_the_session(scene: Scene) -> None:
    """Its lock may have been granted unseen: it may not stay."""
    async with session(scene) as found:
        await found.try_lead()
        term = await found.begin_term(FIRST, scene.db)
        assert found._connection is not None
        await found._connection.execute("SET lock_timeout = 0")
        found._timeout = 1.0
        async with scene.eye.transaction():
            await scene.eye.execute("LOCK TABLE sereno.leadership")
            with pytest.raises(StoreUnavailableError, match="no answer within the time limit"):
                await found.beat(FIRST, term)
        assert not found.alive
        await gone(scene)


@pytest.mark.parametrize(
    "locks", ["SELECT 1 FROM sereno.leadership FOR UPDATE", "LOCK TABLE sereno.leadership"]
)
async def test_a_stranger_who_locks_the_term_s_row_costs_no_lead_and_saves_none(
    scene: Scene, locks: str
) -> None:
    async with session(scene) as found:
        await found.try_lead()
        term = await found.begin_term(FIRST, scene.db)
        assert found._connection is not None
        await found._connection.execute("SET lock_timeout = '500 ms'")
        async with scene.eye.transaction():
            await scene.eye.execute(locks)
            first = await found.beat(FIRST, term)
            assert await found.beat(FIRST, term) > first
            await found._connection.execute("SELECT pg_advisory_unlock_all()")
            with pytest.raises(LeaseLostError, match="no longer holds the leader's lock"):
                await found.beat(FIRST, term)
        assert not found.alive


class Wire:
    """Stands between a session and the server, and can stand still.

    `words`: how often the session has spoken; `last`: after so many it is heard no more.
    """

    def __init__(self, dsn: str, last: int | None = None) -> None:
        self._to = urlsplit(dsn)
        self.last = last
        self.words = 0
        self.deaf = False
        self.ended = Signals()
        self._writers: list[asyncio.StreamWriter] = []

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[str]:
        """Give the address that leads through it."""
        server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield self._to._replace(netloc=f"postgres@127.0.0.1:{port}").geturl()
        finally:
            server.close()
            for writer in self._writers:
                writer.close()

    async def _join(self, mine: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        theirs, there = await asyncio.open_connection(self._to.hostname, self._to.port)
        self._writers += [back, there]
        await asyncio.gather(self._speak(mine, there), self._answer(theirs, back))

    async def _speak(self, mine: asyncio.StreamReader, there: asyncio.StreamWriter) -> None:
        try:
            while heard := await mine.read(65536):
                if self.words != self.last:
                    self.words += 1
                    there.write(heard)
        except ConnectionResetError:
            self.ended.say("reset")
        else:
            self.ended.say("closed")

    async def _answer(self, theirs: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while heard := await theirs.read(65536):
                if not self.deaf and self.words != self.last:
                    back.write(heard)


async def free(scene: Scene) -> None:
    """Return once nobody holds a lock of a node."""
    async with asyncio.timeout(30):
        while await scene.rows("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def reigned(dsn: str, database: Database, lease: float) -> None:
    """Do all that a leader does on its session."""
    found = NodeSession(dsn, lease=lease, timeout=1.5 * lease, application="sereno test")
    try:
        await found.open(lambda word: None, lambda: None)
        assert await found.claim_presence(FIRST)
        await found.watch()
        assert (await found.try_lead())[0]
        assert not await found.predecessor_unaware(FIRST)
        term = await found.begin_term(FIRST, database)
        await found.beat(FIRST, term)
        await found.beat(FIRST, term)
        await found.hand_over(term, "handed over")
    finally:
        found.terminate()


async def test_wherever_a_leader_is_frozen_its_lock_is_free_after_its_lease(scene: Scene) -> None:
    """Also between two messages of one statement, while the session is not idle."""
    whole = Wire(scene.db.dsn)
    async with whole.laid() as dsn:
        await reigned(dsn, scene.db, 60.0)
        await free(scene)
    calls = 8
    assert whole.words > calls
    for last in range(whole.words - calls, whole.words):
        wire = Wire(scene.db.dsn, last)
        async with wire.laid() as dsn:
            with pytest.raises((StoreUnavailableError, LeaseLostError)):
                await reigned(dsn, scene.db, 0.3)
            await free(scene)


async def test_a_session_that_hears_no_answer_resets_its_connection(scene: Scene) -> None:
    """An ordinary end would wait behind what the other side could not acknowledge."""
    wire = Wire(scene.db.dsn)
    async with wire.laid() as dsn:
        found = NodeSession(dsn, lease=60.0, timeout=20.0, application="sereno test")
        await found.open(lambda word: None, lambda: None)
        found._timeout = 0.3
        wire.deaf = True
        with pytest.raises(StoreUnavailableError):
            await found.try_lead()
        await wire.ended.wait("reset")


async def test_a_node_s_presence_is_its_newest_session_s(scene: Scene) -> None:
    heard = Signals()
    async with session(scene, heard) as old, session(scene) as new:
        assert await old.claim_presence(FIRST)
        assert not await new.claim_presence(FIRST)
        await heard.wait("lost")
        async with asyncio.timeout(30):
            while not await new.claim_presence(FIRST):
                pass
        assert await new.claim_presence(SECOND)


async def test_presence_is_not_told_when_its_holder_lets_go_just_after_the_try(
    scene: Scene,
) -> None:
    tried = "pg_try_advisory_lock($1::int, $2::int)"
    block = sql("presence_lock")
    assert tried in block
    failed = block.replace(tried, "$1::int + $2::int < 0")  # and nobody holds it any more
    assert await scene.value(failed, LOCK_CLASS, FIRST.key) is False


async def test_a_hand_over_keeps_the_presence_and_wakes_the_others(scene: Scene) -> None:
    heard = Signals()
    async with session(scene) as first, session(scene, heard) as second:
        assert await first.claim_presence(FIRST)
        await first.try_lead()
        term = await first.begin_term(FIRST, scene.db)
        await first.hand_over(term, "handed over")
        await heard.wait("notified", word="handover")
        assert (await second.try_lead())[0]
        locks = "SELECT objid::int FROM pg_locks WHERE locktype = 'advisory' ORDER BY objid"
        assert await scene.rows(locks) == [(0,), (1,)]
