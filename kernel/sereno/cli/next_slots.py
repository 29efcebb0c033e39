"""``sereno next``: the next slots of a job, and what the clock changes do to them."""

from dataclasses import dataclass
from datetime import datetime

import click

from sereno.cli.failure import remark
from sereno.cli.forecast import Forecast, forecasts, slots
from sereno.cli.invocation import Invocation
from sereno.cli.moments import distance, exact, system_time
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import title, write, write_json, write_table
from sereno.cli.query import ask
from sereno.cli.table import TableColumn
from sereno.client import BlackoutView, Client, ScheduleView
from sereno.model.errors import NotFoundError, StoreError

_COLUMNS = (
    TableColumn("slot"),
    TableColumn("in"),
    TableColumn("its own zone", drop=1),
    TableColumn("note", grows=True),
)


@dataclass(frozen=True, slots=True)
class _Stored:
    schedules: list[ScheduleView]
    now: datetime
    blackouts: list[BlackoutView]


@click.command("next")
@click.argument("job", metavar="JOB|SCHEDULE")
@click.option("-n", "count", type=click.IntRange(1, 10_000), default=5, show_default=True)
@as_json
@pass_invocation
def command(invocation: Invocation, job: str, count: int, as_json: bool) -> None:
    """Print the next slots of a job or of one of its schedules.

    As the database has them; where it is away, as plugins and configuration declare them.
    """
    found, now = _schedules(invocation, job)
    if as_json:
        write_json([_as_json(forecast, now, count) for forecast in found])
        return
    for n, forecast in enumerate(found):
        if len(found) > 1:
            title(forecast.name) if n else write(forecast.name)
        write(forecast.headline(now))
        rows = [
            [exact(slot.at), distance(slot.at, now), slot.wall, slot.note]
            for slot in slots(forecast, now, count)
        ]
        write_table(_COLUMNS, rows, "no slot is to come")


def _schedules(invocation: Invocation, name: str) -> tuple[list[Forecast], datetime]:
    stored = _stored(invocation, name)
    if stored is not None and stored.schedules:
        return [Forecast.stored(s, stored.blackouts) for s in stored.schedules], stored.now
    now = system_time() if stored is None else stored.now
    found = forecasts(invocation.registry, name, invocation.settings.shared.calendars)
    if not found:
        job = invocation.registry.job(name)
        raise NotFoundError(
            f"job '{job.name}' has no schedule; `sereno trigger {job.name}` runs it"
        )
    if stored is not None:
        remark("no replica has brought these schedules to the database yet; as they are declared:")
    return found, now


def _stored(invocation: Invocation, name: str) -> _Stored | None:
    """Return what the database has, None where it is away or was never set up."""

    async def question(client: Client) -> _Stored:
        try:
            found = await client.schedules(name)
        except NotFoundError:
            found = []
        return _Stored(found, await client.now(), await client.blackouts())

    if invocation.is_embedded and not invocation.embedded.is_running():
        return None  # nothing is worth starting a server for this
    try:
        return ask(invocation, question)
    except StoreError as error:
        remark(f"{error}; as the schedules are declared:")
        return None


def _as_json(forecast: Forecast, now: datetime, count: int) -> dict[str, object]:
    return {
        "schedule": forecast.name,
        "job": forecast.job,
        "trigger": forecast.version.trigger,
        "state": forecast.version.state,
        "slots": [{"slot": s.at, "note": s.note or None} for s in slots(forecast, now, count)],
    }
