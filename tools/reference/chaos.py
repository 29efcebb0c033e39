"""The chaos record of the console's page *Proof*: what the table of docs/failover.md says."""

import re
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[2]
PAGE = "docs/failover.md"
FILE = "plugins/console/sereno_console/pages/chaos.json"

_COUNTS = {
    "slots lost": "slots_lost",
    "slots doubled": "slots_doubled",
    "runs lost": "runs_lost",
    "runs doubled": "runs_doubled",
    "two leaders": "two_leaders",
    "another's result": "anothers_result",
    "begun twice": "begun_twice",
}
_SECONDS = {"p50": "p50", "p99": "p99", "max": "longest", "bound": "bound"}


def record() -> str:
    """Return the record as JSON; raises ValueError where the page has no table of faults."""
    return _json(_read((ROOT / PAGE).read_text()))


def _read(page: str) -> dict[str, Any]:
    told = re.search(r'`(make chaos ARGS="[^"`]+")`.*?lease of (\S+) s\b', page, re.DOTALL)
    table = re.search(r"^\| fault .*?(?=\n\n)", page, re.DOTALL | re.MULTILINE)
    if told is None or table is None:
        raise ValueError(f"{PAGE}: it says no command, no lease, or has no table of faults")
    heads, _, *lines = [_cells(line) for line in table[0].splitlines()]
    rows = [dict(zip(heads, line, strict=True)) for line in lines]
    kinds = [_kind(row) for row in rows if row["fault"] != "all"]
    return {"command": told[1], "lease": float(told[2]), "faults": kinds}


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("| ").split(" | ")]


def _kind(row: dict[str, str]) -> dict[str, Any]:
    return {
        "fault": row["fault"],
        "tried": int(row["tried"]),
        **{name: _seconds(row[head]) for head, name in _SECONDS.items()},
        **{name: int(row[head]) for head, name in _COUNTS.items()},
    }


def _seconds(cell: str) -> float | None:
    return None if cell in ("-", "no change") else float(cell)


def _json(record: dict[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(record), indent=1).decode() + "\n"
