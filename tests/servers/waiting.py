"""Wait for a condition that nothing signals, as of another process."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

Found = TypeVar("Found")


def wait_until(condition: Callable[[], Found], what: str, seconds: float = 90) -> Found:
    """Return `condition()` as soon as it is true; fail with `what` was awaited after `seconds`."""
    waiting = pauses(seconds)
    while not (found := condition()):
        if (pause := next(waiting, None)) is None:
            raise AssertionError(f"waited {seconds:g} s in vain for: {what}")
        threading.Event().wait(pause)
    return found


def pauses(seconds: float) -> Iterator[float]:
    """Yield the seconds until one looks again, for so many seconds.

    Who waits for long looks less often, and so does who looks for long: other tests that wait
    beside it need the processor, and what is waited for.
    """
    began = looking = time.monotonic()
    while (now := time.monotonic()) - began < seconds:
        yield max(0.01, min((now - began) / 10, 0.05), min(4 * (now - looking), 0.2))
        looking = time.monotonic()
