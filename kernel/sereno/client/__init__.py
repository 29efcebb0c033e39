"""All that a person or a program may ask of a cluster or do to it, as typed methods."""

from sereno.client.client import Client
from sereno.client.run_verbs import Cancellation
from sereno.client.sync_client import SyncClient
from sereno.model.run import LogLine
from sereno.store.chains import RunChain
from sereno.store.lines import LogEntry
from sereno.store.queue import Requested
from sereno.store.views import AttemptView, RunDetail, RunView, WarningView

__all__ = [
    "AttemptView",
    "Cancellation",
    "Client",
    "LogEntry",
    "LogLine",
    "Requested",
    "RunChain",
    "RunDetail",
    "RunView",
    "SyncClient",
    "WarningView",
]
