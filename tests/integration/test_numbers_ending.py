"""Numbers of ours that are used up are told before and after, with what sets them right."""

import asyncio
import logging
import re

import pytest

from sereno import every, job
from sereno.model.errors import StoreError
from sereno.observe.health import health
from sereno.store.queue import enqueue

from .cli_scene import Scene as Cli
from .node import Eye, LiveNode, running
from .scene import opened

LAST = 2**63 - 1


@job("t.tick", schedule=every("1s"))
async def tick(run: object) -> None: ...


async def problems(node: LiveNode) -> list[str]:
    report = health(node.status, await node.kernel.watch.poll(), [])
    return [report["status"], *report["problems"]]


@pytest.mark.every_postgres
async def test_runs_without_numbers_are_told_and_go_on_once_the_remedy_is_done(
    database: str, eye: Eye, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(database, tick) as node:
        await node.finished("t.tick")
        assert (await problems(node))[0] == "ok"
        await eye.value("SELECT setval('sereno.run_id_seq', $1)", LAST)
        with caplog.at_level(logging.ERROR):
            async with asyncio.timeout(20):
                while not any("sereno cluster" in str(vars(r)) for r in caplog.records):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            async with asyncio.timeout(20):
                while (await problems(node))[0] == "ok":  # noqa: ASYNC110 - an answer is a second old
                    await asyncio.sleep(0.01)
        status, sentence = await problems(node)
        assert (status, sentence.startswith("the numbers of sereno.run.id are used up")) == (
            "down",
            True,
        )
        assert any(getattr(r, "error", "") == sentence for r in caplog.records)
        for command in ("cluster", "verify"):
            shown = await asyncio.to_thread(Cli(database).call, command)
            assert " ".join(shown.output.split()).count(sentence) == 1
            known = await asyncio.to_thread(Cli(database).json, command)
            assert [n["number"] for n in known["numbers"]] == ["run.id"]
        (remedy,) = re.findall(r"SELECT setval.*", sentence)
        await eye.value(remedy)
        now = await eye.value("SELECT clock_timestamp()")
        await eye.value("SELECT pg_notify('sereno', 'schedule')")  # or a minute later
        await eye.until(
            "SELECT count(*) > 0 FROM sereno.run WHERE state = 'succeeded' AND slot > $1", now
        )


@pytest.mark.parametrize(
    ("left", "told"), [(1, "1 left"), (999_999_999, "999,999,999 left"), (1_000_000_000, None)]
)
async def test_numbers_are_told_of_before_they_end(
    database: str, eye: Eye, left: int, told: str | None
) -> None:
    await eye.value("SELECT setval('sereno.change_id_seq', $1)", LAST - left)
    shown = await asyncio.to_thread(Cli(database).call, "cluster")
    expected = f"the numbers of sereno.change.id end soon: {told}"
    assert (expected in " ".join(shown.output.split())) is (told is not None)


async def test_terms_that_end_are_told_too(database: str, eye: Eye) -> None:
    await eye.value("UPDATE sereno.leadership SET term = $1", LAST - 5)
    shown = await asyncio.to_thread(Cli(database).call, "cluster")
    assert "the numbers of sereno.leadership.term end soon: 5 left" in " ".join(
        shown.output.split()
    )


async def test_who_queues_a_run_without_a_number_learns_what_sets_it_right(database: str) -> None:
    async with opened(database) as scene:
        await scene.declare("t.job")
        await scene.value("SELECT setval('sereno.run_id_seq', $1)", LAST)
        with pytest.raises(StoreError, match="'sereno cluster' says what sets it right"):
            await enqueue(scene.db, "t.job", {}, requested_by="me")
