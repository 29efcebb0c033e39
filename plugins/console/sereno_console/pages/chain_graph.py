"""The picture of a chain: runs in columns, each behind all that it followed."""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

import msgspec

from sereno import RunView

WIDTH, HEIGHT = 214, 46
"""Of a box, in pixels."""

_GAP_X, _GAP_Y, _EDGE = 46, 14, 8
_LONGEST = 24
_MOST_ROUNDS = 200

Spot = tuple[Any, ...]
"""A place in a column: of a run, (its number,); of a line that passes, (from, to, column)."""


class ChainBox(msgspec.Struct, frozen=True, kw_only=True):
    """A run in the picture, by its corner. `title`: its job's name, shortened."""

    run: RunView
    x: int
    y: int
    title: str


class ChainGraph(msgspec.Struct, frozen=True, kw_only=True):
    """The picture. `lines`: from one box to another, as the path of an SVG; `followed`: of each
    run, those that came of it, for who reads it as text."""

    boxes: tuple[ChainBox, ...]
    lines: tuple[str, ...]
    followed: dict[int, tuple[int, ...]]
    width: int
    height: int


def chain_graph(runs: Sequence[RunView], links: Collection[tuple[int, int]]) -> ChainGraph:
    """Return the picture of `runs`, with those of `links` that are between two of them."""
    known = {run.id: run for run in runs}
    pairs = sorted({(a, b) for a, b in links if a in known and b in known and a != b})
    depth = _depths(sorted(known), pairs)
    ways = {pair: _way(pair, depth) for pair in pairs}
    columns = _columns(depth, ways)
    place = {
        spot: (_EDGE + n * (WIDTH + _GAP_X), _EDGE + row * (HEIGHT + _GAP_Y))
        for n, column in enumerate(columns)
        for row, spot in enumerate(column)
    }
    boxes = tuple(
        ChainBox(run=known[run], x=place[(run,)][0], y=place[(run,)][1], title=_short(run, known))
        for run in sorted(known)
    )
    tallest = max((len(column) for column in columns), default=0)
    return ChainGraph(
        boxes=boxes,
        lines=tuple(_line([place[spot] for spot in ways[pair]]) for pair in pairs),
        followed={run: tuple(b for a, b in pairs if a == run) for run in sorted(known)},
        width=2 * _EDGE + len(columns) * (WIDTH + _GAP_X) - _GAP_X,
        height=2 * _EDGE + tallest * (HEIGHT + _GAP_Y) - _GAP_Y,
    )


def _depths(runs: Sequence[int], pairs: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Return the column of each run: behind all that it followed, without an empty one."""
    depth = dict.fromkeys(runs, 0)
    for _ in range(min(len(runs), _MOST_ROUNDS)):  # what follows itself ends here, too
        moved = False
        for a, b in pairs:
            if depth[b] <= depth[a] < len(runs):
                depth[b], moved = depth[a] + 1, True
        if not moved:
            break
    used = {level: n for n, level in enumerate(sorted(set(depth.values())))}
    return {run: used[level] for run, level in depth.items()}


def _way(pair: tuple[int, int], depth: dict[int, int]) -> list[Spot]:
    """Return the spots that a line passes: one of its own in each column between its ends."""
    a, b = pair
    between: list[Spot] = [(a, b, level) for level in range(depth[a] + 1, depth[b])]
    return [(a,), *between, (b,)]


def _columns(depth: dict[int, int], ways: dict[tuple[int, int], list[Spot]]) -> list[list[Spot]]:
    """Return the spots of each column, beside those of the column before that lead to them."""
    columns: list[list[Spot]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for run in sorted(depth):
        columns[depth[run]].append((run,))
    before: dict[Spot, list[Spot]] = {}
    for way in ways.values():
        for spot in way[1:-1]:
            columns[spot[2]].append(spot)
        for a, b in pairwise(way):
            before.setdefault(b, []).append(a)
    for earlier, column in pairwise(columns):
        rows = {spot: n for n, spot in enumerate(earlier)}
        weight = {
            spot: fmean([rows[a] for a in before.get(spot, ()) if a in rows] or [len(rows)])
            for spot in column
        }
        column.sort(key=lambda spot: (weight[spot], len(spot), spot))
    return columns


def _line(places: Sequence[tuple[int, int]]) -> str:
    """Return a line from the first to the last, through the middle of those between."""
    half = HEIGHT // 2
    found = f"M{places[0][0] + WIDTH} {places[0][1] + half}"
    for (x1, y1), (x2, y2) in pairwise(places):
        start = x1 + WIDTH
        bend = max((x2 - start) // 2, 12)
        found += f"C{start + bend} {y1 + half} {x2 - bend} {y2 + half} {x2} {y2 + half}"
        found += f"H{x2 + WIDTH}" if (x2, y2) != places[-1] else ""
    return found


def _short(run: int, known: Mapping[int, RunView]) -> str:
    name = known[run].job
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
