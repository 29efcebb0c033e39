"""What became of each try to send a message is counted, for the metrics of its node."""

from typing import get_args

import pytest

from sereno import DeliveryRefusedError, LeaderChanged
from sereno.model.message_counts import Fate, MessageCounts

from .scene import Recorder, telling

ALL = {"all": {"severity": "info"}}


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
    chat, counts = Recorder(*faults), MessageCounts(["chat", "mail"])
    async with telling(database, chat, counts=counts, routes=ALL, looks=False) as node:
        node.take(LeaderChanged(node="n", term=1, leading=True, reason=""))
        for _ in range(tries):
            await chat.signals.wait("try")
    assert {(to, fate): n for to, fate, n in counts} == {
        **{(to, fate): 0 for to in ("chat", "mail") for fate in get_args(Fate)},
        **{("chat", fate): n for fate, n in counted.items()},
        ("nobody", "kept"): 0,
    }
