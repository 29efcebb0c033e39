"""``sereno audit``: the trail, who changed what and why."""

from datetime import datetime, timedelta
from typing import Any

import click
import msgspec

from sereno.cli.invocation import Invocation
from sereno.cli.moments import moment
from sereno.cli.options import DURATION, as_json, pass_invocation
from sereno.cli.output import write_json, write_table
from sereno.cli.policy_text import legible_version
from sereno.cli.query import ask
from sereno.cli.table import Cell, TableColumn
from sereno.client import ChangeView, Client

_COLUMNS = (
    TableColumn("at"),
    TableColumn("by"),
    TableColumn("action"),
    TableColumn("subject"),
    TableColumn("reason", grows=True, drop=1),
    TableColumn("became", cut=True, drop=2),
)


@click.command("audit")
@click.option("--subject", metavar="JOB|SCHEDULE", help="Only changes of this one.")
@click.option("--by", metavar="WHO", help="Only what WHO changed: ann@host, or ann.")
@click.option("--since", type=DURATION, metavar="DURATION", help="Only the last so long, as 30d.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@as_json
@pass_invocation
def command(
    invocation: Invocation,
    subject: str | None,
    by: str | None,
    since: timedelta | None,
    limit: int,
    as_json: bool,
) -> None:
    """List who changed what and why, the newest first.

    It is kept for two years, or as long as the history job says.
    """

    async def question(client: Client) -> tuple[list[ChangeView], datetime]:
        found: list[ChangeView] = []
        asked: str | None = None
        while True:  # a page that is not whole goes on behind its cursor
            page = await client.changes(
                subject=subject, since=since, by=by, limit=limit - len(found), cursor=asked
            )
            found += page.items
            asked = page.older
            if page.whole or asked is None or len(found) >= limit:
                return found, await client.now()

    found, now = ask(invocation, question)
    if as_json:
        write_json(found)
        return
    of, whose = f" of '{subject}'" if subject else "", f" by '{by}'" if by else ""
    young = " that young" if since else ""
    write_table(_COLUMNS, [_row(c, now) for c in found], f"no change{of}{whose}{young} is kept")


def _row(change: ChangeView, now: datetime) -> list[Cell]:
    return [
        moment(change.at, now),
        change.by,
        change.action,
        change.subject,
        change.reason,
        _became(change),
    ]


def _became(change: ChangeView) -> str:
    if change.before is None:
        return "" if change.after is None else _text(change.after)
    return f"{_text(change.before)} -> {_text(change.after)}"


def _text(value: Any) -> str:
    return msgspec.json.encode(
        legible_version(value) if isinstance(value, dict) else value
    ).decode()
