"""``sereno plugins``: which are loaded, and why one is not."""

import sys

import click
import msgspec

from sereno.cli.failure import remark
from sereno.cli.invocation import Invocation
from sereno.cli.options import as_json, pass_invocation
from sereno.cli.output import word, write_json, write_table
from sereno.cli.plugin_tables import database_facts
from sereno.cli.table import Cell, TableColumn
from sereno.model.errors import ConfigurationError, PluginError
from sereno.observe.complaint import complain
from sereno.plugins import PluginRecord

_COLUMNS = (
    TableColumn("plugin"),
    TableColumn("version"),
    TableColumn("state"),
    TableColumn("jobs", right=True),
    TableColumn("package", drop=1),
    TableColumn("reason", grows=True),
)


@click.command("plugins")
@as_json
@pass_invocation
def command(invocation: Invocation, as_json: bool) -> None:
    """List the plugins, and why one is not loaded.

    The database is asked, where it answers, what it did not take of them.
    """
    fault = ""
    jobs: dict[str, list[str]] = {}
    titles: dict[str, dict[str, str]] = {}
    try:
        registry = invocation.registry
    except (ConfigurationError, PluginError) as error:
        fault = str(error)
        records = [*invocation.plugins.records.values()]
    else:
        told = database_facts(invocation)
        if told["why"] is not None:
            remark(f"the database was not asked which plugins it did not take: {told['why']}")
        records = [*registry.plugins.failed(told["refused"]).records.values()]
        for name, plugin in registry.plugin_of.items():
            jobs.setdefault(plugin, []).append(name)
            if title := registry.jobs[name].title:
                titles.setdefault(plugin, {})[name] = title
    if as_json:
        write_json(
            [
                {**_record(r), "jobs": jobs.get(r.name, []), "titles": titles.get(r.name, {})}
                for r in records
            ]
        )
    else:
        rows: list[list[Cell]] = [
            [r.name, r.version or "-", word(r.state), _count(r, jobs), r.distribution, r.reason]
            for r in records
        ]
        write_table(_COLUMNS, rows, "no plugin is installed; `sereno new-plugin NAME` writes one")
    if fault:
        sys.stdout.flush()
        complain(fault)
        raise click.exceptions.Exit(2)


def _record(record: PluginRecord) -> dict[str, object]:
    return dict(msgspec.to_builtins(record))


def _count(record: PluginRecord, jobs: dict[str, list[str]]) -> str:
    return str(len(jobs.get(record.name, []))) if record.state == "loaded" else "-"
