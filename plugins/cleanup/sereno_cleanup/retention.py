"""Carries out one rule for a table: plan, archive, delete, drop partitions."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from sereno import RunContext
from sereno_cleanup.archives.known import KnownArchives
from sereno_cleanup.database import short_transaction
from sereno_cleanup.expiry.pace import Pace
from sereno_cleanup.expiry.rows import ExpiredRows
from sereno_cleanup.expiry.shape import Leaf, Shape, shape_of
from sereno_cleanup.expiry.vault import Vault
from sereno_cleanup.limit import out_of_time
from sereno_cleanup.query import filled, query
from sereno_cleanup.settings import TableRule

DROP_LOCK_MS = 200
DROP_WAITS_SECONDS = (0.5, 1, 2, 4, 8, 15)
"""Whoever asks the table waits behind a drop that waits for its lock, so that is short, and tried
again."""

COUNTED = 100_000
"""How far a dry run counts."""


class Cleared(msgspec.Struct, omit_defaults=True):
    """What became of one rule's rows; `complete` is false when the time limit came first.

    `faults`: of single partitions; the others had their turn.
    """

    table: str
    deleted: int = 0
    batches: int = 0
    archives: list[str] = []
    dropped: list[str] = []
    complete: bool = True
    planned: str | None = None
    faults: list[str] = []
    refused: int = 0
    failure: str | None = None
    note: str | None = None


class TableRetention(msgspec.Struct, frozen=True):
    """One run's work on one database. `known`: the archives that this machine had before."""

    run: RunContext[Any]
    database: Any
    zone: str
    dry: bool
    known: KnownArchives

    async def rule(self, rule: TableRule) -> Cleared:
        """Carry out `rule`.

        Raises ShapeError, VaultError, ArchiveGoneError, and what the database says.
        """
        cleared = Cleared(table=rule.table)
        shape = await shape_of(
            self.database, rule.table, rule.column, rule.keep, self.zone, cascade=rule.cascade
        )
        if shape is None:
            cleared.note = f"table {rule.table} does not exist"
            return cleared
        if not shape.indexed and not any(leaf.whole for leaf in shape.leaves):
            cleared.note = f"{rule.table} has no index that begins with {rule.column}: it is slow"
        if self.dry:
            cleared.planned = await self._plan(rule, shape)
            return cleared
        for leaf in shape.leaves:
            if not cleared.complete:
                break
            try:
                await self._clear(rule, shape, leaf, cleared)
            except (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError):
                raise
            except asyncpg.PostgresError as error:
                if len(shape.leaves) == 1:
                    raise
                cleared.faults.append(f"{leaf.name}: {error}")
        return cleared

    async def _plan(self, rule: TableRule, shape: Shape) -> str:
        whole = [leaf.name for leaf in shape.leaves if leaf.whole and rule.where == "true"]
        told = [f"partitions dropped: {', '.join(whole)}"] if whole else []
        for leaf in shape.leaves:
            if leaf.name in whole:
                continue
            count, oldest = await self._rows(rule, shape, leaf).count(COUNTED)
            if count:
                more = " or more" if count == COUNTED else ""
                told.append(f"{count}{more} rows of {leaf.name}, the oldest of {oldest}")
        return "; ".join(told) or "nothing has expired"

    async def _clear(self, rule: TableRule, shape: Shape, leaf: Leaf, cleared: Cleared) -> None:
        whole = leaf.whole and rule.where == "true"
        if not whole or rule.archive is not None:
            await self._delete(rule, shape, leaf, cleared)
        if whole and cleared.complete:
            await self._drop(leaf, cleared, empty=rule.archive is not None)

    async def _delete(self, rule: TableRule, shape: Shape, leaf: Leaf, cleared: Cleared) -> None:
        vault = await self._vault(rule, shape)
        rows: ExpiredRows | None = None
        pace = Pace(self.run, self.database, rule.rest, rule.max_lag)
        try:
            if vault is not None:
                cleared.archives += await vault.recover()
            rows = self._rows(rule, shape, leaf)
            async with aclosing(rows.delete(vault)) as batches:
                async for count in batches:
                    cleared.deleted += count
                    cleared.batches += count > 0
                    self.run.progress(cleared.deleted, note=rule.table)
                    if not await pace.pause():
                        cleared.complete = False
                        return
        finally:
            if rows is not None and rows.refused:
                cleared.refused += len(rows.refused)
                cleared.failure = cleared.failure or rows.refused[0]
            name = None if vault is None else await vault.close()
            if name is not None:
                cleared.archives.append(name)

    async def _drop(self, leaf: Leaf, cleared: Cleared, *, empty: bool) -> None:
        """Drop a partition; `empty`: only if nothing has come into it since it was archived."""
        for wait in (*DROP_WAITS_SECONDS, None):
            try:
                dropped = await self._dropped(leaf, empty=empty)
                break
            except asyncpg.LockNotAvailableError:
                if wait is None or out_of_time(self.run):
                    raise
                await asyncio.sleep(wait)
        if dropped:
            cleared.dropped.append(leaf.name)
            self.run.log.info("partition dropped", extra={"partition": leaf.name})

    async def _dropped(self, leaf: Leaf, *, empty: bool) -> bool:
        async with short_transaction(self.database, lock_ms=DROP_LOCK_MS):
            await self.database.execute(filled("lock_partition", table=leaf.name))
            if empty and await self.database.fetchval(filled("has_rows", table=leaf.name)):
                return False
            await self.database.execute(filled("drop_partition", table=leaf.name))
        return True

    async def _vault(self, rule: TableRule, shape: Shape) -> Vault | None:
        if rule.archive is None:
            return None
        self.known.check(Path(rule.archive))
        columns = [
            (row["name"], row["type"])
            for row in await self.database.fetch(query("table_columns"), shape.table)
            if not row["generated"]  # made again where they are put back
        ]
        return Vault(Path(rule.archive), shape.table, columns, self.run.now())

    def _rows(self, rule: TableRule, shape: Shape, leaf: Leaf) -> ExpiredRows:
        return ExpiredRows(self.database, shape, leaf.name, rule.where, rule.batch, [])
