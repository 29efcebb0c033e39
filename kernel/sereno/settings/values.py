"""Every setting of the kernel, with its default and its rule: the one page of keys."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from sereno.model.calendar import SharedPlans, check_calendar_name, checked_days
from sereno.model.errors import DeclarationError, TriggerError
from sereno.model.policies import LogLevel, checked_labels
from sereno.model.spread import parse_spread
from sereno.model.zone import find_zone
from sereno.settings.database_url import check_database_url
from sereno.settings.place import Key, SettingPlaces
from sereno.settings.secret import hidden

EMBEDDED = "embedded"
"""The embedded PostgreSQL's own database."""

EMBEDDED_DEMO = "embedded/demo"
"""The database of its demonstrations, which take no part in what the other one holds."""

MAX_BACKFILL = 10_000
"""The default: enough for a year of hours."""


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
ClusterName = Annotated[
    str,
    Meta(
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,62})?$",
        description="1 to 63 letters, digits and '.', '_', '-', or empty",
    ),
]
Endpoint = Annotated[
    str, Meta(pattern=r"^https?://[^/\s]", description="a URL that begins with http:// or https://")
]
Lease = Annotated[timedelta, Meta(extra={"min": timedelta(seconds=1), "max": timedelta(minutes=5)})]
Count = Annotated[int, Meta(ge=1, le=10_000)]
HostId = Annotated[
    str,
    Meta(
        pattern=r"^[^\s\x00-\x1f](?:[^\x00-\x1f]{0,98}[^\s\x00-\x1f])?$",
        description="a text of 1 to 100 characters without blanks around it",
    ),
]
Slots = Annotated[int, Meta(ge=1, le=100_000)]
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
    trigger, in place of all that the job declares. `title`, `owner`, `runbook`, `tags`: in place of
    its own. Every other key is a policy.
    """

    enabled: bool = True
    schedule: str | None = None
    title: str | None = None
    owner: str | None = None
    runbook: str | None = None
    tags: tuple[str, ...] | None = None
    policies: dict[str, Any] = {}


class ScheduleSettings(SettingsTable, frozen=True, kw_only=True):
    """``[schedules."<name>"]``: one more schedule of a job. Its runs are found by `tags`.

    `one_off`: its first slot is its last. `at_start`: a run at once, too. `except_on`, `only_on`:
    calendars. Every other key is a policy.
    """

    job: str
    trigger: str
    title: str = ""
    tags: tuple[str, ...] = ()
    params: dict[str, Any] = {}
    start: Instant | None = None
    end: Instant | None = None
    jitter: str | float | None = None
    one_off: bool = False
    at_start: bool = False
    except_on: tuple[str, ...] = ()
    only_on: tuple[str, ...] = ()
    enabled: bool = True
    policies: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError(
                f"the window is empty, start {self.start} is not before end {self.end}"
            )
        if self.jitter is not None:
            parse_spread(self.jitter)


class CalendarSettings(SettingsTable, frozen=True, kw_only=True):
    """``[calendars.<name>]``: days that schedules share. `days`: ``2026-12-25``, ``12-25`` of each
    year, ``2026-12-24..2027-01-06``, ``easter-2``, ``sat``."""

    days: tuple[str, ...]

    def __post_init__(self) -> None:
        checked_days(self.days, "days")


class BlackoutSettings(SettingsTable, frozen=True, kw_only=True):
    """``[blackouts.<name>]``: no slot of `schedules` (a pattern of names, of theirs or their
    jobs'), or of a plugin's jobs, runs from `start` until `end`; each is skipped for `reason`."""

    start: Instant
    end: Instant
    reason: Annotated[str, Meta(min_length=1, max_length=200)]
    schedules: str = "*"
    plugin: str | None = None

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ValueError(f"start {self.start} is not before end {self.end}")


class Settings(SettingsTable, frozen=True, kw_only=True):
    """All settings, each in its own type.

    `data_dir`: of the embedded PostgreSQL; None leaves the place to it. `cluster`: the name that
    ``sereno new-cluster`` gave the database; a replica joins no other. `node_name`: a label for
    people; a node's identity is a random id. `node_labels`: what jobs ask for by `runs_on`.
    `host_id`: the machine, for jobs of scope "host"; None: as it says itself.
    `leads`: it stands for the lead; else it only works. `offers`: the executors in which it works
    for another leader, empty: in all of its.
    `timezone`: of triggers that name none. `lease`: how long a leader that fell silent is
    trusted. `drain_timeout`: how long a stopping node waits for its runs. `threads`, `processes`:
    attempts at once of those executors, on one node. `job_connections`: of `run.database()`, on
    one node. `max_running`: runs at once over all jobs and
    nodes. `max_backfill`: slots of one back-fill at most. `modules`: those of jobs without a
    package. `strict`: a plugin that fails stops the start. `plugins`: unread tables, see
    `plugin_settings`. `origin`: where each key was set.
    """

    database_url: DatabaseUrl = EMBEDDED
    leader_database_url: LeaderUrl | None = None
    data_dir: Path | None = None
    cluster: ClusterName = ""
    node_name: str | None = None
    node_labels: tuple[str, ...] = ()
    host_id: HostId | None = None
    leads: bool = True
    offers: tuple[str, ...] = ()
    timezone: str = "UTC"
    lease: Lease = timedelta(seconds=5)
    drain_timeout: timedelta = timedelta(seconds=30)
    threads: Count = 5
    job_connections: Count = 5
    processes: Count = 4
    max_running: Count = 1_000
    max_backfill: Slots = MAX_BACKFILL
    strict: bool = False
    modules: tuple[str, ...] = ()
    disabled_plugins: tuple[str, ...] = ()
    http: HttpSettings = HttpSettings()
    apps: AppsSettings = AppsSettings()
    log: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()
    plugins: dict[str, dict[str, Any]] = {}
    jobs: dict[str, JobSettings] = {}
    schedules: dict[str, ScheduleSettings] = {}
    calendars: dict[str, CalendarSettings] = {}
    blackouts: dict[str, BlackoutSettings] = {}
    origin: SettingPlaces = SettingPlaces()

    def __post_init__(self) -> None:
        try:
            find_zone(self.timezone)
        except TriggerError as error:
            raise ValueError(f"timezone: {error}") from None
        if self.node_labels:
            try:
                checked_labels(self.node_labels, "node_labels")
            except DeclarationError as error:
                raise ValueError(str(error)) from None
        for calendar in self.calendars:
            check_calendar_name(calendar, "calendars:")
        for name in ("database_url", "leader_database_url"):
            url = getattr(self, name)
            if url is not None:
                try:
                    check_database_url(url)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from None

    @property
    def shared(self) -> SharedPlans:
        """Return what is said of calendars and blackouts."""
        days = {name: checked_days(c.days, name) for name, c in self.calendars.items()}
        return SharedPlans(calendars=days, blackouts=self.blackouts)

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
