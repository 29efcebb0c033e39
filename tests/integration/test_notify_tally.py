"""What became of each try to send a message is counted, for the metrics of its node."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import get_args
from uuid import uuid4

import pytest

from sereno import DeliveryRefusedError
from sereno.engine.status import Status
from sereno.model.events import LeaderChanged
from sereno.notify.herald import Herald
from sereno.notify.tally import Fate, Tally
from sereno.observe.job_watch import JobWatch
from sereno.observe.metrics import Metrics
from sereno.settings import NotifySettings, RouteSettings

from .metrics_scene import opened
from .test_notify import QUICK, Recorder

ROUTE = RouteSettings(severity="info")


@asynccontextmanager
async def telling(dsn: str, chat: Recorder, tally: Tally) -> AsyncIterator[Herald]:
    async with opened(dsn) as db:
        herald = Herald(
            db,
            JobWatch(db),
            Status(node=uuid4(), label="blue-1", version="0", leading=True),
            NotifySettings(retry=QUICK, routes={"all": ROUTE}),
            {chat.name: chat},
            {},
            now=lambda: datetime.now(UTC),
            publish=lambda event: None,
            tally=tally,
        )
        async with herald.at_work():
            yield herald


@pytest.mark.parametrize(
    ("faults", "tries", "counted"),
    [
        ([], 1, {"sent": 1}),
        ([OSError("away"), OSError("away")], 3, {"sent": 1, "retried": 2}),
        ([OSError("away")] * 3, 3, {"retried": 2, "failed": 1}),
        ([TimeoutError("?")] * 3, 3, {"retried": 2, "unknown": 1}),
        ([DeliveryRefusedError("no such channel")], 1, {"failed": 1}),
    ],
)
async def test_each_try_is_counted_by_what_became_of_it(
    database: str, faults: list[BaseException], tries: int, counted: dict[str, int]
) -> None:
    chat, tally = Recorder(*faults), Tally(["chat", "mail"])
    async with telling(database, chat, tally) as herald:
        herald.hear(LeaderChanged(node="n", term=1, leading=True, reason=""))
        for _ in range(tries):
            await chat.signals.wait("try")
    assert {(to, fate): n for to, fate, n in tally} == {
        **{(to, fate): 0 for to in ("chat", "mail") for fate in get_args(Fate)},
        **{("chat", fate): n for fate, n in counted.items()},
        ("nobody", "kept"): 0,
    }


async def test_each_notifier_stands_on_the_page_before_it_has_sent_anything(database: str) -> None:
    tally = Tally(["chat"])
    async with opened(database) as db:
        status = Status(node=uuid4(), label="blue-1", version="0")
        metrics = Metrics(status, JobWatch(db), lambda: [], notified=tally)
        before = (await metrics.page())[0].decode()
        tally.count("chat", "failed")
        after = (await metrics.page())[0].decode()
    series = 'sereno_notifications_total{notifier="chat",outcome="%s"} %d'
    for fate in get_args(Fate):
        assert series % (fate, 0) in before
    assert series % ("failed", 1) in after
