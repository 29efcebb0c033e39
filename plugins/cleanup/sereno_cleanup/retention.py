"""Carries out one rule for a table: plan, archive, delete, drop partitions."""

from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec

from sereno import RunContext
from sereno_cleanup.database import short_transaction
from sereno_cleanup.expiry.pace import Pace
from sereno_cleanup.expiry.rows import ExpiredRows
from sereno_cleanup.expiry.shape import Leaf, Shape, shape_of
from sereno_cleanup.expiry.vault import Vault
from sereno_cleanup.limit import out_of_time
from sereno_cleanup.query import filled, query
from sereno_cleanup.settings import TableRule

COUNTED = 100_000
"""How far a dry run counts."""


class Cleared(msgspec.Struct, omit_defaults=True):
    """What became of one rule's rows; `complete` is false when the time limit came first."""

    table: str
    deleted: int = 0
    batches: int = 0
    archives: list[str] = []
    dropped: list[str] = []
    complete: bool = True
    planned: str | None = None
    refused: int = 0
    failure: str | None = None
    note: str | None = None


class TableRetention(msgspec.Struct, frozen=True):
    """One run's work on one database."""

    run: RunContext[Any]
    database: Any
    zone: str
    dry: bool

    async def rule(self, rule: TableRule) -> Cleared:
        """Carry out `rule`; raises ShapeError, VaultError, and what the database says."""
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
            if cleared.complete:
                await self._clear(rule, shape, leaf, cleared)
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
        pace = Pace(self.database, rule.rest, rule.max_lag.total_seconds())
        try:
            if vault is not None:
                cleared.archives += await vault.recover()
            rows = self._rows(rule, shape, leaf)
            async with aclosing(rows.delete(vault)) as batches:
                async for count in batches:
                    cleared.deleted += count
                    cleared.batches += count > 0
                    self.run.progress(cleared.deleted, note=rule.table)
                    if out_of_time(self.run):
                        cleared.complete = False
                        return
                    await pace.pause()
        finally:
            if rows is not None and rows.refused:
                cleared.refused += len(rows.refused)
                cleared.failure = cleared.failure or rows.refused[0]
            name = None if vault is None else await vault.close()
            if name is not None:
                cleared.archives.append(name)

    async def _drop(self, leaf: Leaf, cleared: Cleared, *, empty: bool) -> None:
        """Drop a partition; `empty`: only if nothing has come into it since it was archived."""
        async with short_transaction(self.database):
            await self.database.execute(filled("lock_partition", table=leaf.name))
            if empty and await self.database.fetchval(filled("has_rows", table=leaf.name)):
                return
            await self.database.execute(filled("drop_partition", table=leaf.name))
        cleared.dropped.append(leaf.name)
        self.run.log.info("partition dropped", extra={"partition": leaf.name})

    async def _vault(self, rule: TableRule, shape: Shape) -> Vault | None:
        if rule.archive is None:
            return None
        columns = [
            (row["name"], row["type"])
            for row in await self.database.fetch(query("table_columns"), shape.table)
            if not row["generated"]  # made again where they are put back
        ]
        return Vault(Path(rule.archive), shape.table, columns, self.run.now())

    def _rows(self, rule: TableRule, shape: Shape, leaf: Leaf) -> ExpiredRows:
        return ExpiredRows(self.database, shape, leaf.name, rule.where, rule.batch, [])
