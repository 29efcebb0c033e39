"""From a fault to the message: real replicas, Prometheus, Alertmanager and a receiver."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from ..servers.waiting import wait_until
from .stage import Stage, staged
from .test_rules import DASHBOARD, expressions

pytestmark = [
    pytest.mark.fault,
    pytest.mark.timeout(240),
    pytest.mark.xdist_group("prometheus"),  # they share a stage
]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("stage")) as found:
        yield found


@pytest.fixture(autouse=True)
def healed(stage: Stage) -> Iterator[None]:
    """Begin and end each test with two replicas that are well."""
    stage.calm()
    yield
    (stage.spoiled / "fail").unlink(missing_ok=True)


@pytest.fixture
def recorded(record_property: Callable[[str, object], None]) -> Callable[[str, float], None]:
    """Keep a figure in the report: seconds from the fault to the message."""

    def record(what: str, seconds: float) -> None:
        record_property(what, round(seconds, 1))
        print(f"{what}: {seconds:.1f} s")

    return record


def test_a_job_that_fails_is_told_then_overdue_then_both_are_over(
    stage: Stage, recorded: Callable[[str, float], None]
) -> None:
    fault = time.monotonic()
    (stage.spoiled / "fail").touch()

    heard = stage.receiver
    failed = heard.seconds_until("SerenoJobFailed", "firing", fault, job="watched.tick")
    recorded("failure to message", failed)
    overdue = heard.seconds_until(
        "SerenoJobOverdue", "firing", fault, job="watched.tick", severity="critical"
    )
    recorded("failure to overdue message (overdue_after 4 s)", overdue)

    cure = time.monotonic()
    (stage.spoiled / "fail").unlink()
    over = heard.seconds_until("SerenoJobOverdue", "resolved", cure, job="watched.tick")
    recorded("success to resolved message", over)
    heard.seconds_until("SerenoJobFailed", "resolved", cure, job="watched.tick")

    assert not any(alert["labels"].get("job") == "watched.yearly" for _, alert in heard.heard)


def test_when_the_leader_is_killed_another_leads_and_nobody_is_woken(
    stage: Stage, recorded: Callable[[str, float], None]
) -> None:
    dead = stage.leader()
    fault = time.monotonic()
    dead.kill()

    down = stage.receiver.seconds_until("SerenoReplicaDown", "firing", fault)
    recorded("leader killed to message", down)
    wait_until(lambda: stage.query("max(sereno_leader) == 1"), "the other to lead")
    cure = time.monotonic()
    dead.start()
    stage.receiver.seconds_until("SerenoReplicaDown", "resolved", cure)

    woken = stage.receiver.names(fault) & {
        "SerenoNoReplica",
        "SerenoJobOverdue",
        "SerenoTwoLeaders",
        "SerenoSlotsMissed",
    }
    assert woken == set()


def test_when_all_replicas_are_killed_that_is_told(
    stage: Stage, recorded: Callable[[str, float], None]
) -> None:
    fault = time.monotonic()
    for replica in stage.replicas:
        replica.kill()

    told = stage.receiver.seconds_until("SerenoNoReplica", "firing", fault, severity="critical")
    recorded("all replicas killed to message", told)
    cure = time.monotonic()
    for replica in stage.replicas:
        replica.start()
    over = stage.receiver.seconds_until("SerenoNoReplica", "resolved", cure)
    recorded("replicas back to resolved message", over)


def test_when_the_database_is_away_that_is_told(
    stage: Stage, recorded: Callable[[str, float], None]
) -> None:
    fault = time.monotonic()
    stage.postgres.stop()

    told = stage.receiver.seconds_until("SerenoDatabaseAway", "firing", fault, severity="critical")
    recorded("database stopped to message", told)
    wait_until(
        lambda: stage.query('sereno_job_overdue_seconds{job="watched.tick"} > 0'),
        "time to go on in what is overdue, though the database is away",
    )
    cure = time.monotonic()
    stage.postgres.start()
    over = stage.receiver.seconds_until("SerenoDatabaseAway", "resolved", cure)
    recorded("database back to resolved message", over)


def test_every_expression_of_the_dashboard_returns_data(stage: Stage) -> None:
    former = stage.leader()
    former.kill()  # one panel shows changes of the leader
    former.start()
    (stage.spoiled / "fail").touch()
    began = time.monotonic()
    wait_until(
        lambda: stage.query('ALERTS{alertname="SerenoJobOverdue", alertstate="firing"}'),
        "an overdue job on the dashboard",
    )
    asked = {e: _filled(e) for e in expressions(DASHBOARD)}

    def empty() -> list[str]:
        past = time.monotonic() - began + 60
        return [e for e, filled in asked.items() if not stage.query_range(filled, past)]

    wait_until(lambda: not empty(), f"data for {empty()}", 30)
    assert len(asked) > 40


def _filled(expression: str) -> str:
    for variable, value in {
        "$cluster": ".*",
        "$job": ".*",
        "$__rate_interval": "10s",
        "$__range": "1m",
    }.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression, expression
    return expression


def test_prometheus_keeps_which_run_stands_behind_a_bucket(stage: Stage) -> None:
    url = (
        f"{stage.prometheus}/api/v1/query_exemplars?query=sereno_slot_lateness_seconds_bucket"
        f"&start={time.time() - 300}&end={time.time() + 60}"
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def exemplars() -> list[dict[str, object]]:
        with opener.open(url, timeout=5) as answer:
            return list(json.loads(answer.read())["data"])

    wait_until(exemplars, "an exemplar")
    assert "run_id" in str(exemplars()[0]["exemplars"])
