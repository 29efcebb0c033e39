"""What people are told, and what carries it to them: the contract of notifiers."""

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Any, Literal

import msgspec

from sereno.model.policies import Severity

NotificationKind = Literal[
    "run_failed", "job_overdue", "slot_missed", "leader_changed", "leader_missing", "test"
]


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One message about one thing that happened, or that is over (`resolved`).

    `key` names the thing: a message that it is over bears the key of the one that it began. `id`
    is the same at every try of one message. `title`: one line. `text`: a sentence or several. `at`:
    when it happened, aware UTC. `suppressed`: so often the same happened since the message before.
    `facts`: for programs; ``run``, ``slot``, ``error`` and others, as far as they are known.
    """

    id: int
    key: str
    kind: NotificationKind
    severity: Severity
    resolved: bool
    title: str
    text: str
    at: datetime
    job: str | None = None
    suppressed: int = 0
    facts: dict[str, Any] = {}


class Notifier(ABC):
    """Carries notifications to people. Made by a plugin once, before any I/O."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What routes call it: lower-case words, unique over all plugins."""

    @abstractmethod
    async def send(self, notification: Notification) -> None:
        """Deliver `notification`, or raise: then it is tried again, with back-off.

        A DeliveryRefusedError is not tried again. What is raised is logged and kept: it must hold
        no secret, nor an address that is one. Called on any node, several at once, each bounded in
        time.
        """
