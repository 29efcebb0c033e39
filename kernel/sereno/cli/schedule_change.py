"""``sereno schedule change``: lays what a person wants over what a schedule declares."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import click
import msgspec
from msgspec import UNSET

from sereno.cli.failure import remark
from sereno.cli.instants import read_instant
from sereno.cli.invocation import Invocation
from sereno.cli.moments import exact
from sereno.cli.options import as_json, pass_invocation, requester
from sereno.cli.output import write, write_json
from sereno.cli.params import read_params
from sereno.cli.query import ask
from sereno.cli.schedule_fit import declared_job, read_policies
from sereno.cli.schedule_options import schedule_options
from sereno.model.job import Job
from sereno.model.schedule_spec import ScheduleSpec
from sereno.store import schedules
from sereno.store.pool import Database
from sereno.store.schedules import LockedSchedule
from sereno.triggers import parse

_SETTLED_AHEAD = timedelta(milliseconds=50)
"""How far ahead of now a change may begin to hold, as what is settled already is settled."""

_FIELDS = {
    "trigger": "trigger",
    "params": "params",
    "start": "starts_at",
    "end": "ends_at",
    "jitter": "jitter",
    "policies": "policies",
}


@click.command("change")
@click.argument("name", metavar="JOB|SCHEDULE")
@click.option("--trigger", metavar="TRIGGER", help="When it is due: 'every 6h'.")
@schedule_options
@click.option(
    "--reset",
    type=click.Choice([*_FIELDS, "all"]),
    multiple=True,
    help="As it was declared again; repeat.",
)
@as_json
@pass_invocation
def command(
    invocation: Invocation,
    name: str,
    trigger: str | None,
    pairs: tuple[str, ...],
    start: str | None,
    end: str | None,
    jitter: timedelta | None,
    policies: tuple[str, ...],
    reason: str,
    reset: tuple[str, ...],
    as_json: bool,
) -> None:
    """Change one schedule, of whatever origin, from its next slot on.

    A param or a policy that is not named stays as it is; --start none, --end none and --jitter 0s
    take these away. What is declared is kept, and --reset goes back to it.
    """
    wanted = {
        "trigger": None if trigger is None else parse(trigger).text,
        "starts_at": start,
        "ends_at": end,
        "jitter": UNSET if jitter == timedelta(0) else jitter,
    }
    given = {key: value for key, value in wanted.items() if value is not None}
    if not (given or pairs or policies or reset):
        raise click.UsageError("nothing to change is named; `sereno schedule change --help`")
    changed: dict[str, Any] = {}

    def revision(standing: LockedSchedule) -> Mapping[str, Any]:
        job = declared_job(invocation, standing.job)
        changes: dict[str, Any] = _reset(reset)
        current = _laid(standing, changes)
        changes |= {k: _instant(k, v, standing.now) for k, v in given.items()}
        if pairs:
            changes["params"] = _params(current.params, pairs, job)
        if policies:
            subject = f"schedule '{standing.name}'"
            changes["policies"] = current.policies | read_policies(policies, job, subject)
        changed["schedule"], changed["job"] = standing.name, standing.job
        changed["valid_from"] = standing.now
        return _as_json(changes)

    async def question(db: Database) -> None:
        found, changed["next_slot"] = await schedules.override(
            db,
            name,
            revision,
            jobs=lambda job: declared_job(invocation, job),
            by=requester(),
            reason=reason,
        )
        changed["trigger"], changed["state"] = found.trigger, found.state
        changed["valid_from"], changed["now"] = found.valid_from, changed["valid_from"]

    ask(invocation, question)
    _write_change(changed, as_json)


def _write_change(changed: dict[str, Any], as_json: bool) -> None:
    if changed["valid_from"] - changed.pop("now") > _SETTLED_AHEAD:
        remark(
            f"its slot {exact(changed['valid_from'])}, put off to then by its jitter, stays with"
            " the version before; the change holds for what comes after it"
        )
    if as_json:
        write_json(changed)
    elif changed["state"] == "active":
        following = exact(changed["next_slot"])
        write(f"schedule '{changed['schedule']}' is changed, its next slot is {following}")
    else:
        write(f"schedule '{changed['schedule']}' is changed, and still {changed['state']}")


def _reset(names: Sequence[str]) -> dict[str, Any]:
    fields = _FIELDS.values() if "all" in names else [_FIELDS[name] for name in names]
    return dict.fromkeys(fields)


def _instant(key: str, value: Any, now: datetime) -> Any:
    if key not in ("starts_at", "ends_at"):
        return value
    return UNSET if value == "none" else read_instant(value, now)


def _params(current: Mapping[str, Any], pairs: Sequence[str], job: Job) -> dict[str, Any]:
    return read_params(pairs, msgspec.json.encode(current).decode(), job)


def _laid(standing: LockedSchedule, changes: Mapping[str, Any]) -> ScheduleSpec:
    """Return what holds once `changes` are made: None stands for what is declared, UNSET for
    nothing."""
    laid = {
        key: getattr(standing.declared, key) if value is None else None if value is UNSET else value
        for key, value in changes.items()
    }
    return msgspec.structs.replace(standing.current, **laid)


def _as_json(changes: Mapping[str, Any]) -> Mapping[str, Any]:
    return {k: v if v is UNSET else msgspec.to_builtins(v) for k, v in changes.items()}
