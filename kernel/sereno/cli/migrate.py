"""``sereno migrate``: brings the schema to this version."""

import asyncio

import click

from sereno.cli.invocation import Invocation
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import write, write_json
from sereno.store.migrate import migrate


@click.command("migrate")
@as_json
@pass_invocation
def command(invocation: Invocation, as_json: bool) -> None:
    """Bring the database's schema to this version; safe while replicas run."""
    applied = asyncio.run(migrate(invocation.database_url))
    if as_json:
        write_json({"applied": applied})
        return
    for name in applied:
        write(f"applied {name}")
    write(f"the schema is up to date{'' if applied else ', nothing was to be done'}")
