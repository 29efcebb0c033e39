"""The page on policies has every one with its default, and its examples work."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import fields

from sereno.model import foreign_names
from sereno.model.duration import format_duration
from sereno.model.job import Job
from sereno.model.policies import POLICY_NAMES, Policies

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/policies.md").read_text()
TABLE = PAGE.partition("\n## ")[0]
ROWS = dict(re.findall(r"^\| \[?`(\w+)`(?:\]\([^)]*\))? \| (.*?) \|", TABLE, re.MULTILINE))


def test_the_table_has_every_policy_in_their_order_and_no_other() -> None:
    rows = [name for name in ROWS if name in POLICY_NAMES]
    assert sorted(rows) == sorted(POLICY_NAMES)
    assert len(re.findall(r"^\| \[?`", TABLE, re.MULTILINE)) == len(rows)


@pytest.mark.parametrize("name", [n for n in POLICY_NAMES if n not in ("retry", "executor")])
def test_it_tells_each_default(name: str) -> None:
    default: Any = getattr(Policies(), name, None)
    if isinstance(default, timedelta):
        default = format_duration(default)
    told = ROWS[name].strip("`")
    if name == "log_level":
        assert (default, told) == (None, "log.keep_level")
    else:
        assert told == ("none" if default is None else str(default).replace("True", "true"))


@pytest.mark.parametrize("name", POLICY_NAMES)
def test_each_may_be_set_in_the_configuration(name: str) -> None:
    assert re.search(rf"^# {name} = ", (ROOT / "conf/sereno.toml").read_text(), re.MULTILINE)


def test_the_words_of_others_that_it_names_are_told_ours() -> None:
    (told,) = re.findall(r"^Who writes another scheduler's word \((.*?)\)", PAGE, re.MULTILINE)
    for name in re.findall(r"`(\w+)`", told):
        assert foreign_names.called_here(name)
    assert not {f.name for f in fields(Policies) if foreign_names.called_here(f.name)}


@pytest.mark.parametrize("example", re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.M))
def test_its_code_declares_jobs(example: str) -> None:
    made: dict[str, Any] = {"__name__": "shop"}
    exec(compile(example, "docs/policies.md", "exec"), made)
    declared = [value for value in made.values() if isinstance(value, Job)]
    assert declared
    for one in declared:
        one.check()
        assert one.policies != Policies()
