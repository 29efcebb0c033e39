"""What a plugin's author tests with: fakes that behave, signals instead of sleeps, fixtures."""

from sereno.testing.clock import FakeClock
from sereno.testing.context import RecordedRun, run_context
from sereno.testing.databases import Databases
from sereno.testing.declared import declared, declared_jobs
from sereno.testing.enqueued import assert_enqueued, enqueued
from sereno.testing.executor_trial import ExecutorPromise, ExecutorTrial, executor_promises
from sereno.testing.http_service import HttpAnswer, HttpRequest, http_service
from sereno.testing.kernel import Kernel
from sereno.testing.recorder import Enqueued, FannedOut, Progress, RecordingReporter
from sereno.testing.run_job import RunResult, run_job
from sereno.testing.server_process import ServerProcess, free_port, server_process
from sereno.testing.signals import Signals
from sereno.testing.tables import make_tables

__all__ = [
    "Databases",
    "Enqueued",
    "ExecutorPromise",
    "ExecutorTrial",
    "FakeClock",
    "FannedOut",
    "HttpAnswer",
    "HttpRequest",
    "Kernel",
    "Progress",
    "RecordedRun",
    "RecordingReporter",
    "RunResult",
    "ServerProcess",
    "Signals",
    "assert_enqueued",
    "declared",
    "declared_jobs",
    "enqueued",
    "executor_promises",
    "free_port",
    "http_service",
    "make_tables",
    "run_context",
    "run_job",
    "server_process",
]
