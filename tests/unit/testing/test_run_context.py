from datetime import timedelta

import msgspec
import pytest

from sereno import ParamsError, RunCancelled, RunError, RunSuperseded, job
from sereno.testing import Enqueued, FakeClock, Progress, run_context


class Days(msgspec.Struct):
    days: int = 30


@job("test.days", params=Days)
async def delete_old(run): ...  # type: ignore[no-untyped-def]


def test_params_arrive_as_the_job_declares_them() -> None:
    assert run_context(delete_old, {"days": "7"}).params == Days(days=7)
    assert run_context(delete_old).params == Days()
    assert run_context(delete_old, Days(days=1)).params == Days(days=1)
    assert run_context("a.b", {"x": 1}).params == {"x": 1}


def test_params_that_the_kernel_would_refuse_are_refused() -> None:
    with pytest.raises(ParamsError, match=r"unknown param 'day'"):
        run_context(delete_old, {"day": 7})


async def test_what_a_run_says_is_recorded() -> None:
    run = run_context(delete_old)

    run.progress(1, 2, "half")
    run.checkpoint({"id": 5})
    await run.flush()
    run.checkpoint({"id": 6})

    assert run.reporter.progresses == [Progress(1, 2, "half")]
    assert run.reporter.checkpoints == [{"id": 5}, {"id": 6}]
    assert run.reporter.durable == 1


async def test_a_fence_fails_once_another_node_has_the_run() -> None:
    run = run_context(delete_old)
    connection = object()

    await run.fence(connection)
    run.reporter.supersede()

    with pytest.raises(RunSuperseded):
        await run.fence(connection)
    assert run.reporter.fenced == [connection]


def test_a_cancelled_run_stops_at_its_next_word() -> None:
    run = run_context(delete_old)
    run.cancel()

    assert run.cancelled
    with pytest.raises(RunCancelled, match=r"run 1 of job 'test.days' has been asked to stop"):
        run.progress(1)


def test_a_checkpoint_that_json_cannot_hold_is_refused_as_the_kernel_would() -> None:
    assert run_context("a.b", saved={"at": (1, 2)}).saved == {"at": [1, 2]}
    with pytest.raises(TypeError):
        run_context("a.b", saved={1, 2})


async def test_what_a_job_would_queue_is_read_back() -> None:
    run = run_context("shop.order", clock=FakeClock())
    first = await run.enqueue("shop.mail", {"to": "ann"}, unique_key="ann")
    second = await run.enqueue("shop.mail", {"to": "bob"}, delay="5m")
    assert (first, second) == (1_001, 1_002)
    assert run.enqueued == [
        Enqueued("shop.mail", {"to": "ann"}, unique_key="ann"),
        Enqueued("shop.mail", {"to": "bob"}, run_at=run.now() + timedelta(minutes=5)),
    ]


def test_a_plain_function_waits_for_what_it_asks() -> None:
    run = run_context("shop.order")
    assert run.wait_for(run.enqueue("shop.mail")) == 1_001
    run.warn("look")
    assert run.reporter.warnings == ["look"]


async def test_a_run_without_a_database_says_what_to_give_it() -> None:
    with pytest.raises(RunError, match="give run_context one"):
        run_context("shop.order").database()
