"""Every setting of the kernel, with its default and its rule: the one page of keys."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from sereno.model.notification import NotificationKind
from sereno.model.policies import Severity
from sereno.model.quiet_hours import parse_quiet
from sereno.model.retry import Tries
from sereno.settings.database_url import check_database_url
from sereno.settings.place import Key, SettingPlaces
from sereno.settings.secret import hidden

EMBEDDED = "embedded"
"""The embedded PostgreSQL's own database."""

EMBEDDED_DEMO = "embedded/demo"
"""The database of its demonstrations, which take no part in what the other one holds."""

LogLevel = Literal["debug", "info", "warning", "error", "critical"]
DatabaseUrl = Annotated[
    str,
    Meta(
        pattern=r"^(embedded(/demo)?$|postgres(ql)?://)",
        description="'embedded' or a URL that begins with postgresql://",
    ),
]
LeaderUrl = Annotated[
    str, Meta(pattern=r"^postgres(ql)?://", description="a URL that begins with postgresql://")
]
Endpoint = Annotated[
    str, Meta(pattern=r"^https?://[^/\s]", description="a URL that begins with http:// or https://")
]
Lease = Annotated[timedelta, Meta(extra={"min": timedelta(seconds=1), "max": timedelta(minutes=5)})]
Repeat = Annotated[timedelta, Meta(extra={"min": timedelta(minutes=1), "max": timedelta(days=30)})]
Count = Annotated[int, Meta(ge=1, le=10_000)]
Port = Annotated[int, Meta(ge=0, le=65535)]
PathPrefix = Annotated[
    str,
    Meta(
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        description="a path as /sereno, without a slash at its end, or empty",
    ),
]
AnswerWithin = Annotated[
    timedelta, Meta(extra={"min": timedelta(seconds=1), "max": timedelta(hours=1)})
]
MemoryLimit = Annotated[int, Meta(ge=64, le=1_048_576)]
Nice = Annotated[int, Meta(ge=0, le=19)]
Instant = Annotated[
    datetime, Meta(tz=True, description="a date and time with its zone, as 2026-01-31T08:00:00Z")
]


class SettingsTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table of settings, whose `repr` shows no secret."""

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({shown})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        fields = (f for f in self.__struct_fields__ if f != "origin")
        return [(f, hidden(f, getattr(self, f))) for f in fields]


class HttpSettings(SettingsTable, frozen=True, kw_only=True):
    """``[http]``: the metrics and health pages. Port 0 takes a free one.

    `token`: a bearer token that all pages but the probes demand. `hosts`: names that requests may
    be addressed to while there is none, beside this machine's own; "*" for any.
    `metrics_job_limit`: with more jobs than that, metrics tell of each plugin's jobs together.
    """

    enabled: bool = True
    host: str = "127.0.0.1"
    port: Port = 8765
    token: str | None = None
    hosts: tuple[str, ...] = ()
    metrics_job_limit: Count = 1000


class AppsSettings(SettingsTable, frozen=True, kw_only=True):
    """``[apps]``: the process that serves plugins' apps, where a plugin brings one. Port 0 takes a
    free one.

    `path_prefix`: what a proxy in front has all apps below, whether it takes it away or not.
    `tls_certificate`, `tls_key`: PEM files. `trusted_proxies`: addresses and networks whose
    ``X-Forwarded-For`` and ``-Proto`` are believed. `hosts`: names that requests may be addressed
    to, beside this machine's own; "*" for any. `answer_within`: how long an app has to begin an
    answer. `memory_limit_mb`, `nice`: what bounds the process.
    """

    enabled: bool = True
    host: str = "127.0.0.1"
    port: Port = 8766
    path_prefix: PathPrefix = ""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    hosts: tuple[str, ...] = ()
    answer_within: AnswerWithin = timedelta(seconds=60)
    memory_limit_mb: MemoryLimit = 1024
    nice: Nice = 10

    def __post_init__(self) -> None:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together: set both, or none")


class LogSettings(SettingsTable, frozen=True, kw_only=True):
    """``[log]``. `format` "auto": text on a terminal, else JSON. `plugins`: a level per plugin.

    `keep_level`: from which level on the lines of a run are kept with it. `success_level`: at which
    a run that went well is told.
    """

    level: LogLevel = "info"
    keep_level: LogLevel = "info"
    success_level: LogLevel = "info"
    format: Literal["auto", "json", "text"] = "auto"
    plugins: dict[str, LogLevel] = {}


class TracingSettings(SettingsTable, frozen=True, kw_only=True):
    """``[tracing]``: a span for each attempt, sent by OpenTelemetry (extra ``sereno[otel]``).

    `enabled` "auto": where `endpoint` or OpenTelemetry's own variables say where spans go.
    `endpoint`: of a collector that takes OTLP over HTTP. Those variables win over both other keys.
    """

    enabled: Literal["auto", "on", "off"] = "auto"
    endpoint: Endpoint | None = None
    service_name: str = "sereno"


class JobSettings(SettingsTable, frozen=True, kw_only=True):
    """``[jobs."<job>"]``: what replaces a plugin's own declaration.

    `enabled` false: no schedule of the job fires; by hand it still runs. `schedule`: the text of a
    trigger, in place of all that the job declares. Every other key is a policy.
    """

    enabled: bool = True
    schedule: str | None = None
    policies: dict[str, Any] = {}


class ScheduleSettings(SettingsTable, frozen=True, kw_only=True):
    """``[schedules."<name>"]``: one more schedule of a job. Every other key is a policy."""

    job: str
    trigger: str
    params: dict[str, Any] = {}
    start: Instant | None = None
    end: Instant | None = None
    jitter: timedelta | None = None
    enabled: bool = True
    policies: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError(
                f"the window is empty, start {self.start} is not before end {self.end}"
            )


class RouteSettings(SettingsTable, frozen=True, kw_only=True):
    """``[notify.routes.<name>]``: which notifications go to which notifiers, and when.

    `to`: names of notifiers, none for all. `severity`: from which on. `jobs`: patterns as
    ``etl_ivr.*``; what concerns no job goes to routes with ``*`` alone. `kinds`: none for all.
    `resolved`: tell also when it is over. `quiet`: hours in which all but critical ones wait.
    """

    to: tuple[str, ...] = ()
    severity: Severity = "warning"
    jobs: tuple[str, ...] = ("*",)
    kinds: tuple[NotificationKind, ...] = ()
    resolved: bool = True
    quiet: str | None = None

    def __post_init__(self) -> None:
        if self.quiet is not None:
            parse_quiet(self.quiet)


class NotifySettings(SettingsTable, frozen=True, kw_only=True):
    """``[notify]``: who is told of what goes wrong. Without a route every notifier hears of
    warnings and worse.

    `repeat_every`: what goes on is told again after so long. `keep`: how long the record of what
    was told is kept. `retry`: of a notification that does not arrive. `delivery`: of one of which
    nobody knows whether it arrived: told again, or left, as ``unknown``.
    """

    repeat_every: Repeat = timedelta(hours=4)
    keep: timedelta = timedelta(days=30)
    retry: Tries = Tries(
        attempts=10, delay=timedelta(seconds=5), max_delay=timedelta(minutes=10), jitter=0.2
    )
    delivery: Literal["at_least_once", "at_most_once"] = "at_least_once"
    routes: dict[str, RouteSettings] = {}


class Settings(SettingsTable, frozen=True, kw_only=True):
    """All settings, each in its own type.

    `data_dir`: of the embedded PostgreSQL; None leaves the place to it. `node_name`: a label for
    people; a node's identity is a random id. `lease`: how long a leader that fell silent is
    trusted. `drain_timeout`: how long a stopping node waits for its runs. `threads`, `processes`:
    attempts at once of those executors, on one node. `job_connections`: of `run.database()`, on
    one node. `max_running`: runs at once over all jobs and
    nodes. `modules`: those of jobs without a
    package. `strict`: a plugin that fails stops the start. `plugins`: unread tables, see
    `plugin_settings`. `origin`: where each key was set.
    """

    database_url: DatabaseUrl = EMBEDDED
    leader_database_url: LeaderUrl | None = None
    data_dir: Path | None = None
    node_name: str | None = None
    lease: Lease = timedelta(seconds=5)
    drain_timeout: timedelta = timedelta(seconds=30)
    threads: Count = 5
    job_connections: Count = 5
    processes: Count = 4
    max_running: Count = 1_000
    strict: bool = False
    modules: tuple[str, ...] = ()
    disabled_plugins: tuple[str, ...] = ()
    http: HttpSettings = HttpSettings()
    apps: AppsSettings = AppsSettings()
    log: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()
    notify: NotifySettings = NotifySettings()
    plugins: dict[str, dict[str, Any]] = {}
    jobs: dict[str, JobSettings] = {}
    schedules: dict[str, ScheduleSettings] = {}
    origin: SettingPlaces = SettingPlaces()

    def __post_init__(self) -> None:
        for name in ("database_url", "leader_database_url"):
            url = getattr(self, name)
            if url is not None:
                try:
                    check_database_url(url)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from None

    def place(self, *key: str) -> str:
        """Say where `key` was set, as ``conf/sereno.toml:14``; the default's name when nowhere."""
        return self.origin.place(key).text


def leaves(struct: type[msgspec.Struct] = Settings, prefix: Key = ()) -> list[Key]:
    """Return the path of every key that holds a value and not a table of its own."""
    found: list[Key] = []
    for field in msgspec.structs.fields(struct):
        if field.type is SettingPlaces:
            continue
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            found += leaves(field.type, (*prefix, field.name))
        else:
            found.append((*prefix, field.name))
    return found
