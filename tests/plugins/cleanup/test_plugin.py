import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from sereno import parse
from sereno.testing import run_context
from sereno_cleanup import plugin
from sereno_cleanup.demo import DEMO, DIRECTORY
from sereno_cleanup.logs import logs
from sereno_cleanup.sessions import sessions
from sereno_cleanup.settings import CacheRule, CheckRule, LogRule, RotationRule, Settings, TableRule


def jobs(**settings: Any) -> dict[str, str]:
    found = plugin.sereno_register_jobs(msgspec.convert(settings, Settings))
    return {job.name: job.schedules[0].trigger.text for job in found}


def test_the_three_jobs_have_their_daily_and_hourly_schedules() -> None:
    assert jobs(logs_zone="Europe/Madrid") == {
        "cleanup.sessions": parse("0 * * * *").text,
        "cleanup.logs": parse("0 2 * * * Europe/Madrid").text,
        "cleanup.history": parse("30 3 * * *").text,
    }


def test_each_job_can_be_switched_off_or_moved() -> None:
    assert jobs(sessions_enabled=False, logs_enabled=False, history_schedule="every 1h") == {
        "cleanup.history": "every 1h"
    }


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"logs_zone": "Madrid"},
            "logs_zone: time zone 'Madrid': there is no such zone, did you mean 'Europe/Madrid'",
        ),
        ({"sessions_table": "a; drop"}, "table 'a; drop'"),
        ({"sessions_schedule": "sometimes"}, "sometimes"),
        ({"logs": [{"path": "/srv/a/*.log"}]}, "is in none of logs_roots"),
        ({"logs": [{"path": "logs/*.log"}]}, "must be absolute and without"),
        ({"logs": [{"path": "/srv/a/../b/*.log"}], "logs_roots": ["/srv/a"]}, "must be absolute"),
        ({"logs": [{"path": "/srv/a/*", "keep_days": 0}], "logs_roots": ["/srv/a"]}, ">= 1"),
        ({"retention": 3}, "unknown field `retention`"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=sentence):
        msgspec.convert(settings, Settings)


_URL = "postgresql://cleaner:hunter2/with#slash@db/app"


@pytest.mark.parametrize(
    "settings",
    [
        {"database_url": _URL},
        {"tables": [{"table": "t", "column": "at", "keep": "P1D", "database_url": _URL}]},
        {"caches": [{"table": "t", "database_url": _URL}]},
        {"checks": [{"name": "a", "sql": "SELECT 1", "database_url": _URL}]},
        {
            "checks": [
                {"name": "a", "kind": "equal", "sql": "SELECT 1", "other_sql": "SELECT 1"}
                | {"other_database_url": _URL}
            ]
        },
    ],
)
def test_a_password_that_is_not_encoded_is_told_without_any_part_of_it(
    settings: dict[str, Any],
) -> None:
    with pytest.raises(
        msgspec.ValidationError, match=r"database_url: .* write .* / as %2F"
    ) as told:
        msgspec.convert(settings, Settings)
    assert "hunter2" not in str(told.value)


async def has_sessions(connection: Any) -> bool:
    if await connection.fetchval("SELECT to_regclass('django_session')") is None:
        return False
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM django_session)"))


async def test_the_demo_makes_sessions_and_files_that_the_jobs_delete(
    empty_database: str,
) -> None:
    settings = msgspec.convert(DEMO.settings, Settings)
    assert DEMO.background is not None
    async with DEMO.background(empty_database):
        connection = await asyncpg.connect(empty_database)
        async with asyncio.timeout(30):
            while not await has_sessions(connection):  # noqa: ASYNC110 - the state is in the database
                await asyncio.sleep(0.01)
        run = run_context(sessions, settings=settings, database_url=empty_database)
        assert (await sessions.function(run))["deleted"] > 0
        await connection.close()
        async with asyncio.timeout(30):
            while len(list(DIRECTORY.glob("*.log"))) < 9:  # noqa: ASYNC110 - it is on the disk
                await asyncio.sleep(0.01)
        swept = await asyncio.to_thread(logs.function, run_context(logs, settings=settings))
        assert swept["deleted"] > 0
    assert not DIRECTORY.exists()


@pytest.mark.parametrize(
    "struct", [Settings, LogRule, TableRule, CheckRule, CacheRule, RotationRule]
)
def test_every_setting_is_documented(struct: type[msgspec.Struct]) -> None:
    page = (Path(__file__).parents[3] / "docs/cleanup.md").read_text()
    assert [name for name in struct.__struct_fields__ if f"| `{name}`" not in page] == []
