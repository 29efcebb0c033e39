"""All that a person or a program may ask of a cluster or do to it, as typed methods."""

from sereno.client.client import Client
from sereno.client.run_verbs import Cancellation
from sereno.client.sync_client import SyncClient
from sereno.model.run import LogLine
from sereno.store.chains import RunChain
from sereno.store.filters import LogFilter, RunFilter
from sereno.store.lines import LogEntry
from sereno.store.page import Page
from sereno.store.queue import Requested
from sereno.store.search import Count
from sereno.store.views import AttemptView, RunDetail, RunView, WarningView

__all__ = [
    "AttemptView",
    "Cancellation",
    "Client",
    "Count",
    "LogEntry",
    "LogFilter",
    "LogLine",
    "Page",
    "Requested",
    "RunChain",
    "RunDetail",
    "RunFilter",
    "RunView",
    "SyncClient",
    "WarningView",
]
