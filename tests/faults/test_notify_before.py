"""The version before, whose kernel told people itself, beside the plugin that does by now: what one
of them has told the other does not, and nothing is lost between them."""

import json
import signal
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from ..history import unpack
from ..planting import plant
from ..plugins.notify.receiver import Receiver, receiving
from ..servers.waiting import wait_until
from .asking import do, enqueue, state, value
from .process import ROOT, process

COMMIT = "0383472a0bd5e92b908ca551ac418323a39ffb6c"
"""The last one whose kernel carried messages."""

PLUGIN = """
import importlib
import os
from pathlib import Path
from sereno import *

# A lapse has to last for half a minute in both versions, before anybody is told: here for 10 s.
try:
    looking = importlib.import_module("sereno.notify.lookout").Lookout.__init__
except ModuleNotFoundError:
    looking = importlib.import_module("sereno.app.carrying").carrying.__wrapped__
assert set(looking.__kwdefaults__) >= {"every", "patience"}
looking.__kwdefaults__.update(every=1.0, patience=10.0)

def well(name):
    return (Path(os.environ["PLACE"]) / name).exists()

@job("mixed.late", schedule=every("1s"), overdue_after="2s")
async def late(run):
    raise ValueError("never")

@job("mixed.later", schedule=every("1s"), overdue_after="2s", severity="critical")
async def later(run):
    if not well("well"):
        raise ValueError("not any more")

@job("mixed.tells")
async def tells(run):
    run.notify(Message(run.params["title"], severity="warning"))

@hookimpl
def sereno_register_jobs():
    return [late, later, tells]

@hookimpl
async def sereno_on_job_overdue(event):
    with (Path(os.environ["PLACE"]) / "heard").open("a") as heard:
        heard.write(f"{event.job} {event.resolved}\\n")
"""

WAITING = """
    INSERT INTO sereno.notification (key, notifier, kind, severity, open, message, due_at)
    SELECT 'pending ' || n, 'ops', 'test', 'warning', false, jsonb_build_object(
               'title', 'pending ' || n, 'text', '', 'at', now(), 'facts', '{}'::jsonb),
           clock_timestamp() + n * interval '0.2 s'
      FROM generate_series(1, 40) n
"""

LEFT = "SELECT count(*) FROM sereno_notify.notification WHERE state NOT IN ('sent')"
TRIED_AGAIN = """
    SELECT array_agg(CASE kind WHEN 'message' THEN message ->> 'title' ELSE key END)
      FROM sereno_notify.notification WHERE attempts > 1
"""

pytestmark = [pytest.mark.fault, pytest.mark.timeout(600)]


@pytest.fixture(scope="session")
def before(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the version before: the path to import it from."""
    paths = ["kernel/sereno", "plugins/notify"]
    place = unpack(COMMIT, paths, tmp_path_factory.mktemp("before"))
    return f"{place / 'kernel'}:{place / 'plugins' / 'notify'}"


def told(receiver: Receiver) -> Counter[str]:
    """Count what has arrived, by key, and of jobs by title."""
    found = [json.loads(request.body) for request in receiver.requests]
    return Counter(f["title"] if f["kind"] == "message" else f["key"] for f in found)


def test_each_thing_is_told_once_whichever_version_finds_it_out(
    empty_database: str, before: str, tmp_path: Path
) -> None:
    dsn, site = empty_database, tmp_path / "site"
    plant(site, PLUGIN)
    (tmp_path / "well").touch()
    others = ["cleanup", "console", "etl_ivr", "reports", "sun"]
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving())
        common = {
            "PLACE": str(tmp_path),
            "SERENO_DISABLED_PLUGINS": json.dumps(others),
            "SERENO_NOTIFY__REPEAT_EVERY": "4h",
            # On a loaded machine a lead of 2 s changes hands by itself, and a lapse begins anew.
            "SERENO_LEASE": "10s",
            "SERENO_PLUGINS__NOTIFY__WEBHOOKS__OPS__URL": f"{receiver.url}/ops",
        }
        old = {**common, "PYTHONPATH": f"{before}:{site}:{ROOT}"}
        tells = iter(range(1000))
        said: list[str] = []

        def say(times: int) -> None:
            for _ in range(times):
                said.append(f"message {next(tells)}")
                enqueue(dsn, "mixed.tells", json.dumps({"title": said[-1]}))

        first = stack.enter_context(process(dsn, tmp_path, "", site=site, **old))
        first.said("ready")
        say(5)
        wait_until(lambda: told(receiver)["run_failed mixed.late"], "the first failure")
        do(dsn, WAITING)
        newest = stack.enter_context(process(dsn, tmp_path, "", site=site, **common))
        newest.said("ready")
        assert value(dsn, "SELECT to_regclass('sereno_notify.notification') IS NOT NULL")
        say(20)
        wait_until(lambda: told(receiver)["job_overdue mixed.late"], "the first lapse", 180)
        say(10)
        first.signal(signal.SIGKILL)
        newest.said("leading")
        say(10)
        (tmp_path / "well").unlink()
        # By then the newest has found out all that the first has told, and for as long.
        wait_until(lambda: told(receiver)["job_overdue mixed.later"], "the second lapse", 180)
        again = stack.enter_context(process(dsn, tmp_path, "", site=site, **old))
        again.said("ready")
        say(10)
        newest.signal(signal.SIGTERM)
        assert newest.end() == 0
        again.said("leading")
        say(10)
        expected = [*said, *(f"pending {n}" for n in range(1, 41))]
        expected += [f"{kind} mixed.{job}" for kind in ("run_failed", "job_overdue")
                     for job in ("late", "later")]  # fmt: skip
        wait_until(lambda: set(told(receiver)) >= set(expected), "all that there is to tell", 120)
        # What the one that was killed had on its way is another's a minute later.
        wait_until(lambda: value(dsn, LEFT) == 0, "what was on its way", 120)
        again.signal(signal.SIGTERM)
        assert again.end() == 0
    found = told(receiver)
    for what in value(dsn, TRIED_AGAIN) or []:  # after a crash, perhaps twice
        found[what] = min(found[what], 1)
    assert found == Counter(expected)
    heard = (tmp_path / "heard").read_text().splitlines()
    assert sorted(heard) == ["mixed.late False", "mixed.later False"]
    assert value(dsn, LEFT) == 0
    assert state(dsn, 1) in ("failed", "succeeded")
