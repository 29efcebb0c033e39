"""What a plugin's author tests with: fakes that behave, signals instead of sleeps, fixtures."""

from sereno.testing.context import RecordedRun, run_context
from sereno.testing.recorder import Progress, RecordingReporter

__all__ = ["Progress", "RecordedRun", "RecordingReporter", "run_context"]
