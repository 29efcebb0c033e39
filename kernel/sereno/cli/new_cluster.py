"""``sereno new-cluster``: makes a copy of a database a cluster of its own."""

import click

from sereno.cli.invocation import Invocation
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import write, write_json
from sereno.cli.query import ask_database
from sereno.client.asker import asker
from sereno.store.new_cluster import (
    CopyView,
    NewCluster,
    begin_cluster,
    checked_name,
    cluster_here,
)


@click.command("new-cluster")
@click.argument("name", metavar="NAME")
@click.option(
    "--catch-up",
    is_flag=True,
    help="The cluster before is gone: what was due runs here, perhaps again.",
)
@click.option("--yes", is_flag=True, help="Do it; without it, say what would be done.")
@as_json
@pass_invocation
def command(invocation: Invocation, name: str, catch_up: bool, yes: bool, as_json: bool) -> None:
    """Make a copy of a database a cluster of its own, before its replicas start.

    Those of the cluster before cannot join it; what was at work or due stays that one's, and
    numbers of runs and terms go on far ahead. Replicas of the new one have NAME as `cluster`.
    """
    checked_name(name)
    if not yes:
        found = ask_database(invocation, cluster_here)
        if as_json:
            write_json({"done": False, **{f: getattr(found, f) for f in found.__struct_fields__}})
        else:
            _write_preview(found, name, catch_up)
        return
    made = ask_database(
        invocation, lambda db: begin_cluster(db, name, asker(), beside=not catch_up)
    )
    if as_json:
        write_json({"done": True, **{f: getattr(made, f) for f in made.__struct_fields__}})
        return
    _write_made(made)


def _write_preview(found: CopyView, name: str, catch_up: bool) -> None:
    named = f"the cluster '{found.name}'" if found.name else "a cluster without a name"
    write(f"the database '{found.database}' is {named}, it would be '{name}'", wrap=True)
    if found.present:
        write(f"replicas are at work on it ({', '.join(found.present)}): it is refused", wrap=True)
    if catch_up:
        write(
            f"{found.running} runs are at work and {found.due} due: those that must not run twice "
            "would be lost, the others run again",
            wrap=True,
        )
    else:
        write(
            f"{found.running} runs are at work and {found.due} due: they would be lost, as work of "
            f"the cluster before; slots until now missed. {found.later} wait for later, and "
            "run here",
            wrap=True,
        )
    write("nothing was changed; --yes does it")


def _write_made(made: NewCluster) -> None:
    runs = "" if made.first_run is None else f", runs from {made.first_run}"
    write(f"the cluster '{made.name}' begins: terms from {made.term}{runs}", wrap=True)
    orders = made.bulks + made.backfills + made.fan_outs
    write(
        f"{made.ended} runs may have run before and are lost; {orders} bulks, back-fills and "
        f"fan-outs go no further; {made.messages} messages are not told again",
        wrap=True,
    )
    write(f'its replicas have cluster = "{made.name}" in their settings', wrap=True)
