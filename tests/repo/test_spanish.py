"""The pages in Spanish name what there is: alerts, commands with their options, and each other."""

import re
import shlex
from pathlib import Path

import pytest

from sereno.cli import main

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs/es").glob("*.md"))


def test_every_alert_is_told_in_spanish_with_the_severity_of_its_section() -> None:
    english = _by_section((ROOT / "docs/alerts.md").read_text(), r"^### (\w+)$")
    spanish = _by_section((ROOT / "docs/es/alertas.md").read_text(), r"^\| `([A-Z]\w+)` \|")
    assert len(english) == len(spanish) == 4
    assert [sorted(names) for names in english] == [sorted(names) for names in spanish]


def _by_section(page: str, alert: str) -> list[list[str]]:
    sections = [re.findall(alert, part, re.MULTILINE) for part in page.split("\n## ")]
    return [names for names in sections if names]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_that_a_page_names_are_there(page: Path) -> None:
    for line in re.findall(r"`sereno ([a-z][^`]*)`", page.read_text()):
        command, *words = shlex.split(line.replace("...", ""))
        found = main.get_command(None, command)  # type: ignore[arg-type]
        assert found is not None, line
        while words and hasattr(found, "get_command") and not words[0].startswith("-"):
            found = found.get_command(None, words.pop(0))
            assert found is not None, line
        options = {name for p in found.params for name in (*p.opts, *p.secondary_opts)}
        assert [w for w in words if w.startswith("--") and w not in options] == [], line


def test_the_pages_name_each_other() -> None:
    told = "".join(page.read_text() for page in PAGES) + (ROOT / "README.es.md").read_text()
    assert [page.name for page in PAGES if f"{page.name})" not in told] == []
