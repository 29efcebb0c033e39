"""A message on its way to one notifier, and what carries it: the contract of notifiers."""

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Any, Literal

import msgspec

from sereno.model.message import Message

NotificationKind = Literal[
    "run_failed",
    "run_stalled",
    "job_overdue",
    "slot_missed",
    "leader_changed",
    "leader_missing",
    "message",
    "test",
]


class Notification(Message, frozen=True, kw_only=True):
    """A message about one thing that happened, or that is over (`resolved`), or of a job.

    `key` names the thing: a message that it is over bears the key of the one that it began.
    `message_id` is the same at every try of one message, on every node, and no other's ever; `id`
    is its row's number. `kind`: ``message`` is what a job sends. `at`: when it happened, aware UTC.
    `suppressed`: so often the same happened since the message before. `facts`: for programs;
    ``run``, ``slot``, ``error`` and others, as far as they are known.
    """

    id: int
    key: str
    kind: NotificationKind
    resolved: bool
    at: datetime
    message_id: str = ""
    job: str | None = None
    suppressed: int = 0
    facts: dict[str, Any] = msgspec.field(default_factory=dict)


class Notifier(ABC):
    """Carries messages to people. Made by a plugin once, before any I/O."""

    takes_addresses: bool = False
    """Whether it sends to what `to` of a message names: without, it carries none that has one."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What routes call it: lower-case words, unique over all plugins."""

    @abstractmethod
    async def send(self, notification: Notification) -> None:
        """Deliver `notification`, or raise: then it is tried again, with back-off.

        A DeliveryRefusedError is not tried again. With `notify.delivery` at most once, a
        DeliveryError says that nothing arrived, and is tried again; after anything else nobody
        knows, and it is not. What is raised is logged and kept: it must hold no secret, nor an
        address that is one. Called on any node, several at once, each bounded in time.
        """
