"""The settings under ``[plugins.etl_ivr]``, checked before anything starts."""

import os
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, field

from sereno import TriggerError, check_database_url, find_zone, parse
from sereno_etl_ivr.time_format import check as check_time_format
from sereno_etl_ivr.tls import TlsSettings, check_postgres, mysql_tls

SourceUrl = Annotated[
    str,
    Meta(
        pattern=r"^(mysql|mariadb|postgres(ql)?)://",
        description="a URL that begins with mysql://, mariadb:// or postgresql://",
    ),
]
TargetUrl = Annotated[
    str, Meta(pattern=r"^postgres(ql)?://", description="a URL that begins with postgresql://")
]
SourceName = Annotated[str, Meta(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]*$")]
AGENT_CHANNEL = r"^(PJSIP|SIP|IAX2|SCCP|Local|Agent)/[0-9]{2,8}([-@/]|$)"
OUTBOUND_CONTEXT = r"^(from-internal|outbound|outrt|macro-dialout)"
FOR_EVER = timedelta(0)
LEAST_KEPT = timedelta(days=2)
FACTS_KEPT = timedelta(days=62)
"""A month and the one after it, in which its report may be made again."""
N = TypeVar("N", int, float)
_MYSQL = {"mysql", "mariadb"}
_PASSWORD = re.compile(r"(://[^:/@]*:)[^@]*@")
# What the sessions of either end are set to, whatever a URL says.
_OF_SESSIONS = {
    *("application_name", "default_transaction_read_only", "timezone", "datestyle", "jit"),
    "default_transaction_isolation",
    *("intervalstyle", "extra_float_digits", "bytea_output", "statement_timeout", "lock_timeout"),
    *("idle_in_transaction_session_timeout", "synchronous_commit", "plan_cache_mode"),
    *("enable_seqscan", "enable_nestloop", "tcp_keepalives_idle", "tcp_keepalives_interval"),
    "tcp_keepalives_count",
}
_NAME = r"^[a-z_][a-z0-9_]{0,39}$"
_OWN = {"source", "position", "content", "ordinal", "loaded_at", "extra", "time_note", "aside"}
Kept = Annotated[timedelta, Meta(extra={"needs_unit": True})]
Name = Annotated[str, Meta(pattern=_NAME, description="a lower-case name")]
TargetName = Annotated[str, Meta(pattern=r"^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$")]


class TableSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another table that is moved, by a job of its own: `etl_ivr.sync.<name>`.

    `kind`: what it is; `other` is described by `columns` (the target's name of each, and
    ``"source_name type"`` of a type of `table.Kind`), `cursor` (one of them, a
    date and time by which rows come) and `key` (which tell what row a changed row was).
    `time_format`: of a cursor that is a text (`iso`, or as `%d/%m/%Y %H:%M:%S`) or counts from 1970
    (`epoch`, `epoch_ms`); names without a `%` are found out for Asterisk's own tables.
    `source_table`: when None its kind, and of `other` its own name. `target`: ``schema.table``,
    made where it is missing.
    """

    kind: Literal["cdr", "cel", "queue_log", "other"] = "other"
    source_table: str | None = None
    source: SourceName | None = None
    target: TargetName | None = None
    columns: dict[Name, str] = {}
    cursor: str = ""
    key: list[str] = []
    timezone: str | None = None
    time_format: str | None = None
    schedule: str | None = None
    keep: Kept = FOR_EVER

    def __post_init__(self) -> None:
        if self.time_format is not None:
            check_time_format(self.time_format)
        if self.schedule is not None:
            parse(self.schedule)
        if self.timezone is not None:
            _checked_zone("timezone", self.timezone)
        if self.kind != "other":
            return
        if self.cursor not in self.columns:
            raise ValueError(f"cursor is '{self.cursor}', it must be one of columns")
        if own := set(self.columns) & {*_OWN, f"{self.cursor}_at"}:
            raise ValueError(f"columns names '{min(own)}', which every target has of its own")
        if missing := set(self.key) - set(self.columns):
            raise ValueError(f"key names '{min(missing)}', it must be one of columns")


class NameTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the source with names: `id` and `name` are its columns."""

    table: Annotated[str, Meta(min_length=1)]
    id: Annotated[str, Meta(min_length=1)]
    name: Annotated[str, Meta(min_length=1)]


class NamesSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How people call agents and queues: by id, or a table of the source that says it."""

    agents: dict[str, str] = {}
    queues: dict[str, str] = {}
    agents_table: NameTable | None = None
    queues_table: NameTable | None = None


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that an operator may choose; `repr` shows no password.

    `source_url` None: the jobs are there, without a schedule. `target_url` None: the kernel's own
    database. `source`: the name of this PBX in the target, where several may share the tables.
    `schedule`: text of a trigger, in place of every `frequency_hours`. `batch_size`: rows per
    transaction. `overlap`: rows written so long after their `calldate` are still found by the next
    sync; a call's longest duration, and the delay of cdr.conf's batches. `source_timezone`: of
    `calldate`, an IANA name. `source_tls`: how TLS is spoken to it; as the URL says when None. A
    run fails once more than `reject_limit` rows *and* more than `reject_share` of those read could
    not be loaded. `max_rows_per_second`: read from the source, None for as fast as it goes.
    `patience`: so long a run tries again when an end is away, before it fails and the job's retry
    decides. `reconcile`: text of the trigger of `etl_ivr.reconcile`, over the last
    `reconcile_days`. Rows that the source no longer has are taken out of a day unless they are more
    than `delete_limit` *and* more than `delete_share` of it: then the source was purged.
    `aggregate`: text of the trigger of `etl_ivr.aggregate`, empty for no figures. `level_seconds`:
    a call answered within them is in the service level; one given up within `short_abandon_seconds`
    is no abandoned one. `agent_channel`, `outbound_context`: PostgreSQL's regular expressions for
    the channel of an agent, and for the context in which a call from within begins. `names`: of
    agents and queues. `retain`: text of the trigger of `etl_ivr.retain`; `keep_calls` and the
    next: for how long it lets them stay, zero for ever. `keep_facts`: when None, as long as the
    calls, and 62 days at least. `tables`: what is moved beside the
    calls.
    """

    source_url: SourceUrl | None = None
    source_table: Annotated[str, Meta(min_length=1)] = "cdr"
    source: SourceName = "pbx"
    source_timezone: str = "UTC"
    source_tls: TlsSettings | None = None
    target_url: TargetUrl | None = None
    frequency_hours: Annotated[float, Meta(gt=0, le=168)] = field(
        default_factory=lambda: _of_environment("ETL_FREQUENCY_HOURS", float, 6.0, 168)
    )
    schedule: str | None = None
    timeout: timedelta = timedelta(minutes=10)
    batch_size: Annotated[int, Meta(ge=1, le=10_000)] = field(
        default_factory=lambda: _of_environment("ETL_BATCH_SIZE", int, 1000, 10_000)
    )
    overlap: timedelta = timedelta(seconds=7500)
    reject_limit: Annotated[int, Meta(ge=0)] = 100
    reject_share: Annotated[float, Meta(ge=0, le=1)] = 0.01
    max_rows_per_second: Annotated[int, Meta(ge=1)] | None = None
    patience: timedelta = timedelta(seconds=30)
    reconcile: str = "30 3 * * *"
    reconcile_days: Annotated[int, Meta(ge=1, le=3660)] = 35
    delete_limit: Annotated[int, Meta(ge=0)] = 100
    delete_share: Annotated[float, Meta(ge=0, le=1)] = 0.2
    aggregate: str = "every 15m"
    level_seconds: Annotated[float, Meta(ge=0, le=3600)] = 20
    short_abandon_seconds: Annotated[float, Meta(ge=0, le=3600)] = 5
    agent_channel: str = AGENT_CHANNEL
    outbound_context: str = OUTBOUND_CONTEXT
    names: NamesSettings = NamesSettings()
    retain: str = "15 4 * * *"
    keep_calls: Kept = FOR_EVER
    keep_facts: Kept | None = None
    keep_rejects: Kept = timedelta(days=365)
    keep_deleted: Kept = timedelta(days=365)
    keep_figures: Kept = FOR_EVER
    tables: dict[Name, TableSettings] = {}

    def __post_init__(self) -> None:
        if self.schedule is not None:
            parse(self.schedule)
        parse(self.reconcile)
        parse(self.retain)
        self._check_keeps()
        if self.aggregate:
            parse(self.aggregate)
        for name in ("agent_channel", "outbound_context"):
            try:
                re.compile(getattr(self, name))
            except re.error as error:
                raise ValueError(f"{name} is no regular expression: {error}") from error
        if self.source_url is not None:
            _check_url("source_url", self.source_url)
        parts = urlsplit(self.source_url or "")
        if parts.scheme in _MYSQL and not parts.path.strip("/") and "." not in self.source_table:
            raise ValueError("source_url names no database, as in mysql://user@host/asteriskcdrdb")
        if parts.scheme in _MYSQL:
            mysql_tls(self.source_url or "", self.source_tls)
        elif self.source_url is not None:
            check_postgres("source_url", self.source_url, self.source_tls, _OF_SESSIONS)
        if self.target_url is not None:
            _check_url("target_url", self.target_url)
            check_postgres("target_url", self.target_url, None, _OF_SESSIONS)
        _checked_zone("source_timezone", self.source_timezone)

    def _check_keeps(self) -> None:
        settled = LEAST_KEPT + self.overlap
        least = {
            "keep_calls": settled,
            **dict.fromkeys(("keep_rejects", "keep_deleted", "keep_figures"), LEAST_KEPT),
        }
        found = [(name, getattr(self, name), most) for name, most in least.items()]
        found += [(f"tables.{name}.keep", t.keep, settled) for name, t in self.tables.items()]
        for name, keep, most in found:
            if keep and keep < most:
                raise ValueError(
                    f"{name} is {keep}, and what has not settled yet would go: {most} at least"
                )

        if self.keep_facts is not None and not _outlives(self.keep_facts, self.keep_calls):
            raise ValueError(
                f"keep_facts is {self.keep_facts}, and facts of calls that are still there would "
                f"be made again: as long as keep_calls ({self.keep_calls or 'for ever'}) at least"
            )

    @property
    def facts_kept(self) -> timedelta:
        """Return for how long the facts of calls stay, zero for ever."""
        if self.keep_facts is not None:
            return self.keep_facts
        return max(self.keep_calls, FACTS_KEPT) if self.keep_calls else FOR_EVER

    def __repr__(self) -> str:
        shown = ", ".join(f"{n}={_shown(getattr(self, n))!r}" for n in self.__struct_fields__)
        return f"Settings({shown})"

    @property
    def zone(self) -> ZoneInfo:
        """Return the zone of the source's local times."""
        return ZoneInfo(self.source_timezone)


def _outlives(mine: timedelta, others: timedelta) -> bool:
    """Tell whether what is kept for `mine` stays as long as what is kept for `others`."""
    return not mine or (bool(others) and mine >= others)


def _of_environment(name: str, kind: Callable[[str], N], default: N, most: N) -> N:
    """Return what a variable says that other programs of the site read too, else `default`."""
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not 0 < value <= most:
        raise ValueError(f"{name} is '{text}', it must be a number above 0 and up to {most}")
    return value


def _check_url(name: str, url: str) -> None:
    scheme, mark, rest = url.partition("://")
    if scheme in _MYSQL:  # whose password may hold a ':' as it is
        login, at, place = rest.rpartition("@")
        user, colon, password = login.partition(":")
        url = f"{scheme}{mark}{user}{colon}{password.replace(':', '%3A')}{at}{place}"
    try:
        check_database_url(url)
    except ValueError as error:  # a sentence without any part of it
        raise ValueError(f"{name}: {error}") from None


def _shown(value: object) -> object:
    return _PASSWORD.sub(r"\1***@", value) if isinstance(value, str) else value


def _checked_zone(name: str, value: str) -> None:
    try:
        find_zone(value)
    except TriggerError as error:
        raise ValueError(f"{name}: {error}") from error
