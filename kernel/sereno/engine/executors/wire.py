"""What a process executor and its child say to each other: framed JSON over a socket pair."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from sereno.engine.result import Encoded
from sereno.model.retry import Retry
from sereno.model.run import SaidMessage
from sereno.settings import TracingSettings
from sereno.store.run_request import RunRequest


class Start(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The child's work. `path`: the parent's ``sys.path``. `now`: the database's time. `tracing`:
    None where nobody traces. `silence`: seconds without a word of the parent after which it is
    frozen, and its runs are another's soon. `warm`: the child may be given another attempt after
    this one. `log_level`: of all loggers, `job_level`: of those of jobs, which an application that
    has a node in its process does not decide."""

    path: list[str]
    module: str
    name: str
    run_id: int
    job: str
    attempt: int
    token: UUID
    node: str
    params: Any
    settings: Any
    settings_type: str | None
    clients_type: str | None
    slot: datetime | None
    upstream: dict[str, Any]
    saved: Any
    database_url: str
    deadline: datetime | None
    now: datetime
    memory_limit_mb: int | None
    retry: Retry
    log_level: int
    job_level: int
    keep_result: bool = True
    silence: float | None = None
    warm: bool = False
    traceparent: str | None = None
    tracing: TracingSettings | None = None


class Stop(msgspec.Struct, frozen=True, tag=True):
    """The run is to stop."""


class Alive(msgspec.Struct, frozen=True, tag=True):
    """The parent is there."""


class Progressed(msgspec.Struct, frozen=True, tag=True):
    """``run.progress``."""

    done: float
    total: float | None
    note: str


class Checkpointed(msgspec.Struct, frozen=True, tag=True):
    """``run.checkpoint``."""

    value: Any


class Notified(msgspec.Struct, frozen=True, tag=True):
    """``run.notify``."""

    said: SaidMessage


class Warned(msgspec.Struct, frozen=True, tag=True):
    """``run.warn``."""

    text: str


class Logged(msgspec.Struct, frozen=True, tag=True):
    """A log record: logger, level, text, seconds since 1970."""

    logger: str
    level: int
    message: str
    at: float


class Flush(msgspec.Struct, frozen=True, tag=True):
    """``run.flush``: answered by `Flushed`."""


class Flushed(msgspec.Struct, frozen=True, tag=True):
    """What was said before `Flush` is durable; `error` when it could not be made so."""

    error: str | None = None


class Enqueue(msgspec.Struct, frozen=True, tag=True):
    """``run.enqueue``: answered by `EnqueuedRun`."""

    request: RunRequest


class EnqueuedRun(msgspec.Struct, frozen=True, tag=True):
    """What became of `Enqueue`: the run's id, or the error and the name of its class."""

    run_id: int | None = None
    error: str = ""
    kind: str = ""


class Returned(msgspec.Struct, frozen=True, tag=True):
    """The function returned. `spent`: what it left behind wants a process of its own."""

    result: Encoded
    spent: bool = True


class Raised(msgspec.Struct, frozen=True, tag=True):
    """The function raised. `kind`: ``error``, ``final``, ``cancelled``, ``superseded`` or
    ``snoozed``; then `sentence` is its reason, and `delay` or `until` says for how
    long. `spent`: as of `Returned`."""

    sentence: str
    traceback: str
    kind: str = "error"
    delay: timedelta | None = None
    until: datetime | None = None
    spent: bool = True


Order = Start | Stop | Alive | Flushed | EnqueuedRun
Words = Progressed | Checkpointed | Notified | Warned
Report = Words | Logged | Flush | Enqueue | Returned | Raised

_orders: msgspec.json.Decoder[Order] = msgspec.json.Decoder(
    Start | Stop | Alive | Flushed | EnqueuedRun
)
_reports: msgspec.json.Decoder[Report] = msgspec.json.Decoder(
    Words | Logged | Flush | Enqueue | Returned | Raised
)


def decode_order(body: bytes) -> Order:
    """Read what the parent sent."""
    return _orders.decode(body)


def decode_report(body: bytes) -> Report:
    """Read what the child sent."""
    return _reports.decode(body)


def framed(message: Order | Report) -> bytes:
    """Return `message` as its length in 4 bytes, then JSON."""
    body = msgspec.json.encode(message)
    return len(body).to_bytes(4, "big") + body
