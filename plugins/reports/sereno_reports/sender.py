"""Sends what waits: brings kept reports to whom they are for, and keeps the record.

A delivery is `waiting`, then `sending`, then `sent`; or `waiting` again for another try, and
`failed` when there is none left. A sender that ends while it sends leaves `sending` behind: with
``at_least_once`` that is sent again after its time, with ``at_most_once`` it is `unknown`. A report
is made once, however often its delivery is tried.
"""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec

from sereno import RunContext
from sereno_reports import folder, mail, shelf
from sereno_reports.database import connected
from sereno_reports.figures import Figures
from sereno_reports.forms import FormError, given_out
from sereno_reports.letter import to_letter
from sereno_reports.look import Look
from sereno_reports.paper import PaperError
from sereno_reports.parcel import DeliveredReport, ReportFile, UncertainError
from sereno_reports.query import query
from sereno_reports.settings import Settings
from sereno_reports.summary import summary

SENDER_SECONDS = 600
"""What a sender may take before its delivery is thought left behind."""

_FIRST, _LONGEST = timedelta(seconds=30), timedelta(hours=1)


class DeliveryFailedError(Exception):
    """A report has not arrived, and is not tried again."""


async def sent(run: RunContext[Any]) -> dict[str, int]:
    """Deliver what waits; raise DeliveryFailedError where a delivery was given up."""
    settings: Settings = run.settings
    counts = {"sent": 0, "waiting": 0, "failed": 0, "unknown": 0}
    faults = []
    async with connected(settings.database_url or run.database_url) as database:
        await shelf.prepare(database)
        again = settings.delivery == "at_least_once"
        if not again:
            await database.execute(query("lose_deliveries"))
        while taken := await database.fetchrow(query("claim_delivery"), SENDER_SECONDS, again):
            state, error = await _delivered(database, dict(taken), settings)
            wait = min(_FIRST * 2 ** min(taken["attempts"] - 1, 20), _LONGEST)
            await database.execute(
                query("end_delivery"),
                taken["id"],
                taken["attempts"],
                state,
                error,
                wait.total_seconds(),
            )
            counts[state] += 1
            if error:
                run.log.warning(
                    "report not delivered whole",
                    extra={"report": taken["name"], "to": taken["address"], "error": error},
                )
            if state in ("failed", "unknown"):
                faults.append(f"{taken['name']} {taken['day']} to {taken['address']}: {error}")
    if faults:
        raise DeliveryFailedError("; ".join(faults))
    return counts


async def _delivered(
    database: Any, taken: dict[str, Any], settings: Settings
) -> tuple[str, str | None]:
    """Try one delivery; return its state, and what went wrong."""
    try:
        parcel = await _parcel(database, taken)
        if taken["channel"] == "mail":
            if settings.mail is None:
                return _not(taken, settings, "plugins.reports.mail is not set")
            await asyncio.to_thread(mail.send, parcel, settings.mail)
        else:
            await asyncio.to_thread(folder.put, parcel)
    except UncertainError as error:
        if settings.delivery == "at_most_once":
            return "unknown", str(error)
        return _not(taken, settings, str(error))
    except (OSError, FormError, ValueError) as error:
        told = str(error) or type(error).__name__
        secret = settings.mail.password if settings.mail else ""
        # What a server says may hold what it was sent.
        return _not(taken, settings, told.replace(secret, "***") if secret else told)
    return "sent", parcel.lacking or None


def _not(taken: dict[str, Any], settings: Settings, error: str) -> tuple[str, str]:
    is_last = taken["attempts"] >= settings.delivery_attempts
    return ("failed" if is_last else "waiting"), error


async def _parcel(database: Any, taken: dict[str, Any]) -> DeliveredReport:
    row = await shelf.find(
        database,
        taken["name"],
        taken["day"],
        revision=taken["revision"],
        params=taken["params_hash"],
    )
    if row is None:
        raise FormError("the report is kept no more")
    return await asyncio.to_thread(_packed, row, taken)


def _packed(row: dict[str, Any], taken: dict[str, Any]) -> DeliveredReport:
    figures, look = msgspec.convert(row["figures"], Figures), msgspec.convert(row["look"], Look)
    attachments, lacking = [], ""
    for form in look.declared.formats:
        try:
            attachments.append(ReportFile(form, given_out(row, form)))
        except PaperError as error:  # who has no PDF gets the rest
            lacking = f"sent without its PDF: {error}"
    stem = "-".join(filter(None, (row["name"], str(row["day"]), row["recipient"])))
    return DeliveredReport(
        address=taken["address"],
        message_id=taken["message_id"],
        made_at=row["created_at"],
        stem=f"{stem}-r{row['revision']}",
        title=summary(row).splitlines()[0],
        text=summary(row),
        html=to_letter(figures, look),
        attachments=tuple(attachments),
        lacking=lacking,
    )
