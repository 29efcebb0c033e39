"""Decides how a text or a number becomes a local time, in each server's SQL: pure.

A format is written as Python's `strftime` has it; `iso` is 2026-03-01 10:00:00.25, `epoch` the
seconds since 1970 in UTC, `epoch_ms` its milliseconds. What is no such time counts as none.
"""

import re

_PARTS = {
    # part: MySQL's, PostgreSQL's, what it looks like
    "%Y": ("%Y", "YYYY", "[0-9]{4}"),
    "%y": ("%y", "YY", "[0-9]{2}"),
    "%m": ("%m", "MM", "(0[1-9]|1[0-2])"),
    "%d": ("%d", "DD", "(0[1-9]|[12][0-9]|3[01])"),
    "%H": ("%H", "HH24", "([01][0-9]|2[0-3])"),
    "%M": ("%i", "MI", "[0-5][0-9]"),
    "%S": ("%s", "SS", "[0-5][0-9]"),
    "%f": ("%f", "US", "[0-9]{1,6}"),
}
_LITERAL = re.compile(r"[-/.:, T]")
_ISO = (
    "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[ T]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
)
PER_SECOND = {"epoch": 1, "epoch_ms": 1000}
_NUMBER = "^[0-9]{1,15}([.][0-9]{1,6})?$"
MYSQL_HIGHEST = 2_147_483_647
POSTGRES_HIGHEST = 253_402_300_799
"""The last second of an epoch that is a time, in each server."""


def check(time_format: str) -> None:
    """Raise ValueError, naming the part that is not understood."""
    if time_format not in {"iso", *PER_SECOND}:
        parts = [part for part in _split(time_format) if part in _PARTS]
        if not {"%d", "%m"} <= set(parts) or not {"%Y", "%y"} & set(parts):
            raise ValueError(
                f"time_format is '{time_format}', it must be iso, epoch, epoch_ms, or have a "
                "year, a month and a day as in %d/%m/%Y %H:%M:%S"
            )


def mysql_time(name: str, time_format: str, *, is_text: bool) -> str:
    """Write the time in the column `name` (quoted) for MariaDB and MySQL."""
    if time_format == "iso":
        # MySQL 8 would take an offset behind it to heart, and round a seventh digit.
        text = f"LEFT({name},IF(SUBSTRING({name},20,1)='.',26,19))"
        return f"CAST(IF({name} REGEXP '{_ISO}',{text},NULL) AS DATETIME(6))"
    if time_format in PER_SECOND:
        many = PER_SECOND[time_format]
        if is_text:
            name = f"CAST(IF({name} REGEXP '{_NUMBER}',{name},NULL) AS DECIMAL(21,6))"
        seconds = name if many == 1 else f"{name}/{many}"
        return f"FROM_UNIXTIME(IF({name} BETWEEN 0 AND {MYSQL_HIGHEST * many},{seconds},NULL))"
    written = "".join(_PARTS[p][0] if p in _PARTS else p for p in _split(time_format))
    return f"STR_TO_DATE({name},'{written}')"


def postgres_time(name: str, time_format: str, *, is_text: bool) -> str:
    """Write the time in the column `name` (quoted) for PostgreSQL; an epoch's as UTC shows it."""
    if time_format == "iso":
        text = f"substring({name} FROM '^.{{19}}(?:[.][0-9]{{1,6}})?')"
        last = f"(left({name},7)||'-01')::date+interval '1 month'-interval '1 day'"
        real = f"substr({name},9,2)::int<=extract(day FROM {last})"
        time = f"CASE WHEN {real} THEN {text}::timestamp END"
        return f"CASE WHEN {name} ~ '{_ISO}' AND left({name},4)<>'0000' THEN {time} END"
    if time_format in PER_SECOND:
        many = PER_SECOND[time_format]
        if is_text:
            name = f"(CASE WHEN {name} ~ '{_NUMBER}' THEN {name}::numeric END)"
        number = f"CASE WHEN {name} BETWEEN 0 AND {POSTGRES_HIGHEST * many} THEN {name} END"
        return f"(to_timestamp(({number})::double precision/{many}) AT TIME ZONE 'UTC')"
    parts = _split(time_format)
    written = "".join(_PARTS[p][1] if p in _PARTS else f'"{p}"' for p in parts)
    looks = "".join(_PARTS[p][2] if p in _PARTS else f"[{p}]" for p in parts)
    return f"CASE WHEN {name} ~ '^{looks}' THEN to_timestamp({name},'{written}')::timestamp END"


def _split(time_format: str) -> list[str]:
    found, at = [], 0
    while at < len(time_format):
        part = time_format[at : at + 2] if time_format[at] == "%" else time_format[at]
        if part not in _PARTS and not _LITERAL.fullmatch(part):
            raise ValueError(
                f"time_format is '{time_format}', and '{part}' is not understood; there are "
                f"{' '.join(_PARTS)} and - / . : , T and blanks between them"
            )
        found.append(part)
        at += len(part)
    return found
