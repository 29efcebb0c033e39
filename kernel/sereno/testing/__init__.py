"""What a plugin's author tests with: fakes that behave, signals instead of sleeps, fixtures."""

from sereno.testing.clock import FakeClock
from sereno.testing.context import RecordedRun, run_context
from sereno.testing.databases import Databases
from sereno.testing.declared import declared, declared_jobs
from sereno.testing.enqueued import assert_enqueued, enqueued
from sereno.testing.kernel import Kernel
from sereno.testing.recorder import Enqueued, Progress, RecordingReporter
from sereno.testing.run_job import RunResult, run_job
from sereno.testing.signals import Signals
from sereno.testing.tables import make_tables

__all__ = [
    "Databases",
    "Enqueued",
    "FakeClock",
    "Kernel",
    "Progress",
    "RecordedRun",
    "RecordingReporter",
    "RunResult",
    "Signals",
    "assert_enqueued",
    "declared",
    "declared_jobs",
    "enqueued",
    "make_tables",
    "run_context",
    "run_job",
]
