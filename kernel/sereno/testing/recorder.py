"""Keeps what a run says and asks for, and answers its fence, where a test can see both."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sereno.engine.job_services import awaited, refuse_in_loop
from sereno.model.errors import RunError, RunSuperseded
from sereno.model.fan_out import FanOut
from sereno.model.message import Message
from sereno.model.run import SaidMessage
from sereno.store.fan_outs import FanOutRequest
from sereno.store.job_pool import JobPool, LentConnection
from sereno.store.run_request import RunRequest

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """One call of ``run.progress``."""

    done: float
    total: float | None
    note: str


@dataclass(frozen=True, slots=True)
class Enqueued:
    """One run that was asked for by ``run.enqueue``, without a connection. `run_at` None: now."""

    job: str
    params: dict[str, Any]
    run_at: datetime | None = None
    priority: int | None = None
    unique_key: str | None = None
    tags: tuple[str, ...] = ()
    unique_for: timedelta | None = None
    unique_by: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FannedOut:
    """One call of ``run.fan_out``. `params`: of each child."""

    job: str
    params: list[dict[str, Any]]
    then: str | None = None
    then_params: dict[str, Any] = field(default_factory=dict)
    on_failure: str = "fail"
    key: str = ""


@dataclass(slots=True)
class RecordingServices:
    """Keeps the runs that are asked for; numbers them from 1,001 on.

    `database_url`: where ``run.database()`` connects to, one connection at a time. `its_client`:
    what ``run.client`` is.
    """

    database_url: str = ""
    its_client: Any = None
    enqueued: list[Enqueued] = field(default_factory=list)
    fanned_out: list[FannedOut] = field(default_factory=list)

    def database(self) -> LentConnection:
        """Lend a connection, which is closed when it is given back."""
        if not self.database_url:
            raise RunError("run.database(): this run has no database_url; give run_context one")
        return LentConnection(_OnePool(self.database_url, size=1))

    async def enqueue(self, request: RunRequest) -> int:
        """Keep one request."""
        params = json.loads(request.params)
        said = (request.run_at, request.priority, request.unique_key)
        self.enqueued.append(
            Enqueued(
                request.job, params, *said, request.tags, request.unique_for, request.unique_by
            )
        )
        return 1_000 + len(self.enqueued)

    async def fan_out(
        self, request: FanOutRequest, fence: Callable[[Any], Awaitable[None]], connection: Any
    ) -> FanOut:
        """Keep one fan-out; what follows it is never queued."""
        await fence(connection)
        found = [dict(each) for each in json.loads(request.params)]
        self.fanned_out.append(
            FannedOut(
                job=request.job,
                params=found,
                then=request.join_job,
                then_params=json.loads(request.join_params or "{}"),
                on_failure=request.on_failure,
                key=request.key,
            )
        )
        return FanOut(id=len(self.fanned_out), total=len(found), new=True)

    def client(self, requested_by: str) -> Any:
        """Return the client that the test has given."""
        if self.its_client is None:
            raise RunError("run.client: this run has none; give run_context(client=...) one")
        return self.its_client

    def wait_for(self, awaitable: Awaitable[T], stopped: Callable[[], bool]) -> T:
        """Await it in a loop of its own."""
        refuse_in_loop(awaitable)
        return asyncio.run(awaited(awaitable))


class _OnePool(JobPool):
    """A pool that ends with its first use: a test leaves nothing open."""

    async def give_back(self, connection: Any) -> None:
        await super().give_back(connection)
        await self.close()


@dataclass(slots=True)
class RecordingReporter:
    """A Reporter that writes nowhere. `services`: keep the runs that were asked for.

    `progresses`, `checkpoints`, `warnings`, `messages`, `fenced` (connections): in the order of
    the calls. `durable`: how many of the checkpoints a flush has made durable, as a crash right now
    would leave them.
    """

    progresses: list[Progress] = field(default_factory=list)
    checkpoints: list[Any] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    fenced: list[Any] = field(default_factory=list)
    durable: int = 0
    superseded: bool = False
    services: RecordingServices = field(default_factory=RecordingServices)

    def progress(self, done: float, total: float | None, note: str) -> None:
        """Keep one progress."""
        self.progresses.append(Progress(done, total, note))

    def checkpoint(self, value: Any) -> None:
        """Keep one checkpoint."""
        self.checkpoints.append(value)

    def warn(self, text: str) -> None:
        """Keep one warning."""
        self.warnings.append(text)

    def notify(self, message: SaidMessage) -> None:
        """Keep one message."""
        self.messages.append(message.message)

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
