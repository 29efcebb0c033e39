from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from sereno import ConfigurationError, every, parse
from sereno_reports import plugin
from sereno_reports.demo import DEMO, demo
from sereno_reports.settings import Settings

EXAMPLES = str(Path(__file__).parents[3] / "conf/examples/reports")


def triggers(**settings: Any) -> dict[str, str]:
    found = plugin.sereno_register_jobs(msgspec.convert(settings, Settings))
    return {job.name: job.schedules[0].trigger.text for job in found if job.schedules}


def test_reports_are_made_in_the_morning_on_the_business_clock() -> None:
    assert triggers(zone="America/Bogota") == {
        "reports.daily": parse("0 8 * * * America/Bogota").text,
        "reports.weekly": parse("5 8 * * mon America/Bogota").text,
        "reports.monthly": parse("10 8 1 * * America/Bogota").text,
        "reports.scheduler": parse("15 8 * * * America/Bogota").text,
    }
    assert triggers(schedule="every 20s")["reports.daily"] == "every 20s"
    assert triggers(enabled=False) == {}


def test_every_shipped_report_has_a_job_and_those_without_a_schedule_are_asked_for() -> None:
    names = {job.name for job in plugin.sereno_register_jobs(Settings())}
    assert names - set(triggers()) == {"reports.agents", "reports.queues"}


def test_reports_are_delivered_where_there_is_anywhere_to() -> None:
    assert "reports.deliver" not in triggers()
    assert triggers(deliver_dir="/srv/reports")["reports.deliver"] == "every 1m"
    assert "reports.deliver" in triggers(recipients={"daily": ["ceo@example.com"]})
    assert "reports.deliver" in triggers(routed=["scheduler"])
    assert "reports.deliver" in triggers(reports_dirs=[EXAMPLES])  # as one of them declares


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"routed": ["dayly"]}, "routed names 'dayly', and there is no such report; there are "),
        ({"formats": {"dayly": ["pdf"]}}, "formats names 'dayly', and there is no such report"),
        ({"severities": {"dayly": "info"}}, "severities names 'dayly', and there is no such"),
        ({"recipients": {"dayly": ["a@b.example"]}}, "recipients names 'dayly', and there is no"),
        ({"targets": {"service_lvel": 0.8}}, "targets names 'service_lvel'.* mean 'service_level'"),
        ({"targets": {"calls": 10}}, "targets names 'calls', and no report has a column of that"),
        (
            {"routed": ["crm_daily"], "reports_dirs": [EXAMPLES]},
            "routed names 'crm_daily', which is made for each recipient",
        ),
    ],
)
def test_delivery_of_what_there_is_not_or_to_all_is_refused(
    settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        triggers(**settings)


def test_the_demo_s_first_report_comes_after_the_first_calls_have_been_moved() -> None:
    for seconds in range(60):
        begun = datetime(2026, 3, 1, 12, 0, seconds, 999_999, tzinfo=UTC)
        first = parse(demo(begun).settings["schedule"]).next_after(begun)
        assert first is not None
        moved = every("10s").next_after(begun + timedelta(seconds=10))  # it stands by then
        assert moved is not None
        assert first - moved > timedelta(seconds=2)


def test_the_demo_s_settings_fit() -> None:
    chosen = msgspec.convert(dict(DEMO.settings), Settings)
    assert chosen.include_today
    assert not chosen.calls_required


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"zone": "Bogota"},
            "zone: time zone 'Bogota': there is no such zone, did you mean 'America/Bogota'",
        ),
        (
            {"database_url": "postgresql://u:a/b@h/d"},
            "database_url: its user or password holds a '/'",
        ),
        ({"business_days": []}, "business_days is empty"),
        ({"recipients": {"daily": ["a@b\nBcc: x@y"]}}, "is no mail address, write it like"),
        ({"recipients": {"daily": ["ceo"]}}, "'ceo' is no mail address"),
        ({"business_days": ["lunes"]}, "Invalid enum value 'lunes'"),
        ({"language": "fr"}, "Invalid enum value 'fr'"),
        ({"schedule": "at eight"}, "at"),
        ({"reports_dirs": ["/no/such"]}, "reports_dirs names '/no/such', and there is no such"),
        (
            {"mail": {"host": "mail.example", "password": "hunter2"}},
            r"mail is set, and reports go out .* set the same server in \[plugins\.notify\.emails",
        ),
        ({"formats": {"daily": ["json"]}}, "Invalid enum value 'json'"),
        ({"severities": {"daily": "loud"}}, "Invalid enum value 'loud'"),
        ({"delivery": "twice"}, "Invalid enum value 'twice'"),
        ({"calls_table": "cdr"}, "calls_table is set, .* take it out, and etl_ivr.aggregate reads"),
        ({"service_level_seconds": 30}, "set plugins.etl_ivr.level_seconds"),
        ({"short_abandon_seconds": 6}, "set plugins.etl_ivr.short_abandon_seconds"),
        ({"agent_channel": "^SIP/"}, "set plugins.etl_ivr.agent_channel"),
        ({"outbound_context": "^out"}, "set plugins.etl_ivr.outbound_context"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=sentence):
        msgspec.convert(settings, Settings)


def test_every_setting_and_command_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs/reports.md").read_text()
    assert [name for name in Settings.__struct_fields__ if f"`{name}`" not in page] == []
    (group,) = plugin.sereno_register_commands()
    assert isinstance(group, click.Group)
    assert [name for name in group.commands if f"sereno reports {name}" not in page] == []
