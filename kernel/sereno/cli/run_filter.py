"""The options that say which runs are meant, alike for all commands that look for runs."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import click

from sereno.cli.instants import read_instant
from sereno.cli.params import read_some
from sereno.client import RunFilter

F = TypeVar("F", bound=Callable[..., Any])

STATES = ("queued", "running", "succeeded", "failed", "timed_out", "cancelled", "lost")
CAUSES = ("slot", "person", "program", "chain", "retry", "backfill", "part")


def filter_options(
    *, job: str = "Only of this job, or of jobs like 'etl.*'.", param: str = "Only with this param."
) -> Callable[[F], F]:
    """Give a command the options of `run_filter`, which come as arguments of the same names.

    `job`, `param`: what the help says of them.
    """
    options = (
        click.option("--job", metavar="JOB|PATTERN", help=job),
        click.option(
            "--state", "states", type=click.Choice(STATES), multiple=True, help="Only these states."
        ),
        click.option(
            "--cause", "causes", type=click.Choice(CAUSES), multiple=True, help="Only these causes."
        ),
        click.option("--schedule", metavar="NAME", help="Only those of this schedule."),
        click.option(
            "--tag", "tags", metavar="TAG", multiple=True, help="Only those that have this tag."
        ),
        click.option(
            "--node", metavar="NAME", help="Only those on this replica: its label, or its id."
        ),
        click.option("--by", metavar="WHO", help="Only what WHO asked for: ann@host, or ann."),
        click.option(
            "--since", metavar="TIME", help="Only those queued then or later: -2h, 08:00."
        ),
        click.option("--until", metavar="TIME", help="Only those queued before."),
        click.option("-p", "--param", "pairs", metavar="KEY=VALUE", multiple=True, help=param),
        click.option(
            "--error", metavar="TEXT", help="Only with this in the error, in whatever case."
        ),
    )

    def give(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return give


def run_filter(
    now: datetime,
    *,
    since: str | None,
    until: str | None,
    pairs: Sequence[str],
    by: str | None,
    **narrowed: Any,
) -> RunFilter:
    """Return the filter that these options say; raises click.UsageError."""
    return RunFilter(
        since=None if since is None else read_instant(since, now),
        until=None if until is None else read_instant(until, now),
        params=read_some(pairs, None),
        requested_by=by,
        **narrowed,
    )
