import json
from pathlib import Path
from typing import Any

from sereno import Job, cron, every, hookimpl, job
from sereno.triggers import parse

from .conftest import Call


@job("etl.sync", schedule=cron("0 8 * * *", tz="Europe/Madrid"))
async def sync(run: Any) -> None: ...


@job("etl.clean", schedule=every("6h"))
async def clean(run: Any) -> None: ...


def jobs(*declared: Job) -> dict[str, Any]:
    return {
        "sereno_register_jobs": hookimpl(specname="sereno_register_jobs")(lambda: list(declared))
    }


def never() -> list[Job]:
    return [sync.changed(schedule=parse("cron 0 0 30 2 * UTC"))]


GOOD = {"etl": jobs(sync, clean)}


def test_check_prints_the_next_slots_of_every_schedule(call: Call) -> None:
    result = call("check", plugins=GOOD)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "settings  no file: defaults and environment"
    assert lines[1] == "plugins   etl"
    assert lines[2] == "jobs      2, with 2 schedules"
    assert lines[3] == "timezone  UTC, of triggers that name none"
    rows = [line for line in lines if "etl." in line]
    assert "cron 0 8 * * * Europe/Madrid" in rows[0]
    assert len(lines) == 6 + 6


def test_check_says_which_jobs_run_by_hand_and_why_one_has_no_schedule(call: Call) -> None:
    hand = job("etl.hand")(sync.function)
    chained = job("etl.chained", after="etl.sync")(sync.function)
    idle = job("etl.idle")(sync.function).changed(unscheduled="plugins.etl.url is not set")
    plugins = {"etl": jobs(sync, hand, chained, idle)}
    result = call("check", plugins=plugins)
    assert result.exit_code == 0, result.output
    assert "\nby hand   etl.hand\n" in result.stdout
    assert "\njob 'etl.idle' has no schedule: plugins.etl.url is not set\n" in result.stdout
    assert json.loads(call("check", "--json", plugins=plugins).stdout)["by_hand"] == [
        {"job": "etl.hand", "why": None},
        {"job": "etl.idle", "why": "plugins.etl.url is not set"},
    ]


def test_check_as_json(call: Call) -> None:
    result = call("check", "--json", plugins=GOOD)
    found = json.loads(result.stdout)
    assert found["jobs"] == ["etl.clean", "etl.sync"]
    assert [s["trigger"] for s in found["schedules"]] == [
        "cron 0 8 * * * Europe/Madrid",
        "every 6h",
    ]
    assert all(len(s["slots"]) == 3 for s in found["schedules"])


def test_a_plugin_whose_cron_never_fires_fails_the_check_by_name(call: Call) -> None:
    hooks = {"sereno_register_jobs": hookimpl(specname="sereno_register_jobs")(never)}
    result = call("check", plugins={**GOOD, "bad": hooks})
    assert result.exit_code == 1
    assert "plugin 'bad' cannot be loaded" in result.stderr
    assert "0 0 30 2 *" in result.stderr
    assert "never fires" in result.stderr
    assert "etl.sync" in result.stdout


def test_a_cron_in_the_configuration_that_never_fires_names_job_and_line(call: Call) -> None:
    Path("sereno.toml").write_text('[jobs."etl.sync"]\nschedule = "0 0 30 2 *"\n')
    result = call("check", plugins=GOOD)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("sereno: sereno.toml:2: job 'etl.sync': ")
    assert "never fires" in result.stderr


def test_an_unknown_key_gets_a_suggestion(call: Call) -> None:
    Path("sereno.toml").write_text('databse_url = "embedded"\n')
    result = call("check", plugins=GOOD)
    assert result.exit_code == 2
    assert result.stderr == (
        "sereno: sereno.toml:1: unknown key 'databse_url', did you mean 'database_url'?\n"
    )


def test_every_fault_of_the_configuration_is_told_at_once(call: Call) -> None:
    Path("sereno.toml").write_text('[http]\nprot = 1\n[log]\nlevel = "loud"\n')
    result = call("check", plugins=GOOD)
    assert result.exit_code == 2
    assert result.stderr.count("sereno: sereno.toml:") == 2


def test_a_schedule_that_is_disabled_says_so(call: Call) -> None:
    Path("sereno.toml").write_text('[jobs."etl.sync"]\nenabled = false\n')
    result = call("check", plugins=GOOD)
    assert result.exit_code == 0
    row = next(line for line in result.stdout.splitlines() if line.startswith("etl.sync"))
    assert row.endswith("disabled")


def test_next_needs_no_database_and_starts_none(call: Call, tmp_path: Path) -> None:
    result = call("next", "etl.clean", "-n", "2", plugins=GOOD)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("every 6h\nSLOT")
    assert len(result.stdout.splitlines()) == 4
    assert list(tmp_path.iterdir()) == []


def test_next_of_a_job_without_a_schedule_says_how_to_run_it(call: Call) -> None:
    @job("etl.hand")
    async def hand(run: Any) -> None: ...

    result = call("next", "etl.hand", plugins={"etl": jobs(hand)})
    assert (result.exit_code, result.stdout) == (2, "")
    assert "job 'etl.hand' has no schedule; `sereno trigger etl.hand` runs it" in result.stderr


def test_plugins_are_listed_with_the_reason_of_a_failure(call: Call) -> None:
    hooks = {"sereno_register_jobs": hookimpl(specname="sereno_register_jobs")(never)}
    result = call("plugins", plugins={**GOOD, "bad": hooks})
    assert result.exit_code == 0
    rows = [line.split(maxsplit=4) for line in result.stdout.splitlines()]
    assert rows[1][:4] == ["etl", "-", "loaded", "2"]
    assert rows[2][:4] == ["bad", "-", "failed", "-"]
    assert "never fires" in rows[2][4]
    found = json.loads(call("plugins", "--json", plugins=GOOD).stdout)
    assert [(p["name"], p["state"], p["jobs"]) for p in found] == [
        ("etl", "loaded", ["etl.sync", "etl.clean"])
    ]


def test_plugins_are_listed_even_where_the_configuration_is_at_fault(call: Call) -> None:
    Path("sereno.toml").write_text("[plugins.etl]\nbatch = 1\n")
    result = call("plugins", plugins=GOOD)
    assert result.exit_code == 2
    assert "etl" in result.stdout
    assert "plugin 'etl' takes no settings" in result.stderr
