"""``sereno grants``: what a role of the database must be granted, as SQL."""

import asyncio

import click

from sereno.cli.invocation import Invocation
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import write, write_json
from sereno.store.grants import KINDS, grant, grants, schema_owner

_OWNER = "sereno_owner"
_ARTICLES = {"owner": "an owner", "runner": "a runner", "caller": "a caller", "reader": "a reader"}


@click.command("grants")
@click.argument("kind", metavar="|".join(KINDS), type=click.Choice(KINDS))
@click.option("--role", metavar="NAME", help="The role's name. [default: sereno_KIND]")
@click.option(
    "--owner",
    metavar="NAME",
    help="Who owns the schema. [default: sereno_owner, with --apply whoever does]",
)
@click.option(
    "--schema",
    "schemas",
    metavar="NAME",
    multiple=True,
    help="Also this schema of a plugin. [default: all of installed plugins; for a reader none]",
)
@click.option("--apply", is_flag=True, help="Execute it, as the role of database_url.")
@as_json
@pass_invocation
def command(
    invocation: Invocation,
    kind: str,
    role: str | None,
    owner: str | None,
    schemas: tuple[str, ...],
    apply: bool,
    as_json: bool,
) -> None:
    """Print what a role of the database must be granted; needs no database without --apply.

    owner: makes the schema and migrates. runner: runs replicas. caller: queues runs from SQL.
    reader: asks and changes nothing.
    """
    role = role or f"sereno_{kind}"
    if apply and owner is None:
        owner = asyncio.run(schema_owner(invocation.database_url))
    found = grants(
        kind,
        role=role,
        owner=role if kind == "owner" else owner or _OWNER,
        schemas=("sereno", *_of_plugins(invocation, kind, schemas)),
    )
    if apply:
        asyncio.run(grant(invocation.database_url, found))
    if as_json:
        write_json({"kind": kind, "role": role, "applied": apply, "statements": found})
        return
    for statement in found:
        write(statement)
    if apply:
        click.echo(f"applied: role '{role}' is {_ARTICLES[kind]}", err=True)


def _of_plugins(invocation: Invocation, kind: str, named: tuple[str, ...]) -> tuple[str, ...]:
    """Return the schemas of plugins: the console's hold what no reader of runs is to see."""
    if named or kind in ("caller", "reader"):
        return tuple(dict.fromkeys(n for n in named if n != "sereno"))
    return tuple(sorted(s.schema for s in invocation.registry.migrations.values()))
