"""The CRM does what its own documents say of its background jobs."""

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from crm import jobs
from crm.app import create_app
from crm.jobs import Figures, daily_report
from crm.people import salted
from crm.settings import VARIABLES, Settings, tables
from crm.stand_ins import DATA, Receiver, Redis

from sereno import ConfigurationError
from sereno.testing import Kernel

from ..integration.asgi_client import alive, ask
from ..prometheus.programs import ROOT, promtool
from ..servers.waiting import wait_until

EXAMPLE = ROOT / "examples" / "crm"
TASKS = {"crm.notification_checks", "crm.metrics_refresh", "crm.cleanup", "crm.daily_report"}

pytestmark = pytest.mark.timeout(120)


@asynccontextmanager
async def crm(database: str, **environ: str) -> AsyncIterator[Any]:
    """Give the application at work, with its data in the database."""
    app = create_app({"POSTGRES_DSN": database, **environ})
    async with alive(app):
        async with app.state.node.client.database() as db:
            await db.execute(DATA.read_text("utf-8"))
        yield app


async def counted(database: str) -> list[Any]:
    """Return the figures that the CRM has on the page of metrics."""
    return list(await Figures().collect(database))


async def by_hand(app: Any, name: str) -> Any:
    return (await ask(app, f"/health/tasks/run/{name}?wait=true", method="POST")).json


async def test_the_tasks_do_what_they_are_there_for(database: str) -> None:
    async with Redis("secreto") as redis:
        wanted = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(redis.port)}
        wanted |= {"ENABLE_SCHEDULED_TASKS": "false"}  # else a task that is due is told it first
        async with crm(database, **wanted, REDIS_PASSWORD="secreto") as app:
            checks = await by_hand(app, "notification-checks")
            assert checks["state"] == "succeeded"
            assert checks["result"]["hot_lead"] > 0
            assert checks["result"]["unanswered"] > 0
            assert checks["result"]["follow_up"] > 0
            assert checks["result"]["performance"] > 0
            again = (await by_hand(app, "notification-checks"))["result"]
            assert set(again.values()) == {0}, "what was told is not told again"

            assert (await by_hand(app, "metrics-refresh"))["result"] == {"sellers": 10}
            kept = json.loads(redis.kept["crm:seller:3"][0])
            assert kept["conversations"] == 12

            gone = (await by_hand(app, "cleanup"))["result"]
            assert (gone["notification"], gone["seller_metric"], gone["chat_session"]) == (5, 1, 13)
            assert gone["memory_kb"] > 0

            assert (await by_hand(app, "daily-report"))["result"] == {"reports": 2}
            async with app.state.node.client.database() as db:
                body = await db.fetchval(
                    "SELECT body FROM crm.notification WHERE kind = 'report' ORDER BY seller"
                )
            assert body["sellers"] == 5
            figures = {
                (s.metric.name, *s.labels.values()): s.value for s in await counted(database)
            }
            assert figures["crm_notifications", "report"] == 2
            assert figures["crm_notifications", "hot_lead"] == checks["result"]["hot_lead"]
            assert figures["crm_task_memory_bytes", "crm.cleanup"] == 1024 * gone["memory_kb"]
            assert figures["crm_task_cpu_seconds", "crm.cleanup"] == gone["cpu_seconds"]
            assert (await ask(app, "/health/tasks/run/none", method="POST")).status == 404


async def test_health_start_and_stop_are_as_the_dashboards_know_them(database: str) -> None:
    async with crm(database) as app:
        report = (await ask(app, "/health")).json
        assert report["status"] == "healthy"
        assert report["database"] == {"up": True}
        scheduled = report["scheduled_tasks"]
        assert scheduled["scheduler_running"]
        assert scheduled["total_tasks"] == 4
        assert {task["id"] for task in scheduled["tasks"]} == TASKS
        assert all(task["next_run"] for task in scheduled["tasks"])
        for probe in ("liveness", "readiness", "tasks"):
            assert (await ask(app, f"/health/{probe}")).status == 200

        stopped = (await ask(app, "/health/tasks/stop", method="POST")).json["stopped"]
        assert set(stopped) == TASKS
        jobs = await app.state.node.client.jobs()
        assert {s.state for found in jobs for s in found.schedules if found.name in TASKS} == {
            "paused"
        }
        assert (await by_hand(app, "cleanup"))["state"] == "succeeded"
        started = (await ask(app, "/health/tasks/start", method="POST")).json["started"]
        assert set(started) == TASKS


