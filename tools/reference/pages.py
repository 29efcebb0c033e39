"""Puts what the code tells into the pages, between two remarks that name the part."""

import re
from collections.abc import Callable
from pathlib import Path

from tools.reference import (
    api,
    chaos,
    client,
    context,
    events,
    lines,
    policies,
    settings,
    sql,
    triggers,
)

ROOT = Path(__file__).parents[2]
_BEGIN = "<!-- generated: {name} -->"
_END = "<!-- end of {name} -->"

PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "docs/policies.md": {"policies": policies.table},
    "docs/schedules.md": {"clocks": triggers.clock_changes, "ways": triggers.ways},
    "docs/systems.md": {"lines": lines.table},
    "docs/plugins.md": {"events": events.tables},
    "docs/reference/context.md": {"context": context.members},
    "docs/reference/client.md": {"methods": client.methods, "values": client.values},
    "docs/reference/settings.md": {"settings": settings.table},
    "docs/reference/sql.md": {"sql": sql.signatures},
    "docs/reference/api.md": {"api": api.operations},
}
"""By page, what makes each of its generated parts."""


def renewed() -> dict[Path, str]:
    """Return each page and file as it should be; raises ValueError where the remarks around a part
    are missing."""
    found: dict[Path, str] = {}
    for name, parts in PARTS.items():
        page = ROOT / name
        text = page.read_text()
        for part, made in parts.items():
            text = with_part(text, part, made(), name)
        found[page] = text
    found[ROOT / chaos.FILE] = chaos.record()
    return found


def with_part(text: str, part: str, made: str, page: str) -> str:
    """Return the page with this part in the place of the one that it has."""
    begin, end = _BEGIN.format(name=part), _END.format(name=part)
    kept = re.compile(f"{re.escape(begin)}\n.*?{re.escape(end)}", re.DOTALL)
    if len(kept.findall(text)) != 1:
        raise ValueError(f"{page}: '{begin}' and '{end}' must stand in it once, around the part")
    return kept.sub(lambda _: f"{begin}\n{made.strip()}\n{end}", text)
