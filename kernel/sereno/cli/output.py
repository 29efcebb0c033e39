"""Writes what commands found: JSON for programs, tables on a terminal, plain text in a pipe.

All of it is text: what a job said clears no screen, sets no clipboard and hides no letter.
"""

import sys
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.text import Text

from sereno.cli.moments import ended
from sereno.cli.table import Cell, TableColumn, fitting_lines
from sereno.model.terminal import takes_colours
from sereno.model.text import visible, visible_json

_STYLES = {
    "succeeded": "green",
    "active": "green",
    "loaded": "green",
    "leader": "bold green",
    "ran": "green",
    "backfilled": "green",
    "running": "cyan",
    "waiting": "cyan",
    "late": "yellow",
    "paused": "yellow",
    "orphaned": "yellow",
    "skipped": "yellow",
    "coalesced": "yellow",
    "cancelled": "yellow",
    "disabled": "yellow",
    "failed": "bold red",
    "timed_out": "bold red",
    "lost": "bold red",
    "missed": "bold red",
    "gone": "red",
}


_OURS = 16
"""How deep our own facts go: below stands what a job returned, of any depth, with no duration."""
_LEAST_WIDTH, _USUAL_WIDTH = 20, 80


def write_json(value: Any) -> None:
    """Write `value` as one JSON document: instants in UTC, durations in seconds."""
    click.echo(json_text(value))


def json_text(value: Any) -> str:
    """Return what `write_json` writes."""
    plain = _plain(msgspec.to_builtins(value, builtin_types=(timedelta,)))
    return visible_json(msgspec.json.format(msgspec.json.encode(plain), indent=2).decode())


def _plain(value: Any, depth: int = 0) -> Any:
    if depth == _OURS:
        return value
    if isinstance(value, dict):
        return {
            f"{key}_seconds" if isinstance(item, timedelta) else key: _plain(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    return value.total_seconds() if isinstance(value, timedelta) else value


def word(state: str | None) -> Text:
    """Return a state in its colour."""
    return Text(state or "-", style=_STYLES.get(state or "", ""))


def console(*, stderr: bool = False) -> Console:
    """Return the terminal as rich writes to it: plain where it takes no colours, never too narrow.

    COLUMNS may say anything: 0 would show nothing at all.
    """
    stream = sys.stderr if stderr else sys.stdout
    found = Console(file=stream, color_system="auto" if takes_colours(stream) else None)
    if found.width < _LEAST_WIDTH:
        found.width = _LEAST_WIDTH if found.width > 0 else _USUAL_WIDTH
    return found


def write_table(
    columns: Sequence[TableColumn], rows: Iterable[Sequence[Cell]], empty: str = "nothing"
) -> None:
    """Write `rows` under `columns`: all of them in a pipe, what fits on a terminal."""
    found = [[_shown(cell) for cell in row] for row in rows]
    if not found:
        click.echo(visible(empty), err=True)
    elif sys.stdout.isatty():
        terminal = console()
        for line in fitting_lines(terminal, columns, found):
            terminal.print(line, soft_wrap=True)
    else:
        _write_plain(columns, found)


def _write_plain(columns: Sequence[TableColumn], rows: Sequence[Sequence[Cell]]) -> None:
    lines = [[c.heading for c in columns], *([ended(str(cell)) for cell in r] for r in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    for line in lines:
        cells = (
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


def write_facts(facts: Iterable[tuple[str, Cell | None]]) -> None:
    """Write name and value in two columns, without those that have no value."""
    known = [(name, value) for name, value in facts if value not in (None, "", "-")]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        lines = _as_text(value or "").split("\n")
        write(Text.assemble((f"{name:<{width}}  ", "dim"), lines[0]))
        for line in lines[1:]:  # below the value, where it is told from a fact
            write(Text.assemble(" " * (width + 2), line))


def write(text: Cell = "", *, wrap: bool = False) -> None:
    """Write one line, with its colours on a terminal; `wrap`: at words, where it is too long."""
    if sys.stdout.isatty():
        console().print(_as_text(text), soft_wrap=not wrap)
    else:
        click.echo(str(_shown(text)))


def title(text: str) -> None:
    """Write a heading with an empty line before it."""
    write()
    write(Text(text, style="bold"))


def _as_text(cell: Cell) -> Text:
    shown = _shown(cell)
    return shown if isinstance(shown, Text) else Text(shown)


def styled(words: str, style: str = "") -> Text:
    """Return what somebody said, as it may be shown: rich leaves out what it does not like."""
    return Text(visible(words), style)


def _shown(cell: Cell) -> Cell:
    if isinstance(cell, str):
        return visible(cell)
    if visible(cell.plain) == cell.plain:
        return cell
    shown = Text(style=cell.style)
    for part in cell.divide(range(1, len(cell))):
        written = visible(part.plain)
        shown.append_text(part if written == part.plain else Text(written, part.style))
    return shown