async def test_the_crm_s_people_come_into_the_console_by_its_log_in(database: str) -> None:
    async with crm(database) as app:
        async with app.state.node.client.database() as db:
            for login in ("ana", "v1"):
                statement = "UPDATE crm.seller SET password = $2 WHERE login = $1"
                await db.execute(statement, login, salted(f"{login} ñ"))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://crm.example") as web:
            sent = await web.get("/sereno/jobs?plugin=crm_jobs")
            assert (sent.status_code, sent.next_request is not None) == (303, True)
            form = await web.send(sent.next_request)
            wanted = re.findall('name="next" value="(.*?)"', form.text)[0]
            assert wanted == "/sereno/jobs?plugin=crm_jobs"

            async def log_in(login: str, password: str, to: str = wanted) -> httpx.Response:
                data = {"login": login, "password": password, "next": to}
                return await web.post("/login", data=data)

            for login, password in (("ana", "wrong"), ("bruno", ""), ("no\0body", "x"), ("", "")):
                refused = await log_in(login, password)
                assert (refused.status_code, "no coinciden" in refused.text) == (403, True)
            assert (await log_in("ana", "ana ñ", "//evil.example")).headers["location"] == "/"
            assert "Ana (ceo)" in (await web.get("/")).text
            jobs = await web.get(wanted)
            assert (jobs.status_code, "crm.cleanup" in jobs.text) == (200, True)
            paused = await web.post("/sereno/api/v1/pause", json={"name": "crm.*"})
            assert paused.status_code == 200, paused.text
            asked = await web.post("/sereno/api/v1/jobs/crm.cleanup/runs", json={})
            run = await app.state.node.client.run(asked.json()["run_id"])
            assert run.requested_by.startswith("Ana@"), run.requested_by
            await web.post("/logout")
            assert (await web.get("/sereno/api/v1/jobs")).status_code == 401

            assert (await log_in("v1", "v1 ñ")).headers["location"] == wanted
            assert (await web.get("/sereno/")).status_code == 200
            asked = await web.post("/sereno/api/v1/jobs/crm.cleanup/runs", json={})
            assert asked.status_code == 403, "who sells looks, and runs nothing"


async def test_a_cache_that_goes_is_told_and_costs_no_task(database: str) -> None:
    redis = Redis()
    async with redis:
        wanted = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(redis.port)}
        app = create_app({"POSTGRES_DSN": database, **wanted})
        async with alive(app):
            status = app.state.node._guest.status
            await until(lambda: [d.up for d in status.dependencies.values()] == [True])
            assert (await ask(app, "/health")).json["cache"] == {"up": True}
            await redis.__aexit__()
            done = await by_hand(app, "metrics-refresh")
            assert done["state"] == "succeeded"
            report = (await ask(app, "/health")).json
            assert report["status"] == "degraded"
            assert "cache" in report["cache"]["error"]
            await until(lambda: [d.up for d in status.dependencies.values()] == [False])
            page = (await ask(app, "/metrics")).body
            assert b'sereno_dependency_up{plugin="crm_jobs",dependency="redis"} 0' in page


async def test_each_ceo_hears_of_the_report_at_eight(
    sereno_database: str,
) -> None:
    at = datetime(2026, 3, 2, 10, 59, 30, tzinfo=UTC)
    settings = {"plugins": {"crm_jobs": {"metrics_refresh_interval_minutes": 15}}}
    async with Kernel(
        database=sereno_database, plugins={"crm_jobs": jobs}, settings=settings, at=at
    ) as kernel:
        async with kernel.client.database() as db:
            await db.execute(DATA.read_text("utf-8"))
        ended = await kernel.advance("1m")
        async with kernel.client.database() as db:
            told = await db.fetch("SELECT message FROM sereno.message")
    slots = {run.job: run.slot for run in ended}
    eight_in_buenos_aires = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)
    assert slots[daily_report.name] == eight_in_buenos_aires
    assert sorted(row["message"]["title"] for row in told) == [
        "Ana: report of 2026-03-02",
        "Bruno: report of 2026-03-02",
    ]


