from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from msgspec.structs import replace

from sereno.engine.status import Status
from sereno.observe.health import health, readiness, tasks
from sereno.observe.job_watch import Glance
from sereno.plugins.record import PluginRecord

from .facts import DAY, HOUR, MINUTE, NODE, NOW, ago, ahead, glance, job


def status(**facts: Any) -> Status:
    known = {"store_up": True, "store_error": None, "migrated": True, **facts}
    return Status(node=uuid4(), label="green-2", version="1.2.3", **known)


def test_all_is_well() -> None:
    report = health(status(), glance(job(next_slot=ahead(HOUR))), [])

    assert (report["status"], report["problems"]) == ("ok", [])
    assert report["leader"]["id"] == str(NODE)
    assert report["leader"]["label"] == "blue-1"
    assert report["node"]["role"] == "standby"


def test_the_report_is_what_json_can_hold() -> None:
    report = health(status(), glance(job(last_run=3, last_state="failed", last_end_at=ago(1))), [])

    assert msgspec.json.decode(msgspec.json.encode(report)) == report


def test_an_overdue_job_degrades() -> None:
    report = health(status(), glance(job(due_by=ago(90), severity="critical")), [])

    assert report["status"] == "degraded"
    assert report["problems"] == ["job 'etl.sync' has been overdue for 1m30s (critical)"]


def test_ten_overdue_jobs_are_named_and_the_rest_counted() -> None:
    report = health(status(), glance(*(job(f"etl.j{n}", due_by=ago(90)) for n in range(30))), [])

    assert len(report["problems"]) == 11
    assert report["problems"][-1] == "20 more jobs are overdue"


def test_a_plugin_that_failed_degrades_and_tells_why_without_its_secrets() -> None:
    broken = PluginRecord(
        name="etl", state="failed", reason="cannot reach mysql://root:hunter2@pbx/asterisk"
    )

    report = health(status(), glance(), [broken])

    assert report["status"] == "degraded"
    assert report["problems"] == [
        "plugin 'etl' is not loaded: cannot reach mysql://root:***@pbx/asterisk"
    ]
    assert "hunter2" not in str(report)


@pytest.mark.parametrize(("ago", "told"), [(HOUR, True), (2 * DAY, False), (-HOUR, True)])
def test_a_database_that_went_back_to_an_older_state_is_told_for_a_day(
    ago: float, told: bool
) -> None:
    at = NOW - timedelta(seconds=ago)

    report = health(status(), glance(history_at=at), [])

    assert report["store"]["timeline_changed_at"].startswith(f"{at:%Y-%m-%dT%H:%M:%S}")
    assert any("went on from an older state" in p for p in report["problems"]) is told
    assert report["status"] == ("degraded" if told else "ok")


def test_without_a_leader_it_is_down() -> None:
    report = health(status(), glance(led=False), [])

    assert report["status"] == "down"
    assert report["leader"]["alive"] is False
    assert report["problems"][0].startswith("no node leads")


def test_without_the_database_it_is_down_and_shows_what_was_last_known() -> None:
    away = replace(glance(job()), error="no answer from postgres://u:hunter2@db/app")

    report = health(status(store_error=None), away, [])

    assert report["status"] == "down"
    assert [task["name"] for task in report["tasks"]] == ["etl.sync"]
    assert "hunter2" not in str(report)


def test_before_the_first_answer_nothing_is_claimed() -> None:
    report = health(status(), Glance(snapshot=None, now=None, error="away"), [])

    assert (report["status"], report["leader"], report["tasks"]) == ("down", None, [])


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({}, "waiting"),
        ({"last_state": "succeeded"}, "ok"),
        ({"last_state": "timed_out"}, "timed_out"),
        ({"last_state": "failed", "running": 1}, "running"),
        ({"last_state": "failed", "active": False, "paused": True}, "paused"),
        ({"due_by": ago(1), "running": 1}, "overdue"),
    ],
)
def test_a_task_tells_how_it_is_in_one_word(facts: dict[str, Any], state: str) -> None:
    (task,) = tasks(glance(job(**facts)))

    assert task["state"] == state


def test_a_task_tells_its_last_and_next_run() -> None:
    (task,) = tasks(
        glance(
            job(
                last_run=41,
                last_state="succeeded",
                last_end_at=ago(MINUTE),
                last_success_at=ago(MINUTE),
                last_duration=1.23456,
                next_slot=ahead(HOUR),
            )
        )
    )

    assert task["last_run"] == {
        "id": 41,
        "state": "succeeded",
        "ended_at": "2026-03-06T11:59:00.000Z",
        "seconds": 1.235,
    }
    assert task["next_run_at"] == "2026-03-06T13:00:00.000Z"


def test_overdue_tasks_come_first() -> None:
    found = tasks(glance(job("a"), job("b", due_by=ago(5)), job("c", due_by=ago(9))))

    assert [task["name"] for task in found] == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"leaving": True}, "this node is leaving"),
        ({"store_up": False, "store_error": "no route to db"}, "cannot be used: no route to db"),
        ({"store_up": False, "store_error": None}, "cannot be used: it is away"),
        ({"migrated": False}, "not migrated yet: run 'sereno migrate'"),
        ({"opening": True}, "this node opens its plugins"),
    ],
)
def test_a_node_that_is_not_ready_says_why(facts: dict[str, Any], reason: str) -> None:
    assert reason in (readiness(status(**facts)) or "")


def test_a_standby_is_ready() -> None:
    assert readiness(status()) is None
