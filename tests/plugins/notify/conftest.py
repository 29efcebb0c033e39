from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from sereno import Notification

from .receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def notification(**changes: Any) -> Notification:
    """Return a notification of a run that failed."""
    found: dict[str, Any] = {
        "id": 7,
        "key": "run_failed etl.sync",
        "kind": "run_failed",
        "severity": "critical",
        "resolved": False,
        "title": "etl.sync failed",
        "text": "Run 12 of etl.sync failed: <no disk> & more",
        "at": datetime(2026, 3, 1, 8, 0, tzinfo=UTC),
        "job": "etl.sync",
        "facts": {"run": 12, "error": "no disk"},
    }
    return Notification(**{**found, **changes})
