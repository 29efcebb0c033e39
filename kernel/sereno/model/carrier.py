"""Who carries messages: what a plugin's lifespan yields to be given what people are to be told."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from sereno.model.job import Job
from sereno.model.message_counts import MessageCounts
from sereno.model.notification import Notifier
from sereno.model.policies import Severity
from sereno.model.run import RunState


class JobSight(msgspec.Struct, frozen=True, kw_only=True):
    """How a job is. `overdue`: by how much, 0 when it is not; `lasting`: and for so long that it is
    to be told. The rest is of its last run that has ended."""

    severity: Severity
    overdue: timedelta
    lasting: bool
    last_run: int | None
    last_state: RunState | None
    last_end_at: datetime | None
    last_success_at: datetime | None


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What the node on duty sees: the database's time, whether it leads, and each job by name.

    `unled`: how long nobody has led, None while somebody does; `why`: a sentence, where known.
    """

    now: datetime
    leading: bool
    unled: timedelta | None
    why: str | None
    jobs: Mapping[str, JobSight]


# Over seven: all that a carrier may know of its node, and the plugin names each by itself.
class CarrierContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a carrier works with, on one node.

    `label`: what people call the node. `notifiers`, `jobs`: of all plugins that are open. `now`:
    the database's time. `connect`: lends an asyncpg connection to the kernel's database, from a
    pool of the carriers' own; what goes wrong in it is raised as a StoreError. `on_duty`: whether
    this node looks after what all of them find out. `counts`: for the metrics. `shown`: a text, or
    an error, as people may see it: without secrets, and at most so many characters.
    """

    node: UUID
    label: str
    notifiers: Mapping[str, Notifier]
    jobs: Mapping[str, Job]
    now: Callable[[], datetime]
    connect: Callable[[], AbstractAsyncContextManager[Any]]
    on_duty: Callable[[], bool]
    counts: MessageCounts
    shown: Callable[[str | BaseException, int], str]


class Carrier(ABC):
    """Carries messages to people: the state that a plugin's lifespan yields, where it is one.

    While a node has one, what jobs say is the carrier's to route: rows of `sereno.message` whose
    `routed_at` is null. Where no plugin brings one the kernel keeps them, and says so.
    """

    @abstractmethod
    def at_work(self, context: CarrierContext) -> AbstractAsyncContextManager[None]:
        """Carry between entry and exit: entered once all plugins are open, left before they close;
        what is due then is carried in a few seconds, or left to other nodes."""

    @abstractmethod
    async def observe(self, sight: Sight) -> None:
        """Tell of what is to be seen; called about every ten seconds, on the node on duty alone."""

    @abstractmethod
    async def finish(self) -> None:
        """Carry what is due and wait for its end, as a test's kernel does when it has moved on."""
