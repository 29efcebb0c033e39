"""Results as lines of JSON, and medians with their spread as a table between markers of a page."""

import json
import os
import platform
import re
import statistics
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.rig.contender import ROOT, Contender

PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / ".cache" / "bench"
VERSIONS = ("asyncpg", "uvloop", "croniter", "msgspec")

Result = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A column of a table: the key of a figure, and how one is written."""

    title: str
    key: str
    form: str | Callable[[float], str] = ".3g"

    def cell(self, results: Sequence[Result]) -> str:
        """Return the median of the runs that have the figure, with least and most."""
        found = [r["figures"].get(self.key) for r in results if "figures" in r]
        values = sorted(v for v in found if v is not None)
        if not values:
            return "-"
        middle = self._written(statistics.median(values))
        least, most = self._written(values[0]), self._written(values[-1])
        return middle if least == most else f"{middle} ({least} to {most})"

    def _written(self, value: float) -> str:
        return self.form(value) if callable(self.form) else format(value, self.form)


def ms(seconds: float) -> str:
    """Write seconds as milliseconds."""
    return f"{1000 * seconds:.1f}" if seconds < 0.1 else f"{1000 * seconds:.0f}"


def percentile(values: Iterable[float], share: float) -> float | None:
    """Return the value that `share` of the values do not exceed, the nearest rank; None of none."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]


def spread(values: Sequence[float]) -> dict[str, float | None]:
    """Return the p50, p99 and longest of what may be nothing, as figures of a bench."""
    found = {name: percentile(values, share) for name, share in (("p50", 0.5), ("p99", 0.99))}
    return {**found, "max": max(values, default=None)}


def lateness(found: Sequence[float]) -> str:
    """Return in words how late so many slots began, of milliseconds."""
    figures = spread(found)
    told = [f"{name} {ms:.1f} ms" for name, ms in figures.items() if ms is not None]
    return ", ".join([f"{len(found)} slots", *told, "late"])


def keep(file: Path, result: Result) -> None:
    """Append a run to the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as out:
        out.write(json.dumps(result) + "\n")


def kept(file: Path) -> list[Result]:
    """Return the runs of the file, none when it is not there."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def table(
    columns: Sequence[Column],
    contenders: Sequence[Contender],
    results: Sequence[Result],
    varied: str,
) -> Iterator[str]:
    """Write a row for each contender and variant, as a table of Markdown; `varied`: their title."""
    variants = list(dict.fromkeys(r["variant"] for r in results))
    several = len(variants) > 1 or any(variants)
    yield (
        "| " + " | ".join(["", *([varied] if several else []), *(c.title for c in columns)]) + " |"
    )
    yield "|---" * (1 + several + len(columns)) + "|"
    for variant in variants:
        for one in contenders:
            rows = [r for r in results if r["contender"] == one.name and r["variant"] == variant]
            if not rows:
                continue
            reasons = sorted({r["failed"].splitlines()[0] for r in rows if "failed" in r})
            cells = [one.title, *([variant] if several else [])]
            if any("figures" in r for r in rows):
                cells += [c.cell(rows) for c in columns]
                if reasons:
                    failed = sum("failed" in r for r in rows)
                    cells[0] += f" ({failed} of {len(rows)} runs failed: {'; '.join(reasons)})"
            else:
                cells += [f"failed: {'; '.join(reasons)}", *["" for _ in columns[1:]]]
            yield "| " + " | ".join(cells) + " |"


def setting(server: str) -> str:
    """Return the versions and the machine in a sentence."""
    libraries = ", ".join(f"{name} {version(name)}" for name in VERSIONS)
    return (
        f"Python {platform.python_version()}, {libraries}; {server}; "
        f"{platform.system()} {platform.release()} {platform.machine()}, "
        f"{os.cpu_count()} processors."
    )


def commit() -> str:
    """Return the commit that is measured, with a plus where the kernel has changes besides."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    if head.returncode:
        return version("sereno")
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "kernel"], capture_output=True)
    return head.stdout.strip() + ("+" if changed.returncode else "")


def busiest(results: Sequence[Result]) -> str:
    """Return what the machine did besides, before the busiest of the runs."""
    return f"{100 * max(r['busy_before'] for r in results):.0f} %"


def check_markers(page: Path, name: str) -> None:
    """End with a sentence when the page has no place for the table: before it is measured."""
    if not page.exists() or not _markers(name).search(page.read_text()):
        raise SystemExit(f"{page} has no line '<!-- bench {name} -->' with '<!-- end -->' below it")


def write_section(page: Path, name: str, text: str) -> None:
    """Put `text` between the markers ``<!-- bench NAME -->`` and ``<!-- end -->`` of the page."""
    lines = text.strip("\n")  # but keep the indent of the command, which makes it code
    put = _markers(name).sub(lambda m: f"{m[1]}\n{lines}\n\n{m[2]}", page.read_text())
    page.write_text(put)


def _markers(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- bench {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
