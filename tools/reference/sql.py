"""The functions that anybody's SQL may call, with the arguments of the newest migration."""

import re
from pathlib import Path

MIGRATIONS = Path(__file__).parents[2] / "kernel/sereno/store/migrations"
FUNCTIONS = (
    "enqueue",
    "enqueue_many",
    "request",
    "request_many",
    "tag",
    "alone",
    "at_place",
    "prune",
)
"""What a role may be granted, and what is promised to programs."""


def signatures() -> str:
    """Return the signature of each."""
    return "```text\n" + "\n\n".join(signature(name) for name in FUNCTIONS) + "\n```"


def signature(name: str) -> str:
    """Return how a function is called and what it returns."""
    sql = "\n".join(file.read_text() for file in sorted(MIGRATIONS.glob("*.sql")))
    made = re.compile(
        rf"CREATE (?:OR REPLACE )?FUNCTION sereno\.{name}\((.*?)\)\s*RETURNS (.*?)\s+LANGUAGE",
        re.DOTALL,
    )
    arguments, answer = made.findall(sql)[-1]
    told = [" ".join(one.split()) for one in re.sub(r"--.*", "", arguments).split(",\n")]
    if sum(map(len, told)) < 60:
        return f"sereno.{name}({', '.join(told)}) -> {answer}"
    lines = ",\n    ".join(", ".join(told).split(", "))
    return f"sereno.{name}(\n    {lines}\n) -> {answer}"


def arguments(name: str) -> list[str]:
    """Return the names of a function's arguments."""
    inside = signature(name).partition("(")[2].rpartition(") ->")[0]
    return [one.split()[0] for one in inside.split(",")]
