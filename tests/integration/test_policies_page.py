"""What docs/policies.md shows of keys works: its jobs are declared, its statements run."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sereno.model.job import Job
from sereno.store.catalogue import DeclaredJob

from .scene import Scene, declared_job, opened

PAGE = (Path(__file__).parents[2] / "docs/policies.md").read_text()


def section(title: str) -> str:
    """Return the section of that title."""
    return re.split(r"^## ", PAGE.split(f"\n## {title}\n", 1)[1], flags=re.MULTILINE)[0]


def examples(title: str, language: str) -> list[str]:
    """Return the examples of a section."""
    return re.findall(rf"^```{language}\n(.*?)^```$", section(title), re.DOTALL | re.MULTILINE)


def jobs(title: str) -> list[Job[Any]]:
    """Return the jobs that a section declares."""
    found: dict[str, Any] = {}
    for example in examples(title, "python"):
        exec(example, found)
    return [each for each in found.values() if isinstance(each, Job)]


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        shown = [*jobs("Unique runs"), *jobs("Concurrency by key")]
        declared = [DeclaredJob(job=each, plugin="tests") for each in shown]
        await found.declare(declared_job("shop.mail"), *declared)
        yield found


async def test_the_statements_of_unique_runs_say_who_holds_a_key(scene: Scene) -> None:
    (block,) = examples("Unique runs", "sql")
    statements = [line for line in block.splitlines() if line and not line.startswith("--")]
    assert len(statements) == 4
    first = [await scene.eye.fetch(each) for each in statements]
    again = [await scene.eye.fetch(each) for each in statements]
    assert first[0] == again[0]
    assert first[1] == again[1]
    assert (first[2][0]["new"], again[2][0]["new"]) == (True, False)
    assert [row["new"] for row in first[3]] == [True, False]
    assert first[3][1]["run_id"] == first[0][0][0]


async def test_the_jobs_of_unique_runs_are_held_to_what_they_say(scene: Scene) -> None:
    first = await scene.enqueue("shop.invoice", order=1, copy=False)
    assert await scene.enqueue("shop.invoice", order=1, copy=True) == first
    assert await scene.enqueue("shop.warm") == await scene.enqueue("shop.warm")
