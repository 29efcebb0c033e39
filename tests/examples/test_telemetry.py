"""The telemetry chain, whole: what its own document asks for, with a stand-in of PanAccess."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from sereno import RunFilter, SyncClient
from sereno.embedded import EmbeddedPostgres

from ..servers.supervised import free_port
from ..servers.waiting import wait_until
from .by_file import loaded

PROJECT = Path(__file__).parents[2] / "examples" / "telemetry"
MERGE, SYNC = "telemetria.merge", "telemetria.sync"


pytestmark = pytest.mark.xdist_group("telemetry")  # they share a service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Start it as `start.py` does; its schedule rests, so that each run is one of these tests."""
    standins, start = loaded(PROJECT, "standins", "start")
    world, port, logs = standins.World(), free_port(), tmp_path_factory.mktemp("logs")
    with (
        EmbeddedPostgres.temporary() as server,
        standins.outside(world) as environment,
    ):
        environment |= {"DATABASE_URL": server.dsn, "TELEMETRY_LOGS": str(logs)}
        with start.served(environment, port, free_port(), quiet=True):
            schema = "SELECT count(*) FROM sereno.job WHERE name LIKE 'telemetria.%%'"
            found = SimpleNamespace(world=world, logs=logs, environment=environment)
            found.database = server.dsn
            wait_until(lambda: there(found) and ask(found, schema) == 2, "both jobs")
            with SyncClient.open(server.dsn, requested_by="test") as client:
                found.client = client
                found.due = client.next_slots(SYNC)
                client.pause(SYNC, reason="each run is one of a test")
                yield found


def there(service: Any) -> bool:
    return bool(ask(service, "SELECT to_regclass('sereno.job') IS NOT NULL"))


def ask(service: Any, statement: str, *params: Any) -> Any:
    with psycopg.connect(service.database, autocommit=True) as connection:
        row = connection.execute(statement, params).fetchone()
        return None if row is None else row[0]


