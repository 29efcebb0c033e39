"""``sereno reports``: list, show and export what is kept, and tell of deliveries."""

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
from sereno_reports.declared import Declared
from sereno_reports.figures import Figures
from sereno_reports.forms import FORMS, Form, FormError, given_out
from sereno_reports.paper import PaperError
from sereno_reports.sheet import MARK
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


_name = click.option("--name", default="daily", show_default=True, help="Which report.")
_recipient = click.option("--recipient", help="Whose, where each recipient has a report.")
_language = click.option(
    "--language", type=click.Choice(["es", "en"]), help="As kept if not given."
)


@click.group()
def reports() -> None:
    """List, show and export the reports, and what became of their deliveries."""


@reports.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=30, show_default=True)
@click.option("--name", help="Only this report.")
@_json
@_database
@click.pass_obj
def list_reports(
    obj: Any, limit: int, name: str | None, as_json: bool, database_url: str | None
) -> None:
    """List the reports, the newest day first."""
    rows = _ask(obj, database_url, lambda database: shelf.newest(database, limit, name))
    if as_json:
        click.echo(_dump([_listed(row) for row in rows]))
        return
    if not rows:
        if name is not None:
            click.echo(f"no report '{name}' is kept yet")
        else:
            click.echo("no report is kept yet; make one with: sereno trigger reports.daily --wait")
        return
    line = "{:<10}  {:<12}  {:<6}  {:>3}  {:<16}  {}"
    click.echo(line.format("DAY", "NAME", "PARAMS", "REV", "MADE (UTC)", "FIGURES"))
    for row in rows:
        made = f"{row['created_at'].astimezone(UTC):%Y-%m-%d %H:%M}"
        told = ", ".join(f"{name} {count}" for name, count in _counts(row).items())
        state = "not over: " if row["partial"] else ""
        known = (str(row["day"]), row["name"], row["params_hash"][:6], row["revision"])
        click.echo(line.format(*known, made, f"{state}{told}"))


@reports.command()
@click.argument("day", type=_DAY)
@_name
@_recipient
@_revision
@_params
@_language
@_json
@_database
@click.pass_obj
def show(obj: Any, /, day: datetime, **options: Any) -> None:
    """Show the figures of DAY (as 2026-01-31), the first day of a week or month."""
    row = _find(obj, day.date(), options)
    if options["as_json"]:
        click.echo(_dump(_listed(row) | {"figures": row["figures"]}))
    elif "declared" in (row["look"] or {}):
        click.echo(summary(row, options["language"] or "en"))
    else:
        click.echo(f"{row['day']}: made by an earlier version; export it as html, csv or json")


@reports.command()
@click.argument("day", type=_DAY)
@click.option("--format", "form", type=click.Choice(FORMS), default="html")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--table", help="One table alone, as CSV.")
@_name
@_recipient
@_revision
@_params
@_language
@_json
@_database
@click.pass_obj
def export(
    obj: Any, /, day: datetime, form: Form, output: Path | None, table: str | None, **options: Any
) -> None:
    """Write the report of DAY to a file, or to standard output when no file is named."""
    if table is not None and form != "csv":
        raise click.UsageError("--table is of a CSV: give --format csv")
    row = _find(obj, day.date(), options)
    try:
        content = given_out(row, form, language=options["language"], table=table)
    except (FormError, PaperError) as error:
        raise click.ClickException(str(error)) from error
    if output is None:
        click.echo(content.removeprefix(MARK.encode()), nl=False)
        return
    try:
        output.write_bytes(content)
    except OSError as error:
        raise click.ClickException(f"'{output}' cannot be written: {error.strerror}") from error
    told = {"file": str(output), "format": form, "revision": row["revision"]}
    spoken = f"{output}: revision {row['revision']} of {row['day']}"
    click.echo(_dump(told) if options["as_json"] else spoken)


@reports.command("deliveries")
@click.option("--limit", type=click.IntRange(1, 10_000), default=30, show_default=True)
@_json
@_database
@click.pass_obj
def list_deliveries(obj: Any, limit: int, as_json: bool, database_url: str | None) -> None:
    """List what was delivered, to whom, and what has not arrived."""
    kernel_url = getattr(obj, "database_url", None) or database_url

    async def asked(database: Any) -> list[dict[str, Any]]:
        if kernel_url in (None, database_url):
            return await shelf.deliveries(database, database, limit)
        async with connected(kernel_url) as kernel:
            return await shelf.deliveries(database, kernel, limit)

    rows = _ask(obj, database_url, asked)
    if as_json:
        click.echo(_dump(rows))
        return
    if not rows:
        click.echo(
            "nothing was delivered yet; set plugins.reports.deliver_dir, recipients or routed"
        )
    for row in rows:
        told = f"{row['day']}  {row['name']:<12}  r{row['revision']}  {row['state']:<8}"
        error = f"  ({row['attempts']} tries: {row['error']})" if row["error"] else ""
        carrier = f" by {row['notifier']}" if row["notifier"] else ""
        click.echo(f"{told}  {row['channel']} {row['address']}".rstrip() + carrier + error)


def _find(obj: Any, day: date, options: dict[str, Any]) -> dict[str, Any]:
    name, revision, params = options["name"], options["revision"], options["params"]
    recipient = options["recipient"]

    async def asked(database: Any) -> dict[str, Any] | None:
        return await shelf.find(
            database, name, day, revision=revision, params=params, recipient=recipient
        )

    row = _ask(obj, options["database_url"], asked)
    if row is None:
        which = "" if revision is None else f" with revision {revision}"
        which += f" and params {params}" if params else ""
        which += f" for {recipient}" if recipient else ""
        subject = "no report" if name == "daily" else f"no report '{name}'"
        raise click.ClickException(
            f"{subject} of {day}{which} is kept; make one with: "
            f"sereno trigger reports.{name} -p day={day} --wait"
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
        name: row[name]
        for name in ("name", "day", "zone", "recipient", "revision", "partial", "created_at")
    }
    return found | {"params": row["params_hash"], "total": _head(row)}


def _head(row: dict[str, Any]) -> dict[str, Any]:
    if "declared" not in (row["look"] or {}):  # of an earlier version
        total: dict[str, Any] = row["figures"].get("total", {})
        return total
    declared = msgspec.convert(row["look"]["declared"], Declared)
    return msgspec.convert(row["figures"], Figures).head(declared.head)


def _counts(row: dict[str, Any]) -> dict[str, Any]:
    """Return the figures that a line has room for."""
    if "declared" not in (row["look"] or {}):
        return {}
    declared, head = msgspec.convert(row["look"]["declared"], Declared), _head(row)
    chosen = [card for card in declared.cards if not card.hidden and card.unit == "count"]
    return {card.name: head.get(card.name) for card in chosen[:3]}


def _dump(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
