"""The public API: the one module that a plugin imports."""

from sereno.engine.context import RunContext
from sereno.hookspecs import hookimpl
from sereno.model.demo import Demo
from sereno.model.duration import format_duration, parse_duration
from sereno.model.errors import (
    ConfigurationError,
    DeclarationError,
    DeliveryError,
    DeliveryRefusedError,
    FinalError,
    ParamsError,
    RunCancelled,
    RunError,
    RunSuperseded,
    SerenoError,
    TriggerError,
)
from sereno.model.events import JobOverdue, LeaderChanged, RunFinished, RunStarted, SlotSettled
from sereno.model.job import Job, job
from sereno.model.lazy import lazy
from sereno.model.metric import Collector, Metric, Sample
from sereno.model.notification import Notification, Notifier
from sereno.model.retry import Retry, retry
from sereno.model.schedule import Schedule, schedule
from sereno.model.secret import Secret
from sereno.model.suggestion import suggestion
from sereno.model.zone import find_zone
from sereno.settings.database_url import check_database_url
from sereno.store.sql import sql_blocks
from sereno.triggers import Arguments as TriggerArguments
from sereno.triggers import Trigger, any_of, cron, every, except_on, jitter, once, parse, within

__version__ = "0.1.0"

__all__ = [
    "Collector",
    "ConfigurationError",
    "DeclarationError",
    "DeliveryError",
    "DeliveryRefusedError",
    "Demo",
    "FinalError",
    "Job",
    "JobOverdue",
    "LeaderChanged",
    "Metric",
    "Notification",
    "Notifier",
    "ParamsError",
    "Retry",
    "RunCancelled",
    "RunContext",
    "RunError",
    "RunFinished",
    "RunStarted",
    "RunSuperseded",
    "Sample",
    "Schedule",
    "Secret",
    "SerenoError",
    "SlotSettled",
    "Trigger",
    "TriggerArguments",
    "TriggerError",
    "any_of",
    "check_database_url",
    "cron",
    "every",
    "except_on",
    "find_zone",
    "format_duration",
    "hookimpl",
    "jitter",
    "job",
    "lazy",
    "once",
    "parse",
    "parse_duration",
    "retry",
    "schedule",
    "sql_blocks",
    "suggestion",
    "within",
]
