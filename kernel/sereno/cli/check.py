"""``sereno check``: settings and plugins, without a database."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from sereno.apps.extra import missing
from sereno.cli.app_checks import ask_apps
from sereno.cli.app_trial import fault_of_apps
from sereno.cli.database_findings import database_findings
from sereno.cli.drift import print_drift
from sereno.cli.failure import remark
from sereno.cli.forecast import Forecast, slots
from sereno.cli.invocation import Invocation
from sereno.cli.moments import exact, system_time
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import styled, word, write, write_json, write_table
from sereno.cli.plugin_commands import plugin_commands
from sereno.cli.plugin_tables import database_facts
from sereno.cli.schedule_lint import ScheduleFinding, lint
from sereno.cli.table import Cell, TableColumn
from sereno.model.check import Finding
from sereno.model.job import Job
from sereno.model.zone import default_zone
from sereno.observe.complaint import FAILED, complain
from sereno.plugins import CheckAnswer, PluginRecord, Registry, ask_checks
from sereno.settings import find_file, redact
from sereno.store.inspection import Inspection
from sereno.store.messages import Unheard
from sereno.tracing import can_trace
from sereno.triggers.calendars import Calendars

_COLUMNS = (
    TableColumn("schedule"),
    TableColumn("trigger", grows=True),
    TableColumn("next slots"),
    TableColumn("note", grows=True, drop=1),
)
_SLOTS = 3


@click.command("check")
@click.option(
    "--drift",
    is_flag=True,
    help="Ask the database which schedules this code would fire at other times.",
)
@as_json
@pass_invocation
def command(invocation: Invocation, drift: bool, as_json: bool) -> None:
    """Check settings and plugins, and print the next slots; works without a database.

    One that answers is asked what plugins have left in it, whose tables could not be made, and
    whose jobs it did not take. Plugins are asked whether what they need is there.
    Exit codes: 1 when a plugin cannot be loaded or its tables not made, when one finds a fault or
    its check fails, its app dies at once, or with --drift a schedule would move; 2 when the
    configuration is at fault.
    """
    if drift:
        print_drift(invocation, as_json)
        return
    can_trace(invocation.settings)
    registry = invocation.registry
    now, days = system_time(), invocation.settings.shared.calendars
    file = find_file(invocation.config, os.environ)
    told = database_facts(invocation)
    records = [*registry.plugins.failed(told["refused"]).records.values()]
    failed = [r for r in records if r.state == "failed"]
    hints = _lint(registry, now, days, told.pop("usual"))
    server = _server_findings(invocation, told["inspection"])
    packages = {name: record.package for name, record in registry.records.items()}
    answers = ask_checks(registry.checks, packages)
    answers += ask_apps(invocation) if told["asked"] else []
    if as_json:
        found = {
            "settings": None if file is None else str(file),
            "timezone": default_zone(),
            **_as_json(registry, records, now, days),
        }
        write_json(
            {
                **found,
                "hints": hints,
                "notifiers": sorted(registry.notifiers),
                "database": {**told, "findings": server},
                **_checks(answers),
            }
        )
    else:
        _write_text(registry, records, file, now, days)
    sys.stdout.flush()
    plugin_commands(invocation)  # says which of them are taken, and which cannot be had
    faults = _print_findings(answers)
    for hint in hints:
        remark(hint.sentence)
    faults += _print_server_findings(server)
    for warning in registry.warnings:
        remark(warning)
    if told["why"] is not None:
        remark(f"the database was not asked for plugins' tables: {told['why']}")
    faults += _app_faults(invocation, tried=told["asked"])
    for sentence in [*_silence(registry, told["unheard"]), *told["orphans"]]:
        remark(sentence)
    for record in failed:
        complain(f"plugin '{record.name}' cannot be loaded: {record.reason}")
    for sentence in [*told["faults"], *faults]:
        complain(sentence)
    if failed or told["faults"] or faults or invocation.command_faults:
        raise click.exceptions.Exit(FAILED)


def _lint(
    registry: Registry, now: datetime, days: Calendars, usual: Mapping[str, timedelta]
) -> list[ScheduleFinding]:
    declared = [Forecast.declared(one, days) for one in registry.schedules.values()]
    return lint([one for one in declared if not one.unread], registry.jobs, usual, now)


def _server_findings(invocation: Invocation, found: Inspection | None) -> list[Finding]:
    if found is None:
        return []
    apps = bool(invocation.registry.apps)
    return list(database_findings(found, invocation.settings, apps=apps))


def _print_server_findings(findings: Sequence[Finding]) -> list[str]:
    """Remark what is worth knowing of the database; return what is at fault."""
    for finding in findings:
        if not finding.fault:
            remark(finding.sentence)
    return [finding.sentence for finding in findings if finding.fault]


def _app_faults(invocation: Invocation, tried: bool) -> list[str]:
    """Remark why apps cannot be served here; return a sentence where their process dies at once."""
    apps = invocation.registry.apps
    if not (apps and invocation.settings.apps.enabled):
        return []
    if sentence := missing():
        remark(f"the apps at {', '.join(sorted(apps))} cannot be served: {sentence}")
        return []
    fault = fault_of_apps(invocation) if tried else None
    return [] if fault is None else [fault]


def _write_text(
    registry: Registry,
    records: Sequence[PluginRecord],
    file: Path | None,
    now: datetime,
    days: Calendars,
) -> None:
    write(f"settings  {file or 'no file: defaults and environment'}")
    write(f"plugins   {', '.join(_plugins(records)) or 'none'}")
    schedules = len(registry.schedules)
    write(f"jobs      {len(registry.jobs)}, with {schedules} schedule{'s' * (schedules != 1)}")
    write(f"timezone  {default_zone()}, of triggers that name none")
    by_hand = _by_hand(registry)
    if quiet := [job.name for job in by_hand if not job.unscheduled]:
        write(f"by hand   {', '.join(quiet)}", wrap=True)
    for job in by_hand:
        if job.unscheduled:
            write(styled(f"job '{job.name}' has no schedule: {job.unscheduled}", "yellow"))
    write()
    write_table(
        _COLUMNS, _rows(registry, now, days), "no schedule: jobs run when they are triggered"
    )


def _silence(registry: Registry, known: Unheard | None) -> Iterator[str]:
    """Yield a sentence where what there is to tell reaches nobody."""
    if not registry.notifiers:
        yield (
            "nobody hears what goes wrong, nor what jobs have to say, which is kept in the "
            "database alone: no plugin brings a notifier (sereno-notify does, once "
            "[plugins.notify] names webhooks or emails)"
        )
    if known is not None and known.messages and known.newest is not None:
        yield (
            f"nobody has heard {known.messages} message{'s' * (known.messages != 1)} of jobs, the "
            f"last of {exact(known.newest)}: no plugin or notifier carried them, or no "
            "route led to one; they are in sereno.message, with no carriers"
        )


def _print_findings(answers: Sequence[CheckAnswer]) -> list[str]:
    """Remark what checks warn of; return the sentences on what is at fault."""
    faults = []
    for answer in answers:
        subject = f"plugin '{answer.plugin}'"
        if answer.failure is not None:
            faults.append(f"{subject}: its check '{answer.check}' failed: {answer.failure}")
        for finding in answer.findings:
            if finding.fault:
                faults.append(f"{subject}: {finding.sentence}")
            else:
                remark(f"{subject}: {finding.sentence}")
    return faults


def _checks(answers: Sequence[CheckAnswer]) -> dict[str, Any]:
    checks = [
        {
            "plugin": answer.plugin,
            "check": answer.check,
            "warnings": [redact(f.sentence) for f in answer.findings if not f.fault],
            "faults": [redact(f.sentence) for f in answer.findings if f.fault],
            "failure": None if answer.failure is None else redact(answer.failure),
        }
        for answer in answers
    ]
    return {"checks": checks}


def _plugins(records: Sequence[PluginRecord]) -> list[str]:
    return [
        f"{r.name} {r.version}".strip() if r.state == "loaded" else f"{r.name} ({r.state})"
        for r in records
    ]


def _by_hand(registry: Registry) -> list[Job]:
    """Return the jobs that nothing but a person or a program asks for."""
    scheduled = {declared.job for declared in registry.schedules.values()}
    return [job for name, job in registry.jobs.items() if name not in scheduled and not job.after]


def _rows(registry: Registry, now: datetime, days: Calendars) -> Iterator[list[Cell]]:
    for declared in registry.schedules.values():
        forecast = Forecast.declared(declared, days)
        if not declared.enabled:
            yield [forecast.name, forecast.written, word("disabled"), ""]
            continue
        found = list(slots(forecast, now, _SLOTS))
        unread = ", ".join(forecast.unread)
        apart = f"without the days of {unread}, which the settings do not have" if unread else ""
        if not found:
            yield [forecast.name, forecast.written, "none is to come", apart]
        for n, slot in enumerate(found):
            named = [forecast.name, forecast.written] if n == 0 else ["", ""]
            yield [*named, exact(slot.at), slot.note or (apart if n == 0 else "")]


def _as_json(
    registry: Registry, records: Sequence[PluginRecord], now: datetime, days: Calendars
) -> dict[str, Any]:
    return {
        "plugins": [
            {"name": r.name, "version": r.version, "state": r.state, "reason": r.reason}
            for r in records
        ],
        "jobs": sorted(registry.jobs),
        "by_hand": [{"job": j.name, "why": j.unscheduled or None} for j in _by_hand(registry)],
        "schedules": [
            {
                "schedule": declared.name,
                "job": declared.job,
                "origin": declared.origin,
                "enabled": declared.enabled,
                "trigger": declared.schedule.trigger.text,
                "slots": [s.at for s in slots(Forecast.declared(declared, days), now, _SLOTS)],
            }
            for declared in registry.schedules.values()
        ],
        "warnings": registry.warnings,
    }
