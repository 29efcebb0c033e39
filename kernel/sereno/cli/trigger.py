"""``sereno trigger``: queues a run, and may wait for its end."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import click
from msgspec.structs import asdict

from sereno.cli.chain_page import follow_chain
from sereno.cli.failure import remark
from sereno.cli.instants import read_instant
from sereno.cli.invocation import Invocation
from sereno.cli.moments import exact
from sereno.cli.options import DURATION, as_json, pass_invocation
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
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="It is found by; repeat.")
@click.option("--alone", is_flag=True, help="Only this job: what is chained after it does not run.")
@click.option(
    "--place", metavar="HOST", help="Of a job that works at each host or node: at this one alone."
)
@click.option(
    "--start-by", type=DURATION, help="Not begun within so long of its instant, it never is."
)
@click.option(
    "--unique-for",
    metavar="DURATION",
    type=DURATION,
    help="Nor for that long: by the key, or by the params. [default: as the job says; 0s: it may]",
)
@click.option(
    "--unique-by", metavar="PARAM", multiple=True, help="A param that makes the key; repeat."
)
@click.option(
    "--traceparent",
    metavar="W3C",
    callback=lambda context, option, value: _trace(value),
    help="What the run's spans belong below. [default: $TRACEPARENT]",
)
@click.option("--chain", is_flag=True, help="With --wait: for what follows too; exit by the worst.")
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
    place: str | None,
    start_by: timedelta | None,
    tags: tuple[str, ...],
    alone: bool,
    unique_for: timedelta | None,
    unique_by: tuple[str, ...],
    traceparent: str | None,
    chain: bool,
    wait: bool,
    timeout: timedelta | None,
    reveal: bool,
    as_json: bool,
) -> None:
    """Queue a run of JOB, now or later.

    A param that is JSON counts as that, any other as text: -p full=true -p site=madrid.
    """
    check_waiting(wait, timeout)
    _check_chain(chain, wait=wait, alone=alone)
    params = read_params(pairs, document, _declared(invocation, job))

    async def asked(client: Client) -> tuple[Requested, RunDetail | None]:
        run_at = None if at is None else _future(at, await client.now())
        patience = (timeout or _PATIENCE) if wait and job in invocation.registry.jobs else None
        return await _brought(
            client,
            job,
            patience,
            lambda: client.request(
                job,
                params,
                run_at=run_at,
                priority=priority,
                unique_key=unique_key,
                start_by=start_by,
                tags=tags,
                unique_for=unique_for,
                unique_by=unique_by or None,
                traceparent=traceparent,
                alone=alone,
                place=place,
                by_person=True,
            ),
        )

    found, run = ask(invocation, asked)
    if wait and chain and run is not None:
        follow_chain(invocation, found.run_id, timeout, as_json=as_json)
    elif wait and run is not None:
        follow(invocation, found.run_id, timeout, reveal=reveal, as_json=as_json)
    else:
        _print(job, found, run, later=at is not None, alone=alone, as_json=as_json)


def _print(
    job: str, found: Requested, run: RunDetail | None, *, later: bool, alone: bool, as_json: bool
) -> None:
    if as_json:
        write_json({**_facts(job, found, run), "new": found.new})
    else:
        write(_sentence(job, found, later=later, alone=alone))


def _check_chain(chain: bool, *, wait: bool, alone: bool) -> None:
    if chain and (alone or not wait):
        raise click.UsageError("--chain says what --wait waits for, and nothing follows --alone")


def _facts(job: str, found: Requested, run: RunDetail | None) -> dict[str, Any]:
    facts = {"run": found.run_id, "job": job, **asdict(found)} if run is None else run.facts()
    return facts if found.new else {**facts, "held_until": found.held_until}


def _sentence(job: str, found: Requested, *, later: bool, alone: bool) -> str:
    run_id = found.run_id
    if found.new:
        when = f", to start at {exact(found.run_at)}" if later else ""
        when = f", alone{when}" if alone else when
        return f"run {run_id} of job '{job}' is queued{when}; `sereno show {run_id}` tells of it"
    return f"run {run_id} of job '{job}' has that unique key, and {_standing(found)}"


def _standing(found: Requested) -> str:
    """Return how the run stands that holds a key, and until when it does."""
    ended = f" since {exact(found.finished_at)}" if found.finished_at else ""
    held = f", held until {exact(found.held_until)}" if found.held_until else ""
    return f"is {found.state or 'deleted'}{ended}; it was queued at {exact(found.queued_at)}{held}"


async def _brought(
    client: Client,
    job: str,
    patience: timedelta | None,
    request: Callable[[], Awaitable[Requested]],
) -> tuple[Requested, RunDetail | None]:
    """Return what `request` does, and the run unless it is pruned and its key held on.

    `patience`: for how long to wait until a replica has brought the job to the database, as one
    that has just been started does; None: not at all.
    """
    found = await _once_declared(job, patience, request)
    with suppress(NotFoundError):
        return found, await client.run(found.run_id, lines=0)
    return found, None


async def _once_declared(
    job: str, patience: timedelta | None, request: Callable[[], Awaitable[Requested]]
) -> Requested:
    tries = 0 if patience is None else int(min(patience, _PATIENCE) / _POLL_EVERY)
    for number in range(tries):
        try:
            return await request()
        except (NotFoundError, SchemaError):
            if number == 0:
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
