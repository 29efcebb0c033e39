"""The settings under ``[plugins.cleanup]``, checked before anything starts."""

from datetime import timedelta
from importlib.util import find_spec
from math import isnan
from pathlib import PurePosixPath
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sereno import TriggerError, check_database_url, find_zone, parse
from sereno_cleanup.table import quoted

Category = Literal["application", "access", "audit"]
KEEP_DAYS: dict[Category, int] = {"application": 30, "access": 90, "audit": 730}

REST = 1.0
MAX_LAG = timedelta(seconds=30)
FILLS_WITHIN = timedelta(days=4)
LONGEST_NAME = 200
LONGEST_KEEP = timedelta(days=36_500)

Kept = Annotated[timedelta, Meta(extra={"needs_unit": True})]
Batch = Annotated[int, Meta(ge=1, le=100_000)]
Days = Annotated[int, Meta(ge=1, le=36_500)]


class LogRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which log files are kept for how long.

    `path`: an absolute glob inside one of `logs_roots`; ``**`` stands for any depth. `keep_days`:
    calendar days, by default those of the category. `min_keep`: so many of the newest files always
    stay. `min_age`: a file that was changed since then stays, whatever its name says. `archive`:
    directory that gets a verified gzip copy before a file is deleted; `archive_keep_days`: how long
    a copy is kept there, for ever by default.
    """

    path: str
    category: Category = "application"
    keep_days: Days | None = None
    min_keep: Annotated[int, Meta(ge=0)] = 1
    min_age: Kept = timedelta(hours=1)
    archive: str | None = None
    archive_keep_days: Days | None = None
    dry_run: bool = False

    def __post_init__(self) -> None:
        for name, value in (("path", self.path), ("archive", self.archive)):
            if value is not None and not _is_plain(value):
                raise ValueError(f"{name} is '{value}', it must be absolute and without '..'")

    @property
    def days(self) -> int:
        """Return the retention in calendar days."""
        return KEEP_DAYS[self.category] if self.keep_days is None else self.keep_days


class RotationRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which log files are put aside when they have `max_bytes`, or `max_age` after the last time.

    `path`: an absolute glob inside one of `logs_roots`. `method`: "rename", or "copy" for a program
    that cannot reopen its file. After a rename the program is told: `reopen_signal` to the process
    whose number stands in `reopen_pid_file`, or `reopen_command` (a program and its arguments).
    """

    path: str
    max_bytes: Annotated[int, Meta(ge=1)] | None = None
    max_age: Kept | None = None
    method: Literal["rename", "copy"] = "rename"
    compress: Literal["gzip", "zstd", "none"] = "gzip"
    reopen_pid_file: str | None = None
    reopen_signal: Literal["HUP", "USR1", "USR2"] = "HUP"
    reopen_command: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _is_plain(self.path):
            raise ValueError(f"path is '{self.path}', it must be absolute and without '..'")
        if self.max_bytes is None and self.max_age is None:
            raise ValueError(f"rotation of '{self.path}': max_bytes, max_age or both must be set")
        if self.max_age is not None and self.max_age <= timedelta(0):
            raise ValueError(f"rotation of '{self.path}': max_age must be longer than nothing")
        if self.compress == "zstd" and find_spec("zstandard") is None:
            raise ValueError(
                f"rotation of '{self.path}': zstd needs the package zstandard; install "
                "sereno-cleanup[zstd], or set compress to gzip"
            )


class TableRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which rows of a table are kept for how long.

    `column`: of type timestamp (with or without time zone) or date; null and future values stay.
    `where`: a condition in SQL that a row must fulfil besides; it is the operator's own. `archive`:
    directory that gets the rows as compressed CSV before they go; `archive_keep_days`: how long
    they are kept there, for ever by default. `cascade`: rows of other tables that refer to those
    may go or change with them. `rest`: seconds of rest for each second of work. `max_lag`: how far
    a standby may fall behind before the work waits for it.
    """

    table: str
    column: str
    keep: Kept
    where: str = "true"
    archive: str | None = None
    archive_keep_days: Days | None = None
    cascade: bool = False
    batch: Batch = 2000
    rest: Annotated[float, Meta(ge=0, le=100)] = REST
    max_lag: timedelta = MAX_LAG
    database_url: str | None = None

    def __post_init__(self) -> None:
        quoted(self.table)
        _check_urls(self)
        if self.keep <= timedelta(0):
            raise ValueError(f"table '{self.table}': keep must be longer than nothing, as '30d'")
        if self.keep > LONGEST_KEEP:
            raise ValueError(
                f"table '{self.table}': keep is {self.keep.days} days, it must be "
                f"{LONGEST_KEEP.days} at most"
            )
        if self.archive is not None and not _is_plain(self.archive):
            raise ValueError(f"archive is '{self.archive}', it must be absolute and without '..'")


class CacheRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table that serves as a cache, whose rows have expired when `column` has passed.

    `capacity`: how many entries it is made for; above `full_above` of it, and below a hit rate of
    `hit_rate_below`, a warning is given. `statistics`: a statement whose one row has `hits`,
    `misses` and `evictions`, as the application counts them.
    """

    table: str
    column: str = "expires"
    capacity: Annotated[int, Meta(ge=1)] | None = None
    full_above: Annotated[float, Meta(gt=0, le=1)] = 0.9
    hit_rate_below: Annotated[float, Meta(ge=0, le=1)] = 0.6
    statistics: str | None = None
    batch: Batch = 2000
    database_url: str | None = None

    def __post_init__(self) -> None:
        quoted(self.table)
        _check_urls(self)


class CheckRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be true of some data, as one of five `kind`s.

    `no_rows`: `sql` returns none. `count`: the number that `sql` returns is `at_least` and
    `at_most` so much. `orphans`: each `column` of `table` is an `other_column` of `other_table`, or
    null. `equal`: the number of `sql` differs from that of `other_sql`, asked at
    `other_database_url`, by no more than `tolerance`. `amcheck`: the B-tree indexes of `table` are
    sound. `limit`: how long a statement may take.
    """

    name: str
    kind: Literal["no_rows", "count", "orphans", "equal", "amcheck"] = "no_rows"
    severity: Literal["info", "warning", "critical"] = "warning"
    sql: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    table: str | None = None
    column: str | None = None
    other_table: str | None = None
    other_column: str | None = None
    other_sql: str | None = None
    other_database_url: str | None = None
    tolerance: Annotated[float, Meta(ge=0)] = 0
    limit: timedelta = timedelta(minutes=5)
    database_url: str | None = None

    def __post_init__(self) -> None:
        _check_urls(self)
        wanted = _WANTED[self.kind]
        for name in wanted:
            if getattr(self, name) is None:
                raise ValueError(
                    f"check '{self.name}': one of kind '{self.kind}' needs {', '.join(wanted)}; "
                    f"'{name}' is missing"
                )
        if self.kind == "count":
            self._check_bounds()
        if self.limit <= timedelta(0):
            raise ValueError(f"check '{self.name}': limit must be longer than nothing, as '5m'")
        if not self.name.strip() or not self.name.isprintable() or len(self.name) > LONGEST_NAME:
            raise ValueError(
                f"a check must have a name, of {LONGEST_NAME} letters at most that can be seen"
            )
        for name in ("table", "column", "other_table", "other_column"):
            if getattr(self, name) is not None:
                self.quoted(name)

    def _check_bounds(self) -> None:
        low, high = self.at_least, self.at_most
        if low is None and high is None:
            raise ValueError(f"check '{self.name}': at_least, at_most or both must be set")
        if low is not None and high is not None and not low <= high:
            raise ValueError(f"check '{self.name}': at_least is {low}, above at_most, {high}")
        if any(bound is not None and isnan(bound) for bound in (low, high, self.tolerance)):
            raise ValueError(f"check '{self.name}': a bound is no number")

    def quoted(self, field: str) -> str:
        """Return the name in `field` as an identifier; raises ValueError."""
        return quoted(getattr(self, field))


_WANTED = {
    "no_rows": ("sql",),
    "count": ("sql",),
    "orphans": ("table", "column", "other_table", "other_column"),
    "equal": ("sql", "other_sql"),
    "amcheck": ("table",),
}


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that an operator may choose.

    `database_url`: where the sessions are; the kernel's own database when None. Schedules are texts
    that `sereno.parse` reads. Above `logs_max_files`, `logs_max_bytes` or, from 20 files on,
    `logs_max_ratio` of what a rule matches, the rule deletes nothing until a person confirms. A
    disk that fills within `disk_fills_within`, as its last hours went on, is told of.
    """

    database_url: str | None = None
    sessions_enabled: bool = True
    sessions_schedule: str | None = None
    sessions_table: str = "django_session"
    sessions_batch: Batch = 2000
    logs_enabled: bool = True
    logs_schedule: str | None = None
    logs_zone: str = "UTC"
    logs_roots: tuple[str, ...] = ()
    logs: tuple[LogRule, ...] = ()
    logs_dry_run: bool = False
    logs_max_files: Annotated[int, Meta(ge=1)] = 10_000
    logs_max_bytes: Annotated[int, Meta(ge=1)] = 100 * 2**30
    logs_max_ratio: Annotated[float, Meta(gt=0, le=1)] = 0.5
    disks_enabled: bool = True
    disks_schedule: str | None = None
    disk_fills_within: Kept = FILLS_WITHIN
    rotate_enabled: bool = True
    rotate_schedule: str | None = None
    rotations: tuple[RotationRule, ...] = ()
    tables_enabled: bool = True
    tables_schedule: str | None = None
    tables: tuple[TableRule, ...] = ()
    verify_archive_enabled: bool = True
    verify_archive_schedule: str | None = None
    caches_enabled: bool = True
    caches_schedule: str | None = None
    caches: tuple[CacheRule, ...] = ()
    checks_enabled: bool = True
    checks_schedule: str | None = None
    checks: tuple[CheckRule, ...] = ()
    checks_keep: Kept = timedelta(days=730)
    history_enabled: bool = True
    history_schedule: str | None = None
    history_days: Days = 30
    history_keep: Annotated[int, Meta(ge=0)] = 1000
    history_batch: Batch = 1000
    history_trail_days: Days | None = None

    def __post_init__(self) -> None:
        quoted(self.sessions_table)
        _check_urls(self)
        for text in self._schedules():
            if text is not None:
                parse(text)
        try:
            find_zone(self.logs_zone)
        except TriggerError as error:
            raise ValueError(f"logs_zone: {error}") from error
        if self.disk_fills_within <= timedelta(0):
            raise ValueError("disk_fills_within must be longer than nothing, as '4d'")
        for rule in self.logs:
            self.root_of(rule)
        for rotation in self.rotations:
            self.root_around(rotation.path)
        names = [check.name for check in self.checks]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"checks: two checks are called '{name}'")

    def archives(self) -> dict[str, int | None]:
        """Return how many days each archive keeps a copy: as its most patient rule says."""
        found: dict[str, int | None] = {}
        rules: list[LogRule | TableRule] = [*self.logs, *self.tables]
        for rule in rules:
            if rule.archive is None:
                continue
            mine, others = rule.archive_keep_days, found.get(rule.archive, 0)
            found[rule.archive] = None if mine is None or others is None else max(mine, others)
        return found

    @property
    def has_places(self) -> bool:
        """Return whether a rule names a directory of log files or an archive."""
        return bool(self.logs_roots or self.archives())

    def _schedules(self) -> tuple[str | None, ...]:
        return (
            self.sessions_schedule,
            self.logs_schedule,
            self.disks_schedule,
            self.rotate_schedule,
            self.tables_schedule,
            self.verify_archive_schedule,
            self.caches_schedule,
            self.checks_schedule,
            self.history_schedule,
        )

    def root_of(self, rule: LogRule) -> str:
        """Return the innermost allowed root around `rule`; raise ValueError when there is none."""
        return self.root_around(rule.path)

    def root_around(self, glob: str) -> str:
        """Return the innermost allowed root around `glob`; raise ValueError when there is none."""
        path = PurePosixPath(glob)
        found = [root for root in self.logs_roots if PurePosixPath(root) in path.parents]
        if not found:
            allowed = ", ".join(self.logs_roots) or "none"
            raise ValueError(
                f"logs: path '{glob}' is in none of logs_roots ({allowed}); "
                "name the directory in which files may be deleted there"
            )
        return max(found, key=len)


def _check_urls(settings: msgspec.Struct) -> None:
    """Raise ValueError, without any part of it, where a URL does not say what it seems to."""
    for name in ("database_url", "other_database_url"):
        url = getattr(settings, name, None)
        if url is not None:
            try:
                check_database_url(url)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None


def _is_plain(path: str) -> bool:
    return path.startswith("/") and ".." not in path.split("/") and "\0" not in path