def manage(service: Any, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=PROJECT,
        env={**os.environ, **service.environment},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def records(service: Any) -> int:
    return int(ask(service, "SELECT count(*) FROM telemetria_telemetryrecordentry"))


def merged(service: Any) -> int:
    return int(ask(service, "SELECT count(*) FROM telemetria_mergedtelemetricott"))


def ended(service: Any, run: int) -> Any:
    return service.client.wait(run, timeout="1m")


def tried(service: Any, run: int, attempt: int) -> None:
    """Wait until this attempt has failed and the next one waits for its minute; have it now."""
    waits = "SELECT attempt = %s AND state = 'queued' FROM sereno.run WHERE id = %s"
    wait_until(lambda: ask(service, waits, attempt, run), f"attempt {attempt} of run {run}")
    delay = (
        "SELECT r.run_at - a.finished_at FROM sereno.run r JOIN sereno.attempt a ON a.run_id = r.id"
        " AND a.attempt = r.attempt WHERE r.id = %s"
    )
    assert abs(ask(service, delay, run) - timedelta(seconds=60)) < timedelta(seconds=5)
    ask(service, "UPDATE sereno.run SET run_at = now() WHERE id = %s RETURNING 1", run)


def level(service: Any) -> int:
    """Have all that PanAccess has here, merged; return how many records that is."""
    chain = service.client.wait_chain(service.client.enqueue(SYNC), timeout="1m")
    assert chain.succeeded, [run.error for run in chain.runs]
    return len(service.world.records)


def test_it_is_due_every_two_minutes_and_has_three_retries(service: Any) -> None:
    times = service.due[SYNC][:3]
    assert [b - a for a, b in pairwise(times)] == [timedelta(minutes=2)] * 2
    policies = {job.name: job.policies for job in service.client.jobs()}
    for name in (SYNC, MERGE):
        assert policies[name]["retry"]["attempts"] == 4, "one, and three retries"
        assert policies[name]["overlap"] == "skip"


def test_what_sync_found_is_merged_and_nothing_is_there_twice(service: Any) -> None:
    base, kept, done = level(service), records(service), merged(service)
    service.world.add_views(600)
    bad = (  # each costs itself alone
        {"timestamp": "ayer"},
        {"actionId": 2**40},
        {"dataDuration": "mucho"},
        {"subscriberCode": "s" * 51},
        {"dataName": "a\0b"},
    )
    for place, fault in enumerate(bad, 1):
        service.world.records[base + 2 * place + 1] |= fault
    service.world.records[base + 101] = None
    chain = service.client.wait_chain(service.client.enqueue(SYNC), timeout="1m")
    assert chain.succeeded, [run.error for run in chain.runs]
    found = {run.job: service.client.run(run.id) for run in chain.runs}
    assert found[SYNC].result == {
        **{"downloaded": 1200, "saved": 1194, "errors": 6},
        **{"highest_id_before": base, "highest_id_after": base + 1200},
    }
    assert found[MERGE].params == {"highest_id_after": base + 1200}
    assert found[MERGE].result == {"merged": 594, "highest_id": base + 1200}
    assert (records(service), merged(service)) == (kept + 1194, done + 594)
    named = "SELECT count(*) FROM telemetria_mergedtelemetricott WHERE data_name LIKE 'Fútbol%%'"
    assert ask(service, named) > 0
    level(service)
    assert (records(service), merged(service)) == (kept + 1194, done + 594), "not twice"


def test_a_fault_is_tried_again_each_minute_then_told_and_the_next_run_goes_on(
    service: Any,
) -> None:
    service.world.broken = 4
    run = service.client.enqueue(SYNC, alone=True)
    for attempt in (1, 2, 3):
        tried(service, run, attempt)
    failed = ended(service, run)
    assert (failed.state, failed.attempt) == ("failed", 4)
    assert "503" in failed.error
    wait_until(
        lambda: any(str(failed.id) in json.dumps(one) for one in service.world.alerts), "an alert"
    )
    after = ended(service, service.client.enqueue(SYNC, alone=True))
    assert after.state == "succeeded", "and it goes on"


def test_a_page_that_fails_is_asked_for_again_and_no_record_is_left_out(service: Any) -> None:
    base = level(service)
    service.world.add_views(1_000)
    service.world.cut = {1_000}
    before, asked = records(service), len(service.world.calls)
    run = service.client.enqueue(SYNC)
    wait_until(lambda: records(service) == before + 1_000, "the first page")
    reached = "SELECT sincronizado FROM telemetria_avance"
    tried(service, run, 1)
    service.world.add_views(10)  # which move the pages on
    found = ended(service, run)
    assert found.state == "succeeded", found.error
    assert (found.result["downloaded"], found.result["saved"]) == (2_020, 2_000)
    pages = [offset for name, offset in service.world.calls[asked:] if name != "login"]
    assert pages[:2] == [0, 1_000]
    assert 0 not in pages[1:], "what is here is not asked for again"
    assert (records(service), ask(service, reached)) == (before + 2_000, base + 2_000)
    level(service)
    assert (records(service), ask(service, reached)) == (before + 2_020, base + 2_020)


def test_patience_uses_up_no_retry_a_session_is_renewed_and_a_refusal_is_final(
    service: Any,
) -> None:
    world = service.world
    world.throttled = 1
    run = ended(service, service.client.enqueue(SYNC, alone=True))
    assert run.state == "succeeded"
    put_off = "SELECT count(*) FROM sereno.attempt WHERE run_id = %s AND state = 'snoozed'"
    assert ask(service, put_off, run.id) == 1, "patience uses up no retry"
    world.forgets, asked = 1, len(world.calls)
    assert ended(service, service.client.enqueue(SYNC, alone=True)).state == "succeeded"
    assert [name for name, _ in world.calls[asked:]].count("login") == 2
    world.password = "otra"
    refused = ended(service, service.client.enqueue(SYNC, alone=True))
    assert (refused.state, refused.attempt) == ("failed", 1), "a refusal is not tried again"
    assert "PanAccess no deja entrar" in refused.error
    world.password = "clave"


def test_one_step_runs_alone_or_the_whole_with_its_result(service: Any) -> None:
    level(service)
    service.world.add_views(5)
    before, runs = merged(service), service.client.count_runs(RunFilter(job=MERGE)).found
    alone = manage(service, "sereno", "trigger", SYNC, "--alone", "--wait")
    assert (alone.returncode, '"saved": 10' in alone.stdout) == (0, True), alone.stdout
    assert merged(service) == before
    assert service.client.count_runs(RunFilter(job=MERGE)).found == runs, "nothing follows"
    one = manage(service, "shell", "-c", MERGE_ALONE)
    assert "merged: 5" in one.stdout, one.stdout + one.stderr
    service.world.add_views(5)
    whole = manage(service, "sereno", "trigger", SYNC, "--wait", "--chain")
    assert whole.returncode == 0, whole.stdout
    assert f"{SYNC} succeeded" in whole.stdout
    assert f"{MERGE} succeeded" in whole.stdout
    assert merged(service) == before + 10


MERGE_ALONE = """
from sereno import SyncClient
with SyncClient.open() as client:
    print("merged:", client.wait(client.enqueue("telemetria.merge")).result["merged"])
"""


def test_what_works_waits_and_was_done_is_told_by_node(service: Any) -> None:
    service.world.held.clear()
    working = service.client.enqueue(SYNC, alone=True)
    later = service.client.enqueue(MERGE, delay="1h")
    running = "SELECT state = 'running' FROM sereno.run WHERE id = %s"
    wait_until(lambda: ask(service, running, working), "a run at work")
    told = {
        state: json.loads(manage(service, "sereno", "runs", "--state", state, "--json").stdout)
        for state in ("running", "queued")
    }
    service.world.held.set()
    assert [run["run"] for run in told["running"]] == [working]
    assert later in [run["run"] for run in told["queued"]]
    assert ended(service, working).state == "succeeded"
    service.client.cancel(later)
    cluster = json.loads(manage(service, "sereno", "cluster", "--totals", "--json").stdout)
    assert {node["label"] for node in cluster["nodes"]} == {"uno", "dos"}
    done = [total for node in cluster["nodes"] for total in node["totals"]]
    kept = "SELECT count(*) FROM sereno.run WHERE job = %s AND state = %s"
    for state in ("succeeded", "failed"):
        told_of = sum(total[state] for total in done if total["job"] == SYNC)
        assert told_of == ask(service, kept, SYNC, state), state


def test_errors_have_a_file_beside_the_others(service: Any) -> None:
    service.world.password = "otra"
    refused = ended(service, service.client.enqueue(SYNC, alone=True))
    service.world.password = "clave"
    level(service)
    line = f"ERROR [SERENO {SYNC} {refused.id}]"
    wait_until(lambda: line in (service.logs / "errors.log").read_text(), line)
    errors, general = ((service.logs / name).read_text() for name in ("errors.log", "django.log"))
    assert "Traceback" in errors
    assert " INFO " not in errors
    assert f"INFO [SERENO {SYNC}" in general
    assert "getListOfTelemetryRecords" in (service.logs / "panaccess.log").read_text()
