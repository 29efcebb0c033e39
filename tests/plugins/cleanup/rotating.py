"""A turn of `cleanup.rotate`, at a time of one's own."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sereno.testing import run_context
from sereno_cleanup.rotate import rotate
from sereno_cleanup.settings import RotationRule, Settings

NOW = datetime(2026, 3, 31, 2, 0, tzinfo=UTC)


def turn(root: Path, at: datetime = NOW, **changes: Any) -> dict[str, Any]:
    """Rotate the logs in `root`, those of over 100 bytes; return what became of them."""
    chosen: dict[str, Any] = {"path": f"{root}/*.log", "max_bytes": 100} | changes
    settings = Settings(logs_roots=(str(root),), rotations=(RotationRule(**chosen),))
    result = rotate.function(run_context(rotate, settings=settings, clock=lambda: at))
    return dict(result["rules"][0])
