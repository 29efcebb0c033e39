"""``sereno migrate``: brings the schema to this version."""

import asyncio

import click

from sereno.cli.invocation import Invocation
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import write, write_json
from sereno.store.migrator import migrate


@click.command("migrate")
@click.option(
    "--post",
    is_flag=True,
    help="Also what replicas of the version before cannot work with; refused while one runs.",
)
@as_json
@pass_invocation
def command(invocation: Invocation, post: bool, as_json: bool) -> None:
    """Bring the database's schema to this version; safe while replicas run."""
    schema = asyncio.run(migrate(invocation.database_url, post=post))
    if as_json:
        write_json(schema)
        return
    for name in schema.applied:
        write(f"applied {name}")
    for name in schema.newer:
        write(f"{name} is there, of a newer version; this one works with it", wrap=True)
    nothing = "" if schema.applied else ", nothing was to be done"
    if schema.waiting:
        names = ", ".join(schema.waiting)
        write(
            f"{names} still to be applied: `sereno migrate --post`, once no replica of an older "
            "version is needed",
            wrap=True,
        )
    else:
        write(f"the schema is up to date{nothing}")
