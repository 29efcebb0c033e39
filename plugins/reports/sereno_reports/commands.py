"""``sereno reports``: list, show and export what is kept."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import click
import msgspec

from sereno_reports import shelf
from sereno_reports.database import connected
from sereno_reports.figures import Figures
from sereno_reports.summary import summary

T = TypeVar("T")

_VARIABLE = "SERENO_DATABASE_URL"
_DAY = click.DateTime(formats=["%Y-%m-%d"])
_database = click.option(
    "--database-url", help="Where the reports are kept; the kernel's own database when not given."
)
_json = click.option("--json", "as_json", is_flag=True, help="Write JSON.")
_revision = click.option("--revision", type=click.IntRange(1), help="The newest when not given.")
_params = click.option("--params", default="", help="As listed; the one made last when not given.")


@click.group()
def reports() -> None:
    """List, show and export the daily reports."""


@reports.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=30, show_default=True)
@_json
@_database
@click.pass_obj
def list_reports(obj: Any, limit: int, as_json: bool, database_url: str | None) -> None:
    """List the reports, the newest day first."""
    rows = _ask(obj, database_url, lambda database: shelf.newest(database, limit))
    if as_json:
        click.echo(_dump([_listed(row) for row in rows]))
        return
    if not rows:
        click.echo("no report is kept yet; make one with: sereno trigger reports.daily --wait")
        return
    line = "{:<10}  {:<7}  {:<6}  {:>3}  {:>7}  {:>8}  {:>9}  {:<16}  {}"
    click.echo(
        line.format(
            *(
                "DAY",
                "NAME",
                "PARAMS",
                "REV",
                "OFFERED",
                "ANSWERED",
                "ABANDONED",
                "MADE (UTC)",
                "ZONE",
            )
        )
    )
    for row in rows:
        total = msgspec.convert(row["figures"], Figures).total
        made = f"{row['created_at'].astimezone(UTC):%Y-%m-%d %H:%M}"
        zone = row["zone"] + ("  (day not over)" if row["partial"] else "")
        counts = (total.offered, total.answered, total.abandoned)
        known = (str(row["day"]), row["name"], row["params_hash"][:6], row["revision"])
        click.echo(line.format(*known, *counts, made, zone))


@reports.command()
@click.argument("day", type=_DAY)
@_revision
@_params
@_json
@_database
@click.pass_obj
def show(
    obj: Any,
    day: datetime,
    revision: int | None,
    params: str,
    as_json: bool,
    database_url: str | None,
) -> None:
    """Show the figures of DAY (as 2026-01-31)."""
    row = _find(obj, database_url, day.date(), revision, params)
    if as_json:
        click.echo(_dump(_listed(row) | {"figures": row["figures"]}))
    else:
        click.echo(summary(msgspec.convert(row["figures"], Figures), row["revision"]))


@reports.command()
@click.argument("day", type=_DAY)
@click.option("--format", "form", type=click.Choice(["html", "csv", "json"]), default="html")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path))
@_revision
@_params
@_json
@_database
@click.pass_obj
def export(
    obj: Any,
    day: datetime,
    form: str,
    output: Path | None,
    revision: int | None,
    params: str,
    as_json: bool,
    database_url: str | None,
) -> None:
    """Write the report of DAY to a file, or to standard output when no file is named."""
    row = _find(obj, database_url, day.date(), revision, params)
    content = _dump(row["figures"]) + "\n" if form == "json" else row[form]
    if output is None:
        click.echo(content.encode(), nl=False)
        return
    try:
        # A byte-order mark: without it a spreadsheet takes the accents for something else.
        output.write_bytes(content.encode("utf-8-sig" if form == "csv" else "utf-8"))
    except OSError as error:
        raise click.ClickException(f"'{output}' cannot be written: {error.strerror}") from error
    told = {"file": str(output), "format": form, "revision": row["revision"]}
    click.echo(_dump(told) if as_json else f"{output}: revision {row['revision']} of {row['day']}")


def _find(
    obj: Any, database_url: str | None, day: date, revision: int | None, params: str
) -> dict[str, Any]:
    row = _ask(obj, database_url, lambda database: shelf.find(database, day, revision, params))
    if row is None:
        which = "" if revision is None else f" with revision {revision}"
        which += f" and params {params}" if params else ""
        raise click.ClickException(
            f"no report of {day}{which} is kept; make one with: "
            f"sereno trigger reports.daily -p day={day} --wait"
        )
    return row


def _ask(obj: Any, database_url: str | None, ask: Callable[[Any], Awaitable[T]]) -> T:
    """Connect, ask and disconnect; what goes wrong ends as a sentence."""
    # The kernel's comes before the environment: it knows what "embedded" stands for.
    url = database_url or getattr(obj, "database_url", None) or os.environ.get(_VARIABLE)
    if not url:
        raise click.UsageError(f"no database is known; give --database-url or set {_VARIABLE}")

    async def asked() -> T:
        async with connected(url) as database:
            return await ask(database)

    try:
        return asyncio.run(asked())
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise click.ClickException(
            f"the reports cannot be read: {error or type(error).__name__}"
        ) from error


def _listed(row: dict[str, Any]) -> dict[str, Any]:
    """Return what a listing says of a report: neither its texts nor all its figures."""
    found = {
        name: row[name] for name in ("name", "day", "zone", "revision", "partial", "created_at")
    }
    return found | {"params": row["params_hash"], "total": row["figures"]["total"]}


def _dump(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
