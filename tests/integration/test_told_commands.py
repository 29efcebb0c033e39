"""Every command that docs, rules, banners, templates and errors name runs, on a real replica."""

import asyncio
import json
import os
import re
import shlex
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sereno.cli import main
from sereno.cli.command_table import ENTRIES
from sereno_etl_ivr.demo import write_calls

from .cli_scene import Scene, scene
from .told_commands import told

__all__ = ["scene"]

APP = """
from sereno import App, hookimpl, job


async def nothing(run):
    pass


@job("told.fails")
async def fails(run):
    raise ValueError("as it is told")


def empty(client):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    return app


@hookimpl
def sereno_register_apps():
    return {"/empty": App("Nothing", empty)}


@hookimpl
def sereno_register_jobs():
    at_places = {"shop.sweep_spool": "node"}
    return [fails, *(job(n, scope=at_places.get(n, "cluster"))(nothing) for n in JOBS)]
"""
JOBS = [
    "telemetry.sync",
    "telemetry.merge",
    "site.all",
    "shop.export",
    "shop.newsletter",
    "shop.report",
    "shop.train",
    "shop.sync",
    "shop.sweep_spool",
]
"""What pages call the jobs of their examples."""

SETTINGS = """
modules = ["told_app"]
node_name = "web-1"

[http]
port = 0

[apps]
port = 0

[plugins.etl_ivr]
source_url = "{dsn}"
source_table = "demo_pbx.cdr"

[plugins.reports]
calls_required = false

[plugins.cleanup]
logs_roots = ["{place}/logs"]
logs_max_ratio = 1.0

[[plugins.cleanup.logs]]
path = "{place}/logs/audit-*.log"
category = "audit"
archive = "{place}/archive"

[[plugins.cleanup.tables]]
table = "demo_pbx.cdr"
column = "calldate"
keep = "3650d"

[[plugins.cleanup.caches]]
table = "demo_pbx.cdr"
column = "calldate"
capacity = 100000

[[plugins.cleanup.checks]]
name = "calls have a length"
sql = "SELECT 1 WHERE false"
"""
_LASTING = ("run", "demo", "apps")
_NAMED_ALONE = (
    *("missing argument", "missing option", "requires an argument", "nothing to change is named"),
    "name a run, or say by a filter which runs",
    *("name all of its days", "say which: a name or pattern"),
    "name a job, a schedule or a pattern",
)
_IN_SPANISH = {"TRABAJO": "JOB", "EJECUCIÓN": "RUN", "NODO": "NODE"}
_ISO = re.compile(r"(?<=--until )\S+|(?<=--at )(?!TIME)\S+")


