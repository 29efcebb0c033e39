"""What a plugin brings to ``sereno demo``: quick settings, and something that makes work."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """A plugin's part in the demonstration.

    `settings`: laid under ``[plugins.<name>]``, so that quick schedules and the demo's own sources
    hold unless a person says otherwise. `background`: given the demo database's URL, returns what
    is kept open while the demo runs (a source that keeps writing calls).
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    background: Callable[[str], AbstractAsyncContextManager[None]] | None = None
