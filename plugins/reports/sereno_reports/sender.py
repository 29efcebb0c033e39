"""Brings kept reports into a folder, hands the others to the kernel, and keeps the record.

A delivery into a folder is `waiting`, then `sending`, then `sent`; or `waiting` again for another
try, and `failed` when there is none left. A sender that ends while it sends leaves `sending`
behind: with ``at_least_once`` that is sent again after its time, with ``at_most_once`` it is
`unknown`. A report is made once, however often its delivery is tried. Others: see
`sereno_reports.outbox`.
"""

import asyncio
from datetime import timedelta
from typing import Any

from sereno import RunContext
from sereno_reports import folder, shelf
from sereno_reports.database import connected
from sereno_reports.forms import FormError
from sereno_reports.outbox import handed
from sereno_reports.parcel import packed
from sereno_reports.query import query
from sereno_reports.settings import Settings

SENDER_SECONDS = 600
"""What a sender may take before its delivery is thought left behind."""

_FIRST, _LONGEST = timedelta(seconds=30), timedelta(hours=1)


class DeliveryFailedError(Exception):
    """A report has not arrived, and is not tried again."""


async def sent(run: RunContext[Any]) -> dict[str, int]:
    """Deliver what waits; raise DeliveryFailedError where a delivery was given up."""
    settings: Settings = run.settings
    counts = {"handed": 0, "sent": 0, "waiting": 0, "failed": 0, "unknown": 0}
    async with connected(settings.database_url or run.database_url) as database:
        await shelf.prepare(database)
        again = settings.delivery == "at_least_once"
        if not again:
            await database.execute(query("lose_deliveries"))
        told, faults = await handed(run, database)
        counts |= told
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
        parcel = await asyncio.to_thread(packed, await shelf.delivered(database, taken))
        await asyncio.to_thread(folder.put, parcel, taken["address"])
    except (OSError, FormError, ValueError) as error:
        is_last = taken["attempts"] >= settings.delivery_attempts
        return ("failed" if is_last else "waiting"), str(error) or type(error).__name__
    return "sent", parcel.lacking or None
