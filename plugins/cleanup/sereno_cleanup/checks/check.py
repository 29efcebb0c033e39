"""Makes one check."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import asyncpg
import msgspec

from sereno_cleanup.database import connected
from sereno_cleanup.fault import sentence
from sereno_cleanup.query import filled, query
from sereno_cleanup.settings import CheckRule

EXAMPLES = 5
COUNTED = 1000
"""How many wrong rows are counted: a statement may return very many, and wide ones."""

_STEP = 50
_CELL = 200
_MARGIN_SECONDS = 5
_TIMES = ("date", "timestamp", "timestamptz", "interval")


class Found(msgspec.Struct, frozen=True):
    """What one check has found: whether it holds, a sentence, and examples of what is wrong."""

    check: str
    ok: bool
    sentence: str
    examples: list[dict[str, Any]] = []


async def make(rule: CheckRule, url: str) -> Found:
    """Make the check of `rule` at `url`, or where the rule says; nothing is raised."""
    try:
        return await _made(rule, url)
    except Exception as error:  # whatever one statement brings about, the others are made
        return Found(rule.name, False, f"the check could not be made: {sentence(error)}")


@asynccontextmanager
async def _reading(rule: CheckRule, url: str) -> AsyncIterator[Any]:
    """Open a transaction that cannot write, whose statements may take as long as the rule says."""
    seconds = rule.limit.total_seconds()
    async with connected(url, "cleanup.integrity", seconds=seconds + _MARGIN_SECONDS) as database:
        for kind in _TIMES:  # as PostgreSQL writes them: it has times that Python has not
            await database.set_type_codec(
                kind, schema="pg_catalog", encoder=str, decoder=str, format="text"
            )
        async with database.transaction(readonly=True, isolation="repeatable_read"):
            await database.execute(query("check_limits"), str(int(seconds * 1000)))
            yield database


async def _made(rule: CheckRule, url: str) -> Found:
    async with _reading(rule, rule.database_url or url) as database:
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
    prepared = await database.prepare(sql)
    cursor = await prepared.cursor()
    examples = await cursor.fetch(EXAMPLES)
    if not examples:
        if not prepared.get_attributes():  # SELECT FROM ..., or nothing that looks at anything
            await prepared.fetch()
            if not prepared.get_statusmsg().startswith("SELECT"):
                return Found(rule.name, False, "the check could not be made: it is no SELECT")
        return Found(rule.name, True, "no row is wrong")
    count = len(examples)
    while count <= COUNTED and (more := len(await cursor.fetch(_STEP))):
        count += more
    told = f"{count}" if count <= COUNTED else f"more than {COUNTED}"
    return Found(rule.name, False, f"{told} rows are wrong", [_example(r) for r in examples])


def _orphans(rule: CheckRule) -> str:
    return filled(
        "orphans",
        table=rule.quoted("table"),
        column=rule.quoted("column"),
        other_table=rule.quoted("other_table"),
        other_column=rule.quoted("other_column"),
    )


def _number(value: Any) -> Decimal | None:
    """Return a number exactly, whatever its type; None for what is none."""
    if not isinstance(value, int | float | Decimal):
        return None
    number = Decimal(value)
    return None if number.is_nan() else number


def _within(rule: CheckRule, value: Any) -> Found:
    number = _number(value)
    if number is None:
        gave = "" if value is None else f": it gave {str(value)[:_CELL]!r}"
        return Found(rule.name, False, f"the statement gave no number{gave}")
    low = rule.at_least is None or number >= rule.at_least
    high = rule.at_most is None or number <= rule.at_most
    if low and high:
        return Found(rule.name, True, f"{value} is within its bounds")
    bound = f"at least {rule.at_least}" if not low else f"at most {rule.at_most}"
    return Found(rule.name, False, f"{value}, it must be {bound}")


async def _equal(rule: CheckRule, url: str, mine: Any) -> Found:
    async with _reading(rule, rule.other_database_url or url) as other:
        theirs = await other.fetchval(rule.other_sql)
    one, other_one = _number(mine), _number(theirs)
    if one is None or other_one is None:  # two texts, or two instants, can be the same as well
        same = str(mine) == str(theirs)
    else:
        same = one == other_one or abs(one - other_one) <= rule.tolerance
    return Found(rule.name, same, f"{str(mine)[:_CELL]} here, {str(theirs)[:_CELL]} there")


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
