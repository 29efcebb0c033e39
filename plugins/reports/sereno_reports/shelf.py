"""Where reports are kept: one row for each revision of a report.

A report is (name, first day, params_hash). The same figures make no new revision, whatever
language they are written in: the texts alone are written anew, and what stands beside them. Other
figures (late rows) make the next one. A period that is not over has one revision, written over
until it is over.
"""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import msgspec

from sereno import Migrations, apply_migrations
from sereno_reports.addressee import Addressee
from sereno_reports.figures import Figures
from sereno_reports.forms import FormError
from sereno_reports.look import Look
from sereno_reports.query import query
from sereno_reports.settings import Settings

TABLE = "sereno_reports.report"
_DELIVERIES = "sereno_reports.delivery"  # what earlier versions lack
_NOTIFICATIONS = "sereno_notify.notification"  # where what carries messages is installed
_TABLES = Migrations(schema="sereno_reports", package="sereno_reports")
_MADE = (_DELIVERIES, "sereno_reports.delivery_queued")
"""What each migration makes: where it is missing, so is the migration."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One revision, ready to be kept, and whom it is for."""

    params_hash: str
    figures: Figures
    look: Look
    html: str
    csv: str
    addressees: tuple[Addressee, ...] = ()

    @property
    def day(self) -> date:
        """Return the first day that it is about."""
        return date.fromisoformat(self.figures.day)


class Kept(msgspec.Struct, frozen=True):
    """What became of a report: its revision, and whether that counts anything else."""

    revision: int
    changed: bool


async def prepare(connection: Any) -> None:
    """Make reports of earlier versions this one's; and the tables, in a database of the plugin's
    own, where the kernel makes none.

    Safe when several do it at once.
    """
    missing = [made for made in _MADE if await connection.fetchval(query("exists"), made) is None]
    if missing:  # never in the kernel's database, where a start has made them
        await apply_migrations(connection, _TABLES)
    zones = [row["zone"] for row in await connection.fetch(query("old_zones"))]
    if zones:
        hashes = [Settings(zone=zone).digest() for zone in zones]
        async with connection.transaction():
            await connection.execute(query("lock_shelf"), "table")
            await connection.execute(query("adopt"), zones, hashes)


async def keep(connection: Any, report: Report, fence: Callable[[Any], Awaitable[None]]) -> Kept:
    """Keep `report` unless its newest revision says the same; atomic, behind `fence`."""
    figures = report.figures
    key = (figures.name, report.day, report.params_hash)
    counted, written = msgspec.to_builtins(figures), msgspec.to_builtins(report.look)
    async with connection.transaction():
        await connection.execute(query("lock_shelf"), " ".join(map(str, key)))
        newest = await connection.fetchrow(query("newest_revision"), *key, counted, written)
        is_same = newest is not None and newest["same"]
        if is_same and newest["equal"]:
            return Kept(newest["revision"], changed=False)
        revision = newest["revision"] if is_same else _next(newest)
        await fence(connection)
        await connection.execute(
            query("add_report"),
            *key[:2],
            figures.zone,
            report.params_hash,
            revision,
            figures.partial,
            report.html,
            report.csv,
            counted,
            written,
            figures.recipient,
        )
        if not (is_same or figures.partial):
            await _send_to(connection, (*key, revision), report.addressees)
    return Kept(revision, changed=not is_same)


async def figures_of(
    connection: Any, name: str, params_hash: str, days: list[date]
) -> list[Figures]:
    """Return the newest figures of those `days` that have a report and were over, latest first."""
    rows = await connection.fetch(query("figures_of_days"), name, params_hash, days)
    return [msgspec.convert(row["figures"], Figures) for row in rows]


async def newest(connection: Any, limit: int, name: str | None = None) -> list[dict[str, Any]]:
    """Return the newest revision of each report, the newest day first."""
    if await connection.fetchval(query("exists"), _DELIVERIES) is None:
        return []
    return [dict(row) for row in await connection.fetch(query("list_reports"), limit, name)]


async def find(
    connection: Any,
    name: str,
    day: date,
    *,
    revision: int | None = None,
    params: str = "",
    recipient: str | None = None,
) -> dict[str, Any] | None:
    """Return the report of `day` whose params_hash begins with `params`.

    Its newest revision when `revision` is None; the one made last where several fit.
    """
    if await connection.fetchval(query("exists"), _DELIVERIES) is None:
        return None
    row = await connection.fetchrow(query("get_report"), name, day, revision, params, recipient)
    return None if row is None else dict(row)


async def delivered(connection: Any, delivery: dict[str, Any]) -> dict[str, Any]:
    """Return the report that `delivery` brings; raise FormError where it is kept no more."""
    row = await find(
        connection,
        delivery["name"],
        delivery["day"],
        revision=delivery["revision"],
        params=delivery["params_hash"],
    )
    if row is None:
        raise FormError("the report is kept no more")
    return row


async def deliveries(connection: Any, kernel: Any, limit: int) -> list[dict[str, Any]]:
    """Return the newest deliveries; of those that were handed to the kernel, as its record says.

    `kernel`: a connection to its database. One that several notifiers carry is several rows.
    """
    if await connection.fetchval(query("exists"), _DELIVERIES) is None:
        return []
    rows = [dict(row) for row in await connection.fetch(query("list_deliveries"), limit)]
    handed = [row["message_id"] for row in rows if row["state"] == "handed"]
    became: dict[str, list[dict[str, Any]]] = {}
    if handed and await kernel.fetchval(query("exists"), "sereno.message") is not None:
        carried = await kernel.fetchval(query("exists"), _NOTIFICATIONS) is not None
        asked = query("message_outcomes" if carried else "messages_kept")
        for outcome in await kernel.fetch(asked, handed):
            became.setdefault(outcome["message_id"], []).append(dict(outcome))
    return [one for row in rows for one in _outcomes(row, became.get(row["message_id"], []))]


def _outcomes(row: dict[str, Any], became: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = [
        row | one | {"attempts": one["attempts"] or 0, "error": one["error"] or row["error"]}
        for one in became
    ]
    return found or [row | {"notifier": None}]


async def _send_to(
    connection: Any, revision: tuple[Any, ...], addressees: tuple[Addressee, ...]
) -> None:
    if addressees:
        await connection.execute(
            query("add_delivery"),
            *revision,
            [to.channel for to in addressees],
            [to.address for to in addressees],
            [to.message_id(revision) for to in addressees],
        )


def _next(newest: Any) -> int:
    if newest is None:
        return 1
    return int(newest["revision"]) + (0 if newest["partial"] else 1)
