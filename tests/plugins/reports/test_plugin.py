from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from sereno import every, parse
from sereno_reports import plugin
from sereno_reports.demo import DEMO, demo
from sereno_reports.settings import Settings


def triggers(**settings: Any) -> list[str]:
    found = plugin.sereno_register_jobs(msgspec.convert(settings, Settings))
    return [job.schedules[0].trigger.text for job in found]


def test_the_report_is_made_at_eight_on_the_business_clock() -> None:
    assert triggers(zone="America/Bogota") == [parse("0 8 * * * America/Bogota").text]
    assert triggers(schedule="every 20s") == ["every 20s"]
    assert triggers(enabled=False) == []


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
        ({"calls_table": "ivr.calls; drop"}, "it must be a name such as ivr.calls"),
        ({"agent_channel": "("}, "agent_channel is no regular expression"),
        ({"business_days": []}, "business_days is empty"),
        ({"business_days": ["lunes"]}, "Invalid enum value 'lunes'"),
        ({"language": "fr"}, "Invalid enum value 'fr'"),
        ({"service_level_seconds": 0}, ">= 1"),
        ({"schedule": "at eight"}, "at"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=sentence):
        msgspec.convert(settings, Settings)


def test_every_setting_and_command_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs/reports.md").read_text()
    assert [name for name in Settings.__struct_fields__ if f"| `{name}`" not in page] == []
    (group,) = plugin.sereno_register_commands()
    assert isinstance(group, click.Group)
    assert [name for name in group.commands if f"sereno reports {name}" not in page] == []
