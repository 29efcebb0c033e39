"""Makes a copy of a database a cluster of its own, which repeats nothing that the one before does.

The copy holds what the other goes on with: runs at work, runs that wait, slots that are due, mails
that nobody has sent yet. One transaction settles all of it, and gives the copy a name, without
which no replica joins it: so those of the cluster before do not, wherever a URL leads them.
"""

import re
from typing import Any

import msgspec

from sereno.model.errors import ConflictError, ParamsError
from sereno.model.text import shortened, visible
from sereno.store.keys import LEADER_LOCK, LOCK_CLASS
from sereno.store.pool import Connection, Database
from sereno.store.sql import sql
from sereno.store.timeline import Timeline, read_timeline

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class CopyView(msgspec.Struct, frozen=True, kw_only=True):
    """What `database` is. `name`: of the cluster, empty where nobody has given it one; `present`:
    labels of replicas that are there; `running`, `due`, `later`: runs at work, and that wait."""

    name: str
    database: str
    present: tuple[str, ...]
    running: int
    due: int
    later: int


class NewCluster(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster that was begun. `ended`: runs that may have run before; `bulks`, `backfills`,
    `fan_outs`: that go no further; `messages`: that nobody is told; `plugins`: schemas of plugins
    that have settled what is theirs; `first_run`: the number of the next run at the least."""

    name: str
    term: int
    first_run: int | None
    ended: int = 0
    bulks: int = 0
    backfills: int = 0
    fan_outs: int = 0
    messages: int = 0
    plugins: tuple[str, ...] = ()


def checked_name(name: str) -> str:
    """Return `name`; raises ParamsError where it can be no cluster's."""
    if not _NAME.fullmatch(name):
        raise ParamsError(
            f"cluster '{visible(shortened(name, 100))}': a name has 1 to 63 letters, digits and "
            "'.', '_', '-', and begins with a letter or a digit"
        )
    return name


async def cluster_here(db: Database) -> CopyView:
    """Return which cluster `db` is, and what there is to do in it."""
    row = await db.fetchrow("cluster_here", LOCK_CLASS)
    return msgspec.convert(dict(row or {}), CopyView)


async def cluster_name(db: Database) -> str:
    """Return the cluster's name, empty where nobody has given it one."""
    return str(await db.fetchval("cluster_name"))


async def begin_cluster(db: Database, name: str, by: str, *, beside: bool) -> NewCluster:
    """Make `db` a cluster of its own.

    `beside`: the one before goes on with what was due; otherwise that is caught up here, as after
    a restore. Raises ConflictError where it has that name, or a replica is there.
    """
    name = checked_name(name)
    found = await cluster_here(db)
    if found.name == name:
        raise ConflictError(f"the database '{found.database}' is the cluster '{name}' already")
    if found.present:
        raise ConflictError(
            f"replicas are at work on the database '{found.database}' "
            f"({', '.join(found.present[:5])}): it is no copy, or they were started too early; "
            "a cluster is begun before its replicas are"
        )
    async with db.transaction() as connection:
        if not await connection.fetchval(sql("cluster_lock"), LOCK_CLASS, LEADER_LOCK):
            raise ConflictError(f"somebody leads on the database '{found.database}'")
        await connection.execute(sql("cluster_nodes_forget"))
        timeline, numbers = await _enter(connection, beside=beside)
        done: dict[str, Any] = {}
        if beside:
            done |= dict(await connection.fetchrow(sql("cluster_orders_end"), by) or {})
            if timeline.doubt is not None:
                facts = (timeline.doubt.until, timeline.doubt.reason)
                done["ended"] = await connection.fetchval(sql("cluster_runs_end"), *facts)
        plugins = await connection.fetch(sql("cluster_plugins_begin"), beside)
        made = NewCluster(
            name=name,
            term=timeline.term + 1,
            first_run=numbers + 1 if numbers is not None else None,
            plugins=tuple(row["schema"] for row in plugins),
            **done,
        )
        facts_of_it = msgspec.json.encode(made).decode()
        await connection.execute(sql("cluster_record"), name, by, facts_of_it)
    return made


async def _enter(connection: Connection, *, beside: bool) -> tuple[Timeline, int | None]:
    """Have the history begin anew, as after a restore; return it, and up to where numbers of runs
    may have been given out."""
    before = await connection.fetchrow(sql("cluster_history_differ"))
    row = await connection.fetchrow(sql("cluster_history_enter"), beside and before is not None)
    timeline = read_timeline(row)
    if before is not None:
        facts = (before["id"], before["database"], timeline.id, beside)
        await connection.execute(sql("cluster_history_mend"), *facts)
    return timeline, timeline.numbers.get("run.id")
