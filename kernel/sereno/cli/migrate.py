"""``sereno migrate``: brings the schema to this version."""

import asyncio
import sys

import click
import msgspec

from sereno.cli.failure import remark
from sereno.cli.invocation import Invocation
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import write, write_json
from sereno.cli.plugin_tables import migrate_plugins, write_plugins
from sereno.observe.complaint import FAILED, complain
from sereno.store.migrator import Migrated, migrate


@click.command("migrate")
@click.option(
    "--post",
    is_flag=True,
    help="Also what replicas of the version before cannot work with; refused while one runs.",
)
@as_json
@pass_invocation
def command(invocation: Invocation, post: bool, as_json: bool) -> None:
    """Bring the database's schema, and the tables of plugins, to this version; safe while replicas
    run.

    Exit code 1 when a migration of a plugin fails; the others are applied.
    """
    schema = asyncio.run(migrate(invocation.database_url, post=post))
    plugins = migrate_plugins(invocation, post)
    if as_json:
        write_json({**msgspec.structs.asdict(schema), **plugins})
    else:
        _write(schema)
        write_plugins(plugins)
    sys.stdout.flush()
    for sentence in plugins["orphans"]:
        remark(sentence)
    for sentence in plugins["faults"]:
        complain(sentence)
    if plugins["faults"]:
        raise click.exceptions.Exit(FAILED)


def _write(schema: Migrated) -> None:
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
