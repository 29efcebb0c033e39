"""The public API: the one module that a plugin imports."""

from typing import TYPE_CHECKING, Any  # noqa: TID251 - names what __getattr__ loads, for checkers

from sereno.engine.context import RunContext
from sereno.engine.job_declaration import job
from sereno.hookspecs import hookimpl
from sereno.model.app import App
from sereno.model.check import Check, Finding
from sereno.model.demo import Demo
from sereno.model.duration import format_duration, parse_duration
from sereno.model.errors import (
    ConfigurationError,
    ConflictError,
    DeclarationError,
    DeliveryError,
    DeliveryRefusedError,
    FinalError,
    NotFoundError,
    ParamsError,
    RunCancelled,
    RunError,
    RunSuperseded,
    SchemaError,
    SerenoError,
    StoreError,
    StoreUnavailableError,
    TriggerError,
    WaitTimeoutError,
)
from sereno.model.events import JobOverdue, LeaderChanged, RunFinished, RunStarted, SlotSettled
from sereno.model.job import Job
from sereno.model.lazy import lazy
from sereno.model.message import Attachment, Message
from sereno.model.metric import Collector, Metric, Sample
from sereno.model.migrations import Migrations
from sereno.model.notification import Notification, Notifier
from sereno.model.retry import Retry, retry
from sereno.model.schedule import Schedule, schedule
from sereno.model.secret import Secret
from sereno.model.snooze import Snooze
from sereno.model.suggestion import suggestion
from sereno.model.zone import find_zone
from sereno.settings.database_url import check_database_url
from sereno.store.sql import sql_blocks
from sereno.triggers import Arguments as TriggerArguments
from sereno.triggers import Trigger, any_of, cron, every, except_on, jitter, once, parse, within

if TYPE_CHECKING:
    from sereno.client import (
        Account,
        AttemptView,
        BulkPreview,
        BulkView,
        Cancellation,
        ChangePreview,
        ChangeView,
        Client,
        ClusterView,
        Count,
        DriftView,
        Explanation,
        Fault,
        JobView,
        LeaderView,
        LogEntry,
        LogFilter,
        LogLine,
        NodeView,
        Overdue,
        Page,
        Paused,
        PluginView,
        Requested,
        Resumed,
        RuleView,
        RunChain,
        RunDetail,
        RunFilter,
        RunView,
        ScheduleAdded,
        ScheduleChanged,
        ScheduleRemoved,
        ScheduleSpec,
        ScheduleVersion,
        ScheduleView,
        SlotView,
        Straggler,
        SyncClient,
        TermView,
        Timeline,
        Totals,
        WarningView,
    )

__version__ = "0.1.0"

_OF_CLIENT = (
    "Account",
    "AttemptView",
    "BulkPreview",
    "BulkView",
    "Cancellation",
    "ChangePreview",
    "ChangeView",
    "Client",
    "ClusterView",
    "Count",
    "DriftView",
    "Explanation",
    "Fault",
    "JobView",
    "LeaderView",
    "LogEntry",
    "LogFilter",
    "LogLine",
    "NodeView",
    "Overdue",
    "Page",
    "Paused",
    "PluginView",
    "Requested",
    "Resumed",
    "RuleView",
    "RunChain",
    "RunDetail",
    "RunFilter",
    "RunView",
    "ScheduleAdded",
    "ScheduleChanged",
    "ScheduleRemoved",
    "ScheduleSpec",
    "ScheduleVersion",
    "ScheduleView",
    "SlotView",
    "Straggler",
    "SyncClient",
    "TermView",
    "Timeline",
    "Totals",
    "WarningView",
)
"""Loaded with the client when a program first names one of them: a node does without."""


def __getattr__(name: str) -> Any:
    if name not in _OF_CLIENT:
        raise AttributeError(f"module 'sereno' has no attribute '{name}'")
    room = f"{__name__}.client"
    return getattr(lazy(room), name)


__all__ = [
    "Account",
    "App",
    "Attachment",
    "AttemptView",
    "BulkPreview",
    "BulkView",
    "Cancellation",
    "ChangePreview",
    "ChangeView",
    "Check",
    "Client",
    "ClusterView",
    "Collector",
    "ConfigurationError",
    "ConflictError",
    "Count",
    "DeclarationError",
    "DeliveryError",
    "DeliveryRefusedError",
    "Demo",
    "DriftView",
    "Explanation",
    "Fault",
    "FinalError",
    "Finding",
    "Job",
    "JobOverdue",
    "JobView",
    "LeaderChanged",
    "LeaderView",
    "LogEntry",
    "LogFilter",
    "LogLine",
    "Message",
    "Metric",
    "Migrations",
    "NodeView",
    "NotFoundError",
    "Notification",
    "Notifier",
    "Overdue",
    "Page",
    "ParamsError",
    "Paused",
    "PluginView",
    "Requested",
    "Resumed",
    "Retry",
    "RuleView",
    "RunCancelled",
    "RunChain",
    "RunContext",
    "RunDetail",
    "RunError",
    "RunFilter",
    "RunFinished",
    "RunStarted",
    "RunSuperseded",
    "RunView",
    "Sample",
    "Schedule",
    "ScheduleAdded",
    "ScheduleChanged",
    "ScheduleRemoved",
    "ScheduleSpec",
    "ScheduleVersion",
    "ScheduleView",
    "SchemaError",
    "Secret",
    "SerenoError",
    "SlotSettled",
    "SlotView",
    "Snooze",
    "StoreError",
    "StoreUnavailableError",
    "Straggler",
    "SyncClient",
    "TermView",
    "Timeline",
    "Totals",
    "Trigger",
    "TriggerArguments",
    "TriggerError",
    "WaitTimeoutError",
    "WarningView",
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
