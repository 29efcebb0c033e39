"""Makes one check."""

from typing import Any

import asyncpg
import msgspec

from sereno_cleanup.database import connected
from sereno_cleanup.query import filled, query
from sereno_cleanup.settings import CheckRule

EXAMPLES = 5
_CELL = 200


class Found(msgspec.Struct, frozen=True):
    """What one check has found: whether it holds, a sentence, and examples of what is wrong."""

    check: str
    ok: bool
    sentence: str
    examples: list[dict[str, Any]] = []


async def make(rule: CheckRule, url: str) -> Found:
    """Make the check of `rule` at `url`, or where the rule says; nothing is raised."""
    try:
        return await _made(rule, rule.database_url or url)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        why = str(error) or type(error).__name__
        return Found(rule.name, False, f"the check could not be made: {why}")


async def _made(rule: CheckRule, url: str) -> Found:
    async with (
        connected(url, "cleanup.integrity") as database,
        database.transaction(readonly=True, isolation="repeatable_read"),
    ):
        await database.execute(query("check_limits"), str(int(rule.limit.total_seconds() * 1000)))
        match rule.kind:
            case "no_rows":
                return await _no_rows(rule, database, rule.sql or "")
            case "orphans":
                return await _no_rows(rule, database, _orphans(rule))
            case "count":
                return _within(rule, await database.fetchval(rule.sql))
            case "equal":
                return await _equal(rule, url, await database.fetchval(rule.sql))
            case "amcheck":
                return await _amcheck(rule, database)


async def _no_rows(rule: CheckRule, database: Any, sql: str) -> Found:
    rows = await database.fetch(f"{sql}\nLIMIT {EXAMPLES + 1}" if rule.kind == "orphans" else sql)
    if not rows:
        return Found(rule.name, True, "no row is wrong")
    more = len(rows) if rule.kind == "no_rows" else f"more than {EXAMPLES}"
    count = len(rows) if len(rows) <= EXAMPLES else more
    return Found(
        rule.name, False, f"{count} rows are wrong", [_example(r) for r in rows[:EXAMPLES]]
    )


def _orphans(rule: CheckRule) -> str:
    return filled(
        "orphans",
        table=rule.quoted("table"),
        column=rule.quoted("column"),
        other_table=rule.quoted("other_table"),
        other_column=rule.quoted("other_column"),
    )


def _within(rule: CheckRule, value: Any) -> Found:
    if value is None:
        return Found(rule.name, False, "the statement gave no number")
    low = rule.at_least is None or value >= rule.at_least
    high = rule.at_most is None or value <= rule.at_most
    if low and high:
        return Found(rule.name, True, f"{value} is within its bounds")
    bound = f"at least {rule.at_least}" if not low else f"at most {rule.at_most}"
    return Found(rule.name, False, f"{value}, it must be {bound}")


async def _equal(rule: CheckRule, url: str, mine: Any) -> Found:
    async with (
        connected(rule.other_database_url or url, "cleanup.integrity") as other,
        other.transaction(readonly=True),
    ):
        await other.execute(query("check_limits"), str(int(rule.limit.total_seconds() * 1000)))
        theirs = await other.fetchval(rule.other_sql)
    if mine is None or theirs is None:
        same = mine is theirs
    else:
        same = abs(mine - theirs) <= rule.tolerance
    return Found(rule.name, same, f"{mine} here, {theirs} there")


async def _amcheck(rule: CheckRule, database: Any) -> Found:
    if not await database.fetchval(query("has_amcheck")):
        return Found(
            rule.name, False, "the check could not be made: CREATE EXTENSION amcheck is missing"
        )
    broken = []
    indexes = await database.fetch(query("indexes"), rule.quoted("table"))
    for index in indexes:
        try:
            async with database.transaction():
                await database.fetch(query("check_index"), index["oid"])
        except asyncpg.PostgresError as error:
            broken.append({"index": index["name"], "error": str(error)[:_CELL]})
    if broken:
        return Found(rule.name, False, f"{len(broken)} indexes are damaged", broken[:EXAMPLES])
    return Found(rule.name, True, f"{len(indexes)} indexes are sound")


def _example(row: Any) -> dict[str, Any]:
    return {name: None if cell is None else str(cell)[:_CELL] for name, cell in row.items()}
