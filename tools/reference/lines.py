"""Counts the lines of `benchmarks/lines`: the same jobs by Sereno, APScheduler and Celery."""

import ast
from pathlib import Path

LINES = Path(__file__).parents[2] / "benchmarks" / "lines"
PROGRAMS = {"Sereno": "by_sereno", "APScheduler 3": "by_apscheduler", "Celery 5": "by_celery"}
_MARK = "# -- "


def table() -> str:
    """Return the table: a row for each section of the programs, and their sums."""
    counts = {name: counted(LINES / f"{file}.py") for name, file in PROGRAMS.items()}
    sections = list(counts["Sereno"])
    rows = [f"| {' | '.join(['what', *counts])} |", f"|---{'|---:' * len(counts)}|"]
    for what in sections:
        rows += [f"| {what} | {' | '.join(str(one[what]) for one in counts.values())} |"]
    rows.append(f"| all | {' | '.join(str(sum(one.values())) for one in counts.values())} |")
    return "\n".join(rows)


def counted(program: Path) -> dict[str, int]:
    """Return how many lines of code each section has: blank ones, comments and docstrings are none.

    Raises ValueError where code stands before the first section.
    """
    text = program.read_text()
    silent = _docstrings(text)
    found: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(_MARK):
            section = line.removeprefix(_MARK)
            found[section] = 0
        elif line.strip() and not line.lstrip().startswith("#") and number not in silent:
            if not section:
                raise ValueError(f"{program.name}:{number}: code stands before the first section")
            found[section] += 1
    return found


def _docstrings(text: str) -> set[int]:
    kinds = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    found: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, kinds) and ast.get_docstring(node) is not None:
            first = node.body[0]
            found |= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return found
