import logging
from datetime import timedelta

import pytest

from sereno.model.events import RunFinished
from sereno.observe.run_logger import LOGGED_A_SECOND, RunLogger


def succeeded(run: int, job: str = "etl.sync") -> RunFinished:
    return RunFinished(
        run_id=run,
        job=job,
        attempt=1,
        slot=None,
        state="succeeded",
        duration=timedelta(seconds=1),
        error=None,
    )


def test_of_a_burst_some_runs_are_told_and_the_others_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 100.0
    logger = RunLogger(logging.INFO, lambda: now)
    with caplog.at_level(logging.INFO, "sereno.runs"):
        for n in range(1000):
            logger(succeeded(n, "etl.sync" if n % 2 else "etl.check"))
        now += 1
        logger(succeeded(1000))

    told = [r for r in caplog.records if r.message == "run succeeded"]
    (more,) = [r for r in caplog.records if r.message == "more runs succeeded"]
    assert len(told) == LOGGED_A_SECOND + 1
    assert vars(more)["runs"] == 1000 - LOGGED_A_SECOND
    assert sum(vars(more)["jobs"].values()) == 1000 - LOGGED_A_SECOND


async def test_the_rest_of_a_burst_is_counted_though_nothing_follows(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = RunLogger(logging.INFO, lambda: 100.0)
    with caplog.at_level(logging.INFO, "sereno.runs"):
        for n in range(LOGGED_A_SECOND + 3):
            logger(succeeded(n))
        logger.log_more()
        logger.log_more()

    (more,) = [r for r in caplog.records if r.message == "more runs succeeded"]
    assert vars(more)["runs"] == 3
