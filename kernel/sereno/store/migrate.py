"""Brings the schema to what this code needs: numbered files, checksummed, forward only, one at a
time.

Files are ``NNNN_{pre|post}_<what>.sql``: *pre* is safe while older replicas still run, *post* only
once none does. Each is applied in a transaction of its own, under an advisory lock that a second
migrator waits for; what is applied already is compared by checksum.
"""

import hashlib
import re
from functools import cache
from importlib.resources import files

import asyncpg
import msgspec

from sereno.model.errors import SchemaError
from sereno.store.errors import translated
from sereno.store.keys import MIGRATION_LOCK
from sereno.store.sql import sql

_FILE = re.compile(r"(\d{4})_(pre|post)_(\w+)\.sql")


class Migration(msgspec.Struct, frozen=True):
    """One file: its number, name, text and SHA-256 (hex)."""

    number: int
    name: str
    text: str
    checksum: str


@cache
def migrations() -> tuple[Migration, ...]:
    """Return all migrations, by number."""
    found = []
    for path in files(__package__).joinpath("migrations").iterdir():
        match = _FILE.fullmatch(path.name)
        if match:
            text = path.read_text("utf-8")
            digest = hashlib.sha256(text.encode()).hexdigest()
            found.append(Migration(int(match[1]), path.name, text, digest))
    return tuple(sorted(found, key=lambda m: m.number))


async def migrate(dsn: str) -> list[str]:
    """Apply what is missing at `dsn` and return the names of the files applied.

    Raises SchemaError when an applied file has another checksum or the database knows newer ones,
    and StoreUnavailableError when there is no database.
    """
    with translated():
        connection = await asyncpg.connect(dsn, timeout=10, statement_cache_size=0)
        try:
            # In one transaction, so that it holds through a pooler as well.
            async with connection.transaction():
                await connection.execute(sql("migration_lock"), MIGRATION_LOCK)
                await connection.execute(sql("migration_table"))
                known = {r["number"]: r for r in await connection.fetch(sql("migrations_applied"))}
                _compare(known)
                missing = [m for m in migrations() if m.number not in known]
                for migration in missing:
                    await connection.execute(migration.text)
                    await connection.execute(
                        sql("migration_record"),
                        migration.number,
                        migration.name,
                        migration.checksum,
                    )
            return [m.name for m in missing]
        finally:
            connection.terminate()


def _compare(known: dict[int, asyncpg.Record]) -> None:
    ours = {m.number: m for m in migrations()}
    for number, row in known.items():
        mine = ours.get(number)
        if mine is None:
            raise SchemaError(
                f"the database has migration {row['name']}, which this version of sereno does not "
                "know: it was migrated by a newer one; upgrade this replica"
            )
        if mine.checksum != row["checksum"]:
            raise SchemaError(
                f"migration {mine.name} was changed after it had been applied to this database; "
                "restore the file as it was and put the change into a new migration"
            )
