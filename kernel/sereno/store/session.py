"""The node's one dedicated session: its presence lock, the leader's lock, heartbeat and wake-ups.

The session is a lease: the server ends it after `lease` without a word from us
(``idle_session_timeout``, which alone catches a frozen process), on a cut network (keepalives, user
timeout) and when the client has gone during a statement. Whatever goes wrong on it means that it is
lost: it is terminated, never closed, because a close waits for a server that may be unreachable.

A session between two messages of one statement is not idle, and nothing ends it. So every statement
is prepared before there is a lock to hold: each call is one message then, and wherever the process
is frozen, the server is idle or about to be.
"""

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from sereno.model.errors import (
    LeaseLostError,
    PoolerError,
    StoreLockedError,
    StoreRightsError,
    StoreUnavailableError,
)
from sereno.store.backend import backend, named
from sereno.store.connection import connect, encoding_of, is_pooled, session_settings
from sereno.store.errors import translated
from sereno.store.keys import CHANNEL, LEADER_LOCK, LOCK_CLASS
from sereno.store.own_sockets import unshare
from sereno.store.pool import Database, file_of, set_codecs
from sereno.store.sql import sql
from sereno.store.timeline import Entered, entered

_STATEMENTS = (
    "presence_lock",
    "leader_try",
    "leader_unaware",
    "timeline_enter",
    "term_begin",
    "leadership_mend",
    "leader_beat",
    "leader_holds",
    "watch",
    "leader_hand_over",
)

log = logging.getLogger("sereno.leader")

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

_FENCE_PATIENCE = 0.25
"""Seconds that a new term waits for the open fences of the old one, which take milliseconds; with a
short lease half of the time that its statement waits for a lock."""


class NodeIdentity(msgspec.Struct, frozen=True):
    """Who this process is: `id` random per process, `key` the number of its presence lock."""

    id: UUID
    key: int


