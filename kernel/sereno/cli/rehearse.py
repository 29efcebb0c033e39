"""``sereno rehearse``: plays the coming days, as they stand or with a change that is not made."""

import tomllib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
import msgspec

from sereno.cli.invocation import Invocation
from sereno.cli.moments import lasting, moment
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import styled, title, write, write_json, write_table
from sereno.cli.query import ask
from sereno.cli.rehearsed_words import hindrance_words, pool_words, trouble_words
from sereno.cli.table import Cell, TableColumn
from sereno.client import Client, Rehearsal, RehearsedCourse
from sereno.model.errors import ParamsError
from sereno.model.rehearsal import TROUBLES, Pace
from sereno.observe.complaint import FAILED

_FAULTS = ("skipped", "late", "missed", "timed_out", "cancelled", "waits", "full")
_SHOWN = 50
_MOST_BYTES = 1_048_576
_COLUMNS = (
    TableColumn("what"),
    TableColumn("schedule or job", grows=True),
    TableColumn("times", right=True),
    TableColumn("first"),
    TableColumn("last", drop=1),
    TableColumn("longest", right=True, drop=2),
    TableColumn("because of", grows=True),
)


@click.command("rehearse")
@click.option(
    "--days",
    type=click.FloatRange(min=0, min_open=True, max=92),
    default=7.0,
    metavar="N",
    help="How many days are played. [default: 7]",
)
@click.option(
    "--with",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A change that is not made yet, as TOML or JSON.",
)
@click.option(
    "--pace",
    type=click.Choice(["usual", "slow"]),
    default="usual",
    help="By durations as they mostly are (p50), or slow ones (p99). [default: usual]",
)
@click.option(
    "--fail-on",
    "faults",
    type=click.Choice(_FAULTS),
    multiple=True,
    metavar="WHAT",
    help=f"Exit code 1 where this would happen: {', '.join(_FAULTS)}; may be repeated.",
)
@as_json
@pass_invocation
def command(
    invocation: Invocation,
    days: float,
    file: Path | None,
    pace: Pace,
    faults: tuple[str, ...],
    as_json: bool,
) -> None:
    """Play the coming days: what would wait, be skipped, be late, fill a pool, and when.

    Nothing is changed, and no run is made.
    """
    change = None if file is None else _read(file)
    span = timedelta(days=days)

    async def question(client: Client) -> tuple[Rehearsal, Rehearsal | None]:
        found = await client.rehearse(span, change=change)
        return found, None if change is None else await client.rehearse(span)

    found, before = ask(invocation, question)
    happens = {fault: count for fault in faults if (count := _count(found.course(pace), fault))}
    if as_json:
        write_json(_as_json(found, before, happens))
    else:
        _print(found, before, pace)
        _conclude(faults, happens, pace)
    if happens:
        raise click.exceptions.Exit(FAILED)


def _read(file: Path) -> dict[str, Any]:
    """Return the change that a file holds; raises ParamsError."""
    content = file.read_bytes()
    if len(content) > _MOST_BYTES:
        raise ParamsError(f"{file} is longer than {_MOST_BYTES:,} bytes")
    try:
        if file.suffix == ".json":
            found = msgspec.json.decode(content)
        else:
            found = tomllib.loads(content.decode())
    except (msgspec.DecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError, ValueError) as error:
        kind = "JSON" if file.suffix == ".json" else "TOML"
        raise ParamsError(f"{file} cannot be read as {kind}: {error}") from None
    if not isinstance(found, dict):
        raise ParamsError(f"{file} holds no table of what is to be another")
    return found


def _count(course: RehearsedCourse, fault: str) -> int:
    if fault == "full":
        return sum(pool.full for pool in course.pools)
    return next(count for trouble, count in course.troubles.items() if trouble == fault)


def _print(found: Rehearsal, before: Rehearsal | None, pace: Pace) -> None:
    write(f"from {moment(found.since, found.since)} to {moment(found.until, found.since)}")
    if not found.whole:
        write(styled("so much is due that it was played only so far", "yellow"))
    _print_counts(found, before)
    course = found.course(pace)
    title("at a slow pace (p99)" if pace == "slow" else "at the usual pace (p50)")
    rows = list(_rows(course, found.since))
    write_table(_COLUMNS, rows[:_SHOWN], "nothing waits, and nothing is left out")
    if len(rows) > _SHOWN:
        write(f"{len(rows) - _SHOWN:,} more; --json has all")
    for sentence in pool_words(course.pools, found.since):
        write(sentence, wrap=True)
    if found.unmeasured:
        names = ", ".join(found.unmeasured[:10])
        more = f" and {len(found.unmeasured) - 10:,} more" if len(found.unmeasured) > 10 else ""
        write(f"never measured, and played as if they took no time: {names}{more}", wrap=True)
    for name, reason in found.unread.items():
        write(styled(f"'{name}' cannot be played: {reason}", "yellow"), wrap=True)


def _print_counts(found: Rehearsal, before: Rehearsal | None) -> None:
    """Write what would happen at either pace, beside how it is without the change."""
    labels = ["usual", "slow"] if before is None else ["usual: now", "then", "slow: now", "then "]
    courses = [found.usual, found.slow]
    if before is not None:
        courses = [before.usual, found.usual, before.slow, found.slow]
    counts: list[list[Cell]] = [
        ["slots due", *(f"{course.slots:,}" for course in courses)],
        ["begin at once", *(f"{course.started:,}" for course in courses)],
    ]
    for trouble in TROUBLES:
        told = [course.troubles[trouble] for course in courses]
        if any(told):
            counts.append([trouble_words(trouble), *(f"{count:,}" for count in told)])
    columns = [TableColumn(""), *(TableColumn(label, right=True) for label in labels)]
    write_table(columns, counts)


def _rows(course: RehearsedCourse, now: datetime) -> Iterator[Sequence[Cell]]:
    for one in course.findings:
        longest = "" if one.longest is None else lasting(one.longest)
        because = hindrance_words(one)
        first, last = moment(one.first, now), moment(one.last, now) if one.count > 1 else ""
        name = one.schedule or f"{one.job}, which follows"
        yield [trouble_words(one.trouble), name, f"{one.count:,}", first, last, longest, because]


def _conclude(faults: Sequence[str], happens: dict[str, int], pace: Pace) -> None:
    if happens:
        told = ", ".join(f"{trouble_words(f)} {count:,}" for f, count in happens.items())
        write(styled(f"it would not go well: {told}", "red"), wrap=True)
    elif faults:
        names = ", ".join(trouble_words(fault) for fault in faults)
        write(f"it would go well: of {names} there is nothing at the {pace} pace", wrap=True)


def _as_json(found: Rehearsal, before: Rehearsal | None, happens: dict[str, int]) -> dict[str, Any]:
    told = msgspec.to_builtins(found, builtin_types=(datetime, timedelta))
    now = (
        None if before is None else msgspec.to_builtins(before, builtin_types=(datetime, timedelta))
    )
    return {"ok": not happens, "happens": happens, **told, "before": now}
