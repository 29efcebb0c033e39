"""``sereno show``: all that is kept of a run, or why a slot of a job did (not) run."""

import click

from sereno.cli import run_page, slot_page
from sereno.cli.chain_page import show_chain
from sereno.cli.invocation import Invocation
from sereno.cli.options import RUN, as_json, pass_invocation, reveal_option


@click.command("show")
@click.argument("target", metavar="RUN|JOB|SCHEDULE")
@click.option(
    "--at", metavar="TIME", help="The slot of JOB or SCHEDULE: 2026-03-01T08:00, 08:00 or -2h."
)
@click.option("--lines", type=click.IntRange(0, 10_000), default=20, show_default=True, help="Log.")
@click.option("--chain", is_flag=True, help="All runs that RUN came from and led to.")
@reveal_option
@as_json
@pass_invocation
def command(
    invocation: Invocation,
    /,
    target: str,
    at: str | None,
    lines: int,
    chain: bool,
    reveal: bool,
    as_json: bool,
) -> None:
    """Tell what became of a run, or with --at of a slot of a job: did it run, and if not, why."""
    if target.isascii() and target.isdecimal():
        if at is not None:
            raise click.UsageError(f"--at belongs to a job, and {target} is a run; leave --at out")
        if chain:
            show_chain(invocation, RUN.convert(target, None, None), as_json=as_json)
            return
        run_page.show(
            invocation, RUN.convert(target, None, None), lines, reveal=reveal, as_json=as_json
        )
    elif chain:
        raise click.UsageError(f"'{target}' is no number of a run; --chain is of a run")
    elif at is None:
        raise click.UsageError(
            f"'{target}' is no number of a run; for a job say which slot, as in --at 08:00"
        )
    else:
        slot_page.show(invocation, target, at, lines, reveal=reveal, as_json=as_json)
