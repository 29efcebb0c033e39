import asyncio
import threading

import pytest

from sereno.testing import Signals


async def test_what_was_said_before_is_heard(signals: Signals) -> None:
    signals.say("started", run=1)

    assert await signals.wait("started") == {"run": 1}


async def test_what_is_said_later_is_heard_also_from_a_thread(signals: Signals) -> None:
    waiting = asyncio.create_task(signals.wait("started", run=2))
    await asyncio.sleep(0)

    def speak() -> None:
        signals.say("started", run=1)
        signals.say("started", run=2)

    threading.Thread(target=speak).start()

    assert await waiting == {"run": 2}
    assert signals.said == [("started", {"run": 1})]


async def test_each_thing_said_is_taken_once(signals: Signals) -> None:
    signals.say("tick", n=1)
    signals.say("tick", n=2)

    assert [(await signals.wait("tick"))["n"] for _ in range(2)] == [1, 2]


async def test_a_wait_in_vain_tells_what_was_said_instead(signals: Signals) -> None:
    signals.say("stopped", run=1)

    with pytest.raises(TimeoutError, match=r"nobody said 'started' .* said: \[\('stopped'"):
        await signals.wait("started", limit=0.01)
