"""Knows what each database role needs: SQL templates in ``roles/``, one a kind of role."""

import re
from collections.abc import Sequence

import asyncpg

from sereno.model.errors import ParamsError, StoreRightsError
from sereno.model.resource import resource_path
from sereno.store.connection import connect
from sereno.store.errors import translated
from sereno.store.sql import sql

KINDS = ("owner", "runner", "caller", "reader")

_VARIABLE = re.compile(r""":(["'])(role|owner|schema)\1""")
_SCHEMA = re.compile(r"[a-z][a-z0-9_]{0,62}")
_EACH = "-- for each schema\n"
_MOST_BYTES = 63
_CONNECT = 10.0


def grants(kind: str, *, role: str, owner: str, schemas: Sequence[str]) -> list[str]:
    """Return the statements that make `role` one of `kind`; may be executed again and again.

    `owner`: the role that migrates. `schemas`: the kernel's and those of plugins. Raises
    ParamsError for what is no role's name.
    """
    named = {"role": checked_role(role), "owner": checked_role(owner)}
    once, _, each = (
        resource_path(__package__, "roles")
        .joinpath(f"{kind}.sql")
        .read_text("utf-8")
        .partition(_EACH)
    )
    found = [_filled(line, named) for line in _statements(once)]
    for schema in schemas:
        if not _SCHEMA.fullmatch(schema):
            raise ParamsError(f"schema {schema!r:.100} is no plugin's: as 'sereno_reports'")
        found += [_filled(line, {**named, "schema": schema}) for line in _statements(each)]
    return found


def checked_role(name: str) -> str:
    """Return `name`; raises ParamsError where PostgreSQL takes it for no role, or for another."""
    if not name or len(name.encode("utf-8", "surrogatepass")) > _MOST_BYTES:
        raise ParamsError(f"role {name!r:.100}: a name has 1 to {_MOST_BYTES} bytes")
    if not name.isprintable() or "$" in name:
        raise ParamsError(f"role {name!r}: a name has no '$' and no letter that cannot be seen")
    if name.startswith("pg_") or name in ("public", "none"):
        raise ParamsError(f"role '{name}' is PostgreSQL's own, give another")
    return name


def _statements(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("--")]


def _filled(statement: str, values: dict[str, str]) -> str:
    def quoted(match: re.Match[str]) -> str:
        quote, value = match[1], values[match[2]]
        if quote == '"' and _PLAIN.fullmatch(value):
            return value
        return quote + value.replace(quote, 2 * quote) + quote

    return _VARIABLE.sub(quoted, statement)


_PLAIN = re.compile(r"sereno|(?!current_|session_|system_)[a-z][a-z0-9]*_[a-z0-9_]*")
"""Names that are no word of SQL's, and read better without quotes."""


async def schema_owner(dsn: str) -> str | None:
    """Return the role that owns the schema ``sereno``, None where there is none yet."""
    with translated():
        connection = await connect(dsn, timeout=_CONNECT)
        try:
            found: str | None = await connection.fetchval(sql("schema_owner"))
            return found
        finally:
            connection.terminate()


async def grant(dsn: str, statements: Sequence[str]) -> None:
    """Execute `statements` in one transaction; raises StoreError, and nothing is granted then."""
    with translated():
        connection: asyncpg.Connection = await connect(dsn, timeout=_CONNECT)
        try:
            async with connection.transaction():
                for statement in statements:
                    await connection.execute(statement)
        except asyncpg.InsufficientPrivilegeError as error:
            raise StoreRightsError(
                f"the role of database_url may not do this ({error}); --database-url names an "
                "administrator's here: one who may create roles, and schemas of this database"
            ) from error
        finally:
            connection.terminate()
