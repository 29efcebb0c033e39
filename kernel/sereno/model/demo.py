"""What a plugin brings to ``sereno demo``: quick settings, and something that makes work."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec


class Demo(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin's part in the demonstration.

    `settings`: laid under ``[plugins.<name>]``, so that quick schedules and the demo's own sources
    hold unless a person says otherwise. `background`: given the demo database's URL, returns what
    is kept open while the demo runs (a source that keeps writing calls).
    """

    settings: Mapping[str, Any] = {}
    background: Callable[[str], AbstractAsyncContextManager[None]] | None = None
