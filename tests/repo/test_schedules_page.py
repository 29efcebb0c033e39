"""The page on schedules names every kind of trigger and every field, and its examples work."""

import re
from pathlib import Path

import pytest

from sereno import parse
from sereno.model.schedule import Schedule
from sereno.settings import ScheduleSettings, load_settings
from sereno.triggers.registry import foreign_kinds, kinds

PAGE = (Path(__file__).parents[2] / "docs/schedules.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_every_kind_of_trigger_has_its_section_with_an_example_that_is_one() -> None:
    own = [kind for kind in kinds() if kind not in foreign_kinds()]
    sections = dict(re.findall(r"^### (\w+)\n```text\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
    assert list(sections) == own
    for kind, examples in sections.items():
        for text in examples.splitlines():
            assert parse(text).text.partition(" ")[0] == kind
            assert parse(parse(text).text) == parse(text)


def test_every_field_of_a_schedule_is_in_the_table() -> None:
    rows = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    fields = {*Schedule.__struct_fields__, *ScheduleSettings.__struct_fields__}
    assert fields - {"trigger", "policies", "job"} <= told


@pytest.mark.parametrize("example", blocks("python"))
def test_its_code_works(example: str) -> None:
    exec(compile(example, "docs/schedules.md", "exec"), {"__name__": "shop"})


@pytest.mark.parametrize("example", blocks("toml"))
def test_its_settings_are_read(example: str, tmp_path: Path) -> None:
    file = tmp_path / "sereno.toml"
    file.write_text(example)
    assert load_settings(file=file, environ={}, flags={})
