"""The settings under ``[plugins.etl_ivr]``, checked before anything starts."""

import re
from datetime import timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Meta, Struct

from sereno import parse

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
_PASSWORD = re.compile(r"(://[^:/@]*:)[^@]*@")


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that an operator may choose; `repr` shows no password.

    `source_url` None: the jobs are there, without a schedule. `target_url` None: the kernel's own
    database. `source`: the name of this PBX in the target, where several may share the tables.
    `schedule`: text of a trigger, in place of every `frequency_hours`. `batch_size`: rows per
    transaction. `overlap`: rows written so long after their `calldate` are still found by the next
    sync; a call's longest duration, and the delay of cdr.conf's batches. `source_timezone`: of
    `calldate`, an IANA name. A run fails once more than `reject_limit` rows *and* more than
    `reject_share` of those read could not be loaded.
    """

    source_url: SourceUrl | None = None
    source_table: Annotated[str, Meta(min_length=1)] = "cdr"
    source: Annotated[str, Meta(min_length=1, max_length=60)] = "pbx"
    source_timezone: str = "UTC"
    target_url: TargetUrl | None = None
    frequency_hours: Annotated[float, Meta(gt=0, le=168)] = 6
    schedule: str | None = None
    timeout: timedelta = timedelta(minutes=10)
    batch_size: Annotated[int, Meta(ge=1, le=10_000)] = 1000
    overlap: timedelta = timedelta(seconds=7500)
    reject_limit: Annotated[int, Meta(ge=0)] = 100
    reject_share: Annotated[float, Meta(ge=0, le=1)] = 0.01

    def __post_init__(self) -> None:
        if self.schedule is not None:
            parse(self.schedule)
        try:
            ZoneInfo(self.source_timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(
                f"source_timezone is '{self.source_timezone}', it must be UTC or an IANA name such "
                "as Europe/Madrid"
            ) from error

    def __repr__(self) -> str:
        shown = ", ".join(f"{n}={_shown(getattr(self, n))!r}" for n in self.__struct_fields__)
        return f"Settings({shown})"

    @property
    def zone(self) -> ZoneInfo:
        """Return the zone of the source's local times."""
        return ZoneInfo(self.source_timezone)


def _shown(value: object) -> object:
    return _PASSWORD.sub(r"\1***@", value) if isinstance(value, str) else value
