"""All that a person or a program may ask of a cluster or do to it, as typed methods."""

from sereno.client.bulk_verbs import BulkPreview
from sereno.client.client import Client
from sereno.client.cluster_verbs import ClusterView, Overdue
from sereno.client.explanation import Explanation
from sereno.client.run_verbs import Cancellation
from sereno.client.schedule_verbs import (
    ChangePreview,
    Paused,
    Resumed,
    ScheduleAdded,
    ScheduleChanged,
    ScheduleRemoved,
)
from sereno.client.sync_client import SyncClient
from sereno.engine.verification import Account, Fault
from sereno.model.ledger import ScheduleVersion
from sereno.model.run import LogLine
from sereno.model.schedule_spec import ScheduleSpec
from sereno.store.bulks import BulkView
from sereno.store.chains import RunChain
from sereno.store.cluster import PluginView, TermView, Totals
from sereno.store.filters import LogFilter, RunFilter
from sereno.store.lines import LogEntry
from sereno.store.page import Page
from sereno.store.queue import Requested
from sereno.store.search import Count
from sereno.store.stragglers import Straggler
from sereno.store.timeline import Timeline
from sereno.store.trail import ChangeView, DriftView
from sereno.store.views import (
    AttemptView,
    JobView,
    LeaderView,
    NodeView,
    RuleView,
    RunDetail,
    RunView,
    ScheduleView,
    SlotView,
    WarningView,
)

__all__ = [
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
]
