"""``sereno schedule change``: lays what a person wants over what a schedule declares."""

from datetime import datetime, timedelta
from typing import cast

import click
from msgspec import UNSET, UnsetType

from sereno.cli.failure import remark
from sereno.cli.instants import read_instant
from sereno.cli.invocation import Invocation
from sereno.cli.moments import exact
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import write, write_json
from sereno.cli.params import read_some
from sereno.cli.query import ask
from sereno.cli.schedule_fit import declared_job, read_policies
from sereno.cli.schedule_options import schedule_options
from sereno.client import Client, ScheduleChanged
from sereno.client.revision import Part
from sereno.model.errors import NotFoundError
from sereno.triggers import parse

_SETTLED_AHEAD = timedelta(milliseconds=50)
"""How far ahead of now a change may begin to hold, as what is settled already is settled."""

_PARTS = (
    "trigger",
    "params",
    "start",
    "end",
    "jitter",
    "policies",
    "title",
    "tags",
    "one_off",
    "at_start",
    "all",
)


@click.command("change")
@click.argument("name", metavar="JOB|SCHEDULE")
@click.option("--trigger", metavar="TRIGGER", help="When it is due: 'every 6h'.")
@schedule_options
@click.option(
    "--reset",
    type=click.Choice(_PARTS),
    multiple=True,
    help="As it was declared again; repeat.",
)
@as_json
@pass_invocation
def command(
    invocation: Invocation,
    name: str,
    trigger: str | None,
    pairs: tuple[str, ...],
    start: str | None,
    end: str | None,
    jitter: timedelta | None,
    policies: tuple[str, ...],
    title: str | None,
    tags: tuple[str, ...],
    one_off: bool | None,
    at_start: bool | None,
    reason: str,
    reset: tuple[str, ...],
    as_json: bool,
) -> None:
    """Change one schedule, of whatever origin, from its next slot on.

    A param or a policy that is not named stays as it is; --start none, --end none and --jitter 0s
    take these away. What is declared is kept, and --reset goes back to it.
    """
    given = (
        trigger,
        start,
        end,
        jitter,
        title,
        one_off,
        at_start,
        *pairs,
        *policies,
        *tags,
        *reset,
    )
    if all(value is None for value in given):
        raise click.UsageError("nothing to change is named; `sereno schedule change --help`")

    async def question(client: Client) -> ScheduleChanged:
        now = await client.now()
        job = declared_job(invocation, await _job_of(client, name)) if pairs or policies else None
        return await client.change_schedule(
            name,
            trigger=None if trigger is None else parse(trigger),
            params=read_some(pairs, job),
            start=_instant(start, now),
            end=_instant(end, now),
            jitter=UNSET if jitter is None else jitter,
            policies={} if job is None else read_policies(policies, job, f"schedule '{name}'"),
            title=UNSET if title is None else title,
            tags=tags or UNSET,
            one_off=UNSET if one_off is None else one_off,
            at_start=UNSET if at_start is None else at_start,
            reset=cast(tuple[Part, ...], reset),
            reason=reason,
        )

    _write_change(ask(invocation, question), as_json)


async def _job_of(client: Client, name: str) -> str:
    """Return whose schedule `name` is; what is none is left to who changes it."""
    try:
        return (await client.schedules(name))[0].job
    except (NotFoundError, IndexError):
        return name.partition("@")[0]


def _write_change(changed: ScheduleChanged, as_json: bool) -> None:
    if changed.valid_from - changed.changed_at > _SETTLED_AHEAD:
        remark(
            f"its slot {exact(changed.valid_from)}, put off to then by its jitter, stays with the"
            " version before; the change holds for what comes after it"
        )
    if as_json:
        write_json(
            {
                "schedule": changed.schedule,
                "job": changed.job,
                "valid_from": changed.valid_from,
                "next_slot": changed.next_slot,
                "trigger": changed.version.trigger,
                "state": changed.version.state,
            }
        )
    elif changed.version.state == "active":
        following = exact(changed.next_slot)
        write(f"schedule '{changed.schedule}' is changed, its next slot is {following}")
    else:
        write(f"schedule '{changed.schedule}' is changed, and still {changed.version.state}")


def _instant(given: str | None, now: datetime) -> datetime | UnsetType | None:
    if given is None:
        return UNSET
    return None if given == "none" else read_instant(given, now)
