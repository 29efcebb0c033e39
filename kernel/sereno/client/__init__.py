"""All that a person or a program may ask of a cluster or do to it, as typed methods."""

from sereno.client.backfill_verbs import BackfillPreview
from sereno.client.bulk_verbs import BulkPreview
from sereno.client.calendar_verbs import CalendarChanged, MovedSlots
from sereno.client.client import Client
from sereno.client.cluster_verbs import ClusterView, Overdue
from sereno.client.explanation import Explanation
from sereno.client.news_verbs import News
from sereno.client.rehearsal_change import RehearsalChange
from sereno.client.run_verbs import Cancellation
from sereno.client.schedule_verbs import (
    ChangePreview,
    Paused,
    Resumed,
    ScheduleAdded,
    ScheduleChanged,
    ScheduleRemoved,
)
from sereno.client.slot_verbs import ComingSlot
from sereno.client.sync_client import SyncClient
from sereno.engine.verification import Account, Fault
from sereno.model.ledger import ScheduleVersion
from sereno.model.rehearsal import (
    Rehearsal,
    RehearsedCourse,
    RehearsedEvent,
    RehearsedFinding,
    RehearsedHour,
    RehearsedPool,
)
from sereno.model.run import LogLine
from sereno.model.schedule_spec import ScheduleSpec
from sereno.store.attempt_views import AttemptView, WarningView
from sereno.store.backfills import BackfillView
from sereno.store.blackouts import BlackoutView
from sereno.store.bulks import BulkView
from sereno.store.calendars import CalendarView
from sereno.store.chain_changes import ChainRetried, ChainStopped
from sereno.store.chain_walk import FanOutView
from sereno.store.chains import RunChain
from sereno.store.cluster import PluginView, TermView, Totals
from sereno.store.counts import EndedCount, SlotCounts
from sereno.store.filters import LogFilter, RunFilter
from sereno.store.lines import LogEntry
from sereno.store.node_totals import NodeTotal
from sereno.store.page import Page
from sereno.store.part_views import PartView
from sereno.store.placement_waits import PlacementWait
from sereno.store.queue import Requested
from sereno.store.schedule_pages import ScheduleDetail
from sereno.store.search import Count
from sereno.store.slot_views import RuleView, SlotView
from sereno.store.standing import Maintenance
from sereno.store.stragglers import Straggler
from sereno.store.timeline import Timeline
from sereno.store.trail import ChangeView, DriftView
from sereno.store.views import (
    JobView,
    LeaderView,
    NodeView,
    RunDetail,
    RunView,
    ScheduleView,
)
from sereno.triggers.load import ComingLoad, DueMinute

__all__ = [
    "Account",
    "AttemptView",
    "BackfillPreview",
    "BackfillView",
    "BlackoutView",
    "BulkPreview",
    "BulkView",
    "CalendarChanged",
    "CalendarView",
    "Cancellation",
    "ChainRetried",
    "ChainStopped",
    "ChangePreview",
    "ChangeView",
    "Client",
    "ClusterView",
    "ComingLoad",
    "ComingSlot",
    "Count",
    "DriftView",
    "DueMinute",
    "EndedCount",
    "Explanation",
    "FanOutView",
    "Fault",
    "JobView",
    "LeaderView",
    "LogEntry",
    "LogFilter",
    "LogLine",
    "Maintenance",
    "MovedSlots",
    "News",
    "NodeTotal",
    "NodeView",
    "Overdue",
    "Page",
    "PartView",
    "Paused",
    "PlacementWait",
    "PluginView",
    "Rehearsal",
    "RehearsalChange",
    "RehearsedCourse",
    "RehearsedEvent",
    "RehearsedFinding",
    "RehearsedHour",
    "RehearsedPool",
    "Requested",
    "Resumed",
    "RuleView",
    "RunChain",
    "RunDetail",
    "RunFilter",
    "RunView",
    "ScheduleAdded",
    "ScheduleChanged",
    "ScheduleDetail",
    "ScheduleRemoved",
    "ScheduleSpec",
    "ScheduleVersion",
    "ScheduleView",
    "SlotCounts",
    "SlotView",
    "Straggler",
    "SyncClient",
    "TermView",
    "Timeline",
    "Totals",
    "WarningView",
]
