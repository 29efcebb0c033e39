"""``sereno logs``: what runs have said, the last lines of all or of one, and what they say now."""

from collections.abc import AsyncIterator
from datetime import timedelta

import click
import msgspec
from rich.text import Text

from sereno.cli.instants import read_instant
from sereno.cli.invocation import Invocation
from sereno.cli.moments import exact
from sereno.cli.options import RUN, as_json, pass_invocation
from sereno.cli.output import styled, write, write_json
from sereno.cli.query import ask
from sereno.client import Client, LogEntry, LogFilter
from sereno.model.text import visible_line
from sereno.observe.complaint import INTERRUPTED

_LEVELS = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red", "DEBUG": "dim"}
_LAST = timedelta(seconds=1)


@click.command("logs")
@click.argument("target", metavar="[RUN|JOB|PATTERN]", required=False)
@click.option("--level", metavar="LEVEL", help="The least: debug, info, warning, error, critical.")
@click.option("--text", metavar="TEXT", help="Only lines with this, in whatever case.")
@click.option("--since", metavar="TIME", help="Only what was said then or later: -10m, 08:00.")
@click.option("--until", metavar="TIME", help="Only what was said before.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on with what is said.")
@as_json
@pass_invocation
def command(
    invocation: Invocation,
    target: str | None,
    level: str | None,
    text: str | None,
    since: str | None,
    until: str | None,
    limit: int,
    follows: bool,
    as_json: bool,
) -> None:
    """Print the last log lines of all runs, of RUN, or of JOB; the oldest first.

    With --follow goes on with those that come: to the end of RUN, else until Ctrl-C. With --json
    one object a line then.
    """
    number = target if target and target.isascii() and target.isdecimal() else None
    if number is not None and (level or text or since or until):
        raise click.UsageError("--level, --text, --since and --until belong to logs of many runs")

    async def question(client: Client) -> list[LogEntry]:
        if number is not None:
            return await _of_run(client, RUN.convert(number, None, None), limit, follows, as_json)
        now = await client.now()
        wanted = LogFilter(
            level=level,
            job=target,
            text=text,
            since=None if since is None else read_instant(since, now),
            until=None if until is None else read_instant(until, now),
        )
        return await _of_all(client, wanted, limit, follows, as_json)

    try:
        found = ask(invocation, question)
    except KeyboardInterrupt:
        click.echo(err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
    if follows:
        return
    if as_json:
        write_json(found)
        return
    for line in found:
        _write(line)


async def _of_run(
    client: Client, run: int, limit: int, follows: bool, as_json: bool
) -> list[LogEntry]:
    await client.run(run, lines=0)
    found: list[LogEntry] = []
    while lines := await client.log(run, after=found[-1] if found else None):
        found = [*found, *lines][-limit:]
    if follows:
        _write_all(found, as_json)
        await _go_on(client.follow(run, after=found[-1] if found else None), as_json)
    return found


async def _of_all(
    client: Client, wanted: LogFilter, limit: int, follows: bool, as_json: bool
) -> list[LogEntry]:
    page = await client.logs(wanted, limit=limit)
    found = [*page.items]
    while len(found) < limit and page.older is not None:
        page = await client.logs(wanted, limit=limit, cursor=page.older)
        found += page.items
    found = found[:limit][::-1]
    if follows:
        _write_all(found, as_json)
        known = {(e.run_id, e.attempt, e.line) for e in found}
        since = found[-1].at if found else (await client.now()) - _LAST
        wanted = msgspec.structs.replace(wanted, since=since)
        coming = client.follow_logs(wanted)
        await _go_on(
            (e async for e in coming if (e.run_id, e.attempt, e.line) not in known), as_json
        )
    return found


async def _go_on(lines: AsyncIterator[LogEntry], as_json: bool) -> None:
    async for line in lines:
        _write_all([line], as_json)


def _write_all(lines: list[LogEntry], as_json: bool) -> None:
    for line in lines:
        if as_json:
            click.echo(msgspec.json.encode(line).decode())
        else:
            _write(line)


def _write(line: LogEntry) -> None:
    head = f"{exact(line.at)} {line.job} {line.run_id} "
    level = Text(f"{line.level:<8}", style=_LEVELS.get(line.level, ""))
    write(Text.assemble(styled(head, "dim"), level, f" {visible_line(line.message)}"))
