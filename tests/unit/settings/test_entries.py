from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sereno import ConfigurationError, Retry
from sereno.settings import JobSettings, ScheduleSettings, Settings, load_settings


def load(tmp_path: Path, toml: str = "", **environ: str) -> Settings:
    file = tmp_path / "s.toml"
    file.write_text(toml)
    return load_settings(file=file, environ=environ, flags={})


def test_a_job_takes_its_schedule_and_any_policy(tmp_path: Path) -> None:
    toml = """[jobs."etl.sync"]
    schedule = "every 6h"
    timeout = "10m"
    keep_for = "7d"
    keep_runs = 100
    retry = { attempts = 3, delay = "1s" }
    """

    assert load(tmp_path, toml).jobs == {
        "etl.sync": JobSettings(
            schedule="every 6h",
            policies={
                "timeout": timedelta(minutes=10),
                "keep_for": timedelta(days=7),
                "keep_runs": 100,
                "retry": Retry(attempts=3, delay=timedelta(seconds=1)),
            },
        )
    }


def test_a_variable_names_a_job_with_double_underscores_for_its_dots(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        SERENO_JOBS__ETL_IVR__SYNC__TIMEOUT="5m",
        SERENO_JOBS__ETL_IVR__SYNC__MAX_RUNNING="2",
        SERENO_JOBS__ETL_IVR__SYNC__KEEP_RUNS="5",
        SERENO_JOBS__ETL_IVR__SYNC__RETRY='{"attempts": 2}',
        SERENO_JOBS__ETL_IVR__SYNC__CONCURRENCY_KEY="5",
        SERENO_JOBS__ETL_IVR__SYNC__ENABLED="false",
    )

    assert settings.jobs == {
        "etl_ivr.sync": JobSettings(
            enabled=False,
            policies={
                "timeout": timedelta(minutes=5),
                "max_running": 2,
                "keep_runs": 5,
                "retry": Retry(attempts=2),
                "concurrency_key": "5",
            },
        )
    }


def test_a_schedule_has_a_window_params_and_policies(tmp_path: Path) -> None:
    toml = """[schedules.month_end]
    job = "etl.sync"
    trigger = "cron 0 23 28 * *"
    params = { full = true }
    start = 2026-01-01T00:00:00Z
    end = 2027-01-01T00:00:00+01:00
    jitter = "30s"
    catch_up = "none"
    """

    found = load(tmp_path, toml).schedules["month_end"]

    assert found.start == datetime(2026, 1, 1, tzinfo=UTC)
    assert found == ScheduleSettings(
        job="etl.sync",
        trigger="cron 0 23 28 * *",
        params={"full": True},
        start=found.start,
        end=found.end,
        jitter="30s",
        policies={"catch_up": "none"},
    )


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        ("[jobs.'a.b']\nshedule = 'x'", "2: unknown key 'shedule', did you mean 'schedule'?"),
        (
            "[jobs.a.b]\ntimeout = '5m'",
            "1: unknown key 'b'; a job's name stands in quotes: [jobs.\"a.b\"]",
        ),
        (
            "[jobs.'a.b']\ntimeout = 'x'",
            (
                "2: [jobs.\"a.b\"]: timeout is 'x': duration 'x': it cannot be read; write it like "
                "90s, 10m, 6h, 1d12h or 250ms"
            ),
        ),
        ("[jobs.'a.b']\npolicies = {}", "2: unknown key 'policies'"),
        ("[schedules.x]\njob = 'a.b'", "1: [schedules.x] wants the key 'trigger'; set it there"),
        (
            "[schedules.x]\njob = 'a.b'\ntrigger = 'every 6h'\nstart = 2026-01-01",
            (
                "4: schedules.x.start is 2026-01-01, it must be a date and time "
                "with its zone, as 2026-01-31T08:00:00Z"
            ),
        ),
        (
            (
                "[schedules.x]\njob = 'a'\ntrigger = 'every 6h'\nstart = 2026-01-01T00:00:00Z\n"
                "end = 2026-01-01T00:00:00Z"
            ),
            "1: [schedules.x] the window is empty, start 2026-01-01 00:00:00+00:00 is not before",
        ),
    ],
)
def test_a_fault_is_told_with_its_line(tmp_path: Path, toml: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load(tmp_path, toml)

    assert str(refusal.value).startswith(f"{tmp_path}/s.toml:{sentence}")
