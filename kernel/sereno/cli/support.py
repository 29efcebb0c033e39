"""``sereno support``: a file that tells others how things stand, and no secret."""

import os
import platform
import sys
import zipfile
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import click
import msgspec

from sereno.cli.invocation import Invocation
from sereno.cli.moments import system_time
from sereno.cli.options import pass_invocation
from sereno.cli.output import json_text, write
from sereno.cli.query import ask, ask_database
from sereno.client import Client
from sereno.model.errors import SerenoError
from sereno.observe.complaint import complain
from sereno.settings import Settings, find_file, redact
from sereno.store.inspection import inspect

_RUNS = 200
_WHOLE = 20
_LINES = 50
"""Failed runs of which the traceback and the log are told, too."""


@click.command("support")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to write it. [default: sereno-support-TIME.zip here]",
)
@pass_invocation
def command(invocation: Invocation, out: Path | None) -> None:
    """Write a zip of what others need to help: versions, settings, plugins, replicas, jobs, runs.

    Secrets are masked as everywhere; params and results of runs are left out. What cannot be had,
    as while the database is away, is told in its place. Look into it before you send it.
    """
    path = out or Path(f"sereno-support-{system_time():%Y%m%dT%H%M%SZ}.zip")
    sections: dict[str, Callable[[], Any]] = {
        "machine": _machine,
        "settings": lambda: _settings(invocation),
        "plugins": lambda: _plugins(invocation),
        "database": lambda: ask_database(
            invocation, lambda db: inspect(db, invocation.settings.leader_database_url)
        ),
        "cluster": lambda: ask(invocation, lambda client: client.cluster()),
        "terms": lambda: ask(invocation, lambda client: client.terms()),
        "jobs": lambda: ask(invocation, lambda client: client.jobs()),
        "totals": lambda: ask(invocation, lambda client: client.totals()),
        "overdue": lambda: ask(invocation, lambda client: client.overdue()),
        "changes": lambda: ask(invocation, lambda client: client.changes(limit=_RUNS)),
        "runs": lambda: ask(invocation, _runs),
    }
    try:
        with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED) as bundle:
            os.chmod(path, 0o600)
            for name, section in sections.items():
                bundle.writestr(f"{name}.json", _section_text(section) + "\n")
    except OSError as error:
        complain(f"{path} cannot be written: {error.strerror}")
        raise click.exceptions.Exit(2) from error
    write(f"{path}: look into it before you send it to anybody")


def _section_text(section: Callable[[], Any]) -> str:
    """Return a section as JSON without secrets; in its place what kept it from being made."""
    try:
        text = json_text(section())
    except SerenoError as error:
        text = json_text({"error": str(error)})
    except Exception as error:  # a bundle of what is broken must not be kept back by what is broken
        text = json_text({"error": f"{type(error).__name__}: {error}"})
    return redact(text)


def _machine() -> dict[str, Any]:
    packages = {d.metadata["Name"]: d.version for d in distributions() if d.metadata["Name"]}
    return {
        "python": sys.version,
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "at": system_time(),
        "packages": dict(sorted(packages.items())),
        "variables": sorted(name for name in os.environ if name.startswith(("SERENO_", "PG"))),
    }


def _settings(invocation: Invocation) -> dict[str, Any]:
    found: Settings = invocation.settings
    file = str(find_file(invocation.config, os.environ) or "")
    # What of a plugin's texts is secret, as a path in an address, that plugin alone knows.
    plain = msgspec.structs.replace(
        found,
        plugins=_without_texts(found.plugins),
        schedules={
            name: msgspec.structs.replace(one, params=_without_texts(one.params))
            for name, one in found.schedules.items()
        },
    )
    return {"file": file, "settings": repr(plain)}


def _without_texts(value: Any) -> Any:
    """Return `value` with each text in it masked."""
    if isinstance(value, dict):
        return {key: _without_texts(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_texts(item) for item in value]
    return "***" if isinstance(value, str) else value


def _plugins(invocation: Invocation) -> dict[str, Any]:
    registry = invocation.registry
    records = registry.plugins.records.values()
    return {
        "plugins": [
            {"name": r.name, "version": r.version, "state": r.state, "reason": r.reason}
            for r in records
        ],
        "jobs": sorted(registry.jobs),
        "schedules": {
            name: {"trigger": one.schedule.trigger.text, "enabled": one.enabled}
            for name, one in registry.schedules.items()
        },
        "warnings": registry.warnings,
    }


async def _runs(client: Client) -> dict[str, Any]:
    lately = (await client.runs(limit=_RUNS)).items
    failed = [r for r in lately if r.state in ("failed", "timed_out", "lost")][:_WHOLE]
    whole = []
    for run in failed:
        found = await client.run(run.id)
        told = {"run": run.id, "job": run.job, "error": found.error, "traceback": found.traceback}
        whole.append({**told, "log": list(found.lines)[-_LINES:]})
    fields = ("id", "job", "state", "cause", "attempt", "slot", "started_at", "finished_at")
    return {
        "lately": [{name: getattr(run, name, None) for name in fields} for run in lately],
        "failed": whole,
    }
