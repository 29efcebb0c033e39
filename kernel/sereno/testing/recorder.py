"""Keeps what a run says, and answers its fence, where a test can see both."""

from dataclasses import dataclass, field
from typing import Any

from sereno.model.errors import RunSuperseded


@dataclass(frozen=True, slots=True)
class Progress:
    """One call of ``run.progress``."""

    done: float
    total: float | None
    note: str


@dataclass(slots=True)
class RecordingReporter:
    """A Reporter that writes nowhere.

    `progresses`, `checkpoints`, `warnings`, `fenced` (connections): in the order of the calls.
    `durable`: how many of the checkpoints a flush has made durable, as a crash right now would
    leave them.
    """

    progresses: list[Progress] = field(default_factory=list)
    checkpoints: list[Any] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    fenced: list[Any] = field(default_factory=list)
    durable: int = 0
    superseded: bool = False

    def progress(self, done: float, total: float | None, note: str) -> None:
        """Keep one progress."""
        self.progresses.append(Progress(done, total, note))

    def checkpoint(self, value: Any) -> None:
        """Keep one checkpoint."""
        self.checkpoints.append(value)

    def warn(self, text: str) -> None:
        """Keep one warning."""
        self.warnings.append(text)

    async def flush(self) -> None:
        """Count what would now be durable."""
        self.durable = len(self.checkpoints)

    async def fence(self, connection: Any) -> None:
        """Refuse once `supersede` was called, as the kernel does when another node has the run."""
        if self.superseded:
            raise RunSuperseded("the run has another owner; roll back and write nothing")
        self.fenced.append(connection)

    def supersede(self) -> None:
        """Let another node own this run from now on: every fence raises RunSuperseded."""
        self.superseded = True
