"""``sereno schedule add``: one more schedule of a job, made by a person."""

from datetime import timedelta

import click

from sereno.cli.instants import read_instant
from sereno.cli.invocation import Invocation
from sereno.cli.moments import exact
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import write, write_json
from sereno.cli.params import read_params
from sereno.cli.query import ask
from sereno.cli.schedule_fit import declared_job, read_policies
from sereno.cli.schedule_options import schedule_options
from sereno.client import Client, ScheduleAdded
from sereno.triggers import parse


@click.command("add")
@click.argument("job")
@click.argument("trigger", nargs=-1, required=True)
@click.option("--label", default="", metavar="LABEL", help="Its name is then JOB@LABEL.")
@click.option("--except-on", multiple=True, metavar="CALENDAR", help="Not on its days; repeat.")
@click.option("--only-on", multiple=True, metavar="CALENDAR", help="On its days alone; repeat.")
@schedule_options
@as_json
@pass_invocation
def command(
    invocation: Invocation,
    job: str,
    trigger: tuple[str, ...],
    label: str,
    except_on: tuple[str, ...],
    only_on: tuple[str, ...],
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
    as_json: bool,
) -> None:
    """Add a schedule to JOB: sereno schedule add etl.sync 'cron 0 23 L * * UTC' --label month_end

    It stands beside those of plugins and configuration until it is removed.
    """
    known = declared_job(invocation, job)
    name = f"{job}@{label}" if label else job
    text = parse(" ".join(trigger)).text
    params = read_params(pairs, None, known)
    chosen = read_policies(policies, known, f"schedule '{name}'")

    async def question(client: Client) -> ScheduleAdded:
        await client.job(job)
        now = await client.now()
        return await client.add_schedule(
            job,
            text,
            label=label,
            params=params,
            start=None if start is None else read_instant(start, now),
            end=None if end is None else read_instant(end, now),
            jitter=jitter,
            policies=chosen,
            title=title or "",
            tags=tags,
            one_off=bool(one_off),
            at_start=bool(at_start),
            except_on=except_on,
            only_on=only_on,
            reason=reason,
        )

    first = ask(invocation, question).next_slot
    if as_json:
        write_json({"schedule": name, "job": job, "trigger": text, "next_slot": first})
    else:
        write(f"schedule '{name}' is added, its first slot is {exact(first)}")
