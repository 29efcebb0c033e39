"""The manual names every setting, job and figure, and its list of properties names real tests."""

import re
from pathlib import Path

import msgspec
import pytest

from sereno_etl_ivr import plugin
from sereno_etl_ivr.settings import Settings, TableSettings

from .conftest import Sync
from .pbx import Pbx, call

MANUAL = (Path(__file__).parents[3] / "docs/etl_ivr.md").read_text()
TESTS = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))


@pytest.mark.parametrize("name", [*Settings.__struct_fields__, *TableSettings.__struct_fields__])
def test_every_setting_is_in_the_manual(name: str) -> None:
    assert re.search(rf"\b{name}\b", MANUAL.split("## Settings")[1])


def test_every_job_is_in_the_manual() -> None:
    for job in plugin.sereno_register_jobs(msgspec.convert({}, Settings)):
        assert f"| `{job.name}` |" in MANUAL


@pytest.mark.parametrize("number", range(1, 23))
def test_every_property_has_tests_that_exist(number: int) -> None:
    (line,) = [line for line in MANUAL.splitlines() if line.startswith(f"| {number} |")]
    names = re.findall(r"`(test_\w+)`", line)
    assert names
    for name in names:
        assert f"def {name}(" in TESTS


def test_every_input_of_the_field_has_tests_that_exist() -> None:
    lines = MANUAL.split("### Inputs of the field")[1].split("## ")[0].splitlines()
    rows = [line for line in lines if line.startswith("| ")][1:]
    assert len(rows) > 15
    for line in rows:
        names = re.findall(r"`(test_\w+)`", line)
        assert names, line
        assert not [name for name in names if f"def {name}(" not in TESTS], line


def test_every_series_is_in_the_manual() -> None:
    collectors = plugin.sereno_register_collectors(Settings(source_url="mysql://h/d"))
    told = re.findall(r"^\| `(\w+)(?:\{.*?\})?` \| (gauge|counter) \|", MANUAL, re.MULTILINE)
    there = [metric for collector in collectors for metric in collector.metrics]
    assert dict(told) == {metric.name: metric.kind for metric in there}


async def test_every_figure_of_a_result_is_in_the_manual(pbx: Pbx, synced: Sync) -> None:
    pbx.insert(call("2026-03-01 10:00:00", "1.1"))
    told = MANUAL.split("## What a run tells")[1].split("## ")[0]
    for name in await synced(pbx):
        assert f"`{name}`" in told