async def test_the_report_reaches_the_receiver_though_that_is_away_at_first(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Receiver(fails_first=1) as receiver:
        monkeypatch.setenv("SERENO_PLUGINS__NOTIFY__WEBHOOKS__CEO__URL", receiver.url)
        async with crm(database) as app:
            await by_hand(app, "daily-report")
            told = [await asyncio.wait_for(receiver.told.get(), 60) for _ in range(2)]
    assert {message["title"].partition(":")[0] for message in told} == {"Ana", "Bruno"}


def test_each_variable_of_the_documents_is_obeyed() -> None:
    chosen = tables(
        {
            "ENABLE_SCHEDULED_TASKS": "false",
            "NOTIFICATION_CHECK_INTERVAL_MINUTES": "10",
            "METRICS_REFRESH_INTERVAL_MINUTES": "30",
            "CLEANUP_INTERVAL_HOURS": "2",
            "LOG_LEVEL": "WARNING",
            "ENABLE_TASK_LOGGING": "false",
            "POSTGRES_DSN": "postgresql://crm@db/crm",
        }
    )
    assert chosen["database_url"] == "postgresql://crm@db/crm"
    assert chosen["log"] == {"level": "warning", "keep_level": "warning", "success_level": "debug"}
    assert chosen["plugins"]["crm_jobs"] == {
        "enable_scheduled_tasks": False,
        "notification_check_interval_minutes": 10,
        "metrics_refresh_interval_minutes": 30,
        "cleanup_interval_hours": 2,
    }
    assert tables({})["plugins"]["crm_jobs"] == {}
    assert Settings().notification_check_interval_minutes == 5
    for word, is_on in (("1", True), ("YES", True), (" off ", False), ("0", False)):
        chosen = tables({"ENABLE_SCHEDULED_TASKS": word, "ENABLE_TASK_LOGGING": word})
        assert chosen["plugins"]["crm_jobs"] == {"enable_scheduled_tasks": is_on}
        assert (chosen["log"]["success_level"] == "info") is is_on
    for name in ("ENABLE_SCHEDULED_TASKS", "ENABLE_TASK_LOGGING"):
        with pytest.raises(ConfigurationError, match=f"{name} is 'maybe', it must be true or"):
            tables({name: "maybe"})


def test_the_example_of_its_variables_is_whole_and_sound() -> None:
    lines = (EXAMPLE / ".env.example").read_text("utf-8").splitlines()
    given = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    known = {*VARIABLES, "POSTGRES_DSN", "LOG_LEVEL", "ENABLE_TASK_LOGGING"}
    assert known == {name for name in given if not name.startswith("SERENO_")}
    chosen = tables(given)
    assert chosen["plugins"]["crm_jobs"]["redis_port"] == 6379
    assert chosen["database_url"] == given["POSTGRES_DSN"]


async def test_an_interval_of_nothing_ends_the_start_with_a_sentence(database: str) -> None:
    for name, text, rule in (
        ("NOTIFICATION_CHECK_INTERVAL_MINUTES", "0", "it must be a whole number from 1 to 1440"),
        ("CLEANUP_INTERVAL_HOURS", "a day", "it must be a whole number from 1 to 168"),
        ("REDIS_PORT", "6379x", "it must be a whole number from 1 to 65535"),
        ("LOG_LEVEL", "LOUD", "it must be one of CRITICAL, DEBUG, ERROR, INFO, WARNING"),
    ):
        with pytest.raises(ConfigurationError, match=f"{name} is '{text}', {rule}"):
            async with crm(database, **{name: text}):
                pass


@pytest.mark.parametrize(
    ("interval", "told"),
    [("7", (0, "every 7m")), ("0", (1, "NOTIFICATION_CHECK_INTERVAL_MINUTES is '0', it must be"))],
)
def test_before_a_deploy_the_variables_are_checked(interval: str, told: tuple[int, str]) -> None:
    checked = subprocess.run(
        [sys.executable, "start.py", "--check"],
        cwd=EXAMPLE,
        env={**os.environ, "NOTIFICATION_CHECK_INTERVAL_MINUTES": interval},
        capture_output=True,
        text=True,
        check=False,
    )
    code, sentence = told
    assert (checked.returncode, "Traceback" in checked.stderr) == (code, False), checked.stderr
    assert sentence in checked.stdout + checked.stderr


async def test_switched_off_tasks_have_no_schedule_and_run_by_hand(database: str) -> None:
    async with crm(database, ENABLE_SCHEDULED_TASKS="false", LOG_LEVEL="WARNING") as app:
        scheduled = (await ask(app, "/health")).json["scheduled_tasks"]
        assert not scheduled["enabled"]
        assert [task["next_run"] for task in scheduled["tasks"]] == [None] * 4
        assert (await by_hand(app, "cleanup"))["state"] == "succeeded"
        page = (await ask(app, "/metrics")).body.decode()
        assert 'sereno_job_unscheduled{job="crm.cleanup"} 1' in page
    assert logging.getLogger("sereno").level == logging.NOTSET


@pytest.mark.parametrize("file", ["alerts.yml"])
def test_promtool_accepts_the_alerts(file: str) -> None:
    promtool("check", "rules", EXAMPLE / file)


def test_the_alerts_fire_and_stay_silent_as_played() -> None:
    promtool("test", "rules", EXAMPLE / "alerts_test.yml")


async def until(condition: Any) -> None:
    await asyncio.to_thread(wait_until, condition, "the dependency is found so", 40)
