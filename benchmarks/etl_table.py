"""Keeps the rounds of `etl.py`, and makes their table: medians, and the least and most seconds."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
_KEPT = ROOT / ".cache" / "etl.jsonl"
_HEADS = (
    "rounds",
    "seconds",
    "least",
    "most",
    "x floor",
    "CPU own",
    "CPU all",
    "peak MB",
    "held ms",
)

Figure = dict[str, Any]


def forget() -> None:
    """Begin anew."""
    _KEPT.unlink(missing_ok=True)


def keep(rows: int, figures: Iterable[Figure]) -> None:
    """Write a round of so many calls down."""
    _KEPT.parent.mkdir(parents=True, exist_ok=True)
    with _KEPT.open("a") as file:
        file.write(json.dumps({"rows": rows, "figures": list(figures)}) + "\n")


def table(rows: int) -> str:
    """Return the table of all rounds of so many calls."""
    found: dict[str, list[Figure]] = {}
    for one in map(json.loads, _KEPT.read_text().splitlines()):
        for figure in one["figures"] if one["rows"] == rows else ():
            found.setdefault(figure["name"], []).append(figure)
    floor = next((_middle(of, _seconds) for name, of in found.items() if "floor" in name), None)
    lines = [f"{'':32}" + "".join(f"{head:>10}" for head in _HEADS)]
    for name, of in found.items():
        lines.append(f"{name:32}" + "".join(f"{cell:>10}" for cell in _cells(of, floor)))
    return "\n".join(lines)


def _cells(of: list[Figure], floor: float | None) -> list[str]:
    seconds = _middle(of, _seconds)
    whole = "new" not in of[0]["name"]
    return [
        str(len(of)),
        f"{seconds:.2f}",
        f"{min(map(_seconds, of)):.2f}",
        f"{max(map(_seconds, of)):.2f}",
        f"{seconds / floor:.2f}" if floor and whole else "",
        f"{_middle(of, _own):.1f}",
        f"{_middle(of, _own) + _middle(of, _servers):.1f}",
        f"{max(f['cost']['peak_mb'] for f in of):.0f}",
        "" if of[0]["held_ms"] is None else f"{max(f['held_ms'] for f in of):.1f}",
    ]


def _middle(figures: list[Figure], value: Callable[[Figure], float]) -> float:
    return median(map(value, figures))


def _seconds(figure: Figure) -> float:
    return float(figure["seconds"])


def _own(figure: Figure) -> float:
    return float(figure["cost"]["own_s"])


def _servers(figure: Figure) -> float:
    return float(figure["cost"]["servers_s"])
