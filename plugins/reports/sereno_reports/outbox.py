"""Hands kept reports to the kernel's messages: to mail addresses, and to whom routes name.

A delivery is `queued`, committed with its report; then `handed`: the kernel has it, under a key
that is this delivery's own. Whoever ends between the two hands it again, and the kernel keeps it
once. What became of it from then on, the kernel's record says. `failed`: there is no such report,
or it cannot be a message.
"""

import asyncio
from typing import Any

from sereno import RunContext
from sereno_reports import shelf
from sereno_reports.forms import FormError
from sereno_reports.parcel import packed
from sereno_reports.query import query
from sereno_reports.report_message import written

AT_ONCE = 50
"""Deliveries that one run hands over, under the limit of messages that an attempt has."""


async def handed(run: RunContext[Any], database: Any) -> tuple[dict[str, int], list[str]]:
    """Hand over what is queued; return how many by their state, and what failed."""
    await database.execute(query("adopt_deliveries"), run.settings.delivery == "at_least_once")
    counts, faults = {"handed": 0, "failed": 0}, []
    for row in await database.fetch(query("queued_deliveries"), AT_ONCE):
        queued = dict(row)
        state, message_id, error = await _handed_over(run, database, queued)
        await database.execute(query("end_queued"), queued["id"], state, message_id, error)
        counts[state] += 1
        if error:
            run.log.warning(
                "report not delivered whole",
                extra={"report": queued["name"], "to": queued["address"], "error": error},
            )
        if state == "failed":
            faults.append(f"{queued['name']} {queued['day']} to {queued['address']}: {error}")
    return counts, faults


async def _handed_over(
    run: RunContext[Any], database: Any, queued: dict[str, Any]
) -> tuple[str, str | None, str | None]:
    """Tell people of one report; return its state, what the message is known by, what it lacks."""
    to = (queued["address"],) if queued["channel"] == "mail" else ()
    try:
        report = await shelf.delivered(database, queued)
    except FormError as error:
        return "failed", None, str(error)
    try:
        message, lacking = written(await asyncio.to_thread(packed, report), to)
        message_id = run.notify(message, key=_key(queued))
    except Exception as error:  # one that cannot be written holds up no other
        return "failed", None, f"{type(error).__name__}: {error}"
    await run.flush()
    # A flush of a run that is another's by now writes nothing, and says nothing: this does.
    async with run.database() as kernel, kernel.transaction():
        await run.fence(kernel)
    return "handed", message_id, lacking or None


def _key(queued: dict[str, Any]) -> str:
    """Return what tells this revision for this addressee from every other."""
    named = ("name", "day", "params_hash", "revision", "channel", "address")
    return " ".join(str(queued[name]) for name in named)
