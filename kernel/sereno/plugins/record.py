"""What is known of one installed plugin: where it came from, and what became of it."""

from typing import Literal

import msgspec

State = Literal["loaded", "failed", "disabled"]


class PluginRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One plugin. `reason`: why it is not loaded. `module`: where its hooks are."""

    name: str
    distribution: str = ""
    version: str = ""
    state: State = "loaded"
    reason: str = ""
    module: str = ""

    @property
    def package(self) -> str:
        """Return the top package of its module, under which its loggers live."""
        return self.module.partition(".")[0]
