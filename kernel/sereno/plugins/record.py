"""What is known of one installed plugin: where it came from, and what became of it."""

from dataclasses import dataclass
from typing import Literal

State = Literal["loaded", "failed", "disabled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginRecord:
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
