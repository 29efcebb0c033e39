"""The front page: how things stand, for a person who opens the address."""

from collections.abc import Mapping
from datetime import datetime
from string import Template
from typing import Any

from sereno.model.duration import format_duration, parse_duration
from sereno.model.lazy import lazy
from sereno.model.resource import resource_path
from sereno.model.text import visible

_TEMPLATE = Template(resource_path(__package__, "front.html").read_text("utf-8"))
_ROW = Template(
    '<tr><td>$name</td><td class="$state">$state</td><td>$last</td><td>$next</td></tr>\n'
)


def front_page(report: Mapping[str, Any]) -> str:
    """Return the page that tells `report`, which `observe.health` made."""
    node, leader = report["node"], report["leader"] or {}
    now = report["store"]["now"]
    rows = [_row(task, now) for task in report["tasks"]]
    hidden = report["tasks_total"] - len(rows)
    if hidden:
        rows.append(f'<tr><td colspan="4">and {hidden} more, see /health/tasks</td></tr>')
    return _TEMPLATE.substitute(
        status=_escape(report["status"]),
        problems="".join(f"<li>{_escape(problem)}</li>" for problem in report["problems"]),
        version=_escape(report["version"]),
        node=_escape(node["label"]),
        role=_escape(node["role"]),
        leader=_escape(leader.get("label") or "nobody"),
        term=leader.get("term", 0),
        store="up" if report["store"]["up"] else "away",
        rows="".join(rows) or '<tr><td colspan="4">No job is declared yet.</td></tr>',
    )


def _row(task: Mapping[str, Any], now: str | None) -> str:
    last = task["last_run"]
    ended = f"{_escape(str(last['state']))}, {_apart(last['ended_at'], now)}" if last else "never"
    return _ROW.substitute(
        name=_escape(task["name"]),
        state=_escape(task["state"]),
        last=ended,
        next="paused" if task["paused"] else _apart(task["next_run_at"], now) or "none",
    )


def _escape(text: str) -> str:
    # Loaded by the first visit: its table of all named characters takes 0.5 MB.
    return str(lazy("html").escape(visible(text)))


def _apart(instant: str | None, now: str | None) -> str:
    """Tell how far `instant` is from `now`, as a person would."""
    if instant is None or now is None:
        return ""
    seconds = (datetime.fromisoformat(instant) - datetime.fromisoformat(now)).total_seconds()
    distance = abs(seconds)
    for unit in (86400, 3600, 60):
        if distance >= 2 * unit:
            distance -= distance % unit
            break
    words = format_duration(parse_duration(round(distance)))
    return f"in {words}" if seconds > 0 else f"{words} ago"