class NodeSession:
    """A connection that this node alone uses, for locks and notifications.

    Every call has a time limit (seconds) and ends the session on any error.
    """

    def __init__(self, dsn: str, *, lease: float, timeout: float, application: str) -> None:
        """`application`: what the session is called, and the channel of what this node is told."""
        self._dsn = dsn
        self._lease = lease
        self._timeout = timeout
        self._application = application
        self._connection: asyncpg.Connection | None = None
        self._prepared: dict[str, Any] = {}
        self._pid = 0
        self._socket: socket.socket | None = None
        self._one_call = asyncio.Lock()

    @property
    def alive(self) -> bool:
        """Tell whether nothing has gone wrong on the session so far."""
        return self._connection is not None and not self._connection.is_closed()

    async def open(self, on_notify: Callable[[str], None], on_lost: Callable[[], None]) -> None:
        """Connect, make the session a lease, listen.

        Raises PoolerError behind a pooler, StoreUnavailableError when the database is away.
        """
        with translated():
            async with asyncio.timeout(max(self._timeout, 2.0)):
                connection = await connect(
                    self._dsn,
                    settings={"application_name": self._application},
                    timeout=max(self._timeout, 2.0),
                    statement_cache_size=20,
                )
            self._connection = connection
            unshare(connection, file_of)
            try:
                async with asyncio.timeout(max(self._timeout, 2.0)):
                    if await is_pooled(connection):
                        raise PoolerError(
                            "a pooler stands between sereno and Postgres, where a session lock "
                            "means nothing and two replicas could lead; set leader_database_url "
                            "(SERENO_LEADER_DATABASE_URL) to a direct connection"
                        )
                    self._pid = connection.get_server_pid()
                    named = self._settings(connection.get_server_version().major)
                    named |= encoding_of(connection).settings
                    await connection.execute(
                        sql("session_name"), list(named), list(named.values()), False
                    )
                    await set_codecs(connection, "timestamptz")
                    for channel in (CHANNEL, self._application):
                        await connection.add_listener(channel, lambda *a: on_notify(str(a[3])))
                    for name in _STATEMENTS:
                        self._prepared[name] = await connection.prepare(sql(name))
                    await self._prepared["watch"].fetchrow()  # idle from here on
                connection.add_termination_listener(lambda _: on_lost())
                self._socket = _duplicate(connection)
                if self._socket is not None:
                    unshare(self._socket, socket.socket.fileno)
            except BaseException:
                self.terminate()
                raise

    def _settings(self, version: int) -> dict[str, str]:
        """Return what makes the session end when its client is silent, cut off, or gone in
        mid-statement."""
        lease_ms, probe_every = round(self._lease * 1000), max(1, round(self._lease / 3))
        return session_settings(version) | {
            "idle_session_timeout": str(lease_ms),
            "tcp_user_timeout": str(lease_ms),
            "tcp_keepalives_idle": str(probe_every),
            "tcp_keepalives_interval": str(probe_every),
            "tcp_keepalives_count": "2",
            "client_connection_check_interval": "1000",
            "statement_timeout": str(lease_ms),
            "lock_timeout": str(round(self._timeout * 500)),  # time is left to say a word still
        }

    def terminate(self) -> None:
        """Drop the session at once; its locks go with it as soon as the server notices."""
        connection, self._connection = self._connection, None
        shared, self._socket = self._socket, None
        if shared is not None:
            shared.close()
        if connection is not None:
            with suppress(Exception):
                connection.terminate()

    def _drop(self) -> None:
        """Terminate, and have the server hear of it even if its own words do not reach us.

        What it has not acknowledged would hold an ordinary end of the connection up.
        """
        shared = self._socket
        if shared is not None:
            with suppress(OSError):
                shared.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.terminate()

    def cut(self) -> None:
        """Shut the session's socket down, from any thread: the server lets its locks go at once."""
        shared = self._socket
        if shared is not None:
            with suppress(OSError):
                shared.shutdown(socket.SHUT_RDWR)

    async def claim_presence(self, node: NodeIdentity) -> bool:
        """Take the node's presence lock; an older session of this node that holds it is ended."""
        row = await self._call("presence_lock", LOCK_CLASS, node.key)
        return bool(row["granted"])

    async def try_lead(self) -> tuple[bool, datetime]:
        """Try the leader's lock; return whether it was granted, and the database's time."""
        row = await self._call("leader_try", LOCK_CLASS, LEADER_LOCK)
        return bool(row["granted"]), row["now"]

    async def predecessor_unaware(self, node: NodeIdentity) -> bool:
        """Tell whether the last leader lives and may trust itself still: it has neither given the
        lead up, nor died, nor come back with a new session, nor outlived its lease."""
        row = await self._call("leader_unaware", node.id, LOCK_CLASS, self._lease)
        return bool(row["unaware"])

    async def enter_timeline(
        self, node: NodeIdentity, remembered: int, database: Database
    ) -> Entered:
        """Note the history that the database is on; where it is another than at the term before,
        run and term numbers go on far ahead.

        `remembered`: the newest term that this process knows of. For who holds the leader's lock,
        before its term begins.
        """
        return entered(await self._succeed("timeline_enter", database, remembered, node.id))

    async def begin_term(self, node: NodeIdentity, database: Database) -> int:
        """Begin a new term; writers of the old one who keep a fence open too long are ended."""
        mended = await self._in_time("leadership_mend", database)
        if mended is not None:
            log.error(
                "the row of sereno.leadership was gone, and is put back: somebody has deleted it",
                extra={"term": mended["term"]},
            )
        return int((await self._succeed("term_begin", database, node.id))["term"])

    async def _succeed(self, name: str, database: Database, *args: object) -> asyncpg.Record:
        """Do what moves the term on. Raises LeaseLostError when the lock is gone."""
        row = await self._in_time(name, database, *args)
        if row is None:
            self.terminate()
            raise LeaseLostError("the leader's lock was gone before the term began")
        return row

    async def _in_time(self, name: str, database: Database, *args: object) -> asyncpg.Record | None:
        """Do what waits for the open fences of the old term, and end who keeps them open for too
        long."""
        call = asyncio.ensure_future(self._call(name, *args, self._pid, LOCK_CLASS, LEADER_LOCK))
        try:
            done, _ = await asyncio.wait({call}, timeout=min(_FENCE_PATIENCE, self._timeout / 4))
            if not done:
                await self._end_holders(database)
            return await call
        finally:
            call.cancel()

    async def _end_holders(self, database: Database) -> None:
        """End the sessions that keep the term's row locked, and say which; raises StoreLockedError
        when this role may not."""
        rows = await database.fetch("fence_holders", self._pid)
        if not rows:
            return
        log.warning(
            "sessions that kept the last term's row locked are ended",
            extra={"sessions": named(rows)},
        )
        for row in rows:
            try:
                await database.fetchval("backend_end", row["pid"])
            except StoreRightsError as error:
                holder = backend(row)
                raise StoreLockedError(
                    f"nobody can take the lead: {holder} keeps sereno.leadership locked, and this "
                    f"role may not end it; a superuser can: {holder.remedy}"
                ) from error

    async def beat(self, node: NodeIdentity, term: int) -> datetime:
        """Prove that this backend still holds the lock of `term`; return the database's time.

        Raises LeaseLostError when it does not.
        """
        lock = self._pid, LOCK_CLASS, LEADER_LOCK
        try:
            row = await self._call("leader_beat", term, node.id, *lock)
        except StoreLockedError:  # the whole table: what proves the lead is the lock alone
            row = await self._call("leader_holds", *lock)
        if row is None:
            self.terminate()
            raise LeaseLostError(f"this session no longer holds the leader's lock of term {term}")
        return row["now"]  # type: ignore[no-any-return]

    async def watch(self) -> datetime:
        """Say a word, so that the lease goes on; return the database's time."""
        return (await self._call("watch"))["now"]  # type: ignore[no-any-return]

    async def hand_over(self, term: int, reason: str) -> None:
        """Give the lead up, keep the presence lock, and wake the followers."""
        await self._call("leader_hand_over", term, reason, LOCK_CLASS, LEADER_LOCK, CHANNEL)

    async def _call(self, name: str, *args: object) -> asyncpg.Record:
        try:
            with translated():
                async with self._one_call, asyncio.timeout(self._timeout):
                    if self._connection is None:
                        raise StoreUnavailableError("the session is gone")
                    return await self._prepared[name].fetchrow(*args)
        except StoreLockedError:
            raise  # the server has said that nothing was done: the session is as it was
        except BaseException:
            # Also on cancellation: what nobody read the answer of may have been granted unseen.
            self._drop()
            raise


def _duplicate(connection: asyncpg.Connection) -> socket.socket | None:
    """Return a second handle of the connection's socket, which another thread may shut down."""
    shared = connection._transport.get_extra_info("socket")
    return None if shared is None else socket.socket(fileno=os.dup(shared.fileno()))
