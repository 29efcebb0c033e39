import inspect
import tomllib
from pathlib import Path

import pytest

import sereno
import sereno.testing

ROOT = Path(__file__).parents[2]


def test_the_public_names_are_these_and_no_others() -> None:
    assert sereno.__all__ == [
        "Account",
        "App",
        "Attachment",
        "AttemptView",
        "BackfillPreview",
        "BackfillView",
        "BlackoutView",
        "BulkPreview",
        "BulkView",
        "CalendarChanged",
        "CalendarView",
        "Cancellation",
        "Carrier",
        "CarrierContext",
        "ChainRetried",
        "ChainStopped",
        "ChangePreview",
        "ChangeView",
        "Check",
        "ChildError",
        "Client",
        "ClusterView",
        "Collector",
        "ComingLoad",
        "ComingSlot",
        "ConfigurationError",
        "ConflictError",
        "Count",
        "DeclarationError",
        "DeliveryError",
        "DeliveryRefusedError",
        "Demo",
        "DriftView",
        "DueMinute",
        "EndedCount",
        "Executor",
        "ExecutorNode",
        "Explanation",
        "FanIn",
        "FanOut",
        "FanOutView",
        "Fault",
        "FinalError",
        "Finding",
        "InProcess",
        "Job",
        "JobOverdue",
        "JobSight",
        "JobView",
        "LeaderChanged",
        "LeaderView",
        "LogEntry",
        "LogFilter",
        "LogLine",
        "Maintenance",
        "Message",
        "Metric",
        "Migrations",
        "MovedSlots",
        "News",
        "NodeTotal",
        "NodeView",
        "NotFoundError",
        "Notification",
        "NotificationKind",
        "Notifier",
        "Overdue",
        "Page",
        "ParamsError",
        "Paused",
        "PlacementWait",
        "PluginPoint",
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
        "Retry",
        "RuleView",
        "RunCancelled",
        "RunChain",
        "RunContext",
        "RunDetail",
        "RunError",
        "RunFilter",
        "RunFinished",
        "RunFormatter",
        "RunStalled",
        "RunStarted",
        "RunState",
        "RunSuperseded",
        "RunView",
        "Sample",
        "Schedule",
        "ScheduleAdded",
        "ScheduleChanged",
        "ScheduleDetail",
        "ScheduleRemoved",
        "ScheduleSpec",
        "ScheduleVersion",
        "ScheduleView",
        "SchemaError",
        "Secret",
        "Sereno",
        "SerenoError",
        "Severity",
        "Sight",
        "SlotCounts",
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
        "apply_migrations",
        "check_database_url",
        "cron",
        "every",
        "except_on",
        "find_zone",
        "format_duration",
        "hookimpl",
        "installed_points",
        "jitter",
        "job",
        "lazy",
        "make_sure",
        "once",
        "only_on",
        "parse",
        "parse_duration",
        "resource_path",
        "retry",
        "schedule",
        "sql_blocks",
        "suggestion",
        "variable",
        "within",
    ]


def test_the_names_for_tests_are_these_and_no_others() -> None:
    assert sereno.testing.__all__ == [
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


@pytest.mark.parametrize("module", [sereno, sereno.testing])
def test_every_public_name_is_there_and_explains_itself(module: object) -> None:
    for name in module.__all__:  # type: ignore[attr-defined]
        member = getattr(module, name)
        if inspect.isclass(member) or inspect.isfunction(member):
            assert member.__doc__, name


def test_the_version_is_told_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["version"] == sereno.__version__


def test_the_tree_of_errors_is_drawn_in_full() -> None:
    drawn = sereno.SerenoError.__module__
    text = inspect.getdoc(inspect.getmodule(sereno.SerenoError)) or ""

    def below(error: type[BaseException]) -> set[str]:
        own = [e for e in error.__subclasses__() if e.__module__ == drawn]
        return {error.__name__}.union(*(below(e) for e in own))

    assert {name for name in below(sereno.SerenoError) if name not in text} == set()