class Stage:
    """A replica with jobs, runs and a report, and ``sereno`` beside it."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.today = datetime.now(UTC).date().isoformat()
        self.names = iter(range(1000))

    def call(self, *args: str) -> Result:
        environment = {"SERENO_DATABASE_URL": self.scene.dsn}
        return CliRunner().invoke(main, args, env=environment, input=2 * "a long password\n")

    def run(self, *args: str) -> str:
        """Queue a run and return its number."""
        result = self.call("trigger", "etl_ivr.sync", "--json", *args)
        assert result.exit_code == 0, result.output
        return str(json.loads(result.stdout)["run"])

    def failed(self) -> str:
        """Return the number of a run that has failed, and was not tried again."""
        result = self.call("trigger", "told.fails", "--json", "--wait")
        assert result.exit_code == 1, result.output
        return str(json.loads(result.stdout)["run"])

    def schedule(self) -> str:
        """Return the name of a schedule that a person has made."""
        label = f"told_{next(self.names)}"
        result = self.call("schedule", "add", "etl_ivr.sync", "every 6h", "--label", label)
        assert result.exit_code == 0, result.output
        return f"etl_ivr.sync@{label}"

    def calendar(self) -> str:
        """Return the name of a calendar that a person has made."""
        name = f"told_{next(self.names)}"
        assert self.call("calendar", "set", name, "12-25").exit_code == 0
        return name

    def _of_days(self, word: str) -> str:
        if word == "DAY...":
            return "12-25"
        return self.calendar() if word == "CALENDAR" else self.blackout()

    def leads_again(self) -> None:
        """Undo what keeps its replica from leading."""
        self.call("maintenance", "off")
        self.call("drain", "blue-1", "--undo")
        result = self.call("lead", "--to", "blue-1")
        assert result.exit_code == 0, result.output

    def blackout(self) -> str:
        """Return the number of a blackout that is on."""
        result = self.call("blackout", "add", "none.*", "--for", "1h", "--reason", "x", "--json")
        return str(json.loads(result.stdout)["id"])

    def bulk(self) -> str:
        """Return the number of a bulk that nobody has begun."""
        made = (
            "INSERT INTO sereno.bulk (action, filter, reason, requested_by, place, frozen_at)"
            " VALUES ('cancel', '{\"job\": \"none.*\"}', 'x', 'ana', 1, now()) RETURNING id"
        )
        return str(self.scene.sql(made)[0][0])

    def backfill(self) -> str:
        """Return the number of a back-fill that nobody has begun."""
        made = (
            "INSERT INTO sereno.backfill (schedule_id, schedule, job, span_start, span_end,"
            " expected, requested_by, place)"
            " VALUES (0, 'none', 'none', now(), now(), 1, 'ana', now())"
            " RETURNING id"
        )
        return str(self.scene.sql(made)[0][0])

    def filled(self, words: str) -> list[str]:
        """Return a told command as a person would type it here."""
        command = words.split()[0]
        if command == "backfill":  # nothing is to be done: who follows one waits for a leader
            words = re.sub(r"--since (?!TIME)\S+( --until \S+)?", "--since -1ms", words)
        elif command == "backfills":
            words = re.sub(r"\{order\.id\}|(?<=--cancel )7", "BACKFILL", words)
        elif command == "new-cluster":  # a replica is at work: it only says what it would do
            words = words.replace(" --yes", "")
        words = _ISO.sub("-1m" if command == "show" else "+1h", words)
        words = re.sub(
            r"\{\{ ?\$labels\.job ?\}\}|\$name\.greet|\{(self\.)?job[^}]*\}", "JOB", words
        )
        words = re.sub(r"\{name\}", "JOB", words)
        words = re.sub(r" --database-url postgresql://\S+", "", words)
        words = re.sub(r"\{[^}]*run[^}]*\}|\b1234\b", "RUN", words)
        words = re.sub(r"\{bulk[^}]*\}|(?<=--cancel )7", "BULK", words)
        words = re.sub(r"\betl\.sync\b", "etl_ivr.sync", words)
        words = re.sub(r"\b20\d\d-\d\d-\d\d\b", self.today, words)
        words = words.replace("check='NAME'", "check='calls have a length'")
        words = words.replace("/srv/archive/ivr-audit", str(Path.cwd() / "archive"))
        words = re.sub(r"^schedule add JOB (?=')", "schedule add etl_ivr.retry_rejects ", words)
        words = words.replace("schedule change ...", "schedule change SCHEDULE")
        words = words.replace(" times=5", " dry_run=true").replace(" ...", " jobs")
        return [word for part in shlex.split(words) for word in self._word(command, part)]

    def _word(self, command: str, word: str) -> Iterator[str]:
        word = "CALENDAR" if (command, word) == ("calendar", "NAME") else word
        word = _IN_SPANISH.get(word, word)
        word = "blue-1" if word == "NODE" else word
        word = re.split(r"(?<=[A-Z])\|(?=[A-Z])|(?<=[a-z])\|(?=[a-z])", word)[0]
        match word:
            case "JOB":
                yield "etl_ivr.sync"
            case "RUN":
                yield self.of_runs(command)
            case "SCHEDULE":
                yield self.schedule()
            case "BACKFILL" | "BULK":
                yield self.bulk() if word == "BULK" else self.backfill()
            case "TRIGGER":
                yield "every 6h"
                yield from ("--label", f"told_{next(self.names)}")
            case "CALENDAR" | "DAY..." | "BLACKOUT":
                yield self._of_days(word)
            case "NAME":
                yield f"told-{next(self.names)}"
            case "TIME":
                yield "-1m"
            case "month_end":  # told more than once
                yield f"month_end_{next(self.names)}"
            case _:
                yield word

    def of_runs(self, command: str) -> str:
        """Return the number of a run with which `command` has something to do."""
        match command:
            case "cancel":
                return self.run("--at", "+1h")
            case "retry":
                return self.failed()
            case _:
                return self.ended

    @property
    def ended(self) -> str:
        """Return the number of a run that is over."""
        found = self.scene.sql("SELECT min(id) FROM sereno.run WHERE finished_at IS NOT NULL")
        return str(found[0][0])


@pytest.fixture
def stage(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    _old_logs(tmp_path / "logs")
    settings = SETTINGS.format(dsn=scene.dsn, place=tmp_path)
    (tmp_path / "sereno.toml").write_text(settings)
    (tmp_path / "change.toml").write_text('threads = 8\n[jobs."etl_ivr.sync"]\nusual = "10s"\n')
    (tmp_path / "told_app.py").write_text(f"{APP}\nJOBS = {JOBS}\n")
    monkeypatch.setenv("SERENO_DATABASE_URL", scene.dsn)

    async def calls() -> None:
        over = asyncio.Event()
        writing = write_calls(scene.dsn, per_second=1, stop=over, history=50)
        asyncio.get_running_loop().call_later(1, over.set)
        await writing

    asyncio.run(calls())
    found = Stage(scene)
    with scene.started("run", "--node-name", "blue-1") as replica:
        for job in ("etl_ivr.sync", "etl_ivr.aggregate", "reports.daily", "cleanup.logs"):
            params = ["-p", "include_today=true"] if job == "reports.daily" else []
            result = found.call("trigger", job, "--wait", "--timeout", "120s", *params)
            assert result.exit_code == 0, result.output
        yield found
        replica.send_signal(signal.SIGTERM)
        replica.communicate(timeout=90)


def _old_logs(place: Path) -> None:
    """Leave log files of which all but the newest are to be archived."""
    place.mkdir()
    for day in ("2024-01-01", "2024-01-02", "2024-01-03"):
        path = place / f"audit-{day}.log"
        path.write_text("what was said\n")
        at = datetime.fromisoformat(f"{day}T12:00:00Z").timestamp()
        os.utime(path, (at, at))


def lasting(stage: Stage, args: list[str]) -> str:
    """Start a replica, or the apps, wait until it stands, and stop it; return what went wrong."""
    if args[0] == "demo":
        args = [*args, "--yes"]  # the stage is a real cluster's
    sign = "apps are served"
    if args[0] != "apps":
        args, sign = [*args, "--http-port", "0", "--log-format", "json"], '"ready"'
    with stage.scene.started(*args) as process:
        assert process.stderr is not None
        said = any(sign in line for line in process.stderr)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=90)
    return "" if said and process.returncode == 0 else f"it ended with {process.returncode}"


def of_an_example(stage: Stage, name: str) -> bool:
    """Tell whether there is an example of that name; tests/examples start each of them."""
    listed = stage.call("demo", "--list")
    return listed.exit_code == 0 and (name.isupper() or name == "--list" or name in listed.stdout)


@pytest.mark.timeout(600)  # some ninety commands and replicas: a minute, alone
@pytest.mark.parametrize(
    "everywhere",
    [
        pytest.param(False, id="in the code"),
        pytest.param(
            True,
            id="everywhere",
            marks=pytest.mark.long(
                "tests/integration/test_told_commands.py"
                "::test_every_command_that_people_are_told_to_type_runs"
            ),
        ),
    ],
)
def test_every_command_that_people_are_told_to_type_runs(stage: Stage, everywhere: bool) -> None:
    commands = {
        words: place
        for place, words in told()
        if not words.startswith("COMMAND") and (everywhere or not place.startswith("docs/"))
    }
    failed = []
    for words, place in commands.items():
        args = stage.filled(words)
        if words == "maintenance off":
            stage.call("maintenance", "on", "--reason", "x")
        if "=..." in words:  # a value that nobody else may know
            args = [*args[:1], "--help"]
        if args[0] == "demo" and len(args) > 1:
            fault = "" if of_an_example(stage, words.split()[1]) else "there is no such example"
        elif args[0] in _LASTING and "--help" not in args:
            fault = lasting(stage, args)
        else:
            result = stage.call(*args)
            alone = any(sign in result.stderr for sign in _NAMED_ALONE) or "Usage:" in result.output
            if result.exit_code == 2 and alone:  # the command is named, and not its arguments
                result = stage.call(*args[:1], "--help")
            fault = "" if result.exit_code == 0 else result.output
        if fault:
            failed.append(f"{place}: sereno {words}\n    ({shlex.join(args)}) {fault.strip()}")
        if args[0] == "pause":
            stage.call("resume", *args[1:2])
        elif args[0] in ("drain", "maintenance"):
            stage.leads_again()
    assert len(commands) > 60
    assert not failed, "\n".join(failed)


def test_every_command_is_named_somewhere() -> None:
    assert {words.split()[0] for _, words in told()} >= set(ENTRIES)


def test_commands_are_found_wherever_they_stand() -> None:
    found = set(told())
    template = "kernel/sereno/cli/plugin_template"
    for place, words in (
        ("README.md", "trigger etl_ivr.sync --wait"),
        ("docs/alerts.md", "runs --state failed"),
        ("docs/cli.md", "schedule remove SCHEDULE"),
        ("conf/prometheus/sereno.rules.yml", "runs {{ $labels.job }}"),
        (
            f"{template}/README.md.txt",
            "trigger $name.greet -p times=5 --wait",
        ),
        ("kernel/sereno/cli/run_follower.py", "cancel {run_id}"),
        ("plugins/reports/sereno_reports/commands.py", "trigger reports.daily --wait"),
    ):
        assert (place, words) in found


def test_failures_would_be_seen(scene: Scene) -> None:
    stage = Stage(scene)  # without its replica: nothing of these is asked of one
    assert stage.call(*stage.filled("runs --job nosuch")).exit_code == 2
    assert stage.call(*stage.filled("nosuch")).exit_code == 2
