"""Wait for a condition that nothing signals, as of another process."""

import threading
import time
from collections.abc import Callable


def wait_until(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Return as soon as `condition()` is true; fail with `what` was awaited after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for: {what}")
        threading.Event().wait(0.01)
