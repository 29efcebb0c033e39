"""The options that adding and changing a schedule share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from sereno.cli.options import SPREAD

F = TypeVar("F", bound=Callable[..., Any])


def schedule_options(function: F) -> F:
    """Give `function` the options what a schedule may say, as options, and ``--reason``."""
    for option in reversed(_OPTIONS):
        option(function)
    return function


_OPTIONS = (
    click.option(
        "-p", "--param", "pairs", metavar="KEY=VALUE", multiple=True, help="One param; repeat."
    ),
    click.option("--start", metavar="TIME", help="No slot before: 2026-03-01T08:00 or +2h."),
    click.option("--end", metavar="TIME", help="No slot from then on."),
    click.option(
        "--jitter", type=SPREAD, metavar="DURATION", help="Spread slots over so much: 10m, ±30s."
    ),
    click.option(
        "--policy",
        "policies",
        metavar="KEY=VALUE",
        multiple=True,
        help="A policy in place of the job's, as grace=5m; repeat.",
    ),
    click.option("--title", metavar="TEXT", help="What people call it."),
    click.option(
        "--tag", "tags", metavar="TAG", multiple=True, help="Its runs are found by; repeat."
    ),
    click.option("--one-off/--no-one-off", default=None, help="Its first slot is its last."),
    click.option("--at-start/--no-at-start", default=None, help="It runs at once, too."),
    click.option("--reason", default="", metavar="TEXT", help="Why; kept with the schedule."),
)
