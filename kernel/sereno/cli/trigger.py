"""``sereno trigger``: queues a run, and may wait for its end."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import click

from sereno.cli.failure import remark
from sereno.cli.instants import read_instant
from sereno.cli.invocation import Invocation
from sereno.cli.moments import exact
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import write, write_json
from sereno.cli.params import read_params
from sereno.cli.query import ask
from sereno.cli.run_follower import check_waiting, follow, waiting_options
from sereno.client import Client, Requested, RunDetail
from sereno.model.errors import NotFoundError, SchemaError
from sereno.model.job import Job
from sereno.model.trace import is_traceparent

_POLL_EVERY, _PATIENCE = timedelta(milliseconds=200), timedelta(seconds=30)


@click.command("trigger")
@click.argument("job")
@click.option(
    "-p", "--param", "pairs", metavar="KEY=VALUE", multiple=True, help="One param; repeat."
)
@click.option("--params", "document", metavar="JSON", help="All params as one JSON object.")
@click.option("--at", metavar="TIME", help="When: 2026-03-01T08:00, 08:00 or +10m. [default: now]")
@click.option("--priority", type=click.IntRange(-32768, 32767), help="The higher starts first.")
@click.option(
    "--unique-key", metavar="KEY", help="Not again while a run with this key is not over."
)
@click.option(
    "--traceparent",
    metavar="W3C",
    callback=lambda context, option, value: _trace(value),
    help="What the run's spans belong below. [default: $TRACEPARENT]",
)
@waiting_options
@as_json
@pass_invocation
def command(
    invocation: Invocation,
    job: str,
    pairs: tuple[str, ...],
    document: str | None,
    at: str | None,
    priority: int | None,
    unique_key: str | None,
    traceparent: str | None,
    wait: bool,
    timeout: timedelta | None,
    reveal: bool,
    as_json: bool,
) -> None:
    """Queue a run of JOB, now or later.

    A param that is JSON counts as that, any other as text: -p full=true -p site=madrid.
    """
    check_waiting(wait, timeout)
    params = read_params(pairs, document, _declared(invocation, job))

    async def asked(client: Client) -> tuple[Requested, RunDetail]:
        run_at = None if at is None else _future(at, await client.now())
        patience = (timeout or _PATIENCE) if wait and job in invocation.registry.jobs else None
        found = await _brought(
            job,
            patience,
            lambda: client.request(
                job,
                params,
                run_at=run_at,
                priority=priority,
                unique_key=unique_key,
                traceparent=traceparent,
                by_person=True,
            ),
        )
        return found, await client.run(found.run_id, lines=0)

    found, run = ask(invocation, asked)
    run_id = found.run_id
    if wait:
        follow(invocation, run_id, timeout, reveal=reveal, as_json=as_json)
    elif as_json:
        write_json({**run.facts(), "new": found.new})
    elif not found.new:
        write(f"run {run_id} of job '{job}' has that unique key, and is {found.state}")
    else:
        when = f", to start at {exact(found.run_at)}" if at else ""
        write(f"run {run_id} of job '{job}' is queued{when}; `sereno show {run_id}` tells of it")


async def _brought(
    job: str, patience: timedelta | None, request: Callable[[], Awaitable[Requested]]
) -> Requested:
    """Return what `request` does, once a replica has brought the job to the database, as one that
    has just been started; for how long that is waited for, None for not at all."""
    looks = 0 if patience is None else int(min(patience, _PATIENCE) / _POLL_EVERY)
    for look in range(looks):
        try:
            return await request()
        except (NotFoundError, SchemaError):
            if look == 0:
                remark(f"no replica has brought job '{job}' yet; `sereno run` starts one, waiting")
            await asyncio.sleep(_POLL_EVERY.total_seconds())
    return await request()


def _trace(given: str | None) -> str | None:
    """Return the trace context that is given, or else that of this process, if it has one."""
    if given is None:
        found = os.environ.get("TRACEPARENT", "")
        return found if is_traceparent(found) else None
    if not is_traceparent(given):
        raise click.BadParameter(
            f"'{given:.80}' is no traceparent, write it like "
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        )
    return given


def _declared(invocation: Invocation, name: str) -> Job | None:
    """Return the job as this machine's plugins declare it; without it, the database is to judge."""
    job = invocation.registry.jobs.get(name)
    failed = [r.name for r in invocation.registry.records.values() if r.state == "failed"]
    if job is None and failed:
        remark(f"job '{name}' is not declared here; not loaded: {', '.join(failed)}")
    return job


def _future(text: str, now: Any) -> datetime:
    found = read_instant(text, now)
    if found <= now:
        raise click.UsageError(
            f"--at {text}: {exact(found)} is in the past, it is {exact(now)}; "
            "leave --at out to run now"
        )
    return found
